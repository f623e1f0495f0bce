//! When is an exam over? Signals that are right end it at once; signals that lie cost at most a revised verdict.

use std::sync::Arc;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use serde_json::{Value, json};
use tableside::dicom::UidSource;
use tableside::scanner::{Instance, PhantomKind, enhanced};

use crate::daemon::{Daemon, flag, wait_for};
use crate::dicom::{Association, changed, set_text};
use crate::http::{Events, post};
use crate::peers::triage;
use crate::series::{chest_and_abdomen, folder_of, phantom};

const STEP_CLASS: &str = uids::MODALITY_PERFORMED_PROCEDURE_STEP;
const SLICES: usize = 24;
/// Nothing ends an exam but what the test is about.
const PATIENT: &str = "[completion]\nquiet_s = 600\nleast_quiet_s = 600\nlungs_passed_mm = 0\n";

fn store(association: &mut Association, slices: &[Instance]) {
    for slice in slices {
        assert_eq!(association.store(slice), 0x0000);
    }
}

fn store_and_release(daemon: &Daemon, slices: &[Instance]) {
    let mut association = Association::open(daemon);
    store(&mut association, slices);
    association.release();
}

fn item(elements: impl IntoIterator<Item = DataElement<InMemDicomObject>>) -> InMemDicomObject {
    InMemDicomObject::from_element_iter(elements)
}

fn uid(tag: Tag, value: &str) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::UI, PrimitiveValue::from(value))
}

fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}

fn state(value: &str) -> DataElement<InMemDicomObject> {
    DataElement::new(tags::PERFORMED_PROCEDURE_STEP_STATUS, VR::CS, PrimitiveValue::from(value))
}

/// Tells of the exam of these slices as a scanner does: begun, then ended with the images that it lists.
fn perform_step(daemon: &Daemon, of: &Instance, ends: &str, listed: &[&str]) {
    let mut association = Association::try_open(daemon, "CT1", &[STEP_CLASS]).unwrap();
    let step = "2.25.4711";
    let scheduled = item([uid(tags::STUDY_INSTANCE_UID, &of.study_instance_uid)]);
    let begun = item([state("IN PROGRESS"), sequence(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE, vec![scheduled])]);
    assert_eq!(association.create(STEP_CLASS, step, &begun), 0x0000);
    let images = listed.iter().map(|image| item([uid(tags::REFERENCED_SOP_INSTANCE_UID, image)]));
    let series = item([
        uid(tags::SERIES_INSTANCE_UID, &of.series_instance_uid),
        sequence(tags::REFERENCED_IMAGE_SEQUENCE, images.collect()),
    ]);
    let ended = item([state(ends), sequence(tags::PERFORMED_SERIES_SEQUENCE, vec![series])]);
    assert_eq!(association.set(STEP_CLASS, step, &ended), 0x0000);
    association.release();
}

fn names(slices: &[Instance]) -> Vec<&str> {
    slices.iter().map(|slice| slice.sop_instance_uid.as_str()).collect()
}

fn completed_by(details: &Value) -> &str {
    details["report"]["timing"]["completed_by"].as_str().unwrap()
}

/// What must be as if all slices had come at once.
fn assert_same_as_at_once(details: &Value, slices: &[Instance]) {
    let whole = triage(folder_of(slices).path());
    for key in ["verdict", "score", "lesions", "lung_ml", "slices", "quality"] {
        assert_eq!(details["report"][key], whole[key], "{key}");
    }
}

#[test]
fn a_procedure_step_whose_images_are_here_ends_the_exam_while_its_association_stays_open() {
    let daemon = Daemon::start_with(PATIENT);
    let slices = phantom(PhantomKind::Normal, SLICES);
    let mut association = Association::open(&daemon);
    store(&mut association, &slices);
    perform_step(&daemon, &slices[0], "COMPLETED", &names(&slices));
    let details = daemon.verdict_on(SLICES);
    assert_eq!(completed_by(&details), "procedure_step");
    assert_eq!(daemon.metric("tableside_completions_total", "procedure_step"), 1.0);
    association.release();
}

