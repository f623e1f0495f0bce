import assert from "node:assert/strict";
import { test } from "node:test";

import { cellsOf, placeWords, shows } from "../../src/console/page/lesions.js";
import { JUDGED, Stack, seriesOf } from "../../src/console/page/stack.js";
import "./english.mjs";

const grid = (uid, judged, description = "") => ({ series_instance_uid: uid, judged, description, kernel: "B70" });
const slice = (of, z) => ({ grid: of, z_mm: z, sop_instance_uid: `${of}.${z}` });

test("series that are judged as one are one stack, the others each their own behind it", () => {
  const grids = [grid("1", true, "Lung"), grid("2", true), grid("3", false, "Soft")];
  const series = seriesOf(grids, [slice(2, 5), slice(0, 1), slice(0, 3), slice(1, 2)]);
  assert.deepEqual(series.map(({ name, slices }) => [name, slices.map(({ z_mm }) => z_mm)]), [[JUDGED, [1, 2, 3]], ["3", [5]]]);
  assert.deepEqual(series.map(({ label }) => label), ["Lung, B70", "Soft, B70"]);
});

test("an answer about another exam than the one that is shown is not taken", () => {
  const stack = new Stack();
  stack.expect("a");
  stack.take("b", { grids: [grid("1", false)], slices: [slice(0, 1)] });
  assert.equal(stack.slices.length, 0);
  stack.take("a", { grids: [grid("1", false)], slices: [slice(0, 1)] });
  assert.equal(stack.slices.length, 1);
  stack.fail("a", { english: "gone" });
  stack.expect("b");
  assert.deepEqual([stack.slices.length, stack.problem], [0, null]);
});

test("the series that somebody chose stays chosen while more of it comes", () => {
  const stack = new Stack();
  const grids = [grid("1", true), grid("2", false)];
  stack.expect("a");
  stack.take("a", { grids, slices: [slice(0, 1), slice(1, 1)] });
  stack.choose("2");
  stack.take("a", { grids, slices: [slice(0, 1), slice(0, 2), slice(1, 1), slice(1, 2)] });
  assert.deepEqual([stack.shown.name, stack.slices.length], ["2", 2]);
});

test("a lesion is told in a row, and is on the slices that it reaches", () => {
  const lesion = {
    zone: "right_lower", volume_ml: 12.34, largest_extent_mm: 41.6, mean_hu: -512.2, ground_glass_share: 0.7,
    consolidation_share: 0.052, z_mm: [-120, -90],
  };
  assert.deepEqual(cellsOf(lesion), ["right lower", "12.3", "42", "−512", "70.0 %", "5.2 %", "−120 to −90"]);
  assert.equal(placeWords(lesion), "right lower");
  assert.deepEqual([-123, -121, -100, -88, null].map((z) => shows(lesion, z)), [false, true, true, true, false]);
});
