//! The evidence of one slab, the table of all slabs, and the fold of the table into the case score.

use std::collections::BTreeMap;
use std::ops::Range;

use super::body::{Body, CrossSection};
use crate::engine::{CaseHead, Inference, OperatingPoint};
use crate::exam::{Series, SlabIndex, WindowInputs, WindowJob};
use crate::preprocess::InputGeometry;

/// A set of plane pixels, one bit each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    rows: usize,
    columns: usize,
    bits: Vec<u64>,
}

impl Mask {
    /// The pixels, row by row, for which `is_set` holds.
    #[must_use]
    pub fn from_fn(rows: usize, columns: usize, is_set: impl Fn(usize) -> bool) -> Self {
        Self::from_pixels(rows, columns, (0..rows * columns).filter(|at| is_set(*at)))
    }

    /// The mask of these pixels.
    #[must_use]
    pub fn from_pixels(rows: usize, columns: usize, pixels: impl IntoIterator<Item = usize>) -> Self {
        let mut bits = vec![0_u64; (rows * columns).div_ceil(64)];
        for at in pixels {
            bits[at / 64] |= 1 << (at % 64);
        }
        Self { rows, columns, bits }
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Whether the pixel at `row * columns + column` is set.
    #[must_use]
    pub fn contains(&self, at: usize) -> bool {
        self.bits.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// How many pixels before this one are set: its place in [`Mask::pixels`].
    #[must_use]
    pub fn rank(&self, at: usize) -> usize {
        let whole: u32 = self.bits[..at / 64].iter().map(|word| word.count_ones()).sum();
        let below = self.bits[at / 64] & ((1 << (at % 64)) - 1);
        (whole + below.count_ones()) as usize
    }

    /// The pixels of this mask and of another one of the same size.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.bits.iter_mut().zip(&other.bits).for_each(|(word, more)| *word |= more);
        self
    }

    /// How many pixels are set.
    #[must_use]
    pub fn count(&self) -> usize {
        self.bits.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The pixels that are set, in ascending order.
    pub fn pixels(&self) -> impl Iterator<Item = usize> + '_ {
        self.bits.iter().enumerate().flat_map(|(word_at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(word_at * 64 + bit)
            })
        })
    }
}

/// What the engine says of one slab.
#[derive(Debug, Clone, PartialEq)]
pub struct SlabEvidence {
    pub attention: f32,
    pub logit: f32,
    /// Lung, lesions included: what the network takes for it, inside the body.
    pub lung: Mask,
    /// Lesion within the lung.
    pub lesion: Mask,
    /// Hounsfield units of the lesion's pixels in the order of [`Mask::pixels`], clamped to the model's window.
    pub lesion_hu: Vec<f32>,
    pub lung_cm2: f64,
    pub lesion_cm2: f64,
    /// `None` where there was too little tissue to find the body.
    pub body: Option<CrossSection>,
    /// How much the anatomy changes across the slab; see [`super::change_hu`]. 0 until it has been measured.
    pub change_hu: f32,
}

impl SlabEvidence {
    /// Applies the operating point's thresholds to an inference, within the body; `slab_plane` is the slab's mean plane,
    /// 0..=1.
    #[must_use]
    pub fn new(inference: &Inference, slab_plane: &[f32], input: &InputGeometry, point: &OperatingPoint) -> Self {
        let body = Body::find(slab_plane, input);
        let is_body = |at: usize| body.as_ref().is_none_or(|body| body.contains(at));
        let is_lung = |at: usize| inference.lung[at] >= point.lung_probability && is_body(at);
        let is_lesion = |at: usize| is_lung(at) && inference.lesion[at] >= point.lesion_probability;
        let lung = Mask::from_fn(input.rows, input.columns, is_lung);
        let lesion = Mask::from_fn(input.rows, input.columns, is_lesion);
        let lesion_hu = lesion.pixels().map(|at| input.hounsfield(slab_plane[at])).collect();
        let (lung_cm2, lesion_cm2) =
            (lung.count() as f64 * input.pixel_cm2(), lesion.count() as f64 * input.pixel_cm2());
        Self {
            attention: inference.attention,
            logit: inference.logit,
            lung,
            lesion,
            lesion_hu,
            lung_cm2,
            lesion_cm2,
            body: body.map(|body| body.section),
            change_hu: 0.0,
        }
    }
}

