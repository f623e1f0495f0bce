// Exams that are not in the live list any more: by name, ID or key, a page at a time.

import { findExams } from "./daemon.js";
import { byId, setHidden } from "./dom.js";
import { problemOf, setPhrase } from "./text.js";

/** A search begins when nothing was typed for so long. */
const TYPING_MS = 250;
/** The daemon's list has so many of the newest exams (`Hub::exams`). */
const NEWEST_EXAMS = 50;

export class Search {
  #changed;
  /** What the exams were found by; "" for those before the live list. */
  #words = "";
  /** Newest first. @type {Exam[]} */
  #found = [];
  #hasMore = true;
  /** @type {Phrase | null} */ #problem = null;
  /** Counts questions: the answer to an older one is out of date. */
  #asked = 0;
  #isAsking = false;

  /** @param {() => void} changed called when something was found, or could not be */
  constructor(changed) {
    this.#changed = changed;
  }

  /** @param {() => Exam[]} live the live list, newest first */
  start(live) {
    const field = byId("search", HTMLInputElement);
    let typing = 0;
    field.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.#begin(field.value.trim()), TYPING_MS);
    });
    byId("more-exams").addEventListener("click", () => this.#ask(this.#found.at(-1)?.key ?? lastOf(live())));
  }

  /** Exams that were found. */
  get found() {
    return this.#found;
  }

  /** The exams to choose from. @param {Exam[]} live */
  listed(live) {
    if (this.#words !== "") return this.#found.map((exam) => live.find(({ key }) => key === exam.key) ?? exam);
    const known = new Set(live.map(({ key }) => key));
    return [...live, ...this.#found.filter(({ key }) => !known.has(key))];
  }

  /** @param {Exam[]} live */
  show(live) {
    const areAllListed = this.#words === "" && live.length < NEWEST_EXAMS;
    setHidden(byId("more-exams"), areAllListed || !this.#hasMore || this.#isAsking);
    const none = this.#words !== "" && this.#found.length === 0 && !this.#isAsking ? { text: "search.none" } : null;
    setPhrase(byId("search-note"), this.#problem ?? (this.#isAsking ? { text: "search.searching" } : none));
  }

  /** @param {string} words */
  #begin(words) {
    if (words === this.#words) return;
    this.#words = words;
    this.#found = [];
    this.#hasMore = true;
    this.#problem = null;
    this.#isAsking = false;
    this.#asked += 1;
    if (words === "") this.#changed();
    else this.#ask(null);
  }

  /** @param {string | null} before */
  async #ask(before) {
    const mine = ++this.#asked;
    this.#isAsking = true;
    this.#changed();
    try {
      const { exams, more } = await findExams(this.#words, before);
      if (mine !== this.#asked) return;
      this.#found = [...this.#found, ...exams];
      this.#hasMore = more;
      this.#problem = null;
    } catch (error) {
      if (mine !== this.#asked) return;
      this.#problem = { text: "search.failed", parameters: { problem: problemOf(error) } };
    }
    this.#isAsking = false;
    this.#changed();
  }
}

/** The last exam before which the live list has all. @param {Exam[]} live */
function lastOf(live) {
  return live.slice(0, NEWEST_EXAMS).at(-1)?.key ?? null;
}
