//! Slices at full resolution: the file's Hounsfield units, whatever it is encoded in, while the exam comes and until it is removed.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use flate2::read::GzDecoder;
use serde_json::Value;
use tableside::scanner::{Instance, PhantomKind};

use crate::daemon::{Daemon, wait_for};
use crate::dicom::{changed, set_text, store_all};
use crate::http::{Response, get_unless, get_with};
use crate::peers::{files, scan};
use crate::series::{folder_of, phantom};
use crate::transfer_syntaxes::{converted, samples};

const SLICES: usize = 12;

/// What stands for no measurement (`docs/interface.md`).
const NO_MEASUREMENT: i16 = i16::MIN;

/// The Hounsfield units of each file by its SOP Instance UID, in the arithmetic of a reader of the standard.
pub fn hounsfield_of(folder: &Path) -> BTreeMap<String, Vec<i16>> {
    let read = |file| {
        let object = dicom_object::open_file(file).unwrap();
        let text = |tag| object.element(tag).unwrap().to_str().unwrap().trim_end_matches('\0').to_owned();
        let number = |tag| text(tag).trim().parse::<f64>().unwrap();
        let (slope, intercept) = (number(tags::RESCALE_SLOPE), number(tags::RESCALE_INTERCEPT));
        let is_signed = object.element(tags::PIXEL_REPRESENTATION).unwrap().to_int::<u16>().unwrap() == 1;
        let padding = object.get(tags::PIXEL_PADDING_VALUE).and_then(|value| value.to_int::<i32>().ok());
        let hounsfield = |cell: u16| {
            let stored = if is_signed { i32::from(cell as i16) } else { i32::from(cell) };
            let is_padding = padding.is_some_and(|padding| padding as u16 == cell);
            if is_padding { NO_MEASUREMENT } else { (f64::from(stored) * slope + intercept).round() as i16 }
        };
        let cells = object.element(tags::PIXEL_DATA).unwrap().to_multi_int::<u16>().unwrap();
        (text(tags::SOP_INSTANCE_UID), cells.into_iter().map(hounsfield).collect())
    };
    files(folder).iter().map(read).collect()
}

fn key_of(daemon: &Daemon) -> String {
    wait_for("the exam", || Some(daemon.exams().first()?["key"].as_str()?.to_owned()))
}

fn list(daemon: &Daemon) -> Value {
    daemon.get(&format!("/api/v1/exams/{}/slices", key_of(daemon))).json()
}

/// Waits until so many slices are listed.
pub fn listed(daemon: &Daemon, slices: usize) -> Value {
    wait_for(&format!("{slices} slices"), || {
        Some(list(daemon)).filter(|list| list["slices"].as_array().is_some_and(|listed| listed.len() == slices))
    })
}

fn address_of(slice: &Value) -> String {
    format!("/{}", slice["hounsfield"].as_str().unwrap())
}

fn values_of(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks().0.iter().map(|two| i16::from_le_bytes(*two)).collect()
}

fn hounsfield(daemon: &Daemon, slice: &Value) -> Vec<i16> {
    let answer = daemon.get(&address_of(slice));
    assert_eq!(answer.status, 200, "{}", answer.text());
    values_of(&answer.body)
}

fn assert_shows(daemon: &Daemon, expected: &BTreeMap<String, Vec<i16>>, what: &str) {
    let list = listed(daemon, expected.len());
    for slice in list["slices"].as_array().unwrap() {
        let sop_instance_uid = slice["sop_instance_uid"].as_str().unwrap();
        assert!(hounsfield(daemon, slice) == expected[sop_instance_uid], "{what}: {sop_instance_uid}");
    }
}

#[test]
fn every_slice_has_the_hounsfield_units_of_its_file_whatever_that_is_encoded_in() {
    let plain = folder_of(&phantom(PhantomKind::Pneumonia, SLICES));
    let expected = hounsfield_of(plain.path());
    assert!(expected.values().flatten().any(|hu| *hu > 300) && expected.values().flatten().any(|hu| *hu < -800));
    let syntaxes: [(&str, &[&str]); 5] = [
        ("dcmconv", &["+te"]),
        ("dcmconv", &["+ti"]),
        ("dcmcrle", &[]),
        ("dcmcjpeg", &["+e1", "+un"]),
        ("dcmcjpls", &["+el"]),
    ];
    for (program, options) in syntaxes {
        let daemon = Daemon::start();
        scan(&daemon, converted(program, options, plain.path()).path(), &["--rate", "0"]);
        assert_shows(&daemon, &expected, &format!("{program} {options:?}"));
    }
    let expected = hounsfield_of(&samples("plain"));
    for name in ["jpeg2000-lossless", "htj2k-lossless"] {
        let daemon = Daemon::start();
        scan(&daemon, &samples(name), &["--rate", "0"]);
        assert_shows(&daemon, &expected, name);
    }
}