impl SlabEvidence {
    /// Hounsfield units of these neighbouring pixels of the lesion.
    #[must_use]
    pub fn lesion_hu_of(&self, pixels: Range<usize>) -> &[f32] {
        let first = self.lesion.rank(pixels.start);
        self.lesion_hu.get(first..first + pixels.len()).unwrap_or_default()
    }
}

/// The evidence of a series, slab by slab. Every row remembers which versions of which slabs it was made from.
#[derive(Debug, Default)]
pub struct EvidenceTable {
    rows: BTreeMap<SlabIndex, (WindowInputs, SlabEvidence)>,
}

impl EvidenceTable {
    /// Whether the slab's row was made from just these slabs.
    #[must_use]
    pub fn is_done(&self, slab: SlabIndex, inputs: &WindowInputs) -> bool {
        self.rows.get(&slab).is_some_and(|(made_from, _)| made_from == inputs)
    }

    /// Puts the evidence of a window into its row.
    pub fn put(&mut self, job: &WindowJob, evidence: SlabEvidence) {
        self.rows.insert(job.slab, (job.inputs, evidence));
    }

    /// The evidence in ascending z.
    pub fn evidence(&self) -> impl Iterator<Item = &SlabEvidence> + Clone {
        self.rows.values().map(|(_, evidence)| evidence)
    }

    /// The slab's row.
    #[must_use]
    pub fn row(&self, slab: SlabIndex) -> Option<&SlabEvidence> {
        self.rows.get(&slab).map(|(_, evidence)| evidence)
    }

    /// The rows in ascending z, placed in the series that they were made from.
    #[must_use]
    pub fn rows(&self, series: &Series) -> Vec<TableRow<'_>> {
        let placed: Vec<_> = self
            .rows
            .iter()
            .filter_map(|(slab, (_, evidence))| Some((*slab, series.slab_z_mm(*slab)?, evidence)))
            .collect();
        let z_mm: Vec<f64> = placed.iter().map(|(_, z_mm, _)| *z_mm).collect();
        placed
            .into_iter()
            .zip(thicknesses_mm(&z_mm))
            .map(|((slab, z_mm, evidence), thickness_mm)| TableRow { slab, z_mm, thickness_mm, evidence })
            .collect()
    }
}

/// One row of the evidence table.
#[derive(Debug, Clone, Copy)]
pub struct TableRow<'a> {
    pub slab: SlabIndex,
    /// Mean position of the slab's slices, mm.
    pub z_mm: f64,
    /// How much of the z axis the row stands for, mm.
    pub thickness_mm: f64,
    pub evidence: &'a SlabEvidence,
}

/// A row never stands for more than this on either side: beyond lies a gap of which nothing is known, mm.
const MAX_REACH_MM: f64 = 5.0;

/// The share of the z axis of each of these ascending positions: half way to its neighbours, the outermost as far out
/// as in, mm.
#[must_use]
pub fn thicknesses_mm(z_mm: &[f64]) -> Vec<f64> {
    let reach = |a: usize, b: usize| ((z_mm[b] - z_mm[a]) / 2.0).min(MAX_REACH_MM);
    (0..z_mm.len())
        .map(|at| {
            let below = (at > 0).then(|| reach(at - 1, at));
            let above = (at + 1 < z_mm.len()).then(|| reach(at, at + 1));
            below.or(above).unwrap_or(0.0) + above.or(below).unwrap_or(0.0)
        })
        .collect()
}

