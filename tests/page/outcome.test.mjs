import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { figureWords } from "../../src/console/page/outcome.js";
import { useTexts } from "../../src/console/page/text.js";

useTexts(JSON.parse(readFileSync(new URL("../../src/texts/en.json", import.meta.url), "utf8")));

const counts = { true_alarms: 2, false_alarms: 1, unclear_alarms: 1, open_alarms: 4, missed: 0, true_negatives: 5 };
const few = { since: "2026-11-29T11:00:00Z", counts, predictive_value: { count: 2, of: 3, value: null, interval: null }, fewest_cases: 20 };

test("with few cases the count is told and no percentage", () => {
  const words = figureWords(few);
  assert.match(words, /2 of 3 suspected exams/);
  assert.doesNotMatch(words, /%/);
  assert.match(words, /without an outcome: 4; unclear: 1/);
  assert.match(words, /since 2026-11-29/);
});

test("with enough cases the share is told with its interval, and before the first outcome nothing", () => {
  const enough = { ...few, predictive_value: { count: 18, of: 20, value: 0.9, interval: [0.699, 0.972] } };
  assert.match(figureWords(enough), /90 % .*18 of 20; 95 % interval 70 to 97 %/);
  assert.match(figureWords({ ...few, since: null }), /No outcome/);
  const unclear = { ...few, predictive_value: { count: 0, of: 0, value: null, interval: null } };
  assert.match(figureWords(unclear), /No suspected exam has a clear outcome/);
});
