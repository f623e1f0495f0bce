//! What scanners, archives and gateways send that is conformant and rare, or wrong and clear all the same: kept with a warning, and
//! analysed as if it were plain.

use std::path::Path;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use tableside::scanner::{Instance, PhantomKind};
use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::dicom::{Association, changed, set_text};
use crate::peers::{found, triage};
use crate::series::{folder_of, phantom};

/// Few, but not further apart than a negative verdict allows.
const SLICES: usize = 32;

/// A change to the bytes of a data set in Explicit VR Little Endian, and what the metric calls it.
type Change = (&'static str, Option<&'static str>, fn(&[u8]) -> Vec<u8>);

const CHANGES: [Change; 20] = [
    ("a private sequence of VR UN and undefined length, implicit inside", None, |data| {
        let nested = implicit_sequence(Tag(0x0019, 0x1002), &implicit(Tag(0x0008, 0x0100), b"CODE"));
        before_study(data, &[&long(Tag(0x0019, 0x1001), *b"UN", UNDEFINED, &items(&nested))])
    }),
    ("one that is explicit inside", None, |data| {
        let nested = short(Tag(0x0008, 0x0100), *b"SH", b"CODE");
        before_study(data, &[&long(Tag(0x0019, 0x1001), *b"UN", UNDEFINED, &items(&nested))])
    }),
    ("a sequence of the standard as UN of known length", None, |data| {
        let item = item(&implicit(tags::REFERENCED_SOP_INSTANCE_UID, b"1.2.3\0"));
        let sequence = long(tags::REFERENCED_IMAGE_SEQUENCE, *b"UN", item.len() as u32, &item);
        before(data, tags::PATIENT_NAME, &[&sequence])
    }),
    ("a sequence of the standard as UN that is none", Some("unreadable_sequence"), |data| {
        before(data, tags::PATIENT_NAME, &[&long(tags::REFERENCED_IMAGE_SEQUENCE, *b"UN", 5, b"hello")])
    }),
    ("rows as UN", None, |data| as_unknown(data, tags::ROWS)),
    ("the position as UN", None, |data| as_unknown(data, tags::IMAGE_POSITION_PATIENT)),
    ("an icon of undefined length as OB in a private element", None, |data| {
        let fragments = [item(&[]), item(&[1, 2, 3, 4]), SEQUENCE_END.to_vec()].concat();
        before_study(data, &[&long(Tag(0x0019, 0x1001), *b"OB", UNDEFINED, &fragments)])
    }),
    ("two bytes behind the pixels", Some("excess_pixels"), |data| longer_pixels(data, &[0, 0])),
    ("a page of padding behind the pixels", Some("excess_pixels"), |data| longer_pixels(data, &[0xFF; 4096])),
    ("data set trailing padding", None, |data| [data, &long(Tag(0xFFFC, 0xFFFC), *b"OB", 6, &[0; 6])].concat()),
    ("bytes behind the data set", Some("trailing_bytes"), |data| [data, b"and so on"].concat()),
    ("zeros behind the data set", Some("trailing_bytes"), |data| [data, &[0; 100]].concat()),
    ("tags out of order", Some("order"), |data| {
        before(data, tags::PIXEL_DATA, &[&short(tags::PATIENT_ADDRESS, *b"LO", b"HERE")])
    }),
    ("an element twice", Some("repeated"), |data| {
        before(
            data,
            tags::PATIENT_NAME,
            &[&short(tags::PATIENT_ADDRESS, *b"LO", b"HERE"), &short(tags::PATIENT_ADDRESS, *b"LO", b"HERE")],
        )
    }),
    ("VR ?? with a length of 16 bits", Some("unknown_vr"), |data| {
        before_study(data, &[&short(Tag(0x0019, 0x1001), *b"??", b"abcd")])
    }),
    ("VR ZZ with a length of 32 bits", Some("unknown_vr"), |data| {
        before_study(data, &[&long(Tag(0x0019, 0x1001), *b"ZZ", 4, b"abcd")])
    }),
    ("rows of VR ??", Some("unknown_vr"), |data| with_vr(data, tags::ROWS, *b"??")),
    ("a SOP Class UID without a value", Some("uid_missing"), |data| without_value(data, tags::SOP_CLASS_UID)),
    ("a SOP Instance UID without a value", Some("uid_missing"), |data| without_value(data, tags::SOP_INSTANCE_UID)),
    ("a SOP Class UID with a dot at its end", None, |data| {
        let mut data = data.to_vec();
        let at = place(&data, tags::SOP_CLASS_UID);
        let length = usize::from(data[at + 6]);
        data[at + 8 + length - 1] = b'.';
        data
    }),
];

