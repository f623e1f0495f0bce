// The measurements of the exam, and its report once it is complete. A value that is not there is a dash, never nought.

import { byId, make, matchChildren, setHidden, setText, within } from "./dom.js";
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
  setText(byId("lesion-note"), lesions && !hasVerdict(exam) ? "so far" : "");
  setText(byId("lesion-share"), percent(lesions?.lung_share));
  setText(byId("lesion-share-note"), shareNote(lesions, hasVerdict(exam) ? report : null));
  showLength(exam);
}

/** @param {Exam} exam */
function scoreNote({ state, score, threshold }) {
  const receiving = state === "receiving";
  const standing = score === null ? "none" : receiving ? "so far" : "final";
  const early = receiving ? `early flag from ${quantity(threshold.early, 2)}, ` : "";
  return `${standing}; ${early}suspected from ${quantity(threshold.suspected, 2)}`;
}

/** @param {Exam["slices"]} slices */
function slicesNote({ analysed, kept, failed, refused, expected }) {
  return [
    `${analysed} analysed`,
    kept > 0 && `${kept} kept aside`,
    failed > 0 && `${failed} failed`,
    refused > 0 && `${refused} refused`,
    expected === null && "number expected unknown",
  ].filter(Boolean).join(", ");
}

/** The zones are thirds of whole lungs: they are scored with the verdict. @param {Exam["lesions"]} lesions @param {Report | null} report */
function shareNote(lesions, report) {
  return [
    lesions && `${percent(lesions.high_opacity_share)} above −200 HU`,
    report?.zone_score && `zone score ${report.zone_score.total} of 24`,
  ].filter(Boolean).join(", ");
}

/** @param {Exam} exam */
function showLength({ z_mm: range, slabs }) {
  setText(byId("scan-length"), range ? quantity(range[1] - range[0], 0, "mm") : "–");
  const place = range ? `z ${quantity(range[0], 0)} to ${quantity(range[1], 0)} mm, ` : "";
  setText(byId("scan-note"), `${place}${slabs === 1 ? "1 slab" : `${slabs} slabs`}`);
}

/** `goTo(z)` shows the slice at a height. @param {Exam} exam @param {Report | null} report @param {(z: number) => void} goTo */
export function showReport(exam, report, goTo) {
  const reason = exam && hasVerdict(exam) ? exam.reason : "";
  setHidden(byId("report"), !report && !reason);
  setText(byId("report-reason"), reason);
  const quality = report?.quality ?? [];
  setHidden(byId("report-quality"), quality.length === 0);
  matchChildren(byId("report-quality"), quality, ({ text }) => text, (issue) => makeIssue(issue, goTo), writeIssue);
  setHidden(byId("report-details"), !report);
  setText(byId("report-text"), report ? JSON.stringify(report, null, 2) : "");
}

/** @param {QualityIssue} issue @param {(z: number) => void} goTo */
function makeIssue({ z_mm: z }, goTo) {
  const item = make("li");
  item.append(make("span"));
  if (typeof z !== "number") return item;
  const button = make("button", "", `z ${quantity(z, 0, "mm")}`);
  button.type = "button";
  button.title = "Show the slice";
  button.addEventListener("click", () => goTo(z));
  item.append(" ", button);
  return item;
}

/** @param {Element} item @param {QualityIssue} issue */
function writeIssue(item, { text }) {
  setText(within(item, "span"), text);
}
