import assert from "node:assert/strict";
import { test } from "node:test";

import { Notches, between, dragOf, meantBy, pinchOf, zoomOfDrag } from "../../src/console/page/viewer-gestures.js";

test("small steps of a touchpad add up to whole ones, both ways", () => {
  const notches = new Notches(60);
  assert.deepEqual([25, 25, 25, -100, 240].map((px) => notches.add(px)), [0, 0, 1, -1, 3]);
});

test("two fingers that part enlarge, two that go together scroll, and until that is clear they do nothing", () => {
  const began = [[100, 100], [200, 100]];
  assert.equal(meantBy(began, [[98, 101], [203, 100]]), null);
  assert.equal(meantBy(began, [[80, 100], [220, 100]]), "zoom");
  assert.equal(meantBy(began, [[100, 130], [200, 132]]), "slices");
  assert.equal(pinchOf(began, [[50, 100], [250, 100]]), 2);
  assert.deepEqual(between([[50, 100], [250, 140]]), [150, 120]);
});

test("each button drags what it does on a reading station, and the first what was chosen", () => {
  assert.equal(dragOf({ button: 0, shiftKey: false }, "window"), "window");
  assert.equal(dragOf({ button: 0, shiftKey: true }, "window"), "move");
  assert.equal(dragOf({ button: 1, shiftKey: false }, "window"), "move");
  assert.equal(dragOf({ button: 2, shiftKey: false }, "slices"), "zoom");
});

test("dragging up enlarges, and down again undoes it", () => {
  assert.equal(zoomOfDrag(0), 1);
  assert.ok(zoomOfDrag(-50) > 1);
  assert.ok(Math.abs(zoomOfDrag(-50) * zoomOfDrag(50) - 1) < 1e-12);
});
