// What the daemon says of an exam, as every view that shows a state (banner, list, title of the page, sound) asks for it. What is
// said, how grave it is and in which words is decided by the daemon (`alert::statement`): nothing is decided here.

import { phraseWords } from "./text.js";

/** What was said of exams in the language of the page. @type {WeakMap<Exam, Statement[]>} */
const known = new WeakMap();

/** All that there is to say of an exam, gravest first; at least one. Its words are in the language of the page. @param {Exam} exam @returns {Statement[]} */
export function statements(exam) {
  const said = known.get(exam) ?? exam.statements.map(inOwnLanguage);
  known.set(exam, said);
  return said;
}

/** @param {Statement} statement @returns {Statement} */
function inOwnLanguage(statement) {
  const { lead, headline, detail, badge, line, announcement } = statement.phrases;
  return {
    ...statement,
    lead: phraseWords(lead),
    headline: phraseWords(headline),
    detail: phraseWords(detail),
    badge: phraseWords(badge),
    line: phraseWords(line),
    announcement: phraseWords(announcement),
  };
}

/** An exam that trails has a verdict that stands, although more comes: it lies beyond the lungs. @param {Exam} exam */
export const hasVerdict = (exam) => exam.stage !== "preliminary";

/** A flag that has been withdrawn asks for nothing any more; one that is pending asks for nothing until the next verdict. @param {Flag} flag */
export const isOpen = (flag) => flag.open;

/** @param {Flag} flag */
export const needsAcknowledging = (flag) => isOpen(flag) && flag.severity === "alarm" && !flag.acknowledged;

/** Whether somebody has seen the flag that makes the statement. The flag is asked: this page learns of a press first there. @param {Statement} statement @param {Exam} exam */
export function isAcknowledged(statement, exam) {
  return exam.flags.some(({ id, acknowledged }) => id === statement.flag && Boolean(acknowledged));
}
