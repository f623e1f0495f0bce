//! "Rescan" is radiation: it is said where the scan is at fault, and nowhere else.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use serde_json::{Value, json};
use tableside::dicom::UidSource;
use tableside::scanner::{Instance, Phantom, PhantomKind, PhantomOptions};

use crate::daemon::{Daemon, flag};
use crate::dicom::{Association, changed, set_text};
use crate::http::Events;
use crate::peers::triage;
use crate::series::{folder_of, phantom};

const SLICES: usize = 40;
/// A daemon that takes a second of silence for the end.
const HASTY: &str = "[completion]\nquiet_s = 1\nlungs_passed_mm = 0\n";

fn store(association: &mut Association, slices: &[Instance]) {
    for slice in slices {
        assert_eq!(association.store(slice), 0x0000);
    }
}

fn with_number(slice: &Instance, tag: dicom_core::Tag, number: usize) -> Instance {
    changed(slice, |object| {
        object.put(DataElement::new(tag, VR::IS, PrimitiveValue::from(number.to_string())));
    })
}

/// Synthetic slices, numbered from 1 on in the order in which they are sent.
fn numbered(kind: PhantomKind, slices: usize) -> Vec<Instance> {
    let slices = phantom(kind, slices);
    slices.iter().enumerate().map(|(at, slice)| with_number(slice, tags::INSTANCE_NUMBER, at + 1)).collect()
}

/// The rescan flag of an exam where it asks for something.
fn standing(exam: &Value) -> Option<&Value> {
    flag(exam, "rescan").filter(|flag| flag["state"] != "withdrawn" && flag["state"] != "pending")
}

fn asks_for_another_scan(exam: &Value) -> bool {
    standing(exam)
        .is_some_and(|flag| flag["severity"] == "warning" || flag["text"].as_str().unwrap().contains("rescan:"))
}

fn complete(events: &mut Events, slices: usize) -> Value {
    events.wait_for("verdict", |name, exam| {
        assert!(name != "exam" || !asks_for_another_scan(exam), "{exam}");
        name == "exam" && exam["state"] == "complete" && exam["slices"]["received"] == slices
    })
}

#[test]
fn a_count_of_another_reconstruction_and_a_pause_in_sending_never_ask_for_another_scan() {
    let daemon = Daemon::start_with(HASTY);
    let slices: Vec<Instance> = numbered(PhantomKind::Normal, SLICES)
        .iter()
        .map(|slice| with_number(slice, tags::IMAGES_IN_ACQUISITION, SLICES / 2))
        .collect();
    let (first, rest) = slices.split_at(SLICES / 2);
    let mut events = Events::open(daemon.console());
    let mut association = Association::open(&daemon);
    store(&mut association, first);
    let half = complete(&mut events, SLICES / 2);
    assert_eq!(half["verdict"], "not_analysed", "{half}");
    let said = standing(&half).expect("the technician is told to look");
    assert!(said["text"].as_str().unwrap().starts_with("check the series: "), "{said}");
    let details = daemon.details(half["key"].as_str().unwrap());
    assert_eq!(details["report"]["timing"]["completed_by"], "quiet_time", "a count that is reached within the lungs");
    store(&mut association, &rest[..1]);
    let open = events.wait_for("the exam open again", |name, exam| name == "exam" && exam["state"] == "receiving");
    assert_eq!(flag(&open, "rescan").unwrap()["state"], "pending", "{open}");
    store(&mut association, &rest[1..]);
    association.release();
    let whole = complete(&mut events, SLICES);
    assert!(standing(&whole).is_none(), "{whole}");
}

#[test]
fn lungs_that_are_cut_off_ask_for_another_scan_once_the_sender_has_hung_up() {
    let daemon = Daemon::start_with(HASTY);
    let cut = numbered(PhantomKind::Normal, SLICES);
    let mut association = Association::open(&daemon);
    store(&mut association, &cut[..SLICES / 2]);
    let mut events = Events::open(daemon.console());
    let exam = &daemon.verdict_on(SLICES / 2)["exam"];
    assert_eq!(standing(exam).expect("a flag")["remedy"], "check_series", "more may come: {exam}");
    association.release();
    let released =
        events.wait_for("the verdict on what is all", |name, exam| name == "exam" && asks_for_another_scan(exam));
    let rescan = standing(&released).unwrap();
    assert_eq!((&rescan["remedy"], &released["verdict"]), (&json!("rescan"), &json!("not_analysed")), "{released}");
    assert!(rescan["text"].as_str().unwrap().starts_with("rescan: the lung "), "{rescan}");
}

#[test]
fn images_that_were_refused_or_not_sent_are_sent_again_and_nobody_is_scanned_again() {
    let whole = numbered(PhantomKind::Normal, SLICES);
    let remedy_of = |slices: &[Instance]| {
        let report = triage(folder_of(slices).path());
        assert_eq!(report["verdict"], "not_analysed", "{report}");
        let cut = |issue: &&Value| issue["kind"].as_str().unwrap().ends_with("_cut_off");
        report["quality"].as_array().unwrap().iter().find(cut).expect("the lungs are cut off")["doubt"]["code"].clone()
    };
    assert_eq!(remedy_of(&whole[SLICES / 2..]), "numbers_begin_at");
    let announced: Vec<Instance> =
        whole.iter().map(|slice| with_number(slice, tags::IMAGES_IN_ACQUISITION, SLICES)).collect();
    assert_eq!(remedy_of(&announced[..SLICES / 2]), "announced");
    let mut broken = whole[..=SLICES / 2].to_vec();
    let last = broken.pop().unwrap();
    broken.push(changed(&last, |object| assert!(object.remove_element(tags::IMAGE_POSITION_PATIENT))));
    assert_eq!(remedy_of(&broken), "slices_lost");
    let (upper, lower) = whole.split_at(SLICES * 5 / 8);
    let other_scan =
        |slice: &Instance| changed(&of_other_series(slice), |object| set_text(object, tags::ACQUISITION_NUMBER, "9"));
    let split = [upper.to_vec(), lower.iter().map(other_scan).collect()].concat();
    assert_eq!(remedy_of(&split), "series_goes_further");
}