const UNDEFINED: u32 = u32::MAX;
const ITEM_END: [u8; 8] = [0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0];
const SEQUENCE_END: [u8; 8] = [0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0];

fn tag_bytes(tag: Tag) -> Vec<u8> {
    [tag.group().to_le_bytes(), tag.element().to_le_bytes()].concat()
}

fn short(tag: Tag, vr: [u8; 2], value: &[u8]) -> Vec<u8> {
    [&tag_bytes(tag), &vr[..], &(value.len() as u16).to_le_bytes(), value].concat()
}

fn long(tag: Tag, vr: [u8; 2], length: u32, value: &[u8]) -> Vec<u8> {
    [&tag_bytes(tag), &vr[..], &[0, 0], &length.to_le_bytes(), value].concat()
}

fn implicit(tag: Tag, value: &[u8]) -> Vec<u8> {
    [&tag_bytes(tag), &(value.len() as u32).to_le_bytes()[..], value].concat()
}

fn implicit_sequence(tag: Tag, item: &[u8]) -> Vec<u8> {
    [&tag_bytes(tag), &UNDEFINED.to_le_bytes()[..], &items(item)].concat()
}

fn item(value: &[u8]) -> Vec<u8> {
    implicit(Tag(0xFFFE, 0xE000), value)
}

/// One item of undefined length and the delimiter of its sequence.
fn items(inside: &[u8]) -> Vec<u8> {
    [&[0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF], inside, &ITEM_END[..], &SEQUENCE_END[..]].concat()
}

/// Where an element of the outermost level begins; its VR keeps what only looks like its tag from being taken for it.
fn place(data: &[u8], tag: Tag) -> usize {
    let tag = tag_bytes(tag);
    let is_here = |six: &[u8]| six[..4] == tag && six[4..].iter().all(u8::is_ascii_uppercase);
    data.windows(6).position(is_here).expect("the element")
}

fn before(data: &[u8], tag: Tag, elements: &[&[u8]]) -> Vec<u8> {
    let at = place(data, tag);
    [&data[..at], &elements.concat(), &data[at..]].concat()
}

fn before_study(data: &[u8], elements: &[&[u8]]) -> Vec<u8> {
    let creator = short(Tag(0x0019, 0x0010), *b"LO", b"VENDOR 1");
    before(data, tags::STUDY_INSTANCE_UID, &[&[creator.as_slice()], elements].concat())
}

fn as_unknown(data: &[u8], tag: Tag) -> Vec<u8> {
    let at = place(data, tag);
    let length = usize::from(u16::from_le_bytes([data[at + 6], data[at + 7]]));
    let value = &data[at + 8..at + 8 + length];
    [&data[..at], &long(tag, *b"UN", length as u32, value), &data[at + 8 + length..]].concat()
}

fn with_vr(data: &[u8], tag: Tag, vr: [u8; 2]) -> Vec<u8> {
    let mut data = data.to_vec();
    let at = place(&data, tag) + 4;
    data[at..at + 2].copy_from_slice(&vr);
    data
}

fn without_value(data: &[u8], tag: Tag) -> Vec<u8> {
    let at = place(data, tag);
    let length = usize::from(u16::from_le_bytes([data[at + 6], data[at + 7]]));
    [&data[..at + 6], &[0, 0], &data[at + 8 + length..]].concat()
}

