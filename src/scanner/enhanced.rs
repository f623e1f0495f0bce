//! Slices of an exam as Enhanced CT objects (PS3.3 section A.38): what a scanner sends that puts a series into one instance.
//! Each of a slice's attributes goes into its functional group; what Tableside does not read is left out.

use std::collections::BTreeSet;

use dicom_core::value::{DataSetSequence, PixelFragmentSequence, PrimitiveValue, Value};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::mem::InMemElement;
use dicom_object::{DefaultDicomObject, InMemDicomObject};

use super::{Instance, ScannerError, series};
use crate::dicom::UidSource;

/// Puts the slices of each series into this many objects, which are then a concatenation (PS3.3 section C.7.6.16.1.3). Frames are in
/// the order of the slices; scouts stay as they are and come first.
///
/// # Errors
///
/// If a slice is no data set, or one series mixes transfer syntaxes.
pub fn enhanced(instances: &[Instance], objects: usize, uids: &mut UidSource) -> Result<Vec<Instance>, ScannerError> {
    let is_slice = |instance: &&Instance| instance.position_um.is_some();
    let mut sent: Vec<Instance> = instances.iter().filter(|instance| !is_slice(instance)).cloned().collect();
    let all: BTreeSet<&str> = instances.iter().map(|instance| instance.series_instance_uid.as_str()).collect();
    for series_uid in all {
        let of_series = |instance: &&Instance| is_slice(instance) && instance.series_instance_uid == series_uid;
        let slices: Vec<&Instance> = instances.iter().filter(of_series).collect();
        let concatenation = Concatenation { uid: uids.next_uid(), source: uids.next_uid(), objects: objects.max(1) };
        let a_part = slices.len().div_ceil(concatenation.objects).max(1);
        for (number, part) in slices.chunks(a_part).enumerate() {
            let object = concatenation.part(number, number * a_part, part, &uids.next_uid())?;
            let origin = format!("{} slices of series {series_uid}", part.len());
            sent.push(series::from_object(&object, &part[0].transfer_syntax_uid, origin)?);
        }
    }
    Ok(sent)
}

struct Concatenation {
    uid: String,
    source: String,
    objects: usize,
}

impl Concatenation {
    /// The `number`-th object, from 0, whose first frame is the `offset`-th of all.
    fn part(
        &self,
        number: usize,
        offset: usize,
        slices: &[&Instance],
        uid: &str,
    ) -> Result<InMemDicomObject, ScannerError> {
        let read = slices.iter().map(|slice| slice.object()).collect::<Result<Vec<_>, _>>()?;
        let mut object = common(&read[0], uid);
        let number = number as u16 + 1;
        text(&mut object, tags::INSTANCE_NUMBER, VR::IS, &number.to_string());
        text(&mut object, tags::NUMBER_OF_FRAMES, VR::IS, &read.len().to_string());
        if self.objects > 1 {
            text(&mut object, tags::CONCATENATION_UID, VR::UI, &self.uid);
            text(&mut object, tags::SOP_INSTANCE_UID_OF_CONCATENATION_SOURCE, VR::UI, &self.source);
            let number_of = |value: u16| PrimitiveValue::from(value);
            object.put(DataElement::new(tags::IN_CONCATENATION_NUMBER, VR::US, number_of(number)));
            object.put(DataElement::new(tags::IN_CONCATENATION_TOTAL_NUMBER, VR::US, number_of(self.objects as u16)));
            let offset = PrimitiveValue::from(offset as u32);
            object.put(DataElement::new(tags::CONCATENATION_FRAME_OFFSET_NUMBER, VR::UL, offset));
        }
        put_functional_groups(&mut object, &read, offset);
        object.put(pixel_data(&read, slices)?);
        Ok(object)
    }
}

