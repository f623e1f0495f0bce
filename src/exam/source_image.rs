//! A slice that was judged, as its sender described it: what is needed to say of the source what was found on the model's plane.

use super::{Lps, PlaneCentre, PreparedSlice, SlabIndex, SliceGeometry};
use crate::dicom::ImageFile;
use crate::preprocess::{InPlane, InPlaneRotation, InputGeometry, SourceAxis};

/// One image of the judged series, and which slab it was summed into.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceImage {
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    pub series_instance_uid: String,
    /// Which frame of its instance it is, from 1; `None` for an instance of one image.
    pub frame_number: Option<u32>,
    pub geometry: SliceGeometry,
    /// Slice Thickness (0018,0050), mm.
    pub thickness_mm: Option<f64>,
    pub slab: SlabIndex,
    /// Where the plane lies on which it was analysed.
    pub centre: PlaneCentre,
    pub file: ImageFile,
}

/// The pixel grid of an image as it is stored (Image Plane module, PS3.3 C.7.6.2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImagePlane {
    /// The centre of the first pixel, mm.
    pub position: Lps,
    /// Directions of increasing column number and of increasing row number.
    pub orientation: [f64; 6],
    /// Between rows and between columns, mm.
    pub spacing_mm: [f64; 2],
}

/// How an image's stored grid lies on the plane on which it was analysed: the same for all slices of most series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GridOnPlane {
    rows: usize,
    columns: usize,
    lies: InPlane,
    rotation: Option<InPlaneRotation>,
}

impl SourceImage {
    /// A slice of a series.
    #[must_use]
    pub fn of(slice: &PreparedSlice, input: &InputGeometry) -> Self {
        Self {
            sop_class_uid: slice.sop_class_uid.clone(),
            sop_instance_uid: slice.sop_instance_uid.clone(),
            series_instance_uid: slice.series_instance_uid.clone(),
            frame_number: slice.header.frame_number,
            geometry: slice.header.geometry.clone(),
            thickness_mm: slice.header.thickness_mm,
            slab: SlabIndex::of(slice.header.geometry.z_mm, input.slab_mm),
            centre: slice.centre,
            file: slice.file.clone(),
        }
    }

    /// How the stored grid lies on the plane.
    #[must_use]
    pub fn grid_on_plane(&self) -> GridOnPlane {
        GridOnPlane::of(&self.geometry, self.centre)
    }
}

impl GridOnPlane {
    /// How an image's grid lies on a plane about this place.
    #[must_use]
    pub fn of(geometry: &SliceGeometry, centre: PlaneCentre) -> Self {
        let SliceGeometry { rows, columns, rotation, .. } = *geometry;
        Self { rows, columns, lies: geometry.on_plane(centre), rotation }
    }

    /// From the plane's pixel corners, as outlines name them (x along columns, y along rows), to those of the stored grid:
    /// `[a, b, c, d, e, f]` of x' = a x + c y + e and y' = b x + d y + f.
    #[must_use]
    pub fn from_plane(&self, [plane_rows, plane_columns]: [usize; 2], pixel_mm: f64) -> [f64; 6] {
        let at = |x: f64, y: f64| {
            let from_image_mm = [
                (x - plane_columns as f64 / 2.0) * pixel_mm - self.lies.x.offset_mm,
                (y - plane_rows as f64 / 2.0) * pixel_mm - self.lies.y.offset_mm,
            ];
            let [across, down] = self.pixels_from_centre(from_image_mm);
            [self.columns as f64 / 2.0 + across, self.rows as f64 / 2.0 + down]
        };
        let [[e, f], along_x, along_y] = [at(0.0, 0.0), at(1.0, 0.0), at(0.0, 1.0)];
        [along_x[0] - e, along_x[1] - f, along_y[0] - e, along_y[1] - f, e, f]
    }

    /// How many columns and rows a place lies from the image's centre, given in mm along the patient's x and y.
    fn pixels_from_centre(&self, mm: [f64; 2]) -> [f64; 2] {
        if let Some(InPlaneRotation { along_row, along_column, between_columns_mm, between_rows_mm }) = self.rotation {
            let along = |direction: [f64; 2]| direction[0] * mm[0] + direction[1] * mm[1];
            return [along(along_row) / between_columns_mm, along(along_column) / between_rows_mm];
        }
        let mut pixels = [0.0; 2];
        for (axis, mm) in [self.lies.x, self.lies.y].into_iter().zip(mm) {
            let steps = mm / axis.spacing_mm;
            pixels[usize::from(!axis.along_columns)] = if axis.reversed { -steps } else { steps };
        }
        pixels
    }

    /// The pixel of the plane, `row * columns + column`, that is nearest to each stored pixel, row by row; `None` where the plane
    /// does not reach. `plane` is rows and columns of the plane, `pixel_mm` the distance of its pixels.
    #[must_use]
    pub fn nearest_plane_pixels(&self, plane: [usize; 2], pixel_mm: f64) -> Vec<Option<u32>> {
        match &self.rotation {
            Some(rotation) => self.nearest_when_turned(rotation, plane, pixel_mm),
            None => self.nearest_along_axes(plane, pixel_mm),
        }
    }

