// The banner: the state of the exam for a reader two metres away, and the same in words for a screen reader.

import { byId, make, matchChildren, setAttribute, setHidden, setIcon, setText } from "./dom.js";
import { joined, setPhrase } from "./text.js";
import { isAcknowledged } from "./verdict.js";
import { destination } from "./words.js";

const banner = byId("banner");

/** `said`: the statements of the exam, gravest first. @param {Exam} exam @param {Statement[]} said */
export function showBanner(exam, said) {
  const [main, ...others] = said;
  writeState(main.kind, main.level, exam.verdict ?? "");
  setAttribute(banner, "data-acknowledged", isAcknowledged(main, exam));
  writeWords(main.phrases);
  writeLines(others.map(({ phrases }) => phrases.line));
  writeProgress(exam);
  announce(said);
}

/** @param {DaemonStatus} status */
export function showEmptyBanner(status) {
  writeState("empty", "empty", "");
  const { title, host, port } = destination(status, location.hostname);
  writeWords({ headline: { text: "banner.no_exam" }, detail: { text: "banner.send_to" } });
  writeLines([
    { text: "banner.ae_title", parameters: { title } },
    { text: "banner.address", parameters: { host } },
    { text: "banner.port", parameters: { port } },
  ]);
  setHidden(byId("banner-progress"), true);
}

/** Before the first answer there is nothing to say, and an empty list would be a lie. */
export function showUnknownBanner() {
  writeState("empty", "empty", "");
  writeWords({ headline: { text: "banner.unknown" }, detail: { text: "banner.waiting" } });
  writeLines([]);
}

/** @param {string} kind @param {string} level @param {string} verdict */
function writeState(kind, level, verdict) {
  setAttribute(banner, "data-kind", kind);
  setAttribute(banner, "data-level", level);
  setAttribute(banner, "data-verdict", verdict);
  setIcon(byId("banner-icon"), kind);
}

/** @param {{ lead?: Phrase, headline: Phrase, detail?: Phrase }} phrases */
function writeWords({ lead, headline, detail }) {
  setPhrase(byId("banner-stage"), lead);
  setPhrase(byId("banner-headline"), headline);
  setPhrase(byId("banner-detail"), detail);
}

/** @param {Phrase[]} lines */
function writeLines(lines) {
  const numbered = lines.map((line, place) => ({ line, place }));
  matchChildren(byId("banner-lines"), numbered, ({ place }) => place, () => make("li"), (item, { line }) => setPhrase(item, line));
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
  setText(byId("announcement"), joined("sentence", said.map(({ announcement }) => announcement)));
}
