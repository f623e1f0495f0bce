//! Where a slice lies in the patient. Coordinates are LPS: +x to the patient's left, +y to the back, +z to the head, mm.

use super::{ImagePlane, PlaneCentre};
use crate::preprocess::{InPlane, InPlaneRotation, SourceAxis};

/// A direction or a point in LPS, mm for points.
pub type Lps = [f64; 3];

/// An image whose normal leans further than this from the z axis is not taken for an axial slice, degrees. Chest CT is
/// scanned without gantry tilt; reformats along oblique planes are well beyond it.
const MAX_TILT_DEGREES: f64 = 10.0;

/// An image that is turned within its plane by less than this lies along the patient's axes, degrees: over a whole chest that turns
/// the patient as a whole and moves no slice against another.
const MAX_ROTATION_DEGREES: f64 = 1.0;

/// How far a direction cosine pair may be from unit length and right angles.
const COSINE_TOLERANCE: f64 = 1e-2;

/// Place and pixel grid of an axial slice.
#[derive(Debug, Clone, PartialEq)]
pub struct SliceGeometry {
    pub rows: usize,
    pub columns: usize,
    /// Position along the z-pointing normal of the image plane, mm.
    pub z_mm: f64,
    /// The image's centre.
    pub centre: Lps,
    /// How the image lies along the patient's axes, once it is upright; about its own centre.
    pub in_plane: InPlane,
    /// How it lies turned, if it does.
    pub rotation: Option<InPlaneRotation>,
    /// The grid as it is stored.
    pub stored: ImagePlane,
}

/// Why an image's geometry cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GeometryError {
    #[error("image orientation (0020,0037) is not two perpendicular unit vectors")]
    Orientation,
    #[error("the image plane is not axial (tilted by {tilt_degrees:.0} degrees)")]
    NotAxial { plane: OtherPlane, tilt_degrees: f64 },
    #[error("pixel spacing (0028,0030) is {0} x {1} mm, expected two numbers from 0.02 to 20")]
    Spacing(f64, f64),
    #[error("image position (0020,0032) is not three numbers within 100 m of the origin")]
    Position,
    #[error("the image has {0} rows and {1} columns")]
    Size(usize, usize),
}

/// What an image plane is that is not axial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherPlane {
    Sagittal,
    Coronal,
    Oblique,
}

impl OtherPlane {
    /// By the plane's normal: a reformat lies as near to its plane as an axial slice does to the axial one.
    fn of(normal: Lps) -> Self {
        let nearest = MAX_TILT_DEGREES.to_radians().cos();
        match normal.map(f64::abs) {
            [x, _, _] if x >= nearest => Self::Sagittal,
            [_, y, _] if y >= nearest => Self::Coronal,
            _ => Self::Oblique,
        }
    }
}

impl SliceGeometry {
    /// Reads the Image Plane module (PS3.3 C.7.6.2): `position` is the centre of the first pixel, `orientation` the
    /// directions of increasing column and row number, `spacing_mm` the distances of rows and of columns.
    ///
    /// # Errors
    /// If the numbers are not those of an axial image.
    pub fn new(
        rows: usize,
        columns: usize,
        position: Lps,
        orientation: [f64; 6],
        spacing_mm: [f64; 2],
    ) -> Result<Self, GeometryError> {
        if rows < 2 || columns < 2 || rows > MAX_SIDE || columns > MAX_SIDE {
            return Err(GeometryError::Size(rows, columns));
        }
        let [between_rows, between_columns] = spacing_mm;
        let usable = |mm: f64| SPACINGS_MM.contains(&mm);
        if !usable(between_rows) || !usable(between_columns) {
            return Err(GeometryError::Spacing(between_rows, between_columns));
        }
        if !position.iter().all(|mm| mm.abs() <= MAX_POSITION_MM) {
            return Err(GeometryError::Position);
        }
        let along_row: Lps = std::array::from_fn(|axis| orientation[axis]);
        let along_column: Lps = std::array::from_fn(|axis| orientation[axis + 3]);
        let unit = |v: Lps| (dot(v, v) - 1.0).abs() < COSINE_TOLERANCE;
        if !unit(along_row) || !unit(along_column) || dot(along_row, along_column).abs() > COSINE_TOLERANCE {
            return Err(GeometryError::Orientation);
        }
        let normal = upward(cross(along_row, along_column));
        let tilt_degrees = normal[2].min(1.0).acos().to_degrees();
        if tilt_degrees > MAX_TILT_DEGREES {
            return Err(GeometryError::NotAxial { plane: OtherPlane::of(normal), tilt_degrees });
        }
        let half_row = (columns as f64 - 1.0) / 2.0 * between_columns;
        let half_column = (rows as f64 - 1.0) / 2.0 * between_rows;
        let centre =
            std::array::from_fn(|axis| position[axis] + along_row[axis] * half_row + along_column[axis] * half_column);
        Ok(Self {
            rows,
            columns,
            z_mm: dot(position, normal),
            centre,
            in_plane: in_plane(along_row, along_column, between_rows, between_columns),
            rotation: None,
            stored: ImagePlane { position, orientation, spacing_mm },
        }
        .made_upright(along_row, along_column, spacing_mm))
    }

