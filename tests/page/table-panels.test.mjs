import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { announcementOf, panelsOf } from "../../src/console/page/table-panels.js";
import { useTexts } from "../../src/console/page/text.js";

useTexts(JSON.parse(readFileSync(new URL("../../src/texts/en.json", import.meta.url), "utf8")));

const STATUS = { ready: true, problem_phrases: [], notice_phrases: [], ae_title: "TABLESIDE", dicom_address: "0.0.0.0:11112", port: 11112 };

/** @param {string} key @param {object} statement @param {object} flag */
function exam(key, statement, flag = {}) {
  const made = { code: "suspected", flag: "suspected", kind: "suspected", action: "isolate", alarm: "medium", level: "alarm", headline: key, line: key, announcement: key, badge: key, ...statement };
  const phrases = Object.fromEntries(Object.entries(made).map(([name, english]) => [name, { english }]));
  const said = { ...made, phrases };
  const raised = { id: said.flag, acknowledged: null, ...flag };
  return { key, patient: { name: key, sex: "" }, scanner: "CT1", started: "2026-11-30T10:00:00Z", statements: [said], flags: [raised] };
}

const quiet = (/** @type {string} */ key) => exam(key, { code: "receiving", flag: null, alarm: "none", kind: "receiving", level: "receiving", action: "wait" });

/** @param {object} more */
function shown(more) {
  const known = { list: [], onTable: null, connection: "live", lostSince: null, status: STATUS, clockNotices: [], soundProblem: "", seesExams: true, acknowledges: true, host: "here", ...more };
  return panelsOf({ ...known, onTable: known.onTable ?? known.list[0] ?? null });
}

const ids = (/** @type {{ id: string }[]} */ panels) => panels.map(({ id }) => id);

test("without an exam it says where to send, and before the first answer nothing", () => {
  const [none] = shown({});
  assert.deepEqual(none.lines, ["AE title TABLESIDE", "Address here", "Port 11112"]);
  assert.deepEqual(ids(shown({ connection: "connecting", list: [quiet("a")] })), ["unknown"]);
});

test("the alarm of the exam before stays, by name, when the next patient begins", () => {
  const panels = shown({ list: [quiet("next"), exam("before", {})] });
  assert.deepEqual(ids(panels), ["before/suspected", "next/receiving"]);
  assert.equal(panels[0].who, "Earlier patient: before");
  assert.deepEqual(panels[0].press, { exam: "before", flag: "suspected" });
  const seen = exam("before", {}, { acknowledged: { by: "ab", at: "2026-11-30T10:00:00Z" } });
  assert.deepEqual(ids(shown({ list: [quiet("next"), seen] })), ["next/receiving"]);
});

test("the alarm of the exam on the table comes first, graver ones of earlier exams before lesser ones, and none is lost count of", () => {
  const low = exam("low", { flag: "not_analysed", code: "not_analysed", alarm: "low" });
  const panels = shown({ list: [exam("now", {}), low, exam("one", {}), exam("two", {})] });
  assert.deepEqual(ids(panels), ["now/suspected", "one/suspected", "two/suspected"]);
  assert.deepEqual(panels[2].lines, ["and 1 more alarm: shown once these are acknowledged"]);
});

test("a suspicion stands before newer warnings that sound as loud", () => {
  const again = (/** @type {string} */ key) => exam(key, { code: "send_again", level: "warning" });
  const panels = shown({ list: [quiet("now"), again("one"), again("two"), exam("grave", {}), again("three")] });
  assert.deepEqual(ids(panels), ["grave/suspected", "one/suspected", "now/receiving"]);
  assert.deepEqual(panels[1].lines, ["and 2 more alarms: shown once these are acknowledged"]);
});

test("what is lost, not ready or cannot be heard stands beside the exam, and before one at rest", () => {
  const broken = { status: { ...STATUS, ready: false, problem_phrases: [{ english: "no engine" }] }, soundProblem: "blocked", clockNotices: [{ english: "late" }] };
  assert.deepEqual(ids(shown({ list: [quiet("a")], ...broken })), ["no_sound", "fault", "clock", "a/receiving"]);
  const lost = shown({ list: [exam("a", {})], connection: "lost", ...broken });
  assert.deepEqual(ids(lost), ["lost", "a/suspected", "no_sound", "fault", "clock"]);
  assert.ok(announcementOf(lost, null).startsWith("Connection lost. "));
});

test("who may not acknowledge has nothing to press, and what was pressed says who it was", () => {
  assert.equal(shown({ list: [exam("a", {})], acknowledges: false })[0].press, null);
  const [seen] = shown({ list: [exam("a", {}, { acknowledged: { by: "AB", at: "2026-11-30T10:00:00Z" } })] });
  assert.equal(seen.press, null);
  assert.equal(seen.alarm, "none");
  assert.ok(seen.acknowledged.startsWith("Acknowledged by AB, "));
});
