//! New identifiers for a recorded exam, so that it can be sent again as if it were another one.

use std::collections::HashMap;

use dicom_core::value::Value;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::series::{from_object, transfer_syntax};
use super::{Instance, ScannerError};
use crate::dicom::uid::UidSource;

const IDENTITY: [Tag; 4] =
    [tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::SOP_INSTANCE_UID, tags::FRAME_OF_REFERENCE_UID];

/// Gives study, series, frame of reference and instances new UIDs, and follows them where instances refer to each other.
/// The header is encoded anew; the pixel data and what follows it stay as they are, byte by byte, where the transfer syntax
/// allows to find them (all but deflated and big endian). `PatientID` is left alone.
///
/// # Errors
///
/// If an instance cannot be decoded.
pub fn new_uids(instances: &[Instance], uids: &mut UidSource) -> Result<Vec<Instance>, ScannerError> {
    let mut renamed = HashMap::new();
    let opened = instances
        .iter()
        .map(|instance| {
            let (header, rest) = split_at_pixels(instance)?;
            for tag in IDENTITY {
                if let Some(old) = uid_of(&header, tag) {
                    renamed.entry(old).or_insert_with(|| uids.next_uid());
                }
            }
            Ok((instance, header, rest))
        })
        .collect::<Result<Vec<_>, ScannerError>>()?;
    opened
        .into_iter()
        .map(|(instance, header, rest)| {
            let header = rename(header, &renamed);
            let mut new = from_object(&header, &instance.transfer_syntax_uid, instance.origin.clone())?;
            new.data = [&new.data[..], rest].concat().into();
            Ok(new)
        })
        .collect()
}

fn uid_of(header: &InMemDicomObject, tag: Tag) -> Option<String> {
    let uid = header.get(tag)?.to_str().ok()?;
    Some(uid.trim_end_matches(['\0', ' ']).to_owned()).filter(|uid| !uid.is_empty())
}

/// Replaces every known UID, in sequences too.
fn rename(object: InMemDicomObject, renamed: &HashMap<String, String>) -> InMemDicomObject {
    let elements = object.into_iter().map(|element| {
        let header = *element.header();
        match element.into_value() {
            Value::Primitive(value) if header.vr == VR::UI => {
                let old = value.to_str();
                let old = old.trim_end_matches(['\0', ' ']);
                let new = renamed.get(old).map(|new| PrimitiveValue::from(new.as_str()));
                DataElement::new(header.tag, VR::UI, new.unwrap_or(value))
            }
            Value::Sequence(sequence) => {
                let items = sequence.into_items().into_iter();
                let items: Vec<_> = items.map(|item| rename(item, renamed)).collect();
                DataElement::new(header.tag, header.vr, Value::from(dicom_core::value::DataSetSequence::from(items)))
            }
            other => DataElement::new(header.tag, header.vr, other),
        }
    });
    InMemDicomObject::from_element_iter(elements.collect::<Vec<_>>())
}

/// The header as an object, and the bytes from the pixel data element on.
fn split_at_pixels(instance: &Instance) -> Result<(InMemDicomObject, &[u8]), ScannerError> {
    let syntax = transfer_syntax(&instance.transfer_syntax_uid)?;
    let end = match explicit_little_endian(&instance.transfer_syntax_uid) {
        Some(explicit) => offset_of(tags::PIXEL_DATA, &instance.data, explicit)
            .map_err(|reason| ScannerError::Encoding { origin: instance.origin.clone(), reason: reason.to_owned() })?
            .unwrap_or(instance.data.len()),
        None => instance.data.len(),
    };
    let (header, rest) = instance.data.split_at(end);
    let object = InMemDicomObject::read_dataset_with_ts(header, syntax)
        .map_err(|e| ScannerError::encoding(&instance.origin, &e))?;
    Ok((object, rest))
}

/// Whether VRs are explicit; none where elements cannot be found in the bytes as little endian.
fn explicit_little_endian(uid: &str) -> Option<bool> {
    match uid {
        uids::IMPLICIT_VR_LITTLE_ENDIAN => Some(false),
        "1.2.840.10008.1.2.2" | uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => None,
        _ => Some(true),
    }
}

const UNDEFINED: u32 = u32::MAX;
const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
const CUT_OFF: &str = "the data set ends within an element";
/// Deeper nesting than any real object has: an end to what a broken file can ask for.
const DEEPEST: usize = 32;

/// Where the element `wanted` of the outermost level begins (PS3.5 7.1); none where the data set has it not.
fn offset_of(wanted: Tag, data: &[u8], explicit: bool) -> Result<Option<usize>, &'static str> {
    let mut at = 0;
    while at < data.len() {
        let (tag, length, value_at) = element_at(data, at, explicit)?;
        if tag >= wanted {
            return Ok((tag == wanted).then_some(at));
        }
        at = after_value(data, value_at, length, explicit, 0)?;
    }
    Ok(None)
}

