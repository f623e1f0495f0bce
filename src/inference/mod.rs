//! From an exam's slices to the evidence of its windows, whoever makes it: an engine on the CPU that is handed windows, or an
//! accelerator on which the slabs lie already ([`Accelerator`]).
//!
//! The CPU keeps every slab's sum, also while an accelerator serves: what lies there is a copy that may be lost at any time.

mod accelerator;
mod planes;
mod window_result;

#[cfg(all(test, feature = "cuda"))]
pub(crate) use accelerator::agrees_with_the_cpu;
pub use accelerator::{ANSWER_TIME, Accelerator, AcceleratorSlices, accelerator_test};
pub use planes::{Planes, StoredSlice};
pub use window_result::{NumberedResult, QueuedWindow, WindowReply, WindowResult, infer_window};
