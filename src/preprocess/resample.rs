//! Separable, anti-aliased resampling of a slice into the model's plane.

use super::HounsfieldImage;
use crate::preprocess::InputGeometry;

/// Which way of the stored image runs along an axis of the plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SourceAxis {
    /// The axis runs along increasing column numbers (`true`) or row numbers (`false`) of the stored image.
    pub along_columns: bool,
    /// The stored numbers fall where the plane's rise.
    pub reversed: bool,
    /// Distance of stored pixel centres along this axis, mm.
    pub spacing_mm: f64,
    /// How far the image's centre lies from the plane's along this axis, mm.
    pub offset_mm: f64,
}

/// How a stored image lies in the patient's axial plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InPlane {
    /// Patient right to left.
    pub x: SourceAxis,
    /// Anterior to posterior.
    pub y: SourceAxis,
}

/// The stored pixels that one plane pixel is made of, and how much of each. Weights of pixels outside the image are
/// left out: air is 0 after scaling.
#[derive(Debug, Clone, PartialEq)]
pub struct Taps {
    pub first: usize,
    pub weights: Vec<f32>,
}

/// Taps of each of `target_len` plane pixels on an axis of `source_len` stored pixels; their centres lie `axis.offset_mm` apart.
#[must_use]
pub fn taps(axis: SourceAxis, source_len: usize, target_len: usize, target_mm: f64) -> Vec<Taps> {
    let half_width = (target_mm / axis.spacing_mm).max(1.0);
    let direction = if axis.reversed { -1.0 } else { 1.0 };
    let source_centre = (source_len as f64 - 1.0) / 2.0;
    let target_centre = (target_len as f64 - 1.0) / 2.0;
    (0..target_len)
        .map(|target| {
            let x_mm = (target as f64 - target_centre) * target_mm - axis.offset_mm;
            let at = source_centre + direction * x_mm / axis.spacing_mm;
            let weight = |source: i64| (1.0 - (source as f64 - at).abs() / half_width).max(0.0);
            let (first, last) = ((at - half_width).ceil() as i64, (at + half_width).floor() as i64);
            let total: f64 = (first..=last).map(weight).sum();
            let inside_first = first.clamp(0, source_len as i64);
            let inside_last = last.clamp(-1, source_len as i64 - 1);
            let weights = (inside_first..=inside_last).map(|source| (weight(source) / total) as f32).collect();
            Taps { first: inside_first as usize, weights }
        })
        .collect()
}

/// Resamples along rows, then along columns; the result is `target.rows x target.columns`, row by row, 0..=1.
pub(super) fn resample(image: &HounsfieldImage, in_plane: &InPlane, target: &InputGeometry) -> Vec<f32> {
    let [low, high] = target.hu_window;
    let scale = 1.0 / (high - low);
    let mut source: Vec<f32> = image.values.iter().map(|hu| (hu.clamp(low, high) - low) * scale).collect();
    let (mut rows, mut columns) = (image.rows, image.columns);
    if !in_plane.x.along_columns {
        source = transposed(&source, rows, columns);
        (rows, columns) = (columns, rows);
    }

    let across = taps(in_plane.x, columns, target.columns, target.pixel_mm);
    let mut narrowed = vec![0.0_f32; rows * target.columns];
    for (source_row, narrowed_row) in source.chunks_exact(columns).zip(narrowed.chunks_exact_mut(target.columns)) {
        for (value, taps) in narrowed_row.iter_mut().zip(&across) {
            *value = taps.weights.iter().zip(&source_row[taps.first..]).map(|(weight, v)| weight * v).sum();
        }
    }

    let down = taps(in_plane.y, rows, target.rows, target.pixel_mm);
    let mut plane = vec![0.0_f32; target.plane_len()];
    for (plane_row, taps) in plane.chunks_exact_mut(target.columns).zip(&down) {
        for (weight, narrowed_row) in
            taps.weights.iter().zip(narrowed[taps.first * target.columns..].chunks_exact(target.columns))
        {
            for (value, v) in plane_row.iter_mut().zip(narrowed_row) {
                *value += weight * v;
            }
        }
    }
    plane
}

fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for column in 0..columns {
        out.extend((0..rows).map(|row| values[row * columns + column]));
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::ModelPackage;

    fn target() -> InputGeometry {
        ModelPackage::built_in().unwrap().manifest.input
    }

    fn axes(spacing_mm: f64) -> InPlane {
        InPlane {
            x: SourceAxis { along_columns: true, reversed: false, spacing_mm, offset_mm: 0.0 },
            y: SourceAxis { along_columns: false, reversed: false, spacing_mm, offset_mm: 0.0 },
        }
    }

    fn image(rows: usize, columns: usize, hu: impl Fn(usize, usize) -> f32) -> HounsfieldImage {
        let values = (0..rows * columns).map(|at| hu(at / columns, at % columns)).collect();
        HounsfieldImage { rows, columns, values }
    }

    #[test]
    fn padding_far_outside_the_window_does_not_bleed_into_its_neighbours() {
        let target = target();
        let padded = image(512, 512, |_, column| if column % 2 == 0 { -3024.0 } else { -1150.0 });
        assert!(resample(&padded, &axes(0.75), &target).iter().all(|value| *value == 0.0));
    }

    #[test]
    fn a_mirrored_and_turned_image_gives_the_same_plane_once_its_axes_say_so() {
        let target = target();
        let drawn = |row: usize, column: usize| -1000.0 + (row as f32) * 1.5 + (column as f32) * 0.7;
        let straight = resample(&image(300, 300, drawn), &axes(0.9), &target);
        let turned_axes = InPlane {
            x: SourceAxis { along_columns: false, reversed: true, spacing_mm: 0.9, offset_mm: 0.0 },
            y: SourceAxis { along_columns: true, reversed: false, spacing_mm: 0.9, offset_mm: 0.0 },
        };
        let turned = resample(&image(300, 300, |row, column| drawn(column, 299 - row)), &turned_axes, &target);
        let furthest = straight.iter().zip(&turned).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(furthest < 1e-5, "{furthest}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_flat_image_stays_flat_inside_and_becomes_air_outside(
            rows in 2_usize..600, columns in 2_usize..600, spacing in 0.2_f64..3.0, hu in -1150.0_f32..150.0,
        ) {
            let target = target();
            let plane = resample(&image(rows, columns, |_, _| hu), &axes(spacing), &target);
            let expected = (hu - target.hu_window[0]) / (target.hu_window[1] - target.hu_window[0]);
            let reach = |len: usize| len as f64 * spacing / 2.0;
            for (at, value) in plane.iter().enumerate() {
                let y = (((at / target.columns) as f64 - 127.5) * target.pixel_mm).abs();
                let x = (((at % target.columns) as f64 - 127.5) * target.pixel_mm).abs();
                let filter = target.pixel_mm.max(spacing);
                prop_assert!((0.0..=1.0 + 1e-5).contains(value));
                if x + filter < reach(columns) - spacing / 2.0 && y + filter < reach(rows) - spacing / 2.0 {
                    prop_assert!((value - expected).abs() < 1e-5, "{value} {expected}");
                }
                if x - filter > reach(columns) || y - filter > reach(rows) {
                    prop_assert!(*value == 0.0);
                }
            }
        }
    }
}
