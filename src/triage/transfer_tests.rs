//! Thirty slices from the feet up, and how they came.

use super::*;
use crate::engine::ModelPackage;
use crate::exam::{Remedy, made_slice};
use crate::preprocess::InputGeometry;

const SLICES: i32 = 30;

fn input() -> InputGeometry {
    InputGeometry { rows: 4, columns: 4, ..ModelPackage::built_in().unwrap().manifest.input }
}

/// Slices 3 mm apart from 0 on, numbered by `number` of their place.
fn series(number: impl Fn(i32) -> Option<i32>) -> Series {
    let mut series = Series::default();
    for place in 0..SLICES {
        let (mut slice, plane) = made_slice([0.0, 0.0, f64::from(place) * 3.0], 0.0, &format!("1.{place}"), &input());
        slice.header.acquisition.instance_number = number(place);
        series.add(slice, &plane, &input(), |_| Err("no slice comes twice".to_owned())).unwrap();
    }
    series
}

fn from_the_feet() -> Series {
    series(|place| Some(place + 1))
}

fn of(kind: QualityKind) -> QualityIssue {
    QualityIssue::of_series(kind)
}

fn doubt_of(kind: QualityKind, transfer: &Transfer<'_>, series: &Series) -> Option<Doubt> {
    transfer.doubt(vec![of(kind)], series, &QualityLimits::default()).remove(0).doubt
}

const APEX: QualityKind = QualityKind::ApexCutOff { lung_cm2: 90.0 };
const BASE: QualityKind = QualityKind::BaseCutOff { lung_cm2: 90.0 };
const STEP: QualityKind = QualityKind::AnatomyStep { times_usual: 2.0 };
const HOLE: QualityKind = QualityKind::Gap { from_z_mm: 12.0, to_z_mm: 30.0 };

#[test]
fn an_exam_that_came_whole_leaves_no_doubt_that_the_scan_is_at_fault() {
    let whole = Transfer { announced: Some(SLICES as usize), ..Transfer::default() };
    for kind in [APEX, BASE, STEP, HOLE] {
        assert_eq!(doubt_of(kind.clone(), &whole, &from_the_feet()), None, "{kind:?}");
    }
}

#[test]
fn lost_slices_ask_for_nothing_but_to_be_sent_again() {
    let lost = Transfer { lost: 12, ..Transfer::default() };
    for kind in [APEX, BASE, STEP, HOLE] {
        let issue = lost.doubt(vec![of(kind)], &from_the_feet(), &QualityLimits::default()).remove(0);
        assert_eq!(issue.remedy(&QualityLimits::default()), Some(Remedy::SendAgain), "{issue}");
        assert!(issue.text.contains("12 slices of the exam cannot be analysed"), "{issue}");
    }
}

#[test]
fn announced_images_that_have_not_come_may_show_what_is_missing() {
    let short = Transfer { announced: Some(40), ..Transfer::default() };
    let expected = Doubt::Announced { came: 30, announced: 40 };
    assert_eq!(doubt_of(BASE, &short, &from_the_feet()), Some(expected.clone()));
    assert_eq!(doubt_of(HOLE, &short, &from_the_feet()), Some(expected));
    let exceeded = Transfer { announced: Some(20), ..Transfer::default() };
    assert_eq!(doubt_of(BASE, &exceeded, &from_the_feet()), None);
}

#[test]
fn while_the_sender_goes_on_only_the_end_where_it_began_is_known() {
    let open = Transfer {
        is_open: true,
        announced: Some(40),
        direction: Some(ScanDirection::TowardsFeet),
        ..Transfer::default()
    };
    let unnumbered = series(|_| None);
    assert_eq!(doubt_of(APEX, &open, &unnumbered), None);
    assert!(doubt_of(BASE, &open, &unnumbered).is_some());
    let unordered = Transfer { direction: None, announced: None, ..open };
    assert_eq!(doubt_of(APEX, &unordered, &unnumbered), Some(Doubt::StillSending));
}

#[test]
fn numbers_that_begin_late_at_an_end_say_that_images_before_were_not_sent() {
    let cut = series(|place| Some(place + 21));
    assert_eq!(doubt_of(BASE, &Transfer::default(), &cut), Some(Doubt::NumbersBeginAt { number: 21 }));
    assert_eq!(doubt_of(APEX, &Transfer::default(), &cut), None, "where they end they say nothing");
    let downwards = series(|place| Some(SLICES - place + 6));
    assert_eq!(doubt_of(APEX, &Transfer::default(), &downwards), Some(Doubt::NumbersBeginAt { number: 7 }));
    let mixed = series(|place| Some(place * 7 % 30 + 5));
    assert_eq!(doubt_of(BASE, &Transfer::default(), &mixed), None, "numbers in no order say nothing");
}

#[test]
fn another_series_that_goes_further_is_looked_at_first() {
    let others = |range_mm: [f64; 2]| Transfer { others: vec![("2.25.9", range_mm)], ..Transfer::default() };
    let further = others([-60.0, 30.0]);
    let expected = Doubt::SeriesGoesFurther { series_instance_uid: "2.25.9".to_owned() };
    assert_eq!(doubt_of(BASE, &further, &from_the_feet()), Some(expected));
    assert_eq!(doubt_of(APEX, &further, &from_the_feet()), None);
    assert_eq!(doubt_of(BASE, &others([-2.0, 87.0]), &from_the_feet()), None, "another reconstruction of the same");
}
