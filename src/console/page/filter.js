// Which exams are listed. Which filters let an exam through is decided by the daemon (`database::exam_filter`), which has all exams; but
// for the day, which is this browser's.

import { byId } from "./dom.js";
import { recall, remember } from "./remember.js";

const FILTER = "tableside.filter";
const ALL = "all";
const TODAY = "today";

/** @param {Date} now */
function midnight(now) {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate());
}

export class Filter {
  #chosen = ALL;

  /** @param {() => void} changed */
  start(changed) {
    const select = byId("filter", HTMLSelectElement);
    const known = [...select.options].map(({ value }) => value);
    this.#chosen = known.find((value) => value === recall(FILTER)) ?? ALL;
    select.value = this.#chosen;
    select.addEventListener("change", () => {
      this.choose(select.value);
      remember(FILTER, this.#chosen);
      changed();
    });
  }

  /** @param {string} filter */
  choose(filter) {
    this.#chosen = filter;
  }

  /** Whether it lets all exams through. */
  get isOff() {
    return this.#chosen === ALL;
  }

  /** How the daemon is asked for the same exams. @returns {Record<string, string>} */
  query(now = new Date()) {
    if (this.isOff) return {};
    return this.#chosen === TODAY ? { since: midnight(now).toISOString() } : { filter: this.#chosen };
  }

  /** @param {Exam} exam */
  letsThrough(exam, now = new Date()) {
    if (this.isOff) return true;
    if (this.#chosen === TODAY) return Date.parse(exam.started) >= midnight(now).getTime();
    return exam.filters.includes(this.#chosen);
  }
}
