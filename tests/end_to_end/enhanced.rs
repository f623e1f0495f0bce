//! Multi-frame CT: a series in one object, or in a concatenation of several, is what its slices are.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use serde_json::{Value, json};
use tableside::dicom::UidSource;
use tableside::scanner::{Instance, Order, PhantomKind, enhanced, reorder, series::load_folder};

use crate::daemon::Daemon;
use crate::dicom::{Association, changed, set_text};
use crate::peers::{found, scan, triage};
use crate::series::{folder_of, phantom};
use crate::transfer_syntaxes::{converted, samples};

const SLICES: usize = 40;

/// What must be the same however the slices are packed.
fn outcome(report: &Value) -> Value {
    let slices = &report["slices"];
    let counts = [&slices["received"], &slices["analysed"], &slices["kept"], &slices["failed"]];
    json!({ "found": found(report), "slices": counts })
}

fn packed(slices: &[Instance], objects: usize) -> Vec<Instance> {
    enhanced(slices, objects, &mut UidSource::fresh()).unwrap()
}

/// The report on instances sent in their order, once all images are judged.
fn sent(instances: &[Instance], images: usize) -> Value {
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    for instance in instances {
        assert_eq!(association.store(instance), 0x0000);
    }
    association.release();
    daemon.verdict_on(images)["report"].clone()
}

#[test]
fn one_object_a_concatenation_and_frames_in_any_order_give_the_bits_of_the_single_slices() {
    let slices = phantom(PhantomKind::Pneumonia, SLICES);
    let single = outcome(&triage(folder_of(&slices).path()));
    assert!(
        single["found"]["score"].is_f64() && !single["found"]["lesions"].as_array().unwrap().is_empty(),
        "{single}"
    );
    let mut shuffled = slices.clone();
    reorder(&mut shuffled, Order::Random, 3);
    for (way, objects) in
        [("one", packed(&slices, 1)), ("shuffled", packed(&shuffled, 1)), ("two", packed(&shuffled, 2))]
    {
        let report = triage(folder_of(&objects).path());
        assert_eq!(outcome(&report), single, "{way}");
        assert_eq!(report["slices"]["instances"], objects.len(), "{way}");
    }
    let folder = folder_of(&slices);
    let ways: [&[&str]; 3] = [
        &["--enhanced", "--order", "random", "--seed", "7", "--rate", "0"],
        &["--enhanced", "2", "--rate", "0"],
        &["--enhanced", "3", "--order", "reversed", "--duplicate", "2", "--seed", "9", "--rate", "0"],
    ];
    for way in ways {
        let daemon = Daemon::start();
        scan(&daemon, folder.path(), way);
        let details = daemon.verdict_on(SLICES);
        assert_eq!(outcome(&details["report"]), single, "{way:?}");
        assert_eq!(details["slabs"].as_array().unwrap().len(), details["exam"]["slabs"].as_u64().unwrap() as usize);
        assert_eq!(daemon.picture(&details["slabs"][5]).status, 200);
    }
}

#[test]
fn compressed_frames_of_one_fragment_or_of_several_show_the_same() {
    let plain = phantom(PhantomKind::Pneumonia, SLICES);
    let folder = folder_of(&plain);
    let single = outcome(&triage(folder.path()));
    let converters: [(&str, &[&str]); 3] =
        [("dcmcrle", &[]), ("dcmcjpls", &["+el"]), ("dcmcjpeg", &["+e1", "+un", "+fs", "2"])];
    for (program, options) in converters {
        let encoded = load_folder(converted(program, options, folder.path()).path()).unwrap().instances;
        let report = triage(folder_of(&packed(&encoded, 1)).path());
        assert_eq!(outcome(&report), single, "{program} {options:?}");
    }
    let of_samples = |name: &str, objects: usize| {
        let slices = load_folder(&samples(name)).unwrap().instances;
        outcome(&triage(folder_of(&packed(&slices, objects)).path()))
    };
    let expected = outcome(&triage(&samples("plain")));
    for name in ["jpeg2000-lossless", "htj2k-lossless"] {
        assert_eq!(of_samples(name, 2), expected, "{name}");
    }
}

#[test]
fn a_frame_that_does_not_decode_is_one_failed_slice() {
    let plain = folder_of(&phantom(PhantomKind::Pneumonia, SLICES));
    let mut slices = load_folder(converted("dcmcrle", &[], plain.path()).path()).unwrap().instances;
    let mut data = slices[20].data.to_vec();
    let two_segments = [2, 0, 0, 0, 64, 0, 0, 0];
    let header = data.windows(8).position(|bytes| bytes == two_segments).expect("an RLE header");
    data[header] = 0xFF;
    slices[20].data = data.into();
    let report = triage(folder_of(&packed(&slices, 1)).path());
    let counts = &report["slices"];
    assert_eq!(
        counts,
        &json!({"received": 40, "instances": 1, "analysed": 39, "kept": 0, "failed": 1, "refused": 0, "replaced": 0, "expected": null})
    );
    let defect =
        report["quality"].as_array().unwrap().iter().find(|issue| issue["kind"] == "defective_slices").unwrap();
    assert!(defect["reason"].as_str().unwrap().starts_with("frame 21: "), "{defect}");
    assert_eq!(report["verdict"], "suspected");
}

