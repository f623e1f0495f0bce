use std::collections::BTreeSet;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids as sop};
use dicom_object::{FileDicomObject, InMemDicomObject};
use jiff::tz::Offset;

use super::super::codes::Code;
use super::super::elements::Put;
use super::super::segmentation::{DrawnSegment, DrawnSegmentation, Shows};
use super::super::{Exam, ObjectKind, ReportBasis, ReportObject, ReportOptions, SopReference, SourceHeader};
use super::concepts;
use crate::dicom::ImageFile;
use crate::exam::{PlaneCentre, QualityIssue, QualityKind, SlabIndex, SliceGeometry, SourceImage};
use crate::triage::{
    CaseReport, Lesion, LesionSummary, LungSummary, Side, Verdict, Zone, ZoneInvolvement, ZoneScore, example_report,
};

type Read = FileDicomObject<InMemDicomObject>;

/// Zhang San in GB18030, with a character of four bytes.
const NAME: [u8; 12] = [0xD5, 0xC5, b'^', 0xC8, 0xFD, b' ', 0x81, 0x39, 0xEE, 0x39, b'^', b'A'];

fn patient() -> SourceHeader {
    let mut header = InMemDicomObject::new_empty();
    header
        .text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "GB18030")
        .text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3")
        .text(tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3.9")
        .text(tags::PATIENT_ID, VR::LO, "PAT-4711");
    header.put(DataElement::new(tags::PATIENT_NAME, VR::PN, PrimitiveValue::U8(NAME.as_slice().into())));
    SourceHeader::of(&header).unwrap()
}

fn slice(series: &str, number: u32) -> SourceImage {
    let z_mm = f64::from(number) * 5.0;
    let supine = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    let geometry = SliceGeometry::new(512, 512, [-180.0, -180.0, z_mm], supine, [0.7, 0.8]).unwrap();
    SourceImage {
        sop_class_uid: sop::CT_IMAGE_STORAGE.to_owned(),
        sop_instance_uid: format!("{series}.{number}"),
        series_instance_uid: series.to_owned(),
        frame_number: None,
        centre: PlaneCentre::of_image(geometry.centre),
        geometry,
        thickness_mm: Some(5.0),
        slab: SlabIndex::of(z_mm, 5.0),
        file: ImageFile { path: "slice.dcm".into(), frame: 0 },
    }
}

fn basis(images: Vec<SourceImage>) -> ReportBasis {
    let concluded = "2026-11-29T12:34:56.789Z".parse().unwrap();
    ReportBasis { concluded, images, segmentation: None, described_by: None }
}

/// The larger the smaller its place is.
fn lesion(place: usize) -> Lesion {
    let (side, zone) =
        if place.is_multiple_of(2) { (Side::Right, Zone::RightLower) } else { (Side::Left, Zone::LeftUpper) };
    Lesion {
        volume_ml: 100.0 / (place + 1) as f64,
        mean_hu: -512.37,
        p90_hu: -201.0,
        side,
        zone,
        largest_extent_mm: 31.25,
        centre_mm: [0.0; 3],
        z_mm: [0.0, 50.0],
        key_slab: SlabIndex::of(20.0, 5.0),
        ground_glass_share: 0.7,
        consolidation_share: 0.21,
        peripheral_share: 0.5,
        basal_share: 0.5,
        apical_share: 0.0,
        on_diaphragm_share: 0.0,
        compactness: 0.4,
    }
}

