// What the daemon says of an exam, as every view that shows a state (banner, list, title of the page, sound) asks for it. What is
// said, how grave it is and in which words is decided by the daemon (`alert::statement`): nothing is decided here.

import { phraseWords } from "./text.js";

/** All that there is to say of an exam, gravest first; at least one. Badges are in the language of the page. @param {Exam} exam @returns {Statement[]} */
export const statements = (exam) => exam.statements.map((said) => ({ ...said, badge: phraseWords(said.phrases.badge) }));

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
