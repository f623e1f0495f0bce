//! What is refused belongs to an exam: it takes the negative away, is told, survives a kill, and goes once it is sent again.

use std::path::Path;

use dicom_dictionary_std::{tags, uids};
use serde_json::Value;
use tableside::scanner::{Instance, PhantomKind};
use tempfile::TempDir;

use crate::daemon::{Daemon, flag, wait_for};
use crate::dicom::{Association, changed, set_text};
use crate::peers::{tableside, text, triage};
use crate::series::{folder_of, phantom, write_file};

/// Few, but not further apart than a negative verdict allows.
const SLICES: usize = 32;

fn named(slice: &Instance, uid: &str) -> Instance {
    changed(slice, |object| set_text(object, tags::SOP_INSTANCE_UID, uid))
}

/// The first half of an instance's bytes: whose it is stands in it.
fn cut_off(instance: &Instance) -> Instance {
    Instance { data: instance.data[..instance.data.len() / 2].into(), ..instance.clone() }
}

/// Bytes that do not say whose they are.
fn rubbish(uid: &str, slice: &Instance) -> Instance {
    let data = (*b"Dear scanner, this is not a CT image at all, only a letter.").into();
    Instance { sop_instance_uid: uid.to_owned(), data, ..slice.clone() }
}

fn store(association: &mut Association, instances: &[Instance], status: u16) {
    for instance in instances {
        assert_eq!(association.store(instance), status, "{}", instance.origin);
    }
}

/// Waits until an exam is complete that has so many slices and refused objects, and gives its details.
fn verdict_with(daemon: &Daemon, received: usize, refused: usize) -> Value {
    let key = wait_for(&format!("a verdict on {received} slices and {refused} refused"), || {
        let is_meant = |exam: &Value| {
            let slices = &exam["slices"];
            exam["state"] == "complete" && slices["received"] == received && slices["refused"] == refused
        };
        Some(daemon.exams().into_iter().find(is_meant)?["key"].as_str().unwrap().to_owned())
    });
    daemon.details(&key)
}

fn has_issue(report: &Value, kind: &str) -> bool {
    report["quality"].as_array().unwrap().iter().any(|issue| issue["kind"] == kind)
}

#[test]
fn one_refused_slice_takes_the_negative_away_and_stands_on_the_console_and_in_the_report() {
    let slices = phantom(PhantomKind::Normal, SLICES);
    assert_eq!(triage(folder_of(&slices).path())["verdict"], "not_suspected");
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    store(&mut association, &slices, 0x0000);
    store(&mut association, &[cut_off(&named(&slices[3], "2.25.1"))], 0xC000);
    association.release();
    let details = verdict_with(&daemon, SLICES, 1);
    let report = &details["report"];
    assert_eq!(report["verdict"], "not_analysed", "{report}");
    assert_eq!(report["reason"], "1 object was refused: it is cut off");
    assert!(has_issue(report, "refused_objects"));
    assert!(flag(&details["exam"], "not_analysed").is_some() && flag(&details["exam"], "rescan").is_some());
}

#[test]
fn a_finding_stands_whatever_was_refused() {
    let slices = phantom(PhantomKind::Pneumonia, SLICES);
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    store(&mut association, &slices, 0x0000);
    store(&mut association, &[cut_off(&named(&slices[3], "2.25.1"))], 0xC000);
    association.release();
    assert_eq!(verdict_with(&daemon, SLICES, 1)["report"]["verdict"], "suspected");
}

#[test]
fn where_all_was_refused_the_console_says_so_and_names_the_patient_where_the_objects_do() {
    let slices = phantom(PhantomKind::Normal, 3);
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    let broken: Vec<Instance> = slices.iter().map(cut_off).collect();
    store(&mut association, &broken, 0xC000);
    association.release();
    let details = verdict_with(&daemon, 0, 3);
    assert_eq!(details["report"]["verdict"], "not_analysed");
    assert_eq!(details["report"]["reason"], "all 3 objects were refused: it is cut off");
    assert_eq!(details["exam"]["patient"]["id"], slices[0].patient_id.as_str());
    assert_eq!(details["exam"]["scanner"], "TEST");
}

