//! Lesions: connected components of the slabs' lesion masks in three dimensions.

use serde::{Deserialize, Serialize};

use super::components::{Run, components};
use super::evidence::{Mask, TableRow};
use super::lungs::Lungs;
use crate::exam::{Lps, SlabIndex};
use crate::preprocess::InputGeometry;

/// Components smaller than this are noise of the segmentation and are not listed, ml.
pub const SMALLEST_LESION_ML: f64 = 0.1;

/// A 3D connected lesion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Lesion {
    /// Volume, ml.
    pub volume_ml: f64,
    /// Mean Hounsfield units, clamped to the model's window.
    pub mean_hu: f64,
    pub side: Side,
    /// Centre of mass in LPS, mm.
    pub centre_mm: [f64; 3],
    /// Lowest and highest slab position, mm.
    pub z_mm: [f64; 2],
    /// The slab with the lesion's largest area.
    pub key_slab: SlabIndex,
}

/// The lung a lesion lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Left,
    Right,
}

/// All lesions in the lungs of at least [`SMALLEST_LESION_ML`], largest first. `plane_centre` is the patient's position of
/// the plane's centre.
#[must_use]
pub fn lesions(table: &[TableRow<'_>], lungs: &Lungs, input: &InputGeometry, plane_centre: Lps) -> Vec<Lesion> {
    let masks: Vec<&Mask> = table.iter().map(|row| &row.evidence.lesion).collect();
    let z_mm: Vec<f64> = table.iter().map(|row| row.z_mm).collect();
    let place = Place { input, centre: plane_centre };
    let middle_x_mm = lungs.middle_column().map_or(plane_centre[0], |column| place.x_mm(column));
    let mut lesions: Vec<Lesion> = components(&masks, &z_mm)
        .into_iter()
        // A lesion's pixels are lung: one of them tells for all in which component of the lung masks they lie.
        .filter(|runs| {
            runs.first().is_some_and(|run| lungs.contain(run.slab, run.row * input.columns + run.columns.start))
        })
        .map(|runs| Sums::over(&runs, table, &place))
        .filter(|sums| sums.volume_ml >= SMALLEST_LESION_ML)
        .filter_map(|sums| sums.lesion(table, middle_x_mm))
        .collect();
    lesions.sort_by(|a, b| b.volume_ml.total_cmp(&a.volume_ml));
    lesions
}

/// Where plane pixels lie in the patient.
struct Place<'a> {
    input: &'a InputGeometry,
    centre: Lps,
}

impl Place<'_> {
    fn x_mm(&self, column: f64) -> f64 {
        self.centre[0] + (column - (self.input.columns as f64 - 1.0) / 2.0) * self.input.pixel_mm
    }

    fn y_mm(&self, row: f64) -> f64 {
        self.centre[1] + (row - (self.input.rows as f64 - 1.0) / 2.0) * self.input.pixel_mm
    }
}

/// Sums over one component.
#[derive(Default)]
struct Sums {
    volume_ml: f64,
    hu_ml: f64,
    moment: [f64; 3],
    /// Slabs in ascending z with the lesion's pixels on each.
    slabs: Vec<(usize, usize)>,
}

impl Sums {
    fn over(runs: &[Run], table: &[TableRow<'_>], place: &Place<'_>) -> Self {
        let mut sums = Self::default();
        for run in runs {
            let row = &table[run.slab];
            let pixel_ml = place.input.pixel_cm2() * row.thickness_mm / 10.0;
            let y_mm = place.y_mm(run.row as f64);
            let first = run.row * place.input.columns;
            let hu = row.evidence.lesion_hu_of(first + run.columns.start..first + run.columns.end);
            for (column, hu) in run.columns.clone().zip(hu) {
                sums.volume_ml += pixel_ml;
                sums.hu_ml += f64::from(*hu) * pixel_ml;
                for (moment, position) in sums.moment.iter_mut().zip([place.x_mm(column as f64), y_mm, row.z_mm]) {
                    *moment += position * pixel_ml;
                }
            }
            match sums.slabs.last_mut() {
                Some((slab, pixels)) if *slab == run.slab => *pixels += run.columns.len(),
                _ => sums.slabs.push((run.slab, run.columns.len())),
            }
        }
        sums
    }

    fn lesion(&self, table: &[TableRow<'_>], middle_x_mm: f64) -> Option<Lesion> {
        let centre_mm = self.moment.map(|moment| moment / self.volume_ml);
        let (first, last) = (self.slabs.first()?.0, self.slabs.last()?.0);
        let (key, _) = self.slabs.iter().copied().reduce(|best, slab| if slab.1 > best.1 { slab } else { best })?;
        Some(Lesion {
            volume_ml: self.volume_ml,
            mean_hu: self.hu_ml / self.volume_ml,
            side: if centre_mm[0] > middle_x_mm { Side::Left } else { Side::Right },
            centre_mm,
            z_mm: [table[first].z_mm, table[last].z_mm],
            key_slab: table[key].slab,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::evidence::tests::{masks, table_of};
    use super::*;
    use crate::engine::ModelPackage;

    const SIDE: usize = 12;

    fn input() -> InputGeometry {
        InputGeometry { rows: SIDE, columns: SIDE, pixel_mm: 10.0, ..ModelPackage::built_in().unwrap().manifest.input }
    }

    fn found(slabs: &[&[usize]], plane_centre: Lps) -> Vec<Lesion> {
        let lung: Vec<usize> = (0..SIDE * SIDE).collect();
        let evidence: Vec<_> = slabs.iter().map(|lesion| masks(SIDE, &lung, lesion)).collect();
        let z_mm: Vec<f64> = (0..slabs.len()).map(|at| at as f64 * 3.0).collect();
        let table = table_of(&evidence, &z_mm);
        lesions(&table, &Lungs::find(&table, &input()), &input(), plane_centre)
    }

    #[test]
    fn volume_density_place_and_side_are_those_of_the_drawn_lesion() {
        let found = found(&[&[], &[14, 15], &[14, 15, 27], &[]], [100.0, 0.0, 0.0]);
        let [lesion] = found.as_slice() else { panic!("{found:?}") };
        assert!((lesion.volume_ml - 5.0 * 0.3).abs() < 1e-9, "{}", lesion.volume_ml);
        assert!((lesion.mean_hu - -(14.0 + 15.0 + 14.0 + 15.0 + 27.0) / 5.0).abs() < 1e-6);
        assert_eq!(lesion.side, Side::Right);
        assert_eq!(lesion.z_mm, [3.0, 6.0]);
        assert_eq!(lesion.key_slab, SlabIndex(2));
        let x_mm = 100.0 + 10.0 * ((2.0 + 3.0 + 2.0 + 3.0 + 3.0) / 5.0 - 5.5);
        assert!((lesion.centre_mm[0] - x_mm).abs() < 1e-9, "{:?}", lesion.centre_mm);
    }

    #[test]
    fn lesions_come_largest_first() {
        let volumes: Vec<f64> = found(&[&[0, 60, 61, 62]], [0.0; 3]).iter().map(|lesion| lesion.volume_ml).collect();
        assert!(volumes.is_sorted_by(|a, b| a >= b), "{volumes:?}");
    }
}
