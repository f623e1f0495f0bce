// The measurements of the exam, and its report once it is complete. A value that is not there is a dash, never nought.

import { byId, make, matchChildren, setHidden, setText, within } from "./dom.js";
import { joined, say, setPhrase } from "./text.js";
import { hasVerdict } from "./verdict.js";
import { percent, quantity } from "./words.js";

/** @param {Exam} exam @param {Report | null} report */
export function showFigures(exam, report) {
  const { slices, lesions } = exam;
  setText(byId("score"), quantity(exam.score, 2));
  setText(byId("score-note"), scoreNote(exam));
  setText(byId("slices-received"), String(slices.received));
  setText(byId("slices-expected"), slices.expected === null ? "" : ` / ${slices.expected}`);
  setText(byId("slices-note"), slicesNote(slices));
  setText(byId("lesion-count"), lesions ? String(lesions.count) : "–");
  setText(byId("lesion-volume"), quantity(lesions?.volume_ml, 1, "mL"));
  setText(byId("lesion-note"), lesions && !hasVerdict(exam) ? say("figures.so_far") : "");
  setText(byId("lesion-share"), percent(lesions?.lung_share));
  setText(byId("lesion-share-note"), shareNote(lesions, hasVerdict(exam) ? report : null));
  showLength(exam);
}

/** @param {Exam} exam */
function scoreNote({ state, score, threshold }) {
  const receiving = state === "receiving";
  const early = receiving && say("figures.early_from", { score: quantity(threshold.early, 2) });
  const first = say(score === null ? "figures.no_score" : receiving ? "figures.so_far" : "figures.final");
  const rest = joined("comma", [early, say("figures.suspected_from", { score: quantity(threshold.suspected, 2) })]);
  return say("join.semicolon", { first, rest });
}

/** @param {Exam["slices"]} slices */
function slicesNote({ analysed, kept, failed, refused, expected }) {
  return joined("comma", [
    say("figures.analysed", { count: analysed }),
    kept > 0 && say("figures.kept", { count: kept }),
    failed > 0 && say("figures.failed", { count: failed }),
    refused > 0 && say("figures.refused", { count: refused }),
    expected === null && say("figures.expected_unknown"),
  ]);
}

/** The zones are thirds of whole lungs: they are scored with the verdict. @param {Exam["lesions"]} lesions @param {Report | null} report */
function shareNote(lesions, report) {
  return joined("comma", [
    lesions && say("figures.high_opacity", { share: percent(lesions.high_opacity_share) }),
    report?.zone_score && say("figures.zone_score", { total: report.zone_score.total }),
  ]);
}

/** @param {Exam} exam */
function showLength({ z_mm: range, slabs }) {
  setText(byId("scan-length"), range ? quantity(range[1] - range[0], 0, "mm") : "–");
  const place = range && say("figures.range", { from: quantity(range[0], 0), to: quantity(range[1], 0) });
  setText(byId("scan-note"), joined("comma", [place, say("figures.slabs", { count: slabs })]));
}

/** `goTo(z)` shows the slice at a height. @param {Exam} exam @param {Report | null} report @param {(z: number) => void} goTo */
export function showReport(exam, report, goTo) {
  const reason = hasVerdict(exam) ? exam.phrases.reason : null;
  setHidden(byId("report"), !report && !reason);
  setPhrase(byId("report-reason"), reason);
  const quality = report?.quality ?? [];
  setHidden(byId("report-quality"), quality.length === 0);
  matchChildren(byId("report-quality"), quality, ({ text }) => text, (issue) => makeIssue(issue, goTo), writeIssue);
  setHidden(byId("report-details"), !report);
  setText(byId("report-text"), report ? JSON.stringify(report, withoutPhrases, 2) : "");
}

/** What phrases say stands beside them in English. @param {string} key @param {unknown} value */
const withoutPhrases = (key, value) => (["phrase", "reason_phrase"].includes(key) ? undefined : value);

/** @param {QualityIssue} issue @param {(z: number) => void} goTo */
function makeIssue({ z_mm: z }, goTo) {
  const item = make("li");
  item.append(make("span"));
  if (typeof z !== "number") return item;
  const button = make("button", "", `z ${quantity(z, 0, "mm")}`);
  button.type = "button";
  button.title = say("report.show_slice");
  button.addEventListener("click", () => goTo(z));
  item.append(" ", button);
  return item;
}

/** @param {Element} item @param {QualityIssue} issue */
function writeIssue(item, { phrase }) {
  setPhrase(within(item, "span"), phrase);
}
