// The way to the daemon: requests, and the stream of events with its heartbeat.

const REQUEST_LIMIT_MS = 10_000;
/** The daemon sends a status every 5 s; two missed and a little is a lost connection. */
const SILENCE_LIMIT_MS = 12_000;
const RETRY_MS = 2_000;

/** Paths have no leading slash: they hold below whatever path a proxy puts the console. */
async function request(path, options = {}) {
  const response = await fetch(path, { ...options, cache: "no-store", signal: AbortSignal.timeout(REQUEST_LIMIT_MS) });
  const body = await response.json().catch(() => null);
  if (!response.ok || body === null) throw new Error(body?.error ?? `the daemon answered ${response.status}`);
  return body;
}

const examPath = (key) => `api/v1/exams/${encodeURIComponent(key)}`;

/** What changes something: JSON, as the daemon wants it. */
const asJson = (method, body) => ({ method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

export const getSession = () => request("api/v1/session");
export const beginSession = (credentials) => request("api/v1/session", asJson("POST", credentials));
export const endSession = () => request("api/v1/session", { method: "DELETE" });
export const setUp = (account) => request("api/v1/setup", asJson("POST", account));

export const getStatus = () => request("api/v1/status");
export const getExams = async () => (await request("api/v1/exams")).exams;
export const getExam = (key) => request(examPath(key));

export function acknowledge(key, flagId, by) {
  return request(`${examPath(key)}/flags/${encodeURIComponent(flagId)}/acknowledge`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ by }),
  });
}

/** `what` is retry or drop. */
export const decideDeliveries = (what, destination) =>
  request(`api/v1/outbox/${what}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ destination }),
  });

/**
 * The stream of events, opened again by itself for ever. `handlers` has `exam`, `slab` and `status` for the events,
 * `opened` (fetch everything: what happened before is unknown) and `lost`.
 */
export class EventStream {
  #handlers;
  #source = null;
  #heard = 0;
  /** The last stream opened and then said nothing: the next is believed only with its first heartbeat. */
  #silent = false;

  constructor(handlers) {
    this.#handlers = handlers;
    setInterval(() => this.#watch(), 1_000);
    this.#open();
  }

  /** Gives the present stream up and tries again: used too when fetching everything has failed. */
  fail() {
    if (this.#source === null) return;
    this.#source.close();
    this.#source = null;
    this.#handlers.lost();
    setTimeout(() => this.#open(), RETRY_MS);
  }

  #open() {
    const source = new EventSource("api/v1/events");
    this.#source = source;
    this.#heard = performance.now();
    const whenHeard = (then) => (event) => {
      if (source !== this.#source) return;
      this.#heard = performance.now();
      then(event);
    };
    source.addEventListener("open", whenHeard(() => !this.#silent && this.#handlers.opened()));
    source.addEventListener("status", whenHeard(() => this.#heartbeat()));
    source.addEventListener("error", () => source === this.#source && this.fail());
    for (const name of ["exam", "slab", "status"]) {
      source.addEventListener(name, whenHeard((event) => this.#handlers[name](JSON.parse(event.data))));
    }
  }

  #heartbeat() {
    if (!this.#silent) return;
    this.#silent = false;
    this.#handlers.opened();
  }

  #watch() {
    if (this.#source === null || performance.now() - this.#heard <= SILENCE_LIMIT_MS) return;
    this.#silent = true;
    this.fail();
  }
}
