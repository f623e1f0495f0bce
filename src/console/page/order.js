// The order of the list. By urgency, as the daemon decides it: `alert::urgency` says why, and both have the same test cases
// (tests/page/order.json). And never under a finger: what somebody is about to press stays where it is.

import { exactTime, newestFirst } from "./exams.js";

const ASKING = ["alarm", "warning", "check"];
const CLASSES = [...ASKING, "receiving", "nothing"];

/** Since somebody last moved, touched or pressed something in the list, it is in use for so long. */
const IN_USE_MS = 10_000;
const USES = ["pointerdown", "pointermove", "wheel", "touchmove", "keydown", "keyup"];

/** What an exam asks for in a class. @param {Exam} exam @param {string} kind */
const askOf = (exam, kind) => exam.urgency.asks.find((ask) => ask.class === kind);

/** @param {Ask} ask @param {number} now ms since 1970, by the daemon's clock */
export const isOverdue = (ask, now) => Date.parse(ask.overdue) <= now;

/** @param {Exam[]} exams @param {number} now ms since 1970, by the daemon's clock @returns {Exam[]} */
export function inOrder(exams, now) {
  const newest = [...exams].sort(newestFirst);
  const newAlarms = newest.filter((exam) => {
    const ask = askOf(exam, "alarm");
    return ask !== undefined && !isOverdue(ask, now);
  });
  const rest = CLASSES.flatMap((kind) => newest.filter((exam) => exam.urgency.class === kind));
  const queues = [newAlarms, ...ASKING.map((kind) => overdueOf(exams, kind, now))];
  return [...new Set([...takingTurns(queues), ...rest])];
}

/** Exams that wait for too long, those that have waited longest first. @param {Exam[]} exams @param {string} kind @param {number} now */
function overdueOf(exams, kind, now) {
  const waiting = exams.flatMap((exam) => {
    const ask = askOf(exam, kind);
    return ask && isOverdue(ask, now) ? [{ exam, since: `${exactTime(ask.since)} ${exam.key}` }] : [];
  });
  return waiting.sort((one, other) => (one.since < other.since ? -1 : 1)).map(({ exam }) => exam);
}

/** The queues' exams in turns, each once: a queue whose next one has had a place goes on to the one behind it. @param {Exam[][]} queues */
function takingTurns(queues) {
  const left = queues.map((queue) => [...queue]);
  /** @type {Set<Exam>} */
  const placed = new Set();
  let before = -1;
  while (placed.size !== before) {
    before = placed.size;
    for (const queue of left) {
      while (queue.length > 0 && placed.has(queue[0])) queue.shift();
      const next = queue.shift();
      if (next) placed.add(next);
    }
  }
  return placed;
}

/** Keeps the list as it is while somebody uses it. */
export class SteadyOrder {
  /** Of the exams as they were shown last. @type {string[]} */
  #keys = [];
  #usedAt = Number.NEGATIVE_INFINITY;
  /** Whether the exams should stand in another order than the one that is shown. */
  waits = false;

  /** @param {HTMLElement} list @param {() => void} changed called when the list is left */
  watch(list, changed) {
    for (const use of USES) list.addEventListener(use, () => this.use(performance.now()), { passive: true });
    list.addEventListener("pointerleave", () => {
      this.release();
      changed();
    });
  }

  /** @param {number} now */
  use(now) {
    this.#usedAt = now;
  }

  /** The next order is shown at once. */
  release() {
    this.#usedAt = Number.NEGATIVE_INFINITY;
  }

  /** The exams as they are to be shown: while the list is in use new ones come last. @param {Exam[]} exams as they should stand @param {number} now */
  place(exams, now) {
    const places = new Map(this.#keys.map((key, place) => [key, place]));
    const placeOf = (/** @type {Exam} */ { key }) => places.get(key) ?? places.size;
    const shown = now - this.#usedAt < IN_USE_MS ? [...exams].sort((one, other) => placeOf(one) - placeOf(other)) : exams;
    this.waits = shown.some((exam, place) => exam !== exams[place]);
    this.#keys = shown.map(({ key }) => key);
    return shown;
  }
}
