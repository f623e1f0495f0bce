//! The evidence of one slab, the table of all slabs, and the fold of the table into the case score.
//!
//! The same slices must give the same bits in whatever order they arrive: only so is streaming exact, and a corrected
//! slice corrects the score. So a row is replaced and never added to, and remembers the slices that it was made from,
//! which says when it is due again. The score is folded anew from all rows, in slab order and in f64: a running sum of
//! floating-point numbers would depend on the order of arrival. Only what is costly and exact is kept with a row, its
//! regions and how they touch those of the row below, so that a late row costs itself and two adjacencies.

use std::collections::BTreeMap;

use super::aeration::Aeration;
use super::body::{Body, CrossSection, Tissue};
use super::lesion_region::LesionRegions;
use crate::engine::{CaseHead, Inference, OperatingPoint};
use crate::exam::{Series, SlabIndex, WindowInputs};
use crate::preprocess::InputGeometry;
use crate::raster::Mask;
use crate::raster::{Adjacency, Regions};

/// What the engine says of one slab.
#[derive(Debug, Clone, PartialEq)]
pub struct SlabEvidence {
    pub attention: f32,
    pub logit: f32,
    /// Lung, lesions included: what the model takes for it, inside the body.
    pub lung: Mask,
    /// Lesion within the lung.
    pub lesion: Mask,
    pub lung_regions: Regions,
    pub lesion_regions: LesionRegions,
    pub lung_cm2: f64,
    pub lesion_cm2: f64,
    /// `None` where there was too little tissue to find the body.
    pub body: Option<CrossSection>,
    /// How much the anatomy changes across the slab; see [`super::change_hu`]. 0 until it has been measured.
    pub change_hu: f32,
    /// Nothing until it has been measured: see [`Self::measured`].
    pub aeration: Aeration,
}

impl SlabEvidence {
    /// Applies the operating point's thresholds to an inference, within the body; `slab_plane` is the slab's mean plane,
    /// 0..=1.
    #[must_use]
    pub fn new(inference: &Inference, slab_plane: &[f32], input: &InputGeometry, point: &OperatingPoint) -> Self {
        let body = Body::find(&Tissue::on(slab_plane, input), input);
        let above = |probabilities: &[f32], least: f32| {
            Mask::of(probabilities, input.columns, |probability| *probability >= least)
        };
        let mut lung = above(&inference.lung, point.lung_probability);
        if let Some(body) = &body {
            lung = lung.common_with(body.mask());
        }
        let lesion = above(&inference.lesion, point.lesion_probability).common_with(&lung);
        let lesion_hu: Vec<f32> = lesion.pixels().map(|at| input.hounsfield(slab_plane[at])).collect();
        let section = body.map(|body| body.section);
        Self::of_masks(lung, lesion, &lesion_hu, [inference.attention, inference.logit], section, input)
    }

    /// The evidence of masks that lie within the body. `lesion_hu` are the Hounsfield units of the lesion's pixels in the order
    /// of [`Mask::pixels`].
    #[must_use]
    pub fn of_masks(
        lung: Mask,
        lesion: Mask,
        lesion_hu: &[f32],
        [attention, logit]: [f32; 2],
        body: Option<CrossSection>,
        input: &InputGeometry,
    ) -> Self {
        let lung_regions = Regions::of(&lung);
        let lesion_regions = LesionRegions::of(&lesion, lesion_hu, &lung_regions);
        let (lung_cm2, lesion_cm2) =
            (lung.count() as f64 * input.pixel_cm2(), lesion.count() as f64 * input.pixel_cm2());
        Self {
            attention,
            logit,
            lung,
            lesion,
            lung_regions,
            lesion_regions,
            lung_cm2,
            lesion_cm2,
            body,
            change_hu: 0.0,
            aeration: Aeration::default(),
        }
    }

    /// With what the slab itself says of its lungs, and the attention and logit that the package's head makes of it.
    /// `slab_plane` is the slab's mean plane, 0..=1.
    #[must_use]
    pub fn measured(self, slab_plane: &[f32], head: &CaseHead, input: &InputGeometry) -> Self {
        let aeration = Aeration::measure(&self.lung, &self.lesion, slab_plane, head.lesions.as_ref(), input);
        let [attention, logit] = head.lesions.map_or([self.attention, self.logit], |lesions| {
            lesions.attention_and_logit(self.lung_cm2, aeration.outstanding_cm2)
        });
        Self { attention, logit, aeration, ..self }
    }
}

