//! Alert: what people are told. Flags and their life.

mod flag;
mod moment;

pub use flag::{AcknowledgeError, Acknowledgement, Flag, FlagKind, FlagState, Flags, Severity};
pub use moment::{FlagEvent, Moment, Seen};
