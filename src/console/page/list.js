// The exams to choose from, each with its state as a badge, what it asks for, who has seen it and what became of it; and the alarms of
// exams that are not shown.

import { byId, make, makeIcon, matchChildren, setAttribute, setHidden, setIcon, setText, within } from "./dom.js";
import { isOverdue, SteadyOrder } from "./order.js";
import { say } from "./text.js";
import { isOpen, needsAcknowledging, statements } from "./verdict.js";
import { clock, personName, progress, waiting } from "./words.js";

/** Alarms of other exams told at once; more would push the exam itself off the screen. */
const ALARMS_ELSEWHERE = 3;

const MINUTE_MS = 60_000;

/** @typedef {(key: string) => void} Choose */
/** @typedef {{ shownKey: string | null, tableKey: string | null, now: number }} Moment `now`: ms since 1970, by the daemon's clock */

const steady = new SteadyOrder();

/** @param {() => void} changed called when the list may stand in another order again */
export function startList(changed) {
  steady.watch(byId("exams"), changed);
}

const keyOf = (/** @type {Exam} */ exam) => exam.key;

/** @param {Exam[]} exams as they should stand @param {Moment} moment @param {Choose} choose */
export function showList(exams, moment, choose) {
  const create = (/** @type {Exam} */ exam) => createEntry(exam, choose);
  const update = (/** @type {HTMLElement} */ entry, /** @type {Exam} */ exam) => updateEntry(entry, exam, moment);
  const focused = document.activeElement;
  matchChildren(byId("exams"), steady.place(exams, performance.now()), keyOf, create, update);
  // An entry that has moved has lost the focus.
  if (focused instanceof HTMLElement && focused.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  setText(byId("order-note"), steady.waits ? say("list.order_waits") : "");
}

/** @param {Exam} exam @param {Choose} choose */
function createEntry({ key }, choose) {
  const entry = make("li");
  const button = make("button");
  button.type = "button";
  const badge = make("span", "badge");
  badge.append(makeIcon(), make("span", "badge-words"));
  const ask = make("span", "ask");
  ask.append(makeIcon(), make("span", "ask-words"));
  button.append(make("span", "name"), badge, ask, make("span", "when"), make("span", "seen"));
  button.addEventListener("click", () => choose(key));
  entry.append(button);
  return entry;
}

/** @param {HTMLElement} entry @param {Exam} exam @param {Moment} moment */
function updateEntry(entry, exam, { shownKey, tableKey, now }) {
  const said = statements(exam);
  const [main] = said;
  const button = within(entry, "button");
  setAttribute(button, "aria-current", exam.key === shownKey);
  setAttribute(button, "data-exam", exam.key);
  setText(within(entry, ".name"), personName(exam.patient.name));
  setAttribute(within(entry, ".badge"), "data-kind", main.kind);
  setIcon(within(entry, ".badge .icon", SVGElement), main.kind);
  setText(within(entry, ".badge-words"), badgeWords(said));
  const received = exam.state === "receiving" && progress(exam.slices);
  const about = [clock(exam.started), exam.scanner, received, waiting(exam)];
  setText(within(entry, ".when"), about.filter(Boolean).join(" · "));
  const asked = askWords(exam.urgency, now);
  const isOnTable = exam.key === tableKey;
  setAttribute(button, "data-urgency", exam.urgency.class);
  setHidden(within(entry, ".ask"), asked === "" && !isOnTable);
  setIcon(within(entry, ".ask .icon", SVGElement), asked === "" ? "receiving" : `ask_${exam.urgency.class}`);
  setText(within(entry, ".ask-words"), [isOnTable && say("list.on_table"), asked].filter(Boolean).join(" · "));
  setText(within(entry, ".seen"), seenWords(exam));
}

/** What it asks for, and for how long where that is too long; "" where it asks for nothing. @param {Urgency} urgency @param {number} now */
function askWords({ class: kind, asks }, now) {
  if (asks.length === 0) return "";
  const what = say(`list.${kind}`);
  const overdue = asks.filter((ask) => isOverdue(ask, now)).map(({ since }) => now - Date.parse(since));
  if (overdue.length === 0) return what;
  return say("list.overdue", { what, minutes: Math.floor(Math.max(...overdue) / MINUTE_MS) });
}

/** Who has acknowledged what, and what became of the verdict, a line each. @param {Exam} exam */
function seenWords({ flags, outcome }) {
  const seen = flags.flatMap((flag) => {
    const { phrases, acknowledged } = flag;
    if (!acknowledged || !isOpen(flag)) return [];
    return [say("list.acknowledged", { what: phrases.title, by: acknowledged.by, at: clock(acknowledged.at) })];
  });
  if (outcome) seen.push(say("list.outcome", { outcome: say(`outcome.${outcome.kind}`), by: outcome.by, at: clock(outcome.at) }));
  return seen.join("\n");
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
  setAttribute(bar, "data-more", more > 0 ? say("list.more_alarms", { count: more }) : "");
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
  setText(within(button, "span"), say("list.alarm_elsewhere", { badge: badgeWords(said), who }));
}
