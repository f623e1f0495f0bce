//! How much air the lungs of a slab hold, and how far its lesions stand out from the lung around them.
//!
//! Breathing out makes lungs denser, most where the patient lies on them, and evenly along each height. An opacity of
//! pneumonia ends somewhere. So a lesion's pixel counts towards the case score only if it is denser than healthy lung of the
//! same height by a margin, which grows as that lung holds less air: haze that the lungs' inflation explains is drawn, and flags nobody.

use serde::{Deserialize, Serialize};

use super::evidence::TableRow;
use crate::engine::LesionHead;
use crate::preprocess::InputGeometry;
use crate::raster::Mask;

/// A row's lung is compared with that of this many rows on either side too: one row alone may hold a vessel and little else.
const ROWS_AROUND: usize = 3;

/// Where lesions leave little healthy lung at a height, this many pixels of well inflated lung are added to it: extensive
/// disease must not explain itself.
const ADDED_PIXELS: f64 = 30.0;
const WELL_INFLATED_HU: f64 = -850.0;

/// Pixels within this of the lung's border or of a lesion are partial volume and say nothing of its air.
const BORDER_PIXELS: usize = 2;

/// Of the histogram of the lung's density, HU.
const BIN_HU: f64 = 10.0;
const LOWEST_HU: f64 = -1150.0;
const BINS: usize = 130;

/// With less than this of healthy lung nothing is said of its air, ml.
const LEAST_LUNG_ML: f64 = 200.0;

/// What a slab's plane says of its lungs.
#[derive(Debug, Clone, PartialEq)]
pub struct Aeration {
    /// Pixels of healthy lung in the front, middle and back third of the lungs' height on the slab, by density.
    thirds: [Box<[u32]>; 3],
    /// Lesion that stands out from healthy lung of the same height, cm².
    pub outstanding_cm2: f64,
}

impl Default for Aeration {
    fn default() -> Self {
        Self { thirds: std::array::from_fn(|_| vec![0; BINS].into()), outstanding_cm2: 0.0 }
    }
}

impl Aeration {
    /// Measures a slab's lungs and the lesions within them; the head decides what stands out, without one all does. `slab_plane` is the
    /// slab's mean plane, 0..=1.
    #[must_use]
    pub fn measure(
        lung: &Mask,
        lesion: &Mask,
        slab_plane: &[f32],
        head: Option<&LesionHead>,
        input: &InputGeometry,
    ) -> Self {
        let Some((top, bottom)) = lung.span_of_rows() else { return Self::default() };
        let hounsfield = |at: usize| f64::from(input.hounsfield(slab_plane[at]));
        let mut rows = vec![(0.0, 0.0); input.rows];
        for at in lung.clone().without(lesion).pixels() {
            let (sum, count) = &mut rows[at / input.columns];
            *sum += hounsfield(at);
            *count += 1.0;
        }
        let height_hu = |row: usize| {
            let around = &rows[row.saturating_sub(ROWS_AROUND)..(row + ROWS_AROUND + 1).min(rows.len())];
            let added = (ADDED_PIXELS * WELL_INFLATED_HU, ADDED_PIXELS);
            let (sum, count) = around.iter().fold(added, |(sum, count), row| (sum + row.0, count + row.1));
            sum / count
        };
        let limit_hu = |head: &LesionHead, lung_hu: f64| {
            lung_hu + head.above_lung_hu + head.above_dense_lung * (lung_hu - WELL_INFLATED_HU).max(0.0)
        };
        let limits: Vec<f64> =
            (0..input.rows).map(|row| head.map_or(f64::NEG_INFINITY, |head| limit_hu(head, height_hu(row)))).collect();
        let outstanding = lesion.pixels().filter(|at| hounsfield(*at) >= limits[at / input.columns]).count();
        let mut aeration = Self { outstanding_cm2: outstanding as f64 * input.pixel_cm2(), ..Self::default() };
        let inner = lung.clone().shrunk(BORDER_PIXELS).without(&lesion.grown(BORDER_PIXELS));
        for at in inner.pixels() {
            let third = (at / input.columns - top) * 3 / (bottom - top + 1);
            let bin = ((hounsfield(at) - LOWEST_HU) / BIN_HU).clamp(0.0, (BINS - 1) as f64) as usize;
            aeration.thirds[third][bin] += 1;
        }
        aeration
    }
}

