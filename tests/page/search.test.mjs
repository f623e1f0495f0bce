import assert from "node:assert/strict";
import { test } from "node:test";

import { isNamed } from "../../src/console/page/search.js";
import "./english.mjs";

test("words name a live exam as they do one that is stored: in name or ID, or from the beginning of the key", () => {
  const exam = /** @type {Exam} */ ({ key: "1f3a", patient: { name: "BERG^ANNA", id: "A-1" } });
  const named = ["berg", "Anna  BERG", "a-1", "1F3"].filter((words) => isNamed(exam, words));
  assert.deepEqual(named, ["berg", "Anna  BERG", "a-1", "1F3"]);
  assert.deepEqual(["", "berger", "anna li", "f3a", "%"].filter((words) => isNamed(exam, words)), []);
});
