// What the daemon tells, kept in `exams` and `status`, and whether that is current: the same for every view.

import { ClockSkew } from "./clock.js";
import { getExams, getStatus, openStream } from "./daemon.js";
import { checkSession, seesExams } from "./session.js";

const RETRY_MS = 1_000;

/** @typedef {"connecting" | "live" | "lost"} Connection */

/**
 * What a view does with what comes; each may be absent but `changed`, which writes the page.
 * @typedef {object} View
 * @property {() => void} changed
 * @property {(exam: Exam, before: Exam | null) => void} [exam] `before`: what was shown
 * @property {(exam: string, slab: Slab) => void} [slab]
 * @property {() => void} [status]
 * @property {() => void} [beat]
 * @property {() => Promise<void>} [fetchMore] fetches what else the view needs before anything is current
 */

export class Watch {
  /** @type {DaemonStatus | null} */ status = null;
  connection = /** @type {Connection} */ ("connecting");
  /** @type {Date | null} */ lostSince = null;
  clockSkew = new ClockSkew();
  #exams;
  #view;
  /** Counts openings and losses of the stream: an answer to an older opening is out of date. */
  #opening = 0;
  /** Whether everything was fetched once: all that came since is known, if the stream missed nothing. */
  #isComplete = false;

  /** @param {import("./exams.js").Exams} exams @param {View} view */
  constructor(exams, view) {
    this.#exams = exams;
    this.#view = view;
  }

  start() {
    /** @type {Record<string, (message: import("./stream.js").Message) => void>} */
    const takers = {
      opened: ({ resumed }) => (resumed && this.#isComplete ? this.#goLive() : this.#fetchEverything()),
      lost: () => this.#loseConnection(),
      exam: ({ data }) => this.#takeExam(data),
      slab: ({ data }) => this.#view.slab?.(data.exam, data.slab),
      status: ({ data }) => this.#takeStatus(data),
      beat: ({ data }) => this.#takeBeat(data.now),
    };
    openStream((message) => {
      takers[message.name](message);
      // A beat changes nothing that the next status does not show.
      if (message.name !== "beat") this.#view.changed();
    });
  }

  #loseConnection() {
    if (this.connection !== "lost") this.lostSince = new Date();
    this.connection = "lost";
    this.#opening += 1;
    checkSession();
  }

  #goLive() {
    this.connection = "live";
  }

  /** Until it is there, what is shown is not known to be true. */
  async #fetchEverything() {
    const mine = ++this.#opening;
    const askedAt = this.#exams.now;
    this.#isComplete = false;
    try {
      const [status, list] = await Promise.all([getStatus(), seesExams() ? getExams() : []]);
      if (mine !== this.#opening) return;
      this.status = status;
      this.#exams.takeAll(list, askedAt);
      await this.#view.fetchMore?.();
      if (mine !== this.#opening) return;
      this.#isComplete = true;
      this.#goLive();
    } catch {
      if (mine !== this.#opening) return;
      this.#loseConnection();
      const failed = this.#opening;
      setTimeout(() => failed === this.#opening && this.#fetchEverything(), RETRY_MS);
    }
    this.#view.changed();
  }

  /** @param {Exam} exam */
  #takeExam(exam) {
    const before = this.#exams.shown;
    this.#exams.takeExam(exam);
    this.#view.exam?.(exam, before);
  }

  /** @param {DaemonStatus} status */
  #takeStatus(status) {
    this.status = status;
    this.#view.status?.();
  }

  /** @param {string} now */
  #takeBeat(now) {
    this.clockSkew.take(now, new Date());
    this.#view.beat?.();
  }
}
