use std::path::PathBuf;

use dicom_object::InMemDicomObject;
use jiff::tz::Offset;

use super::super::{ReportBasis, SopReference, SourceHeader};
use super::*;
use crate::dicom::ImageFile;
use crate::exam::{PlaneCentre, QualityIssue, QualityKind, SlabIndex, SliceGeometry};
use crate::triage::{
    CaseReport, EarlyFlag, Lesion, LesionSummary, Segmentation, Side, SliceCounts, Verdict, Zone, ZoneInvolvement,
    ZoneScore, example_report,
};

const BANNER: &str = "Research use only. Not for diagnosis.";

fn patient() -> SourceHeader {
    let mut header = InMemDicomObject::new_empty();
    header
        .text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2")
        .text(tags::PATIENT_NAME, VR::PN, "YAMADA^TAROU")
        .text(tags::PATIENT_ID, VR::LO, "PAT-4711")
        .text(tags::PATIENT_BIRTH_DATE, VR::DA, "19640229")
        .text(tags::ACCESSION_NUMBER, VR::SH, "ACC-0815");
    SourceHeader::of(&header).unwrap()
}

fn image(z_mm: f64, frame_number: Option<u32>) -> SourceImage {
    let supine = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    let geometry = SliceGeometry::new(512, 512, [-180.0, -180.0, z_mm], supine, [0.7, 0.7]).unwrap();
    SourceImage {
        sop_class_uid: sop::CT_IMAGE_STORAGE.to_owned(),
        sop_instance_uid: if frame_number.is_some() { "1.2.3.1".to_owned() } else { format!("1.2.3.{z_mm}") },
        series_instance_uid: "1.2.3".to_owned(),
        frame_number,
        centre: PlaneCentre::of_image(geometry.centre),
        geometry,
        thickness_mm: Some(5.0),
        slab: SlabIndex::of(z_mm, 5.0),
        file: ImageFile { path: PathBuf::from("slice.dcm"), frame: 0 },
    }
}

fn basis(slices: u32) -> ReportBasis {
    ReportBasis {
        concluded: "2026-11-29T12:34:56Z".parse().unwrap(),
        images: (0..slices).map(|slice| image(f64::from(slice * 5), None)).collect(),
        segmentation: Some(Segmentation { rows: 256, columns: 256, pixel_mm: 1.5, slabs: Vec::new() }),
        described_by: None,
    }
}

fn picture(image: usize, lesion: Option<usize>) -> KeyPicture {
    const SIDE: usize = 64;
    let rgb = (0..SIDE * SIDE).flat_map(|pixel| [(pixel % SIDE) as u8 * 3, (pixel / SIDE) as u8 * 3, 90]).collect();
    KeyPicture { image, lesion, rows: SIDE, columns: SIDE, rgb }
}

fn lesion(volume_ml: f64, zone: Zone) -> Lesion {
    Lesion {
        volume_ml,
        mean_hu: -512.4,
        p90_hu: -201.0,
        side: if matches!(zone, Zone::RightUpper | Zone::RightMiddle | Zone::RightLower) {
            Side::Right
        } else {
            Side::Left
        },
        zone,
        largest_extent_mm: 20.0 + volume_ml / 3.0,
        centre_mm: [0.0; 3],
        z_mm: [0.0, 50.0],
        key_slab: SlabIndex::of(20.0, 5.0),
        ground_glass_share: 0.7,
        consolidation_share: 0.2,
        peripheral_share: 0.8,
        basal_share: 0.5,
        apical_share: 0.1,
        on_diaphragm_share: 0.0,
        compactness: 0.4,
    }
}

fn zone_score(scores: [u8; 6]) -> ZoneScore {
    let zones = std::array::from_fn(|place| ZoneInvolvement {
        zone: Zone::ALL[place],
        lung_ml: 700.0,
        lesion_ml: 0.0,
        share: f64::from(scores[place]) * 0.24,
        score: scores[place],
    });
    ZoneScore { total: scores.iter().sum(), zones }
}

fn issue(kind: QualityKind) -> QualityIssue {
    QualityIssue::of_series(kind)
}