fn suspected(lesions: usize) -> CaseReport {
    let lesions: Vec<Lesion> = (0..lesions).map(lesion).collect();
    let zones = Zone::ALL.map(|zone| ZoneInvolvement { zone, lung_ml: 600.0, lesion_ml: 30.0, share: 0.05, score: 1 });
    let volume_ml = lesions.iter().map(|lesion| lesion.volume_ml).sum();
    CaseReport {
        verdict: Verdict::Suspected,
        reason: "bilateral, peripheral, ground-glass: probability 0.97".to_owned(),
        score: Some(0.974_312),
        lesion_summary: LesionSummary {
            count: lesions.len(),
            volume_ml,
            lung_share: 0.0312,
            high_opacity_share: 0.004,
        },
        zone_score: Some(ZoneScore { total: 6, zones }),
        quality: vec![QualityIssue::of_series(QualityKind::ApexCutOff { lung_cm2: 45.0 })],
        lesions,
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
        lungs: LungSummary::default(),
        ..example_report()
    }
}

fn drawn(series: &str, instance: &str, shows: &[Shows]) -> DrawnSegmentation {
    let segments = shows.iter().zip(1..).map(|(shows, number)| DrawnSegment {
        number,
        shows: *shows,
        tracking_id: format!("{shows:?}"),
        tracking_uid: format!("2.25.{}", shows_number(*shows)),
    });
    let reference = SopReference {
        sop_class_uid: sop::SEGMENTATION_STORAGE.to_owned(),
        sop_instance_uid: instance.to_owned(),
        series_instance_uid: "1.2.3.6".to_owned(),
    };
    DrawnSegmentation {
        object: ReportObject { kind: ObjectKind::Segmentation, reference, file: Vec::new() },
        source_series_uid: series.to_owned(),
        segments: segments.collect(),
    }
}

fn shows_number(shows: Shows) -> usize {
    match shows {
        Shows::Lung(side) => side as usize + 1,
        Shows::Lesion(place) => 100 + place,
        Shows::OtherLesions => 99,
    }
}

/// Lungs, the first lesions, the others.
fn segments(lesions: usize, others: bool) -> Vec<Shows> {
    let lungs = [Shows::Lung(Side::Right), Shows::Lung(Side::Left)];
    let others = others.then_some(Shows::OtherLesions);
    lungs.into_iter().chain((0..lesions).map(Shows::Lesion)).chain(others).collect()
}

fn file(
    report: &CaseReport,
    images: Vec<SourceImage>,
    segmentations: &[DrawnSegmentation],
    replaces: Option<&SopReference>,
) -> Vec<u8> {
    let (basis, source_header) = (basis(images), patient());
    let exam = Exam { report, basis: &basis, source_header: &source_header, site_offset: Offset::UTC, replaces };
    super::object(&exam, segmentations, &ReportOptions::default()).unwrap().file
}

fn read(file: &[u8]) -> Read {
    dicom_object::from_reader(file).unwrap()
}

fn items(object: &InMemDicomObject, tag: dicom_core::Tag) -> &[InMemDicomObject] {
    object.get(tag).and_then(|element| element.items()).unwrap_or_default()
}

fn text(object: &InMemDicomObject, tag: dicom_core::Tag) -> String {
    object.get(tag).map(|element| element.to_str().unwrap().trim_matches(['\0', ' ']).to_owned()).unwrap_or_default()
}

fn is_coded(object: &InMemDicomObject, tag: dicom_core::Tag, code: &Code) -> bool {
    let matches = |item: &InMemDicomObject| {
        text(item, tags::CODE_VALUE) == code.value && text(item, tags::CODING_SCHEME_DESIGNATOR) == code.scheme
    };
    items(object, tag).iter().any(matches)
}

/// The items of this name below an item.
fn named<'a>(item: &'a InMemDicomObject, name: &Code) -> Vec<&'a InMemDicomObject> {
    let content = items(item, tags::CONTENT_SEQUENCE).iter();
    content.filter(|item| is_coded(item, tags::CONCEPT_NAME_CODE_SEQUENCE, name)).collect()
}

fn one<'a>(item: &'a InMemDicomObject, name: &Code) -> &'a InMemDicomObject {
    let [found] = named(item, name)[..] else {
        panic!("{} stands there {} times", name.meaning, named(item, name).len())
    };
    found
}

