import assert from "node:assert/strict";
import { test } from "node:test";

import { AlarmSchedule, BURSTS, SILENCE_MS, alarmsOf, envelope, gravest, length, silentFor } from "../../src/console/page/alarms.js";

/** @param {[string, "medium" | "low"][]} alarms */
const sounding = (...alarms) => new Map(alarms);
const MEDIUM = sounding(["a/suspected/suspected", "medium"]);
const LOW = sounding(["b/not_analysed/not_analysed", "low"]);

test("what somebody has acknowledged here sounds no more, before the daemon says so", () => {
  const phrases = {};
  const statement = { flag: "suspected", code: "suspected", alarm: "medium", phrases };
  const exam = (/** @type {unknown} */ acknowledged) => ({ key: "a", statements: [statement, { flag: null, code: "revised", alarm: "none", phrases }], flags: [{ id: "suspected", acknowledged }] });
  assert.deepEqual([...alarmsOf([exam(null)])], [["a/suspected/suspected", "medium"]]);
  assert.equal(alarmsOf([exam({ by: "ab", at: "" })]).size, 0);
});

test("an alarm sounds at once, again after the interval, and no more once it is gone", () => {
  const schedule = new AlarmSchedule();
  const again = length("medium") + BURSTS.medium.between_s;
  assert.equal(schedule.next(sounding(), false, 100), null);
  assert.equal(schedule.next(MEDIUM, false, 101), "medium");
  assert.equal(schedule.next(MEDIUM, false, 101 + again - 0.1), null);
  assert.equal(schedule.next(MEDIUM, false, 101 + again), "medium");
  assert.equal(schedule.next(sounding(), false, 200), null);
});

test("a new alarm does not wait for the interval of the one before, and the gravest sounds", () => {
  const schedule = new AlarmSchedule();
  assert.equal(schedule.next(LOW, false, 0), "low");
  assert.equal(schedule.next(LOW, false, 10), null);
  assert.equal(schedule.next(sounding(...LOW, ...MEDIUM), false, 10.5), "medium");
  const confirmed = sounding(["a/suspected/suspected_early", "medium"]);
  assert.equal(schedule.next(confirmed, false, 11), "medium", "what says something else is new");
  assert.equal(gravest(sounding(...LOW, ...MEDIUM)), "medium");
  assert.equal(gravest(sounding()), null);
});

test("what is silenced sounds again when it is over, at once for another alarm, and where the clock was set", () => {
  const silence = { until: 1_000_000 + SILENCE_MS, names: [...MEDIUM.keys()] };
  assert.equal(silentFor(silence, MEDIUM, 1_000_000), SILENCE_MS);
  assert.equal(silentFor(silence, MEDIUM, 1_000_000 + SILENCE_MS - 1), 1);
  assert.equal(silentFor(silence, MEDIUM, 1_000_000 + SILENCE_MS), 0);
  assert.equal(silentFor(silence, sounding(...MEDIUM, ...LOW), 1_000_000), 0);
  assert.equal(silentFor(silence, sounding(["a/suspected/suspected_early", "medium"]), 1_000_000), 0);
  assert.equal(silentFor(silence, MEDIUM, 500_000), 0, "no silence is longer than two minutes");
  assert.equal(silentFor(null, MEDIUM, 0), 0);
  const schedule = new AlarmSchedule();
  assert.equal(schedule.next(MEDIUM, true, 0), null);
  assert.equal(schedule.next(MEDIUM, false, 1), "medium");
});

test("the intervals are those of the standard, and pulses do not overlap", () => {
  assert.ok(BURSTS.medium.between_s >= 2.5 && BURSTS.medium.between_s <= 30);
  assert.ok(BURSTS.low.between_s > 15);
  const times = envelope("medium").map(([seconds]) => seconds);
  assert.deepEqual(times, [...times].sort((one, other) => one - other));
});
