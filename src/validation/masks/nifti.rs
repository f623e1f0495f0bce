//! Masks in `NIfTI`-1 files: <https://nifti.nimh.nih.gov/nifti-1>.

use std::path::Path;

use nifti::{NiftiHeader, NiftiObject, ReaderStreamedOptions};

use super::voxels::{Grid, VoxelMask};
use crate::exam::Lps;

/// Voxels from this value on are set where no label is asked for: labels are whole numbers, probabilities lie in 0..=1.
const SET_FROM: f32 = 0.5;

pub(super) fn read(path: &Path, label: Option<u16>) -> Result<VoxelMask, String> {
    let told = |error: nifti::NiftiError| error.to_string();
    let object = ReaderStreamedOptions::new().read_file_rank(path, 2).map_err(told)?;
    let mut mask = VoxelMask::empty(grid(object.header())?)?;
    let kind = object.header().data_type().map_err(told)?;
    let NiftiHeader { endianness, scl_slope, scl_inter, .. } = *object.header();
    let mut voxel = 0;
    for slice in object.into_volume() {
        for bytes in slice.map_err(told)?.raw_data().chunks_exact(kind.size_of()) {
            let value: f32 = kind.read_primitive_value(bytes, endianness, scl_slope, scl_inter).map_err(told)?;
            let is_set = label.map_or(value >= SET_FROM, |label| value.round() == f32::from(label));
            if is_set {
                mask.set(voxel);
            }
            voxel += 1;
        }
    }
    Ok(mask)
}

/// The file's coordinates run to the right, the front and the head: RAS. Of two forms sform counts, as for other readers.
fn grid(header: &NiftiHeader) -> Result<Grid, String> {
    let dimensions = header.dim().map_err(|error| error.to_string())?;
    let (&[columns, rows, slices], rest) =
        dimensions.split_first_chunk::<3>().ok_or("it has fewer than 3 dimensions")?;
    if rest.iter().any(|size| *size > 1) {
        return Err(format!("it has {} dimensions, expected 3", dimensions.len()));
    }
    let rows_of_matrix = if header.sform_code > 0 {
        [header.srow_x, header.srow_y, header.srow_z].map(|row| row.map(f64::from))
    } else if header.qform_code > 0 {
        qform(header)
    } else {
        return Err("it has neither sform nor qform: where it lies in the patient is unknown".to_owned());
    };
    let to_lps = |column: usize| -> Lps {
        let [x, y, z] = rows_of_matrix.map(|row| row[column]);
        [-x, -y, z]
    };
    Ok(Grid {
        size: [columns, rows, slices].map(usize::from),
        origin: to_lps(3),
        steps: [to_lps(0), to_lps(1), to_lps(2)],
    })
}

/// Method 2 of the standard's section on orientation: a rotation as a unit quaternion, voxel sizes, an offset.
fn qform(header: &NiftiHeader) -> [[f64; 4]; 3] {
    let [b, c, d] = [header.quatern_b, header.quatern_c, header.quatern_d].map(f64::from);
    let a = (1.0 - b * b - c * c - d * d).max(0.0).sqrt();
    let [flip, x_mm, y_mm, z_mm] = [0, 1, 2, 3].map(|at| f64::from(header.pixdim[at]));
    let z_mm = if flip < 0.0 { -z_mm } else { z_mm };
    [
        [
            (a * a + b * b - c * c - d * d) * x_mm,
            2.0 * (b * c - a * d) * y_mm,
            2.0 * (b * d + a * c) * z_mm,
            f64::from(header.quatern_x),
        ],
        [
            2.0 * (b * c + a * d) * x_mm,
            (a * a + c * c - b * b - d * d) * y_mm,
            2.0 * (c * d - a * b) * z_mm,
            f64::from(header.quatern_y),
        ],
        [
            2.0 * (b * d - a * c) * x_mm,
            2.0 * (c * d + a * b) * y_mm,
            (a * a + d * d - b * b - c * c) * z_mm,
            f64::from(header.quatern_z),
        ],
    ]
}