fn number(item: &InMemDicomObject) -> f64 {
    text(&items(item, tags::MEASURED_VALUE_SEQUENCE)[0], tags::NUMERIC_VALUE).parse().unwrap()
}

fn groups(report: &InMemDicomObject) -> Vec<&InMemDicomObject> {
    named(one(report, &concepts::IMAGING_MEASUREMENTS), &concepts::MEASUREMENT_GROUP)
}

fn template(item: &InMemDicomObject) -> String {
    items(item, tags::CONTENT_TEMPLATE_SEQUENCE)
        .first()
        .map(|by| text(by, tags::TEMPLATE_IDENTIFIER))
        .unwrap_or_default()
}

/// Every data set below one, itself included.
fn all<'a>(object: &'a InMemDicomObject, into: &mut Vec<&'a InMemDicomObject>) {
    into.push(object);
    for element in object {
        for item in element.items().unwrap_or_default() {
            all(item, into);
        }
    }
}

#[test]
fn every_lesion_has_a_group_that_references_its_segment_and_measures_it() {
    let report = suspected(25);
    let segmentation = drawn("1.2.3.4", "1.2.3.6.1", &segments(20, true));
    let read = read(&file(&report, vec![slice("1.2.3.4", 0), slice("1.2.3.4", 1)], &[segmentation], None));
    let groups = groups(&read);
    assert_eq!(groups.len(), 20 + 1 + 1);
    for (place, (group, lesion)) in groups.iter().zip(&report.lesions).take(20).enumerate() {
        assert_eq!(template(group), "1411");
        assert_eq!(text(one(group, &concepts::TRACKING_UNIQUE_IDENTIFIER), tags::UID), format!("2.25.{}", 100 + place));
        assert_eq!(text(one(group, &concepts::SOURCE_SERIES_FOR_SEGMENTATION), tags::UID), "1.2.3.4");
        let reference = &items(one(group, &concepts::REFERENCED_SEGMENT), tags::REFERENCED_SOP_SEQUENCE)[0];
        assert_eq!(text(reference, tags::REFERENCED_SOP_INSTANCE_UID), "1.2.3.6.1");
        assert_eq!(reference.get(tags::REFERENCED_SEGMENT_NUMBER).unwrap().to_int::<usize>().unwrap(), place + 3);
        let site = one(group, &concepts::FINDING_SITE);
        assert!(is_coded(one(site, &concepts::LATERALITY), tags::CONCEPT_CODE_SEQUENCE, &concepts::side(lesion.side)));
        let third = one(site, &concepts::TOPOGRAPHICAL_MODIFIER);
        assert!(is_coded(third, tags::CONCEPT_CODE_SEQUENCE, &concepts::third(lesion.zone)));
        assert!((number(one(group, &concepts::VOLUME)) - lesion.volume_ml).abs() <= 0.0005);
        let densities = named(group, &concepts::ATTENUATION_COEFFICIENT);
        assert_eq!(densities.iter().map(|item| number(item)).collect::<Vec<_>>(), [-512.4, -201.0]);
        assert!(is_coded(one(densities[0], &concepts::DERIVATION), tags::CONCEPT_CODE_SEQUENCE, &concepts::MEAN));
        assert_eq!(number(one(group, &concepts::DIAMETER)), 31.3);
        let ground_glass = one(group, &concepts::GROUND_GLASS_SHARE);
        assert_eq!(number(ground_glass), 70.0);
        assert_eq!(number(one(ground_glass, &concepts::THRESHOLD_ATTENUATION_COEFFICIENT)), -750.0);
        assert_eq!(number(one(ground_glass, &concepts::UPPER_THRESHOLD)), -300.0);
        assert_eq!(number(one(group, &concepts::CONSOLIDATION_SHARE)), 21.0);
    }
    let others: f64 = report.lesions[20..].iter().map(|lesion| lesion.volume_ml).sum();
    assert_eq!(text(one(groups[20], &concepts::TRACKING_UNIQUE_IDENTIFIER), tags::UID), "2.25.99");
    assert!((number(one(groups[20], &concepts::VOLUME)) - others).abs() <= 0.0005);
    assert_eq!(number(one(groups[20], &concepts::LESION_COUNT)), 5.0);
}

