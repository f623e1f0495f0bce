import assert from "node:assert/strict";
import { test } from "node:test";

import { phraseWords } from "../../src/console/page/text.js";
import { areSettled, momentsOf, newest, objectWords, sinceWords, statePhrase } from "../../src/console/page/timeline.js";
import "./english.mjs";

const START = "2026-11-30T10:00:00Z";
const at = (seconds) => new Date(Date.parse(START) + seconds * 1000).toISOString();

const flag = {
  phrases: { subject: { text: "flag_subject.suspected" } },
  acknowledged: { by: "ab", at: at(70) },
  life: [
    { at: at(12), event: "early", phrase: { text: "flag_event.early" } },
    { at: at(32), event: "confirmed", phrase: { text: "flag_event.confirmed" } },
    { at: at(70), event: "acknowledged", phrase: { text: "flag_event.acknowledged" } },
  ],
};
const exam = { started: START, last_slice: at(30), state: "complete", slices: { received: 300 }, flags: [flag] };
const report = { revised: false, timing: { first_slice_to_verdict_ms: 31_500 } };
const delivery = (kind, state, changed, more = {}) =>
  ({ revision: 1, destination: "pacs", kind, state, count: 1, reason: null, queued: at(32), changed, ...more });

test("a timeline runs from the first slice to the last delivery, in the order of the clock", () => {
  const deliveries = [delivery("segmentation", "done", at(40), { count: 2 }), delivery("structured_report", "stored", at(45))];
  const told = momentsOf(exam, report, deliveries).map(({ what, at: when }) => [what, (Date.parse(when) - Date.parse(START)) / 1000]);
  assert.deepEqual(told, [
    ["First slice", 0],
    ["Suspected: raised early", 12],
    ["Last slice, 300 received", 30],
    ["Verdict", 31.5],
    ["Suspected: confirmed", 32],
    ["3 objects delivered to pacs", 45],
    ["Suspected: acknowledged by ab", 70],
  ]);
});

test("nothing is said to be delivered before all of it is, and nothing of a verdict that has not been given", () => {
  const receiving = { ...exam, state: "receiving", flags: [] };
  assert.deepEqual(momentsOf(receiving, null, []).map(({ what }) => what), ["First slice", "Latest slice, 300 received"]);
  const without = momentsOf({ ...exam, verdict: "not_analysed" }, report, []).map(({ what }) => what);
  assert.ok(without.includes("End of the analysis, without a verdict") && !without.includes("Verdict"));
  const deliveries = [delivery("segmentation", "done", at(40)), delivery("structured_report", "dead", at(45))];
  assert.ok(!momentsOf(exam, report, deliveries).some(({ kind }) => kind === "delivered"));
});

test("deliveries of earlier verdicts do not stand beside those of the newest", () => {
  const deliveries = [delivery("segmentation", "superseded", at(40)), delivery("segmentation", "queued", at(50), { revision: 2 })];
  assert.deepEqual(newest(deliveries).map(({ state }) => state), ["queued"]);
  assert.deepEqual(newest([]), []);
  assert.ok(areSettled([delivery("segmentation", "done", at(1))]) && !areSettled(deliveries));
});

test("times since the first slice are told in the unit that a person counts them in", () => {
  assert.deepEqual([0, 3.25, 42.4, 185, 7_500].map((seconds) => sinceWords(START, at(seconds))), ["+ 0.0 s", "+ 3.3 s", "+ 42 s", "+ 3 min 05 s", "+ 2 h 05 min"]);
});

test("objects and their states are told in words, with the reason where there is one", () => {
  assert.equal(objectWords(delivery("original", "done", at(1), { count: 300 })), "Images as received, 300");
  assert.equal(objectWords(delivery("secondary_capture", "done", at(1))), "Pictures");
  assert.equal(phraseWords(statePhrase(delivery("segmentation", "dead", at(1), { reason: "refused: status A900" }))), "not delivered: refused: status A900");
});
