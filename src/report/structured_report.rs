//! Measurements and verdict as a Comprehensive 3D SR (PS3.3 section A.35.13) by template TID 1500 (PS3.16): preliminary, unverified,
//! observed by a device. No person stands in it.

mod concepts;
mod content_item;
mod evidence;
mod exam_group;
mod image_library;
mod lesion_groups;
mod measurements;
#[cfg(test)]
mod tests;

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids as sop};
use dicom_object::InMemDicomObject;

use self::content_item::ContentItem;
use self::evidence::{evidence, reference};
use self::exam_group::exam_group;
use self::image_library::image_library;
use self::lesion_groups::lesion_groups;
use super::elements::{MANUFACTURER, MODEL_NAME, Naming, Put, common, device_uid, finished};
use super::segmentation::DrawnSegmentation;
use super::uids::Uids;
use super::{Exam, ObjectKind, ReportError, ReportObject, ReportOptions};
use crate::triage::Verdict;

/// The report.
pub(super) fn object(
    exam: &Exam<'_>,
    segmentations: &[DrawnSegmentation],
    options: &ReportOptions,
) -> Result<ReportObject, ReportError> {
    let uids = Uids::new(exam, ObjectKind::StructuredReport, options);
    let naming = Naming {
        kind: ObjectKind::StructuredReport,
        sop_class_uid: sop::COMPREHENSIVE3_DSR_STORAGE,
        sop_instance_uid: uids.object(""),
        series_instance_uid: uids.series(),
        modality: "SR",
        series_number: options.series_numbers.structured_report,
        shows: "measurements",
        instance_number: 1,
    };
    let mut object = common(exam, &naming);
    put_document(&mut object, exam, segmentations);
    for element in content(exam, segmentations, &uids).into_object() {
        object.put(element);
    }
    finished(object, &naming)
}

/// The SR Document Series and SR Document General modules (PS3.3 C.17.1, C.17.2).
fn put_document(object: &mut InMemDicomObject, exam: &Exam<'_>, segmentations: &[DrawnSegmentation]) {
    let is_analysed = exam.report.verdict != Verdict::NotAnalysed;
    object
        .item(tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE, concepts::private_scheme())
        .items(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new())
        .items(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, Vec::new())
        .text(tags::PRELIMINARY_FLAG, VR::CS, "PRELIMINARY")
        .text(tags::COMPLETION_FLAG, VR::CS, if is_analysed { "COMPLETE" } else { "PARTIAL" })
        .text(tags::VERIFICATION_FLAG, VR::CS, "UNVERIFIED");
    if !is_analysed {
        object.text(tags::COMPLETION_FLAG_DESCRIPTION, VR::LO, "The exam was not analysed");
    }
    if let Some(evidence) = evidence(exam, segmentations) {
        object.item(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, evidence);
    }
    if let Some(replaced) = exam.replaces {
        let predecessor = reference(&exam.source_header.study_instance_uid, replaced);
        object.item(tags::PREDECESSOR_DOCUMENTS_SEQUENCE, predecessor);
    }
}

/// The content tree by TID 1500.
fn content(exam: &Exam<'_>, segmentations: &[DrawnSegmentation], uids: &Uids<'_>) -> ContentItem {
    let report = exam.report;
    let mut root = ContentItem::container_by_template(&concepts::IMAGING_MEASUREMENT_REPORT, "1500")
        .modified_by(ContentItem::code(&concepts::LANGUAGE, &concepts::ENGLISH));
    root = observed_by_device(root, exam);
    // Without a judged slice nobody knows that it was a chest.
    if let Some(library) = image_library(exam) {
        root =
            root.modified_by(ContentItem::code(&concepts::PROCEDURE_REPORTED, &concepts::CT_CHEST)).containing(library);
    }
    let measurements = by_algorithm(ContentItem::container(&concepts::IMAGING_MEASUREMENTS), exam)
        .containing_all(lesion_groups(&report.lesions, report.densities, segmentations, uids))
        .containing(exam_group(exam, uids));
    root.containing(measurements)
}

/// TID 1002 with TID 1004: the program with its model.
fn observed_by_device(root: ContentItem, exam: &Exam<'_>) -> ContentItem {
    let root = root
        .observed_in(ContentItem::code(&concepts::OBSERVER_TYPE, &concepts::DEVICE))
        .observed_in(ContentItem::uid(&concepts::DEVICE_OBSERVER_UID, &device_uid(exam)))
        .observed_in(ContentItem::text(&concepts::DEVICE_OBSERVER_NAME, MODEL_NAME))
        .observed_in(ContentItem::text(&concepts::DEVICE_OBSERVER_MANUFACTURER, MANUFACTURER))
        .observed_in(ContentItem::text(&concepts::DEVICE_OBSERVER_MODEL_NAME, MODEL_NAME));
    match exam.report.model.sha256.as_str() {
        "" => root,
        serial_number => root.observed_in(ContentItem::text(&concepts::DEVICE_OBSERVER_SERIAL_NUMBER, serial_number)),
    }
}

/// TID 4019: the model that all measurements were made with.
fn by_algorithm(measurements: ContentItem, exam: &Exam<'_>) -> ContentItem {
    let model = &exam.report.model;
    let parameters = [
        format!("model SHA-256 {}", model.sha256),
        format!("{MODEL_NAME} {}, engine {}", exam.report.tableside, exam.report.engine),
    ];
    let measurements = measurements
        .modified_by(ContentItem::text(&concepts::ALGORITHM_NAME, &model.name))
        .modified_by(ContentItem::text(&concepts::ALGORITHM_VERSION, &model.version))
        .modified_by(ContentItem::text(&concepts::ALGORITHM_MANUFACTURER, MANUFACTURER));
    parameters.iter().fold(measurements, |measurements, parameter| {
        measurements.modified_by(ContentItem::text(&concepts::ALGORITHM_PARAMETERS, parameter))
    })
}
