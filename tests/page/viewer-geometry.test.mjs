import assert from "node:assert/strict";
import { test } from "node:test";

import {
  boxesOf, movedBy, nearestBox, nearestTo, outlinesToScreen, placeOf, scaleOf, sidesOf, toScreen, toSlice, wholeOf, zoomedAt,
} from "../../src/console/page/viewer-geometry.js";

const grid = { rows: 400, columns: 500, spacing_mm: [1, 0.8], orientation: [1, 0, 0, 0, 1, 0] };
const size = [600, 500];

const near = (one, other, what) => one.forEach((value, at) => assert.ok(Math.abs(value - other[at]) < 1e-6, `${what}: ${one} ${other}`));

test("the whole slice fits the screen in its true proportions, whatever the shape of its pixels", () => {
  const view = wholeOf(grid);
  assert.deepEqual(scaleOf(view, grid, size), [1, 1.25], "400 mm on 500 px");
  near(toScreen(view, grid, size, [0, 0]), [50, 0], "the first corner");
  near(toScreen(view, grid, size, [500, 400]), [550, 500], "the last corner");
});

test("what lies under the mouse stays there when the slice is enlarged, and screen and slice agree", () => {
  let view = wholeOf(grid);
  const point = [430, 120];
  const before = toSlice(view, grid, size, point);
  for (const factor of [1.25, 3, 0.7]) view = zoomedAt(view, grid, size, factor, point);
  near(toSlice(view, grid, size, point), before, "under the mouse");
  near(toScreen(view, grid, size, toSlice(view, grid, size, [17, 333])), [17, 333], "there and back");
});

test("a slice is never smaller than the screen, nor moved off it", () => {
  assert.deepEqual(zoomedAt({ zoom: 2, middle: [10, 10] }, grid, size, 0.1, [0, 0]), wholeOf(grid));
  assert.ok(zoomedAt(wholeOf(grid), grid, size, 1e9, [300, 250]).zoom < 100);
  assert.deepEqual(movedBy(wholeOf(grid), grid, size, [50, 50]), wholeOf(grid), "the whole slice has its place");
  assert.deepEqual(movedBy({ zoom: 2, middle: [250, 200] }, grid, size, [-20, 25]).middle, [260, 190]);
  assert.deepEqual(movedBy({ zoom: 2, middle: [250, 200] }, grid, size, [9e9, -9e9]).middle, [0, 400]);
});

test("outlines go the same way to the screen as the pixels that they enclose", () => {
  const fromPlane = [1.5, 0, 0, 1.2, 7, -3];
  const view = zoomedAt(wholeOf(grid), grid, size, 2, [100, 100]);
  const [a, b, c, d, e, f] = outlinesToScreen(view, grid, size, fromPlane);
  for (const [x, y] of [[0, 0], [100, 40], [256, 256]]) {
    near([a * x + c * y + e, b * x + d * y + f], toScreen(view, grid, size, [1.5 * x + 7, 1.2 * y - 3]), `${x} ${y}`);
  }
});

test("a lesion is framed by the outline that lies nearest to its centre", () => {
  const boxes = boxesOf([[[0, 0], [10, 0], [10, 5]], [[20, 20], [30, 40]]], [2, 0, 0, 2, 100, 0]);
  assert.deepEqual(boxes, [[100, 0, 120, 10], [140, 40, 160, 80]]);
  assert.deepEqual(nearestBox(boxes, [150, 30]), boxes[1]);
  assert.deepEqual(nearestBox(boxes, [110, 4]), boxes[0]);
  assert.equal(nearestBox([], [0, 0]), null);
});

test("a point of the patient has its place on the slice, however that lies", () => {
  const slice = { position_mm: [-200, -150, 30] };
  near(placeOf(grid, slice, [-200, -150, 30]), [0.5, 0.5], "the first pixel's centre");
  near(placeOf(grid, slice, [0, 50, 30]), [250.5, 200.5], "supine");
  const prone = { ...grid, orientation: [-1, 0, 0, 0, -1, 0] };
  near(placeOf(prone, { position_mm: [200, 150, 30] }, [0, 50, 30]), [250.5, 100.5], "prone");
});

test("the edges are called by the side of the patient that lies there", () => {
  assert.deepEqual(sidesOf([1, 0, 0, 0, 1, 0]), { left: "R", right: "L", top: "A", bottom: "P" });
  assert.deepEqual(sidesOf([-1, 0, 0, 0, 1, 0]), { left: "L", right: "R", top: "A", bottom: "P" });
  assert.deepEqual(sidesOf([-1, 0, 0, 0, -1, 0]), { left: "L", right: "R", top: "P", bottom: "A" });
  assert.deepEqual(sidesOf([0, 1, 0, -1, 0, 0]), { left: "A", right: "P", top: "L", bottom: "R" });
});

test("the nearest slice is found, and none where there is none", () => {
  assert.equal(nearestTo([], 0), -1);
  assert.equal(nearestTo([{ z_mm: -10 }, { z_mm: -5 }, { z_mm: 0 }], -6.9), 1);
});