#[test]
fn the_exam_as_a_whole_is_measured_and_judged() {
    let read = read(&file(&suspected(3), vec![slice("1.2.3.4", 0)], &[], None));
    let exam = *groups(&read).last().unwrap();
    assert_eq!(template(exam), "1501");
    assert_eq!(number(one(exam, &concepts::PROBABILITY)), 0.9743);
    assert_eq!(number(one(exam, &concepts::SUSPECTED_FROM)), 0.5);
    assert_eq!(named(exam, &concepts::VOLUME).iter().map(|item| number(item)).collect::<Vec<_>>(), [2200.0, 1800.0]);
    assert_eq!(number(one(exam, &concepts::LESION_SHARE)), 3.12);
    let high_opacity = one(exam, &concepts::HIGH_OPACITY_SHARE);
    assert_eq!(number(one(high_opacity, &concepts::THRESHOLD_ATTENUATION_COEFFICIENT)), -200.0);
    assert_eq!(number(one(exam, &concepts::ZONE_SCORE_TOTAL)), 6.0);
    assert_eq!(named(exam, &concepts::ZONE_SCORE).len(), 6);
    assert!(is_coded(
        one(exam, &concepts::VERDICT),
        tags::CONCEPT_CODE_SEQUENCE,
        &concepts::verdict(Verdict::Suspected)
    ));
    assert_eq!(text(one(exam, &concepts::REASON), tags::TEXT_VALUE), suspected(0).reason);
    let quality = text(one(exam, &concepts::QUALITY_FINDING), tags::TEXT_VALUE);
    assert_eq!(quality, "the lung apex is cut off: 45 cm2 of lung on the uppermost slice");
    assert_eq!(text(&read, tags::COMPLETION_FLAG), "COMPLETE");
    assert_eq!(text(&read, tags::PRELIMINARY_FLAG), "PRELIMINARY");
    assert_eq!(text(&read, tags::VERIFICATION_FLAG), "UNVERIFIED");
    assert!(is_coded(one(&read, &concepts::OBSERVER_TYPE), tags::CONCEPT_CODE_SEQUENCE, &concepts::DEVICE));
}

#[test]
fn lesions_that_no_segment_shows_are_measured_all_the_same() {
    let report = suspected(23);
    for segmentations in [vec![], vec![drawn("1.2.3.4", "1.2.3.6.1", &segments(0, false))]] {
        let read = read(&file(&report, vec![slice("1.2.3.4", 0)], &segmentations, None));
        let groups = groups(&read);
        assert_eq!(groups.len(), 23 + 1);
        assert!(groups.iter().all(|group| template(group) == "1501"));
        let volumes = groups.iter().take(23).map(|group| number(one(group, &concepts::VOLUME)));
        assert!(volumes.zip(&report.lesions).all(|(ml, lesion)| (ml - lesion.volume_ml).abs() <= 0.0005));
    }
}

#[test]
fn a_lesion_in_two_segmentations_has_one_group_that_names_both_of_its_segments() {
    let segmentations = [
        drawn("1.2.3.4", "1.2.3.6.1", &segments(2, false)),
        drawn("1.2.3.5", "1.2.3.6.2", &[Shows::Lung(Side::Right), Shows::Lesion(1)]),
    ];
    let read = read(&file(&suspected(2), vec![slice("1.2.3.4", 0), slice("1.2.3.5", 1)], &segmentations, None));
    let groups = groups(&read);
    assert_eq!(groups.len(), 2 + 1);
    assert!(named(groups[0], &concepts::ILLUSTRATION_OF_ROI).is_empty());
    one(groups[1], &concepts::REFERENCED_SEGMENT);
    let part = &items(one(groups[1], &concepts::ILLUSTRATION_OF_ROI), tags::REFERENCED_SOP_SEQUENCE)[0];
    assert_eq!(text(part, tags::REFERENCED_SOP_INSTANCE_UID), "1.2.3.6.2");
    assert_eq!(text(part, tags::REFERENCED_SEGMENT_NUMBER), "2");
}