fn suspected() -> CaseReport {
    let lesions: Vec<Lesion> = [231.4, 120.9, 63.0, 40.2, 22.1, 9.6, 3.2, 0.4]
        .iter()
        .zip(Zone::ALL.iter().cycle())
        .map(|(volume, zone)| lesion(*volume, *zone))
        .collect();
    CaseReport {
        verdict: Verdict::Suspected,
        reason: "pneumonia-like opacities, bilateral, peripheral, basal, ground-glass: COVID-19 possible (probability \
                 0.97, 8 lesions, 491 ml, 11.3 % of the lungs)"
            .to_owned(),
        score: Some(0.973),
        lesion_summary: LesionSummary { count: 8, volume_ml: 490.8, lung_share: 0.113, high_opacity_share: 0.021 },
        zone_score: Some(zone_score([1, 0, 3, 1, 2, 4])),
        lung_ml: 4356.0,
        lesions,
        quality: vec![
            issue(QualityKind::ApexCutOff { lung_cm2: 44.6 }),
            issue(QualityKind::Gap { from_z_mm: -120.0, to_z_mm: -110.0 }),
            issue(QualityKind::BoneKernel { kernel: "B70f".to_owned() }),
            issue(QualityKind::Contrast { agent: "ULTRAVIST 370".to_owned() }),
            issue(QualityKind::UnusualPosture { posture: "on the front".to_owned() }),
            issue(QualityKind::DuplicatePosition),
            issue(QualityKind::AnatomyStep { times_usual: 2.4 }),
            issue(QualityKind::RefusedObjects { count: 3, reason: "the pixel data has no frame 1".to_owned() }),
        ],
        slices: SliceCounts {
            received: 312,
            instances: 312,
            analysed: 300,
            kept: 10,
            failed: 2,
            refused: 3,
            replaced: 1,
            expected: Some(320),
        },
        ..example_report()
    }
}

fn not_suspected() -> CaseReport {
    CaseReport {
        verdict: Verdict::NotSuspected,
        reason: "no pneumonia-like opacities found: probability 0.03".to_owned(),
        score: Some(0.031),
        zone_score: Some(zone_score([0; 6])),
        ..example_report()
    }
}

fn abnormal() -> CaseReport {
    CaseReport {
        verdict: Verdict::Abnormal,
        reason: "right lung largely dense or missing, 410 ml against 1987 ml of the other; a radiologist must look"
            .to_owned(),
        score: Some(0.214),
        lesions: vec![lesion(12.0, Zone::LeftLower)],
        lesion_summary: LesionSummary { count: 1, volume_ml: 12.0, lung_share: 0.005, high_opacity_share: 0.001 },
        zone_score: Some(zone_score([0, 0, 0, 0, 0, 1])),
        quality: vec![issue(QualityKind::BoneKernel { kernel: "B70f".to_owned() })],
        ..example_report()
    }
}

fn not_analysed() -> CaseReport {
    CaseReport {
        verdict: Verdict::NotAnalysed,
        reason: "no axial CT slices were received".to_owned(),
        series_instance_uid: None,
        score: None,
        lung_ml: 0.0,
        lungs: crate::triage::LungSummary::default(),
        slices: SliceCounts { received: 2, instances: 2, kept: 2, ..SliceCounts::default() },
        ..example_report()
    }
}

/// What stands on the summary page.
fn said(report: &CaseReport, replaces: Option<&SopReference>) -> Vec<String> {
    let (source_header, basis) = (patient(), basis(4));
    let exam = Exam { report, basis: &basis, source_header: &source_header, site_offset: Offset::UTC, replaces };
    page::summary(&exam).texts().into_iter().map(str::to_owned).collect()
}

fn every_verdict() -> [CaseReport; 4] {
    [suspected(), abnormal(), not_suspected(), not_analysed()]
}

/// The pages of an exam of four slices as objects.
fn made(report: &CaseReport, pictures: &[KeyPicture]) -> Vec<ReportObject> {
    let (source_header, basis) = (patient(), basis(4));
    let exam = Exam { report, basis: &basis, source_header: &source_header, site_offset: Offset::UTC, replaces: None };
    objects(&exam, pictures, &ReportOptions::default()).unwrap()
}

fn read(object: &ReportObject) -> InMemDicomObject {
    dicom_object::from_reader(std::io::Cursor::new(&object.file)).unwrap().into_inner()
}

fn string(object: &InMemDicomObject, tag: dicom_core::Tag) -> String {
    object.get(tag).unwrap().to_str().unwrap().trim_end().to_owned()
}

#[test]
fn every_verdict_has_a_page_with_its_word_and_the_banner() {
    let words = ["SUSPECTED", "ABNORMAL, NOT ASSESSED", "NOT SUSPECTED", "NOT ANALYSED"];
    for (report, word) in every_verdict().iter().zip(words) {
        let said = said(report, None);
        assert_eq!(said[0], BANNER);
        let verdicts: Vec<&String> = said.iter().filter(|line| words.contains(&line.as_str())).collect();
        assert_eq!(verdicts, [word]);
        let is_negative = said.iter().any(|line| line.contains("not a negative"));
        assert_eq!(is_negative, matches!(report.verdict, Verdict::Abnormal | Verdict::NotAnalysed), "{said:?}");
    }
}