/// Functional groups, and which attributes of a single image go into each (PS3.3 sections C.7.6.16.2 and C.8.15.3).
const GROUPS: [(Tag, &[Tag]); 7] = [
    (tags::PLANE_POSITION_SEQUENCE, &[tags::IMAGE_POSITION_PATIENT]),
    (tags::PLANE_ORIENTATION_SEQUENCE, &[tags::IMAGE_ORIENTATION_PATIENT]),
    (tags::PIXEL_MEASURES_SEQUENCE, &[tags::PIXEL_SPACING, tags::SLICE_THICKNESS, tags::SPACING_BETWEEN_SLICES]),
    (tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, &[tags::RESCALE_SLOPE, tags::RESCALE_INTERCEPT, tags::RESCALE_TYPE]),
    (tags::FRAME_VOILUT_SEQUENCE, &[tags::WINDOW_CENTER, tags::WINDOW_WIDTH, tags::WINDOW_CENTER_WIDTH_EXPLANATION]),
    (tags::CT_RECONSTRUCTION_SEQUENCE, &[tags::CONVOLUTION_KERNEL, tags::RECONSTRUCTION_DIAMETER]),
    (tags::CT_ACQUISITION_DETAILS_SEQUENCE, &[tags::GANTRY_DETECTOR_TILT]),
];

/// What stands elsewhere in a multi-frame image, or is another thing there.
const LEFT_OUT: [Tag; 8] = [
    tags::PIXEL_DATA,
    tags::SLICE_LOCATION,
    tags::ACQUISITION_NUMBER,
    tags::IMAGES_IN_ACQUISITION,
    tags::KVP,
    tags::EXPOSURE_TIME,
    tags::X_RAY_TUBE_CURRENT,
    tags::INSTANCE_NUMBER,
];

/// What describes all frames: patient, study, series, equipment as the first slice has them.
fn common(first: &DefaultDicomObject, uid: &str) -> InMemDicomObject {
    let is_grouped = |tag: Tag| GROUPS.iter().any(|(_, inside)| inside.contains(&tag));
    let kept = first.iter().filter(|element| {
        let tag = element.header().tag;
        !is_grouped(tag) && !LEFT_OUT.contains(&tag)
    });
    let mut object = InMemDicomObject::from_element_iter(kept.cloned());
    let date_time =
        [tags::ACQUISITION_DATE, tags::ACQUISITION_TIME].map(|tag| crate::dicom::attributes::text(first, tag)).concat();
    for (tag, vr, value) in [
        (tags::SOP_CLASS_UID, VR::UI, uids::ENHANCED_CT_IMAGE_STORAGE),
        (tags::SOP_INSTANCE_UID, VR::UI, uid),
        (tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\VOLUME\\NONE"),
        (tags::ACQUISITION_DATE_TIME, VR::DT, &date_time),
        (tags::PIXEL_PRESENTATION, VR::CS, "MONOCHROME"),
        (tags::VOLUMETRIC_PROPERTIES, VR::CS, "VOLUME"),
        (tags::VOLUME_BASED_CALCULATION_TECHNIQUE, VR::CS, "NONE"),
        (tags::CONTENT_QUALIFICATION, VR::CS, "RESEARCH"),
        (tags::BURNED_IN_ANNOTATION, VR::CS, "NO"),
        (tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00"),
        (tags::PRESENTATION_LUT_SHAPE, VR::CS, "IDENTITY"),
    ] {
        text(&mut object, tag, vr, value);
    }
    object
}

/// A group that is the same for all slices is shared, every other one stands with each frame.
fn put_functional_groups(object: &mut InMemDicomObject, slices: &[DefaultDicomObject], offset: usize) {
    let mut shared = InMemDicomObject::new_empty();
    let mut frames: Vec<InMemDicomObject> = (offset + 1..=offset + slices.len())
        .map(|number| InMemDicomObject::from_element_iter([sequence(tags::FRAME_CONTENT_SEQUENCE, content(number))]))
        .collect();
    let mut put = |group: Tag, mut items: Vec<InMemDicomObject>| {
        if items.iter().all(|item| *item == items[0]) {
            items.truncate(1);
            shared.put(sequence(group, items));
        } else {
            frames.iter_mut().zip(items).for_each(|(frame, item)| drop(frame.put(sequence(group, vec![item]))));
        }
    };
    put(tags::CT_IMAGE_FRAME_TYPE_SEQUENCE, slices.iter().map(|slice| frame_type(slice)).collect());
    for (group, inside) in GROUPS {
        put(group, slices.iter().map(|slice| elements_of(slice, inside)).collect());
    }
    object.put(sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]));
    object.put(sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frames));
}

