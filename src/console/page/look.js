// Which slab is looked at: the newest while slices come, the worst afterwards, until the user moves.

import { worstSlab } from "./exams.js";

const SLABS_A_PAGE = 10;
/** One notch of a common mouse wheel; touchpads send many small steps that add up to it. */
const WHEEL_NOTCH_PX = 60;

export class Look {
  #exams;
  #changed;
  #wheel = 0;
  /** The slab that the user moved to; null follows. */
  #index = null;
  #examKey = null;

  constructor(exams, changed) {
    this.#exams = exams;
    this.#changed = changed;
  }

  get following() {
    this.#forgetOtherExam();
    return this.#index === null;
  }

  /** The slab to show, or null where there is none. */
  get slab() {
    this.#forgetOtherExam();
    const { slabs, shown, newestSlabIndex } = this.#exams;
    const chosen = this.#index === null ? null : this.#exams.slab(this.#index);
    if (chosen) return chosen;
    const newest = shown?.state === "receiving" && newestSlabIndex !== null ? this.#exams.slab(newestSlabIndex) : null;
    return newest ?? worstSlab(slabs);
  }

  follow() {
    this.#index = null;
    this.#changed();
  }

  moveTo(slab) {
    if (!slab) return;
    this.#forgetOtherExam();
    this.#index = slab.index;
    this.#changed();
  }

  moveToWorst() {
    this.moveTo(worstSlab(this.#exams.slabs));
  }

  /** Positive steps go towards the head. */
  moveBy(steps) {
    const { slabs } = this.#exams;
    const place = slabs.indexOf(this.slab);
    this.moveTo(slabs[Math.max(0, Math.min(slabs.length - 1, place + steps))]);
  }

  /** Takes a key if it means a move; answers whether it did. */
  key(name) {
    const moves = {
      ArrowRight: () => this.moveBy(1),
      ArrowUp: () => this.moveBy(1),
      ArrowLeft: () => this.moveBy(-1),
      ArrowDown: () => this.moveBy(-1),
      PageUp: () => this.moveBy(SLABS_A_PAGE),
      PageDown: () => this.moveBy(-SLABS_A_PAGE),
      Home: () => this.moveTo(this.#exams.slabs[0]),
      End: () => this.moveTo(this.#exams.slabs.at(-1)),
    };
    if (!Object.hasOwn(moves, name)) return false;
    moves[name]();
    return true;
  }

  /** Wheel down goes towards the feet. */
  wheel(event) {
    const inPixels = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL;
    this.#wheel += inPixels ? event.deltaY : Math.sign(event.deltaY) * WHEEL_NOTCH_PX;
    const notches = Math.trunc(this.#wheel / WHEEL_NOTCH_PX);
    this.#wheel -= notches * WHEEL_NOTCH_PX;
    if (notches !== 0) this.moveBy(-notches);
  }

  /** A slab chosen in one exam means nothing in the next. */
  #forgetOtherExam() {
    if (this.#exams.shownKey === this.#examKey) return;
    this.#examKey = this.#exams.shownKey;
    this.#index = null;
  }
}