#[test]
fn nothing_that_was_not_found_is_claimed_where_nothing_was_analysed() {
    let cut = CaseReport { score: Some(0.031), verdict: Verdict::NotAnalysed, ..not_suspected() };
    for report in [not_analysed(), cut.clone()] {
        let said = said(&report, None);
        assert!(!said.iter().any(|line| ["0", "0.0 %", "0.031"].contains(&line.as_str())), "{said:?}");
        assert!(!said.iter().any(|line| line.starts_with("Zone score")), "{said:?}");
    }
    assert!(said(&cut, None).iter().any(|line| line == "not assessed"));
    let found = CaseReport { verdict: Verdict::NotAnalysed, ..suspected() };
    assert!(said(&found, None).iter().any(|line| line == "0.973"), "what was found is shown");
}

#[test]
fn slices_that_were_lost_stand_beside_not_suspected() {
    let slices = SliceCounts { failed: 2, refused: 1, expected: Some(104), ..not_suspected().slices };
    let said = said(&CaseReport { slices, ..not_suspected() }, None).join(" ");
    assert!(
        said.contains("Check the scan: 2 slices could not be analysed, 1 object refused, 4 images missing."),
        "{said}"
    );
}

#[test]
fn an_early_suspicion_is_withdrawn_by_a_verdict_alone() {
    let flag = EarlyFlag { after_slices: 60, after_s: 9.0, score: 0.95, scan_share: None, driving_slabs: Vec::new() };
    let with_flag = |report: CaseReport| said(&CaseReport { early_flag: Some(flag.clone()), ..report }, None).join(" ");
    assert!(with_flag(not_suspected()).contains("suspected early, after 60 slices: that is withdrawn."));
    assert!(with_flag(not_analysed()).contains("suspected early, after 60 slices: neither confirmed nor withdrawn."));
    assert!(!with_flag(suspected()).contains("early"));
}

#[test]
fn a_revision_says_what_it_takes_the_place_of() {
    let replaced = SopReference {
        sop_class_uid: sop::COMPREHENSIVE3_DSR_STORAGE.to_owned(),
        sop_instance_uid: "2.25.4711".to_owned(),
        series_instance_uid: "2.25.1".to_owned(),
    };
    let revised = CaseReport { revised: true, ..suspected() };
    let said =
        [said(&revised, Some(&replaced)), said(&revised, None), said(&suspected(), None)].map(|said| said.join(" "));
    assert!(said[0].contains("Revised") && said[0].contains("2.25.4711"), "{}", said[0]);
    assert!(said[1].contains("Revised") && !said[2].contains("Revised"));
}

#[test]
fn no_identity_and_no_diagnosis_stand_on_any_page() {
    for report in every_verdict() {
        let (source_header, basis) = (patient(), basis(4));
        let exam = Exam {
            report: &report,
            basis: &basis,
            source_header: &source_header,
            site_offset: Offset::UTC,
            replaces: None,
        };
        let picture = picture(1, None);
        let pages = [page::summary(&exam), page::key_slice(&exam, &picture, [1, 1])];
        let said = pages.iter().flat_map(Page::texts).collect::<Vec<_>>().join(" ").to_uppercase();
        for secret in ["YAMADA", "TAROU", "4711", "1964", "0229", "0815"] {
            assert!(!said.contains(secret), "{secret}: {said}");
        }
        assert_eq!(said.contains("COVID"), report.reason.contains("COVID"), "{said}");
        assert!(said.matches("COVID").count() <= 1, "{said}");
    }
}

#[test]
fn what_there_is_no_room_for_is_counted() {
    let issues = vec![issue(QualityKind::ApexCutOff { lung_cm2: 44.6 }); 40];
    let lesions = suspected().lesions.iter().cycle().take(117).cloned().collect();
    let reason = "word ".repeat(900);
    let said = said(&CaseReport { quality: issues, lesions, reason, ..suspected() }, None);
    let number = |ends: &str| -> usize {
        let line = said.iter().find(|line| line.contains(ends)).unwrap();
        line.split(' ').find_map(|word| word.trim_start_matches('[').parse().ok()).unwrap()
    };
    let count = |word: &str| said.iter().flat_map(|line| line.split(' ')).filter(|said| *said == word).count();
    assert_eq!(number("issues more") + count("apex"), 40);
    assert_eq!(number(" words more]") + count("word") + count("Word"), 900);
    let listed = said.iter().filter(|line| line.ends_with(" HU") && line.contains(" ml ")).count();
    assert_eq!(number(" more, ") + listed, 117);
}