    /// Each axis of the plane runs along one of the stored grid, so that rows and columns are placed once.
    fn nearest_along_axes(&self, [plane_rows, plane_columns]: [usize; 2], pixel_mm: f64) -> Vec<Option<u32>> {
        let along = |axis: SourceAxis, plane_len: usize| -> Vec<Option<u32>> {
            let len = if axis.along_columns { self.columns } else { self.rows };
            let direction = if axis.reversed { -1.0 } else { 1.0 };
            let mm = |at: usize| axis.offset_mm + direction * (at as f64 - half(len)) * axis.spacing_mm;
            (0..len).map(|at| nearest(mm(at), plane_len, pixel_mm)).collect()
        };
        let InPlane { x, y } = self.lies;
        let across = along(x, plane_columns);
        let down: Vec<Option<u32>> =
            along(y, plane_rows).into_iter().map(|row| Some(row? * plane_columns as u32)).collect();
        let mut pixels = Vec::with_capacity(self.rows * self.columns);
        for row in 0..self.rows {
            pixels.extend((0..self.columns).map(|column| {
                let at = |axis: SourceAxis| if axis.along_columns { column } else { row };
                Some(down[at(y)]? + across[at(x)]?)
            }));
        }
        pixels
    }

    fn nearest_when_turned(
        &self,
        rotation: &InPlaneRotation,
        [plane_rows, plane_columns]: [usize; 2],
        pixel_mm: f64,
    ) -> Vec<Option<u32>> {
        let InPlaneRotation { along_row, along_column, between_columns_mm, between_rows_mm } = rotation;
        let mut pixels = Vec::with_capacity(self.rows * self.columns);
        for row in 0..self.rows {
            let down_mm = (row as f64 - half(self.rows)) * between_rows_mm;
            pixels.extend((0..self.columns).map(|column| {
                let across_mm = (column as f64 - half(self.columns)) * between_columns_mm;
                let from_centre = |axis: usize| along_row[axis] * across_mm + along_column[axis] * down_mm;
                let plane_row = nearest(self.lies.y.offset_mm + from_centre(1), plane_rows, pixel_mm)?;
                let plane_column = nearest(self.lies.x.offset_mm + from_centre(0), plane_columns, pixel_mm)?;
                Some(plane_row * plane_columns as u32 + plane_column)
            }));
        }
        pixels
    }
}

/// The pixel of so many along an axis of the plane that is nearest to a place, mm from the plane's centre.
fn nearest(mm: f64, plane_len: usize, pixel_mm: f64) -> Option<u32> {
    let at = (half(plane_len) + mm / pixel_mm).round();
    (at >= 0.0 && at < plane_len as f64).then_some(at as u32)
}

