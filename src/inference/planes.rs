//! Slices into the model's plane: on the accelerator while one serves, which adds them to their slabs; else on the CPU.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::AcceleratorSlices;
use crate::dicom::ImageFile;
use crate::exam::{PlaneCentre, SeriesKey, SlabIndex, SliceHeader, SliceId};
use crate::preprocess::{HounsfieldImage, InPlane, InputGeometry, Plane, StoredImage};

/// A slice as stored, and where it belongs.
#[derive(Debug)]
pub struct StoredSlice {
    pub series: SeriesKey,
    pub slab: SlabIndex,
    pub id: SliceId,
    pub image: StoredImage,
    pub in_plane: InPlane,
}

impl StoredSlice {
    /// A slice of a series, whose image lies in this file, on the plane about this place.
    #[must_use]
    pub fn new(
        series: SeriesKey,
        slice: &SliceHeader,
        file: &ImageFile,
        centre: PlaneCentre,
        image: StoredImage,
        input: &InputGeometry,
    ) -> Self {
        Self {
            series,
            slab: SlabIndex::of(slice.geometry.z_mm, input.slab_mm),
            id: SliceId::of(file, centre),
            image,
            in_plane: slice.geometry.on_plane(centre),
        }
    }
}

/// Makes planes of slices; cheap to clone.
#[derive(Clone)]
pub struct Planes {
    input: InputGeometry,
    accelerator: Arc<Mutex<Option<Arc<dyn AcceleratorSlices>>>>,
}

impl Planes {
    /// On the CPU as long as there is no accelerator.
    #[must_use]
    pub fn new(input: &InputGeometry) -> Self {
        Self { input: input.clone(), accelerator: Arc::default() }
    }

    /// What the planes are of.
    #[must_use]
    pub fn input(&self) -> &InputGeometry {
        &self.input
    }

    pub fn set_accelerator(&self, accelerator: Option<Arc<dyn AcceleratorSlices>>) {
        *self.lock() = accelerator;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<dyn AcceleratorSlices>>> {
        self.accelerator.lock()
    }

    /// The plane of a slice whose Hounsfield units are these: the same bits wherever it is made. An accelerator that fails is
    /// asked no more; the analysis learns of the failure when it hands over the next window.
    #[must_use]
    pub fn plane(&self, slice: StoredSlice, hounsfield: &HounsfieldImage) -> Plane {
        let in_plane = slice.in_plane;
        self.on_accelerator(slice).unwrap_or_else(|| Plane::resample(hounsfield, &in_plane, &self.input))
    }

    fn on_accelerator(&self, slice: StoredSlice) -> Option<Plane> {
        // Decoders wait for their slices beside each other, not for the lock.
        let accelerator = self.lock().clone()?;
        accelerator.plane(slice).unwrap_or_else(|error| {
            tracing::warn!(%error, "a slice did not come back from the GPU");
            let mut present = self.lock();
            if present.as_ref().is_some_and(|present| Arc::ptr_eq(present, &accelerator)) {
                *present = None;
            }
            None
        })
    }
}
