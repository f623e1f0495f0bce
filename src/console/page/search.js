// The exams to choose from: the live ones by urgency, and those that are not in the live list any more, by name, ID or key, or by a
// filter, a page at a time.

import { findExams } from "./daemon.js";
import { byId, setHidden, setText } from "./dom.js";
import { Filter } from "./filter.js";
import { inOrder } from "./order.js";
import { problemOf, say, setPhrase } from "./text.js";

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
  #filter = new Filter();

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
      typing = setTimeout(() => this.#look(field.value.trim()), TYPING_MS);
    });
    this.#filter.start(() => this.#begin());
    byId("more-exams").addEventListener("click", () => this.#ask(this.#found.at(-1)?.key ?? (this.#isAsIs ? lastOf(live()) : null)));
  }

  /** Exams that were found. */
  get found() {
    return this.#found;
  }

  /**
   * The exams to choose from. The one on the table comes first whatever is filtered: nobody has to look for it.
   * @param {Exam[]} live @param {string | null} tableKey @param {number} now ms since 1970, by the daemon's clock
   */
  listed(live, tableKey, now) {
    const letsThrough = (/** @type {Exam} */ exam) => this.#filter.letsThrough(exam);
    if (this.#words !== "") {
      const found = this.#found.map((exam) => live.find(({ key }) => key === exam.key) ?? exam);
      return [...inOrder(this.#alsoNamed(live), now), ...found].filter(letsThrough);
    }
    const known = new Set(live.map(({ key }) => key));
    const onTable = live.filter(({ key }) => key === tableKey);
    const others = live.filter((exam) => exam.key !== tableKey && letsThrough(exam));
    const earlier = this.#found.filter((exam) => !known.has(exam.key) && letsThrough(exam));
    return [...onTable, ...inOrder(others, now), ...earlier];
  }

  /** @param {Exam[]} live */
  show(live) {
    const areAllListed = this.#isAsIs && live.length < NEWEST_EXAMS;
    setHidden(byId("more-exams"), areAllListed || !this.#hasMore || this.#isAsking);
    const isNone = !this.#isAsIs && !this.#isAsking && this.#found.length === 0 && this.#alsoNamed(live).length === 0;
    const none = isNone ? { text: "search.none" } : null;
    setPhrase(byId("search-note"), this.#problem ?? (this.#isAsking ? { text: "search.searching" } : none));
    const hidden = live.filter((exam) => exam.urgency.asks.length > 0 && !this.#filter.letsThrough(exam)).length;
    setText(byId("filter-note"), hidden > 0 ? say("list.hidden", { count: hidden }) : "");
  }

  /** Live exams that the words name and the answer does not have: while an exam is received it is not on the disk. @param {Exam[]} live */
  #alsoNamed(live) {
    const found = new Set(this.#found.map(({ key }) => key));
    return live.filter((exam) => !found.has(exam.key) && isNamed(exam, this.#words));
  }

  /** Neither words nor a filter choose exams: the live list is the beginning of all there is. */
  get #isAsIs() {
    return this.#words === "" && this.#filter.isOff;
  }

  /** @param {string} words */
  #look(words) {
    if (words === this.#words) return;
    this.#words = words;
    this.#begin();
  }

  /** A filter that this browser remembers is looked by as soon as somebody may look. */
  resume() {
    if (!this.#isAsIs && this.#asked === 0) this.#begin();
  }

  /** Looks anew, by what is chosen now. */
  #begin() {
    this.#found = [];
    this.#hasMore = true;
    this.#problem = null;
    this.#isAsking = false;
    this.#asked += 1;
    if (this.#isAsIs) this.#changed();
    else this.#ask(null);
  }

  /** @param {string | null} before */
  async #ask(before) {
    const mine = ++this.#asked;
    this.#isAsking = true;
    this.#changed();
    try {
      const query = { search: this.#words, ...this.#filter.query(), ...(before !== null && { before }) };
      const { exams, more } = await findExams(query);
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

/** Whether each word stands in name or ID, or begins the key: as the daemon looks (`database/search.rs`). @param {Exam} exam @param {string} words */
export function isNamed({ key, patient }, words) {
  const [name, id] = [patient.name, patient.id].map((text) => text.toLowerCase());
  const named = (/** @type {string} */ word) => name.includes(word) || id.includes(word) || key.toLowerCase().startsWith(word);
  return words !== "" && words.toLowerCase().split(/\s+/).every(named);
}

/** The last exam before which the live list has all. @param {Exam[]} live */
function lastOf(live) {
  return live.slice(0, NEWEST_EXAMS).at(-1)?.key ?? null;
}