#[test]
fn refused_objects_that_name_nobody_are_an_exam_of_their_own_association() {
    let slice = &phantom(PhantomKind::Normal, 1)[0];
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    store(&mut association, &[rubbish("2.25.1", slice), rubbish("2.25.2", slice)], 0xC000);
    association.release();
    let reason = verdict_with(&daemon, 0, 2)["report"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("all 2 objects were refused: "), "{reason}");
    assert_eq!(daemon.exams().len(), 1);
}

#[test]
fn a_refused_object_that_names_nobody_belongs_to_the_exam_of_its_association_even_if_it_comes_first() {
    let slices = phantom(PhantomKind::Normal, SLICES);
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    store(&mut association, &[rubbish("2.25.1", &slices[0])], 0xC000);
    store(&mut association, &slices, 0x0000);
    store(&mut association, &[rubbish("2.25.2", &slices[0])], 0xC000);
    association.release();
    assert_eq!(verdict_with(&daemon, SLICES, 2)["report"]["verdict"], "not_analysed");
    assert_eq!(daemon.exams().len(), 1);
}

#[test]
fn an_object_in_whose_middle_the_connection_breaks_is_missing_in_its_exam() {
    let slices = phantom(PhantomKind::Normal, SLICES);
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    store(&mut association, &slices[1..], 0x0000);
    association.break_off_in(&slices[0]);
    let report = &verdict_with(&daemon, SLICES - 1, 1)["report"];
    assert_eq!(report["verdict"], "not_analysed", "{report}");
    let text = report["quality"].as_array().unwrap().iter().find(|issue| issue["kind"] == "refused_objects").unwrap();
    assert_eq!(text["text"], "1 object was refused: the connection broke while it was sent");
    // The scanner sends it again.
    let mut association = Association::open(&daemon);
    store(&mut association, &slices[..1], 0x0000);
    association.release();
    let report = &verdict_with(&daemon, SLICES, 0)["report"];
    assert_eq!((&report["verdict"], &report["revised"]), (&"not_suspected".into(), &true.into()), "{report}");
}

#[test]
fn a_refusal_after_the_verdict_opens_it_again_and_the_same_object_stored_closes_it() {
    let slices = phantom(PhantomKind::Normal, SLICES);
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    store(&mut association, &slices, 0x0000);
    association.release();
    assert_eq!(daemon.verdict_on(SLICES)["report"]["verdict"], "not_suspected");
    let mut association = Association::open(&daemon);
    store(&mut association, &[cut_off(&slices[5])], 0xC000);
    association.release();
    let report = &verdict_with(&daemon, SLICES, 1)["report"];
    assert_eq!((&report["verdict"], &report["revised"]), (&"not_analysed".into(), &true.into()), "{report}");
    let mut association = Association::open(&daemon);
    store(&mut association, &slices[5..6], 0x0000);
    association.release();
    let report = &verdict_with(&daemon, SLICES, 0)["report"];
    assert_eq!((&report["verdict"], &report["revised"]), (&"not_suspected".into(), &true.into()), "{report}");
}

#[test]
fn a_refused_object_that_is_no_slice_leaves_a_negative_as_it_is() {
    let slices = phantom(PhantomKind::Normal, SLICES);
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    store(&mut association, &slices, 0x0000);
    let capture = changed(&slices[0], |object| {
        set_text(object, tags::SOP_CLASS_UID, uids::SECONDARY_CAPTURE_IMAGE_STORAGE);
        set_text(object, tags::SOP_INSTANCE_UID, "2.25.1");
    });
    store(&mut association, &[cut_off(&capture)], 0xC000);
    association.release();
    assert_eq!(verdict_with(&daemon, SLICES, 0)["report"]["verdict"], "not_suspected");
}

#[test]
fn what_was_refused_is_still_missing_after_a_kill() {
    let slices = phantom(PhantomKind::Normal, SLICES);
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    store(&mut association, &slices, 0x0000);
    store(&mut association, &[cut_off(&named(&slices[3], "2.25.1"))], 0xC000);
    let daemon = daemon.kill_and_start_again();
    drop(association);
    let before = verdict_with(&daemon, SLICES, 1);
    assert_eq!(before["report"]["verdict"], "not_analysed", "{}", before["report"]);
    let daemon = daemon.kill_and_start_again();
    let after = verdict_with(&daemon, SLICES, 1);
    assert_eq!(after["report"], before["report"], "an exam that is judged is not judged once more");
    let mut association = Association::open(&daemon);
    store(&mut association, &[named(&slices[3], "2.25.1")], 0x0000);
    association.release();
    verdict_with(&daemon, SLICES + 1, 0);
}