/// The case probability: attention-based multiple-instance pooling (Ilse, Tomczak and Welling, "Attention-based deep
/// multiple instance learning", 2018) in slab order, then the package's calibration. `None` for an empty table.
///
/// Order and precision are fixed, so that the same table gives the same bits.
#[must_use]
pub fn case_score<'a>(rows: impl Iterator<Item = &'a SlabEvidence> + Clone, head: &CaseHead) -> Option<f64> {
    let highest = rows.clone().map(|row| f64::from(row.attention)).reduce(f64::max)?;
    let (mut weights, mut weighted) = (0.0, 0.0);
    for row in rows {
        let weight = (f64::from(row.attention) - highest).exp();
        weights += weight;
        weighted += weight * f64::from(row.logit);
    }
    let case_logit = weighted / weights + head.bias;
    let calibrated = head.calibration_slope * case_logit + head.calibration_intercept;
    Some(1.0 / (1.0 + (-calibrated).exp()))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn evidence(attention: f32, logit: f32) -> SlabEvidence {
        SlabEvidence { attention, logit, ..masks(1, &[], &[]) }
    }

    /// Evidence of a square slab; a lesion's density is the negative of its pixel's number, HU.
    pub(crate) fn masks(side: usize, lung: &[usize], lesion: &[usize]) -> SlabEvidence {
        let (lung, lesion) = (
            Mask::from_pixels(side, side, lung.iter().copied()),
            Mask::from_pixels(side, side, lesion.iter().copied()),
        );
        let lesion_hu = lesion.pixels().map(|at| -(at as f32)).collect();
        SlabEvidence {
            attention: 0.0,
            logit: 0.0,
            lung,
            lesion,
            lesion_hu,
            lung_cm2: 0.0,
            lesion_cm2: 0.0,
            body: None,
            change_hu: 0.0,
        }
    }

    pub(crate) fn table_of<'a>(slabs: &'a [SlabEvidence], z_mm: &[f64]) -> Vec<TableRow<'a>> {
        let rows = z_mm.iter().zip(thicknesses_mm(z_mm)).zip(slabs).enumerate();
        rows.map(|(at, ((z_mm, thickness_mm), evidence))| {
            let slab = SlabIndex(at as i64);
            TableRow { slab, z_mm: *z_mm, thickness_mm, evidence }
        })
        .collect()
    }

    const HEAD: CaseHead = CaseHead { bias: 0.0, calibration_slope: 1.0, calibration_intercept: 0.0 };

    #[test]
    fn an_empty_table_has_no_score() {
        assert_eq!(case_score([].iter(), &HEAD), None);
    }

    #[test]
    fn attention_decides_whose_logit_counts() {
        let rows = [evidence(10.0, 3.0), evidence(-10.0, -50.0)];
        let score = case_score(rows.iter(), &HEAD).unwrap();
        assert!((score - 1.0 / (1.0 + (-3.0_f64).exp())).abs() < 1e-6, "{score}");
    }

    #[test]
    fn thicknesses_add_up_to_the_scan_and_do_not_bridge_gaps() {
        assert_eq!(thicknesses_mm(&[0.0, 2.0, 4.0]), [2.0, 2.0, 2.0]);
        assert_eq!(thicknesses_mm(&[0.0, 100.0]), [10.0, 10.0]);
        assert_eq!(thicknesses_mm(&[7.0]), [0.0]);
    }

    proptest! {
        #[test]
        fn a_mask_gives_back_its_pixels(pixels in prop::collection::btree_set(0..200_usize, 0..50)) {
            let mask = Mask::from_fn(10, 20, |at| pixels.contains(&at));
            prop_assert_eq!(mask.pixels().collect::<Vec<_>>(), pixels.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(mask.count(), pixels.len());
            for (place, at) in pixels.iter().enumerate() {
                prop_assert_eq!(mask.rank(*at), place);
            }
        }

        #[test]
        fn the_score_is_a_probability(rows in prop::collection::vec((-80.0_f32..80.0, -80.0_f32..80.0), 1..40)) {
            let rows: Vec<_> = rows.iter().map(|(a, z)| evidence(*a, *z)).collect();
            let score = case_score(rows.iter(), &HEAD).unwrap();
            prop_assert!((0.0..=1.0).contains(&score));
        }
    }
}
