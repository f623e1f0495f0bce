//! The lungs: which is the right one and which the left, and whether both are what a chest has.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::aeration::Inflation;
use super::body::SpinePlace;
use super::evidence::TableRow;
use super::lung_regions::LungRegions;
use super::zones::Side;
use super::zones::{PerZone, Zone};
use crate::exam::LungArea;
use crate::preprocess::InputGeometry;
use crate::raster::Mask;
use crate::raster::{PixelRun, RegionAt};

/// Where lungs touch, they are parted no further from the patient's midline than this, mm.
const PARTING_REACH_MM: f64 = 40.0;

/// A slab with less lung than this says little of the chest, cm².
const CHEST_SLAB_CM2: f64 = 10.0;

/// Where the body is found on less of the chest than this share, what is known of the rest says little of the whole.
const BODY_FOUND_SHARE: f64 = 0.8;

/// The spine is in front if it is so on this share of the slabs that tell, and on [`MIN_SPINE_SLABS`]: bright contrast
/// medium in the heart looks like it on fewer.
const SPINE_IN_FRONT_SHARE: f64 = 0.8;
const MIN_SPINE_SLABS: usize = 5;

/// The lungs of a series, slab by slab in ascending z.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lungs<'a> {
    masks: Vec<Cow<'a, Mask>>,
    /// The column on each slab from which on lung is the left one.
    left_from: Vec<usize>,
    /// Lowest and uppermost slab that says something of the chest, mm; (0, 0) without one.
    height_mm: (f64, f64),
    /// Volume of each zone, lesions included, ml.
    pub(super) zones_ml: PerZone,
    /// Area on each slab.
    pub areas: Vec<LungArea>,
    /// Volume of both lungs, lesions included, ml.
    pub volume_ml: f64,
    pub summary: LungSummary,
}

/// What the lungs are like as a whole. Volumes include lesions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LungSummary {
    /// ml.
    pub right_ml: f64,
    /// ml.
    pub left_ml: f64,
    /// Share of the chest's volume that is lung, from the lungs' lowest to their uppermost slab, 0 to 1; absent where the
    /// body was found on too little of it.
    pub chest_share: Option<f64>,
    /// The spine lies in front: the image is upside down, whatever its orientation says.
    pub spine_in_front: bool,
    /// Enough slabs show where the spine lies.
    #[serde(default)]
    pub spine_found: bool,
    /// Absent with too little healthy lung to tell.
    #[serde(default)]
    pub inflation: Option<Inflation>,
}