/// Which regions of a row's masks touch which of the row below it in the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adjacencies {
    pub lung: Vec<Adjacency>,
    pub lesion: Vec<Adjacency>,
}

impl Adjacencies {
    fn between(below: &SlabEvidence, above: &SlabEvidence) -> Self {
        Self {
            lung: above.lung_regions.adjacencies_with(&below.lung_regions),
            lesion: above.lesion_regions.regions.adjacencies_with(&below.lesion_regions.regions),
        }
    }
}

#[derive(Debug)]
struct Row {
    made_from: WindowInputs,
    evidence: SlabEvidence,
    adjacencies: Adjacencies,
}

/// The evidence of a series, slab by slab. Every row remembers which slices of which slabs it was made from, and what it
/// touches in the row below: so labelling in three dimensions grows with the table, in any order.
#[derive(Debug, Default)]
pub struct EvidenceTable {
    rows: BTreeMap<SlabIndex, Row>,
}

impl EvidenceTable {
    /// Whether the slab's row was made from just these slabs.
    #[must_use]
    pub fn is_done(&self, slab: SlabIndex, inputs: &WindowInputs) -> bool {
        self.rows.get(&slab).is_some_and(|row| row.made_from == *inputs)
    }

    /// Puts the evidence of a window into its row, in place of what was there.
    pub fn put(&mut self, slab: SlabIndex, made_from: WindowInputs, evidence: SlabEvidence) {
        let below = self.rows.range(..slab).next_back();
        let adjacencies = below.map(|(_, below)| Adjacencies::between(&below.evidence, &evidence)).unwrap_or_default();
        if let Some((_, above)) = self.rows.range_mut(SlabIndex(slab.0 + 1)..).next() {
            above.adjacencies = Adjacencies::between(&evidence, &above.evidence);
        }
        self.rows.insert(slab, Row { made_from, evidence, adjacencies });
    }

    /// The evidence in ascending z.
    pub fn evidence(&self) -> impl Iterator<Item = &SlabEvidence> + Clone {
        self.rows.values().map(|row| &row.evidence)
    }

    /// The slab's row.
    #[must_use]
    pub fn row(&self, slab: SlabIndex) -> Option<&SlabEvidence> {
        self.rows.get(&slab).map(|row| &row.evidence)
    }

    /// The rows in ascending z, placed in the series that they were made from.
    #[must_use]
    pub fn rows(&self, series: &Series) -> Vec<TableRow<'_>> {
        self.placed(|slab| series.slab_positions_mm(slab))
    }

    /// The rows in ascending z. Each must have slices, whose ascending positions are asked for, mm: adjacencies are those with the
    /// next row in the table.
    fn placed(&self, positions_mm_of: impl Fn(SlabIndex) -> Option<Vec<f64>>) -> Vec<TableRow<'_>> {
        let placed: Vec<_> =
            self.rows.iter().filter_map(|(slab, row)| Some((*slab, positions_mm_of(*slab)?, row))).collect();
        debug_assert_eq!(placed.len(), self.rows.len());
        let positions_mm: Vec<f64> = placed.iter().flat_map(|(_, positions_mm, _)| positions_mm).copied().collect();
        let mut slices = positions_mm.iter().zip(thicknesses_mm(&positions_mm));
        placed
            .into_iter()
            .map(|(slab, positions_mm, row)| {
                let count = positions_mm.len();
                let (z_sum, thickness_mm) =
                    slices.by_ref().take(count).fold((0.0, 0.0), |(z, thick), (at, own)| (z + at, thick + own));
                TableRow {
                    slab,
                    z_mm: z_sum / count as f64,
                    thickness_mm,
                    evidence: &row.evidence,
                    adjacencies: &row.adjacencies,
                }
            })
            .collect()
    }
}

/// One row of the evidence table.
#[derive(Debug, Clone, Copy)]
pub struct TableRow<'a> {
    pub slab: SlabIndex,
    /// Mean position of the slab's slices, mm.
    pub z_mm: f64,
    /// How much of the z axis the row's slices stand for, mm.
    pub thickness_mm: f64,
    pub evidence: &'a SlabEvidence,
    /// With the row below.
    pub adjacencies: &'a Adjacencies,
}

