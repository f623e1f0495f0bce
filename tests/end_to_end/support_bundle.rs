//! The support bundle: it helps, and it names no patient.

use std::process::Command;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use tableside::scanner::PhantomKind;

use crate::daemon::Daemon;
use crate::dicom::{Association, changed};
use crate::peers::{tableside, text};
use crate::series::phantom;

const SLICES: usize = 20;

#[test]
fn the_bundle_has_what_helps_and_nothing_by_which_a_patient_could_be_known() {
    const PLANTED: [(dicom_core::Tag, VR, &str); 5] = [
        (tags::PATIENT_NAME, VR::PN, "Zweistein^Albertine"),
        (tags::PATIENT_ID, VR::LO, "ZW-48151623"),
        (tags::PATIENT_BIRTH_DATE, VR::DA, "19371119"),
        (tags::ACCESSION_NUMBER, VR::SH, "ACC4815162342"),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN, "Quacksalber^Q"),
    ];
    let slices: Vec<_> = phantom(PhantomKind::Pneumonia, SLICES)
        .iter()
        .map(|slice| {
            changed(slice, |object| {
                for (tag, vr, value) in PLANTED {
                    object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
                }
            })
        })
        .collect();
    // Nobody answers there: deliveries wait, and the log says so.
    let daemon = Daemon::start_with("[[destination]]\nname = \"pacs\"\nc_store = \"NOBODY@127.0.0.1:1\"\n");
    let mut association = Association::open(&daemon);
    for slice in &slices {
        assert_eq!(association.store(slice), 0x0000);
    }
    // One that is refused is in the log too.
    let mut cut_off = slices[0].clone();
    cut_off.data = cut_off.data[..cut_off.data.len() / 2].into();
    assert_ne!(association.store(&cut_off), 0x0000);
    association.release();
    let details = daemon.verdict_on(SLICES);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("daemon.log");
    std::fs::write(&log, daemon.log()).unwrap();
    let configuration = folder.path().join("tableside.toml");
    let used = std::fs::read_to_string(daemon.state().with_file_name("tableside.toml")).unwrap();
    std::fs::write(&configuration, used.replacen("127.0.0.1:0", daemon.console(), 1)).unwrap();

    let bundle = folder.path().join("bundle.tar.gz");
    let arguments = ["support-bundle", text(&bundle), "--config", text(&configuration), "--log", text(&log)];
    let made = tableside(&arguments);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(!tableside(&arguments).status.success(), "what is there is not overwritten");
    let unpacked = Command::new("tar").arg("-xzf").arg(&bundle).arg("-C").arg(folder.path()).status().unwrap();
    assert!(unpacked.success());
    let part = |name: &str| std::fs::read_to_string(folder.path().join("tableside-support").join(name)).unwrap();
    let parts = ["about.txt", "tableside.toml", "ready.txt", "metrics.txt", "doctor.txt", "database.txt", "log.txt"];
    let whole: String = parts.into_iter().map(part).collect();
    for (part_of, expected) in [
        ("ready.txt", "ready"),
        ("metrics.txt", "tableside_verdicts_total{verdict=\"suspected\"} 1"),
        ("doctor.txt", "embedded"),
        ("database.txt", "exams complete suspected: 1"),
        ("log.txt", "object refused"),
        ("about.txt", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(part(part_of).contains(expected), "{part_of}: {}", part(part_of));
    }
    let uid = slices[0].sop_instance_uid.as_str();
    let study = details["report"]["study_instance_uid"].as_str().unwrap_or(uid);
    let pieces = ["Zweistein", "Albertine", "ZW-48151623", "19371119", "1937-11-19", "ACC4815162342", "Quacksalber"];
    for piece in pieces.into_iter().chain([uid, study]) {
        assert!(!whole.contains(piece), "{piece} is in the bundle");
    }
}
