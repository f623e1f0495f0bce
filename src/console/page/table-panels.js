// What the table view shows: one panel for the exam on the table, one for each alarm besides, one for each thing that is wrong with
// what is seen or heard. Pure: what is known goes in, panels come out, the most important first.

import { phraseWords, say } from "./text.js";
import { isAcknowledged, statements } from "./verdict.js";
import { clock, destination, personName, waiting } from "./words.js";

/**
 * @typedef {object} Panel
 * @property {string} id stays while the panel says the same thing of the same exam
 * @property {string} kind its icon and colours
 * @property {"medium" | "low" | "none"} alarm how it sounds
 * @property {boolean} asks whether somebody has to do something: it is never dimmed so far that this cannot be read
 * @property {string} who @property {string} about the patient; "" where it is about none
 * @property {string} lead @property {string} headline @property {string} action @property {string} detail @property {string[]} lines
 * @property {{ exam: string, flag: string } | null} press what one press acknowledges
 * @property {string} acknowledged by whom and when
 */

/**
 * All that the view is made from.
 * @typedef {object} Known
 * @property {Exam[]} list newest first @property {Exam | null} onTable
 * @property {"connecting" | "live" | "lost"} connection @property {Date | null} lostSince
 * @property {DaemonStatus | null} status @property {Phrase[]} clockNotices @property {string} soundProblem
 * @property {boolean} seesExams @property {boolean} acknowledges @property {string} host
 */

/** Alarms of other exams shown at once; the others follow as these are acknowledged. */
const MOST_OTHERS = 2;

/** @param {Known} known @returns {Panel[]} */
export function panelsOf(known) {
  const { list, onTable, connection, status } = known;
  if (connection === "connecting") return [plain("unknown", "empty", { headline: say("banner.unknown"), action: say("banner.waiting") })];
  const exam = onTable ? examPanels(onTable, known) : [noExam(known)];
  const [first] = exam;
  const others = list.filter((other) => other !== onTable).flatMap((earlier) => sounding(earlier).map((statement) => ({ earlier, statement })));
  others.sort((one, other) => gravity(one.statement) - gravity(other.statement));
  const { length } = others;
  const shown = others.slice(0, MOST_OTHERS).map(({ earlier, statement }) => statementPanel(earlier, statement, known));
  for (const panel of shown) panel.who = say("table.earlier", { name: panel.who });
  if (length > MOST_OTHERS) shown[MOST_OTHERS - 1].lines = [say("table.more", { count: length - MOST_OTHERS })];
  const faults = faultPanels(known);
  const lost = connection === "lost" ? [lostPanel(known)] : [];
  const isReady = status?.ready !== false;
  // What nobody has seen comes before all but the loss of what is shown; what is wrong comes before what is at rest.
  return first.alarm !== "none" || (isReady && known.soundProblem === "" && length === 0)
    ? [...lost, ...exam, ...shown, ...faults]
    : [...lost, ...shown, ...faults, ...exam];
}

/** What a statement says in words: the one place where the view takes them. @param {Statement} statement */
export function wordsOf({ lead, headline, detail, line, announcement }) {
  return { lead, headline, detail, line, announcement };
}

/** @param {string} id @param {string} kind @param {Partial<Panel>} more @returns {Panel} */
function plain(id, kind, more) {
  const none = { who: "", about: "", lead: "", headline: "", action: "", detail: "", lines: [], press: null, acknowledged: "" };
  return { id, kind, alarm: "none", asks: false, ...none, ...more };
}

/** The gravest statement of the exam on the table; what else of it sounds has panels of its own. @param {Exam} exam @param {Known} known */
function examPanels(exam, known) {
  const [main, ...others] = statements(exam);
  const besides = sounding(exam).filter((statement) => panelId(exam, statement) !== panelId(exam, main));
  const alarms = besides.map((statement) => statementPanel(exam, statement, known));
  const named = new Set(alarms.map(({ id }) => id));
  const lines = others.filter((other) => !named.has(panelId(exam, other))).map((other) => wordsOf(other).line);
  return [{ ...statementPanel(exam, main, known), lines }, ...alarms];
}