#[test]
fn a_step_that_lists_multi_frame_objects_ends_the_exam_once_all_their_frames_are_judged() {
    let daemon = Daemon::start_with(PATIENT);
    let objects = enhanced(&phantom(PhantomKind::Normal, SLICES), 2, &mut UidSource::fresh()).unwrap();
    let mut association = Association::open(&daemon);
    store(&mut association, &objects[..1]);
    perform_step(&daemon, &objects[0], "COMPLETED", &names(&objects));
    store(&mut association, &objects[1..]);
    let details = daemon.verdict_on(SLICES);
    assert_eq!((completed_by(&details), &details["report"]["revised"]), ("procedure_step", &json!(false)));
    assert_same_as_at_once(&details, &objects);
    association.release();
}

#[test]
fn the_release_after_one_object_of_many_frames_ends_the_exam_as_that_after_many_slices_does() {
    let daemon = Daemon::start_with(PATIENT);
    let objects = enhanced(&phantom(PhantomKind::Normal, SLICES), 1, &mut UidSource::fresh()).unwrap();
    store_and_release(&daemon, &objects);
    assert_eq!(completed_by(&daemon.verdict_on(SLICES)), "association_released");
}

#[test]
fn a_step_that_was_discontinued_before_its_images_came_ends_the_exam_with_the_last_of_them_after_a_restart_too() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let mut daemon = Daemon::start_on(data.clone(), PATIENT);
    let slices = phantom(PhantomKind::Normal, SLICES);
    let (first, rest) = slices.split_at(SLICES / 2);
    perform_step(&daemon, &slices[0], "DISCONTINUED", &names(&slices));
    store(&mut Association::open(&daemon), first);
    daemon.kill();
    let daemon = Daemon::start_on(data, PATIENT);
    let mut association = Association::open(&daemon);
    store(&mut association, rest);
    let details = daemon.verdict_on(SLICES);
    assert_eq!((completed_by(&details), &details["report"]["revised"]), ("procedure_step", &json!(false)));
    association.release();
}

#[test]
fn a_procedure_step_that_lists_an_image_that_never_comes_is_not_waited_for() {
    let daemon = Daemon::start_with(PATIENT);
    let slices = phantom(PhantomKind::Normal, SLICES);
    perform_step(&daemon, &slices[0], "COMPLETED", &[names(&slices), vec!["2.25.999"]].concat());
    store_and_release(&daemon, &slices);
    assert_eq!(completed_by(&daemon.verdict_on(SLICES)), "association_released");
}

#[test]
fn storage_commitment_is_not_offered_and_ends_no_exam() {
    let daemon = Daemon::start_with(PATIENT);
    let slices = phantom(PhantomKind::Normal, SLICES);
    let mut association = Association::open(&daemon);
    store(&mut association, &slices);
    assert!(Association::try_open(&daemon, "CT1", &[uids::STORAGE_COMMITMENT_PUSH_MODEL]).is_err());
    wait_for("all slices", || (daemon.exams().first()?["slices"]["analysed"] == SLICES).then_some(()));
    assert_eq!(daemon.exams()[0]["state"], "receiving");
    association.release();
    assert_eq!(completed_by(&daemon.verdict_on(SLICES)), "association_released");
}

#[test]
fn an_association_that_the_scanner_caps_costs_a_revised_verdict_and_nothing_else() {
    let daemon = Daemon::start_with(PATIENT);
    let slices = phantom(PhantomKind::Pneumonia, 2 * SLICES);
    let (first, rest) = slices.split_at(SLICES);
    store_and_release(&daemon, first);
    assert_eq!(daemon.verdict_on(SLICES)["report"]["revised"], false);
    store_and_release(&daemon, rest);
    let details = daemon.verdict_on(2 * SLICES);
    assert_eq!(details["report"]["revised"], true);
    assert_same_as_at_once(&details, &slices);
}

#[test]
fn a_sender_that_pauses_for_longer_than_the_quiet_time_costs_a_revised_verdict_and_nothing_else() {
    let daemon = Daemon::start_with("[completion]\nquiet_s = 1\n");
    let slices = phantom(PhantomKind::Pneumonia, 2 * SLICES);
    let (first, rest) = slices.split_at(SLICES);
    let mut association = Association::open(&daemon);
    store(&mut association, first);
    assert_eq!(completed_by(&daemon.verdict_on(SLICES)), "quiet_time");
    store(&mut association, rest);
    association.release();
    let details = daemon.verdict_on(2 * SLICES);
    assert_eq!(details["report"]["revised"], true);
    assert_same_as_at_once(&details, &slices);
}