#[test]
fn a_rescale_slope_that_is_no_whole_number_is_applied_and_pixels_that_pad_the_image_are_told_from_measurements() {
    let padded = |object: &mut dicom_object::InMemDicomObject| {
        let mut cells = object.element(tags::PIXEL_DATA).unwrap().to_multi_int::<u16>().unwrap();
        cells[..40].fill(0xF830);
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(cells.into())));
        object.put(DataElement::new(tags::PIXEL_REPRESENTATION, VR::US, PrimitiveValue::from(1_u16)));
        object.put(DataElement::new(tags::BITS_STORED, VR::US, PrimitiveValue::from(16_u16)));
        object.put(DataElement::new(tags::HIGH_BIT, VR::US, PrimitiveValue::from(15_u16)));
        object.put(DataElement::new(tags::PIXEL_PADDING_VALUE, VR::SS, PrimitiveValue::from(-2000_i16)));
        set_text(object, tags::RESCALE_SLOPE, "0.75");
    };
    let slices: Vec<Instance> = phantom(PhantomKind::Normal, 3).iter().map(|slice| changed(slice, padded)).collect();
    let expected = hounsfield_of(folder_of(&slices).path());
    assert!(expected.values().all(|values| values[..40] == [NO_MEASUREMENT; 40] && values[64] != NO_MEASUREMENT));
    let daemon = Daemon::start();
    store_all(&daemon, &slices);
    assert_shows(&daemon, &expected, "padded");
}

#[test]
fn slices_are_listed_while_they_come_with_their_place_and_what_is_drawn_on_them_lies_on_the_lungs() {
    let slices = phantom(PhantomKind::Pneumonia, SLICES);
    let daemon = Daemon::start_with("[completion]\nquiet_s = 2\nleast_quiet_s = 2\n");
    store_all(&daemon, &slices[..5]);
    let while_it_comes = listed(&daemon, 5);
    assert_eq!(daemon.exams()[0]["state"], "receiving");
    let grid = &while_it_comes["grids"][0];
    assert_eq!((&grid["rows"], &grid["columns"]), (&128.into(), &128.into()));
    assert_eq!(grid["orientation"], serde_json::json!([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]));
    let heights = |list: &Value| -> Vec<f64> {
        list["slices"].as_array().unwrap().iter().map(|slice| slice["z_mm"].as_f64().unwrap()).collect()
    };
    assert!(heights(&while_it_comes).is_sorted());
    store_all(&daemon, &slices[5..]);
    let details = daemon.verdict_on(SLICES);
    let list = listed(&daemon, SLICES);
    let mut expected: Vec<f64> = slices.iter().map(|slice| slice.position_mm().unwrap()).collect();
    expected.sort_by(f64::total_cmp);
    assert!(heights(&list).iter().zip(&expected).all(|(one, other)| (one - other).abs() < 1e-3));

    let slabs = details["slabs"].as_array().unwrap();
    let (mut inside, mut pixels) = (0.0, 0);
    for slice in list["slices"].as_array().unwrap() {
        let slab = slabs.iter().find(|slab| slab["index"] == slice["slab"]).expect("each slice is in a slab");
        let grid = &list["grids"][slice["grid"].as_u64().unwrap() as usize];
        assert_eq!(grid["judged"], true);
        let place: Vec<f64> = serde_json::from_value(grid["from_plane"].clone()).unwrap();
        let outlines: Vec<Vec<[f64; 2]>> = serde_json::from_value(slab["lung"].clone()).unwrap();
        let on_slice =
            |[x, y]: [f64; 2]| [place[0] * x + place[2] * y + place[4], place[1] * x + place[3] * y + place[5]];
        let outlines: Vec<Vec<[f64; 2]>> =
            outlines.into_iter().map(|outline| outline.into_iter().map(on_slice).collect()).collect();
        for (at, hu) in hounsfield(&daemon, slice).into_iter().enumerate() {
            if encloses(&outlines, [(at % 128) as f64 + 0.5, (at / 128) as f64 + 0.5]) {
                inside += f64::from(hu.clamp(-1000, 200));
                pixels += 1;
            }
        }
    }
    let mean = inside / f64::from(pixels);
    assert!(
        pixels > 5_000 && (-900.0..-600.0).contains(&mean),
        "{pixels} pixels of {mean} HU lie in outlines of lungs"
    );
}

