//! How noisy a slice is in soft tissue, at the resolution that the model sees it with.

use super::{HounsfieldImage, InPlane};

/// Side of the blocks whose deviation is taken, mm: near the 6 mm of Christianson et al., and whole cells.
const BLOCK_MM: f64 = 9.0;

/// A block with a mean within this is soft tissue or fat, HU.
const TISSUE_HU: std::ops::RangeInclusive<f64> = -150.0..=200.0;

/// Fewer blocks of tissue than this say nothing.
const MIN_BLOCKS: usize = 16;

/// Noise of a slice: the standard deviation of Hounsfield units in blocks of soft tissue, once pixels have been averaged to
/// cells of about `pixel_mm`, the model's pixel. Noise that this average takes away never reaches the model, be it of fine
/// pixels or of a sharp kernel. Of all blocks' deviations the lower quartile counts: those of others hold edges. After the
/// global noise level of Christianson et al., "Automated technique to measure noise in clinical CT examinations", AJR 2015.
///
/// `None` where there is too little tissue.
#[must_use]
pub fn noise_hu(image: &HounsfieldImage, in_plane: &InPlane, pixel_mm: f64) -> Option<f32> {
    let (across, down) = if in_plane.x.along_columns { (in_plane.x, in_plane.y) } else { (in_plane.y, in_plane.x) };
    let width = Cells::new(across.spacing_mm, pixel_mm, image.columns);
    let height = Cells::new(down.spacing_mm, pixel_mm, image.rows);
    let cells = averaged(image, &width, &height);
    let mut deviations = Vec::new();
    for top in (0..height.count).step_by(height.in_block).take_while(|top| top + height.in_block <= height.count) {
        for left in (0..width.count).step_by(width.in_block).take_while(|left| left + width.in_block <= width.count) {
            let rows = (top..top + height.in_block).map(|row| row * width.count + left);
            let block = rows.flat_map(|first| &cells[first..first + width.in_block]);
            let (mean, deviation) = mean_and_deviation(block.map(|hu| f64::from(*hu)));
            if TISSUE_HU.contains(&mean) {
                deviations.push(deviation);
            }
        }
    }
    if deviations.len() < MIN_BLOCKS {
        return None;
    }
    deviations.sort_by(f64::total_cmp);
    Some(deviations[deviations.len() / 4] as f32)
}

/// How pixels along one way of the image make cells and cells make blocks.
struct Cells {
    /// Pixels in a cell.
    pixels: usize,
    /// Cells in a block.
    in_block: usize,
    /// Whole cells along the image.
    count: usize,
}

impl Cells {
    fn new(spacing_mm: f64, pixel_mm: f64, len: usize) -> Self {
        let pixels = (pixel_mm / spacing_mm).round().max(1.0) as usize;
        let in_block = (BLOCK_MM / (pixels as f64 * spacing_mm)).round().max(3.0) as usize;
        Self { pixels, in_block, count: len / pixels }
    }
}

fn averaged(image: &HounsfieldImage, width: &Cells, height: &Cells) -> Vec<f32> {
    let mut sums = vec![0.0_f32; width.count * height.count];
    for (row, values) in image.values.chunks_exact(image.columns).take(height.count * height.pixels).enumerate() {
        let first = row / height.pixels * width.count;
        for (sum, pixels) in sums[first..first + width.count].iter_mut().zip(values.chunks_exact(width.pixels)) {
            *sum += pixels.iter().sum::<f32>();
        }
    }
    let share = 1.0 / (width.pixels * height.pixels) as f32;
    for sum in &mut sums {
        *sum *= share;
    }
    sums
}

fn mean_and_deviation(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, variance.sqrt())
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::preprocess::SourceAxis;

    fn axes(spacing_mm: f64) -> InPlane {
        let axis = |along_columns| SourceAxis { along_columns, reversed: false, spacing_mm, offset_mm: 0.0 };
        InPlane { x: axis(true), y: axis(false) }
    }

    /// Half soft tissue, half lung, with noise of this deviation.
    fn chest(side: usize, deviation: f32) -> HounsfieldImage {
        let mut generator = StdRng::seed_from_u64(1);
        // The sum of twelve uniform numbers is normal enough.
        let mut normal = || (0..12).map(|_| generator.random::<f32>()).sum::<f32>() - 6.0;
        let values = (0..side * side)
            .map(|at| if at % side < side / 2 { 40.0 } else { -850.0 } + deviation * normal())
            .collect();
        HounsfieldImage { rows: side, columns: side, values }
    }

    #[test]
    fn noise_is_measured_at_the_models_pixels_however_fine_the_scanners_are() {
        for (spacing_mm, deviation) in [(1.5, 40.0), (0.75, 80.0), (0.5, 120.0)] {
            let noise = noise_hu(&chest(256, deviation), &axes(spacing_mm), 1.5).unwrap();
            assert!((34.0..42.0).contains(&noise), "{spacing_mm} mm: {noise}");
        }
    }

    #[test]
    fn a_smooth_slice_has_no_noise_and_one_without_tissue_no_figure() {
        assert_eq!(noise_hu(&chest(256, 0.0), &axes(0.75), 1.5), Some(0.0));
        let air = HounsfieldImage { rows: 64, columns: 64, values: vec![-1000.0; 64 * 64] };
        assert_eq!(noise_hu(&air, &axes(0.75), 1.5), None);
        let tiny = HounsfieldImage { rows: 2, columns: 2, values: vec![0.0; 4] };
        assert_eq!(noise_hu(&tiny, &axes(6.0), 1.5), None);
    }
}
