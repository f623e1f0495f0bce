//! Masks that people drew: how they are read from files, and what they say of the slabs of a series.

mod nifti;
mod segmentation;
mod voxels;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::exam::{Lps, Series, SlabIndex};
use crate::preprocess::InputGeometry;
use crate::raster::Mask;
pub(super) use voxels::VoxelMask;

/// Why a mask cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MaskError {
    #[error("the mask {path} cannot be read: {reason}")]
    Read { path: PathBuf, reason: String },
    #[error(
        "the mask {0} does not overlap the series in space: is it of this exam, and are its coordinates the scanner's?"
    )]
    Elsewhere(PathBuf),
}

/// A mask file, and which of its labels count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskFile {
    pub path: PathBuf,
    /// The segment number of a DICOM segmentation or the voxel value of a `NIfTI` file; without one all of them are one mask.
    pub label: Option<u16>,
}

impl MaskFile {
    /// `file` or `file#label`, relative to a folder.
    #[must_use]
    pub fn parse(base: &Path, text: &str) -> Self {
        let labelled = text.rsplit_once('#').and_then(|(file, label)| Some((file, label.parse().ok()?)));
        match labelled {
            Some((file, label)) => Self { path: base.join(file), label: Some(label) },
            None => Self { path: base.join(text), label: None },
        }
    }

    /// Reads a `NIfTI`-1 file (`.nii`, `.nii.gz`) or a binary DICOM segmentation (anything else).
    ///
    /// # Errors
    /// If the file is neither, or does not say where its voxels lie in the patient.
    pub fn read(&self) -> Result<VoxelMask, MaskError> {
        let name = self.path.to_string_lossy().to_lowercase();
        let mask = if [".nii", ".nii.gz"].iter().any(|ending| name.ends_with(ending)) {
            nifti::read(&self.path, self.label)
        } else {
            segmentation::read(&self.path, self.label)
        };
        mask.map_err(|reason| MaskError::Read { path: self.path.clone(), reason })
    }

    /// The mask on the model's grid, one plane for each of these slabs of a series: nearest neighbour; background where the
    /// file has no voxels.
    ///
    /// # Errors
    /// If the file cannot be read, or its voxels lie elsewhere than all of these slabs.
    pub fn on_slabs(
        &self,
        series: &Series,
        slabs: impl Iterator<Item = SlabIndex>,
        input: &InputGeometry,
    ) -> Result<Vec<Mask>, MaskError> {
        let mask = self.read()?;
        let centres: Vec<Lps> = slabs.filter_map(|slab| plane_centre(series, slab)).collect();
        let reaches_into = |[x, y, z]: Lps| {
            let [half_width, half_height] =
                [input.columns, input.rows].map(|pixels| pixels as f64 * input.pixel_mm / 2.0);
            let half_slab = input.slab_mm / 2.0;
            mask.overlaps(
                [x - half_width, y - half_height, z - half_slab],
                [x + half_width, y + half_height, z + half_slab],
            )
        };
        if !centres.iter().copied().any(reaches_into) {
            return Err(MaskError::Elsewhere(self.path.clone()));
        }
        let plane =
            |centre| Mask::from_fn(input.rows, input.columns, |at| mask.contains(pixel_position(at, centre, input)));
        Ok(centres.into_iter().map(plane).collect())
    }
}

/// The patient's position of the centre of a slab's plane.
fn plane_centre(series: &Series, slab: SlabIndex) -> Option<Lps> {
    let slab_z_mm = series.slab_z_mm(slab)?;
    let geometry = &series.middle_slice(slab)?.header.geometry;
    let [x, y, z] = geometry.centre;
    Some([x, y, z + slab_z_mm - geometry.z_mm])
}

/// The patient's position of a plane pixel: columns run to the left, rows to the back, both centred.
fn pixel_position(at: usize, [x, y, z]: Lps, input: &InputGeometry) -> Lps {
    let offset_mm = |number: usize, count: usize| (number as f64 - (count as f64 - 1.0) / 2.0) * input.pixel_mm;
    [x + offset_mm(at % input.columns, input.columns), y + offset_mm(at / input.columns, input.rows), z]
}

#[cfg(test)]
mod tests;
