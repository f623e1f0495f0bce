//! Chests that must not read as clear although no opacity is found in them.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use serde_json::Value;
use tableside::scanner::{Instance, PhantomKind};

use crate::daemon::{Daemon, flag};
use crate::dicom::{changed, set_text};
use crate::peers::{scan, tableside, text};
use crate::series::{folder_of, phantom};

const SLICES: usize = 40;
const SIDE: usize = 128;
/// Stored values of the phantom: HU + 1024.
const LUNG_BELOW: u16 = 724;
const DENSE: u16 = 1064;

/// A healthy patient, each slice changed.
fn patient(change: impl Fn(&mut InMemDicomObject)) -> Vec<Instance> {
    phantom(PhantomKind::Normal, SLICES).iter().map(|instance| changed(instance, &change)).collect()
}

/// Changes the pixels, row by row.
fn repaint(object: &mut InMemDicomObject, paint: impl Fn(&[u16]) -> Vec<u16>) {
    let pixels = object.element(tags::PIXEL_DATA).unwrap().to_multi_int::<u16>().unwrap();
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(paint(&pixels).into())));
}

/// Soft tissue in the right half of the image wherever there is lung: dark, with tissue in front and behind.
fn without_right_lung(pixels: &[u16]) -> Vec<u16> {
    let is_tissue = |row: usize, column: usize| pixels[row * SIDE + column] >= LUNG_BELOW;
    let is_inside = |row: usize, column: usize| {
        (0..row).any(|above| is_tissue(above, column)) && (row..SIDE).any(|below| is_tissue(below, column))
    };
    let is_gone = |at: usize| at % SIDE < SIDE / 2 && pixels[at] < LUNG_BELOW && is_inside(at / SIDE, at % SIDE);
    (0..pixels.len()).map(|at| if is_gone(at) { DENSE } else { pixels[at] }).collect()
}

/// The report that `triage` prints of an exam that cannot be assessed.
fn report(instances: &[Instance]) -> Value {
    let folder = folder_of(instances);
    let output = tableside(&["triage", "--json", text(folder.path())]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_dense_right_lung_is_abnormal_and_a_warning_on_the_console_that_isolates_nobody() {
    let instances = patient(|object| repaint(object, without_right_lung));
    let folder = folder_of(&instances);
    let daemon = Daemon::start();
    scan(&daemon, folder.path(), &["--rate", "0"]);
    let details = daemon.verdict_on(SLICES);
    let (reason, lungs) = (&details["report"]["reason"], &details["report"]["lungs"]);
    assert_eq!(details["report"]["verdict"], "abnormal", "{reason} {lungs} {}", details["report"]["lesions"]);
    assert!(details["report"]["reason"].as_str().unwrap().starts_with("right lung largely dense or missing"));
    let warning = flag(&details["exam"], "abnormal").expect("a flag");
    assert_eq!(warning["severity"], "warning");
    assert!(flag(&details["exam"], "suspected").is_none());
}

#[test]
fn a_lost_rescale_intercept_is_no_lung_and_not_analysed() {
    let report = report(&patient(|object| set_text(object, tags::RESCALE_INTERCEPT, "0")));
    assert_eq!(report["verdict"], "not_analysed", "{}", report["reason"]);
    assert!(report["reason"].as_str().unwrap().contains("no lung found"), "{}", report["reason"]);
}

#[test]
fn an_image_that_is_upside_down_under_a_supine_header_is_not_analysed() {
    let upside_down = |pixels: &[u16]| pixels.chunks(SIDE).rev().flatten().copied().collect();
    let report = report(&patient(|object| repaint(object, upside_down)));
    assert_eq!(report["verdict"], "not_analysed", "{}", report["reason"]);
    assert!(report["reason"].as_str().unwrap().contains("orientation"), "{}", report["reason"]);
}

#[test]
fn a_patient_who_breathed_out_is_asked_to_breathe_in_and_isolated_for_no_haze_of_it() {
    let folder = folder_of(&phantom(PhantomKind::BreathedOut, SLICES));
    let daemon = Daemon::start();
    scan(&daemon, folder.path(), &["--rate", "0"]);
    let details = daemon.verdict_on(SLICES);
    let report = &details["report"];
    assert_eq!(report["verdict"], "not_analysed", "{}", report["reason"]);
    assert!(report["reason"].as_str().unwrap().starts_with("the lungs are hardly inflated"), "{}", report["reason"]);
    let rescan = flag(&details["exam"], "rescan").expect("a flag");
    assert!(rescan["text"].as_str().unwrap().contains("breathe in deeply"), "{rescan}");
    assert!(flag(&details["exam"], "suspected").is_none(), "{}", details["exam"]);
    assert_eq!(report["early_flag"], Value::Null);
}