/// The pixels are the last element.
fn longer_pixels(data: &[u8], more: &[u8]) -> Vec<u8> {
    let mut longer = [data, more].concat();
    let at = place(data, tags::PIXEL_DATA);
    let length = longer.len() - at - 12;
    longer[at + 8..at + 12].copy_from_slice(&(length as u32).to_le_bytes());
    longer
}

fn with_data(slice: &Instance, data: Vec<u8>) -> Instance {
    Instance { data: data.into(), ..slice.clone() }
}

fn folder_of_files(files: impl Iterator<Item = Vec<u8>>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (number, file) in files.enumerate() {
        std::fs::write(folder.path().join(format!("{number:04}.dcm")), file).unwrap();
    }
    folder
}

#[test]
fn objects_that_are_odd_and_clear_are_kept_with_a_warning_and_give_the_verdict_of_plain_ones() {
    let plain = phantom(PhantomKind::Pneumonia, SLICES);
    let expected = triage(folder_of(&plain).path());
    assert_eq!(expected["slices"]["analysed"], SLICES);
    let odd: Vec<Instance> = std::iter::zip(&plain, CHANGES.iter().cycle())
        .map(|(slice, (_, _, change))| with_data(slice, change(&slice.data)))
        .collect();
    assert_eq!(found(&triage(folder_of(&odd).path())), found(&expected), "as files");
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    for (slice, (name, what, _)) in odd.iter().zip(CHANGES.iter().cycle()) {
        let count = || what.map(|what| daemon.metric("tableside_objects_odd_total", &format!("what=\"{what}\"")));
        let before = count();
        assert_eq!(format!("{:04X}", association.store(slice)), "0000", "{name}: {}", daemon.log());
        assert_eq!(count(), before.map(|count| count + 1.0), "{name}");
    }
    association.release();
    let exam = daemon.verdict_on(SLICES);
    assert_eq!(found(&exam["report"]), found(&expected), "by network");
    daemon.wait_for_log("object kept, though it is not as the standard says");
}

#[test]
fn what_leaves_in_doubt_where_an_element_ends_or_which_one_counts_is_refused() {
    let slice = &phantom(PhantomKind::Normal, 1)[0];
    let refused: [(&str, u16, Vec<u8>); 6] = [
        ("an unknown VR whose length fits neither way", 0xC000, {
            before_study(&slice.data, &[&short(Tag(0x0019, 0x1001), *b"??", b"")[..6], &[3, 0, 1, 2, 3, 4]])
        }),
        ("a UN sequence without its end", 0xC000, {
            before_study(&slice.data, &[&long(Tag(0x0019, 0x1001), *b"UN", UNDEFINED, &[])])
        }),
        ("two addresses", 0xC000, {
            let [one, other] = [b"030Y", b"031Y"].map(|age| short(tags::PATIENT_ADDRESS, *b"LO", age));
            before(&slice.data, tags::STUDY_INSTANCE_UID, &[&one, &other])
        }),
        ("no study", 0xC000, without_value(&slice.data, tags::STUDY_INSTANCE_UID)),
        ("two bytes too few", 0xA900, {
            let mut data = slice.data[..slice.data.len() - 2].to_vec();
            let at = place(&data, tags::PIXEL_DATA);
            let length = (data.len() - at - 12) as u32;
            data[at + 8..at + 12].copy_from_slice(&length.to_le_bytes());
            data
        }),
        ("twice as many pixels", 0xA900, {
            let at = place(&slice.data, tags::PIXEL_DATA) + 12;
            longer_pixels(&slice.data, &slice.data[at..])
        }),
    ];
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    for (name, status, data) in refused {
        assert_eq!(format!("{:04X}", association.store(&with_data(slice, data))), format!("{status:04X}"), "{name}");
    }
    assert_eq!(association.store(slice), 0);
    association.release();
}

