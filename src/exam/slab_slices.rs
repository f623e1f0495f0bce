//! Which slices a slab holds, in eight bytes.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Names an image of an instance within this run of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceId(u64);

impl SliceId {
    /// Of the `frame`-th image of an instance, from 0.
    #[must_use]
    pub fn of(sop_instance_uid: &str, frame: usize) -> Self {
        let mut hasher = DefaultHasher::new();
        (sop_instance_uid, frame).hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// The slices in a slab: the same for the same slices in any order of coming and going. Of two sets of slices it tells whether
/// they are the same one but for one chance in 2^64, wherever each of them was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SlabSlices(u64);

impl SlabSlices {
    pub fn add(&mut self, slice: SliceId) {
        self.0 = self.0.wrapping_add(slice.0);
    }

    pub fn remove(&mut self, slice: SliceId) {
        self.0 = self.0.wrapping_sub(slice.0);
    }
}