#[test]
fn an_object_whose_functional_groups_do_not_match_its_frames_is_answered_with_a_warning_and_not_analysed() {
    let whole = packed(&phantom(PhantomKind::Normal, SLICES), 1).remove(0);
    let one_too_few = changed(&whole, |object| {
        let groups = object.element(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).unwrap().items().unwrap();
        let groups = dicom_core::value::DataSetSequence::from(groups[1..].to_vec());
        object.put(DataElement::new(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, VR::SQ, groups));
    });
    let without = changed(&whole, |object| assert!(object.remove_element(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)));
    for broken in [one_too_few, without] {
        let daemon = Daemon::start();
        let mut association = Association::open(&daemon);
        assert_eq!(format!("{:04X}", association.store(&broken)), "B007");
        association.release();
        let report = daemon.verdict_on(SLICES)["report"].clone();
        assert_eq!(report["verdict"], "not_analysed", "{report}");
        let reason = report["reason"].as_str().unwrap();
        assert!(reason.contains("per-frame functional groups sequence (5200,9230)"), "{reason}");
        assert_eq!(report["slices"]["failed"], SLICES);
    }
}

#[test]
fn more_frames_than_pixel_data_are_refused_and_more_than_any_scan_has_not_analysed() {
    let whole = packed(&phantom(PhantomKind::Normal, 4), 1).remove(0);
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    let lying = changed(&whole, |object| set_text(object, tags::NUMBER_OF_FRAMES, "2000000000"));
    assert_eq!(format!("{:04X}", association.store(&lying)), "A900");
    // One pixel a frame: the pixel data is as long as it says.
    let absurd = changed(&whole, |object| {
        for tag in [tags::ROWS, tags::COLUMNS] {
            object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(1_u16)));
        }
        set_text(object, tags::NUMBER_OF_FRAMES, &(4 * 128 * 128).to_string());
    });
    assert_eq!(format!("{:04X}", association.store(&absurd)), "B007");
    association.release();
    let report = daemon.verdict_on(4)["report"].clone();
    assert_eq!(report["verdict"], "not_analysed");
    assert!(report["reason"].as_str().unwrap().contains("10000 at most"), "{report}");
}

#[test]
fn single_slices_and_an_object_of_the_same_scan_are_two_series_of_which_one_is_judged() {
    let slices = phantom(PhantomKind::Pneumonia, SLICES);
    let single = triage(folder_of(&slices).path());
    let other_series = |slice: &Instance| {
        changed(slice, |object| {
            set_text(object, tags::SERIES_INSTANCE_UID, "2.25.77");
            set_text(object, tags::SOP_INSTANCE_UID, &format!("{}.1", slice.sop_instance_uid));
        })
    };
    let others: Vec<Instance> = slices.iter().map(other_series).collect();
    let report = triage(folder_of(&[packed(&slices, 1), others].concat()).path());
    assert_eq!(report["score"], single["score"]);
    let counts = &report["slices"];
    assert_eq!((&counts["received"], &counts["analysed"], &counts["kept"]), (&80.into(), &40.into(), &40.into()));
}

#[test]
fn where_slices_and_frames_of_one_series_lie_over_each_other_the_same_volume_is_judged_in_either_order() {
    let slices = phantom(PhantomKind::Pneumonia, SLICES);
    let object = packed(&slices, 1);
    // Other pixels at five positions of the same series, under UIDs that come first.
    let normal = phantom(PhantomKind::Normal, SLICES);
    let first = &slices[0];
    let of_patient = [tags::PATIENT_NAME, tags::PATIENT_ID, tags::PATIENT_BIRTH_DATE, tags::PATIENT_SEX];
    let read = first.object().unwrap();
    let particulars = of_patient.map(|tag| (tag, read.element(tag).unwrap().to_str().unwrap().into_owned()));
    let others: Vec<Instance> = (18..23)
        .map(|number| {
            changed(&normal[number], |object| {
                set_text(object, tags::STUDY_INSTANCE_UID, &first.study_instance_uid);
                set_text(object, tags::SERIES_INSTANCE_UID, &first.series_instance_uid);
                for (tag, text) in &particulars {
                    set_text(object, *tag, text);
                }
                set_text(object, tags::SOP_INSTANCE_UID, &format!("1.2.{number}"));
            })
        })
        .collect();
    let images = SLICES + others.len();
    let frames_first = sent(&[object.clone(), others.clone()].concat(), images);
    let frames_last = sent(&[others, object.clone()].concat(), images);
    assert_eq!(outcome(&frames_first), outcome(&frames_last));
    let alone = triage(folder_of(&object).path());
    assert_eq!(frames_first["lesions"], alone["lesions"], "the others are another volume");
    let quality = frames_first["quality"].as_array().unwrap();
    assert!(quality.iter().any(|issue| issue["kind"] == "other_volumes"), "{frames_first}");
}

#[test]
fn an_object_that_was_acknowledged_is_analysed_after_a_kill_and_not_once_more_after_its_verdict() {
    let object = packed(&phantom(PhantomKind::Pneumonia, SLICES), 1);
    let expected = outcome(&triage(folder_of(&object).path()));
    let daemon = Daemon::start();
    assert_eq!(Association::open(&daemon).store(&object[0]), 0x0000);
    let daemon = daemon.kill_and_start_again();
    assert_eq!(outcome(&daemon.verdict_on(SLICES)["report"]), expected);
    let daemon = daemon.kill_and_start_again();
    assert_eq!(outcome(&daemon.verdict_on(SLICES)["report"]), expected);
    assert!(!daemon.log().contains("goes on from the spool"), "{}", daemon.log());
}
