//! Alert: what people are told. Flags and their life, what an exam says, as codes with parameters and in words, how urgent it is, and what
//! became of its verdict.

mod flag;
mod flag_text;
#[cfg(test)]
pub(crate) mod made;
mod moment;
mod notice;
mod outcome;
mod statement;
mod urgency;
mod words;

pub use flag::{AcknowledgeError, Acknowledgement, Flag, FlagKind, Flags};
pub use flag_text::Severity;
pub use moment::{FlagEvent, FlagState, Moment, Seen};
pub use notice::{Notice, NoticeFlag, NoticeStatement, notice_schema};
pub use outcome::{CaseOutcome, FEWEST_CASES, OutcomeCounts, OutcomeError, OutcomeKind, Outcomes, PredictiveValue};
pub use statement::{Action, AlarmPriority, Basis, Level, Message, Stage, Statement, StatementKind, statements};
pub use urgency::{Ask, LONGEST_WAIT, Standing, Urgency, UrgencyClass, in_order};