#[test]
fn uids_that_are_none_name_an_exam_and_leave_its_folder_alone() {
    let long = "1.2.".repeat(30);
    let slices: Vec<Instance> = phantom(PhantomKind::Pneumonia, SLICES)
        .iter()
        .map(|slice| {
            changed(slice, |object| {
                set_text(object, tags::STUDY_INSTANCE_UID, &format!("{long}ABC"));
                set_text(object, tags::SERIES_INSTANCE_UID, "../../../escaped.");
                let number = slice.sop_instance_uid.clone();
                set_text(object, tags::SOP_INSTANCE_UID, &format!("{number}.0a/x"));
            })
        })
        .collect();
    let expected = triage(folder_of(&slices).path());
    assert_eq!(expected["slices"]["analysed"], SLICES);
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    for slice in &slices {
        // The request spells it in capitals.
        let requested = slice.sop_instance_uid.to_ascii_uppercase();
        assert_eq!(association.store_bytes(&slice.sop_class_uid, &requested, &slice.data), 0x0000);
    }
    association.release();
    let exam = daemon.verdict_on(SLICES);
    assert_eq!(found(&exam["report"]), found(&expected));
    daemon.wait_for_log("is no valid UID");
    let exams = daemon.state().join("spool/exams");
    assert_eq!(std::fs::read_dir(exams).unwrap().count(), 1);
    assert!(!daemon.state().join("escaped.").exists());
}

#[test]
fn files_with_odd_heads_or_none_are_analysed() {
    let slices = phantom(PhantomKind::Pneumonia, SLICES);
    let expected = triage(folder_of(&slices).path());
    let with_group = |slice: &Instance, group_length: Option<u32>, more: &[u8]| {
        let mut file = vec![0; 128];
        file.extend(b"DICM");
        file.extend(group_length.map(|n| short(Tag(2, 0), *b"UL", &n.to_le_bytes())).unwrap_or_default());
        file.extend(short(Tag(2, 2), *b"UI", b"1.2.840.10008.5.1.4.1.1.2\0"));
        let uid = format!("{}\0", slice.sop_instance_uid);
        file.extend(short(Tag(2, 3), *b"UI", &uid.as_bytes()[..uid.len() & !1]));
        file.extend(short(Tag(2, 0x10), *b"UI", b"1.2.840.10008.1.2.1\0"));
        file.extend([more, &slice.data].concat());
        file
    };
    let files = slices.iter().enumerate().map(|(number, slice)| match number % 8 {
        0 => with_group(slice, Some(7), &[]),
        1 => with_group(slice, None, &[]),
        2 => with_group(slice, Some(99_999), &short(Tag(2, 0x13), *b"SH", b"A VERSION NAME OF MORE THAN 16")),
        3 => with_group(slice, None, &short(Tag(2, 0x13), *b"SH", b"\x01NAME\n ")),
        4 => with_group(slice, None, &[])[128..].to_vec(),
        5 => with_group(slice, None, &[])[132..].to_vec(),
        6 => slice.data.to_vec(),
        _ => {
            let mut file = with_group(slice, None, &[]);
            let at = 132 + place(&file[132..], Tag(2, 0x10));
            file.drain(at..at + 28);
            file
        }
    });
    let folder = folder_of_files(files);
    let report = triage(folder.path());
    assert_eq!(report["slices"]["analysed"], SLICES);
    assert_eq!(found(&report), found(&expected));
    assert_other_files_are_none(folder.path());
}

