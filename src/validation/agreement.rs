//! How far the model's lungs and lesions agree with a person's masks, on the model's grid.

use super::{LesionAgreement, MaskAgreement};
use crate::preprocess::InputGeometry;
use crate::raster::{Mask, label};
use crate::triage::{Lungs, TableRow};

/// Lesions smaller than this are left out when lesions are counted, ml.
pub(super) const SMALLEST_COUNTED_ML: f64 = 0.5;

/// A person's masks, one plane a row of the evidence table; `None` where there is no such mask.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct DrawnMasks {
    pub lung: Option<Vec<Mask>>,
    pub lesion: Option<Vec<Mask>>,
}

/// Compares the verdict's lungs and the lesions in them with a person's masks.
#[must_use]
pub(super) fn agreement(
    table: &[TableRow<'_>],
    lungs: &Lungs<'_>,
    input: &InputGeometry,
    drawn: &DrawnMasks,
) -> MaskAgreement {
    let volumes = Volumes::of(table, input);
    let in_lungs = |mask: &Mask, slab: usize| {
        Mask::from_pixels(mask.rows(), mask.columns(), mask.pixels().filter(|at| lungs.contain(slab, *at)))
    };
    let of_model = |mask_of: fn(&TableRow<'_>) -> Mask| -> Vec<Mask> {
        table.iter().enumerate().map(|(slab, row)| in_lungs(&mask_of(row), slab)).collect()
    };
    let lung = of_model(|row| row.evidence.lung.clone());
    let lesion = of_model(|row| row.evidence.lesion.clone());
    let lesions = drawn.lesion.as_ref().map(|drawn| {
        let (count, found) = volumes.lesions_touched_by(drawn, &lesion);
        let (of_model, true_lesions) = volumes.lesions_touched_by(&lesion, drawn);
        LesionAgreement { count, found, false_lesions: of_model - true_lesions }
    });
    MaskAgreement {
        lung_dice: drawn.lung.as_ref().and_then(|drawn| volumes.dice(&lung, drawn)),
        lesion_dice: drawn.lesion.as_ref().and_then(|drawn| volumes.dice(&lesion, drawn)),
        lesions,
    }
}

/// What a pixel of each slab stands for.
struct Volumes {
    z_mm: Vec<f64>,
    pixel_ml: Vec<f64>,
}

impl Volumes {
    fn of(table: &[TableRow<'_>], input: &InputGeometry) -> Self {
        Self {
            z_mm: table.iter().map(|row| row.z_mm).collect(),
            pixel_ml: table.iter().map(|row| input.pixel_cm2() * row.thickness_mm / 10.0).collect(),
        }
    }

    /// Twice the common volume over the sum of both (Dice, "Measures of the amount of ecologic association between
    /// species", 1945); `None` if both are empty.
    fn dice(&self, a: &[Mask], b: &[Mask]) -> Option<f64> {
        let (mut common, mut sum) = (0.0, 0.0);
        for ((a, b), ml) in a.iter().zip(b).zip(&self.pixel_ml) {
            common += a.pixels().filter(|at| b.contains(*at)).count() as f64 * ml;
            sum += (a.count() + b.count()) as f64 * ml;
        }
        (sum > 0.0).then(|| 2.0 * common / sum)
    }

    /// How many lesions of at least [`SMALLEST_COUNTED_ML`] there are in a stack, and how many have a pixel in common with
    /// another stack.
    fn lesions_touched_by(&self, stack: &[Mask], other: &[Mask]) -> (usize, usize) {
        let (regions, components) = label(stack, &self.z_mm);
        let touched: Vec<Vec<bool>> = regions
            .iter()
            .zip(other)
            .map(|(regions, other)| {
                let mut touched = vec![false; regions.sizes().len()];
                for run in regions.runs() {
                    let first = run.row * other.columns();
                    touched[run.region] |= run.columns.clone().any(|column| other.contains(first + column));
                }
                touched
            })
            .collect();
        let lesions: Vec<bool> = components
            .iter()
            .filter(|lesion| {
                let ml = lesion.iter().map(|at| regions[at.slab].sizes()[at.region] as f64 * self.pixel_ml[at.slab]);
                ml.sum::<f64>() >= SMALLEST_COUNTED_ML
            })
            .map(|lesion| lesion.iter().any(|at| touched[at.slab][at.region]))
            .collect();
        (lesions.len(), lesions.iter().filter(|touched| **touched).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ModelPackage;
    use crate::triage::tests::{masks, rows_at, table_of};

    const SIDE: usize = 12;

    /// A pixel of a slab is 0.3 ml.
    fn compare(
        lung: &[usize],
        lesion: &[usize],
        drawn_lung: Option<&[usize]>,
        drawn_lesion: &[usize],
    ) -> MaskAgreement {
        let built_in = ModelPackage::built_in().unwrap().manifest.input;
        let input = InputGeometry { rows: SIDE, columns: SIDE, pixel_mm: 10.0, ..built_in };
        let slabs = [masks(SIDE, lung, lesion), masks(SIDE, lung, lesion)];
        let table = table_of(slabs);
        let table = rows_at(&table, &[0.0, 3.0]);
        let stack = |pixels: &[usize]| vec![Mask::from_pixels(SIDE, SIDE, pixels.iter().copied()); 2];
        let drawn = DrawnMasks { lung: drawn_lung.map(stack), lesion: Some(stack(drawn_lesion)) };
        agreement(&table, &Lungs::find(&table, &input), &input, &drawn)
    }

    #[test]
    fn dice_is_twice_the_common_part_over_both() {
        let lung: Vec<usize> = (0..48).collect();
        let drawn: Vec<usize> = (12..60).collect();
        let agreement = compare(&lung, &[3, 4, 5], Some(&drawn), &[4, 5, 6, 7]);
        assert!((agreement.lung_dice.unwrap() - 36.0 / 48.0).abs() < 1e-12, "{agreement:?}");
        assert!((agreement.lesion_dice.unwrap() - 4.0 / 7.0).abs() < 1e-12, "{agreement:?}");
    }

    #[test]
    fn lesions_are_found_by_touch_and_false_without_it() {
        let lung: Vec<usize> = (0..144).collect();
        // Drawn: one at the top left, one at the bottom. Found by the model: a part of the first, and one of its own.
        let agreement = compare(&lung, &[2, 70], None, &[1, 2, 13, 130]);
        assert_eq!(agreement.lesions, Some(LesionAgreement { count: 2, found: 1, false_lesions: 1 }));
        assert_eq!(agreement.lung_dice, None);
    }

    #[test]
    fn two_empty_lesion_masks_have_no_dice() {
        let lung: Vec<usize> = (0..144).collect();
        let agreement = compare(&lung, &[], None, &[]);
        assert_eq!((agreement.lesion_dice, agreement.lesions), (None, Some(LesionAgreement::default())));
    }
}