#[test]
fn an_exam_without_images_has_a_verdict_and_a_reason_and_no_figures() {
    let read = read(&file(&not_analysed(), Vec::new(), &[], None));
    assert!(
        named(&read, &concepts::IMAGE_LIBRARY).is_empty() && named(&read, &concepts::PROCEDURE_REPORTED).is_empty()
    );
    let [exam] = groups(&read)[..] else { panic!("one group") };
    assert!(is_coded(
        one(exam, &concepts::VERDICT),
        tags::CONCEPT_CODE_SEQUENCE,
        &concepts::verdict(Verdict::NotAnalysed)
    ));
    assert_eq!(text(one(exam, &concepts::REASON), tags::TEXT_VALUE), "no axial CT slices were received");
    let measured = [concepts::PROBABILITY, concepts::VOLUME, concepts::LESION_COUNT, concepts::LESION_SHARE];
    assert!(measured.iter().all(|name| named(exam, name).is_empty()));
    assert_eq!(text(&read, tags::COMPLETION_FLAG), "PARTIAL");
    assert!(read.get(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE).is_none());
}

#[test]
fn a_report_names_the_one_that_it_takes_the_place_of() {
    let replaced = SopReference {
        sop_class_uid: sop::COMPREHENSIVE3_DSR_STORAGE.to_owned(),
        sop_instance_uid: "2.25.7".to_owned(),
        series_instance_uid: "2.25.8".to_owned(),
    };
    let first = read(&file(&not_analysed(), Vec::new(), &[], None));
    let second = read(&file(&not_analysed(), Vec::new(), &[], Some(&replaced)));
    assert!(first.get(tags::PREDECESSOR_DOCUMENTS_SEQUENCE).is_none());
    let study = &items(&second, tags::PREDECESSOR_DOCUMENTS_SEQUENCE)[0];
    assert_eq!(text(study, tags::STUDY_INSTANCE_UID), "1.2.3");
    let series = &items(study, tags::REFERENCED_SERIES_SEQUENCE)[0];
    assert_eq!(text(series, tags::SERIES_INSTANCE_UID), "2.25.8");
    let instance = &items(series, tags::REFERENCED_SOP_SEQUENCE)[0];
    assert_eq!(text(instance, tags::REFERENCED_SOP_INSTANCE_UID), "2.25.7");
    assert_ne!(text(&first, tags::SOP_INSTANCE_UID), text(&second, tags::SOP_INSTANCE_UID));
    assert_ne!(text(&first, tags::SERIES_INSTANCE_UID), text(&second, tags::SERIES_INSTANCE_UID));
}

#[test]
fn an_instance_of_several_frames_is_referenced_once_with_its_frames() {
    let frame = |number: u32| SourceImage {
        sop_class_uid: sop::ENHANCED_CT_IMAGE_STORAGE.to_owned(),
        sop_instance_uid: "1.2.3.4.1".to_owned(),
        frame_number: Some(10 - number),
        ..slice("1.2.3.4", number)
    };
    let read = read(&file(&suspected(0), (0..3).map(frame).collect(), &[], None));
    let group = one(one(&read, &concepts::IMAGE_LIBRARY), &concepts::IMAGE_LIBRARY_GROUP);
    let reference = &items(one(group, &concepts::SOURCE), tags::REFERENCED_SOP_SEQUENCE)[0];
    let frames = reference.get(tags::REFERENCED_FRAME_NUMBER).unwrap().to_multi_int::<u32>().unwrap();
    assert_eq!(frames, [8, 9, 10]);
}

