//! Which of what the model takes for lung is lung: gas in the bowel looks like it, but is small and lies apart.

use std::borrow::Cow;

use super::evidence::TableRow;
use crate::exam::LungArea;
use crate::preprocess::InputGeometry;
use crate::raster::Mask;
use crate::raster::{Layer, PixelRun, RegionAt, components};

/// A component of the lung masks with less than this share of the largest one's volume is not lung. The smaller lung has
/// far more, unless it is gone.
const MIN_SHARE_OF_LARGEST: f64 = 0.15;

/// Which regions of the slabs' lung masks are lung: those of components that are large enough.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LungRegions {
    /// For each slab in ascending z, whether each of its regions is lung.
    is_lung: Vec<Vec<bool>>,
    /// Area on each slab.
    pub areas: Vec<LungArea>,
    /// Volume of both lungs, lesions included, ml.
    pub volume_ml: f64,
}

impl LungRegions {
    /// Finds the lungs in an evidence table: a fold over regions.
    #[must_use]
    pub fn find(table: &[TableRow<'_>], input: &InputGeometry) -> Self {
        let sizes = |slab: usize| table[slab].evidence.lung_regions.sizes();
        let stack: Vec<Layer<'_>> = table
            .iter()
            .enumerate()
            .map(|(slab, row)| Layer { z_mm: row.z_mm, regions: sizes(slab).len(), adjacencies: &row.adjacencies.lung })
            .collect();
        let found: Vec<(f64, Vec<RegionAt>)> = components(&stack)
            .into_iter()
            .map(|regions| {
                let volume =
                    regions.iter().map(|at| sizes(at.slab)[at.region] as f64 * table[at.slab].thickness_mm).sum();
                (volume, regions)
            })
            .collect();
        let largest = found.iter().map(|(volume, _)| *volume).fold(0.0, f64::max);
        let mut is_lung: Vec<Vec<bool>> = (0..table.len()).map(|slab| vec![false; sizes(slab).len()]).collect();
        let mut pixels = vec![0; table.len()];
        let large = found.iter().filter(|(volume, _)| *volume >= largest * MIN_SHARE_OF_LARGEST);
        for at in large.flat_map(|(_, regions)| regions) {
            is_lung[at.slab][at.region] = true;
            pixels[at.slab] += sizes(at.slab)[at.region];
        }
        let areas: Vec<LungArea> = table
            .iter()
            .zip(&pixels)
            .map(|(row, pixels)| LungArea { z_mm: row.z_mm, lung_cm2: *pixels as f64 * input.pixel_cm2() })
            .collect();
        let volume_ml = areas.iter().zip(table).map(|(area, row)| area.lung_cm2 * row.thickness_mm / 10.0).sum();
        Self { is_lung, areas, volume_ml }
    }

    /// Whether a region of a lung mask is lung.
    #[must_use]
    pub fn contain(&self, at: RegionAt) -> bool {
        self.is_lung.get(at.slab).is_some_and(|regions| regions.get(at.region) == Some(&true))
    }

    /// The runs of a slab that are lung.
    pub fn runs<'a>(&'a self, table: &'a [TableRow<'_>], slab: usize) -> impl Iterator<Item = &'a PixelRun> {
        let is_lung = &self.is_lung[slab];
        table[slab].evidence.lung_regions.runs().iter().filter(|run| is_lung[run.region])
    }

    /// The mask of a slab, without what is not lung.
    pub fn mask<'a>(&self, table: &[TableRow<'a>], slab: usize) -> Cow<'a, Mask> {
        let whole = &table[slab].evidence.lung;
        if self.is_lung[slab].iter().all(|is_lung| *is_lung) {
            return Cow::Borrowed(whole);
        }
        let columns = whole.columns();
        let pixels =
            self.runs(table, slab).flat_map(|run| run.columns.clone().map(|column| run.row * columns + column));
        Cow::Owned(Mask::from_pixels(whole.rows(), columns, pixels))
    }
}
