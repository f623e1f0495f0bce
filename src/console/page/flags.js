// The flags of the exam, each with what it says, since when, and who has acknowledged it.

import { acknowledge } from "./daemon.js";
import { byId, make, makeIcon, matchChildren, setAttribute, setHidden, setIcon, setText, within } from "./dom.js";
import { recall, remember } from "./remember.js";
import { acknowledges, ownName } from "./session.js";
import { joined, phraseWords, problemOf, say, setPhrase } from "./text.js";
import { isOpen } from "./verdict.js";
import { clock, quantity, slices } from "./words.js";

const INITIALS = "tableside.initials";
const SEVERITIES = ["alarm", "warning", "notice"];

/** @typedef {(answer?: Exam, flagId?: string) => void} Changed */

/** Acknowledgements under way or failed, by exam and flag. @type {Map<string, { pending?: boolean, problem?: Phrase }>} */
const attempts = new Map();
let initials = recall(INITIALS);

/** `changed(answer, flagId)` takes the daemon's answer; `changed()` asks only for the page to be written again. @param {Exam} exam @param {boolean} live @param {Changed} changed */
export function showFlags(exam, live, changed) {
  setHidden(byId("no-flags"), exam.flags.length > 0);
  const keyOf = (/** @type {Flag} */ flag) => `${exam.key}/${flag.id}`;
  const create = (/** @type {Flag} */ flag) => createFlag(exam.key, flag, changed);
  const update = (/** @type {HTMLElement} */ item, /** @type {Flag} */ flag) => updateFlag(item, flag, attempts.get(keyOf(flag)), live);
  matchChildren(byId("flag-list"), [...exam.flags].sort(worstFirst), keyOf, create, update);
  setHidden(byId("acknowledging"), initials === "" || ownName() !== "" || !acknowledges());
  setText(byId("initials-now"), initials);
}

/** @param {Flag} one @param {Flag} other */
function worstFirst(one, other) {
  return place(one) - place(other) || Date.parse(other.raised) - Date.parse(one.raised);
}

/** Flags that ask for nothing now come after all others. @param {Flag} flag */
function place(flag) {
  return (isOpen(flag) ? 0 : SEVERITIES.length) + SEVERITIES.indexOf(flag.severity);
}

/** @param {string} examKey @param {Flag} flag @param {Changed} changed */
function createFlag(examKey, { id }, changed) {
  const item = make("li");
  const button = make("button", "acknowledge", say("flags.acknowledge"));
  button.type = "button";
  button.dataset.acknowledge = id;
  button.addEventListener("click", () => acknowledgeAs(examKey, id, changed));
  const words = make("div");
  words.append(make("p", "what"), make("p", "text"), make("p", "when"), make("p", "life"), make("p", "who"), make("p", "problem"));
  item.append(makeIcon(), words, button);
  return item;
}

/** @param {HTMLElement} item @param {Flag} flag @param {{ pending?: boolean, problem?: Phrase } | undefined} attempt @param {boolean} live */
function updateFlag(item, flag, attempt, live) {
  setAttribute(item, "data-flag", flag.id);
  setAttribute(item, "data-kind", iconOf(flag));
  setAttribute(item, "data-severity", flag.severity);
  setAttribute(item, "data-state", flag.state);
  setIcon(within(item, ".icon"), iconOf(flag));
  setPhrase(within(item, ".what"), flag.phrases.title);
  setPhrase(within(item, ".text"), flag.phrases.text);
  setText(within(item, ".when"), raisingOf(flag));
  setText(within(item, ".life"), lifeOf(flag));
  setText(within(item, ".who"), acknowledgementOf(flag));
  setAttribute(item, "data-acknowledged", Boolean(flag.acknowledged));
  const problem = attempt?.problem;
  setPhrase(within(item, ".problem"), problem && { text: "flags.not_taken", parameters: { problem } });
  const button = within(item, "button", HTMLButtonElement);
  setHidden(button, Boolean(flag.acknowledged) || !acknowledges());
  button.disabled = !live || attempt?.pending === true;
  setText(button, say(attempt?.pending ? "flags.acknowledging" : "flags.acknowledge"));
}

/** @param {Flag} flag */
function raisingOf(flag) {
  const [first] = flag.life;
  const after = { at: clock(flag.raised), slices: slices(flag.after_slices) };
  const raised =
    typeof first?.scan_share === "number"
      ? say("flags.raised_share", { ...after, share: quantity(first.scan_share * 100, 0, "%") })
      : say("flags.raised", after);
  return flag.score === null ? raised : say("flags.with_score", { raised, score: quantity(flag.score, 2) });
}

