// The chart along the scan: z from the feet (left) to the head (right); above, the running score with its thresholds;
// below, lung and lesion area of each slab. It is also the slider that chooses the slice.

import { axisOf, scoreLine } from "./axis.js";
import { byId, makeSvg, setAttribute, setText, within } from "./dom.js";
import { joined, say } from "./text.js";
import { quantity } from "./words.js";

/** Kept free of numbers at the right end, for the word "head". */
const ROOM_FOR_HEAD_PX = 40;

/** @typedef {import("./axis.js").Axis} Axis */
/** @typedef {"ticks" | "lung" | "lesion" | "marks" | "limits" | "score" | "cursor"} Part */

export class Strip {
  #svg = byId("strip", SVGSVGElement);
  #parts;
  /** @type {Axis | null} */ #axis = null;
  /** @type {Slab[]} */ #slabs = [];
  #drawn = "";
  /** By exam: "up" is towards the head. @type {Map<string, "up" | "down">} */
  #directions = new Map();

  /** @param {import("./look.js").Look} look */
  constructor(look) {
    const part = (/** @type {Part} */ name) => makeSvg("g", { class: name });
    this.#parts = {
      ticks: part("ticks"), lung: part("lung"), lesion: part("lesion"), marks: part("marks"), limits: part("limits"),
      score: part("score"), cursor: part("cursor"),
    };
    this.#svg.append(...Object.values(this.#parts));
    const moveTo = (/** @type {PointerEvent} */ { pointerId, clientX }) => {
      if (this.#svg.hasPointerCapture(pointerId)) look.moveToZ(this.#zAt(clientX));
    };
    this.#svg.addEventListener("pointerdown", (event) => {
      this.#svg.setPointerCapture(event.pointerId);
      moveTo(event);
    });
    this.#svg.addEventListener("pointermove", moveTo);
  }

  /**
   * `slice` is the one that is looked at, and `slab` the one that it is part of; either may be null.
   * @param {Exam} exam @param {import("./exams.js").Exams} exams @param {Slice | null} slice @param {Slab | null} slab
   */
  show(exam, { slabs, slabsVersion, newestSlabIndex }, slice, slab) {
    const { clientWidth: width, clientHeight: height } = this.#svg;
    const { early, suspected } = exam.threshold;
    const drawing = [exam.key, exam.state, slabsVersion, width, height, early, suspected].join();
    if (drawing !== this.#drawn) {
      this.#drawn = drawing;
      this.#slabs = slabs;
      const direction = exam.state === "receiving" ? this.#direction(exam.key, newestSlabIndex) : null;
      this.#axis = axisOf(slabs, direction, width, height);
      this.#draw(this.#axis, exam.threshold);
    }
    this.#showCursor(slice, slab);
  }

  /** Which way the scan goes, by the end at which a slab first comes; null until it can be known. @param {string} key @param {number | null} newestSlabIndex */
  #direction(key, newestSlabIndex) {
    const place = this.#slabs.findIndex(({ index }) => index === newestSlabIndex);
    if (!this.#directions.has(key) && place >= 0 && this.#slabs.length > 2) {
      this.#directions.set(key, place > this.#slabs.length / 2 ? "up" : "down");
    }
    return this.#directions.get(key) ?? null;
  }

  /** @param {Axis} axis @param {Exam["threshold"]} threshold */
  #draw(axis, threshold) {
    const { width, height } = axis;
    setAttribute(this.#svg, "viewBox", `0 0 ${Math.max(1, width)} ${Math.max(1, height)}`);
    setAttribute(this.#svg, "data-slabs", this.#slabs.length);
    this.#drawTicks(axis);
    this.#drawLimits(axis, threshold);
    this.#drawAreas(axis);
    this.#drawPath("score", scoreLine(this.#slabs, axis));
  }

  /** @param {Part} part @param {string} d */
  #drawPath(part, d) {
    const group = this.#parts[part];
    if (!group.firstElementChild) group.append(makeSvg("path"));
    setAttribute(within(group, "path", SVGPathElement), "d", d);
  }

  /** @param {Axis} axis */
  #drawAreas(axis) {
    const { areaY, bottom } = axis;
    this.#drawPath("lung", this.#bars(axis, ({ lung_cm2: area }) => [areaY(area), bottom]));
    this.#drawPath("lesion", this.#bars(axis, ({ lesion_cm2: area }) => [areaY(area), bottom]));
    this.#drawPath("marks", this.#bars(axis, ({ lesion_cm2: area }) => (area > 0 ? [bottom + 1, bottom + 5] : null)));
  }

  /** @param {Axis} axis @param {(slab: Slab) => [number, number] | null} rangeOf */
  #bars({ x, spacing }, rangeOf) {
    const bar = (/** @type {Slab} */ slab) => {
      const range = rangeOf(slab);
      if (!range) return "";
      const [low, high] = [x(slab.z_mm - spacing / 2), x(slab.z_mm + spacing / 2)];
      return `M${low} ${range[0]}H${high}V${range[1]}H${low}Z`;
    };
    return this.#slabs.map(bar).join("");
  }

  /** @param {Axis} axis */
  #drawTicks(axis) {
    const { low, high, tick, x, width, right, height, areaY, areaMax, left, bottom, scoreY } = axis;
    const beside = (/** @type {number} */ y, /** @type {string} */ text) => label(left - 6, y, text, "end");
    const below = (/** @type {number} */ pixel, /** @type {string} */ text, /** @type {string} */ anchor) => label(pixel, height - 3, text, anchor);
    const ticks = [];
    for (let z = Math.ceil(low / tick) * tick; z <= high && x(z) < right - ROOM_FOR_HEAD_PX; z += tick) {
      ticks.push(below(x(z), quantity(z, 0), "middle"));
    }
    this.#parts.ticks.replaceChildren(
      ...ticks,
      below(2, say("along.feet"), "start"),
      below(width - 2, say("along.head"), "end"),
      beside(scoreY(1) + 9, "1"),
      beside(scoreY(0), "0"),
      beside(areaY(areaMax) + 11, String(areaMax)),
      beside(bottom, "cm²"),
      levelAt(axis, scoreY(0)),
      levelAt(axis, bottom),
    );
  }

  /** @param {Axis} axis @param {Exam["threshold"]} threshold */
  #drawLimits(axis, { early, suspected }) {
    const { scoreY, right } = axis;
    const [above, below] = [-4, 12];
    const limit = (/** @type {number} */ score, /** @type {string} */ name, /** @type {number} */ offset) => {
      const words = label(right, scoreY(score) + offset, say(name, { score: quantity(score, 2) }), "end");
      return [levelAt(axis, scoreY(score)), words];
    };
    this.#parts.limits.replaceChildren(
      ...limit(early, "along.early_flag", early > suspected ? above : below),
      ...limit(suspected, "along.suspected", early > suspected ? below : above),
    );
  }

  /** @param {Slice | null} slice @param {Slab | null} slab */
  #showCursor(slice, slab) {
    setAttribute(this.#svg, "aria-valuemin", zOf(this.#slabs[0]));
    setAttribute(this.#svg, "aria-valuemax", zOf(this.#slabs.at(-1)));
    setAttribute(this.#svg, "aria-valuenow", zOf(slice));
    setAttribute(this.#svg, "aria-valuetext", slice ? wordsOf(slice, slab) : say("along.no_slice"));
    if (!slice || !this.#axis) return this.#drawPath("cursor", "");
    const { x, top, bottom } = this.#axis;
    const at = x(slice.z_mm);
    this.#drawPath("cursor", `M${at} ${top}V${bottom + 5}M${at - 6} ${top - 7}h12l-6 8z`);
  }

  /** @param {number} clientX */
  #zAt(clientX) {
    return this.#axis ? this.#axis.zAt(clientX - this.#svg.getBoundingClientRect().left) : 0;
  }
}

/** @param {Axis} axis @param {number} y */
function levelAt({ left, right }, y) {
  return makeSvg("path", { d: `M${left} ${y}H${right}` });
}

const zOf = (/** @type {{ z_mm: number } | null | undefined} */ at) => at?.z_mm ?? 0;

/** @param {Slice} slice @param {Slab | null} slab */
function wordsOf(slice, slab) {
  const lesion = slab && say("viewer.lesion_area", { area: quantity(slab.lesion_cm2, 1, "cm²") });
  return joined("comma", [`z ${quantity(slice.z_mm, 1, "mm")}`, lesion]);
}

/** @param {number} x @param {number} y @param {string} text @param {string} anchor */
function label(x, y, text, anchor) {
  const node = makeSvg("text", { x, y, "text-anchor": anchor });
  setText(node, text);
  return node;
}