fn of_other_series(slice: &Instance) -> Instance {
    changed(slice, |object| set_text(object, tags::SERIES_INSTANCE_UID, "2.25.99"))
}

#[test]
fn one_acquisition_that_comes_as_two_series_is_judged_as_one_by_folder_and_network_alike() {
    let whole = numbered(PhantomKind::Normal, SLICES);
    let (upper, lower) = whole.split_at(SLICES * 5 / 8);
    let split = [upper.to_vec(), lower.iter().map(of_other_series).collect()].concat();
    let expected = triage(folder_of(&whole).path());
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    for slice in &split {
        assert_eq!(association.store(slice), 0x0000);
    }
    association.release();
    for report in [triage(folder_of(&split).path()), daemon.verdict_on(SLICES)["report"].clone()] {
        assert_eq!((&report["verdict"], &report["score"]), (&expected["verdict"], &expected["score"]));
        assert_eq!(report["slices"]["analysed"], SLICES);
        assert!(
            report["quality"].as_array().unwrap().iter().any(|issue| issue["kind"] == "split_acquisition"),
            "{report}"
        );
    }
}

/// A healthy patient, each slice's header changed.
fn with_header(text: impl Fn(usize, &Instance) -> Instance) -> Value {
    let slices = phantom(PhantomKind::Normal, SLICES);
    let slices: Vec<Instance> = slices.iter().enumerate().map(|(at, slice)| text(at, slice)).collect();
    triage(folder_of(&slices).path())
}

fn texts(report: &Value) -> Vec<&str> {
    report["quality"].as_array().unwrap().iter().map(|issue| issue["text"].as_str().unwrap()).collect()
}

#[test]
fn images_that_all_claim_one_position_are_named_as_that() {
    let report = with_header(|_, slice| {
        changed(slice, |object| set_text(object, tags::IMAGE_POSITION_PATIENT, "-180\\-180\\-42.5"))
    });
    assert_eq!(report["verdict"], "not_analysed");
    let reason = report["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("all 40 images claim one position, z = -42.5 mm: their positions are wrong"),
        "{reason}"
    );
    assert!(reason.ends_with("; correct and send again"), "{reason}");
}

#[test]
fn two_kernels_a_hundredth_of_a_millimetre_apart_are_no_missing_slices() {
    let slices = phantom(PhantomKind::Normal, SLICES);
    let again = |(number, slice): (usize, &Instance)| {
        let z_mm = slice.position_mm().unwrap() + 0.01;
        changed(slice, |object| {
            let position = object.element(tags::IMAGE_POSITION_PATIENT).unwrap().to_multi_float64().unwrap();
            set_text(object, tags::IMAGE_POSITION_PATIENT, &format!("{}\\{}\\{z_mm:.3}", position[0], position[1]));
            set_text(object, tags::SOP_INSTANCE_UID, &format!("2.25.9.{number}"));
            object.put(DataElement::new(tags::CONVOLUTION_KERNEL, VR::SH, PrimitiveValue::from("B60f")));
        })
    };
    let both = [slices.clone(), slices.iter().enumerate().map(again).collect()].concat();
    let report = triage(folder_of(&both).path());
    assert!(!texts(&report).iter().any(|text| text.contains("missing")), "{:?}", texts(&report));
    assert!(texts(&report).len() <= 4, "{:?}", texts(&report));
}

#[test]
fn every_second_slice_missing_here_and_there_is_one_line() {
    let mut at = 0;
    let mut slices = phantom(PhantomKind::Normal, 2 * SLICES);
    slices.retain(|_| {
        at += 1;
        at % 8 != 4
    });
    let report = triage(folder_of(&slices).path());
    let gaps: Vec<&str> = texts(&report).into_iter().filter(|text| text.contains("missing")).collect();
    let [gaps] = gaps[..] else { panic!("{gaps:?}") };
    assert!(gaps.starts_with("10 gaps from z = "), "{gaps}");
}

#[test]
fn slices_ten_millimetres_apart_say_so_and_a_plane_that_is_not_axial_is_called_by_its_name() {
    let options = PhantomOptions { slices: 30, spacing_mm: 10.0, ..PhantomOptions::coarse(30, 128) };
    let mut far = Phantom::new(PhantomKind::Normal, options).instances(UidSource::fresh()).unwrap();
    far.retain(|instance| !instance.scout);
    let report = triage(folder_of(&far).path());
    assert!(texts(&report).iter().any(|text| text.starts_with("slices are 10.0 mm apart")), "{:?}", texts(&report));
    for (orientation, name) in [
        ("0\\1\\0\\0\\0\\-1", "a sagittal plane"),
        ("1\\0\\0\\0\\0\\-1", "a coronal plane"),
        ("1\\0\\0\\0\\0.819152\\0.573576", "an oblique plane, 35 degrees from axial"),
    ] {
        let report = with_header(|_, slice| {
            changed(slice, |object| set_text(object, tags::IMAGE_ORIENTATION_PATIENT, orientation))
        });
        assert_eq!(report["verdict"], "not_analysed", "{name}");
        assert!(report["reason"].as_str().unwrap().ends_with(name), "{}", report["reason"]);
    }
}
