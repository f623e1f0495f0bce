// Which slice is looked at: that of the newest slab while slices come, of the worst afterwards, until the user moves.

import { worstSlab } from "./exams.js";
import { nearestTo } from "./viewer-geometry.js";

const SLICES_A_PAGE = 10;

export class Look {
  #exams;
  #stack;
  #changed;
  /** Where the user moved to; null follows. @type {{ sop_instance_uid: string, frame_number: number | null, z_mm: number } | null} */
  #at = null;
  /** @type {string | null} */
  #examKey = null;

  /**
   * @param {import("./exams.js").Exams} exams
   * @param {import("./stack.js").Stack} stack
   * @param {() => void} changed
   */
  constructor(exams, stack, changed) {
    this.#exams = exams;
    this.#stack = stack;
    this.#changed = changed;
  }

  get following() {
    this.#forgetOtherExam();
    return this.#at === null;
  }

  /** The number of the slice to show among those of its series; -1 where there is none. */
  get place() {
    this.#forgetOtherExam();
    const { slices } = this.#stack;
    const at = this.#at;
    if (at === null) return this.#followed();
    const same = slices.findIndex((slice) => {
      return slice.sop_instance_uid === at.sop_instance_uid && slice.frame_number === at.frame_number;
    });
    // Another series, or one that was corrected: what lies nearest.
    return same >= 0 ? same : nearestTo(slices, at.z_mm);
  }

  /** The slice to show, or null where there is none. @returns {Slice | null} */
  get slice() {
    return this.#stack.slices[this.place] ?? null;
  }

  /** The judged slab that the slice was summed into. @returns {Slab | null} */
  get slab() {
    const slab = this.slice?.slab ?? null;
    return slab === null ? null : this.#exams.slab(slab);
  }

  #followed() {
    const { slabs, shown, newestSlabIndex } = this.#exams;
    const { slices } = this.#stack;
    const newest = shown?.state === "receiving" && newestSlabIndex !== null ? this.#exams.slab(newestSlabIndex) : null;
    const slab = newest ?? worstSlab(slabs);
    if (slab) return nearestTo(slices, slab.z_mm);
    // Nothing is judged yet: the image that the scanner made last.
    const number = (/** @type {Slice} */ slice) => slice.instance_number ?? 0;
    return slices.reduce((last, slice, at) => (last < 0 || number(slice) > number(slices[last]) ? at : last), -1);
  }

  follow() {
    this.#at = null;
    this.#changed();
  }

  /** @param {number} place */
  moveTo(place) {
    const { slices } = this.#stack;
    const slice = slices[Math.max(0, Math.min(slices.length - 1, place))];
    if (!slice) return;
    this.#forgetOtherExam();
    this.#at = slice;
    this.#changed();
  }

  /** To the slice that lies nearest. @param {number} z mm */
  moveToZ(z) {
    this.moveTo(nearestTo(this.#stack.slices, z));
  }

  moveToWorst() {
    const worst = worstSlab(this.#exams.slabs);
    if (worst) this.moveToZ(worst.z_mm);
  }

  /** Positive steps go towards the head. @param {number} steps */
  moveBy(steps) {
    if (steps !== 0) this.moveTo(this.place + steps);
  }

  /** Takes a key if it means a move; answers whether it did. @param {string} name */
  key(name) {
    /** @type {Record<string, () => void>} */
    const moves = {
      ArrowRight: () => this.moveBy(1),
      ArrowUp: () => this.moveBy(1),
      ArrowLeft: () => this.moveBy(-1),
      ArrowDown: () => this.moveBy(-1),
      PageUp: () => this.moveBy(SLICES_A_PAGE),
      PageDown: () => this.moveBy(-SLICES_A_PAGE),
      Home: () => this.moveTo(0),
      End: () => this.moveTo(this.#stack.slices.length - 1),
    };
    if (!Object.hasOwn(moves, name)) return false;
    moves[name]();
    return true;
  }

  /** A slice chosen in one exam means nothing in the next. */
  #forgetOtherExam() {
    if (this.#exams.shownKey === this.#examKey) return;
    this.#examKey = this.#exams.shownKey;
    this.#at = null;
  }
}
