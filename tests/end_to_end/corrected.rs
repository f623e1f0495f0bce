//! The newest word counts: what is corrected and sent again is judged again, openly. Two people stay two.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use serde_json::{Value, json};
use tableside::scanner::{Instance, PhantomKind};

use crate::daemon::{Daemon, wait_for};
use crate::dicom::{Association, changed, set_text, store_all};
use crate::peers::{found, storescu, triage};
use crate::series::{folder_of, phantom, write_file};

const SLICES: usize = 32;

fn all(instances: &[Instance], change: impl Fn(&mut dicom_object::InMemDicomObject)) -> Vec<Instance> {
    instances.iter().map(|instance| changed(instance, &change)).collect()
}

fn issue<'a>(report: &'a Value, kind: &str) -> Option<&'a Value> {
    report["quality"].as_array()?.iter().find(|issue| issue["kind"] == kind)
}

/// Waits until the only exam is complete and so many of its images were replaced.
fn verdict_after(daemon: &Daemon, replaced: usize) -> Value {
    let key = wait_for(&format!("a verdict after {replaced} corrections"), || {
        let [exam] = &daemon.exams()[..] else { return None };
        let is_meant = exam["state"] == "complete" && exam["slices"]["replaced"] == replaced;
        is_meant.then(|| exam["key"].as_str().unwrap().to_owned())
    });
    daemon.details(&key)
}

#[test]
fn a_corrected_name_is_shown_in_the_same_exam_and_the_verdict_says_that_it_was_revised() {
    let slices = phantom(PhantomKind::Normal, SLICES);
    let corrected = all(&slices, |object| set_text(object, tags::PATIENT_NAME, "RIGHT^NAME"));
    let daemon = Daemon::start();
    store_all(&daemon, &slices);
    let before = daemon.verdict_on(SLICES);
    store_all(&daemon, &corrected);
    let after = verdict_after(&daemon, SLICES);
    assert_eq!(after["exam"]["key"], before["exam"]["key"]);
    assert_eq!(after["exam"]["patient"]["name"], "RIGHT^NAME");
    let report = &after["report"];
    assert_eq!(report["revised"], true);
    assert_eq!(found(report), found(&before["report"]), "the pixels are the same");
    assert_eq!((&report["slices"]["received"], &report["slices"]["analysed"]), (&SLICES.into(), &SLICES.into()));
    let said = issue(report, "corrected").expect("the correction is told");
    assert_eq!((&said["count"], &said["identity"]), (&SLICES.into(), &true.into()));
    assert_eq!(issue(report, "shared_study"), None);
    // What comes for the first time under the corrected name belongs to the same exam.
    let further = changed(&corrected[0], |object| {
        set_text(object, tags::SOP_INSTANCE_UID, "2.25.1");
        set_text(object, tags::SERIES_INSTANCE_UID, "2.25.2");
    });
    store_all(&daemon, &[further]);
    let more = daemon.verdict_on(SLICES + 1);
    assert_eq!(more["exam"]["key"], before["exam"]["key"]);
    // The same once more has no effect.
    store_all(&daemon, &corrected);
    assert_eq!(daemon.verdict_on(SLICES + 1)["report"], more["report"]);
}

#[test]
fn corrected_pixel_values_are_judged_in_place_of_the_wrong_ones_and_so_after_a_kill_and_in_a_folder() {
    let right = phantom(PhantomKind::Pneumonia, SLICES);
    let wrong = all(&right, |object| set_text(object, tags::RESCALE_INTERCEPT, "0"));
    let alone = triage(folder_of(&right).path());
    let daemon = Daemon::start();
    store_all(&daemon, &wrong);
    assert_ne!(found(&daemon.verdict_on(SLICES)["report"]), found(&alone));
    store_all(&daemon, &right);
    let report = verdict_after(&daemon, SLICES)["report"].clone();
    assert_eq!((found(&report), &report["revised"]), (found(&alone), &true.into()));
    let daemon = daemon.kill_and_start_again();
    assert_eq!(verdict_after(&daemon, SLICES)["report"], report, "an exam that is judged is not judged once more");
    // A slice that was defective and is mended brings the exam back from the spool.
    let further = changed(&right[0], |object| {
        set_text(object, tags::SOP_INSTANCE_UID, "2.25.1");
        set_text(object, tags::SERIES_INSTANCE_UID, "2.25.2");
    });
    store_all(&daemon, &[further]);
    let again = &daemon.verdict_on(SLICES + 1)["report"];
    assert_eq!((found(again), &again["slices"]["replaced"]), (found(&alone), &SLICES.into()));
    // The same files in a folder, the corrected ones written later.
    let folder = folder_of(&wrong);
    for (number, slice) in right.iter().enumerate() {
        write_file(&folder.path().join(format!("corrected-{number:04}.dcm")), slice);
    }
    let of_folder = triage(folder.path());
    for key in ["verdict", "reason", "score", "slices", "quality"] {
        assert_eq!(of_folder[key], report[key], "{key}");
    }
}

