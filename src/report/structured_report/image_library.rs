//! The images that were judged (TID 1600): groups of like images of one series, each with what its images have in common.

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::super::Exam;
use super::super::elements::{Put, sop_reference};
use super::concepts;
use super::content_item::ContentItem;
use crate::exam::SourceImage;

/// `None` without images.
pub(super) fn image_library(exam: &Exam<'_>) -> Option<ContentItem> {
    let groups = groups(&exam.basis.images);
    let frame_of_reference = exam.source_header.frame_of_reference_uid.as_deref();
    let library = ContentItem::container(&concepts::IMAGE_LIBRARY);
    let groups = groups.iter().map(|group| group.item(frame_of_reference));
    (!exam.basis.images.is_empty()).then(|| library.containing_all(groups))
}

/// Images of one series and one pixel grid.
struct Group<'a> {
    like: &'a SourceImage,
    instances: Vec<Instance<'a>>,
}

struct Instance<'a> {
    sop_class_uid: &'a str,
    sop_instance_uid: &'a str,
    /// Of an instance of several frames those that belong to the group, ascending.
    frames: Vec<u32>,
}

fn groups(images: &[SourceImage]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for image in images {
        if let Some(group) = groups.iter_mut().find(|group| are_alike(group.like, image)) {
            group.add(image);
        } else {
            let mut group = Group { like: image, instances: Vec::new() };
            group.add(image);
            groups.push(group);
        }
    }
    groups
}

fn are_alike(one: &SourceImage, other: &SourceImage) -> bool {
    let grid = |image: &SourceImage| {
        (image.geometry.rows, image.geometry.columns, image.geometry.stored.spacing_mm, image.thickness_mm)
    };
    one.series_instance_uid == other.series_instance_uid && grid(one) == grid(other)
}

impl<'a> Group<'a> {
    fn add(&mut self, image: &'a SourceImage) {
        let SourceImage { sop_class_uid, sop_instance_uid, .. } = image;
        let known = self.instances.last_mut().filter(|last| last.sop_instance_uid == sop_instance_uid);
        match (known, image.frame_number) {
            (Some(instance), Some(frame)) => {
                instance.frames.push(frame);
                instance.frames.sort_unstable();
            }
            (_, frame) => {
                let frames = frame.into_iter().collect();
                self.instances.push(Instance { sop_class_uid, sop_instance_uid, frames });
            }
        }
    }

    fn item(&self, frame_of_reference_uid: Option<&str>) -> ContentItem {
        let SourceImage { series_instance_uid, geometry, thickness_mm, .. } = self.like;
        let [between_rows_mm, between_columns_mm] = geometry.stored.spacing_mm;
        let pixels = |name, number: usize| ContentItem::number(name, number as f64, 0, &concepts::PIXELS);
        let mm = |name, value| ContentItem::number(name, value, 6, &concepts::MILLIMETRE);
        let mut group = ContentItem::container(&concepts::IMAGE_LIBRARY_GROUP)
            .acquired_in(ContentItem::code(&concepts::MODALITY, &concepts::COMPUTED_TOMOGRAPHY))
            .acquired_in(ContentItem::code(&concepts::TARGET_REGION, &concepts::CHEST))
            .acquired_in(ContentItem::uid(&concepts::SERIES_INSTANCE_UID, series_instance_uid));
        if let Some(uid) = frame_of_reference_uid {
            group = group.acquired_in(ContentItem::uid(&concepts::FRAME_OF_REFERENCE_UID, uid));
        }
        group = group
            .acquired_in(pixels(&concepts::PIXEL_DATA_ROWS, geometry.rows))
            .acquired_in(pixels(&concepts::PIXEL_DATA_COLUMNS, geometry.columns))
            .acquired_in(mm(&concepts::HORIZONTAL_PIXEL_SPACING, between_columns_mm))
            .acquired_in(mm(&concepts::VERTICAL_PIXEL_SPACING, between_rows_mm));
        if let Some(thickness_mm) = thickness_mm {
            group = group.acquired_in(mm(&concepts::SLICE_THICKNESS, *thickness_mm));
        }
        group.containing_all(self.instances.iter().map(Instance::item))
    }
}

impl Instance<'_> {
    fn item(&self) -> ContentItem {
        ContentItem::image(&concepts::SOURCE, self.reference())
    }

    fn reference(&self) -> InMemDicomObject {
        let mut reference = sop_reference(self.sop_class_uid, self.sop_instance_uid);
        if !self.frames.is_empty() {
            let frames: Vec<String> = self.frames.iter().map(u32::to_string).collect();
            let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
            reference.texts(tags::REFERENCED_FRAME_NUMBER, VR::IS, &frames);
        }
        reference
    }
}
