import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { say, useTexts } from "../../src/console/page/text.js";

test("parameters stand where the words name them, counts with their noun", () => {
  useTexts({ one: { of: "{received} of {expected|slice|slices}", none: "No slice" } });
  assert.equal(say("one.of", { received: 0, expected: 1 }), "0 of 1 slice");
  assert.equal(say("one.of", { received: 1, expected: 2 }), "1 of 2 slices");
  assert.equal(say("one.none"), "No slice");
});

test("a text that is not there is its name", () => {
  useTexts({});
  assert.equal(say("list.unknown"), "list.unknown");
});

test("each language says how many slices", () => {
  for (const [language, words] of [["en", "2 slices"], ["zh", "2 层图像"]]) {
    useTexts(JSON.parse(readFileSync(new URL(`../../src/texts/${language}.json`, import.meta.url), "utf8")));
    assert.equal(say("count.slices", { count: 2 }), words);
  }
});
