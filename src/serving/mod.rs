//! Which engine serves ([`choice`]), and the one in place of the other when an accelerator fails or comes later
//! ([`Serving`]).

pub mod choice;
mod fallback;
mod lower_priority;

pub use fallback::{EngineState, PendingAccelerator, Serving};
pub use lower_priority::lower_priority;
