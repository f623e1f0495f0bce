import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Filter } from "../../src/console/page/filter.js";
import { inOrder, SteadyOrder } from "../../src/console/page/order.js";

const keys = (exams) => exams.map(({ key }) => key);
const cases = JSON.parse(readFileSync(new URL("order.json", import.meta.url), "utf8"));

for (const { name, now, exams, order } of cases) {
  test(`the order is that of the cases which the daemon shares: ${name}`, () => {
    assert.deepEqual(keys(inOrder(exams, Date.parse(now))), order);
    assert.deepEqual(keys(inOrder([...exams].reverse(), Date.parse(now))), order);
  });
}

test("while somebody uses the list nothing in it moves, and what is new comes last", () => {
  const [a, b, c] = ["a", "b", "c"].map((key) => ({ key }));
  const steady = new SteadyOrder();
  assert.deepEqual(keys(steady.place([a, b], 0)), ["a", "b"]);
  steady.use(1_000);
  assert.deepEqual(keys(steady.place([c, b, a], 2_000)), ["a", "b", "c"]);
  assert.equal(steady.waits, true);
  assert.deepEqual(keys(steady.place([b, c], 3_000)), ["b", "c"], "what has left the list leaves it");
  assert.equal(steady.waits, false);
  assert.deepEqual(keys(steady.place([c, b], 10_999)), ["b", "c"]);
  assert.deepEqual(keys(steady.place([c, b], 11_000)), ["c", "b"], "it was not used for ten seconds");
  steady.use(12_000);
  steady.release();
  assert.deepEqual(keys(steady.place([b, c], 12_001)), ["b", "c"], "it was left");
});

test("a filter asks the daemon for what it lets through, and only the day is decided here", () => {
  const filter = new Filter();
  const exam = { started: "2026-11-29T11:00:00Z", filters: ["to_do"] };
  assert.deepEqual([filter.query(), filter.letsThrough(exam)], [{}, true]);
  filter.choose("to_do");
  assert.deepEqual([filter.query(), filter.letsThrough(exam)], [{ filter: "to_do" }, true]);
  filter.choose("suspected");
  assert.equal(filter.letsThrough(exam), false);
  filter.choose("today");
  const noon = new Date(2026, 10, 29, 12);
  assert.deepEqual(filter.query(noon), { since: new Date(2026, 10, 29).toISOString() });
  assert.equal(filter.letsThrough({ ...exam, started: new Date(2026, 10, 29, 0, 0, 1).toISOString() }, noon), true);
  assert.equal(filter.letsThrough({ ...exam, started: new Date(2026, 10, 28, 23, 59).toISOString() }, noon), false);
});
