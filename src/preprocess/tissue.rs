//! What the tissue of a slice says of it, at the resolution that the model sees it with: its noise, and whether its numbers can be
//! Hounsfield units.

use std::ops::RangeInclusive;

use super::{HounsfieldImage, InPlane};

/// Side of the blocks whose deviation is taken, mm: near the 6 mm of Christianson et al., and whole cells.
const BLOCK_MM: f64 = 9.0;

/// A block with a mean within this is soft tissue or fat, HU.
const TISSUE_HU: RangeInclusive<f64> = -150.0..=200.0;

/// Fewer blocks of tissue than this say nothing.
const MIN_BLOCKS: usize = 16;

/// Fat and what is denser, HU. In a chest it covers 200 cm² and more, in raised hands little.
const DENSE_HU: f32 = -300.0;
const LEAST_DENSE_CM2: f64 = 10.0;

/// Of an image that is smaller than a patient, this much is enough.
const LEAST_DENSE_SHARE: f64 = 0.02;

/// Muscle, organs and blood, HU. In the leanest and the fattest of 20 patients they are at least 18 % of what is dense on any slice.
const SOFT_HU: RangeInclusive<f32> = 0.0..=100.0;
const LEAST_SOFT_SHARE: f64 = 0.05;

/// A slice in cells of about the model's pixel.
pub struct TissueCells {
    width: CellAxis,
    height: CellAxis,
    /// Means of the cells, row by row, HU.
    hu: Vec<f32>,
}

impl TissueCells {
    #[must_use]
    pub fn of(image: &HounsfieldImage, in_plane: &InPlane, pixel_mm: f64) -> Self {
        let (across, down) = if in_plane.x.along_columns { (in_plane.x, in_plane.y) } else { (in_plane.y, in_plane.x) };
        let width = CellAxis::new(across.spacing_mm, pixel_mm, image.columns);
        let height = CellAxis::new(down.spacing_mm, pixel_mm, image.rows);
        let hu = averaged(image, &width, &height);
        Self { width, height, hu }
    }

    /// Noise of the slice: the standard deviation of Hounsfield units in blocks of soft tissue, once pixels have been averaged to
    /// cells. Noise that this average takes away never reaches the model, be it of fine pixels or of a sharp kernel. Of all blocks'
    /// deviations the lower quartile counts: those of others hold edges. After the global noise level of Christianson et al.,
    /// "Automated technique to measure noise in clinical CT examinations", AJR 2015.
    ///
    /// `None` where there is too little tissue.
    #[must_use]
    pub fn noise_hu(&self) -> Option<f32> {
        let Self { width, height, hu } = self;
        let mut deviations = Vec::new();
        for top in (0..height.count).step_by(height.in_block).take_while(|top| top + height.in_block <= height.count) {
            for left in (0..width.count).step_by(width.in_block).take_while(|left| left + width.in_block <= width.count)
            {
                let rows = (top..top + height.in_block).map(|row| row * width.count + left);
                let block = rows.flat_map(|first| &hu[first..first + width.in_block]);
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

    /// Whether this shows a patient: a body has soft tissue wherever it is cut. A wrong Rescale Slope or Intercept leaves none.
    #[must_use]
    pub fn show_a_patient(&self) -> bool {
        let cell_cm2 = self.width.cell_mm() * self.height.cell_mm() / 100.0;
        let cm2 = |is_meant: &dyn Fn(f32) -> bool| self.hu.iter().filter(|hu| is_meant(**hu)).count() as f64 * cell_cm2;
        let (all_cm2, dense_cm2) = (self.hu.len() as f64 * cell_cm2, cm2(&|hu| hu > DENSE_HU));
        dense_cm2 >= LEAST_DENSE_CM2.min(LEAST_DENSE_SHARE * all_cm2)
            && cm2(&|hu| SOFT_HU.contains(&hu)) >= LEAST_SOFT_SHARE * dense_cm2
    }
}

/// How pixels along one way of the image make cells and cells make blocks.
struct CellAxis {
    spacing_mm: f64,
    /// Pixels in a cell.
    pixels: usize,
    /// Cells in a block.
    in_block: usize,
    /// Whole cells along the image.
    count: usize,
}

impl CellAxis {
    fn new(spacing_mm: f64, pixel_mm: f64, len: usize) -> Self {
        let pixels = (pixel_mm / spacing_mm).round().max(1.0) as usize;
        let in_block = (BLOCK_MM / (pixels as f64 * spacing_mm)).round().max(3.0) as usize;
        Self { spacing_mm, pixels, in_block, count: len / pixels }
    }

    fn cell_mm(&self) -> f64 {
        self.pixels as f64 * self.spacing_mm
    }
}

fn averaged(image: &HounsfieldImage, width: &CellAxis, height: &CellAxis) -> Vec<f32> {
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

    fn cells(image: &HounsfieldImage, spacing_mm: f64) -> TissueCells {
        let axis = |along_columns| SourceAxis { along_columns, reversed: false, spacing_mm, offset_mm: 0.0 };
        TissueCells::of(image, &InPlane { x: axis(true), y: axis(false) }, 1.5)
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
            let noise = cells(&chest(256, deviation), spacing_mm).noise_hu().unwrap();
            assert!((34.0..42.0).contains(&noise), "{spacing_mm} mm: {noise}");
        }
    }

    #[test]
    fn a_smooth_slice_has_no_noise_and_one_without_tissue_no_figure() {
        assert_eq!(cells(&chest(256, 0.0), 0.75).noise_hu(), Some(0.0));
        let air = HounsfieldImage { rows: 64, columns: 64, values: vec![-1000.0; 64 * 64] };
        assert_eq!(cells(&air, 0.75).noise_hu(), None);
        let tiny = HounsfieldImage { rows: 2, columns: 2, values: vec![0.0; 4] };
        assert_eq!(cells(&tiny, 6.0).noise_hu(), None);
    }

    #[test]
    fn a_wrong_rescale_shows_by_soft_tissue_that_is_missing() {
        let rescaled = |slope: f32, intercept: f32| {
            let image = chest(256, 20.0);
            let values = image.values.iter().map(|hu| (hu + 1024.0) * slope + intercept).collect();
            cells(&HounsfieldImage { values, ..image }, 1.5).show_a_patient()
        };
        assert!(rescaled(1.0, -1024.0) && rescaled(1.0, -1004.0) && rescaled(1.02, -1024.0));
        for (slope, intercept) in [(2.0, -1024.0), (0.5, -1024.0), (0.25, -1024.0), (1.0, 0.0), (1.0, -2048.0)] {
            assert!(!rescaled(slope, intercept), "{slope} {intercept}");
        }
        let fingers = |at: usize| if at < 800 { 40.0 } else { -1000.0 };
        let values = (0..256 * 256).map(fingers).collect();
        assert!(cells(&HounsfieldImage { rows: 256, columns: 256, values }, 1.5).show_a_patient());
    }
}
