//! Which slices a slab holds, in eight bytes.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

use super::PlaneCentre;
use crate::dicom::ImageFile;

/// Names an image on a plane within this run of the program, by where the image lies, since two objects may claim one UID, and by
/// where the plane does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceId(u64);

impl SliceId {
    #[must_use]
    pub fn of(file: &ImageFile, centre: PlaneCentre) -> Self {
        // Senders choose the UIDs in a file's name: with keys that they knew they could make two sets that look the same.
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(KEYS.hash_one((file, centre)))
    }
}

/// The slices in a slab: the same for the same slices in any order of coming and going. Of two sets of slices it tells whether
/// they are the same one, wherever each of them was counted, but for one chance in 2^64.
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
