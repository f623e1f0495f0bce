// The banner: the state of the exam for a reader two metres away, and the same in words for a screen reader.

import { byId, make, matchChildren, setAttribute, setHidden, setIcon, setText } from "./dom.js";
import { isAcknowledged } from "./verdict.js";
import { destination } from "./words.js";

const banner = byId("banner");

/** `said`: the statements of the exam, gravest first. */
export function showBanner(exam, said) {
  const [main, ...others] = said;
  writeState(main.kind, main.level, exam.verdict ?? "");
  setAttribute(banner, "data-acknowledged", isAcknowledged(main, exam));
  writeWords(main.lead, main.headline, main.detail);
  writeLines(others.map(({ line }) => line));
  writeProgress(exam);
  announce(said);
}

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

function writeState(kind, level, verdict) {
  setAttribute(banner, "data-kind", kind);
  setAttribute(banner, "data-level", level);
  setAttribute(banner, "data-verdict", verdict);
  setIcon(byId("banner-icon"), kind);
}

function writeWords(lead, headline, detail) {
  setText(byId("banner-stage"), lead);
  setText(byId("banner-headline"), headline);
  setText(byId("banner-detail"), detail);
}

function writeLines(lines) {
  const numbered = lines.map((text, place) => ({ text, place }));
  const placeOf = ({ place }) => place;
  matchChildren(byId("banner-lines"), numbered, placeOf, () => make("li"), (item, { text }) => setText(item, text));
}

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

function announce(said) {
  const words = said.map(({ announcement }) => announcement).filter(Boolean).join(". ");
  setText(byId("announcement"), words);
}
