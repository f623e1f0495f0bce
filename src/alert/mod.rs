//! Alert: what people are told. Flags and their life, and what an exam says, as codes with parameters and in words.

mod flag;
mod flag_text;
mod moment;
mod notice;
mod statement;
mod words;

pub use flag::{AcknowledgeError, Acknowledgement, Flag, FlagKind, Flags};
pub use flag_text::Severity;
pub use moment::{FlagEvent, FlagState, Moment, Seen};
pub use notice::{Notice, NoticeFlag, NoticeStatement, notice_schema};
pub use statement::{Action, AlarmPriority, Basis, Level, Message, Stage, Statement, StatementKind, statements};
