//! What the report references, by study and series (Hierarchical SOP Instance Reference macro, PS3.3 table C.17-3).

use std::collections::BTreeMap;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::super::elements::{Put, sop_reference};
use super::super::segmentation::DrawnSegmentation;
use super::super::{Exam, SopReference};

/// SOP Class UIDs by SOP Instance UID, for each series.
type References<'a> = BTreeMap<&'a str, BTreeMap<&'a str, &'a str>>;

/// All instances of the study that the content tree references; `None` where there are none.
pub(super) fn evidence(exam: &Exam<'_>, segmentations: &[DrawnSegmentation]) -> Option<InMemDicomObject> {
    let mut references = References::new();
    for image in &exam.basis.images {
        let series = references.entry(&image.series_instance_uid).or_default();
        series.insert(&image.sop_instance_uid, &image.sop_class_uid);
    }
    for segmentation in segmentations {
        add(&mut references, &segmentation.object.reference);
    }
    (!references.is_empty()).then(|| of_study(&exam.source_header.study_instance_uid, &references))
}

/// One object of the study.
pub(super) fn reference(study_instance_uid: &str, object: &SopReference) -> InMemDicomObject {
    let mut references = References::new();
    add(&mut references, object);
    of_study(study_instance_uid, &references)
}

fn add<'a>(references: &mut References<'a>, object: &'a SopReference) {
    let series = references.entry(&object.series_instance_uid).or_default();
    series.insert(&object.sop_instance_uid, &object.sop_class_uid);
}

fn of_study(study_instance_uid: &str, references: &References<'_>) -> InMemDicomObject {
    let series = references.iter().map(|(series_instance_uid, instances)| {
        let instances = instances.iter().map(|(instance, class)| sop_reference(class, instance)).collect();
        let mut item = InMemDicomObject::new_empty();
        item.text(tags::SERIES_INSTANCE_UID, VR::UI, series_instance_uid)
            .items(tags::REFERENCED_SOP_SEQUENCE, instances);
        item
    });
    let mut item = InMemDicomObject::new_empty();
    item.items(tags::REFERENCED_SERIES_SEQUENCE, series.collect()).text(
        tags::STUDY_INSTANCE_UID,
        VR::UI,
        study_instance_uid,
    );
    item
}