#[test]
fn all_that_the_tree_references_is_listed_by_series_and_nothing_else() {
    let images = vec![slice("1.2.3.4", 0), slice("1.2.3.5", 1), slice("1.2.3.4", 2)];
    let segmentations = [drawn("1.2.3.4", "1.2.3.6.1", &segments(1, false))];
    let read = read(&file(&suspected(1), images, &segmentations, None));
    let instances = |within: &[InMemDicomObject]| {
        let mut found = Vec::new();
        for item in within {
            all(item, &mut found);
        }
        let uids = found.iter().filter(|item| item.get(tags::REFERENCED_SOP_INSTANCE_UID).is_some());
        uids.map(|item| text(item, tags::REFERENCED_SOP_INSTANCE_UID)).collect::<Vec<_>>()
    };
    let evidence = items(&read, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE);
    let listed = instances(evidence);
    assert_eq!(listed, ["1.2.3.4.0", "1.2.3.4.2", "1.2.3.5.1", "1.2.3.6.1"]);
    let referenced: BTreeSet<String> = instances(items(&read, tags::CONTENT_SEQUENCE)).into_iter().collect();
    assert_eq!(referenced, listed.into_iter().collect());
    let series = items(&evidence[0], tags::REFERENCED_SERIES_SEQUENCE);
    let series: Vec<String> = series.iter().map(|item| text(item, tags::SERIES_INSTANCE_UID)).collect();
    assert_eq!(series, ["1.2.3.4", "1.2.3.5", "1.2.3.6"]);
}

#[test]
fn no_term_says_covid_19_and_all_terms_fit_and_the_private_ones_are_declared() {
    let segmentation = drawn("1.2.3.4", "1.2.3.6.1", &segments(1, true));
    let file = file(&suspected(2), vec![slice("1.2.3.4", 0)], &[segmentation], None);
    for word in ["covid", "coronavirus", "sars", "840539006", "840544004", "840533007", "u07.1"] {
        let found = file.to_ascii_lowercase().windows(word.len()).any(|bytes| bytes == word.as_bytes());
        assert!(!found, "{word}");
    }
    let read = read(&file);
    let mut data_sets = Vec::new();
    all(&read, &mut data_sets);
    let mut schemes = BTreeSet::new();
    for code in data_sets.iter().filter(|item| item.get(tags::CODE_VALUE).is_some()) {
        let [value, meaning] = [tags::CODE_VALUE, tags::CODE_MEANING].map(|tag| text(code, tag));
        assert!((1..=16).contains(&value.len()) && (1..=64).contains(&meaning.len()), "{value} {meaning}");
        schemes.insert(text(code, tags::CODING_SCHEME_DESIGNATOR));
    }
    let expected = ["99TABLESIDE", "DCM", "LN", "RFC5646", "SCT", "UCUM"];
    assert_eq!(schemes, expected.map(str::to_owned).into());
    let declared = &items(&read, tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE)[0];
    assert_eq!(text(declared, tags::CODING_SCHEME_DESIGNATOR), "99TABLESIDE");
}

#[test]
fn a_name_in_gb18030_stands_there_byte_by_byte_and_our_own_text_is_ascii() {
    let report = CaseReport { reason: "Lunge zu klein für 800 ml".to_owned(), ..suspected(1) };
    let file = file(&report, vec![slice("1.2.3.4", 0)], &[], None);
    let name = [b"\x10\x00\x10\x00PN\x0C\x00".as_slice(), &NAME].concat();
    let found = file.windows(name.len()).position(|bytes| bytes == name).unwrap();
    let others = [&file[..found], &file[found + name.len()..]].concat();
    let reason = b"Lunge zu klein f?r 800 ml";
    assert!(others.windows(reason.len()).any(|bytes| bytes == reason));
    assert_eq!(text(&read(&file), tags::SPECIFIC_CHARACTER_SET), "GB18030");
}
