//! What all objects have in common, and short ways to write elements.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids as sop};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

use super::codes::{self, Code};
use super::uids::uid_of;
use super::{Exam, ObjectKind, ReportError, ReportObject, SopReference};
use crate::triage::INTENDED_USE;

/// Who made the objects, as equipment is named.
pub(super) const MANUFACTURER: &str = "Tableside";
pub(super) const MODEL_NAME: &str = "Tableside";

/// Puts elements into a data set.
pub(super) trait Put {
    fn text(&mut self, tag: Tag, vr: VR, value: &str) -> &mut Self;
    fn texts(&mut self, tag: Tag, vr: VR, values: &[&str]) -> &mut Self;
    fn empty(&mut self, tag: Tag, vr: VR) -> &mut Self;
    fn u16(&mut self, tag: Tag, value: u16) -> &mut Self;
    fn u16s(&mut self, tag: Tag, values: &[u16]) -> &mut Self;
    fn u32s(&mut self, tag: Tag, vr: VR, values: &[u32]) -> &mut Self;
    /// As a decimal string of at most 16 characters (PS3.5 section 6.2).
    fn decimals(&mut self, tag: Tag, values: &[f64]) -> &mut Self;
    fn items(&mut self, tag: Tag, items: Vec<InMemDicomObject>) -> &mut Self;
    fn item(&mut self, tag: Tag, item: InMemDicomObject) -> &mut Self {
        self.items(tag, vec![item])
    }
    fn code(&mut self, tag: Tag, code: &Code) -> &mut Self {
        self.item(tag, code.item())
    }
}

impl Put for InMemDicomObject {
    fn text(&mut self, tag: Tag, vr: VR, value: &str) -> &mut Self {
        self.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
        self
    }

    fn texts(&mut self, tag: Tag, vr: VR, values: &[&str]) -> &mut Self {
        let values = PrimitiveValue::Strs(values.iter().map(|value| (*value).to_owned()).collect());
        self.put(DataElement::new(tag, vr, values));
        self
    }

    fn empty(&mut self, tag: Tag, vr: VR) -> &mut Self {
        self.put(DataElement::new(tag, vr, PrimitiveValue::Empty));
        self
    }

    fn u16(&mut self, tag: Tag, value: u16) -> &mut Self {
        self.u16s(tag, &[value])
    }

    fn u16s(&mut self, tag: Tag, values: &[u16]) -> &mut Self {
        self.put(DataElement::new(tag, VR::US, PrimitiveValue::U16(values.iter().copied().collect())));
        self
    }

    fn u32s(&mut self, tag: Tag, vr: VR, values: &[u32]) -> &mut Self {
        self.put(DataElement::new(tag, vr, PrimitiveValue::U32(values.iter().copied().collect())));
        self
    }

    fn decimals(&mut self, tag: Tag, values: &[f64]) -> &mut Self {
        let values: Vec<String> = values.iter().map(|value| decimal(*value)).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        self.texts(tag, VR::DS, &values)
    }

    fn items(&mut self, tag: Tag, items: Vec<InMemDicomObject>) -> &mut Self {
        self.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
        self
    }
}

/// A number in at most 16 characters, as exactly as they can say it.
pub(super) fn decimal(value: f64) -> String {
    const MOST_CHARACTERS: usize = 16;
    let value = if value == 0.0 { 0.0 } else { value };
    let plain = format!("{value}");
    if plain.len() <= MOST_CHARACTERS {
        return plain;
    }
    let texts =
        (0..=MOST_CHARACTERS).rev().flat_map(|digits| [format!("{value:.digits$}"), format!("{value:.digits$e}")]);
    let texts = texts.filter(|text| text.len() <= MOST_CHARACTERS);
    let error = |text: &String| text.parse().map_or(f64::INFINITY, |read: f64| (read - value).abs());
    texts.min_by(|a, b| error(a).total_cmp(&error(b))).unwrap_or_default()
}

/// Text that every character set of DICOM can say: cm² becomes cm2, any other character a question mark.
pub(super) fn ascii(text: &str) -> String {
    let plain = |character| match character {
        ' '..='~' => character,
        '²' => '2',
        _ => '?',
    };
    text.chars().map(plain).collect()
}

/// A text in at most so many characters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    ascii(text).chars().take(most).collect()
}

/// What an object is called beside its content.
pub(super) struct Naming<'a> {
    pub kind: ObjectKind,
    pub sop_class_uid: &'a str,
    pub sop_instance_uid: String,
    pub series_instance_uid: String,
    pub modality: &'a str,
    pub series_number: u32,
    /// What the series shows, such as "lung and lesion outlines".
    pub shows: &'a str,
    /// From 1, within its series.
    pub instance_number: usize,
}

impl Naming<'_> {
    pub(super) fn reference(&self) -> SopReference {
        SopReference {
            sop_class_uid: self.sop_class_uid.to_owned(),
            sop_instance_uid: self.sop_instance_uid.clone(),
            series_instance_uid: self.series_instance_uid.clone(),
        }
    }
}

