// The geometry of the chart along the scan. Pure: slabs and pixels in, scales and paths out.

/** While slices come the axis is at least a chest long, so that it fills instead of shrinking. */
const CHEST_MM = 300;
const TICKS_MM = [10, 20, 50, 100, 200];
const TICK_APART_PX = 60;
/** A slab further than this many spacings from the last is not joined to it: something is missing between. */
const JOINED_SPACINGS = 1.5;
const MARGIN = { left: 44, right: 12, top: 8, bottom: 20 };
/** The upper pane's part of the height. */
const SCORE_SHARE = 0.46;
const BETWEEN_PANES = 10;
/** The area axis ends at a multiple of this, and shows at least twice as much. */
const AREA_STEP_CM2 = 50;

/** @typedef {ReturnType<typeof axisOf>} Axis */

/**
 * Where things are in a chart of `width` by `height` pixels. `direction` is that of a scan that goes on ("up", "down"
 * or, not yet known, null), null too for one that is over.
 * @param {Slab[]} slabs @param {"up" | "down" | null} direction @param {number} width @param {number} height
 */
export function axisOf(slabs, direction, width, height) {
  const spacing = spacingOf(slabs);
  const [low, high] = rangeOf(slabs, spacing, direction);
  const [left, right] = [MARGIN.left, width - MARGIN.right];
  const [top, bottom] = [MARGIN.top, height - MARGIN.bottom];
  const scoreBottom = top + (bottom - top) * SCORE_SHARE;
  const areaTop = scoreBottom + BETWEEN_PANES;
  const areaMax = areaMaxOf(slabs);
  const scale = (right - left) / (high - low);
  const tick = TICKS_MM.find((step) => step * scale >= TICK_APART_PX) ?? TICKS_MM[TICKS_MM.length - 1];
  return {
    low, high, spacing, tick, width, height, left, right, top, bottom, areaMax,
    x: (/** @type {number} */ z) => rounded(left + (z - low) * scale),
    zAt: (/** @type {number} */ pixel) => low + (pixel - left) / scale,
    scoreY: (/** @type {number} */ score) => rounded(scoreBottom - (scoreBottom - top) * score),
    areaY: (/** @type {number} */ area) => rounded(bottom - (bottom - areaTop) * (area / areaMax)),
  };
}

/** @param {Slab[]} slabs */
function areaMaxOf(slabs) {
  const largest = Math.max(0, ...slabs.map((slab) => slab.lung_cm2));
  return Math.max(2, Math.ceil(largest / AREA_STEP_CM2)) * AREA_STEP_CM2;
}

const rounded = (/** @type {number} */ pixels) => Math.round(pixels * 10) / 10;

/** The usual step between neighbours: gaps are wider than that and stay empty. The outermost slabs, cut by the scan, step less. @param {Slab[]} slabs */
function spacingOf(slabs) {
  const steps = slabs.slice(1).map((slab, place) => slab.z_mm - slabs[place].z_mm).filter((step) => step > 0);
  steps.sort((one, other) => one - other);
  return steps[Math.floor(steps.length / 2)] ?? 1;
}

/** @param {Slab[]} slabs @param {number} spacing @param {"up" | "down" | null} direction @returns {[number, number]} */
function rangeOf(slabs, spacing, direction) {
  if (slabs.length === 0) return [0, CHEST_MM];
  const low = slabs[0].z_mm - spacing / 2;
  const high = slabs[slabs.length - 1].z_mm + spacing / 2;
  const toCome = Math.max(0, CHEST_MM - (high - low));
  if (direction === "up") return [low, high + toCome];
  if (direction === "down") return [low - toCome, high];
  return [low, high];
}

/** The running score as a path, broken where slabs are missing or have no score. @param {Slab[]} slabs @param {Axis} axis */
export function scoreLine(slabs, { x, scoreY, spacing }) {
  const scored = slabs.flatMap(({ score, z_mm }) => (score === null ? [] : [{ score, z_mm }]));
  return scored.map((slab, place) => {
    const joined = place > 0 && slab.z_mm - scored[place - 1].z_mm < spacing * JOINED_SPACINGS;
    return `${joined ? "L" : "M"}${x(slab.z_mm)} ${scoreY(slab.score)}`;
  }).join("");
}
