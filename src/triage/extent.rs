//! How far a lesion reaches: the greatest distance between two of its points, voxels at their full size. It is measured as the
//! greatest width along fixed directions, since widths of slabs add up and distances of voxels do not. No direction is
//! further than 8 degrees from one of these, so that what is measured is at most 1 % too short.

use std::sync::LazyLock;

/// Directions in the plane, over half a turn; of those out of the plane there are as many for each.
const DIRECTIONS: usize = 16;

/// Cosine and sine of the angles from 0 to half a turn.
static DIRECTION: LazyLock<[(f64, f64); DIRECTIONS]> = LazyLock::new(|| {
    std::array::from_fn(|number| {
        let angle = std::f64::consts::PI * number as f64 / DIRECTIONS as f64;
        (angle.cos(), angle.sin())
    })
});

/// From where to where the centres of a region's pixels reach along each direction in the plane, pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Spans([(f64, f64); DIRECTIONS]);

impl Default for Spans {
    fn default() -> Self {
        Self([(f64::INFINITY, f64::NEG_INFINITY); DIRECTIONS])
    }
}

impl Spans {
    /// Takes a pixel in.
    pub fn widen(&mut self, row: usize, column: usize) {
        for ((low, high), (cosine, sine)) in self.0.iter_mut().zip(DIRECTION.iter()) {
            let place = column as f64 * cosine + row as f64 * sine;
            (*low, *high) = (low.min(place), high.max(place));
        }
    }
}

/// A lesion's part on one slab.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub spans: &'a Spans,
    pub z_mm: f64,
    pub thickness_mm: f64,
}

/// The greatest width of what these parts make together, mm; 0 without parts.
#[must_use]
pub(super) fn largest_extent_mm(parts: &[Part<'_>], pixel_mm: f64) -> f64 {
    let width = |turn: usize, tilt: usize| -> f64 {
        // Tilts run from the plane up over the axis of the patient: along (x, y, z) = (cosine * turn, sine).
        let ((turn_cosine, turn_sine), (cosine, sine)) = (DIRECTION[turn], DIRECTION[tilt]);
        let half_pixel_mm = pixel_mm / 2.0 * (turn_cosine.abs() + turn_sine.abs()) * cosine.abs();
        let ends = parts.iter().map(|part| {
            let (low, high) = part.spans.0[turn];
            let (one, other) = (low * pixel_mm * cosine, high * pixel_mm * cosine);
            let half_mm = half_pixel_mm + part.thickness_mm / 2.0 * sine.abs();
            let height_mm = part.z_mm * sine;
            (one.min(other) + height_mm - half_mm, one.max(other) + height_mm + half_mm)
        });
        let (low, high) =
            ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (from, to)| (low.min(from), high.max(to)));
        high - low
    };
    let directions = (0..DIRECTIONS).flat_map(|turn| (0..DIRECTIONS).map(move |tilt| (turn, tilt)));
    directions.map(|(turn, tilt)| width(turn, tilt)).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PIXEL_MM: f64 = 1.5;
    const THICKNESS_MM: f64 = 3.0;

    type Voxel = (usize, usize, usize);

    fn measured(voxels: &[Voxel]) -> f64 {
        let slabs: std::collections::BTreeSet<usize> = voxels.iter().map(|(slab, ..)| *slab).collect();
        let spans: Vec<(usize, Spans)> = slabs
            .into_iter()
            .map(|slab| {
                let mut spans = Spans::default();
                let here = voxels.iter().filter(|voxel| voxel.0 == slab);
                here.for_each(|(_, row, column)| spans.widen(*row, *column));
                (slab, spans)
            })
            .collect();
        let parts: Vec<Part<'_>> = spans
            .iter()
            .map(|(slab, spans)| Part { spans, z_mm: *slab as f64 * THICKNESS_MM, thickness_mm: THICKNESS_MM })
            .collect();
        largest_extent_mm(&parts, PIXEL_MM)
    }

    /// The greatest distance between two corners of voxels.
    fn by_all_corners(voxels: &[Voxel]) -> f64 {
        let corners: Vec<[f64; 3]> = voxels
            .iter()
            .flat_map(|(slab, row, column)| {
                (0..8).map(move |corner| {
                    let at = |place: usize, bit: usize, mm: f64| (place + (corner >> bit & 1)) as f64 * mm;
                    [at(*column, 0, PIXEL_MM), at(*row, 1, PIXEL_MM), at(*slab, 2, THICKNESS_MM)]
                })
            })
            .collect();
        let distance = |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        corners.iter().flat_map(|a| corners.iter().map(move |b| distance(a, b))).fold(0.0, f64::max)
    }

    #[test]
    fn a_row_of_pixels_is_as_long_as_it_is() {
        let row: Vec<Voxel> = (0..20).map(|column| (0, 3, column)).collect();
        let along = (30.0_f64.powi(2) + 1.5_f64.powi(2) + 3.0_f64.powi(2)).sqrt();
        assert!((measured(&row) / along - 1.0).abs() < 0.01, "{}", measured(&row));
        assert_eq!(largest_extent_mm(&[], PIXEL_MM), 0.0);
    }

    proptest! {
        #[test]
        fn it_is_the_greatest_distance_between_voxels_but_for_one_percent(
            voxels in prop::collection::vec((0..12_usize, 0..20_usize, 0..20_usize), 1..20)
        ) {
            let (measured, exact) = (measured(&voxels), by_all_corners(&voxels));
            prop_assert!(measured <= exact * (1.0 + 1e-12) && measured >= exact * 0.99, "{measured} {exact}");
        }
    }
}
