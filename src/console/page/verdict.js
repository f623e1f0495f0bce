// What an exam says to the technician. Pure: an exam in, statements out, worst first. Every view that shows a state
// (banner, list, title of the page) takes it from here, so that they cannot disagree.
//
// A statement has: kind (its icon and colour), level, stage, headline, detail, badge (for the list), acknowledged;
// and line and announcement where those are not made of headline and detail.

import { progress, slices } from "./words.js";

const LEVELS = ["alarm", "warning", "notice", "receiving", "neutral"];
const KINDS = ["suspected", "abnormal", "rescan", "not_analysed", "withdrawn", "receiving", "not_suspected"];

/** An exam that trails has a verdict that stands, although more comes: it lies beyond the lungs. */
export const hasVerdict = (exam) => exam.state === "complete" || exam.state === "trailing";

/** A flag that has been withdrawn asks for nothing any more; one that is pending asks for nothing until the next verdict. */
export const isOpen = (flag) => flag.state !== "withdrawn" && flag.state !== "pending";

export const needsAcknowledging = (flag) => isOpen(flag) && flag.severity === "alarm" && !flag.acknowledged;

/** All that there is to say of an exam, worst first. There is always at least one statement. */
export function statements(exam) {
  const ofOpenFlag = (flag) => ofFlag(flag, exam);
  const said = [...exam.flags.filter(isOpen).map(ofOpenFlag), ...ofVerdict(exam), ...ofWithdrawn(exam), ...ofShortfall(exam)];
  return said.sort((one, other) => rank(one) - rank(other));
}

function rank({ level, kind, acknowledged }) {
  return LEVELS.indexOf(level) * 100 + KINDS.indexOf(kind) * 10 + (acknowledged ? 1 : 0);
}

/** A severity or kind that this console does not know is still shown, as a warning. */
function ofFlag(flag, exam) {
  const level = ["alarm", "warning", "notice"].includes(flag.severity) ? flag.severity : "warning";
  const kind = ["suspected", "abnormal", "rescan", "not_analysed"].includes(flag.kind) ? flag.kind : "not_analysed";
  const acknowledged = Boolean(flag.acknowledged);
  // The text of a flag of the verdict is the headline and then the reason.
  const isOfVerdict = flag.state === "final" || flag.state === "confirmed";
  const detail = isOfVerdict && flag.kind === exam.verdict && exam.reason ? exam.reason : flag.text;
  const common = { kind, level, detail, acknowledged };
  if (flag.kind === "suspected") return { ...common, ...suspected(exam, flag) };
  if (flag.kind === "abnormal") return { ...common, ...ABNORMAL };
  if (flag.kind === "rescan") return { ...common, ...rescan(level, flag.remedy) };
  if (flag.kind === "not_analysed") return { ...common, ...NOT_ANALYSED };
  return { ...common, stage: "", headline: "Look at the flags", badge: "Flagged" };
}

function suspected(exam, flag) {
  const early = flag?.state === "early";
  const since = exam.state === "receiving" ? "the scan goes on" : "neither confirmed nor withdrawn";
  const stage = early ? `Early: after ${slices(flag.after_slices)}, ${since}` : basis(exam);
  return { stage, headline: "COVID-19 pneumonia suspected: isolate", badge: early ? "Suspected, early" : "Suspected" };
}

function basis(exam) {
  return exam.state === "trailing" ? "On the whole lungs, the scan goes on" : "On the whole scan";
}

/** A rescan is a dose: it is the headline only where nothing else is to be tried first. */
function rescan(level, remedy) {
  if (level === "notice") return { stage: "", headline: "Check the scan", badge: "Check scan" };
  if (remedy === "send_again_or_rescan") return { stage: "", headline: "Send again before the patient leaves", badge: "Send again" };
  return { stage: "", headline: "Rescan before the patient leaves", badge: "Rescan" };
}

const ABNORMAL = { stage: "This is not a negative", headline: "Abnormal, not assessed: a radiologist must look", badge: "Abnormal" };

const NOT_ANALYSED = { stage: "This is not a negative", headline: "Not analysed", badge: "Not analysed" };

function ofVerdict(exam) {
  const flagged = (kind) => exam.flags.some((flag) => flag.kind === kind && isOpen(flag));
  switch (exam.verdict) {
    case "suspected":
      if (flagged("suspected")) return [];
      return [{ kind: "suspected", level: "alarm", detail: exam.reason, ...suspected(exam) }];
    case "abnormal":
      if (flagged("abnormal")) return [];
      return [{ kind: "abnormal", level: "warning", detail: exam.reason, ...ABNORMAL }];
    case "not_analysed":
      if (flagged("not_analysed")) return [];
      return [{ kind: "not_analysed", level: "warning", detail: exam.reason, ...NOT_ANALYSED }];
    case "not_suspected":
      return hasVerdict(exam) ? [notSuspected(exam)] : [receiving(exam)];
    default:
      return exam.state === "receiving" ? [receiving(exam)] : [noVerdict(exam)];
  }
}

function notSuspected(exam) {
  return {
    kind: "not_suspected",
    level: "neutral",
    stage: `On the ${slices(exam.slices.analysed)} analysed`,
    headline: "COVID-19 pneumonia not suspected",
    line: `COVID-19 pneumonia not suspected on the ${slices(exam.slices.analysed)} analysed.`,
    detail: ["Nothing else is looked for.", exam.reason].filter(Boolean).join(" "),
    badge: "Not suspected",
  };
}

function receiving(exam) {
  const again = exam.verdict ? "More slices came: the verdict is open again" : "No verdict yet";
  return {
    kind: "receiving",
    level: "receiving",
    stage: again,
    headline: `Receiving: ${progress(exam.slices)}`,
    announcement: "Receiving",
    detail: `${exam.slices.analysed} analysed.`,
    badge: "Receiving",
  };
}

function noVerdict(exam) {
  return {
    kind: "not_analysed",
    level: "warning",
    stage: "This is not a negative",
    headline: "No verdict",
    detail: exam.reason || "The exam is over and Tableside has no verdict: treat it as not analysed.",
    badge: "No verdict",
  };
}

/** Somebody may have isolated the patient, so a withdrawn suspicion stands before a verdict of not suspected. */
function ofWithdrawn(exam) {
  return exam.flags.filter((flag) => flag.kind === "suspected" && !isOpen(flag)).map((flag) => ({
    kind: "withdrawn",
    level: hasVerdict(exam) ? "notice" : "receiving",
    stage: hasVerdict(exam) ? basis(exam) : "",
    headline: "Suspicion withdrawn",
    detail: flag.text,
    badge: "Withdrawn",
  }));
}

/** Slices that failed or never came keep "not suspected" from reading as clear, even where no flag says so. */
function ofShortfall(exam) {
  if (exam.verdict !== "not_suspected" || exam.state !== "complete") return [];
  const { failed, received, expected } = exam.slices;
  const missing = expected === null ? 0 : Math.max(0, expected - received);
  const parts = [
    failed > 0 && `${slices(failed)} could not be analysed`,
    missing > 0 && `${slices(missing)} missing`,
  ].filter(Boolean);
  const flagged = exam.flags.some((flag) => flag.kind === "rescan" && isOpen(flag));
  if (parts.length === 0 || flagged) return [];
  return [{ kind: "rescan", level: "notice", detail: `${parts.join(", ")}.`, ...rescan("notice") }];
}
