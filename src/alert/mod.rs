//! Alert: what people are told. Flags and their life, and the hub that keeps and spreads them.

mod flag;
mod hub;
mod moment;
mod store;
mod view;

pub use flag::{AcknowledgeError, Acknowledgement, Flag, FlagKind, FlagState, Flags, Severity};
pub use hub::{Event, Hub};
pub use moment::{FlagEvent, Moment, Seen};
pub use store::{Store, StoreError};
pub use view::{Record, ShownExam, ShownSlab};
