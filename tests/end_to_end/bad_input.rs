//! Whatever is sent, the right status goes back, a log line and a metric say why, and the daemon goes on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use tableside::scanner::{Instance, PhantomKind};

use crate::daemon::{Daemon, wait_for};
use crate::dicom::{Association, changed, set_text};
use crate::peers::{echoscu, triage};
use crate::series::{folder_of, phantom};

/// Few, but not further apart than a negative verdict allows.
const SLICES: usize = 32;

/// An instance that is wrong, what is answered, and what log and metric say of it.
struct Wrong {
    instance: Instance,
    status: u16,
    log: &'static str,
    reason: &'static str,
}

/// The exam's first slice under a UID of its own, with something wrong.
fn wrong_instances(slice: &Instance) -> Vec<Wrong> {
    let mut number = 0;
    let mut wrong = |status, log, reason, make: &dyn Fn(&Instance) -> Instance| {
        number += 1;
        let renamed = changed(slice, |object| set_text(object, tags::SOP_INSTANCE_UID, &format!("2.25.{number}")));
        Wrong { instance: make(&renamed), status, log, reason }
    };
    vec![
        wrong(0xC000, "are left", "truncated_or_not_dicom", &|slice| Instance {
            data: slice.data[..slice.data.len() / 2].into(),
            ..slice.clone()
        }),
        wrong(0xC000, "object refused", "truncated_or_not_dicom", &|slice| Instance {
            data: (*b"Dear scanner, this is not a CT image at all, only a letter.").into(),
            ..slice.clone()
        }),
        wrong(0xA900, "SOP Class UID (0008,0016) is", "other_instance", &|slice| Instance {
            sop_class_uid: uids::SECONDARY_CAPTURE_IMAGE_STORAGE.into(),
            ..slice.clone()
        }),
        wrong(0xA900, "without pixel data", "no_pixel_data", &|slice| {
            changed(slice, |object| assert!(object.remove_element(tags::PIXEL_DATA)))
        }),
        wrong(0xB007, "image position (0020,0032) is missing", "defective", &|slice| {
            changed(slice, |object| assert!(object.remove_element(tags::IMAGE_POSITION_PATIENT)))
        }),
        wrong(0xB007, "pixel spacing", "defective", &|slice| {
            changed(slice, |object| set_text(object, tags::PIXEL_SPACING, "0\\0"))
        }),
        wrong(0xA900, "rows x columns need", "pixel_data_length", &|slice| {
            changed(slice, |object| {
                object.put(DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(4000_u16)));
            })
        }),
    ]
}

#[test]
fn bad_objects_get_their_status_a_log_line_and_a_metric_and_are_counted_in_their_exam_which_is_unharmed() {
    let slices = phantom(PhantomKind::Pneumonia, SLICES);
    let alone = triage(folder_of(&slices).path());
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    // The good exam comes first: bad slices of it that are kept must not name it.
    for slice in &slices {
        assert_eq!(association.store(slice), 0x0000);
    }
    let wrong = wrong_instances(&slices[0]);
    // What is stored nevertheless goes into another study, to see the good one alone.
    for Wrong { instance, status, log, reason } in &wrong {
        let elsewhere = match status {
            0xB007 => changed(instance, |object| set_text(object, tags::STUDY_INSTANCE_UID, "2.25.99")),
            _ => instance.clone(),
        };
        let before = daemon.metric("tableside_objects_refused_total", &format!("reason=\"{reason}\""));
        let answered = association.store(&elsewhere);
        assert_eq!(format!("{answered:04X}"), format!("{status:04X}"), "{reason}: {log}");
        daemon.wait_for_log(log);
        let after = daemon.metric("tableside_objects_refused_total", &format!("reason=\"{reason}\""));
        assert_eq!(after, before + 1.0, "{reason}");
    }
    association.release();
    let exam = daemon.verdict_on(SLICES);
    assert_eq!(exam["report"]["score"], alone["score"]);
    assert_eq!(exam["report"]["lesions"], alone["lesions"]);
    let (mut slices_alone, refused) = (alone["slices"].clone(), wrong.iter().filter(|wrong| wrong.status != 0xB007));
    slices_alone["refused"] = refused.count().into();
    assert_eq!(exam["report"]["slices"], slices_alone);
    echoscu(&daemon);
    assert!(!daemon.log().contains(slices[0].patient_id.as_str()), "a log line names the patient");
}

