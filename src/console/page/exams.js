// What the console knows: the exams, and the slabs and report of the one that is shown.
//
// An answer to a request may be older than an event that came while it was under way. So every event is numbered, and
// an answer never replaces what arrived after its question was asked.

export class Exams {
  /** By key. @type {Map<string, { exam: Exam, at: number }>} */
  #exams = new Map();
  /** Of the shown exam, by index. @type {Map<number, { slab: Slab, at: number }>} */
  #slabs = new Map();
  /** The exams, newest first. @type {Exam[]} */
  #list = [];
  /** z ascending. @type {Slab[]} */
  #sortedSlabs = [];
  /** Exams of the database that were asked for, newest first, by key. @type {Map<string, Exam>} */
  #found = new Map();
  #now = 0;
  /** @type {string | null} */ #loadedKey = null;

  /** The exam that the user chose; null follows the newest. @type {string | null} */
  chosenKey = null;
  /** @type {Report | null} */ report = null;
  /** The slab that came last by event; null until one has come. @type {number | null} */
  newestSlabIndex = null;
  /** Counts changes of the slabs, for views that redraw only then. */
  slabsVersion = 0;

  /** The moment to hand to `takeAll` and `takeDetails` with the answer to a question asked now. */
  get now() {
    return this.#now;
  }

  /** Newest first. */
  get list() {
    return this.#list;
  }

  /** The newest exam that is being received, else the newest. */
  get newestKey() {
    return (this.#list.find((exam) => exam.state === "receiving") ?? this.#list[0])?.key ?? null;
  }

  /** The exam that is being received; null while there is none. */
  get tableKey() {
    return this.#list.find((exam) => exam.state === "receiving" && !exam.waiting)?.key ?? null;
  }

  get shownKey() {
    return this.chosenKey ?? this.newestKey;
  }

  get shown() {
    const key = this.shownKey ?? "";
    return this.#exams.get(key)?.exam ?? this.#found.get(key) ?? null;
  }

  /** Slabs of the shown exam, z ascending. */
  get slabs() {
    return this.#sortedSlabs;
  }

  /** Names the difference between the slabs that the exam says it has and those that came; "" where there is none. */
  get gap() {
    const [told, came] = [this.shown?.slabs ?? 0, this.#slabs.size];
    return told === came ? "" : `${this.shownKey} ${told} ${came}`;
  }

  /** @param {number} index */
  slab(index) {
    return this.#slabs.get(index)?.slab ?? null;
  }

  /** Whether the shown exam's details have been asked for. */
  get detailsBelong() {
    return this.#loadedKey === this.shownKey;
  }

  /** @param {Exam} exam */
  takeExam(exam) {
    this.#exams.set(exam.key, { exam, at: ++this.#now });
    this.#examsChanged();
  }

  /** Takes from the answer who acknowledged the flag and nothing else: the rest may be older than what is known. @param {Exam} answer @param {string} flagId */
  takeAcknowledgement(answer, flagId) {
    const known = this.#exams.get(answer.key)?.exam;
    const acknowledged = answer.flags.find(({ id }) => id === flagId)?.acknowledged;
    if (!known || !acknowledged) return;
    const flags = known.flags.map((flag) => (flag.id === flagId ? { ...flag, acknowledged } : flag));
    this.takeExam({ ...known, flags });
  }

  /** @param {string} key @param {Slab} slab */
  takeSlab(key, slab) {
    const at = ++this.#now;
    if (key !== this.#loadedKey) return;
    this.#slabs.set(slab.index, { slab, at });
    this.newestSlabIndex = slab.index;
    this.#slabsChanged();
  }

  /** @param {Exam[]} exams @param {number} askedAt */
  takeAll(exams, askedAt) {
    const since = [...this.#exams].filter(([, { at }]) => at > askedAt);
    this.#exams = new Map(exams.map((exam) => [exam.key, { exam, at: askedAt }]));
    for (const [key, known] of since) this.#exams.set(key, known);
    if (!this.#exams.has(this.chosenKey ?? "") && !this.#found.has(this.chosenKey ?? "")) this.chosenKey = null;
    this.#examsChanged();
  }

  /** Exams of the database: they can be chosen, and what is told of them counts more. @param {Exam[]} exams */
  takeFound(exams) {
    this.#found = new Map(exams.map((exam) => [exam.key, exam]));
  }

  /** Forgets the details of the exam shown before; slabs that come from now on belong to `key`. @param {string | null} key */
  expectDetails(key) {
    if (key === this.#loadedKey) return;
    this.#loadedKey = key;
    this.#slabs = new Map();
    this.report = null;
    this.newestSlabIndex = null;
    this.#slabsChanged();
  }

  /** @param {{ exam: Exam, slabs: Slab[], report: Report | null }} details @param {number} askedAt */
  takeDetails({ exam, slabs, report }, askedAt) {
    if (exam.key !== this.#loadedKey) return;
    if (!((this.#exams.get(exam.key)?.at ?? 0) > askedAt)) this.#exams.set(exam.key, { exam, at: askedAt });
    this.#examsChanged();
    const since = [...this.#slabs].filter(([, { at }]) => at > askedAt);
    this.#slabs = new Map(slabs.map((slab) => [slab.index, { slab, at: askedAt }]));
    for (const [index, known] of since) this.#slabs.set(index, known);
    this.report = report;
    this.#slabsChanged();
  }

  #examsChanged() {
    this.#list = [...this.#exams.values()].map(({ exam }) => exam).sort(newestFirst);
  }

  #slabsChanged() {
    this.#sortedSlabs = [...this.#slabs.values()].map(({ slab }) => slab).sort((one, other) => one.z_mm - other.z_mm);
    this.slabsVersion += 1;
  }
}

/** As the daemon lists them. @param {Exam} one @param {Exam} other */
export function newestFirst(one, other) {
  const [first, second] = [exactTime(other.started), exactTime(one.started)];
  return first === second ? (one.key < other.key ? -1 : 1) : first < second ? -1 : 1;
}

/** A time of the API as text that sorts as time does: with all nine digits of its second, where a Date knows three. @param {string} time */
export function exactTime(time) {
  return time.replace(/(?:\.(\d*))?Z$/, (_, digits = "") => `.${digits.padEnd(9, "0")}Z`);
}

/** The slab to look at first: the largest lesion area; where there is none, the highest logit. @param {Slab[]} slabs @returns {Slab | null} */
export function worstSlab(slabs) {
  const worse = (/** @type {Slab} */ one, /** @type {Slab} */ other) => (other.lesion_cm2 - one.lesion_cm2 || other.logit - one.logit) > 0 ? other : one;
  return slabs.length === 0 ? null : slabs.reduce(worse);
}
