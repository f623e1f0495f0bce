import assert from "node:assert/strict";
import { test } from "node:test";

import { size } from "../../src/console/page/machine.js";

test("sizes have a unit in which they can be read, and none is no nought", () => {
  assert.deepEqual([0, 1536, 10 * 2 ** 20, 1.5 * 2 ** 30, 5000 * 2 ** 40].map(size), ["0.0 KiB", "1.5 KiB", "10 MiB", "1.5 GiB", "5000 TiB"]);
  assert.deepEqual([size(null), size(undefined)], ["–", "–"]);
});