#[test]
fn an_exam_of_which_all_was_refused_is_there_after_a_kill() {
    let slices = phantom(PhantomKind::Normal, 2);
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    store(&mut association, &[cut_off(&slices[0]), cut_off(&slices[1])], 0xC000);
    let daemon = daemon.kill_and_start_again();
    drop(association);
    let report = &verdict_with(&daemon, 0, 2)["report"];
    assert_eq!(report["reason"], "all 2 objects were refused: it is cut off");
}

/// The exam's files, and beside them one that is cut off and one that is no image.
fn folder_with_a_damaged_file(slices: &[Instance]) -> TempDir {
    let folder = folder_of(slices);
    write_damaged(&folder.path().join("0999.dcm"), &named(&slices[3], "2.25.1"));
    std::fs::write(folder.path().join("letter.txt"), "Dear scanner").unwrap();
    folder
}

fn write_damaged(path: &Path, instance: &Instance) {
    write_file(path, instance);
    let whole = std::fs::read(path).unwrap();
    std::fs::write(path, &whole[..whole.len() / 2]).unwrap();
}

#[test]
fn triage_counts_a_damaged_file_as_the_daemon_counts_the_refused_object_and_a_letter_not_at_all() {
    let slices = phantom(PhantomKind::Normal, SLICES);
    let of_folder = triage(folder_with_a_damaged_file(&slices).path());
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    store(&mut association, &slices, 0x0000);
    store(&mut association, &[cut_off(&named(&slices[3], "2.25.1"))], 0xC000);
    association.release();
    let sent = &verdict_with(&daemon, SLICES, 1)["report"];
    for key in ["verdict", "reason", "score", "slices", "quality"] {
        assert_eq!(of_folder[key], sent[key], "{key}");
    }
}

#[test]
fn a_folder_of_damaged_files_reads_not_analysed_with_exit_code_3() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["IM0001", "IM0002.dcm"] {
        std::fs::write(folder.path().join(name), b"").unwrap();
    }
    std::fs::write(folder.path().join("DICOMDIR"), b"").unwrap();
    let output = tableside(&["triage", "--json", text(folder.path())]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["reason"], "all 2 objects were refused: its file is empty");
    assert!(String::from_utf8(output.stderr).unwrap().contains("IM0001"));
}

#[test]
fn a_scan_of_a_folder_with_a_file_that_cannot_be_read_says_so_and_ends_with_exit_code_4() {
    let folder = folder_of(&phantom(PhantomKind::Normal, 4));
    std::fs::write(folder.path().join("0999.dcm"), b"").unwrap();
    std::fs::write(folder.path().join("letter.txt"), "Dear scanner").unwrap();
    let daemon = Daemon::start();
    let to = format!("TABLESIDE@{}", daemon.dicom());
    let output = tableside(&["scan", text(folder.path()), "--to", &to, "--json", "--rate", "0"]);
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["sent"], report["unreadable"].as_array().unwrap().len()), (&4.into(), 1));
    let output = tableside(&["scan", text(folder.path()), "--to", &to, "--rate", "0"]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("not sent: "));
}

#[test]
fn a_validation_judges_a_case_with_a_damaged_file_as_triage_does() {
    let folder = folder_with_a_damaged_file(&phantom(PhantomKind::Normal, SLICES));
    let expected = triage(folder.path())["reason"].as_str().unwrap().to_owned();
    let own = tempfile::tempdir().unwrap();
    let (cases, out) = (own.path().join("cases.csv"), own.path().join("out"));
    std::fs::write(&cases, format!("name,folder,label\nwell,{},0\n", folder.path().display())).unwrap();
    let args = ["model", "validate", "reference", "--engine", "embedded", "--cases", text(&cases), "--out", text(&out)];
    tableside(&args);
    let results = std::fs::read_to_string(out.join("results.csv")).unwrap();
    assert!(results.contains("not_analysed") && results.contains(&expected), "{results}");
}