/// Frame Content (PS3.3 section C.7.6.16.2.2): the number of a frame among all.
fn content(number: usize) -> Vec<InMemDicomObject> {
    let mut content = InMemDicomObject::new_empty();
    content.put(DataElement::new(tags::FRAME_ACQUISITION_NUMBER, VR::US, PrimitiveValue::from(1_u16)));
    text(&mut content, tags::STACK_ID, VR::SH, "1");
    let number = PrimitiveValue::from(number as u32);
    content.put(DataElement::new(tags::IN_STACK_POSITION_NUMBER, VR::UL, number));
    vec![content]
}

/// CT Image Frame Type (PS3.3 section C.8.15.3.1): the slice's own Image Type.
fn frame_type(slice: &InMemDicomObject) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    text(&mut item, tags::FRAME_TYPE, VR::CS, &crate::dicom::attributes::text(slice, tags::IMAGE_TYPE));
    text(&mut item, tags::PIXEL_PRESENTATION, VR::CS, "MONOCHROME");
    text(&mut item, tags::VOLUMETRIC_PROPERTIES, VR::CS, "VOLUME");
    text(&mut item, tags::VOLUME_BASED_CALCULATION_TECHNIQUE, VR::CS, "NONE");
    item
}

fn elements_of(slice: &InMemDicomObject, tags: &[Tag]) -> InMemDicomObject {
    InMemDicomObject::from_element_iter(tags.iter().filter_map(|tag| slice.get(*tag).cloned()))
}

/// Native pixel data one after the other; of encapsulated the fragments, with an offset table where a slice has several.
fn pixel_data(slices: &[DefaultDicomObject], instances: &[&Instance]) -> Result<InMemElement, ScannerError> {
    const ITEM_HEADER_BYTES: usize = 8;
    let refuse = |instance: &Instance, reason: &str| ScannerError::Encoding {
        origin: instance.origin.clone(),
        reason: reason.to_owned(),
    };
    let (mut native, mut fragments, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
    let mut at = 0;
    for (slice, instance) in slices.iter().zip(instances) {
        if instance.transfer_syntax_uid != instances[0].transfer_syntax_uid {
            return Err(refuse(instance, "one object has one transfer syntax"));
        }
        match slice.get(tags::PIXEL_DATA).map(InMemElement::value) {
            Some(Value::Primitive(value)) => native.extend_from_slice(&value.to_bytes()),
            Some(Value::PixelSequence(sequence)) => {
                offsets.push(at as u32);
                at += sequence.fragments().iter().map(|fragment| fragment.len() + ITEM_HEADER_BYTES).sum::<usize>();
                fragments.extend_from_slice(sequence.fragments());
            }
            _ => return Err(refuse(instance, "it has no pixel data")),
        }
    }
    if fragments.is_empty() {
        return Ok(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U8(native.into())));
    }
    let table = if fragments.len() == slices.len() { Vec::new() } else { offsets };
    Ok(DataElement::new(tags::PIXEL_DATA, VR::OB, PixelFragmentSequence::new(table, fragments)))
}

fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> InMemElement {
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}

fn text(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    let values = value.split('\\').map(str::to_owned).collect();
    object.put(DataElement::new(tag, vr, PrimitiveValue::Strs(values)));
}
