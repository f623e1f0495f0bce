//! Pixels of a plane as sets: what is set, what hangs together, what a shape fits into. Knows no patient and no network.

mod mask;

pub use mask::{Mask, Neighbours};
