//! Images that lie turned in the patient's axial plane, made upright before anything else: what is made of them then needs to
//! know of no angle, on the CPU and on a GPU.
//!
//! Quarter turns and mirrored images are none of these: rows and columns run along the patient's axes there, and
//! [`super::InPlane`] says which way.

use super::StoredImage;
use crate::dicom::CellLayout;

/// How a stored image lies in the patient's axial plane: x from right to left, y from anterior to posterior.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InPlaneRotation {
    /// Direction of increasing column number, of unit length.
    pub along_row: [f64; 2],
    /// Direction of increasing row number, of unit length.
    pub along_column: [f64; 2],
    pub between_columns_mm: f64,
    pub between_rows_mm: f64,
}

/// What lies outside the stored image or is padding, and what is below it: air to every window.
const OUTSIDE_HU: f32 = -1400.0;

/// Denser than any tissue and most metal.
const MAX_HU: f32 = 4000.0;

/// Steps of the upright image's values in a Hounsfield unit: far finer than noise.
const STEPS_PER_HU: f32 = 8.0;

impl InPlaneRotation {
    /// Distance of the upright image's pixels, mm: the finer one of the stored image's, so that nothing aliases.
    #[must_use]
    pub fn spacing_mm(&self) -> f64 {
        self.between_columns_mm.min(self.between_rows_mm)
    }

    /// Columns and rows of the upright image that holds a stored one of `rows x columns`.
    fn upright_size(&self, rows: usize, columns: usize) -> [usize; 2] {
        let half_row = (columns as f64 - 1.0) / 2.0 * self.between_columns_mm;
        let half_column = (rows as f64 - 1.0) / 2.0 * self.between_rows_mm;
        [0, 1].map(|axis| {
            let half = self.along_row[axis].abs() * half_row + self.along_column[axis].abs() * half_column;
            (2.0 * half / self.spacing_mm()).ceil() as usize + 1
        })
    }
}

/// The same image about the same centre with its columns along x and its rows along y, between whose pixels there are
/// [`InPlaneRotation::spacing_mm`]; bilinear between the stored pixels.
#[must_use]
pub fn upright(image: &StoredImage, rotation: &InPlaneRotation) -> StoredImage {
    let hounsfield = image.hounsfield();
    let clamped: Vec<f32> = hounsfield.values.iter().map(|hu| hu.clamp(OUTSIDE_HU, MAX_HU)).collect();
    let at = |row: i64, column: i64| {
        let inside = (0..image.rows as i64).contains(&row) && (0..image.columns as i64).contains(&column);
        if inside { clamped[row as usize * image.columns + column as usize] } else { OUTSIDE_HU }
    };
    let [columns, rows] = rotation.upright_size(image.rows, image.columns);
    let half = |pixels: usize| (pixels as f64 - 1.0) / 2.0;
    let mut cells = Vec::with_capacity(rows * columns * 2);
    for upright_row in 0..rows {
        let y_mm = (upright_row as f64 - half(rows)) * rotation.spacing_mm();
        for upright_column in 0..columns {
            let x_mm = (upright_column as f64 - half(columns)) * rotation.spacing_mm();
            let along = |direction: [f64; 2]| direction[0] * x_mm + direction[1] * y_mm;
            let column = half(image.columns) + along(rotation.along_row) / rotation.between_columns_mm;
            let row = half(image.rows) + along(rotation.along_column) / rotation.between_rows_mm;
            let (left, top) = (column.floor(), row.floor());
            let (right_share, lower_share) = ((column - left) as f32, (row - top) as f32);
            let (left, top) = (left as i64, top as i64);
            let between = |a: f32, b: f32, share: f32| a + (b - a) * share;
            let upper = between(at(top, left), at(top, left + 1), right_share);
            let lower = between(at(top + 1, left), at(top + 1, left + 1), right_share);
            let steps = (between(upper, lower, lower_share) * STEPS_PER_HU).round() as i16;
            cells.extend(steps.to_le_bytes());
        }
    }
    StoredImage {
        rows,
        columns,
        cell_bytes: 2,
        cells,
        layout: CellLayout::new(16, 15, true),
        rescale_slope: STEPS_PER_HU.recip(),
        rescale_intercept: 0.0,
        padding: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A square of 100 HU in air, its first quadrant of 500 HU.
    fn drawn(side: usize) -> StoredImage {
        let hu = |at: usize| {
            let (x, y) = (at % side, at / side);
            let third = side / 3;
            match (third..side - third).contains(&x) && (third..side - third).contains(&y) {
                false => -1000_i16,
                true if x < side / 2 && y < side / 2 => 500,
                true => 100,
            }
        };
        StoredImage {
            rows: side,
            columns: side,
            cell_bytes: 2,
            cells: (0..side * side).flat_map(|at| hu(at).to_le_bytes()).collect(),
            layout: CellLayout::new(16, 15, true),
            rescale_slope: 1.0,
            rescale_intercept: 0.0,
            padding: None,
        }
    }

    fn rotation(degrees: f64) -> InPlaneRotation {
        let (sin, cos) = degrees.to_radians().sin_cos();
        InPlaneRotation {
            along_row: [cos, sin],
            along_column: [-sin, cos],
            between_columns_mm: 1.0,
            between_rows_mm: 1.0,
        }
    }

    fn at(image: &StoredImage, x_mm: f64, y_mm: f64) -> f32 {
        let place = |mm: f64, len: usize| (mm + (len as f64 - 1.0) / 2.0).round() as usize;
        image.hounsfield().values[place(y_mm, image.rows) * image.columns + place(x_mm, image.columns)]
    }

    #[test]
    fn an_image_that_is_not_turned_stays_as_it_is() {
        let image = drawn(31);
        assert_eq!(upright(&image, &rotation(0.0)).hounsfield().values, image.hounsfield().values);
    }

    #[test]
    fn what_lies_at_a_place_of_the_patient_lies_there_at_any_angle() {
        let image = drawn(90);
        for degrees in [10.0, 30.0, 44.0, 135.0, -60.0] {
            let turned = upright(&image, &rotation(degrees));
            let (sin, cos) = f64::to_radians(degrees).sin_cos();
            for (column_mm, row_mm, hu) in
                [(-8.0, -8.0, 500.0), (8.0, -8.0, 100.0), (8.0, 8.0, 100.0), (30.0, 0.0, -1000.0)]
            {
                let (x_mm, y_mm) = (column_mm * cos - row_mm * sin, column_mm * sin + row_mm * cos);
                assert_eq!(at(&turned, x_mm, y_mm), hu, "{degrees} degrees, column {column_mm}, row {row_mm}");
            }
        }
    }
}