/// How well the lungs are inflated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Inflation {
    /// Median density of healthy lung, HU. About -850 at full inspiration, -700 after expiration.
    pub median_hu: f64,
    /// How much denser the back third is than the front third, medians, HU: lung that hangs full of air has little of it.
    pub gradient_hu: f64,
}

impl Inflation {
    /// Of all healthy lung in these rows; `None` with too little of it.
    #[must_use]
    pub fn of(rows: &[TableRow<'_>], input: &InputGeometry) -> Option<Self> {
        let mut thirds = [[0.0_f64; BINS]; 3];
        for row in rows {
            let pixel_ml = row.pixel_ml(input);
            for (sums, counts) in thirds.iter_mut().zip(&row.evidence.aeration.thirds) {
                for (sum, count) in sums.iter_mut().zip(counts) {
                    *sum += f64::from(*count) * pixel_ml;
                }
            }
        }
        let [front, middle, back] = thirds;
        let all: [f64; BINS] = std::array::from_fn(|bin| front[bin] + middle[bin] + back[bin]);
        if all.iter().sum::<f64>() < LEAST_LUNG_ML {
            return None;
        }
        Some(Self { median_hu: median_hu(&all)?, gradient_hu: median_hu(&back)? - median_hu(&front)? })
    }
}

/// The median of a histogram, evenly within its bin; `None` of nothing.
fn median_hu(volumes: &[f64; BINS]) -> Option<f64> {
    let half = volumes.iter().sum::<f64>() / 2.0;
    let mut below = 0.0;
    let bin = volumes.iter().position(|volume| {
        let reached = *volume > 0.0 && below + volume >= half;
        if !reached {
            below += volume;
        }
        reached
    })?;
    Some(LOWEST_HU + BIN_HU * (bin as f64 + (half - below) / volumes[bin]))
}

/// Attention follows the lung area of a slab by this power, so that slabs of neck and abdomen weigh nothing and the case logit is
/// close to a mean over the lungs.
const ATTENTION_AREA: f64 = 1.5;
const NO_LUNG_CM2: f64 = 0.01;

/// The extent of disease on a slab is `ln((L + 0.01 A + 0.1) / (A + 10))` with the lung area A and the lesion area L, cm²: it grows with the
/// share of the lung that is ill, and a slab of little lung says little.
const SHARE_FLOOR: f64 = 0.01;
const AREA_FLOOR_CM2: f64 = 0.1;
const LUNG_FLOOR_CM2: f64 = 10.0;

impl LesionHead {
    /// Attention and logit of a slab: monotone in what of it is ill.
    #[must_use]
    pub fn attention_and_logit(&self, lung_cm2: f64, outstanding_cm2: f64) -> [f32; 2] {
        let ill_cm2 = outstanding_cm2 + SHARE_FLOOR * lung_cm2 + AREA_FLOOR_CM2;
        let extent = (ill_cm2 / (lung_cm2 + LUNG_FLOOR_CM2)).ln();
        let attention = ATTENTION_AREA * (lung_cm2 + NO_LUNG_CM2).ln();
        [attention as f32, (self.gain * (extent + self.offset)) as f32]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::evidence::tests::{loose_rows, masks};
    use super::super::evidence::{SlabEvidence, tests};
    use super::*;
    use crate::engine::ModelPackage;

    const SIDE: usize = 64;
    const HEAD: LesionHead = LesionHead { gain: 5.0, offset: 4.0, above_lung_hu: 100.0, above_dense_lung: 0.5 };

    fn input() -> InputGeometry {
        static INPUT: std::sync::LazyLock<InputGeometry> =
            std::sync::LazyLock::new(|| ModelPackage::built_in().unwrap().manifest.input);
        InputGeometry { rows: SIDE, columns: SIDE, ..INPUT.clone() }
    }

    fn plane(hu: impl Fn(usize, usize) -> f64) -> Vec<f32> {
        let value = |at: usize| ((hu(at / SIDE, at % SIDE) + 1150.0) / 1300.0) as f32;
        (0..SIDE * SIDE).map(value).collect()
    }

    fn block(rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> Mask {
        Mask::from_fn(SIDE, SIDE, |at| rows.contains(&(at / SIDE)) && columns.contains(&(at % SIDE)))
    }

    fn lung() -> Mask {
        block(4..60, 4..60)
    }

    fn outstanding(lesion: &Mask, hu: impl Fn(usize, usize) -> f64) -> f64 {
        Aeration::measure(&lung(), lesion, &plane(hu), Some(&HEAD), &input()).outstanding_cm2
    }

    /// Denser and denser towards the back, as lungs are that hold little air.
    fn breathed_out(row: usize) -> f64 {
        -800.0 + 5.0 * row as f64
    }

    #[test]
    fn haze_that_lies_evenly_along_each_height_does_not_stand_out_and_a_patch_in_it_does() {
        let (haze, patch) = (block(40..60, 4..30), block(40..50, 10..20));
        assert_eq!(outstanding(&haze, |row, _| breathed_out(row)), 0.0);
        let patched = |row, column| breathed_out(row) + if patch.contains(row * SIDE + column) { 300.0 } else { 0.0 };
        let cm2 = outstanding(&patch, patched);
        assert!((cm2 - patch.count() as f64 * input().pixel_cm2()).abs() < 1e-9, "{cm2}");
    }

    #[test]
    fn disease_over_all_of_a_height_is_compared_with_lung_that_is_well_inflated() {
        let ill = block(4..60, 4..60);
        let cm2 = outstanding(&ill, |_, _| -600.0);
        assert!((cm2 - ill.count() as f64 * input().pixel_cm2()).abs() < 1e-9, "{cm2}");
    }

    #[test]
    fn inflation_is_the_median_of_healthy_lung_and_how_much_denser_its_back_is() {
        let measured = |hu: &dyn Fn(usize) -> f64| {
            let plane = plane(|row, _| hu(row));
            let aeration = Aeration::measure(&lung(), &block(10..12, 10..50), &plane, None, &input());
            let slabs: Vec<SlabEvidence> =
                (0..20).map(|_| SlabEvidence { aeration: aeration.clone(), ..masks(SIDE, &[], &[]) }).collect();
            let z_mm: Vec<f64> = (0..20).map(|at| f64::from(at) * 3.0).collect();
            Inflation::of(&loose_rows(&slabs, &z_mm), &input()).unwrap()
        };
        let even = measured(&|_| -853.0);
        assert!((even.median_hu + 853.0).abs() < BIN_HU && even.gradient_hu.abs() < 1e-9, "{even:?}");
        let sloped = measured(&|row| -900.0 + 3.0 * row as f64);
        assert!((sloped.gradient_hu - 3.0 * 36.0).abs() < 2.0 * BIN_HU, "{sloped:?}");
        assert_eq!(Inflation::of(&loose_rows(&[tests::masks(SIDE, &[], &[])], &[0.0]), &input()), None);
    }

    proptest! {
        #[test]
        fn a_denser_or_larger_lesion_never_counts_for_less(
            rows in (4_usize..50, 1_usize..10), columns in (4_usize..40, 1_usize..20), hu in -800.0_f64..0.0, more in 0.0_f64..300.0
        ) {
            let lesion = |wider: usize| block(rows.0..rows.0 + rows.1, columns.0..columns.0 + columns.1 + wider);
            let of = |hu: f64, wider: usize| {
                let ill = lesion(10);
                outstanding(&lesion(wider), |row, column| if ill.contains(row * SIDE + column) { hu } else { breathed_out(row) })
            };
            prop_assert!(of(hu + more, 0) >= of(hu, 0));
            prop_assert!(of(hu, 10) >= of(hu, 0));
            prop_assert!(of(hu, 0) <= lesion(0).count() as f64 * input().pixel_cm2());
        }

        #[test]
        fn the_logit_grows_with_the_lesion_and_falls_with_the_lung(
            lung_cm2 in 1.0_f64..400.0, lesion_cm2 in 0.0_f64..100.0, more in 0.1_f64..100.0
        ) {
            let logit = |lung_cm2: f64, lesion_cm2: f64| HEAD.attention_and_logit(lung_cm2, lesion_cm2)[1];
            prop_assert!(logit(lung_cm2, lesion_cm2 + more) > logit(lung_cm2, lesion_cm2));
            prop_assert!(logit(lung_cm2 + more, lung_cm2.min(lesion_cm2)) <= logit(lung_cm2, lung_cm2.min(lesion_cm2)) + 1e-3);
        }
    }
}
