// What became of the exam's verdict: recorded by a press, with all that was recorded before; and how far this site can rely on
// "suspected".

import { getOutcomes, recordOutcome } from "./daemon.js";
import { byId, make, matchChildren, setAttribute, setHidden, setText } from "./dom.js";
import { signature } from "./flags.js";
import { recordsOutcomes, seesExams } from "./session.js";
import { problemOf, say, setPhrase } from "./text.js";
import { clock } from "./words.js";

/** What is recorded at once is counted at once: the figures are asked for this often at most. */
const FIGURES_AGAIN_MS = 1_000;

/** Attempts under way or failed, by exam. @type {Map<string, { pending?: string, problem?: Phrase }>} */
const attempts = new Map();
/** @type {OutcomeFigures | null} */ let figures = null;
let areFiguresKnown = false;
let figuresAskedAt = Number.NEGATIVE_INFINITY;

/** The figures may have changed: they are asked for again when they are shown next. */
export function forgetFigures() {
  areFiguresKnown = false;
}

/** @param {Exam} exam @param {boolean} live @param {() => void} changed */
export function showOutcome(exam, live, changed) {
  setHidden(byId("outcome"), exam.state === "receiving");
  const attempt = attempts.get(exam.key);
  setText(byId("outcome-question"), say(exam.verdict === "suspected" ? "outcome.ask_suspected" : "outcome.ask_other"));
  const problem = attempt?.problem;
  setPhrase(byId("outcome-problem"), problem && { text: "outcome.problem", parameters: { reason: problem } });
  showChoices(exam, live && attempt?.pending === undefined, changed);
  showRecords(exam);
  askFigures(changed);
  setText(byId("outcome-figures"), figures ? figureWords(figures) : "");
  setAttribute(byId("outcome-figures"), "data-cases", figures?.predictive_value.of ?? "");
}

/** @param {Exam} exam @param {boolean} isOpen @param {() => void} changed */
function showChoices(exam, isOpen, changed) {
  const choices = recordsOutcomes() ? exam.outcome_choices : [];
  const keyOf = (/** @type {string} */ choice) => `${exam.key}/${choice}`;
  const create = (/** @type {string} */ choice) => {
    const button = make("button");
    button.type = "button";
    button.dataset.outcome = choice;
    button.addEventListener("click", () => record(exam.key, choice, changed));
    return button;
  };
  const update = (/** @type {HTMLButtonElement} */ button, /** @type {string} */ choice) => {
    setText(button, choiceWords(exam, choice));
    setAttribute(button, "aria-pressed", exam.outcome?.kind === choice);
    button.disabled = !isOpen;
  };
  setHidden(byId("outcome-choices"), choices.length === 0);
  setHidden(byId("outcome-question"), choices.length === 0);
  matchChildren(byId("outcome-choices"), choices, keyOf, create, update);
}

/** Agreement means one thing of "suspected" and another of "not suspected". @param {{ verdict: string | null }} about @param {string} kind */
function choiceWords({ verdict }, kind) {
  if (kind !== "agree") return say(`outcome.${kind}`);
  return say(verdict === "suspected" ? "outcome.agree_suspected" : "outcome.agree_not_suspected");
}

/** Newest first. @param {Exam} exam */
function showRecords(exam) {
  const records = exam.outcomes.map((outcome, place) => ({ outcome, place })).reverse();
  const write = (/** @type {HTMLElement} */ item, /** @type {typeof records[0]} */ { outcome, place }) => {
    const { by, at } = outcome;
    const words = say("outcome.recorded", { outcome: choiceWords(outcome, outcome.kind), by, at: clock(at) });
    const isNewest = place === exam.outcomes.length - 1;
    const isStale = outcome.verdict !== exam.verdict;
    const note = isStale ? say("outcome.earlier_verdict") : isNewest ? "" : say("outcome.replaced");
    setText(item, [words, note].filter(Boolean).join(" · "));
    setAttribute(item, "data-counts", isNewest && !isStale);
  };
  matchChildren(byId("outcome-records"), records, ({ place }) => place, () => make("li"), write);
}

/** @param {string} key @param {string} outcome @param {() => void} changed */
async function record(key, outcome, changed) {
  const by = await signature();
  if (!by) return;
  attempts.set(key, { pending: outcome });
  changed();
  try {
    // What it changes comes as an event, to everybody who watches.
    await recordOutcome(key, outcome, by);
    attempts.delete(key);
    forgetFigures();
  } catch (error) {
    attempts.set(key, { problem: problemOf(error) });
  }
  changed();
}

/** @param {() => void} changed */
async function askFigures(changed) {
  const now = performance.now();
  if (areFiguresKnown || !seesExams() || now - figuresAskedAt < FIGURES_AGAIN_MS) return;
  areFiguresKnown = true;
  figuresAskedAt = now;
  try {
    figures = await getOutcomes();
  } catch {
    // What is not known is not said.
    [figures, areFiguresKnown] = [null, false];
  }
  changed();
}

/** @param {OutcomeFigures} figures */
export function figureWords({ since, counts, predictive_value: value, fewest_cases: fewest }) {
  if (since === null) return say("outcome.none_recorded");
  const percent = (/** @type {number} */ share) => Math.round(share * 100);
  const { count, of } = value;
  const main =
    value.value === null || value.interval === null
      ? say(of === 0 ? "outcome.none_clear" : "outcome.few", { count, of, fewest })
      : say("outcome.share", { percent: percent(value.value), low: percent(value.interval[0]), high: percent(value.interval[1]), count, of });
  const rest = say("outcome.rest", { open: counts.open_alarms, unclear: counts.unclear_alarms, missed: counts.missed });
  return `${main} ${rest} ${say("outcome.since", { day: since.slice(0, 10) })}`;
}
