//! The lowest slab of ten, and what it shows.

use super::super::evidence::SlabEvidence;
use super::super::evidence::tests::{masks, rows_at, table_of};
use super::super::lung_regions::LungRegions;
use super::*;
use crate::engine::ModelPackage;
use crate::exam::made_image;
use crate::preprocess::HounsfieldImage;

const SIDE: usize = 32;
const SLABS: usize = 10;

fn input() -> InputGeometry {
    InputGeometry { rows: SIDE, columns: SIDE, pixel_mm: 5.0, ..ModelPackage::built_in().unwrap().manifest.input }
}

/// A block of the plane with its density; pixels of 0.25 cm².
#[derive(Clone, Copy)]
struct Block {
    rows: [usize; 2],
    columns: [usize; 2],
    hu: f32,
}

impl Block {
    fn contains(&self, at: usize) -> bool {
        let (row, column) = (at / SIDE, at % SIDE);
        (self.rows[0]..self.rows[1]).contains(&row) && (self.columns[0]..self.columns[1]).contains(&column)
    }
}

/// 100 cm² in the middle of the plane.
const LUNG: Block = Block { rows: [6, 26], columns: [6, 26], hu: -850.0 };

/// What is said of the base where the model takes a block of each slab, counted from the lowest, for lung.
fn base(block: impl Fn(usize) -> Option<Block>) -> Option<QualityIssue> {
    let (input, limits) = (input(), QualityLimits::default());
    let mut series = Series::default();
    let mut evidence: Vec<SlabEvidence> = Vec::new();
    for slab in 0..SLABS {
        let block = block(slab);
        let is_lung = |at: usize| block.is_some_and(|block| block.contains(at));
        let hu = |at: usize| if is_lung(at) { block.map_or(0.0, |block| block.hu) } else { 40.0 };
        let values = (0..SIDE * SIDE).map(hu).collect();
        let image = HounsfieldImage { rows: SIDE, columns: SIDE, values };
        let (slice, plane) = made_image([0.0, 0.0, slab as f64 * 3.0], &image, 5.0, &format!("1.{slab}"), &input);
        series.add(slice, &plane, &input, |_| Err("no slice comes twice".to_owned())).unwrap();
        let lung: Vec<usize> = (0..SIDE * SIDE).filter(|at| is_lung(*at)).collect();
        evidence.push(masks(SIDE, &lung, &[]));
    }
    let table = table_of(evidence);
    let z_mm: Vec<f64> = (0..SLABS).map(|slab| slab as f64 * 3.0).collect();
    let rows = rows_at(&table, &z_mm);
    let lungs = LungRegions::find(&rows, &input);
    let is_lung = |at| lungs.contain(at);
    EndOfLungs { series: &series, rows: &rows, is_lung: &is_lung, input: &input, limits: &limits }.cut_off(End::Base)
}

#[test]
fn lung_that_goes_on_to_the_lowest_slab_is_cut_off_beyond_doubt() {
    let issue = base(|_| Some(LUNG)).unwrap();
    assert_eq!((issue.kind, issue.doubt), (QualityKind::BaseCutOff { lung_cm2: 100.0 }, None));
    assert_eq!(issue.slice.unwrap().sop_instance_uid, "1.0");
}

#[test]
fn lungs_that_end_above_the_lowest_slab_are_whole() {
    assert_eq!(base(|slab| (slab > 0).then_some(LUNG)), None);
    let tip = Block { rows: [6, 16], columns: [6, 15], ..LUNG };
    assert_eq!(base(|slab| Some(if slab == 0 { tip } else { LUNG })), None);
}

#[test]
fn gas_and_air_that_are_drawn_as_lung_are_none() {
    assert_eq!(base(|slab| Some(if slab < 2 { Block { hu: -1000.0, ..LUNG } } else { LUNG })), None);
}

#[test]
fn what_may_be_lung_or_not_is_looked_at_before_anybody_is_scanned_again() {
    let limits = QualityLimits::default();
    let small = Block { rows: [6, 14], columns: [6, 14], ..LUNG };
    let at_border = Block { columns: [0, 20], ..LUNG };
    let aside = Block { columns: [20, 31], ..LUNG };
    let cases: [(&str, [Option<Block>; 2]); 5] = [
        ("dense", [Some(Block { hu: -300.0, ..LUNG }), Some(LUNG)]),
        ("at the plane's border", [Some(at_border), Some(at_border)]),
        ("nothing to go on from", [Some(LUNG), Some(small)]),
        ("gas beside it", [Some(LUNG), Some(Block { hu: -1000.0, ..LUNG })]),
        ("elsewhere than beside it", [Some(aside), Some(Block { columns: [6, 22], ..LUNG })]),
    ];
    for (name, [lowest, next]) in cases {
        let issue = base(|slab| match slab {
            0 => lowest,
            1 => next,
            _ => Some(LUNG),
        });
        let issue = issue.unwrap_or_else(|| panic!("{name}: no issue, so that a negative could be given"));
        assert_eq!(issue.doubt, Some(Doubt::MaybeNoLung), "{name}");
        assert!(issue.hides_lung(&limits), "{name}");
        assert!(!issue.remedy(&limits).unwrap().needs_the_patient(), "{name}");
    }
}

#[test]
fn a_table_of_one_slab_says_nothing() {
    let limits = QualityLimits::default();
    let (series, table) = (Series::default(), table_of([masks(SIDE, &[5], &[])]));
    let rows = rows_at(&table, &[0.0]);
    let lungs = EndOfLungs { series: &series, rows: &rows, is_lung: &|_| true, input: &input(), limits: &limits };
    assert_eq!((lungs.cut_off(End::Base), lungs.cut_off(End::Apex)), (None, None));
}
