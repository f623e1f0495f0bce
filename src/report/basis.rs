//! What a report rests on, beside its own words.

use std::path::PathBuf;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

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

/// The elements of the Patient and General Study modules (PS3.3 C.7.1.1, C.7.2.1) of a judged slice, their text in the bytes of
/// the sender's own character set; and the Frame of Reference UID of the slices.
#[derive(Debug, Clone, PartialEq)]
pub struct PatientAndStudy {
    elements: Vec<InMemElement>,
    pub study_instance_uid: String,
    pub frame_of_reference_uid: Option<String>,
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

impl PatientAndStudy {
    /// Reads a header whose texts are still bytes (see `dicom::Keep::Undecoded`); `None` if it names no study.
    #[must_use]
    pub fn of(header: &InMemDicomObject) -> Option<Self> {
        let uid = |tag: Tag| {
            let value = header.get(tag)?.to_str().ok()?;
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
            study_instance_uid: uid(tags::STUDY_INSTANCE_UID)?,
            frame_of_reference_uid: uid(tags::FRAME_OF_REFERENCE_UID),
        })
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
    }

    /// Names what it says.
    pub(super) fn digest(&self) -> String {
        hex(&Sha256::digest(format!("{self:?}")))
    }
}