impl TableRow<'_> {
    /// What one plane pixel of the row stands for, ml.
    #[must_use]
    pub fn pixel_ml(&self, input: &InputGeometry) -> f64 {
        input.pixel_cm2() * self.thickness_mm / 10.0
    }
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
    use crate::exam::SlabSlices;

    fn evidence(attention: f32, logit: f32) -> SlabEvidence {
        SlabEvidence { attention, logit, ..masks(1, &[], &[]) }
    }

    /// Evidence of a square slab; a lesion's density is the negative of its pixel's number, HU.
    pub(crate) fn masks(side: usize, lung: &[usize], lesion: &[usize]) -> SlabEvidence {
        evidence_of(side, lung, lesion, |at| -(at as f32))
    }

    pub(crate) fn evidence_of(
        side: usize,
        lung: &[usize],
        lesion: &[usize],
        hu: impl Fn(usize) -> f32,
    ) -> SlabEvidence {
        let (lung, lesion) = (
            Mask::from_pixels(side, side, lung.iter().copied()),
            Mask::from_pixels(side, side, lesion.iter().copied()),
        );
        let hu: Vec<f32> = lesion.pixels().map(hu).collect();
        let lung_regions = Regions::of(&lung);
        let lesion_regions = LesionRegions::of(&lesion, &hu, &lung_regions);
        let (lung_cm2, lesion_cm2, body, change_hu) = (0.0, 0.0, None, 0.0);
        SlabEvidence {
            attention: 0.0,
            logit: 0.0,
            lung,
            lesion,
            lung_regions,
            lesion_regions,
            lung_cm2,
            lesion_cm2,
            body,
            change_hu,
            aeration: Aeration::default(),
        }
    }

    /// Rows without adjacencies, for what does not look at components.
    pub(crate) fn loose_rows<'a>(slabs: &'a [SlabEvidence], z_mm: &[f64]) -> Vec<TableRow<'a>> {
        static NONE: Adjacencies = Adjacencies { lung: Vec::new(), lesion: Vec::new() };
        let rows = z_mm.iter().zip(thicknesses_mm(z_mm)).zip(slabs).enumerate();
        rows.map(|(at, ((z_mm, thickness_mm), evidence))| {
            let slab = SlabIndex(at as i64);
            TableRow { slab, z_mm: *z_mm, thickness_mm, evidence, adjacencies: &NONE }
        })
        .collect()
    }

    /// A table of these slabs, numbered from 0.
    pub(crate) fn table_of(slabs: impl IntoIterator<Item = SlabEvidence>) -> EvidenceTable {
        let mut table = EvidenceTable::default();
        slabs.into_iter().enumerate().for_each(|(at, evidence)| put(&mut table, at, evidence));
        table
    }

    pub(crate) fn put(table: &mut EvidenceTable, at: usize, evidence: SlabEvidence) {
        let slab = SlabIndex(at as i64);
        table.put(slab, [(slab, SlabSlices::default()); 3], evidence);
    }

    /// The rows of a table whose slabs are numbered from 0.
    pub(crate) fn rows_at<'a>(table: &'a EvidenceTable, z_mm: &[f64]) -> Vec<TableRow<'a>> {
        table.placed(|slab| Some(vec![*z_mm.get(slab.0 as usize)?]))
    }

    const HEAD: CaseHead = CaseHead { bias: 0.0, calibration_slope: 1.0, calibration_intercept: 0.0, lesions: None };

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

    /// Slabs of 3 mm hold one or two slices that are 2 mm apart.
    #[test]
    fn a_slab_stands_for_the_share_of_its_slices() {
        let table = table_of([evidence(0.0, 0.0), evidence(0.0, 0.0), evidence(0.0, 0.0)]);
        let positions = [vec![0.0, 2.0], vec![4.0], vec![6.0, 8.0]];
        let rows = table.placed(|slab| positions.get(slab.0 as usize).cloned());
        let placed: Vec<_> = rows.iter().map(|row| (row.z_mm, row.thickness_mm)).collect();
        assert_eq!(placed, [(1.0, 4.0), (4.0, 2.0), (7.0, 4.0)]);
    }

    proptest! {
        #[test]
        fn a_mask_gives_back_its_pixels(pixels in prop::collection::btree_set(0..200_usize, 0..50)) {
            let mask = Mask::from_fn(10, 20, |at| pixels.contains(&at));
            prop_assert_eq!(mask.pixels().collect::<Vec<_>>(), pixels.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(mask.count(), pixels.len());
        }

        #[test]
        fn the_score_is_a_probability(rows in prop::collection::vec((-80.0_f32..80.0, -80.0_f32..80.0), 1..40)) {
            let rows: Vec<_> = rows.iter().map(|(a, z)| evidence(*a, *z)).collect();
            let score = case_score(rows.iter(), &HEAD).unwrap();
            prop_assert!((0.0..=1.0).contains(&score));
        }
    }
}
