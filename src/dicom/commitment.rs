//! The messages of Storage Commitment, push model (PS3.4 annex J): a node is asked whether it has objects for good, and reports
//! which of them it has.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};

use super::attributes::text;

/// The data set of an N-ACTION that asks for commitment of these: SOP class and instance UID each.
///
/// # Errors
/// If it cannot be encoded.
pub(crate) fn commitment_request(
    transaction_uid: &str,
    objects: &[(&str, &str)],
    transfer_syntax_uid: &str,
) -> Result<Vec<u8>, String> {
    let uid = |tag, uid: &str| DataElement::new(tag, VR::UI, PrimitiveValue::from(uid));
    let items: Vec<InMemDicomObject> = objects
        .iter()
        .map(|(class, instance)| {
            InMemDicomObject::from_element_iter([
                uid(tags::REFERENCED_SOP_CLASS_UID, class),
                uid(tags::REFERENCED_SOP_INSTANCE_UID, instance),
            ])
        })
        .collect();
    let request = InMemDicomObject::from_element_iter([
        uid(tags::TRANSACTION_UID, transaction_uid),
        DataElement::new(tags::REFERENCED_SOP_SEQUENCE, VR::SQ, DataSetSequence::from(items)),
    ]);
    let syntax = if transfer_syntax_uid == uids::IMPLICIT_VR_LITTLE_ENDIAN {
        IMPLICIT_VR_LITTLE_ENDIAN.erased()
    } else {
        EXPLICIT_VR_LITTLE_ENDIAN.erased()
    };
    let mut bytes = Vec::new();
    request.write_dataset_with_ts(&mut bytes, &syntax).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// What a node reports (PS3.4 table J.3-2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitmentReport {
    pub transaction_uid: String,
    /// SOP Instance UIDs of what it has for good.
    pub committed: Vec<String>,
    /// What it has not: SOP Instance UID and Failure Reason (0008,1197).
    pub failed: Vec<(String, u16)>,
}

impl CommitmentReport {
    /// Reads the data set of an N-EVENT-REPORT; `None` if it names no transaction.
    #[must_use]
    pub fn read(data_set: &InMemDicomObject) -> Option<Self> {
        let items = |tag| data_set.get(tag).and_then(|element| element.items()).unwrap_or_default().iter();
        let instance = |item: &InMemDicomObject| text(item, tags::REFERENCED_SOP_INSTANCE_UID);
        let reason = |item: &InMemDicomObject| item.get(tags::FAILURE_REASON).and_then(|reason| reason.to_int().ok());
        let report = Self {
            transaction_uid: text(data_set, tags::TRANSACTION_UID),
            committed: items(tags::REFERENCED_SOP_SEQUENCE).map(instance).collect(),
            failed: items(tags::FAILED_SOP_SEQUENCE)
                .map(|item| (instance(item), reason(item).unwrap_or_default()))
                .collect(),
        };
        (!report.transaction_uid.is_empty()).then_some(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_each_object_and_a_report_says_which_are_kept() {
        let bytes =
            commitment_request("1.2.3", &[("1.1", "1.4"), ("1.1", "1.5")], uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap();
        let mut read =
            InMemDicomObject::read_dataset_with_ts(bytes.as_slice(), &EXPLICIT_VR_LITTLE_ENDIAN.erased()).unwrap();
        let failed = InMemDicomObject::from_element_iter([
            DataElement::new(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, PrimitiveValue::from("1.6")),
            DataElement::new(tags::FAILURE_REASON, VR::US, PrimitiveValue::from(0x0112_u16)),
        ]);
        read.put(DataElement::new(tags::FAILED_SOP_SEQUENCE, VR::SQ, DataSetSequence::from(vec![failed])));
        let report = CommitmentReport {
            transaction_uid: "1.2.3".to_owned(),
            committed: vec!["1.4".to_owned(), "1.5".to_owned()],
            failed: vec![("1.6".to_owned(), 0x0112)],
        };
        assert_eq!(CommitmentReport::read(&read), Some(report));
        assert_eq!(CommitmentReport::read(&InMemDicomObject::new_empty()), None);
    }
}