/** What nobody has acknowledged. @param {Exam} exam */
const sounding = (exam) => statements(exam).filter((statement) => statement.alarm !== "none" && !isAcknowledged(statement, exam));

/** Least of what comes first: a suspicion, then what sounds as loud as one, then the rest. @param {Statement} statement */
const gravity = ({ level, alarm }) => (alarm === "low" ? 2 : level === "alarm" ? 0 : 1);

/** @param {Exam} exam @param {Statement} statement */
const panelId = (exam, { code, flag }) => `${exam.key}/${flag ?? code}`;

/** @param {Exam} exam @param {Statement} statement @param {Known} known @returns {Panel} */
function statementPanel(exam, statement, known) {
  const { lead, headline, detail } = wordsOf(statement);
  const flag = exam.flags.find(({ id }) => id === statement.flag) ?? null;
  const seen = flag?.acknowledged ?? null;
  return plain(panelId(exam, statement), statement.kind, {
    alarm: seen ? "none" : statement.alarm,
    asks: ["alarm", "warning", "notice"].includes(statement.level),
    who: personName(exam.patient.name),
    about: [exam.patient.sex, exam.scanner, say("page.started", { time: clock(exam.started) }), waiting(exam)].filter(Boolean).join(" · "),
    lead,
    headline,
    action: say(`table.action_${statement.action}`),
    detail,
    press: flag && !seen && known.acknowledges ? { exam: exam.key, flag: flag.id } : null,
    acknowledged: seen ? say("flags.acknowledged", { by: seen.by, at: clock(seen.at) }) : "",
  });
}

/** @param {Known} known */
function noExam({ status, seesExams, host }) {
  if (!seesExams) return plain("none", "empty", { headline: say("table.no_patients"), action: say("table.no_patients_action") });
  const { title = "", host: to = "", port = "" } = status ? destination(status, host) : {};
  const lines = [say("banner.ae_title", { title }), say("banner.address", { host: to }), say("banner.port", { port })];
  return plain("none", "empty", { headline: say("banner.no_exam"), action: say("banner.send_to"), lines });
}

/** @param {Known} known */
function lostPanel({ lostSince }) {
  const detail = say("table.lost_since", { time: clock(lostSince) });
  return plain("lost", "lost", { asks: true, headline: say("page.connection_lost"), action: say("table.lost_action"), detail });
}

/** @param {Known} known */
function faultPanels({ status, clockNotices, soundProblem }) {
  const panels = [];
  if (soundProblem) {
    panels.push(plain("no_sound", "no_sound", { asks: true, headline: say("sound.no_sound"), action: say(`sound.${soundProblem}`) }));
  }
  const problems = (status?.problem_phrases ?? []).map(phraseWords);
  if (status?.ready === false) {
    panels.push(plain("fault", "fault", { asks: true, headline: say("table.not_ready"), action: say("table.not_ready_action"), lines: problems }));
  } else if (problems.length > 0) {
    panels.push(plain("fault", "fault", { asks: true, headline: say("table.problem"), lines: problems }));
  }
  const notices = [...clockNotices, ...(status?.notice_phrases ?? [])].map(phraseWords);
  if (clockNotices.length > 0) panels.push(plain("clock", "fault", { asks: true, headline: say("table.clock"), lines: notices }));
  return panels;
}

/** What a screen reader says: the statements of the exam on the table, and what is wrong. @param {Panel[]} panels @param {Exam | null} onTable */
export function announcementOf(panels, onTable) {
  const said = onTable ? statements(onTable).map((statement) => wordsOf(statement).announcement) : [];
  const others = panels.filter(({ asks, id }) => asks && !(onTable && id.startsWith(onTable.key)));
  return [...others.map(({ who, headline }) => [who, headline].filter(Boolean).join(": ")), ...said].filter(Boolean).join(". ");
}