    fn made_upright(self, along_row: Lps, along_column: Lps, [between_rows_mm, between_columns_mm]: [f64; 2]) -> Self {
        // A leaning plane foreshortens its directions.
        let flat = |direction: Lps| {
            let length = direction[0].hypot(direction[1]);
            [direction[0] / length, direction[1] / length]
        };
        let [along_row, along_column] = [flat(along_row), flat(along_column)];
        let turned_by = along_row[0].abs().min(along_row[1].abs()).asin().to_degrees();
        if turned_by <= MAX_ROTATION_DEGREES {
            return self;
        }
        let rotation = InPlaneRotation { along_row, along_column, between_columns_mm, between_rows_mm };
        let axis = |along_columns| SourceAxis {
            along_columns,
            reversed: false,
            spacing_mm: rotation.spacing_mm(),
            offset_mm: 0.0,
        };
        Self { in_plane: InPlane { x: axis(true), y: axis(false) }, rotation: Some(rotation), ..self }
    }

    /// How the image lies on a plane about this place.
    #[must_use]
    pub fn on_plane(&self, centre: PlaneCentre) -> InPlane {
        let [x_mm, y_mm] = centre.offset_mm(self.centre);
        InPlane {
            x: SourceAxis { offset_mm: x_mm, ..self.in_plane.x },
            y: SourceAxis { offset_mm: y_mm, ..self.in_plane.y },
        }
    }
}

/// Pixel distances of any CT: finer or coarser ones would cost time and memory without end.
const SPACINGS_MM: std::ops::RangeInclusive<f64> = 0.02..=20.0;

/// No scanner's coordinates reach further.
const MAX_POSITION_MM: f64 = 100_000.0;

/// The most rows or columns that a CT image is expected to have; more is taken for an attack on memory.
const MAX_SIDE: usize = 4096;

/// Finds which way of the stored image runs along the patient's x and which along y.
fn in_plane(along_row: Lps, along_column: Lps, between_rows: f64, between_columns: f64) -> InPlane {
    let columns_run = |component: f64| SourceAxis {
        along_columns: true,
        reversed: component < 0.0,
        spacing_mm: between_columns,
        offset_mm: 0.0,
    };
    let rows_run = |component: f64| SourceAxis {
        along_columns: false,
        reversed: component < 0.0,
        spacing_mm: between_rows,
        offset_mm: 0.0,
    };
    if along_row[0].abs() >= along_row[1].abs() {
        InPlane { x: columns_run(along_row[0]), y: rows_run(along_column[1]) }
    } else {
        InPlane { x: rows_run(along_column[0]), y: columns_run(along_row[1]) }
    }
}