#[test]
fn slices_that_cannot_be_analysed_are_named_in_the_report_of_their_exam() {
    let slices = phantom(PhantomKind::Normal, SLICES);
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    for slice in &slices[1..] {
        assert_eq!(association.store(slice), 0x0000);
    }
    let without_position = changed(&slices[0], |object| assert!(object.remove_element(tags::IMAGE_POSITION_PATIENT)));
    assert_eq!(association.store(&without_position), 0xB007);
    association.release();
    let report = &daemon.verdict_on(SLICES)["report"];
    assert_eq!(report["slices"]["failed"], 1);
    let quality = report["quality"].as_array().unwrap();
    assert!(quality.iter().any(|issue| issue["kind"] == "defective_slices"), "{report}");
}

#[test]
fn two_patients_in_one_association_and_even_under_one_study_uid_are_two_exams() {
    let (one, other) = (phantom(PhantomKind::Pneumonia, SLICES), phantom(PhantomKind::Normal, SLICES));
    let study = one[0].study_instance_uid.clone();
    let other: Vec<Instance> =
        other.iter().map(|slice| changed(slice, |object| set_text(object, tags::STUDY_INSTANCE_UID, &study))).collect();
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    for (one, other) in one.iter().zip(&other) {
        assert_eq!((association.store(one), association.store(other)), (0x0000, 0x0000));
    }
    association.release();
    let exams = wait_for("two verdicts", || {
        let exams = daemon.exams();
        let complete = |exam: &serde_json::Value| exam["state"] == "complete" && exam["slices"]["received"] == SLICES;
        (exams.len() == 2 && exams.iter().all(complete)).then_some(exams)
    });
    for (slices, patient) in [(&one, &one[0].patient_id), (&other, &other[0].patient_id)] {
        let exam = exams.iter().find(|exam| exam["patient"]["id"] == patient.as_str()).expect("the patient's exam");
        assert_eq!(exam["score"], triage(folder_of(slices).path())["score"], "{patient}");
    }
}

/// Sends raw bytes, keeps the connection open, and waits until the peer closes it.
fn send_until_closed(mut socket: TcpStream, bytes: &[u8]) {
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // The peer may close before all is written.
    let _ = socket.write_all(bytes);
    if let Err(error) = socket.read_to_end(&mut Vec::new()) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the connection stays open: {error}");
    }
}

#[test]
fn rubbish_oversized_and_endless_messages_end_their_connection_and_nothing_else() {
    let mut daemon = Daemon::start_with("idle_timeout_s = 2");
    let request = |length: u32| [&[0x01, 0x00], &length.to_be_bytes()[..], &[0; 64]].concat();
    let rubbish: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: scanner\r\n\r\n",
        &[0xFF; 4096],
        &request(0),
        &request(64 * 1024 * 1024),
        &request(u32::MAX),
    ];
    for bytes in rubbish {
        send_until_closed(TcpStream::connect(daemon.dicom()).unwrap(), bytes);
    }
    daemon.wait_for_log("PDU type 47H was not expected here");
    echoscu(&daemon);
    assert!(daemon.is_running());
}

#[test]
fn a_pdu_beyond_the_limit_ends_its_association() {
    let mut daemon = Daemon::start_with("max_pdu_kib = 16");
    let slice = &phantom(PhantomKind::Normal, 1)[0];
    let association = Association::open(&daemon);
    for length in [1024 * 1024_u32, u32::MAX] {
        let pdu = [&[0x04, 0x00], &length.to_be_bytes()[..], &slice.data[..4096]].concat();
        send_until_closed(Association::open(&daemon).into_stream(), &pdu);
    }
    daemon.wait_for_log("association ended");
    association.release();
    echoscu(&daemon);
    assert!(daemon.is_running());
}

#[test]
fn an_object_beyond_the_limit_ends_its_association_and_nothing_is_kept_of_it() {
    let mut daemon = Daemon::start_with("max_object_mib = 1");
    let slice = &phantom(PhantomKind::Normal, 1)[0];
    let endless = [&slice.data[..], &vec![0; 2 * 1024 * 1024]].concat();
    let answer = Association::open(&daemon).try_store(&slice.sop_class_uid, &slice.sop_instance_uid, &endless);
    assert_eq!(answer, None);
    daemon.wait_for_log("max_object_mib");
    assert_eq!(daemon.metric("tableside_instances_received_total", ""), 0.0);
    echoscu(&daemon);
    assert!(daemon.is_running());
}

#[test]
fn a_peer_that_falls_silent_loses_its_connection() {
    let daemon = Daemon::start_with("idle_timeout_s = 1");
    send_until_closed(TcpStream::connect(daemon.dicom()).unwrap(), &[]);
    send_until_closed(Association::open(&daemon).into_stream(), &[]);
    echoscu(&daemon);
    wait_for("no open association", || (daemon.metric("tableside_associations_open", "") == 0.0).then_some(()));
}