#[test]
fn a_slice_that_could_not_be_analysed_and_is_corrected_is_no_longer_defective() {
    let slices = phantom(PhantomKind::Normal, SLICES);
    let defective = changed(&slices[3], |object| assert!(object.remove_element(tags::IMAGE_POSITION_PATIENT)));
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    assert_eq!(association.store(&defective), 0xB007);
    for slice in &slices {
        assert_eq!(association.store(slice), 0x0000);
    }
    association.release();
    let report = &verdict_after(&daemon, 1)["report"];
    assert_eq!((&report["slices"]["failed"], &report["verdict"]), (&0.into(), &"not_suspected".into()), "{report}");
}

#[test]
fn a_correction_in_the_middle_of_a_scan_that_is_killed_counts_after_it() {
    let right = phantom(PhantomKind::Pneumonia, SLICES);
    let wrong = all(&right, |object| set_text(object, tags::RESCALE_INTERCEPT, "0"));
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    for slice in wrong[..10].iter().chain(&right) {
        assert_eq!(association.store(slice), 0x0000);
    }
    let daemon = daemon.kill_and_start_again();
    drop(association);
    let report = &verdict_after(&daemon, 10)["report"];
    assert_eq!(found(report), found(&triage(folder_of(&right).path())));
}

/// Two patients' slices with one Study UID and one Patient ID, which is a dummy.
fn two_people() -> (Vec<Instance>, Vec<Instance>) {
    let well = all(&phantom(PhantomKind::Normal, SLICES), |object| set_text(object, tags::PATIENT_ID, "0000"));
    let study = well[0].study_instance_uid.clone();
    // Lies otherwise: without lesions a phantom's slices are the other's, bit by bit.
    let ill = all(&phantom(PhantomKind::Pneumonia, SLICES + 1)[1..], |object| {
        set_text(object, tags::PATIENT_ID, "0000");
        set_text(object, tags::STUDY_INSTANCE_UID, &study);
        set_text(object, tags::PATIENT_NAME, "ILL^PERSON");
    });
    (well, ill)
}

/// Waits for two verdicts, and gives the exams' details: that of the ill one first.
fn two_verdicts(daemon: &Daemon) -> [Value; 2] {
    let exams = wait_for("two verdicts", || {
        let exams = daemon.exams();
        let complete = |exam: &Value| exam["state"] == "complete" && exam["slices"]["received"] == SLICES;
        (exams.len() == 2 && exams.iter().all(complete)).then_some(exams)
    });
    let of = |is_ill: bool| {
        let exam = exams.iter().find(|exam| (exam["patient"]["name"] == "ILL^PERSON") == is_ill).expect("the exam");
        daemon.details(exam["key"].as_str().unwrap())
    };
    [of(true), of(false)]
}

#[test]
fn two_people_with_one_study_uid_and_one_patient_id_are_two_exams_that_tell_of_each_other() {
    let (well, ill) = two_people();
    let daemon = Daemon::start();
    store_all(&daemon, &well);
    daemon.verdict_on(SLICES);
    store_all(&daemon, &ill);
    let [of_ill, of_well] = two_verdicts(&daemon);
    assert_eq!(
        (&of_ill["report"]["verdict"], &of_well["report"]["verdict"]),
        (&"suspected".into(), &"not_suspected".into())
    );
    for details in [&of_ill, &of_well] {
        assert!(issue(&details["report"], "shared_study").is_some(), "{}", details["report"]);
    }
    let key = of_well["exam"]["key"].as_str().unwrap();
    let daemon = daemon.kill_and_start_again();
    assert!(issue(&daemon.details(key)["report"], "shared_study").is_some());
}