pub(crate) fn dot(a: Lps, b: Lps) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn cross(a: Lps, b: Lps) -> Lps {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// Turned so that it points to the head.
fn upward(normal: Lps) -> Lps {
    if normal[2] < 0.0 { normal.map(|component| -component) } else { normal }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUPINE: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];

    #[test]
    fn a_supine_slice_lies_at_its_own_z_and_runs_right_to_left() {
        let geometry = SliceGeometry::new(512, 512, [-180.0, -170.0, -42.5], SUPINE, [0.7, 0.8]).unwrap();
        assert_eq!(geometry.z_mm, -42.5);
        assert_eq!(
            geometry.in_plane.x,
            SourceAxis { along_columns: true, reversed: false, spacing_mm: 0.8, offset_mm: 0.0 }
        );
        assert_eq!(
            geometry.in_plane.y,
            SourceAxis { along_columns: false, reversed: false, spacing_mm: 0.7, offset_mm: 0.0 }
        );
        assert!((geometry.centre[0] - (-180.0 + 511.0 / 2.0 * 0.8)).abs() < 1e-9);
    }

    #[test]
    fn a_prone_slice_is_mirrored_on_both_axes_and_keeps_its_z() {
        let prone = [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0];
        let geometry = SliceGeometry::new(512, 512, [180.0, 170.0, 7.0], prone, [0.7, 0.7]).unwrap();
        assert!(geometry.in_plane.x.reversed && geometry.in_plane.y.reversed);
        assert_eq!(geometry.z_mm, 7.0);
    }

    #[test]
    fn an_image_that_is_turned_keeps_its_centre_and_says_how_it_lies() {
        let (sin, cos) = 30_f64.to_radians().sin_cos();
        let orientation = [cos, sin, 0.0, -sin, cos, 0.0];
        let geometry = SliceGeometry::new(512, 512, [10.0, 20.0, 7.0], orientation, [0.7, 0.8]).unwrap();
        let rotation = geometry.rotation.unwrap();
        assert!((rotation.along_row[0] - cos).abs() < 1e-9 && (rotation.along_column[1] - cos).abs() < 1e-9);
        assert_eq!(
            geometry.in_plane.x,
            SourceAxis { along_columns: true, reversed: false, spacing_mm: 0.7, offset_mm: 0.0 }
        );
        let lies = geometry.on_plane(PlaneCentre::of_image(geometry.centre));
        assert_eq!([lies.x.offset_mm, lies.y.offset_mm], [0.0, 0.0]);
        let nearly = SliceGeometry::new(512, 512, [0.0; 3], [0.9999, 0.01, 0.0, -0.01, 0.9999, 0.0], [0.7; 2]).unwrap();
        assert_eq!(nearly.rotation, None);
    }

    #[test]
    fn a_plane_that_is_not_axial_is_called_by_its_name() {
        let plane_of = |orientation: [f64; 6]| match SliceGeometry::new(512, 512, [0.0; 3], orientation, [0.7, 0.7]) {
            Err(GeometryError::NotAxial { plane, tilt_degrees }) => (plane, tilt_degrees.round()),
            other => panic!("{other:?}"),
        };
        assert_eq!(plane_of([1.0, 0.0, 0.0, 0.0, 0.0, -1.0]), (OtherPlane::Coronal, 90.0));
        assert_eq!(plane_of([0.0, 1.0, 0.0, 0.0, 0.0, -1.0]), (OtherPlane::Sagittal, 90.0));
        let (sine, cosine) = 35.0_f64.to_radians().sin_cos();
        assert_eq!(plane_of([1.0, 0.0, 0.0, 0.0, cosine, sine]), (OtherPlane::Oblique, 35.0));
    }

    #[test]
    fn senseless_spacing_position_and_axes_are_errors() {
        let zero = SliceGeometry::new(512, 512, [0.0; 3], SUPINE, [0.0, 0.7]).unwrap_err();
        assert_eq!(zero, GeometryError::Spacing(0.0, 0.7));
        let fine = SliceGeometry::new(512, 512, [0.0; 3], SUPINE, [1e-9; 2]).unwrap_err();
        assert_eq!(fine, GeometryError::Spacing(1e-9, 1e-9));
        let far = SliceGeometry::new(512, 512, [0.0, 0.0, 1e300], SUPINE, [0.7; 2]).unwrap_err();
        assert_eq!(far, GeometryError::Position);
        let crooked = SliceGeometry::new(512, 512, [0.0; 3], [1.0, 0.0, 0.0, 1.0, 0.0, 0.0], [0.7; 2]).unwrap_err();
        assert_eq!(crooked, GeometryError::Orientation);
    }
}
