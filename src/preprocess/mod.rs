//! From a slice's Hounsfield units to the model's window: the specification on the CPU.
//!
//! 0. Padding is air, and an image that lies turned in the patient's axial plane is made upright ([`StoredImage`], [`upright`]).
//! 1. Hounsfield units are clamped to the model's window and scaled to 0..=1 ([`Plane::resample`]); clamping comes
//!    first, so that padding values far outside do not bleed into their neighbours.
//! 2. The slice is resampled to the model's plane: square pixels of `pixel_mm` about one place of the patient for the whole
//!    series ([`crate::exam::PlaneCentre`]), each slice by its own position, columns running from the patient's right to the left
//!    (+x of LPS), rows from anterior to posterior (+y). The filter is a triangle whose half-width is the wider of the two pixel distances, so that nothing aliases. Outside the image is air.
//! 3. The values are rounded to 65,536 levels. A slab is the mean of its slices ([`SlabSum`]).
//! 4. A [`Window`] is a slab between its neighbours, in ascending z.

mod body_centre;
mod resample;
mod rotation;
mod stored;
mod tissue;

pub use body_centre::body_centre_mm;
pub use resample::{InPlane, SourceAxis, Taps, taps};
pub use rotation::{InPlaneRotation, upright};
pub use stored::{FEWEST_VALUES, HounsfieldImage, NO_MEASUREMENT, Padding, StoredImage};
pub use tissue::TissueCells;

use serde::{Deserialize, Serialize};

/// What a window is: its channels are slabs in ascending z, its plane is square to the patient (see the module's
/// specification). A part of the model's manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputGeometry {
    /// The name of the model's input.
    pub name: String,
    /// Slabs in a window: the one that is inferred and its neighbours on either side.
    pub slabs: usize,
    /// Thickness of a bin of the absolute z grid, mm.
    pub slab_mm: f64,
    pub rows: usize,
    pub columns: usize,
    /// Distance of pixel centres in the plane, mm.
    pub pixel_mm: f64,
    /// Hounsfield units that become 0 and 1; what lies outside is clamped.
    pub hu_window: [f32; 2],
}

impl InputGeometry {
    /// Pixels of one plane.
    #[must_use]
    pub fn plane_len(&self) -> usize {
        self.rows * self.columns
    }

    /// Area of one plane pixel, cm².
    #[must_use]
    pub fn pixel_cm2(&self) -> f64 {
        self.pixel_mm * self.pixel_mm / 100.0
    }

    /// Hounsfield units of a normalised plane value in 0..=1.
    #[must_use]
    pub fn hounsfield(&self, plane_value: f32) -> f32 {
        let [low, high] = self.hu_window;
        low + plane_value * (high - low)
    }
}

/// Levels that 0..=1 is counted in: 0.02 HU with a window of 1300 HU, far below any scanner's noise.
const LEVELS: f32 = u16::MAX as f32;

/// One slice in the model's plane: `rows x columns` values in 0..=1, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plane {
    levels: Vec<u16>,
}

impl Plane {
    /// Clamps, scales and resamples a slice (steps 1 and 2 of the module's specification).
    #[must_use]
    pub fn resample(image: &HounsfieldImage, in_plane: &InPlane, target: &InputGeometry) -> Self {
        let values = resample::resample(image, in_plane, target);
        Self { levels: values.into_iter().map(|value| (value * LEVELS).round() as u16).collect() }
    }

    /// A slice that was resampled elsewhere, in the same arithmetic.
    #[must_use]
    pub fn from_levels(levels: Vec<u16>) -> Self {
        Self { levels }
    }

    /// The values in levels, row by row.
    #[must_use]
    pub fn levels(&self) -> &[u16] {
        &self.levels
    }

    /// The values, row by row.
    pub fn values(&self) -> impl ExactSizeIterator<Item = f32> {
        self.levels.iter().map(|level| Self::value_of(*level))
    }

    /// The value of a level.
    #[must_use]
    pub fn value_of(level: u16) -> f32 {
        f32::from(level) / LEVELS
    }
}

/// The sum of a slab's slices. It is exact: planes come and go in any order, and the same planes give the same sum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlabSum {
    levels: Vec<u32>,
    planes: usize,
}

impl SlabSum {
    pub fn add(&mut self, plane: &Plane) {
        self.levels.resize(plane.levels.len(), 0);
        self.planes += 1;
        for (sum, level) in self.levels.iter_mut().zip(&plane.levels) {
            *sum += u32::from(*level);
        }
    }

    /// Takes away a plane that was added.
    pub fn remove(&mut self, plane: &Plane) {
        self.planes -= 1;
        for (sum, level) in self.levels.iter_mut().zip(&plane.levels) {
            *sum -= u32::from(*level);
        }
    }

    /// The sum in levels, row by row.
    #[must_use]
    pub fn levels(&self) -> &[u32] {
        &self.levels
    }

    /// What one level of the sum is of the mean.
    #[must_use]
    pub fn share(&self) -> f64 {
        share_of(self.planes)
    }

    /// The mean of the planes, 0..=1, row by row.
    #[must_use]
    pub fn mean(&self) -> Vec<f32> {
        let share = self.share();
        self.levels.iter().map(|sum| (f64::from(*sum) * share) as f32).collect()
    }
}

/// What one level of the sum of this many planes is of their mean.
#[must_use]
pub fn share_of(planes: usize) -> f64 {
    1.0 / (planes as f64 * f64::from(LEVELS))
}

/// What an engine eats: `1 x slabs x rows x columns` values in 0..=1.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    shape: [usize; 4],
    values: Vec<f32>,
}

impl Window {
    /// Puts slabs, in ascending z, into one window. There must be `input.slabs` of them, each a whole plane.
    #[must_use]
    pub fn of_slabs(slabs: &[&[f32]], input: &InputGeometry) -> Self {
        debug_assert_eq!(slabs.len(), input.slabs);
        Self { shape: [1, input.slabs, input.rows, input.columns], values: slabs.concat() }
    }

    /// A window of air.
    #[must_use]
    pub fn empty(input: &InputGeometry) -> Self {
        Self { shape: [1, input.slabs, input.rows, input.columns], values: vec![0.0; input.slabs * input.plane_len()] }
    }

    /// Batch (1), slabs, rows, columns.
    #[must_use]
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// The values, slab by slab and row by row.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}
