// The banner: the state of the exam for a reader two metres away, and the same in words for a screen reader.

import { byId, make, matchChildren, setAttribute, setHidden, setIcon, setText } from "./dom.js";
import { isAcknowledged } from "./verdict.js";
import { destination } from "./words.js";

const banner = byId("banner");

/** `said`: the statements of the exam, gravest first. @param {Exam} exam @param {Statement[]} said */
export function showBanner(exam, said) {
  const [main, ...others] = said;
  writeState(main.kind, main.level, exam.verdict ?? "");
  setAttribute(banner, "data-acknowledged", isAcknowledged(main, exam));
  writeWords(main.lead, main.headline, main.detail);
  writeLines(others.map(({ line }) => line));
  writeProgress(exam);
  announce(said);
}

/** @param {DaemonStatus} status */
export function showEmptyBanner(status) {
  writeState("empty", "empty", "");
  const { title, host, port } = destination(status, location.hostname);
  writeWords("", "No exam yet", "Send the chest-CT slices from the scanner, as they are reconstructed, to:");
  writeLines([`AE title ${title}`, `Address ${host}`, `Port ${port}`]);
  setHidden(byId("banner-progress"), true);
}

/** Before the first answer there is nothing to say, and an empty list would be a lie. */
export function showUnknownBanner() {
  writeState("empty", "empty", "");
  writeWords("", "Nothing known yet", "Waiting for Tableside to answer.");
  writeLines([]);
}

/** @param {string} kind @param {string} level @param {string} verdict */
function writeState(kind, level, verdict) {
  setAttribute(banner, "data-kind", kind);
  setAttribute(banner, "data-level", level);
  setAttribute(banner, "data-verdict", verdict);
  setIcon(byId("banner-icon"), kind);
}

/** @param {string} lead @param {string} headline @param {string} detail */
function writeWords(lead, headline, detail) {
  setText(byId("banner-stage"), lead);
  setText(byId("banner-headline"), headline);
  setText(byId("banner-detail"), detail);
}

/** @param {string[]} lines */
function writeLines(lines) {
  const numbered = lines.map((text, place) => ({ text, place }));
  matchChildren(byId("banner-lines"), numbered, ({ place }) => place, () => make("li"), (item, { text }) => setText(item, text));
}

/** @param {Exam} exam */
function writeProgress({ state, slices }) {
  const bar = byId("banner-progress");
  setHidden(bar, state !== "receiving");
  if (slices.expected === null) {
    bar.removeAttribute("value");
  } else {
    setAttribute(bar, "max", Math.max(1, slices.expected));
    setAttribute(bar, "value", slices.received);
  }
}

/** @param {Statement[]} said */
function announce(said) {
  const words = said.map(({ announcement }) => announcement).filter(Boolean).join(". ");
  setText(byId("announcement"), words);
}
