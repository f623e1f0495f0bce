//! The frames: of which segment, image and place each is (Multi-frame Functional Groups, Multi-frame Dimension and Frame of Reference
//! modules, PS3.3 C.7.6.16, C.7.6.17, C.7.4.1).
//!
//! Sources without a Frame of Reference UID have no patient coordinates that others could share. Then the frames have no positions
//! either, and lie on the pixels of the images that they reference (PS3.3 A.51.5.1).

use std::rc::Rc;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::DrawnSegment;
use super::masks::Masks;
use super::source_grid::SourceGrid;
use crate::exam::SourceImage;
use crate::report::Exam;
use crate::report::codes;
use crate::report::elements::{Put, sop_reference};

/// A segment on an image.
pub(super) struct Frame<'a> {
    segment: u16,
    image: &'a SourceImage,
    /// Which of the images that have frames it is, from 1, in ascending z.
    position: u32,
    /// `None` without a pixel.
    pub mask: Option<&'a [u8]>,
}

/// The frames by segment and then in ascending z; those without a pixel only if `keeps_empty`.
pub(super) fn of_segments<'a>(
    segments: &[DrawnSegment],
    grid: &SourceGrid<'a>,
    masks: &'a [Rc<Masks>],
    keeps_empty: bool,
) -> Vec<Frame<'a>> {
    let has_frames = |masks: &Masks| keeps_empty || segments.iter().any(|segment| masks.of(segment.shows).is_some());
    let images = grid.images.iter().zip(masks).filter(|(_, masks)| has_frames(masks));
    let images: Vec<_> = (1..).zip(images).collect();
    let frames = segments.iter().flat_map(|segment| {
        images.iter().map(|(position, (image, masks))| Frame {
            segment: segment.number,
            image,
            position: *position,
            mask: masks.of(segment.shows),
        })
    });
    frames.filter(|frame| keeps_empty || frame.mask.is_some()).collect()
}

/// What a frame's place among the others is counted by.
struct Dimension {
    label: &'static str,
    attribute: Tag,
    /// The functional group that has it.
    group: Tag,
}

const SEGMENT: Dimension = Dimension {
    label: "Segment",
    attribute: tags::REFERENCED_SEGMENT_NUMBER,
    group: tags::SEGMENT_IDENTIFICATION_SEQUENCE,
};
const POSITION: Dimension =
    Dimension { label: "Position", attribute: tags::IMAGE_POSITION_PATIENT, group: tags::PLANE_POSITION_SEQUENCE };
const PLACE_IN_STACK: Dimension = Dimension {
    label: "Place in stack",
    attribute: tags::IN_STACK_POSITION_NUMBER,
    group: tags::FRAME_CONTENT_SEQUENCE,
};

/// Puts the modules into an object; `dimensions_uid` names its dimensions.
pub(super) fn put_into(
    object: &mut InMemDicomObject,
    exam: &Exam<'_>,
    dimensions_uid: &str,
    grid: &SourceGrid<'_>,
    frames: &[Frame<'_>],
) {
    let frame_of_reference = exam.source_header.frame_of_reference_uid.as_deref();
    let has_positions = frame_of_reference.is_some();
    if let Some(uid) = frame_of_reference {
        object.text(tags::FRAME_OF_REFERENCE_UID, VR::UI, uid).empty(tags::POSITION_REFERENCE_INDICATOR, VR::LO);
    } else {
        // Of type 2C: the General Image module (PS3.3 C.7.6.1) asks for it where no frame has an orientation.
        object.empty(tags::PATIENT_ORIENTATION, VR::CS);
    }
    let mut organization = InMemDicomObject::new_empty();
    organization.text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, dimensions_uid);
    let dimensions = [SEGMENT, if has_positions { POSITION } else { PLACE_IN_STACK }];
    let index = dimensions.iter().map(|dimension| dimension.item(dimensions_uid)).collect();
    let per_frame = frames.iter().map(|frame| frame.item(has_positions)).collect();
    object
        .item(tags::DIMENSION_ORGANIZATION_SEQUENCE, organization)
        .items(tags::DIMENSION_INDEX_SEQUENCE, index)
        .item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, shared(grid, has_positions))
        .items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, per_frame);
}