fn assert_other_files_are_none(folder: &Path) {
    std::fs::write(folder.join("letter.txt"), b"Dear colleague, here are the images.").unwrap();
    let output = crate::peers::tableside(&["triage", folder.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("skipped") && told.contains("not as the standard says"), "{told}");
}

#[test]
fn a_cancel_request_and_a_stray_response_are_ignored_and_what_is_not_provided_is_answered() {
    let slice = &phantom(PhantomKind::Normal, 1)[0];
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    assert_eq!(association.store(slice), 0x0000);
    let number = |tag, value: u16| (tag, VR::US, PrimitiveValue::from(value));
    let without_data = number(tags::COMMAND_DATA_SET_TYPE, 0x0101);
    let about_first = number(tags::MESSAGE_ID_BEING_RESPONDED_TO, 1);
    association.tell([number(tags::COMMAND_FIELD, 0x0FFF), about_first.clone(), without_data.clone()]);
    association.tell([number(tags::COMMAND_FIELD, 0x8001), about_first, without_data.clone()]);
    // C-GET and N-GET.
    for field in [0x0010, 0x0110] {
        let message_id = number(tags::MESSAGE_ID, 9);
        assert_eq!(association.ask([number(tags::COMMAND_FIELD, field), message_id, without_data.clone()]), 0x0211);
    }
    // An echo that names no SOP class is about that of its presentation context.
    assert_eq!(association.ask([number(tags::COMMAND_FIELD, 0x0030), number(tags::MESSAGE_ID, 10), without_data]), 0);
    assert_eq!(association.store(slice), 0x0000);
    association.release();
}

#[test]
fn names_in_the_character_sets_of_east_asia_are_shown_right_and_cost_no_slice() {
    let names: [(&str, &[u8], &str); 6] = [
        ("\\ISO 2022 IR 87", b"Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B", "山田"),
        ("ISO 2022 IR 13\\ISO 2022 IR 87", b"\xD4\xCF\xC0\xDE^\xC0\xDB\xB3=\x1B$B;3ED\x1B(J^\x1B$BB@O:\x1B(J", "ﾔﾏﾀﾞ"),
        ("\\ISO 2022 IR 149", b"Hong^Gildong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7", "洪"),
        ("\\ISO 2022 IR 58", b"Zhang^XiaoDong=\x1B$)A\xD5\xC5^\x1B$)A\xD0\xA1\xB6\xAB", "小东"),
        ("ISO_IR 192", "\u{FEFF}Müller^Jürgen".as_bytes(), "Müller"),
        ("\\ISO 2022 IR 87", b"Yamada^\xFF\x1B$B\x7F", "Yamada"),
    ];
    let slice = &phantom(PhantomKind::Normal, 1)[0];
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    for (number, (term, name, _)) in names.iter().enumerate() {
        let plain = changed(slice, |object| {
            set_text(object, tags::STUDY_INSTANCE_UID, &format!("2.25.{number}"));
            set_text(object, tags::SOP_INSTANCE_UID, &format!("2.25.9.{number}"));
            object.put(DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, PrimitiveValue::from("ISO_IR 100")));
        });
        let padded = |value: &[u8]| [value, if value.len() % 2 == 1 { &b" "[..] } else { b"" }].concat();
        let data = replaced(&plain.data, tags::SPECIFIC_CHARACTER_SET, *b"CS", &padded(term.as_bytes()));
        let data = replaced(&data, tags::PATIENT_NAME, *b"PN", &padded(name));
        assert_eq!(association.store_bytes(uids::CT_IMAGE_STORAGE, &plain.sop_instance_uid, &data), 0x0000, "{term}");
    }
    association.release();
    let exams =
        crate::daemon::wait_for("all exams", || Some(daemon.exams()).filter(|exams| exams.len() == names.len()));
    let shown: Vec<&str> = exams.iter().map(|exam| exam["patient"]["name"].as_str().unwrap()).collect();
    for (term, _, part) in names {
        assert!(shown.iter().any(|name| name.contains(part)), "{term}: {part} is not in {shown:?}");
    }
    assert!(shown.iter().all(|name| !name.contains('\u{FEFF}')), "{shown:?}");
}

fn replaced(data: &[u8], tag: Tag, vr: [u8; 2], value: &[u8]) -> Vec<u8> {
    let at = place(data, tag);
    let length = usize::from(u16::from_le_bytes([data[at + 6], data[at + 7]]));
    [&data[..at], &short(tag, vr, value), &data[at + 8 + length..]].concat()
}
