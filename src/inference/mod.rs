//! From an exam's slices to the evidence of its windows, whoever makes it: an engine on the CPU that is handed windows, or a card
//! on which the slabs lie already ([`Card`]). [`Serving`] is what the analysis asks; it knows which of them serves and what to do
//! when the card fails.
//!
//! The CPU keeps every slab's sum, also while a card serves: what lies on the card is a copy that may be lost at any time.

mod card;
mod judge;
mod planes;
mod serving;

#[cfg(all(test, feature = "cuda"))]
pub(crate) use card::agrees_with_the_cpu;
pub use card::{Card, CardSlices, card_test};
pub use judge::{DueWindow, Judged, judge_window};
pub use planes::{Planes, StoredSlice};
pub use serving::{Coming, EngineState, Serving};
