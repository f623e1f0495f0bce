// The measurements of the exam, and its report once it is complete. A value that is not there is a dash, never nought.

import { byId, make, matchChildren, setHidden, setText } from "./dom.js";
import { hasVerdict } from "./verdict.js";
import { percent, quantity } from "./words.js";

/** Lesions that the report lists, largest first; its text has them all. */
const LISTED_LESIONS = 5;

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

function scoreNote({ state, score, threshold }) {
  const receiving = state === "receiving";
  const standing = score === null ? "none" : receiving ? "so far" : "final";
  const early = receiving ? `early flag from ${quantity(threshold.early, 2)}, ` : "";
  return `${standing}; ${early}suspected from ${quantity(threshold.suspected, 2)}`;
}

function slicesNote({ analysed, kept, failed, refused, expected }) {
  return [
    `${analysed} analysed`,
    kept > 0 && `${kept} kept aside`,
    failed > 0 && `${failed} failed`,
    refused > 0 && `${refused} refused`,
    expected === null && "number expected unknown",
  ].filter(Boolean).join(", ");
}

/** The zones are thirds of whole lungs: they are scored with the verdict. */
function shareNote(lesions, report) {
  return [
    lesions && `${percent(lesions.high_opacity_share)} above −200 HU`,
    report?.zone_score && `zone score ${report.zone_score.total} of 24`,
  ].filter(Boolean).join(", ");
}

function showLength({ z_mm: range, slabs }) {
  setText(byId("scan-length"), range ? quantity(range[1] - range[0], 0, "mm") : "–");
  const place = range ? `z ${quantity(range[0], 0)} to ${quantity(range[1], 0)} mm, ` : "";
  setText(byId("scan-note"), `${place}${slabs === 1 ? "1 slab" : `${slabs} slabs`}`);
}

export function showReport(exam, report) {
  const reason = exam && hasVerdict(exam) ? exam.reason : "";
  setHidden(byId("report"), !report && !reason);
  setText(byId("report-reason"), reason);
  const quality = report?.quality ?? [];
  setHidden(byId("report-quality"), quality.length === 0);
  matchChildren(byId("report-quality"), quality, ({ text }) => text, () => make("li"), (item, { text }) => setText(item, text));
  const lesions = (report?.lesions ?? []).slice(0, LISTED_LESIONS).map((lesion, place) => ({ lesion, place }));
  const write = (item, { lesion }) => setText(item, lesionWords(lesion));
  matchChildren(byId("report-lesions"), lesions, ({ place }) => place, () => make("li"), write);
  setHidden(byId("report-details"), !report);
  setText(byId("report-text"), report ? JSON.stringify(report, null, 2) : "");
}

function lesionWords({ volume_ml, zone, largest_extent_mm, mean_hu, ground_glass_share, consolidation_share }) {
  return [
    `${zone.replace("_", " ")}, ${quantity(volume_ml, 1, "mL")}`,
    `${quantity(largest_extent_mm, 0, "mm")} across`,
    `mean ${quantity(mean_hu, 0, "HU")}`,
    `${percent(ground_glass_share)} ground glass`,
    `${percent(consolidation_share)} consolidation`,
  ].join(", ");
}
