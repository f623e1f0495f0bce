import assert from "node:assert/strict";
import { test } from "node:test";

import { NO_MEASUREMENT, PRESETS, dragged, greyOf, lookUpTable, paint, presetOf } from "../../src/console/page/viewer-window.js";

const lung = { level: -600, width: 1500 };

test("the window of a preset runs from black to white about its level", () => {
  assert.deepEqual([-1351, 150, -600].map((hu) => greyOf(lung, hu)), [0, 255, 128]);
  assert.deepEqual([39, 40, 41].map((hu) => greyOf({ level: 40, width: 1 }, hu)), [0, 255, 255], "a threshold");
});

test("each of the 65,536 values has the grey of its window, and what was not measured is black", () => {
  const table = lookUpTable(lung);
  for (const hu of [-32767, -1000, -600, 0, 32767]) {
    assert.equal(table[hu & 0xffff] & 0xff, greyOf(lung, hu), `${hu} HU`);
    assert.equal(table[hu & 0xffff] >>> 24, 255, "opaque");
  }
  assert.equal(table[NO_MEASUREMENT & 0xffff], 0xff000000);
  assert.equal(lookUpTable({ level: -32768, width: 1 })[NO_MEASUREMENT & 0xffff], 0xff000000);
});

test("a slice is painted value by value", () => {
  const pixels = new Uint32Array(3);
  const table = lookUpTable(lung);
  paint(new Uint16Array(new Int16Array([-1400, -600, 200]).buffer), table, pixels);
  assert.deepEqual([...pixels].map((pixel) => pixel & 0xff), [0, 128, 255]);
});

test("dragging changes width and level in proportion to the window, and within limits", () => {
  assert.deepEqual(dragged(lung, 60, 0), { level: -600, width: 1800 });
  assert.deepEqual(dragged(lung, 0, -30), { level: -750, width: 1500 });
  assert.deepEqual(dragged({ level: 40, width: 2 }, -1000, 0), { level: 40, width: 1 });
  assert.deepEqual(dragged(lung, 1e6, 1e6), { level: 4000, width: 6000 });
});

test("presets are those that radiologists name, and are known again", () => {
  const numbers = Object.fromEntries(PRESETS.map(({ name, level, width }) => [name, [level, width]]));
  assert.deepEqual(numbers, { Lung: [-600, 1500], Mediastinum: [40, 400], Bone: [400, 1800] });
  assert.equal(presetOf({ level: 40, width: 400 })?.name, "Mediastinum");
  assert.equal(presetOf({ level: 41, width: 400 }), null);
});
