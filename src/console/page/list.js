// The exams to choose from, each with its state as a badge; and the alarms of exams that are not shown.

import { byId, make, makeIcon, matchChildren, setAttribute, setHidden, setIcon, setText, within } from "./dom.js";
import { needsAcknowledging, statements } from "./verdict.js";
import { clock, personName, progress, waiting } from "./words.js";

/** Alarms of other exams told at once; more would push the exam itself off the screen. */
const ALARMS_ELSEWHERE = 3;

/** @typedef {(key: string) => void} Choose */

const keyOf = (/** @type {Exam} */ exam) => exam.key;

/** @param {Exam[]} exams @param {string | null} shownKey @param {Choose} choose */
export function showList(exams, shownKey, choose) {
  const create = (/** @type {Exam} */ exam) => createEntry(exam, choose);
  const update = (/** @type {HTMLElement} */ entry, /** @type {Exam} */ exam) => updateEntry(entry, exam, shownKey);
  matchChildren(byId("exams"), exams, keyOf, create, update);
}

/** @param {Exam} exam @param {Choose} choose */
function createEntry({ key }, choose) {
  const entry = make("li");
  const button = make("button");
  button.type = "button";
  const badge = make("span", "badge");
  badge.append(makeIcon(), make("span", "badge-words"));
  button.append(make("span", "name"), badge, make("span", "when"));
  button.addEventListener("click", () => choose(key));
  entry.append(button);
  return entry;
}

/** @param {HTMLElement} entry @param {Exam} exam @param {string | null} shownKey */
function updateEntry(entry, exam, shownKey) {
  const said = statements(exam);
  const [main] = said;
  const button = within(entry, "button");
  setAttribute(button, "aria-current", exam.key === shownKey);
  setAttribute(button, "data-exam", exam.key);
  setText(within(entry, ".name"), personName(exam.patient.name));
  setAttribute(within(entry, ".badge"), "data-kind", main.kind);
  setIcon(within(entry, ".icon"), main.kind);
  setText(within(entry, ".badge-words"), badgeWords(said));
  const received = exam.state === "receiving" && progress(exam.slices);
  const about = [clock(exam.started), exam.scanner, received, waiting(exam)];
  setText(within(entry, ".when"), about.filter(Boolean).join(" · "));
}

/** The worst, and whatever else asks for something to be done. @param {Statement[]} said */
function badgeWords(said) {
  const asking = said.filter(({ level }, place) => place === 0 || level === "alarm" || level === "warning");
  return [...new Set(asking.map(({ badge }) => badge))].join(" · ");
}

/** An alarm nobody has acknowledged is told whichever exam is looked at. @param {Exam[]} exams @param {string | null} shownKey @param {Choose} choose */
export function showElsewhere(exams, shownKey, choose) {
  const alarming = exams.filter((exam) => exam.key !== shownKey && exam.flags.some(needsAcknowledging));
  const bar = byId("elsewhere");
  setHidden(bar, alarming.length === 0);
  const more = alarming.length - ALARMS_ELSEWHERE;
  setAttribute(bar, "data-more", more > 0 ? `and ${more} more in the list` : "");
  matchChildren(bar, alarming.slice(0, ALARMS_ELSEWHERE), keyOf, (exam) => createAlarm(exam, choose), updateAlarm);
}

/** @param {Exam} exam @param {Choose} choose */
function createAlarm({ key }, choose) {
  const button = make("button");
  button.type = "button";
  button.append(makeIcon(), make("span"));
  button.addEventListener("click", () => choose(key));
  return button;
}

/** @param {HTMLElement} button @param {Exam} exam */
function updateAlarm(button, exam) {
  const said = statements(exam);
  setIcon(within(button, "svg", SVGElement), said[0].kind);
  const who = [personName(exam.patient.name), exam.scanner, clock(exam.started)].join(", ");
  setText(within(button, "span"), `${badgeWords(said)}, not acknowledged: ${who}`);
}
