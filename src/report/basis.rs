//! What a report rests on, beside its own words.

use std::path::PathBuf;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use jiff::Timestamp;
use jiff::tz::Offset;
use sha2::{Digest as _, Sha256};

use super::elements::Put as _;
use crate::exam::SourceImage;
use crate::hex::hex;
use crate::triage::Segmentation;

/// What the report of a complete exam was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportBasis {
    /// When the verdict was given.
    pub concluded: Timestamp,
    /// The judged slices in ascending z; none where no series was judged.
    pub images: Vec<SourceImage>,
    /// What was drawn on them.
    pub segmentation: Option<Segmentation>,
    /// A file of the exam that says whose it is: a judged slice, where there is one.
    pub described_by: Option<PathBuf>,
}

/// What the header of a judged slice says that holds for all that is made from it: the elements of the Patient and General Study
/// modules (PS3.3 C.7.1.1, C.7.2.1), their text in the bytes of the sender's own character set, and what the fields say.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceHeader {
    elements: Vec<InMemElement>,
    pub study_instance_uid: String,
    pub frame_of_reference_uid: Option<String>,
    /// Timezone Offset From UTC (0008,0201): all times of an object are in it, the copied ones too.
    pub utc_offset: Option<Offset>,
    /// Where the pixels have been through a lossy compression, what is said of it: Lossy Image Compression Ratio and Method
    /// (0028,2112), (0028,2114), as far as they are there. What is made from such pixels stays lossy (PS3.3 C.7.6.1.1.5).
    lossy_compression: Option<Vec<InMemElement>>,
}

/// What is copied where the source has it.
const COPIED: [Tag; 23] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::ISSUER_OF_ACCESSION_NUMBER_SEQUENCE,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_DESCRIPTION,
    tags::PROCEDURE_CODE_SEQUENCE,
    tags::PHYSICIANS_OF_RECORD,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_BIRTH_TIME,
    tags::PATIENT_SEX,
    tags::OTHER_PATIENT_I_DS_SEQUENCE,
    tags::PATIENT_AGE,
    tags::PATIENT_SIZE,
    tags::PATIENT_WEIGHT,
    tags::PATIENT_IDENTITY_REMOVED,
    tags::DEIDENTIFICATION_METHOD,
    tags::STUDY_ID,
];

/// Attributes of both modules that must stand there, if empty (type 2).
const TYPE_2: [(Tag, VR); 9] = [
    (tags::STUDY_DATE, VR::DA),
    (tags::STUDY_TIME, VR::TM),
    (tags::ACCESSION_NUMBER, VR::SH),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN),
    (tags::PATIENT_NAME, VR::PN),
    (tags::PATIENT_ID, VR::LO),
    (tags::PATIENT_BIRTH_DATE, VR::DA),
    (tags::PATIENT_SEX, VR::CS),
    (tags::STUDY_ID, VR::SH),
];

impl SourceHeader {
    /// Reads a header whose texts are still bytes (see `dicom::Keep::Undecoded`); `None` if it names no study.
    #[must_use]
    pub fn of(header: &InMemDicomObject) -> Option<Self> {
        // Bytes, whatever the value representation: those of text are not decoded.
        let text = |tag: Tag| {
            let value = header.get(tag)?.to_bytes().ok()?;
            let value = String::from_utf8_lossy(&value);
            let value = value.trim_matches([' ', '\0']);
            (!value.is_empty()).then(|| value.to_owned())
        };
        let mut elements: Vec<InMemElement> = COPIED.iter().filter_map(|tag| header.get(*tag).cloned()).collect();
        for (tag, vr) in TYPE_2 {
            if !elements.iter().any(|element| element.header().tag == tag) {
                elements.push(DataElement::new(tag, vr, PrimitiveValue::Empty));
            }
        }
        elements.sort_by_key(|element| element.header().tag);
        Some(Self {
            elements,
            study_instance_uid: text(tags::STUDY_INSTANCE_UID)?,
            frame_of_reference_uid: text(tags::FRAME_OF_REFERENCE_UID),
            utc_offset: text(tags::TIMEZONE_OFFSET_FROM_UTC).and_then(|text| utc_offset(&text)),
            lossy_compression: (text(tags::LOSSY_IMAGE_COMPRESSION).as_deref() == Some("01")).then(|| {
                let said = [tags::LOSSY_IMAGE_COMPRESSION_RATIO, tags::LOSSY_IMAGE_COMPRESSION_METHOD];
                said.iter().filter_map(|tag| header.get(*tag).cloned()).collect()
            }),
        })
    }

