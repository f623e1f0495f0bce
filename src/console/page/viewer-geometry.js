// Where things are: from the patient to a slice's pixels and from these to the screen. Pure.
//
// A place on a slice is given in pixel corners: the first pixel reaches from 0 to 1, its centre is at 0.5.

/** @typedef {[number, number]} Point */
/** What part of a slice is seen: how much larger than the whole, and the place in the middle. @typedef {{ zoom: number, middle: Point }} View */

const LARGEST_ZOOM = 24;

/** @param {Grid} grid @returns {View} */
export const wholeOf = (grid) => ({ zoom: 1, middle: [grid.columns / 2, grid.rows / 2] });

/**
 * Screen pixels of a column and of a row: pixels of a slice need not be square.
 * @param {View} view @param {Grid} grid @param {Point} size of the screen, px
 * @returns {Point}
 */
export function scaleOf({ zoom }, grid, [width, height]) {
  const [betweenRows, betweenColumns] = grid.spacing_mm;
  const perMm = zoom * Math.min(width / (grid.columns * betweenColumns), height / (grid.rows * betweenRows));
  return [perMm * betweenColumns, perMm * betweenRows];
}

/** @param {View} view @param {Grid} grid @param {Point} size @param {Point} place @returns {Point} */
export function toScreen(view, grid, size, [column, row]) {
  const [acrossPx, downPx] = scaleOf(view, grid, size);
  return [(column - view.middle[0]) * acrossPx + size[0] / 2, (row - view.middle[1]) * downPx + size[1] / 2];
}

/** @param {View} view @param {Grid} grid @param {Point} size @param {Point} point @returns {Point} */
export function toSlice(view, grid, size, [x, y]) {
  const [acrossPx, downPx] = scaleOf(view, grid, size);
  return [(x - size[0] / 2) / acrossPx + view.middle[0], (y - size[1] / 2) / downPx + view.middle[1]];
}

/**
 * Larger or smaller, with what lies under a point of the screen staying there.
 * @param {View} view @param {Grid} grid @param {Point} size @param {number} factor @param {Point} point
 * @returns {View}
 */
export function zoomedAt(view, grid, size, factor, point) {
  const zoom = Math.min(LARGEST_ZOOM, Math.max(1, view.zoom * factor));
  if (zoom === 1) return wholeOf(grid);
  const place = toSlice(view, grid, size, point);
  const there = toSlice({ ...view, zoom }, grid, size, point);
  return heldOn(grid, { zoom, middle: [view.middle[0] + place[0] - there[0], view.middle[1] + place[1] - there[1]] });
}

/** @param {View} view @param {Grid} grid @param {Point} size @param {Point} by px @returns {View} */
export function movedBy(view, grid, size, [right, down]) {
  if (view.zoom === 1) return view;
  const [acrossPx, downPx] = scaleOf(view, grid, size);
  return heldOn(grid, { ...view, middle: [view.middle[0] - right / acrossPx, view.middle[1] - down / downPx] });
}

/** @param {Grid} grid @param {View} view @returns {View} the middle of the screen stays on the slice */
function heldOn(grid, { zoom, middle: [column, row] }) {
  const within = (/** @type {number} */ at, /** @type {number} */ end) => Math.min(end, Math.max(0, at));
  return { zoom, middle: [within(column, grid.columns), within(row, grid.rows)] };
}

/**
 * From corners of a slab's outlines to the screen, as a canvas wants it.
 * @param {View} view @param {Grid} grid @param {Point} size @param {number[]} fromPlane
 * @returns {[number, number, number, number, number, number]}
 */
export function outlinesToScreen(view, grid, size, [a, b, c, d, e, f]) {
  const [acrossPx, downPx] = scaleOf(view, grid, size);
  const [x, y] = toScreen(view, grid, size, [e, f]);
  return [a * acrossPx, b * downPx, c * acrossPx, d * downPx, x, y];
}

/** @typedef {[number, number, number, number]} Box left, top, right, bottom */

/** The boxes about outlines on the screen. @param {Outline[]} outlines @param {number[]} toScreen @returns {Box[]} */
export function boxesOf(outlines, [a, b, c, d, e, f]) {
  return outlines.map((points) => {
    const across = points.map(([x, y]) => a * x + c * y + e);
    const down = points.map(([x, y]) => b * x + d * y + f);
    return [Math.min(...across), Math.min(...down), Math.max(...across), Math.max(...down)];
  });
}

/** The box that lies nearest to a point; null where there is none. @param {Box[]} boxes @param {Point} point @returns {Box | null} */
export function nearestBox(boxes, [x, y]) {
  const away = (/** @type {Box} */ [left, top, right, bottom]) => {
    return Math.hypot(Math.max(left - x, 0, x - right), Math.max(top - y, 0, y - bottom));
  };
  return boxes.reduce((/** @type {Box | null} */ nearest, box) => (nearest && away(nearest) <= away(box) ? nearest : box), null);
}

/**
 * The place on a slice of a point of the patient.
 * @param {Grid} grid @param {Slice} slice @param {number[]} lps mm
 * @returns {Point}
 */
export function placeOf(grid, slice, lps) {
  const from = lps.map((mm, axis) => mm - slice.position_mm[axis]);
  const along = (/** @type {number} */ first) => from.reduce((sum, mm, axis) => sum + mm * grid.orientation[first + axis], 0);
  return [along(0) / grid.spacing_mm[1] + 0.5, along(3) / grid.spacing_mm[0] + 0.5];
}

const AHEAD = ["L", "P", "H"];
const BEHIND = ["R", "A", "F"];

/**
 * Which side of the patient lies at each edge of the screen.
 * @param {number[]} orientation
 */
export function sidesOf(orientation) {
  const side = (/** @type {number[]} */ direction, /** @type {number} */ sign) => {
    const axis = direction.reduce((most, part, at) => (Math.abs(part) > Math.abs(direction[most]) ? at : most), 0);
    return (sign * direction[axis] > 0 ? AHEAD : BEHIND)[axis];
  };
  const [across, down] = [orientation.slice(0, 3), orientation.slice(3, 6)];
  return { right: side(across, 1), left: side(across, -1), bottom: side(down, 1), top: side(down, -1) };
}

/**
 * The number of the slice that lies nearest; -1 where there is none.
 * @param {{ z_mm: number }[]} slices @param {number} z mm
 */
export function nearestTo(slices, z) {
  let nearest = -1;
  slices.forEach((slice, at) => {
    if (nearest < 0 || Math.abs(slice.z_mm - z) < Math.abs(slices[nearest].z_mm - z)) nearest = at;
  });
  return nearest;
}