impl Dimension {
    fn item(&self, dimensions_uid: &str) -> InMemDicomObject {
        let mut item = InMemDicomObject::new_empty();
        item.text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, dimensions_uid).text(
            tags::DIMENSION_DESCRIPTION_LABEL,
            VR::LO,
            self.label,
        );
        for (pointer, tag) in
            [(tags::DIMENSION_INDEX_POINTER, self.attribute), (tags::FUNCTIONAL_GROUP_POINTER, self.group)]
        {
            item.put(DataElement::new(pointer, VR::AT, PrimitiveValue::Tags([tag].into_iter().collect())));
        }
        item
    }
}

/// What all frames have in common: orientation and pixel measures.
fn shared(grid: &SourceGrid<'_>, has_positions: bool) -> InMemDicomObject {
    let mut shared = InMemDicomObject::new_empty();
    if !has_positions {
        return shared;
    }
    let (mut orientation, mut measures) = (InMemDicomObject::new_empty(), InMemDicomObject::new_empty());
    orientation.decimals(tags::IMAGE_ORIENTATION_PATIENT, &grid.plane().orientation);
    measures.decimals(tags::PIXEL_SPACING, &grid.plane().spacing_mm);
    if let Some(mm) = grid.thickness_mm() {
        measures.decimals(tags::SLICE_THICKNESS, &[mm]);
    }
    if let Some(mm) = grid.distance_mm() {
        measures.decimals(tags::SPACING_BETWEEN_SLICES, &[mm]);
    }
    shared.item(tags::PLANE_ORIENTATION_SEQUENCE, orientation).item(tags::PIXEL_MEASURES_SEQUENCE, measures);
    shared
}

impl Frame<'_> {
    /// Its item of the Per-frame Functional Groups Sequence.
    fn item(&self, has_positions: bool) -> InMemDicomObject {
        let (mut frame, mut content) = (InMemDicomObject::new_empty(), InMemDicomObject::new_empty());
        content.u32s(tags::DIMENSION_INDEX_VALUES, VR::UL, &[self.segment.into(), self.position]);
        if has_positions {
            let mut position = InMemDicomObject::new_empty();
            position.decimals(tags::IMAGE_POSITION_PATIENT, &self.image.geometry.stored.position);
            frame.item(tags::PLANE_POSITION_SEQUENCE, position);
        } else {
            content.text(tags::STACK_ID, VR::SH, "1").u32s(tags::IN_STACK_POSITION_NUMBER, VR::UL, &[self.position]);
        }
        let mut segment = InMemDicomObject::new_empty();
        segment.u16(tags::REFERENCED_SEGMENT_NUMBER, self.segment);
        frame
            .item(tags::FRAME_CONTENT_SEQUENCE, content)
            .item(tags::SEGMENT_IDENTIFICATION_SEQUENCE, segment)
            .item(tags::DERIVATION_IMAGE_SEQUENCE, self.derivation());
        frame
    }

    /// The image that it was drawn on, pixel on pixel.
    fn derivation(&self) -> InMemDicomObject {
        let mut source = sop_reference(&self.image.sop_class_uid, &self.image.sop_instance_uid);
        if let Some(number) = self.image.frame_number {
            source.text(tags::REFERENCED_FRAME_NUMBER, VR::IS, &number.to_string());
        }
        source.code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, &codes::SOURCE_IMAGE).text(
            tags::SPATIAL_LOCATIONS_PRESERVED,
            VR::CS,
            "YES",
        );
        let mut derivation = InMemDicomObject::new_empty();
        derivation.code(tags::DERIVATION_CODE_SEQUENCE, &codes::SEGMENTATION).item(tags::SOURCE_IMAGE_SEQUENCE, source);
        derivation
    }
}