#[test]
fn two_people_are_two_exams_even_where_the_uids_of_their_images_are_the_same() {
    let (well, ill) = two_people();
    let series = well[0].series_instance_uid.clone();
    let ill: Vec<Instance> = ill
        .iter()
        .zip(&well)
        .map(|(ill, well)| {
            changed(ill, |object| {
                set_text(object, tags::SERIES_INSTANCE_UID, &series);
                set_text(object, tags::SOP_INSTANCE_UID, &well.sop_instance_uid);
            })
        })
        .collect();
    let daemon = Daemon::start();
    store_all(&daemon, &well);
    store_all(&daemon, &ill);
    let [of_ill, of_well] = two_verdicts(&daemon);
    assert_eq!(found(&of_ill["report"]), found(&triage(folder_of(&ill).path())));
    assert_eq!(found(&of_well["report"]), found(&triage(folder_of(&well).path())));
}

#[test]
fn one_sop_instance_uid_on_all_slices_is_named_as_the_fault_by_daemon_and_triage_alike() {
    let slices: Vec<Instance> = all(&phantom(PhantomKind::Pneumonia, SLICES), |object| {
        set_text(object, tags::SOP_INSTANCE_UID, "2.25.7");
    });
    let folder = folder_of(&slices);
    let daemon = Daemon::start();
    storescu(&daemon, &[], folder.path());
    let sent = verdict_after(&daemon, SLICES - 1);
    let report = &sent["report"];
    assert_eq!(report["verdict"], "not_analysed");
    let said = issue(report, "shared_uid").expect("the fault is named");
    assert_eq!((&said["count"], &report["reason"]), (&SLICES.into(), &said["text"]));
    let of_folder = triage(folder.path());
    for key in ["verdict", "reason", "slices", "quality"] {
        if key != "quality" {
            assert_eq!(of_folder[key], report[key], "{key}");
        }
    }
    assert_eq!(issue(&of_folder, "shared_uid"), issue(report, "shared_uid"));
    let daemon = daemon.kill_and_start_again();
    assert_eq!(verdict_after(&daemon, SLICES - 1)["report"], *report);
}

#[test]
fn a_finding_stands_beside_three_images_that_share_a_uid_and_a_negative_does_not() {
    for (kind, verdict) in [(PhantomKind::Pneumonia, "suspected"), (PhantomKind::Normal, "not_analysed")] {
        let mut slices = phantom(kind, SLICES + 2);
        for slice in &mut slices[..3] {
            *slice = changed(slice, |object| set_text(object, tags::SOP_INSTANCE_UID, "2.25.7"));
        }
        let report = triage(folder_of(&slices).path());
        assert_eq!((&report["verdict"], &issue(&report, "shared_uid").unwrap()["count"]), (&verdict.into(), &3.into()));
    }
}

#[test]
fn whole_numbers_of_the_header_that_change_without_effect_change_nothing_but_what_is_told() {
    let slices = phantom(PhantomKind::Normal, SLICES);
    let renumbered: Vec<Instance> = all(&slices, |object| {
        object.put(DataElement::new(tags::SERIES_NUMBER, VR::IS, PrimitiveValue::from("77")));
    });
    let daemon = Daemon::start();
    store_all(&daemon, &slices);
    let before = daemon.verdict_on(SLICES)["report"].clone();
    store_all(&daemon, &renumbered);
    let report = &verdict_after(&daemon, SLICES)["report"];
    assert_eq!(found(report), found(&before));
    let told = json!({ "kind": "corrected", "count": SLICES, "identity": false,
        "text": format!("{SLICES} images were sent again with other content: the newer ones count") });
    assert_eq!(issue(report, "corrected"), Some(&told));
}
