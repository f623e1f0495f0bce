import assert from "node:assert/strict";
import { test } from "node:test";

import { ClockSkew } from "../../src/console/page/clock.js";
import { phraseWords } from "../../src/console/page/text.js";
import "./english.mjs";

const NOON = Date.parse("2026-11-30T12:00:00Z");

/** @param {number[]} late how late each message came, seconds @param {number} ahead of this clock, seconds */
function skewOf(late, ahead) {
  const skew = new ClockSkew();
  for (const seconds of late) skew.take(new Date(NOON).toISOString(), new Date(NOON + (seconds + ahead) * 1000));
  return skew;
}

test("a clock ahead or behind is said with its seconds", () => {
  assert.match(phraseWords(skewOf([0.1, 0.2], 60).notices()[0]), /is 60 s ahead of the one of Tableside/);
  assert.match(phraseWords(skewOf([0.1, 0.2], -60).notices()[0]), /is 60 s behind the one of Tableside/);
});

test("messages that come late are no clock ahead, as long as one came in time", () => {
  assert.deepEqual(skewOf([8, 0.1, 9], 0).notices(), []);
  assert.deepEqual(skewOf([], 0).notices(), []);
});

test("a clock that was set right is no longer said after some beats", () => {
  const skew = skewOf(Array(20).fill(0.1), -60);
  for (let beat = 0; beat < 20; beat += 1) skew.take(new Date(NOON).toISOString(), new Date(NOON + 100));
  assert.deepEqual(skew.notices(), []);
});
