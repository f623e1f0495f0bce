//! Alert: what people are told. Flags and their life, and their words.

mod flag;
mod flag_text;
mod moment;
mod words;

pub use flag::{AcknowledgeError, Acknowledgement, Flag, FlagKind, FlagState, Flags, Severity};
pub use moment::{FlagEvent, Moment, Seen};