impl<'a> Lungs<'a> {
    /// Finds the lungs in an evidence table.
    #[must_use]
    pub fn find(table: &[TableRow<'a>], input: &InputGeometry) -> Self {
        Self::of(LungRegions::find(table, input), table, input)
    }

    /// The lungs that these regions make.
    pub(super) fn of(regions: LungRegions, table: &[TableRow<'a>], input: &InputGeometry) -> Self {
        let columns: Vec<Vec<usize>> =
            (0..table.len()).map(|slab| lung_by_column(regions.runs(table, slab), input.columns)).collect();
        let middle = midline(table, &columns);
        let left_from: Vec<usize> = columns.iter().map(|lung| left_from(lung, middle, input)).collect();
        let pixels: Vec<SidePixels> =
            columns.iter().zip(&left_from).map(|(lung, left_from)| SidePixels::of(lung, *left_from)).collect();
        let masks = (0..table.len()).map(|slab| regions.mask(table, slab)).collect();
        let LungRegions { areas, volume_ml, .. } = regions;
        let summary = LungSummary::of(table, &pixels, &areas, input);
        let mut lungs = Self {
            masks,
            left_from,
            height_mm: height_mm(&areas),
            zones_ml: PerZone::default(),
            areas,
            volume_ml,
            summary,
        };
        for (slab, (row, pixels)) in table.iter().zip(&pixels).enumerate() {
            let pixel_ml = row.pixel_ml(input);
            let height = lungs.height(slab);
            lungs.zones_ml[Zone::of(Side::Left, height)] += pixels.left as f64 * pixel_ml;
            lungs.zones_ml[Zone::of(Side::Right, height)] += pixels.right as f64 * pixel_ml;
        }
        lungs
    }

    /// Whether a plane pixel of the slab with this number in the table is lung.
    #[must_use]
    pub fn contain(&self, slab: usize, at: usize) -> bool {
        self.masks.get(slab).is_some_and(|mask| mask.contains(at))
    }

    /// Whether a region of a table's lung mask is lung.
    pub(super) fn contain_region(&self, table: &[TableRow<'_>], RegionAt { slab, region }: RegionAt) -> bool {
        let mut runs = table[slab].evidence.lung_regions.runs().iter().filter(|run| run.region == region);
        self.masks
            .get(slab)
            .zip(runs.next())
            .is_some_and(|(mask, run)| mask.contains(run.row * mask.columns() + run.columns.start))
    }

    /// The lungs of a slab.
    pub(super) fn mask(&self, slab: usize) -> &Mask {
        &self.masks[slab]
    }

    /// How high in the lungs a slab lies: 0 at their lowest slab, 1 at their uppermost.
    pub(super) fn height(&self, slab: usize) -> f64 {
        let (low, high) = self.height_mm;
        (self.areas[slab].z_mm - low) / (high - low).max(f64::MIN_POSITIVE)
    }

    /// The column of the slab with this number in the table from which on lung is the left one.
    #[must_use]
    pub fn left_from(&self, slab: usize) -> usize {
        self.left_from.get(slab).copied().unwrap_or(0)
    }
}

/// Lung pixels on a slab.
struct SidePixels {
    left: usize,
    right: usize,
}

impl SidePixels {
    fn of(lung: &[usize], left_from: usize) -> Self {
        let (right, left) = lung.split_at(left_from.min(lung.len()));
        Self { left: left.iter().sum(), right: right.iter().sum() }
    }
}

fn lung_by_column<'a>(runs: impl Iterator<Item = &'a PixelRun>, columns: usize) -> Vec<usize> {
    // First how the count changes from column to column.
    let (mut begin, mut end) = (vec![0; columns + 1], vec![0; columns + 1]);
    for run in runs {
        begin[run.columns.start] += 1;
        end[run.columns.end] += 1;
    }
    let mut lung = 0;
    (0..columns)
        .map(|column| {
            lung = lung + begin[column] - end[column];
            lung
        })
        .collect()
}

fn height_mm(areas: &[LungArea]) -> (f64, f64) {
    let mut chest = areas.iter().filter(|area| area.lung_cm2 >= CHEST_SLAB_CM2).map(|area| area.z_mm);
    let low = chest.next();
    low.map_or((0.0, 0.0), |low| (low, chest.next_back().unwrap_or(low)))
}

/// The patient's midline, in plane pixels: the mean of the body's over the slabs with lung; without a body half way between
/// the lungs' outermost columns. A patient may have one lung only: its own middle says nothing of the patient's.
fn midline(table: &[TableRow<'_>], columns: &[Vec<usize>]) -> f64 {
    let chest = table.iter().zip(columns).filter(|(_, lung)| lung.iter().any(|lung| *lung > 0));
    let middles: Vec<f64> = chest.filter_map(|(row, _)| Some(row.evidence.body?.middle_column)).collect();
    if !middles.is_empty() {
        return middles.iter().sum::<f64>() / middles.len() as f64;
    }
    let low = columns.iter().filter_map(|lung| lung.iter().position(|lung| *lung > 0)).min();
    let high = columns.iter().filter_map(|lung| lung.iter().rposition(|lung| *lung > 0)).max();
    low.zip(high).map_or(0.0, |(low, high)| (low + high) as f64 / 2.0)
}

/// The column from which on a slab's lung is the left one: beside the column with the least lung near the midline, and of
/// equals the nearest; between the outermost columns with lung, if the midline is. Columns run from the patient's right to the left.
fn left_from(lung: &[usize], middle: f64, input: &InputGeometry) -> usize {
    let reach = PARTING_REACH_MM / input.pixel_mm;
    let distance = |column: &usize| (*column as f64 - middle).abs();
    let first = lung.iter().position(|count| *count > 0).unwrap_or(0);
    let last = lung.iter().rposition(|count| *count > 0).unwrap_or(0);
    let is_between = (first as f64..=last as f64).contains(&middle);
    let columns = if is_between { first..last + 1 } else { 0..lung.len() };
    let parting = columns
        .filter(|column| distance(column) <= reach)
        .min_by(|a, b| lung[*a].cmp(&lung[*b]).then(distance(a).total_cmp(&distance(b))));
    let column = parting.unwrap_or(middle as usize);
    if column as f64 <= middle { column + 1 } else { column }
}

impl LungSummary {
    fn of(table: &[TableRow<'_>], pixels: &[SidePixels], areas: &[LungArea], input: &InputGeometry) -> Self {
        let mut summary = Self { inflation: Inflation::of(table, input), ..Self::default() };
        for (row, pixels) in table.iter().zip(pixels) {
            summary.left_ml += pixels.left as f64 * row.pixel_ml(input);
            summary.right_ml += pixels.right as f64 * row.pixel_ml(input);
        }
        let chest: Vec<_> = table.iter().zip(areas).filter(|(_, area)| area.lung_cm2 >= CHEST_SLAB_CM2).collect();
        let (mut lung, mut body, mut with_body_mm, mut all_mm) = (0.0, 0.0, 0.0, 0.0);
        for (row, area) in &chest {
            all_mm += row.thickness_mm;
            if let Some(section) = row.evidence.body {
                with_body_mm += row.thickness_mm;
                lung += area.lung_cm2 * row.thickness_mm;
                body += section.area_cm2 * row.thickness_mm;
            }
        }
        summary.chest_share = (body > 0.0 && with_body_mm >= BODY_FOUND_SHARE * all_mm).then(|| lung / body);
        let spines: Vec<SpinePlace> = chest.iter().filter_map(|(row, _)| row.evidence.body?.spine).collect();
        summary.spine_found = spines.len() >= MIN_SPINE_SLABS;
        let in_front = spines.iter().filter(|place| **place == SpinePlace::Front).count();
        summary.spine_in_front =
            in_front >= MIN_SPINE_SLABS && in_front as f64 >= SPINE_IN_FRONT_SHARE * spines.len() as f64;
        summary
    }

    /// Both lungs, ml.
    #[must_use]
    pub fn volume_ml(&self) -> f64 {
        self.right_ml + self.left_ml
    }

    /// The smaller lung and its share of the larger one's volume, 0 to 1; `None` without lungs.
    #[must_use]
    pub fn smaller(&self) -> Option<(Side, f64)> {
        let (side, small, large) = if self.left_ml < self.right_ml {
            (Side::Left, self.left_ml, self.right_ml)
        } else {
            (Side::Right, self.right_ml, self.left_ml)
        };
        (large > 0.0).then(|| (side, small / large))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::body::CrossSection;
    use super::super::evidence::SlabEvidence;
    use super::super::evidence::tests::{masks, rows_at, table_of};
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
        let table = table_of(slabs.iter().map(|lung| masks(10, lung, &[])));
        let lungs = Lungs::find(&rows_at(&table, &[0.0, 3.0, 6.0]), &input);
        assert!(!lungs.contain(1, 95));
        assert!(lungs.contain(1, 0) && lungs.contain(1, 9));
        assert_eq!(lungs.areas[1], LungArea { z_mm: 3.0, lung_cm2: lungs_only.len() as f64 * input.pixel_cm2() });
        assert!((4..=7).contains(&lungs.left_from(1)), "{}", lungs.left_from(1));
    }

    const WIDE: usize = 60;

    fn wide_input() -> InputGeometry {
        static INPUT: std::sync::LazyLock<InputGeometry> = std::sync::LazyLock::new(|| InputGeometry {
            rows: WIDE,
            columns: WIDE,
            pixel_mm: 5.0,
            ..ModelPackage::built_in().unwrap().manifest.input
        });
        INPUT.clone()
    }

    fn section(spine: Option<SpinePlace>) -> CrossSection {
        CrossSection { area_cm2: 600.0, middle_column: 29.5, spine }
    }

    /// Pixels of these columns in rows 20 to 40.
    fn block(columns: std::ops::Range<usize>) -> Vec<usize> {
        (20..40).flat_map(|row| columns.clone().map(move |column| row * WIDE + column)).collect()
    }

    fn summary(lung: &[usize], section: CrossSection) -> LungSummary {
        let table = table_of(vec![SlabEvidence { body: Some(section), ..masks(WIDE, lung, &[]) }; 10]);
        let z_mm: Vec<f64> = (0..10).map(|at| f64::from(at) * 3.0).collect();
        Lungs::find(&rows_at(&table, &z_mm), &wide_input()).summary
    }

    #[test]
    fn a_single_lung_is_not_halved_by_its_own_middle() {
        let one = summary(&block(36..50), section(None));
        assert_eq!(one.right_ml, 0.0);
        assert_eq!(one.smaller(), Some((Side::Right, 0.0)));
    }

    #[test]
    fn narrow_lungs_that_touch_are_parted_between_and_not_beside_them() {
        let narrow = [block(23..28), (28..32).map(|column| 20 * WIDE + column).collect(), block(32..37)].concat();
        let narrow = summary(&narrow, section(None));
        assert!((narrow.right_ml - narrow.left_ml).abs() < 1e-9, "{narrow:?}");
    }

    #[test]
    fn lungs_that_touch_are_parted_where_there_is_least_lung_near_the_midline() {
        let touching = [block(10..30), (30..34).map(|column| 25 * WIDE + column).collect(), block(34..50)].concat();
        let touching = summary(&touching, section(None));
        assert!((touching.smaller().unwrap().1 - 0.8).abs() < 0.02, "{touching:?}");
        let share = touching.chest_share.unwrap();
        assert!((share - (20.0 * 36.0 + 4.0) * 0.25 / 600.0).abs() < 1e-9, "{share}");
    }

    #[test]
    fn the_spine_is_in_front_only_if_nearly_all_slabs_say_so() {
        let lung = [block(10..25), block(35..50)].concat();
        let place = |number: usize, front: usize| if number < front { SpinePlace::Front } else { SpinePlace::Back };
        let told = |front: usize| {
            let table = table_of(
                (0..10)
                    .map(|at| SlabEvidence { body: Some(section(Some(place(at, front)))), ..masks(WIDE, &lung, &[]) }),
            );
            let z_mm: Vec<f64> = (0..10).map(|at| f64::from(at) * 3.0).collect();
            Lungs::find(&rows_at(&table, &z_mm), &wide_input()).summary.spine_in_front
        };
        assert!(told(10) && told(9));
        assert!(!told(5) && !told(0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn mirrored_lungs_have_mirrored_volumes(right in 5_usize..20, left in 5_usize..20, bridge in 0_usize..3) {
            let drawn = [block(28 - right..28), block(32..32 + left), (20..20 + bridge)
                .flat_map(|row| (28..32).map(move |column| row * WIDE + column)).collect()].concat();
            let mirrored: Vec<usize> = drawn.iter().map(|at| at / WIDE * WIDE + (WIDE - 1 - at % WIDE)).collect();
            let (drawn, mirrored) = (summary(&drawn, section(None)), summary(&mirrored, section(None)));
            prop_assert!((drawn.right_ml - mirrored.left_ml).abs() < 1e-6, "{drawn:?} {mirrored:?}");
            prop_assert!((drawn.left_ml - mirrored.right_ml).abs() < 1e-6, "{drawn:?} {mirrored:?}");
        }
    }

    #[test]
    fn no_evidence_means_no_lungs() {
        let input = ModelPackage::built_in().unwrap().manifest.input;
        let lungs = Lungs::find(&[], &input);
        assert_eq!((lungs.volume_ml, lungs.summary), (0.0, LungSummary::default()));
        assert_eq!(lungs.summary.smaller(), None);
    }
}
