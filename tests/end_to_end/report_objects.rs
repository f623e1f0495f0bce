//! `tableside report`: DICOM objects of a report, checked by other people's programs (`dciodvfy` of dicom3tools, `dsrdump` of dcmtk).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{DefaultDicomObject, InMemDicomObject, open_file};
use serde_json::Value;
use tableside::dicom::UidSource;
use tableside::scanner::{Instance, Order, Phantom, PhantomKind, PhantomOptions, enhanced, reorder};
use tempfile::TempDir;

use crate::daemon::{Daemon, TABLESIDE};
use crate::dicom::{changed, set_text};
use crate::peers::{files, run, scan, text, triage};
use crate::series::{folder_of, phantom, real_series};

const SLICES: usize = 100;

/// The phantom in pixels of 0.7 mm: in coarser ones than the model's, small lesions have other volumes.
fn fine_phantom() -> Vec<Instance> {
    let phantom = Phantom::new(PhantomKind::Pneumonia, PhantomOptions::coarse(SLICES, 512));
    let mut instances = phantom.instances(UidSource::fresh()).unwrap();
    instances.retain(|instance| !instance.scout);
    instances
}

/// The objects of the one exam in a folder.
struct Objects {
    files: Vec<PathBuf>,
    _folder: TempDir,
}

impl Objects {
    fn of(series: &Path) -> Self {
        Self::made(&["report", text(series)])
    }

