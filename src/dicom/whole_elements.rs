//! What is whole of a data set that is not: the elements before its fault.

use dicom_dictionary_std::uids;
use dicom_object::InMemDicomObject;
use std::io::Read;

use super::extent::{Encoding, Keep, read_data_set};

/// The identity is at the beginning: of a data set that does not inflate as a whole this much is enough.
const MOST_INFLATED: u64 = 4 << 20;

/// Reads the elements before a data set's fault, as far as they say whose it is. Empty where nothing can be read.
#[must_use]
pub fn read_before_fault(data_set: &[u8], transfer_syntax_uid: &str) -> InMemDicomObject {
    let mut inflated = Vec::new();
    let (data_set, syntax) = if transfer_syntax_uid == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
        // What comes before an error is what is wanted.
        let _ = flate2::read::DeflateDecoder::new(data_set).take(MOST_INFLATED).read_to_end(&mut inflated);
        (inflated.as_slice(), uids::EXPLICIT_VR_LITTLE_ENDIAN)
    } else {
        (data_set, transfer_syntax_uid)
    };
    let encoding = if syntax == uids::IMPLICIT_VR_LITTLE_ENDIAN { Encoding::ImplicitVr } else { Encoding::ExplicitVr };
    read_data_set(data_set, encoding, Keep::BeforeFault)
        .map_or_else(|_| InMemDicomObject::new_empty(), |read| read.object)
}

#[cfg(test)]
mod tests {
    use dicom_core::{DataElement, PrimitiveValue, VR};
    use dicom_dictionary_std::tags;
    use dicom_transfer_syntax_registry::entries::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};

    use super::*;
    use crate::exam::Identity;

    fn object() -> InMemDicomObject {
        let text = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
        InMemDicomObject::from_element_iter([
            text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100"),
            text(tags::PATIENT_NAME, VR::PN, "M\u{fc}ller"),
            text(tags::PATIENT_ID, VR::LO, "7"),
            text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2"),
            text(tags::SERIES_INSTANCE_UID, VR::UI, "1.3"),
            DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(vec![0; 100].into())),
        ])
    }

    #[test]
    fn whose_an_object_is_is_read_wherever_it_is_cut_off_behind() {
        let whole = Identity::read(&object());
        for (syntax, uid) in [
            (EXPLICIT_VR_LITTLE_ENDIAN.erased(), uids::EXPLICIT_VR_LITTLE_ENDIAN),
            (IMPLICIT_VR_LITTLE_ENDIAN.erased(), uids::IMPLICIT_VR_LITTLE_ENDIAN),
        ] {
            let mut data_set = Vec::new();
            object().write_dataset_with_ts(&mut data_set, &syntax).unwrap();
            let identities: Vec<Identity> =
                (0..data_set.len()).map(|end| Identity::read(&read_before_fault(&data_set[..end], uid))).collect();
            assert_eq!(identities.last(), Some(&whole));
            assert_eq!(identities[0], Identity::default());
            let known = identities.iter().filter(|identity| !identity.study_instance_uid.is_empty());
            assert!(
                known.clone().all(|identity| identity.patient == whole.patient),
                "a study stands behind its patient"
            );
            assert!(known.count() > 200);
        }
    }

    #[test]
    fn rubbish_says_nothing() {
        for bytes in [&b"Dear scanner, this is no image at all, only a letter."[..], &[0xFF; 300], &[]] {
            assert_eq!(Identity::read(&read_before_fault(bytes, uids::EXPLICIT_VR_LITTLE_ENDIAN)), Identity::default());
        }
    }
}
