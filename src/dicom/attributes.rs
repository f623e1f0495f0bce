//! Where an image's attributes stand: in its data set, or in the functional groups of its frame.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

/// The attributes of one image, asked for by the tags that a CT Image has (PS3.3 section A.3).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes<'a> {
    instance: &'a InMemDicomObject,
    /// Of a frame: its own functional groups, then those that it shares with all others.
    groups: Option<[Option<&'a InMemDicomObject>; 2]>,
}

impl<'a> Attributes<'a> {
    /// Of an instance that is one image.
    pub(crate) fn of(instance: &'a InMemDicomObject) -> Self {
        Self { instance, groups: None }
    }

    /// Of a frame with its own functional groups and the shared ones (PS3.3 section C.7.6.16).
    pub(crate) fn of_frame(
        instance: &'a InMemDicomObject,
        own: &'a InMemDicomObject,
        shared: Option<&'a InMemDicomObject>,
    ) -> Self {
        Self { instance, groups: Some([Some(own), shared]) }
    }

    pub(crate) fn get(&self, tag: Tag) -> Option<&'a InMemElement> {
        let Some(groups) = self.groups else { return self.instance.get(tag) };
        let groups = || groups.into_iter().flatten();
        let place = place_in_groups(tag);
        let assigned =
            place.and_then(|(sequence, inside)| groups().find_map(|group| first_item(group, sequence)?.get(inside)));
        let found = assigned.or_else(|| groups().find_map(|group| unassigned(group, tag)));
        // Where a frame lies and what its values mean is said of frames alone.
        let is_of_frames_alone = place.is_some() && tag != tags::IMAGE_TYPE;
        found.or_else(|| self.instance.get(tag).filter(|_| !is_of_frames_alone))
    }

    /// Items of a sequence of the frame's functional groups; none of an image without.
    pub(crate) fn group(&self, sequence: Tag) -> &'a [InMemDicomObject] {
        let groups = self.groups.into_iter().flatten().flatten();
        groups.map(|group| items(group, sequence)).find(|items| !items.is_empty()).unwrap_or_default()
    }

    /// The text without padding; empty if there is none.
    pub(crate) fn text(&self, tag: Tag) -> String {
        self.get(tag).map(text_of).unwrap_or_default()
    }

    pub(crate) fn number(&self, tag: Tag) -> Option<f64> {
        number_of(self.get(tag)?)
    }

    pub(crate) fn numbers<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        numbers_of(self.get(tag)?)
    }
}

/// In which functional group's sequence an attribute of a CT Image stands, and under which tag there (PS3.3 sections C.7.6.16.2
/// and C.8.15.3); `None` for those that are the same for all frames.
fn place_in_groups(tag: Tag) -> Option<(Tag, Tag)> {
    let sequence = match tag {
        tags::IMAGE_POSITION_PATIENT => tags::PLANE_POSITION_SEQUENCE,
        tags::IMAGE_ORIENTATION_PATIENT => tags::PLANE_ORIENTATION_SEQUENCE,
        tags::PIXEL_SPACING | tags::SLICE_THICKNESS => tags::PIXEL_MEASURES_SEQUENCE,
        tags::RESCALE_SLOPE | tags::RESCALE_INTERCEPT | tags::RESCALE_TYPE => tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
        tags::CONVOLUTION_KERNEL => tags::CT_RECONSTRUCTION_SEQUENCE,
        tags::GANTRY_DETECTOR_TILT => tags::CT_ACQUISITION_DETAILS_SEQUENCE,
        tags::KVP => tags::CTX_RAY_DETAILS_SEQUENCE,
        tags::FRAME_ACQUISITION_DATE_TIME | tags::TEMPORAL_POSITION_INDEX => tags::FRAME_CONTENT_SEQUENCE,
        tags::VOLUMETRIC_PROPERTIES | tags::VOLUME_BASED_CALCULATION_TECHNIQUE => tags::CT_IMAGE_FRAME_TYPE_SEQUENCE,
        tags::ACQUISITION_NUMBER => return Some((tags::FRAME_CONTENT_SEQUENCE, tags::FRAME_ACQUISITION_NUMBER)),
        tags::IMAGE_TYPE => return Some((tags::CT_IMAGE_FRAME_TYPE_SEQUENCE, tags::FRAME_TYPE)),
        _ => return None,
    };
    Some((sequence, tag))
}

/// What a conversion from single images found no other place for (PS3.3 sections C.7.6.16.2.25 and C.7.6.16.2.26).
fn unassigned(group: &InMemDicomObject, tag: Tag) -> Option<&InMemElement> {
    let sequences = [
        tags::UNASSIGNED_PER_FRAME_CONVERTED_ATTRIBUTES_SEQUENCE,
        tags::UNASSIGNED_SHARED_CONVERTED_ATTRIBUTES_SEQUENCE,
    ];
    sequences.into_iter().find_map(|sequence| first_item(group, sequence)?.get(tag))
}

fn first_item(object: &InMemDicomObject, sequence: Tag) -> Option<&InMemDicomObject> {
    items(object, sequence).first()
}

/// The items of a sequence; none if there is no such sequence.
pub(crate) fn items(object: &InMemDicomObject, sequence: Tag) -> &[InMemDicomObject] {
    object.get(sequence).and_then(|element| element.items()).unwrap_or_default()
}

/// The element's text without padding; empty if there is none.
pub(crate) fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object.get(tag).map(text_of).unwrap_or_default()
}

pub(crate) fn number(object: &InMemDicomObject, tag: Tag) -> Option<f64> {
    number_of(object.get(tag)?)
}

pub(crate) fn numbers<const N: usize>(object: &InMemDicomObject, tag: Tag) -> Option<[f64; N]> {
    numbers_of(object.get(tag)?)
}

fn text_of(element: &InMemElement) -> String {
    element.to_str().map(|text| text.trim_matches([' ', '\0']).to_owned()).unwrap_or_default()
}

fn number_of(element: &InMemElement) -> Option<f64> {
    element.to_float64().ok().filter(|value| value.is_finite())
}

fn numbers_of<const N: usize>(element: &InMemElement) -> Option<[f64; N]> {
    let values: [f64; N] = element.to_multi_float64().ok()?.try_into().ok()?;
    values.iter().all(|value| value.is_finite()).then_some(values)
}