#[test]
fn an_association_for_each_image_gives_one_verdict() {
    let daemon = Daemon::start_with("[completion]\nlungs_passed_mm = 0\n");
    let slices = phantom(PhantomKind::Normal, SLICES);
    slices.chunks(1).for_each(|slice| store_and_release(&daemon, slice));
    assert_eq!(completed_by(&daemon.verdict_on(SLICES)), "quiet_time");
    assert_eq!(daemon.metric("tableside_verdicts_total", ""), 1.0);
}

#[test]
fn once_the_lungs_have_passed_there_is_a_verdict_that_the_abdomen_does_not_open_again() {
    let daemon = Daemon::start_with("[completion]\nquiet_s = 600\nleast_quiet_s = 600\n");
    let slices = chest_and_abdomen(PhantomKind::Pneumonia);
    let mut events = Events::open(daemon.console());
    let mut association = Association::open(&daemon);
    let mut sent = slices.iter();
    // The analysis may lag behind the sender: the last slices come after the verdict, however fast this machine is.
    store(&mut association, &slices[..62]);
    sent.nth(61);
    let trailing =
        events.wait_for("verdict before the end", |name, exam| name == "exam" && exam["state"] == "trailing");
    assert_eq!(trailing["verdict"], "suspected", "{}", trailing["reason"]);
    store(&mut association, sent.as_slice());
    association.release();
    let done = events.wait_for("the end", |name, exam| {
        assert!(name != "exam" || exam["state"] != "receiving", "the verdict was opened again: {exam}");
        name == "exam" && exam["state"] == "complete"
    });
    assert_eq!(done["revised"], false);
    let details = daemon.verdict_on(slices.len());
    assert_eq!((completed_by(&details), &details["report"]["revised"]), ("lungs_passed", &json!(false)));
    assert_same_as_at_once(&details, &slices);
    assert_eq!(daemon.metric("tableside_completions_total", ""), 1.0);
    assert_eq!(daemon.metric("tableside_verdicts_total", ""), 1.0);
}

#[test]
fn a_slice_of_the_lungs_that_comes_after_they_have_passed_opens_the_verdict_again() {
    let daemon = Daemon::start_with("[completion]\nquiet_s = 600\nleast_quiet_s = 600\n");
    let mut slices = chest_and_abdomen(PhantomKind::Normal);
    let late = slices.remove(30);
    let mut association = Association::open(&daemon);
    store(&mut association, &slices);
    wait_for("a verdict before the end", || (daemon.exams().first()?["state"] == "trailing").then_some(()));
    store(&mut association, std::slice::from_ref(&late));
    association.release();
    slices.push(late);
    let details = daemon.verdict_on(slices.len());
    assert_eq!((completed_by(&details), &details["report"]["revised"]), ("association_released", &json!(true)));
    assert_same_as_at_once(&details, &slices);
}

#[test]
fn in_random_order_the_lungs_never_pass() {
    let daemon = Daemon::start();
    let mut slices = chest_and_abdomen(PhantomKind::Normal);
    slices.sort_by_key(|slice| slice.sop_instance_uid.bytes().rev().collect::<Vec<u8>>());
    let of = |slice: &Instance| slice.sop_instance_uid.clone();
    assert!(!slices.is_sorted_by_key(of));
    store_and_release(&daemon, &slices);
    daemon.verdict_on(slices.len());
    assert_eq!(daemon.metric("tableside_completions_total", "lungs_passed"), 0.0);
}

/// The same acquisition reconstructed otherwise: series and instances of other names.
fn reconstruction(slices: &[Instance], series: &str, kernel: &str) -> Vec<Instance> {
    let rename = |(number, slice): (usize, &Instance)| {
        changed(slice, |object| {
            set_text(object, tags::SERIES_INSTANCE_UID, series);
            set_text(object, tags::SOP_INSTANCE_UID, &format!("{series}.{number}"));
            set_text(object, tags::CONVOLUTION_KERNEL, kernel);
        })
    };
    slices.iter().enumerate().map(rename).collect()
}