    fn made(command: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("objects");
        let output = run(TABLESIDE, &[command, &["--out", text(&out)]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let exams = files(&out);
        assert_eq!(exams.len(), 1, "{exams:?}");
        Self { files: files(&exams[0]), _folder: folder }
    }

    fn read(&self, sop_class_uid: &str) -> Vec<DefaultDicomObject> {
        let all = self.files.iter().map(|file| open_file(file).unwrap());
        all.filter(|object| value(object, tags::SOP_CLASS_UID) == sop_class_uid).collect()
    }

    fn segmentation(&self) -> DefaultDicomObject {
        self.read(uids::SEGMENTATION_STORAGE).pop().expect("a segmentation")
    }
}

fn value(object: &InMemDicomObject, tag: Tag) -> String {
    let text = object.get(tag).map(|element| element.to_str().unwrap().into_owned());
    text.unwrap_or_default().trim_matches([' ', '\0']).to_owned()
}

fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.get(tag).and_then(|element| element.items()).unwrap_or_default()
}

fn item(object: &InMemDicomObject, tag: Tag) -> &InMemDicomObject {
    items(object, tag).first().unwrap_or_else(|| panic!("no item in {tag}"))
}

/// What `dciodvfy` finds wrong.
fn errors(file: &Path) -> Vec<String> {
    let output = run("dciodvfy", &["-new", text(file)]);
    let said = String::from_utf8_lossy(&output.stderr);
    said.lines().filter(|line| line.starts_with("Error")).map(str::to_owned).collect()
}

fn assert_conformant(objects: &Objects) {
    for file in &objects.files {
        assert_eq!(errors(file), [""; 0], "{}", file.display());
        if value(&open_file(file).unwrap(), tags::SOP_CLASS_UID) == uids::COMPREHENSIVE3_DSR_STORAGE {
            let output = run("dsrdump", &[text(file)]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

/// A segment's frames: where each lies, and how many pixels it has.
struct Frame {
    segment: String,
    source: (String, Option<u32>),
    position: Vec<f64>,
    pixels: usize,
}

/// All frames of a segmentation, read bit by bit (PS3.5 section 8.1.1).
fn frames(segmentation: &InMemDicomObject) -> Vec<Frame> {
    let number = |tag: Tag| segmentation.element(tag).unwrap().to_int::<usize>().unwrap();
    let size = number(tags::ROWS) * number(tags::COLUMNS);
    let bytes = segmentation.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
    let labels: BTreeMap<String, String> = items(segmentation, tags::SEGMENT_SEQUENCE)
        .iter()
        .map(|segment| (value(segment, tags::SEGMENT_NUMBER), value(segment, tags::SEGMENT_LABEL)))
        .collect();
    let groups = items(segmentation, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let read = |(at, group): (usize, &InMemDicomObject)| {
        let is_set = |bit: usize| bytes[bit / 8] >> (bit % 8) & 1 == 1;
        let source = item(item(group, tags::DERIVATION_IMAGE_SEQUENCE), tags::SOURCE_IMAGE_SEQUENCE);
        let frame = source.get(tags::REFERENCED_FRAME_NUMBER).map(|frame| frame.to_int::<u32>().unwrap());
        let position = item(group, tags::PLANE_POSITION_SEQUENCE).element(tags::IMAGE_POSITION_PATIENT).unwrap();
        let segment = item(group, tags::SEGMENT_IDENTIFICATION_SEQUENCE);
        Frame {
            segment: labels[&value(segment, tags::REFERENCED_SEGMENT_NUMBER)].clone(),
            source: (value(source, tags::REFERENCED_SOP_INSTANCE_UID), frame),
            position: position.to_multi_float64().unwrap(),
            pixels: (at * size..(at + 1) * size).filter(|bit| is_set(*bit)).count(),
        }
    };
    groups.iter().enumerate().map(read).collect()
}

/// The volume of each segment as any reader computes it, ml: pixels times their spacing times the slices' distance.
fn volumes_ml(segmentation: &InMemDicomObject) -> BTreeMap<String, f64> {
    let shared = item(segmentation, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let measures = item(shared, tags::PIXEL_MEASURES_SEQUENCE);
    let spacing = measures.element(tags::PIXEL_SPACING).unwrap().to_multi_float64().unwrap();
    let frames = frames(segmentation);
    let mut z_mm: Vec<f64> = frames.iter().map(|frame| frame.position[2]).collect();
    z_mm.sort_by(f64::total_cmp);
    z_mm.dedup();
    let distance_mm = (z_mm[z_mm.len() - 1] - z_mm[0]) / (z_mm.len() - 1) as f64;
    let mut volumes = BTreeMap::new();
    for frame in frames {
        *volumes.entry(frame.segment).or_default() +=
            frame.pixels as f64 * spacing[0] * spacing[1] * distance_mm / 1000.0;
    }
    volumes
}

/// Both lungs and the lesions together within 2 %, each lesion of a millilitre or more within 6 %: of a small one it matters how many
/// of the source's pixels are nearest to each of the model's.
fn assert_volumes(segmentation: &InMemDicomObject, report: &Value) {
    let volumes = volumes_ml(segmentation);
    let near = |what: &str, drawn: f64, measured: f64, share: f64| {
        assert!((drawn - measured).abs() <= share * measured, "{what}: {drawn} ml drawn, {measured} ml measured");
    };
    let all: f64 = volumes.iter().filter(|(name, _)| !name.ends_with("lung")).map(|(_, ml)| ml).sum();
    // A pixel has one segment: the lungs' are without their lesions.
    near("lungs", volumes.values().sum(), report["lung_ml"].as_f64().unwrap(), 0.02);
    near("lesions", all, report["lesion_summary"]["volume_ml"].as_f64().unwrap(), 0.02);
    for (place, lesion) in report["lesions"].as_array().unwrap().iter().enumerate().take(20) {
        let measured = lesion["volume_ml"].as_f64().unwrap();
        if measured >= 1.0 {
            near("a lesion", volumes[&format!("Lesion {}", place + 1)], measured, 0.06);
        }
    }
}

/// What a segmentation says but for the moment of the verdict and the UIDs that name it.
fn content(mut segmentation: DefaultDicomObject) -> Vec<u8> {
    const NAMES_AND_MOMENTS: [Tag; 11] = [
        tags::SOP_INSTANCE_UID,
        tags::SERIES_INSTANCE_UID,
        tags::INSTANCE_CREATION_DATE,
        tags::INSTANCE_CREATION_TIME,
        tags::SERIES_DATE,
        tags::SERIES_TIME,
        tags::CONTENT_DATE,
        tags::CONTENT_TIME,
        tags::DIMENSION_ORGANIZATION_SEQUENCE,
        tags::DIMENSION_INDEX_SEQUENCE,
        tags::SEGMENT_SEQUENCE,
    ];
    for tag in NAMES_AND_MOMENTS {
        segmentation.remove_element(tag);
    }
    let mut bytes = Vec::new();
    let syntax = dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN.erased();
    segmentation.write_dataset_with_ts(&mut bytes, &syntax).unwrap();
    bytes
}

#[test]
fn the_objects_of_a_phantom_are_conformant_and_measure_what_the_report_says() {
    let folder = folder_of(&fine_phantom());
    let report = triage(folder.path());
    let objects = Objects::of(folder.path());
    assert_conformant(&objects);
    assert_volumes(&objects.segmentation(), &report);
    assert!(objects.read(uids::SECONDARY_CAPTURE_IMAGE_STORAGE).len() > 1);
    assert_eq!(objects.read(uids::COMPREHENSIVE3_DSR_STORAGE).len(), 1);
}

#[test]
fn the_objects_of_a_real_patient_are_conformant_and_measure_what_the_report_says() {
    let Some(series) = real_series("covid-p001") else { return };
    let objects = Objects::of(&series);
    assert_conformant(&objects);
    assert_volumes(&objects.segmentation(), &triage(&series));
}

#[test]
fn the_order_of_the_files_and_their_instance_numbers_leave_a_segmentation_as_it_is() {
    let slices = phantom(PhantomKind::Pneumonia, SLICES);
    let expected = content(Objects::of(folder_of(&slices).path()).segmentation());
    let (mut shuffled, mut reversed) = (slices.clone(), slices.clone());
    reorder(&mut shuffled, Order::Random, 5);
    reorder(&mut reversed, Order::Reversed, 0);
    let renumber = |(number, slice): (usize, &Instance)| {
        changed(slice, |object| set_text(object, tags::INSTANCE_NUMBER, &(SLICES - number).to_string()))
    };
    let renumbered: Vec<Instance> = slices.iter().enumerate().map(renumber).collect();
    for (way, slices) in [("shuffled", shuffled), ("descending", reversed), ("numbers reversed", renumbered)] {
        assert!(content(Objects::of(folder_of(&slices).path()).segmentation()) == expected, "{way}");
    }
}

#[test]
fn lesions_have_frames_on_the_slices_where_they_lie_and_on_no_others() {
    let folder = folder_of(&phantom(PhantomKind::Pneumonia, SLICES));
    let report = triage(folder.path());
    let drawn = frames(&Objects::of(folder.path()).segmentation());
    for (place, lesion) in report["lesions"].as_array().unwrap().iter().enumerate().take(20) {
        let reach_mm = lesion["z_mm"].as_array().unwrap().iter().map(|z| z.as_f64().unwrap()).collect::<Vec<f64>>();
        let name = format!("Lesion {}", place + 1);
        let mut frames = drawn.iter().filter(|frame| frame.segment == name).peekable();
        assert!(frames.peek().is_some(), "{name}");
        for frame in frames {
            let z_mm = frame.position[2];
            assert!(frame.pixels > 0 && z_mm > reach_mm[0] - 5.0 && z_mm < reach_mm[1] + 5.0, "{name} at {z_mm} mm");
        }
    }
}

#[test]
fn of_two_images_at_one_position_the_one_that_counted_is_referenced() {
    let mut slices = phantom(PhantomKind::Pneumonia, SLICES);
    let derived: Vec<Instance> = slices[40..50]
        .iter()
        .map(|slice| {
            changed(slice, |object| {
                set_text(object, tags::IMAGE_TYPE, "DERIVED\\PRIMARY\\AXIAL");
                set_text(object, tags::SOP_INSTANCE_UID, &UidSource::fresh().next_uid());
            })
        })
        .collect();
    slices.extend(derived.iter().cloned());
    let segmentation = Objects::of(folder_of(&slices).path()).segmentation();
    let referenced: Vec<String> = frames(&segmentation).into_iter().map(|frame| frame.source.0).collect();
    assert!(derived.iter().all(|slice| !referenced.contains(&slice.sop_instance_uid)));
    assert!(slices[40..50].iter().any(|slice| referenced.contains(&slice.sop_instance_uid)));
}

#[test]
fn a_series_without_name_birth_date_and_study_id_has_conformant_objects() {
    let nameless: Vec<Instance> = phantom(PhantomKind::Pneumonia, SLICES)
        .iter()
        .map(|slice| {
            changed(slice, |object| {
                for tag in [tags::PATIENT_NAME, tags::PATIENT_BIRTH_DATE, tags::STUDY_ID] {
                    object.remove_element(tag);
                }
            })
        })
        .collect();
    let objects = Objects::of(folder_of(&nameless).path());
    assert_conformant(&objects);
    assert_eq!(value(&objects.segmentation(), tags::PATIENT_NAME), "");
}

#[test]
fn a_name_in_gb18030_keeps_its_bytes_and_its_character_set() {
    const NAME: &[u8] = b"Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB ";
    let named: Vec<Instance> = phantom(PhantomKind::Pneumonia, SLICES)
        .iter()
        .map(|slice| {
            changed(slice, |object| {
                set_text(object, tags::SPECIFIC_CHARACTER_SET, "GB18030");
                let name = dicom_core::PrimitiveValue::U8(NAME.into());
                object.put(dicom_core::DataElement::new(tags::PATIENT_NAME, VR::PN, name));
                let element =
                    |tag, vr, text: &str| dicom_core::DataElement::new(tag, vr, dicom_core::PrimitiveValue::from(text));
                object.put(element(tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, "+0800"));
                object.put(element(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01"));
                object.put(element(tags::LOSSY_IMAGE_COMPRESSION_RATIO, VR::DS, "9"));
                object.put(element(tags::LOSSY_IMAGE_COMPRESSION_METHOD, VR::CS, "ISO_15444_1"));
            })
        })
        .collect();
    let objects = Objects::of(folder_of(&named).path());
    assert_conformant(&objects);
    for file in &objects.files {
        let bytes = std::fs::read(file).unwrap();
        assert!(bytes.windows(NAME.len()).any(|window| window == NAME), "{}", file.display());
        let object = open_file(file).unwrap();
        assert_eq!(value(&object, tags::SPECIFIC_CHARACTER_SET), "GB18030");
        assert_eq!(value(&object, tags::TIMEZONE_OFFSET_FROM_UTC), "+0800");
        if value(&object, tags::MODALITY) != "SR" {
            assert_eq!(value(&object, tags::LOSSY_IMAGE_COMPRESSION_METHOD), "ISO_15444_1");
        }
    }
}

#[test]
fn frames_of_a_multi_frame_ct_are_referenced_by_their_numbers() {
    let slices = phantom(PhantomKind::Pneumonia, SLICES);
    let single = volumes_ml(&Objects::of(folder_of(&slices).path()).segmentation());
    let packed = enhanced(&slices, 1, &mut UidSource::fresh()).unwrap();
    let objects = Objects::of(folder_of(&packed).path());
    assert_conformant(&objects);
    let segmentation = objects.segmentation();
    assert_eq!(volumes_ml(&segmentation), single);
    let frames = frames(&segmentation);
    assert!(frames.iter().all(|frame| frame.source.0 == packed[0].sop_instance_uid && frame.source.1.is_some()));
}

#[test]
fn an_exam_that_is_not_analysed_has_a_summary_page_and_a_structured_report() {
    let folder = folder_of(&phantom(PhantomKind::Pneumonia, 6));
    let objects = Objects::of(folder.path());
    assert_conformant(&objects);
    assert!(!objects.read(uids::SECONDARY_CAPTURE_IMAGE_STORAGE).is_empty());
    assert_eq!(objects.read(uids::COMPREHENSIVE3_DSR_STORAGE).len(), 1);
}

#[test]
fn the_daemon_s_exam_gives_the_same_bytes_each_time_after_a_restart() {
    let folder = folder_of(&fine_phantom());
    let daemon = Daemon::start();
    scan(&daemon, folder.path(), &["--rate", "0"]);
    let details = daemon.verdict_on(SLICES);
    let key = details["exam"]["key"].as_str().unwrap().to_owned();
    let daemon = daemon.kill_and_start_again();
    assert_eq!(daemon.verdict_on(SLICES)["report"], details["report"]);
    let config = daemon.state().join("report.toml");
    std::fs::write(&config, crate::daemon::config(daemon.state().parent().unwrap(), "")).unwrap();
    let made = || Objects::made(&["report", &key, "--config", text(&config)]);
    let (first, again) = (made(), made());
    assert_conformant(&first);
    assert_eq!(first.files.len(), again.files.len());
    for (one, other) in first.files.iter().zip(&again.files) {
        assert!(std::fs::read(one).unwrap() == std::fs::read(other).unwrap(), "{}", one.display());
    }
    assert_volumes(&first.segmentation(), &details["report"]);
}
