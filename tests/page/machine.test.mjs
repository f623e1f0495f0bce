import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { duration, size } from "../../src/console/page/machine.js";
import { useTexts } from "../../src/console/page/text.js";

test("sizes have a unit in which they can be read, and none is no nought", () => {
  assert.deepEqual([0, 1536, 10 * 2 ** 20, 1.5 * 2 ** 30, 5000 * 2 ** 40].map(size), ["0.0 KiB", "1.5 KiB", "10 MiB", "1.5 GiB", "5000 TiB"]);
  assert.deepEqual([size(null), size(undefined)], ["–", "–"]);
});

test("a time is as exact as anybody needs", () => {
  useTexts(JSON.parse(readFileSync(new URL("../../src/texts/en.json", import.meta.url), "utf8")));
  const minute = 60_000;
  assert.deepEqual([-5, 0, 59 * minute, 61 * minute, 1500 * minute].map(duration), ["0 min", "0 min", "59 min", "1 h 1 min", "1 d 1 h"]);
});
