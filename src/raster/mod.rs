//! Pixels of a plane as sets: which are set, which are connected, where a shape fits. Knows no patient and no model.

mod mask;
mod outline;
mod packed;
mod regions;

pub use mask::{Mask, Neighbours};
pub use outline::{Outline, outlines};
pub use packed::PackedMask;
pub(crate) use regions::label;
pub use regions::{Adjacency, Layer, PixelRun, RegionAt, Regions, components};
