//! Which engine serves ([`choice`]), and the one in place of the other when an accelerator fails or comes later
//! ([`Serving`]).

pub mod choice;
mod circuit_breaker;
mod engine_state;
mod engine_thread;
#[cfg(test)]
pub(crate) mod fake_accelerator;
mod fallback;
mod lower_priority;
mod pending_accelerator;

pub use circuit_breaker::LoadAccelerator;
pub use engine_state::EngineState;
pub use fallback::Serving;
pub use lower_priority::{lower_priority, lowest_priority};
pub use pending_accelerator::PendingAccelerator;
