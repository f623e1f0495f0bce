// The flags of the exam, each with what it says, since when, and who has acknowledged it.

import { acknowledge } from "./daemon.js";
import { byId, make, makeIcon, matchChildren, setAttribute, setHidden, setIcon, setText } from "./dom.js";
import { recall, remember } from "./remember.js";
import { acknowledges, ownName } from "./session.js";
import { isOpen } from "./verdict.js";
import { clock, quantity, slices } from "./words.js";

const INITIALS = "tableside.initials";
const SEVERITIES = ["alarm", "warning", "notice"];

/** Acknowledgements under way or failed, by exam and flag. */
const attempts = new Map();
let initials = recall(INITIALS);

/** `changed(answer, flagId)` takes the daemon's answer; `changed()` asks only for the page to be written again. */
export function showFlags(exam, live, changed) {
  setHidden(byId("no-flags"), exam.flags.length > 0);
  const keyOf = (flag) => `${exam.key}/${flag.id}`;
  const create = (flag) => createFlag(exam.key, flag, changed);
  const update = (item, flag) => updateFlag(item, flag, attempts.get(keyOf(flag)), live);
  matchChildren(byId("flag-list"), [...exam.flags].sort(worstFirst), keyOf, create, update);
  setHidden(byId("acknowledging"), initials === "" || ownName() !== "" || !acknowledges());
  setText(byId("initials-now"), initials);
}

function worstFirst(one, other) {
  return place(one) - place(other) || Date.parse(other.raised) - Date.parse(one.raised);
}

/** Flags that ask for nothing now come after all others. */
function place(flag) {
  return (isOpen(flag) ? 0 : SEVERITIES.length) + SEVERITIES.indexOf(flag.severity);
}

function createFlag(examKey, { id }, changed) {
  const item = make("li");
  const button = make("button", "acknowledge", "Acknowledge");
  button.type = "button";
  button.dataset.acknowledge = id;
  button.addEventListener("click", () => acknowledgeAs(examKey, id, changed));
  const words = make("div");
  words.append(make("p", "what"), make("p", "text"), make("p", "when"), make("p", "life"), make("p", "who"), make("p", "problem"));
  item.append(makeIcon(), words, button);
  return item;
}

function updateFlag(item, flag, attempt, live) {
  setAttribute(item, "data-flag", flag.id);
  setAttribute(item, "data-kind", iconOf(flag));
  setAttribute(item, "data-severity", flag.severity);
  setAttribute(item, "data-state", flag.state);
  setIcon(item.querySelector(".icon"), iconOf(flag));
  setText(item.querySelector(".what"), flag.title);
  setText(item.querySelector(".text"), flag.text);
  setText(item.querySelector(".when"), raisingOf(flag));
  setText(item.querySelector(".life"), lifeOf(flag));
  setText(item.querySelector(".who"), acknowledgementOf(flag));
  setAttribute(item, "data-acknowledged", Boolean(flag.acknowledged));
  setText(item.querySelector(".problem"), attempt?.problem ? `Not acknowledged: ${attempt.problem}` : "");
  const button = item.querySelector("button");
  setHidden(button, Boolean(flag.acknowledged) || !acknowledges());
  button.disabled = !live || attempt?.pending === true;
  setText(button, attempt?.pending ? "Acknowledging" : "Acknowledge");
}

function raisingOf(flag) {
  const score = flag.score === null ? "" : `, score ${quantity(flag.score, 2)}`;
  const [first] = flag.life;
  const share = typeof first?.scan_share === "number" ? ` (${quantity(first.scan_share * 100, 0, "%")} of the scan)` : "";
  return `Raised ${clock(flag.raised)}, after ${slices(flag.after_slices)}${share}${score}`;
}

/** What has happened to the flag since, and where to look. */
function lifeOf({ life }) {
  const wordsOf = ({ event, words, at, score }) => {
    const known = score === null || event === "acknowledged" ? "" : ` at score ${quantity(score, 2)}`;
    return `${words} ${clock(at)}${known}`;
  };
  const since = life.slice(1).map(wordsOf).join(", then ");
  const driving = life.findLast(({ driving_slabs: slabs }) => slabs.length > 0)?.driving_slabs ?? [];
  const places = driving.map(({ z_mm: z }) => quantity(z, 0)).join(", ");
  const look = places ? `Driven by the slabs at z ${places} mm` : "";
  return [since && `Then ${since}`, look].filter(Boolean).join(". ");
}

function acknowledgementOf({ acknowledged }) {
  return acknowledged ? `Acknowledged by ${acknowledged.by}, ${clock(acknowledged.at)}` : "Not acknowledged";
}

function iconOf(flag) {
  return flag.state === "withdrawn" ? "withdrawn" : flag.kind;
}

async function acknowledgeAs(examKey, flagId, changed) {
  const by = ownName() || initials || (await askInitials());
  if (!by) return;
  const attemptKey = `${examKey}/${flagId}`;
  attempts.set(attemptKey, { pending: true });
  changed();
  try {
    const answer = await acknowledge(examKey, flagId, by);
    attempts.delete(attemptKey);
    changed(answer, flagId);
  } catch (error) {
    attempts.set(attemptKey, { problem: error.message });
    changed();
  }
}

/** The initials, or "" when the user thinks better of it. */
function askInitials() {
  const dialog = byId("initials");
  const field = byId("initials-field");
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

export function offerChangeOfInitials(changed) {
  byId("change-initials").addEventListener("click", async () => {
    await askInitials();
    changed();
  });
}

function keepInitials(given) {
  initials = given;
  remember(INITIALS, given);
}