#[test]
fn text_lies_on_the_page_and_leaves_traces_there() {
    let (source_header, basis) = (patient(), basis(4));
    let report = suspected();
    let exam = Exam {
        report: &report,
        basis: &basis,
        source_header: &source_header,
        site_offset: Offset::UTC,
        replaces: None,
    };
    let picture = picture(1, Some(0));
    for page in [page::summary(&exam), page::key_slice(&exam, &picture, [1, 1])] {
        assert_eq!(page.texts_off_the_page(), Vec::<&str>::new());
        assert_eq!(page.texts_without_traces(), Vec::<&str>::new());
    }
}

#[test]
fn a_page_is_an_rgb_image_with_burned_in_text_of_the_study_of_its_slices() {
    let made = made(&suspected(), &[picture(2, Some(0))]);
    let [summary, key_slice] = [read(&made[0]), read(&made[1])];
    for (object, number, pixels) in [(&summary, "1", 1024 * 1024), (&key_slice, "2", 768 * 864)] {
        assert_eq!(string(object, tags::SOP_CLASS_UID), sop::SECONDARY_CAPTURE_IMAGE_STORAGE);
        assert_eq!(string(object, tags::STUDY_INSTANCE_UID), "1.2");
        assert_eq!(string(object, tags::PATIENT_ID), "PAT-4711");
        assert_eq!(string(object, tags::INSTANCE_NUMBER), number);
        assert_eq!(string(object, tags::BURNED_IN_ANNOTATION), "YES");
        assert!(object.get(tags::FRAME_OF_REFERENCE_UID).is_none());
        assert_eq!(object.get(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().len(), pixels * 3);
    }
    assert_eq!(string(&summary, tags::SERIES_INSTANCE_UID), string(&key_slice, tags::SERIES_INSTANCE_UID));
    assert_eq!(string(&key_slice, tags::PATIENT_ORIENTATION), "L\\P");
    let sources = |object: &InMemDicomObject| -> Vec<String> {
        let items = object.get(tags::SOURCE_IMAGE_SEQUENCE).unwrap().items().unwrap();
        items.iter().map(|item| string(item, tags::REFERENCED_SOP_INSTANCE_UID)).collect()
    };
    assert_eq!(sources(&summary), ["1.2.3.0", "1.2.3.10", "1.2.3.15", "1.2.3.5"]);
    assert_eq!(sources(&key_slice), ["1.2.3.10"]);
}

#[test]
fn frames_of_one_instance_are_one_source() {
    let images: Vec<SourceImage> = [3, 1, 2].map(|frame| image(f64::from(frame), Some(frame))).to_vec();
    let mut object = InMemDicomObject::new_empty();
    put_sources(&mut object, &images.iter().collect::<Vec<_>>());
    let items = object.get(tags::SOURCE_IMAGE_SEQUENCE).unwrap().items().unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!(string(&items[0], tags::REFERENCED_FRAME_NUMBER), "1\\2\\3");
}

#[test]
fn an_exam_without_images_has_a_page_that_references_none() {
    let (source_header, basis) = (patient(), basis(0));
    let report = not_analysed();
    let exam = Exam {
        report: &report,
        basis: &basis,
        source_header: &source_header,
        site_offset: Offset::UTC,
        replaces: None,
    };
    let made = objects(&exam, &[], &ReportOptions::default()).unwrap();
    assert_eq!(made.len(), 1);
    assert!(read(&made[0]).get(tags::SOURCE_IMAGE_SEQUENCE).is_none());
}

#[test]
fn ten_pictures_at_most_become_pages_each_under_a_uid_of_its_own() {
    let pictures: Vec<KeyPicture> = (0..12).map(|place| picture(place % 4, Some(place % 8))).collect();
    let made = made(&suspected(), &pictures);
    assert_eq!(made.len(), 11);
    let uids: std::collections::BTreeSet<&str> =
        made.iter().map(|object| object.reference.sop_instance_uid.as_str()).collect();
    assert_eq!(uids.len(), 11);
}

#[test]
fn the_same_report_gives_the_same_bytes_and_other_pixels_another_uid() {
    let first = made(&suspected(), &[picture(1, Some(0))]);
    assert_eq!(made(&suspected(), &[picture(1, Some(0))]), first);
    let mut other = picture(1, Some(0));
    other.rgb.fill(200);
    let second = made(&suspected(), &[other]);
    assert_eq!(second[0], first[0]);
    assert_ne!(second[1].reference.sop_instance_uid, first[1].reference.sop_instance_uid);
}

#[test]
fn a_picture_that_is_none_is_refused() {
    let (source_header, basis) = (patient(), basis(4));
    let report = suspected();
    let exam = Exam {
        report: &report,
        basis: &basis,
        source_header: &source_header,
        site_offset: Offset::UTC,
        replaces: None,
    };
    for picture in [KeyPicture { rows: 65, ..picture(1, None) }, picture(4, None)] {
        assert!(objects(&exam, &[picture], &ReportOptions::default()).is_err());
    }
}
