//! Which slices a slab holds, in eight bytes.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::part10::ImageFile;

/// Names an image within this run of the program, by where it lies: two objects may claim one UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceId(u64);

impl SliceId {
    #[must_use]
    pub fn of(file: &ImageFile) -> Self {
        let mut hasher = DefaultHasher::new();
        file.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// The slices in a slab: the same for the same slices in any order of coming and going. Of two sets of slices it tells whether
/// they are the same one, wherever each of them was counted, but for one chance in 2^64. Names of files are not a sender's to choose.
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
