//! What one region of a slab's lesion mask adds to its lesion. All of it comes from the slab alone, so that it is made once, and
//! again only if the slab changes.

use super::density::Histogram;
use super::extent::Spans;
use crate::raster::Mask;
use crate::raster::Regions;

/// The regions of a slab's lesion mask.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LesionRegions {
    pub regions: Regions,
    /// One a region.
    pub sums: Vec<LesionRegion>,
}

/// Sums over the pixels of a region.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LesionRegion {
    pub pixels: usize,
    /// The region of the slab's lung mask that it lies in.
    pub lung: Option<usize>,
    /// Hounsfield units, clamped to the model's window.
    pub hu: f64,
    pub histogram: Histogram,
    /// Of row numbers, column numbers, and of the squares of both.
    pub rows: usize,
    pub columns: usize,
    pub squares: usize,
    pub spans: Spans,
}

impl LesionRegions {
    /// The regions of a lesion mask. `hu` are the Hounsfield units of its pixels in the order of [`Mask::pixels`], `lung` the
    /// regions of the lung mask around.
    #[must_use]
    pub fn of(lesion: &Mask, hu: &[f32], lung: &Regions) -> Self {
        let regions = Regions::of(lesion);
        let mut sums = vec![LesionRegion::default(); regions.sizes().len()];
        let mut hu_of = vec![Vec::new(); sums.len()];
        let mut hu = hu.iter();
        for run in regions.runs() {
            let region = &mut sums[run.region];
            if region.pixels == 0 {
                region.lung = lung.region_at(run.row, run.columns.start);
            }
            region.pixels += run.columns.len();
            for column in run.columns.clone() {
                region.rows += run.row;
                region.columns += column;
                region.squares += run.row * run.row + column * column;
            }
            region.spans.widen(run.row, run.columns.start);
            region.spans.widen(run.row, run.columns.end - 1);
            hu_of[run.region].extend(hu.by_ref().take(run.columns.len()));
        }
        for (region, hu) in sums.iter_mut().zip(&hu_of) {
            region.hu = hu.iter().map(|hu| f64::from(*hu)).sum();
            region.histogram = Histogram::of(hu);
        }
        Self { regions, sums }
    }
}
