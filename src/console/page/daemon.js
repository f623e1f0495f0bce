// The way to the daemon: requests, and the stream of events with its heartbeat.

const REQUEST_LIMIT_MS = 10_000;
/** The daemon sends a status every 5 s; two missed and a little is a lost connection. */
const SILENCE_LIMIT_MS = 12_000;
const RETRY_MS = 2_000;

/** Paths have no leading slash: they hold below whatever path a proxy puts the console. @param {string} path @param {RequestInit} options */
async function request(path, options = {}) {
  const response = await fetch(path, { ...options, cache: "no-store", signal: AbortSignal.timeout(REQUEST_LIMIT_MS) });
  const body = await response.json().catch(() => null);
  if (!response.ok || body === null) throw new Error(body?.error ?? `the daemon answered ${response.status}`);
  return body;
}

const examPath = (/** @type {string} */ key) => `api/v1/exams/${encodeURIComponent(key)}`;

/** @returns {Promise<DaemonStatus>} */
export const getStatus = () => request("api/v1/status");
/** @returns {Promise<Exam[]>} */
export const getExams = async () => (await request("api/v1/exams")).exams;
/** @param {string} key @returns {Promise<{ exam: Exam, slabs: Slab[], report: Report | null }>} */
export const getExam = (key) => request(examPath(key));
/** @param {string} key @returns {Promise<SliceList>} */
export const getSlices = (key) => request(`${examPath(key)}/slices`);
/** @param {string} key @returns {Promise<Delivery[]>} */
export const getDeliveries = async (key) => (await request(`${examPath(key)}/deliveries`)).deliveries;

/** @param {string} key @param {string} flagId @param {string} by @returns {Promise<Exam>} */
export function acknowledge(key, flagId, by) {
  return request(`${examPath(key)}/flags/${encodeURIComponent(flagId)}/acknowledge`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ by }),
  });
}

/** @param {"retry" | "drop"} what @param {string} destination */
export const decideDeliveries = (what, destination) =>
  request(`api/v1/outbox/${what}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ destination }),
  });

/**
 * @typedef {object} Handlers
 * @property {() => void} opened
 * @property {() => void} lost
 * @property {(exam: Exam) => void} exam
 * @property {(of: { exam: string, slab: Slab }) => void} slab
 * @property {(status: DaemonStatus) => void} status
 */

/**
 * The stream of events, opened again by itself for ever. `handlers` has `exam`, `slab` and `status` for the events,
 * `opened` (fetch everything: what happened before is unknown) and `lost`.
 */
export class EventStream {
  #handlers;
  /** @type {EventSource | null} */ #source = null;
  #heard = 0;
  /** The last stream opened and then said nothing: the next is believed only with its first heartbeat. */
  #silent = false;

  /** @param {Handlers} handlers */
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
    const whenHeard = (/** @type {(event: MessageEvent) => void} */ then) => (/** @type {Event} */ event) => {
      if (source !== this.#source) return;
      this.#heard = performance.now();
      then(/** @type {MessageEvent} */ (event));
    };
    source.addEventListener("open", whenHeard(() => !this.#silent && this.#handlers.opened()));
    source.addEventListener("status", whenHeard(() => this.#heartbeat()));
    source.addEventListener("error", () => source === this.#source && this.fail());
    for (const name of /** @type {const} */ (["exam", "slab", "status"])) {
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