/// Tag, length and offset of the value of the element at `at`.
fn element_at(data: &[u8], at: usize, explicit: bool) -> Result<(Tag, u32, usize), &'static str> {
    let head = data.get(at..at + 8).ok_or(CUT_OFF)?;
    let tag = Tag(u16::from_le_bytes([head[0], head[1]]), u16::from_le_bytes([head[2], head[3]]));
    if !explicit || tag.group() == 0xFFFE {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        return Ok((tag, length, at + 8));
    }
    match &head[4..6] {
        b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT" | b"UV" => {
            let length = data.get(at + 8..at + 12).ok_or(CUT_OFF)?;
            let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
            Ok((tag, length, at + 12))
        }
        _ => Ok((tag, u16::from_le_bytes([head[6], head[7]]).into(), at + 8)),
    }
}

/// The offset behind a value; a value of undefined length is a sequence of items.
fn after_value(data: &[u8], value_at: usize, length: u32, explicit: bool, level: usize) -> Result<usize, &'static str> {
    if length != UNDEFINED {
        let end = value_at.checked_add(length as usize).ok_or(CUT_OFF)?;
        return if end <= data.len() { Ok(end) } else { Err(CUT_OFF) };
    }
    if level == DEEPEST {
        return Err("sequences are nested too deeply");
    }
    let mut at = value_at;
    loop {
        let (tag, length, inner_at) = element_at(data, at, explicit)?;
        at = match tag {
            SEQUENCE_END => return Ok(inner_at),
            ITEM if length == UNDEFINED => after_item(data, inner_at, explicit, level + 1)?,
            ITEM => after_value(data, inner_at, length, explicit, level)?,
            _ => return Err("a sequence holds something other than items"),
        };
    }
}

fn after_item(data: &[u8], from: usize, explicit: bool, level: usize) -> Result<usize, &'static str> {
    let mut at = from;
    loop {
        let (tag, length, value_at) = element_at(data, at, explicit)?;
        if tag == ITEM_END {
            return Ok(value_at);
        }
        at = after_value(data, value_at, length, explicit, level)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scanner::phantom::{Phantom, PhantomKind, PhantomOptions};
    use dicom_core::Length;
    use dicom_core::value::DataSetSequence;

    fn exam() -> Vec<Instance> {
        Phantom::new(PhantomKind::Normal, PhantomOptions::coarse(5, 16))
            .instances(UidSource::seeded(1))
            .expect("encoded")
    }

    #[test]
    fn an_exam_with_new_uids_is_another_exam_of_the_same_patient_and_pixels() {
        let old = exam();
        let new = new_uids(&old, &mut UidSource::seeded(2)).expect("decoded");
        assert_eq!(old.len(), new.len());
        for (old, new) in old.iter().zip(&new) {
            assert_ne!(old.sop_instance_uid, new.sop_instance_uid);
            assert_eq!(old.patient_id, new.patient_id);
            assert_eq!(old.position_um, new.position_um);
            assert_eq!(
                new.study_instance_uid,
                self::exam_study(&new_uids(&exam(), &mut UidSource::seeded(2)).expect("decoded"))
            );
            let pixels = 16 * 16 * 2;
            if !old.scout {
                assert_eq!(old.data[old.data.len() - pixels..], new.data[new.data.len() - pixels..]);
            }
        }
        let slices: Vec<_> = new.iter().filter(|i| !i.scout).collect();
        assert!(slices.iter().all(|i| i.series_instance_uid == slices[0].series_instance_uid));
        assert_ne!(new[0].series_instance_uid, slices[0].series_instance_uid);
    }

    fn exam_study(instances: &[Instance]) -> String {
        instances[0].study_instance_uid.clone()
    }

    #[test]
    fn references_between_instances_follow_and_the_pixels_are_found_behind_sequences() {
        let mut instances = exam();
        let target = instances[2].sop_instance_uid.clone();
        for syntax in [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN] {
            let (mut object, _) = split_at_pixels(&instances[1]).expect("decoded");
            let item = InMemDicomObject::from_element_iter([DataElement::new(
                tags::REFERENCED_SOP_INSTANCE_UID,
                VR::UI,
                PrimitiveValue::from(target.as_str()),
            )]);
            let sequence = DataSetSequence::new(vec![item], Length::UNDEFINED);
            object.put(DataElement::new(tags::REFERENCED_IMAGE_SEQUENCE, VR::SQ, Value::from(sequence)));
            object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(vec![7_u16; 256].into())));
            instances[1] = from_object(&object, syntax, "test".to_owned()).expect("encoded");
            let new = new_uids(&instances, &mut UidSource::seeded(3)).expect("decoded");
            let (header, rest) = split_at_pixels(&new[1]).expect("decoded");
            assert!(rest.len() >= 512 + 8);
            let item = &header.get(tags::REFERENCED_IMAGE_SEQUENCE).expect("kept").items().expect("items")[0];
            let reference = uid_of(item, tags::REFERENCED_SOP_INSTANCE_UID).expect("kept");
            assert_eq!(reference, new[2].sop_instance_uid);
        }
    }

    #[test]
    fn a_data_set_cut_off_is_an_error_not_a_panic() {
        let instance = &exam()[1];
        for length in [1, 7, 9, 100, 333] {
            let _ = offset_of(tags::PIXEL_DATA, &instance.data[..length], true);
            let _ = offset_of(tags::PIXEL_DATA, &instance.data[..length], false);
        }
        assert!(offset_of(tags::PIXEL_DATA, &instance.data[..9], true).is_err());
    }
}
