//! Which of what the network takes for lung is lung: gas in the bowel and air beside the body look like it, but are small
//! and lie apart.

use super::components::components;
use super::evidence::{Mask, TableRow};
use crate::exam::LungArea;
use crate::preprocess::InputGeometry;

/// A component of the lung masks with less than this share of the largest one's volume is not lung. The smaller lung has
/// far more, unless it is gone.
const MIN_SHARE_OF_LARGEST: f64 = 0.15;

/// The lungs of a series, slab by slab in ascending z.
#[derive(Debug, Clone, PartialEq)]
pub struct Lungs {
    masks: Vec<Mask>,
    /// Area on each slab.
    pub areas: Vec<LungArea>,
    /// Volume of both lungs, lesions included, ml.
    pub volume_ml: f64,
}

impl Lungs {
    /// Finds the lungs in an evidence table.
    #[must_use]
    pub fn find(table: &[TableRow<'_>], input: &InputGeometry) -> Self {
        let masks: Vec<&Mask> = table.iter().map(|row| &row.evidence.lung).collect();
        let z_mm: Vec<f64> = table.iter().map(|row| row.z_mm).collect();
        let found: Vec<_> = components(&masks, &z_mm)
            .into_iter()
            .map(|runs| {
                let volume: f64 = runs.iter().map(|run| run.columns.len() as f64 * table[run.slab].thickness_mm).sum();
                (volume, runs)
            })
            .collect();
        let largest = found.iter().map(|(volume, _)| *volume).fold(0.0, f64::max);
        let mut pixels = vec![Vec::new(); table.len()];
        for (_, runs) in found.iter().filter(|(volume, _)| *volume >= largest * MIN_SHARE_OF_LARGEST) {
            for run in runs {
                pixels[run.slab].extend(run.columns.clone().map(|column| run.row * input.columns + column));
            }
        }
        let masks: Vec<Mask> =
            pixels.into_iter().map(|pixels| Mask::from_pixels(input.rows, input.columns, pixels)).collect();
        let areas: Vec<LungArea> = table
            .iter()
            .zip(&masks)
            .map(|(row, mask)| LungArea { z_mm: row.z_mm, lung_cm2: mask.count() as f64 * input.pixel_cm2() })
            .collect();
        let volume_ml = areas.iter().zip(table).map(|(area, row)| area.lung_cm2 * row.thickness_mm / 10.0).sum();
        Self { masks, areas, volume_ml }
    }

    /// Whether a plane pixel of the slab with this number in the table is lung.
    #[must_use]
    pub fn contain(&self, slab: usize, at: usize) -> bool {
        self.masks.get(slab).is_some_and(|mask| mask.contains(at))
    }

    /// Half way between the lungs' outermost columns; `None` without lungs.
    #[must_use]
    pub fn middle_column(&self) -> Option<f64> {
        let columns = self.masks.iter().flat_map(|mask| mask.pixels().map(|at| at % mask.columns()));
        let (low, high) = columns.fold((usize::MAX, 0), |(low, high), column| (low.min(column), high.max(column)));
        (low <= high).then(|| (low + high) as f64 / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::evidence::tests::{masks, table_of};
    use super::*;
    use crate::engine::ModelPackage;

    #[test]
    fn gas_apart_from_the_lungs_is_no_lung_and_the_smaller_lung_is() {
        let input = InputGeometry { rows: 10, columns: 10, ..ModelPackage::built_in().unwrap().manifest.input };
        let right: Vec<usize> = (0..50).filter(|at| at % 10 < 4).collect();
        let left: Vec<usize> = (0..30).filter(|at| at % 10 > 6).collect();
        let gas = [95];
        let slab = [right.clone(), left.clone(), gas.to_vec()].concat();
        let lungs_only = [right, left].concat();
        let slabs = [lungs_only.clone(), slab, lungs_only.clone()];
        let evidence = slabs.iter().map(|lung| masks(10, lung, &[])).collect::<Vec<_>>();
        let lungs = Lungs::find(&table_of(&evidence, &[0.0, 3.0, 6.0]), &input);
        assert!(!lungs.contain(1, 95));
        assert!(lungs.contain(1, 0) && lungs.contain(1, 9));
        assert_eq!(lungs.areas[1], LungArea { z_mm: 3.0, lung_cm2: lungs_only.len() as f64 * input.pixel_cm2() });
        assert_eq!(lungs.middle_column(), Some(4.5));
    }

    #[test]
    fn no_evidence_means_no_lungs() {
        let input = ModelPackage::built_in().unwrap().manifest.input;
        let lungs = Lungs::find(&[], &input);
        assert_eq!((lungs.volume_ml, lungs.middle_column()), (0.0, None));
    }
}