/** What has happened to the flag since, and where to look. @param {Flag} flag */
function lifeOf({ life }) {
  const wordsOf = (/** @type {Moment} */ { event, phrase, at, score }) => {
    const moment = { event: phraseWords(phrase), at: clock(at) };
    if (score === null || event === "acknowledged") return say("flags.moment", moment);
    return say("flags.moment_at_score", { ...moment, score: quantity(score, 2) });
  };
  const moments = joined("then", life.slice(1).map(wordsOf));
  const driving = life.findLast(({ driving_slabs: slabs }) => slabs.length > 0)?.driving_slabs ?? [];
  const places = driving.map(({ z_mm: z }) => quantity(z, 0)).join(", ");
  return joined("sentence", [moments && say("flags.then", { moments }), places && say("flags.driven_by", { places })]);
}

/** @param {Flag} flag */
function acknowledgementOf({ acknowledged }) {
  return acknowledged ? say("flags.acknowledged", { by: acknowledged.by, at: clock(acknowledged.at) }) : say("flags.not_acknowledged");
}

/** @param {Flag} flag */
function iconOf(flag) {
  return flag.state === "withdrawn" ? "withdrawn" : flag.kind;
}

/** @param {string} examKey @param {string} flagId @param {Changed} changed */
async function acknowledgeAs(examKey, flagId, changed) {
  const by = await signature();
  if (by) await acknowledgeBy(by, examKey, flagId, changed);
}

/** Whoever acknowledges without being asked who it is: the person who has logged in, or whose initials are known. */
export const knownName = () => ownName() || initials;

/** The acknowledgement of a flag that is under way or has failed. @param {string} examKey @param {string} flagId */
export const attemptAt = (examKey, flagId) => attempts.get(`${examKey}/${flagId}`);

/** @param {string} by @param {string} examKey @param {string} flagId @param {Changed} changed */
export async function acknowledgeBy(by, examKey, flagId, changed) {
  const attemptKey = `${examKey}/${flagId}`;
  attempts.set(attemptKey, { pending: true });
  changed();
  try {
    const answer = await acknowledge(examKey, flagId, by);
    attempts.delete(attemptKey);
    changed(answer, flagId);
  } catch (error) {
    attempts.set(attemptKey, { problem: problemOf(error) });
    changed();
  }
}

/** The name or the initials of whoever presses; "" when the user thinks better of it. */
export const signature = async () => ownName() || initials || (await askInitials());

/** The initials, or "" when the user thinks better of it. @returns {Promise<string>} */
function askInitials() {
  const dialog = byId("initials", HTMLDialogElement);
  const field = byId("initials-field", HTMLInputElement);
  field.value = initials;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    const closed = () => {
      const given = dialog.returnValue === "given" ? field.value.trim() : "";
      if (given) keepInitials(given);
      resolve(given);
    };
    dialog.addEventListener("close", closed, { once: true });
  });
}

/** Where somebody who has not logged in says who it is. */
function makeInitials() {
  const dialog = Object.assign(make("dialog"), { id: "initials" });
  dialog.setAttribute("aria-labelledby", "initials-title");
  const title = Object.assign(make("h2", "", say("flags.who")), { id: "initials-title" });
  const properties = { id: "initials-field", required: true, maxLength: 32, pattern: ".*\\S.*", autocomplete: "off" };
  const field = Object.assign(make("input"), properties);
  const label = make("label", "", `${say("flags.initials")} `);
  label.append(field);
  const use = Object.assign(make("button", "", say("flags.use_name")), { type: "submit", value: "given" });
  const cancel = Object.assign(make("button", "", say("flags.cancel")), { type: "submit", value: "cancel", formNoValidate: true });
  const buttons = make("div");
  buttons.append(use, cancel);
  const form = Object.assign(make("form"), { method: "dialog" });
  form.append(title, label, make("p", "", say("flags.kept")), buttons);
  dialog.append(form);
  document.body.append(dialog);
}

/** @param {Changed} changed */
export function offerChangeOfInitials(changed) {
  makeInitials();
  byId("change-initials").addEventListener("click", async () => {
    await askInitials();
    changed();
  });
}

/** @param {string} given */
function keepInitials(given) {
  initials = given;
  remember(INITIALS, given);
}