/// How far the first of these pixels lies from their middle, in pixels.
fn half(len: usize) -> f64 {
    (len as f64 - 1.0) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLANE: [usize; 2] = [40, 30];
    const PIXEL_MM: f64 = 1.5;

    fn image(orientation: [f64; 6], centre: PlaneCentre) -> SourceImage {
        let geometry = SliceGeometry::new(50, 61, [-12.3, 8.4, -100.0], orientation, [0.7, 0.9]).unwrap();
        SourceImage {
            sop_class_uid: String::new(),
            sop_instance_uid: String::new(),
            series_instance_uid: String::new(),
            frame_number: None,
            slab: SlabIndex::of(geometry.z_mm, 3.0),
            geometry,
            thickness_mm: None,
            centre,
            file: ImageFile { path: "image".into(), frame: 0 },
        }
    }

    /// How far the plane's pixel that stands for each stored one lies from it in the patient, at most along x and along y, mm, and
    /// how many have one. Positions by the definition of the Image Plane module.
    fn furthest_mm(image: &SourceImage) -> ([f64; 2], usize) {
        let ImagePlane { position, orientation, spacing_mm } = image.geometry.stored;
        let [x_mm, y_mm] = image.centre.mm();
        let (mut furthest, mut reached) = ([0.0_f64; 2], 0);
        let nearest = image.grid_on_plane().nearest_plane_pixels(PLANE, PIXEL_MM);
        assert_eq!(nearest.len(), 50 * 61);
        for (at, nearest) in nearest.into_iter().enumerate() {
            let (row, column) = ((at / 61) as f64, (at % 61) as f64);
            let mm = |axis: usize| {
                position[axis]
                    + column * spacing_mm[1] * orientation[axis]
                    + row * spacing_mm[0] * orientation[axis + 3]
            };
            let in_plane = [mm(0) - x_mm, mm(1) - y_mm];
            let reach_mm = [PLANE[1] as f64 / 2.0 * PIXEL_MM, PLANE[0] as f64 / 2.0 * PIXEL_MM];
            let is_inside = in_plane[0].abs() < reach_mm[0] - 0.1 && in_plane[1].abs() < reach_mm[1] - 0.1;
            let is_outside = in_plane[0].abs() > reach_mm[0] + 0.1 || in_plane[1].abs() > reach_mm[1] + 0.1;
            assert!(!(is_inside && nearest.is_none() || is_outside && nearest.is_some()), "{row} {column}");
            let Some(nearest) = nearest.map(|nearest| nearest as usize) else { continue };
            reached += 1;
            let plane_mm =
                [((nearest % PLANE[1]) as f64 - 14.5) * PIXEL_MM, ((nearest / PLANE[1]) as f64 - 19.5) * PIXEL_MM];
            for axis in 0..2 {
                furthest[axis] = furthest[axis].max((plane_mm[axis] - in_plane[axis]).abs());
            }
        }
        (furthest, reached)
    }

    #[test]
    fn however_an_image_lies_each_pixel_has_the_plane_pixel_that_is_nearest_in_the_patient() {
        let (sin, cos) = 30_f64.to_radians().sin_cos();
        let orientations = [
            ("head first supine", [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
            ("prone", [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0]),
            ("feet first", [-1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
            ("mirrored top to bottom", [1.0, 0.0, 0.0, 0.0, -1.0, 0.0]),
            ("on the side", [0.0, 1.0, 0.0, -1.0, 0.0, 0.0]),
            ("transposed", [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]),
            ("turned by 30 degrees", [cos, sin, 0.0, -sin, cos, 0.0]),
            ("turned and mirrored", [cos, sin, 0.0, sin, -cos, 0.0]),
        ];
        for (name, orientation) in orientations {
            let centred = image(orientation, PlaneCentre::at(0.0, 0.0));
            let image = image(orientation, PlaneCentre::of_image(centred.geometry.centre));
            let ([x_mm, y_mm], reached) = furthest_mm(&image);
            // Half a pixel, and half of the tenth of a millimetre to which offsets are rounded on either side.
            assert!(x_mm.max(y_mm) <= PIXEL_MM / 2.0 + 0.1, "{name}: {x_mm} {y_mm}");
            assert!(x_mm.min(y_mm) > 0.6 && reached > 1500, "{name}: {x_mm} {y_mm} {reached}");
        }
    }

    #[test]
    fn what_is_drawn_on_the_plane_lies_on_the_stored_grid_where_its_pixels_are() {
        let (sin, cos) = 30_f64.to_radians().sin_cos();
        let orientations = [
            [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            [-1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            [0.0, 1.0, 0.0, -1.0, 0.0, 0.0],
            [0.0, 1.0, 0.0, 1.0, 0.0, 0.0],
            [cos, sin, 0.0, -sin, cos, 0.0],
            [cos, sin, 0.0, sin, -cos, 0.0],
        ];
        for orientation in orientations {
            let grid = image(orientation, PlaneCentre::at(-4.0, 21.0)).grid_on_plane();
            let to = grid.from_plane(PLANE, PIXEL_MM);
            let placed = |x: f64, y: f64| [to[0] * x + to[2] * y + to[4], to[1] * x + to[3] * y + to[5]];
            let (nearest, mut reached) = (grid.nearest_plane_pixels(PLANE, PIXEL_MM), 0);
            for (at, pixel) in nearest.into_iter().enumerate() {
                let Some(pixel) = pixel.map(|pixel| pixel as usize) else { continue };
                let [on_column, on_row] = placed((pixel % PLANE[1]) as f64 + 0.5, (pixel / PLANE[1]) as f64 + 0.5);
                let (column, row) = ((at % 61) as f64 + 0.5, (at / 61) as f64 + 0.5);
                // No further than half a pixel of the plane along each of its axes, in mm.
                let off_mm = ((on_column - column) * 0.9).hypot((on_row - row) * 0.7);
                assert!(off_mm <= PIXEL_MM * 0.5_f64.sqrt() + 1e-9, "{orientation:?} {at}: {off_mm} mm");
                reached += 1;
            }
            assert!(reached > 500, "{orientation:?}: {reached}");
        }
    }

    #[test]
    fn a_plane_that_was_moved_to_the_body_is_followed() {
        let supine = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let at_centre = PlaneCentre::of_image(image(supine, PlaneCentre::at(0.0, 0.0)).geometry.centre);
        let [x_mm, y_mm] = at_centre.mm();
        let image = image(supine, PlaneCentre::at(x_mm + 24.0, y_mm - 12.0));
        let ([x_mm, y_mm], reached) = furthest_mm(&image);
        assert!(x_mm.max(y_mm) <= PIXEL_MM / 2.0 + 0.1 && reached > 500, "{x_mm} {y_mm} {reached}");
        assert_ne!(image.grid_on_plane(), SourceImage { centre: at_centre, ..image.clone() }.grid_on_plane());
    }
}