#[test]
fn a_better_reconstruction_that_comes_later_takes_over_without_a_second_alarm() {
    let daemon = Daemon::start_with(PATIENT);
    let thin = phantom(PhantomKind::Pneumonia, 2 * SLICES);
    let every_second: Vec<Instance> = thin.iter().step_by(2).cloned().collect();
    let (thick, soft) = (reconstruction(&every_second, "2.25.1", "LUNG"), reconstruction(&thin, "2.25.3", "SOFT"));
    store_and_release(&daemon, &thick);
    let first = daemon.verdict_on(SLICES);
    assert_eq!(first["report"]["series_instance_uid"], "2.25.1");
    let key = first["exam"]["key"].as_str().unwrap();
    let path = format!("/api/v1/exams/{key}/flags/suspected/acknowledge");
    assert_eq!(post(daemon.console(), &path, &json!({ "by": "ab" })).status, 200);
    store_and_release(&daemon, &soft);
    let details = daemon.verdict_on(3 * SLICES);
    let report = &details["report"];
    assert_eq!((&report["series_instance_uid"], &report["revised"]), (&json!("2.25.3"), &json!(true)));
    assert_eq!(report["slices"]["kept"], SLICES);
    let suspected = flag(&details["exam"], "suspected").expect("the alarm stands");
    assert_eq!(suspected["acknowledged"]["by"], "ab", "it is the same alarm: {suspected}");
    // A third one that is no better changes nothing.
    let sharp = reconstruction(&thin, "2.25.2", "LUNG");
    store_and_release(&daemon, &sharp);
    let after = daemon.verdict_on(5 * SLICES);
    for key in ["verdict", "score", "series_instance_uid", "lesions"] {
        assert_eq!(&after["report"][key], &report[key], "{key}");
    }
    assert_eq!(daemon.metric("tableside_verdicts_total", ""), 2.0);
}

#[test]
fn a_flags_life_and_the_time_until_people_knew_are_told() {
    let daemon = Daemon::start();
    store_and_release(&daemon, &phantom(PhantomKind::Pneumonia, 2 * SLICES));
    let details = daemon.verdict_on(2 * SLICES);
    let key = details["exam"]["key"].as_str().unwrap();
    let path = format!("/api/v1/exams/{key}/flags/suspected/acknowledge");
    assert_eq!(post(daemon.console(), &path, &json!({ "by": "ab" })).status, 200);
    assert_eq!(post(daemon.console(), &path, &json!({ "by": "cd" })).status, 200);
    let exam = daemon.details(key)["exam"].clone();
    let life = flag(&exam, "suspected").unwrap()["life"].as_array().unwrap();
    let last = life.last().unwrap();
    assert_eq!((&last["event"], &last["slices"]), (&json!("acknowledged"), &json!(2 * SLICES)));
    assert!(life.len() == 2 || life.len() == 3, "final, or early and confirmed; then acknowledged: {life:?}");
    for moment in &life[..life.len() - 1] {
        assert!(moment["score"].is_f64() && moment["at"].is_string(), "{moment}");
        let driving = moment["driving_slabs"].as_array().unwrap();
        assert!((1..=3).contains(&driving.len()), "{moment}");
    }
    let count = |labels: &str| daemon.metric("tableside_notification_seconds_count", labels);
    for since in ["first_slice", "last_slice", "flag"] {
        let labels = format!("until=\"acknowledgement\",since=\"{since}\"");
        assert_eq!(count(&labels), 1.0, "a second acknowledgement is none: {labels}");
    }
    assert_eq!(count("until=\"verdict\",since=\"last_slice\""), 1.0);
    let sum = |name: &str, labels: &str| daemon.metric(&format!("tableside_notification{name}_seconds_sum"), labels);
    let (whole, parts) = (sum("", "until=\"verdict\",since=\"first_slice\""), sum("_part", "until=\"verdict\""));
    assert!((whole - parts).abs() < 1e-3, "{whole} s are {parts} s in parts");
    let timing = &details["report"]["timing"];
    let ms = |key: &str| timing[key].as_f64().unwrap();
    assert!(
        (ms("receive_ms") + ms("wait_ms") + ms("compute_ms") - ms("first_slice_to_verdict_ms")).abs() < 1.0,
        "{timing}"
    );
}