/// The modules that all objects have: SOP Common, Patient, General Study, General Series, General Equipment and Enhanced
/// General Equipment.
pub(super) fn common(exam: &Exam<'_>, naming: &Naming<'_>) -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    exam.source_header.put_into(&mut object);
    let [date, time] = exam.concluded();
    let description = shortened(&format!("Tableside AI: {} (research)", naming.shows), 64);
    object
        .text(tags::SOP_CLASS_UID, VR::UI, naming.sop_class_uid)
        .text(tags::SOP_INSTANCE_UID, VR::UI, &naming.sop_instance_uid)
        .text(tags::INSTANCE_CREATION_DATE, VR::DA, &date)
        .text(tags::INSTANCE_CREATION_TIME, VR::TM, &time)
        .text(tags::MODALITY, VR::CS, naming.modality)
        .text(tags::SERIES_INSTANCE_UID, VR::UI, &naming.series_instance_uid)
        .text(tags::SERIES_NUMBER, VR::IS, &naming.series_number.to_string())
        .text(tags::SERIES_DATE, VR::DA, &date)
        .text(tags::SERIES_TIME, VR::TM, &time)
        .text(tags::CONTENT_DATE, VR::DA, &date)
        .text(tags::CONTENT_TIME, VR::TM, &time)
        .text(tags::SERIES_DESCRIPTION, VR::LO, &description)
        .text(tags::INSTANCE_NUMBER, VR::IS, &naming.instance_number.to_string())
        .text(tags::MANUFACTURER, VR::LO, MANUFACTURER)
        .text(tags::MANUFACTURER_MODEL_NAME, VR::LO, MODEL_NAME)
        .text(tags::DEVICE_SERIAL_NUMBER, VR::LO, &shortened(&exam.report.model.sha256, 64))
        .text(tags::SOFTWARE_VERSIONS, VR::LO, &shortened(&exam.report.tableside, 64))
        .text(tags::CONTENT_QUALIFICATION, VR::CS, "RESEARCH")
        .item(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE, contributing_equipment(exam));
    object
}

/// The program and the model as equipment; its Device UID is the model's.
fn contributing_equipment(exam: &Exam<'_>) -> InMemDicomObject {
    let model = &exam.report.model;
    let mut item = InMemDicomObject::new_empty();
    item.code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, &codes::PROCESSING_EQUIPMENT)
        .text(tags::MANUFACTURER, VR::LO, MANUFACTURER)
        .text(tags::MANUFACTURER_MODEL_NAME, VR::LO, &shortened(&format!("{} {}", model.name, model.version), 64))
        .text(tags::SOFTWARE_VERSIONS, VR::LO, &shortened(&exam.report.tableside, 64))
        .text(tags::DEVICE_UID, VR::UI, &device_uid(exam))
        .text(tags::CONTRIBUTION_DESCRIPTION, VR::ST, INTENDED_USE);
    item
}

/// Names the model with this program.
pub(super) fn device_uid(exam: &Exam<'_>) -> String {
    uid_of(format!("device\n{}\n{}", exam.report.tableside, exam.report.model.sha256).as_bytes())
}

/// An item that references an object (SOP Instance Reference macro, PS3.3 table 10-11).
pub(super) fn sop_reference(sop_class_uid: &str, sop_instance_uid: &str) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    item.text(tags::REFERENCED_SOP_CLASS_UID, VR::UI, sop_class_uid).text(
        tags::REFERENCED_SOP_INSTANCE_UID,
        VR::UI,
        sop_instance_uid,
    );
    item
}

/// What an object has beside its pixels, more or less.
const HEADER_BYTES: usize = 1 << 20;

/// The object as a file.
pub(super) fn finished(object: InMemDicomObject, naming: &Naming<'_>) -> Result<ReportObject, ReportError> {
    let refuse = |reason: String| ReportError::Encode { kind: naming.kind, reason };
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(naming.sop_class_uid)
        .media_storage_sop_instance_uid(&naming.sop_instance_uid)
        .transfer_syntax(sop::EXPLICIT_VR_LITTLE_ENDIAN);
    let object = object.with_meta(meta).map_err(|error| refuse(error.to_string()))?;
    let pixels = object.get(tags::PIXEL_DATA).and_then(|pixels| pixels.header().len.get());
    let mut file = Vec::with_capacity(pixels.unwrap_or_default() as usize + HEADER_BYTES);
    object.write_all(&mut file).map_err(|error| refuse(error.to_string()))?;
    Ok(ReportObject { kind: naming.kind, reference: naming.reference(), file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_string_is_short_and_says_the_number() {
        for value in
            [0.0, -0.0, 1.0, 0.7, -180.123_456_789_012_3, 1e-17, 123_456_789_012_345_680.0, -0.000_123_456_789_012]
        {
            let text = decimal(value);
            assert!(text.len() <= 16, "{text}");
            let read: f64 = text.parse().unwrap();
            assert!((read - value).abs() <= value.abs() * 1e-8, "{value} {text}");
        }
        assert_eq!(decimal(-0.0), "0");
    }
}