/// Whether a place lies within outlines: a ray from it crosses them an odd number of times.
fn encloses(outlines: &[Vec<[f64; 2]>], [x, y]: [f64; 2]) -> bool {
    let crosses =
        |[[x0, y0], [x1, y1]]: [[f64; 2]; 2]| (y0 > y) != (y1 > y) && x < x0 + (y - y0) / (y1 - y0) * (x1 - x0);
    let sides = outlines.iter().flat_map(|outline| outline.iter().zip(outline.iter().cycle().skip(1)));
    sides.filter(|(from, to)| crosses([**from, **to])).count() % 2 == 1
}

#[test]
fn who_takes_gzip_gets_half_the_bytes_and_who_has_a_slice_gets_none() {
    let daemon = Daemon::start();
    store_all(&daemon, &phantom(PhantomKind::Normal, 3));
    let list = listed(&daemon, 3);
    let address = address_of(&list["slices"][1]);
    let plain = daemon.get(&address);
    assert!(!plain.headers.contains("content-encoding") && plain.headers.contains("vary: accept-encoding"));
    let packed = get_with(daemon.console(), &address, "Accept-Encoding: gzip, br\r\n");
    assert!(packed.headers.contains("content-encoding: gzip"), "{}", packed.headers);
    assert!(packed.body.len() < plain.body.len() * 3 / 4, "{} of {} bytes", packed.body.len(), plain.body.len());
    let mut unpacked = Vec::new();
    GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
    assert!(unpacked == plain.body);
    let edition = plain.headers.lines().find_map(|line| line.strip_prefix("etag: ")).expect("an edition");
    let known = get_unless(daemon.console(), &address, edition);
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert!(known.headers.contains("cache-control: private, no-cache\n"), "{}", known.headers);
}

#[test]
fn a_slice_that_is_corrected_is_another_one_and_what_is_not_there_says_so() {
    let slices = phantom(PhantomKind::Normal, SLICES);
    let daemon = Daemon::start();
    store_all(&daemon, &slices);
    let before = listed(&daemon, SLICES);
    let details = daemon.verdict_on(SLICES);
    let corrected: Vec<Instance> = slices
        .iter()
        .map(|slice| changed(slice, |object| set_text(object, tags::RESCALE_INTERCEPT, "-1000")))
        .collect();
    store_all(&daemon, &corrected);
    let expected = hounsfield_of(folder_of(&corrected).path());
    wait_for("the corrected slices", || (list(&daemon) != before && listed(&daemon, SLICES) != before).then_some(()));
    wait_for("the last of them", || {
        let list = listed(&daemon, SLICES);
        let shown = |slice: &Value| hounsfield(&daemon, slice) == expected[slice["sop_instance_uid"].as_str().unwrap()];
        list["slices"].as_array().unwrap().iter().all(shown).then_some(())
    });

    let key = details["exam"]["key"].as_str().unwrap();
    let said = |answer: Response, status: u16, words: &str| {
        let told = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(answer.status == status && told.contains(words), "{}: {told}", answer.status);
    };
    said(daemon.get("/api/v1/exams/0123456789abcdef/slices"), 404, "no such exam");
    said(daemon.get("/api/v1/exams/..%2f..%2fetc/slices/passwd"), 404, "no such exam");
    said(daemon.get(&format!("/api/v1/exams/{key}/slices/0123456789abcdef")), 404, "no such slice");
    said(daemon.get(&format!("/api/v1/exams/{key}/slices/..%2f..%2fpasswd")), 404, "no such slice");
    let last = address_of(&listed(&daemon, SLICES)["slices"][0]);
    wait_for("the second verdict", || (daemon.exams()[0]["state"] == "complete").then_some(()));
    std::fs::remove_dir_all(daemon.state().join("spool/exams").join(key)).unwrap();
    said(daemon.get(&format!("/api/v1/exams/{key}/slices")), 410, "not here any more");
    said(daemon.get(&last), 410, "not here any more");
}