    /// Says whether an image made from the slice has been through a lossy compression.
    pub(super) fn put_compression_into(&self, object: &mut InMemDicomObject) {
        let is_lossy = if self.lossy_compression.is_some() { "01" } else { "00" };
        object.text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, is_lossy);
        for element in self.lossy_compression.iter().flatten() {
            object.put(element.clone());
        }
    }

    /// Puts the elements of both modules into an object.
    pub(super) fn put_into(&self, object: &mut InMemDicomObject) {
        for element in &self.elements {
            object.put(element.clone());
        }
        object.put(DataElement::new(
            tags::STUDY_INSTANCE_UID,
            VR::UI,
            PrimitiveValue::from(self.study_instance_uid.as_str()),
        ));
        if let Some(offset) = self.utc_offset {
            let minutes = offset.seconds() / 60;
            let sign = if minutes < 0 { '-' } else { '+' };
            let text = format!("{sign}{:02}{:02}", minutes.abs() / 60, minutes.abs() % 60);
            object.text(tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, &text);
        }
    }

    /// Names what it says.
    pub(super) fn digest(&self) -> String {
        hex(&Sha256::digest(format!("{self:?}")))
    }
}

/// Reads an offset such as "+0800" or "-0330" (PS3.3 C.12.1.1.8).
fn utc_offset(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i32 = digits.parse().ok()?;
    let (hours, minutes) = (number / 100, number % 100);
    let is_one = minutes < 60 && hours * 60 + minutes <= 14 * 60;
    is_one.then(|| Offset::from_seconds(sign * (hours * 60 + minutes) * 60).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(elements: &[(Tag, VR, &str)]) -> SourceHeader {
        let mut header = InMemDicomObject::new_empty();
        header.text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3");
        for (tag, vr, value) in elements {
            // As a header is read from a file: text is bytes, codes and numbers are not.
            match vr {
                VR::SH => {
                    header.put(DataElement::new(*tag, *vr, PrimitiveValue::U8(value.as_bytes().into())));
                }
                _ => {
                    header.text(*tag, *vr, value);
                }
            }
        }
        SourceHeader::of(&header).unwrap()
    }

    #[test]
    fn an_offset_is_taken_over_as_it_is_said_and_only_if_it_is_one() {
        for text in ["+0800", "-0330", "+0000", "+1400"] {
            let said = header(&[(tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, text)]);
            let mut object = InMemDicomObject::new_empty();
            said.put_into(&mut object);
            assert_eq!(object.get(tags::TIMEZONE_OFFSET_FROM_UTC).unwrap().to_str().unwrap(), text);
        }
        assert_eq!(utc_offset("-0330").unwrap().seconds(), -12_600);
        for text in ["", "0800", "+08", "+0860", "+2500", "+08:0", "é0800"] {
            assert_eq!(utc_offset(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_made_from_lossy_pixels_says_so() {
        let compression = |said: &SourceHeader| {
            let mut object = InMemDicomObject::new_empty();
            said.put_compression_into(&mut object);
            let text = |tag| object.get(tag).map(|element| element.to_str().unwrap().into_owned());
            [tags::LOSSY_IMAGE_COMPRESSION, tags::LOSSY_IMAGE_COMPRESSION_RATIO, tags::LOSSY_IMAGE_COMPRESSION_METHOD]
                .map(text)
        };
        assert_eq!(compression(&header(&[])), [Some("00".to_owned()), None, None]);
        let lossy = header(&[
            (tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01"),
            (tags::LOSSY_IMAGE_COMPRESSION_RATIO, VR::DS, "9.5"),
            (tags::LOSSY_IMAGE_COMPRESSION_METHOD, VR::CS, "ISO_15444_1"),
        ]);
        assert_eq!(compression(&lossy), ["01", "9.5", "ISO_15444_1"].map(|text| Some(text.to_owned())));
    }
}
