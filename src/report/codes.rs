//! Coded terms of SNOMED CT, DICOM (PS3.16 annex D) and UCUM. No term says COVID-19: the model cannot tell it from another pneumonia.

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::elements::Put;

/// A coded term: what it is called in which scheme, and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code {
    pub value: &'static str,
    pub scheme: &'static str,
    pub meaning: &'static str,
}

impl Code {
    pub(super) const fn new(value: &'static str, scheme: &'static str, meaning: &'static str) -> Self {
        Self { value, scheme, meaning }
    }

    /// As an item of a code sequence (PS3.3 section 8.8).
    pub(super) fn item(&self) -> InMemDicomObject {
        let mut item = InMemDicomObject::new_empty();
        item.text(tags::CODE_VALUE, VR::SH, self.value).text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, self.scheme).text(
            tags::CODE_MEANING,
            VR::LO,
            self.meaning,
        );
        item
    }
}

/// Context group 7005.
pub(super) const PROCESSING_EQUIPMENT: Code = Code::new("109102", "DCM", "Processing Equipment");

/// Categories and types of segments (context groups 7150 and following).
pub(super) const ANATOMICAL_STRUCTURE: Code = Code::new("91723000", "SCT", "Anatomical Structure");
pub(super) const MORPHOLOGICALLY_ABNORMAL: Code = Code::new("49755003", "SCT", "Morphologically Abnormal Structure");
pub(super) const LUNG: Code = Code::new("39607008", "SCT", "Lung");
pub(super) const LESION: Code = Code::new("52988006", "SCT", "Lesion");
pub(super) const RIGHT: Code = Code::new("24028007", "SCT", "Right");
pub(super) const LEFT: Code = Code::new("7771000", "SCT", "Left");

/// What was done with a source image, and what it served for (context groups 7203 and 7202).
pub(super) const SEGMENTATION: Code = Code::new("113076", "DCM", "Segmentation");
pub(super) const SOURCE_IMAGE: Code = Code::new("121322", "DCM", "Source image for image processing operation");

/// Context group 7162.
pub(super) const ARTIFICIAL_INTELLIGENCE: Code = Code::new("123110", "DCM", "Artificial Intelligence");
