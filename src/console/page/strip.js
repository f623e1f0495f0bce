// The chart along the scan: z from the feet (left) to the head (right); above, the running score with its thresholds;
// below, lung and lesion area of each slab. It is also the slider that chooses the slab.

import { axisOf, scoreLine } from "./axis.js";
import { byId, makeSvg, setAttribute, setText } from "./dom.js";
import { quantity } from "./words.js";

/** Kept free of numbers at the right end, for the word "head". */
const ROOM_FOR_HEAD_PX = 40;

export class Strip {
  #svg = byId("strip");
  #parts = {};
  #axis = null;
  #slabs = [];
  #drawn = "";
  #directions = new Map(); // exam key -> "up" (towards the head) or "down"

  constructor(look) {
    const names = ["ticks", "lung", "lesion", "marks", "limits", "score", "cursor"];
    for (const name of names) this.#parts[name] = makeSvg("g", { class: name });
    this.#svg.append(...Object.values(this.#parts));
    const moveTo = ({ pointerId, clientX }) => {
      if (this.#svg.hasPointerCapture(pointerId)) look.moveTo(this.#nearest(clientX));
    };
    this.#svg.addEventListener("pointerdown", (event) => {
      this.#svg.setPointerCapture(event.pointerId);
      moveTo(event);
    });
    this.#svg.addEventListener("pointermove", moveTo);
  }

  show(exam, { slabs, slabsVersion, newestSlabIndex }, slab) {
    const { clientWidth: width, clientHeight: height } = this.#svg;
    const { early, suspected } = exam.threshold;
    const drawing = [exam.key, exam.state, slabsVersion, width, height, early, suspected].join();
    if (drawing !== this.#drawn) {
      this.#drawn = drawing;
      this.#slabs = slabs;
      const direction = exam.state === "receiving" ? this.#direction(exam.key, newestSlabIndex) : null;
      this.#axis = axisOf(slabs, direction, width, height);
      this.#draw(exam.threshold);
    }
    this.#showCursor(slab);
  }

  /** Which way the scan goes, by the end at which a slab first comes; null until it can be known. */
  #direction(key, newestSlabIndex) {
    const place = this.#slabs.findIndex(({ index }) => index === newestSlabIndex);
    if (!this.#directions.has(key) && place >= 0 && this.#slabs.length > 2) {
      this.#directions.set(key, place > this.#slabs.length / 2 ? "up" : "down");
    }
    return this.#directions.get(key) ?? null;
  }

  #draw(threshold) {
    const { width, height } = this.#axis;
    setAttribute(this.#svg, "viewBox", `0 0 ${Math.max(1, width)} ${Math.max(1, height)}`);
    setAttribute(this.#svg, "data-slabs", this.#slabs.length);
    this.#drawTicks();
    this.#drawLimits(threshold);
    this.#drawAreas();
    this.#drawPath("score", scoreLine(this.#slabs, this.#axis));
  }

  #drawPath(part, d) {
    const group = this.#parts[part];
    if (!group.firstElementChild) group.append(makeSvg("path"));
    setAttribute(group.firstElementChild, "d", d);
  }

  #drawAreas() {
    const { areaY, bottom } = this.#axis;
    this.#drawPath("lung", this.#bars(({ lung_cm2: area }) => [areaY(area), bottom]));
    this.#drawPath("lesion", this.#bars(({ lesion_cm2: area }) => [areaY(area), bottom]));
    this.#drawPath("marks", this.#bars(({ lesion_cm2: area }) => (area > 0 ? [bottom + 1, bottom + 5] : null)));
  }

  #bars(rangeOf) {
    const { x, spacing } = this.#axis;
    const bar = (slab) => {
      const range = rangeOf(slab);
      if (!range) return "";
      const [low, high] = [x(slab.z_mm - spacing / 2), x(slab.z_mm + spacing / 2)];
      return `M${low} ${range[0]}H${high}V${range[1]}H${low}Z`;
    };
    return this.#slabs.map(bar).join("");
  }

  #drawTicks() {
    const { low, high, tick, x, width, right, height, areaY, areaMax, left, bottom, scoreY } = this.#axis;
    const beside = (y, text) => label(left - 6, y, text, "end");
    const below = (pixel, text, anchor) => label(pixel, height - 3, text, anchor);
    const ticks = [];
    for (let z = Math.ceil(low / tick) * tick; z <= high && x(z) < right - ROOM_FOR_HEAD_PX; z += tick) {
      ticks.push(below(x(z), quantity(z, 0), "middle"));
    }
    this.#parts.ticks.replaceChildren(
      ...ticks,
      below(2, "feet", "start"),
      below(width - 2, "head", "end"),
      beside(scoreY(1) + 9, "1"),
      beside(scoreY(0), "0"),
      beside(areaY(areaMax) + 11, String(areaMax)),
      beside(bottom, "cm²"),
      this.#level(scoreY(0)),
      this.#level(bottom),
    );
  }

  #drawLimits({ early, suspected }) {
    const { scoreY, right } = this.#axis;
    const [above, below] = [-4, 12];
    const limit = (score, name, offset) => {
      const words = label(right, scoreY(score) + offset, `${name} ${quantity(score, 2)}`, "end");
      return [this.#level(scoreY(score)), words];
    };
    this.#parts.limits.replaceChildren(
      ...limit(early, "early flag", early > suspected ? above : below),
      ...limit(suspected, "suspected", early > suspected ? below : above),
    );
  }

  #level(y) {
    return makeSvg("path", { d: `M${this.#axis.left} ${y}H${this.#axis.right}` });
  }

  #showCursor(slab) {
    setAttribute(this.#svg, "aria-valuemin", zOf(this.#slabs[0]));
    setAttribute(this.#svg, "aria-valuemax", zOf(this.#slabs.at(-1)));
    setAttribute(this.#svg, "aria-valuenow", zOf(slab));
    setAttribute(this.#svg, "aria-valuetext", slab ? wordsOf(slab) : "no slab");
    if (!slab || !this.#axis) return this.#drawPath("cursor", "");
    const { x, top, bottom } = this.#axis;
    const at = x(slab.z_mm);
    this.#drawPath("cursor", `M${at} ${top}V${bottom + 5}M${at - 6} ${top - 7}h12l-6 8z`);
  }

  #nearest(clientX) {
    if (!this.#axis || this.#slabs.length === 0) return null;
    const z = this.#axis.zAt(clientX - this.#svg.getBoundingClientRect().left);
    const nearer = (one, other) => (Math.abs(other.z_mm - z) < Math.abs(one.z_mm - z) ? other : one);
    return this.#slabs.reduce(nearer);
  }
}

const zOf = (slab) => slab?.z_mm ?? 0;

const wordsOf = (slab) => `z ${quantity(slab.z_mm, 1, "mm")}, lesion ${quantity(slab.lesion_cm2, 1, "cm²")}`;

function label(x, y, text, anchor) {
  const node = makeSvg("text", { x, y, "text-anchor": anchor });
  setText(node, text);
  return node;
}
