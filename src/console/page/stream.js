// The stream of events, opened again by itself for ever. It remembers the last event that came, so that the daemon sends what was missed
// in between, in its order, each event once.

/** The daemon says something every 0.5 s: three times nothing is a lost connection. */
const SILENCE_LIMIT_MS = 1_500;
const WATCH_MS = 250;
const RETRY_MS = 500;
const NAMES = ["exam", "slab", "status", "beat"];

/**
 * @typedef {{ name: string, data?: any, resumed?: boolean }} Message
 *   `exam`, `slab`, `status` and `beat` with the daemon's data; `opened`, after which all events come, the missed ones too where
 *   `resumed` is true; `lost`.
 */

export class EventStream {
  /** @type {(message: Message) => void} */
  #tell;
  /** @type {EventSource | null} */
  #source = null;
  #lastId = "";
  #heard = 0;

  /** @param {(message: Message) => void} tell */
  constructor(tell) {
    this.#tell = tell;
    setInterval(() => this.#watch(), WATCH_MS);
    this.#open();
  }

  #open() {
    const after = this.#lastId === "" ? "" : `?after=${encodeURIComponent(this.#lastId)}`;
    const source = new EventSource(`api/v1/events${after}`);
    this.#source = source;
    this.#heard = performance.now();
    /** @param {string} name @param {(data: any) => void} then */
    const listen = (name, then) =>
      source.addEventListener(name, (event) => {
        if (source !== this.#source) return;
        this.#heard = performance.now();
        // An event without an id of its own carries the one before it.
        this.#lastId = event.lastEventId;
        then(JSON.parse(event.data));
      });
    listen("begin", ({ resumed }) => this.#tell({ name: "opened", resumed }));
    for (const name of NAMES) listen(name, (data) => this.#tell({ name, data }));
    // This watcher lagged: the stream ends here, and goes on where it ended.
    listen("lagged", () => this.#lose(0));
    source.addEventListener("error", () => source === this.#source && this.#lose(RETRY_MS));
  }

  /** @param {number} retryMs */
  #lose(retryMs) {
    this.#source?.close();
    this.#source = null;
    this.#tell({ name: "lost" });
    setTimeout(() => this.#open(), retryMs);
  }

  #watch() {
    if (this.#source === null || performance.now() - this.#heard <= SILENCE_LIMIT_MS) return;
    // A thread that was held up hears first what came meanwhile.
    const { port1, port2 } = new MessageChannel();
    const source = this.#source;
    port1.onmessage = () => {
      port1.close();
      if (source === this.#source && performance.now() - this.#heard > SILENCE_LIMIT_MS) this.#lose(RETRY_MS);
    };
    port2.postMessage(null);
  }
}
