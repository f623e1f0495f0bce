//! The DIMSE messages that ingest speaks: C-ECHO, C-STORE, N-CREATE, N-SET and N-EVENT-REPORT (PS3.7 sections 9 and 10).

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN;

use super::{Encoding, Keep, read_data_set};

/// A response's status (PS3.7 annex C, PS3.4 table B.2-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u16);

impl Status {
    pub const SUCCESS: Self = Self(0x0000);
    pub const INVALID_ATTRIBUTE_VALUE: Self = Self(0x0106);
    pub const PROCESSING_FAILURE: Self = Self(0x0110);
    pub const DUPLICATE_SOP_INSTANCE: Self = Self(0x0111);
    pub const NO_SUCH_SOP_INSTANCE: Self = Self(0x0112);
    pub const MISSING_ATTRIBUTE: Self = Self(0x0120);
    pub const SOP_CLASS_NOT_SUPPORTED: Self = Self(0x0122);
    pub const UNRECOGNIZED_OPERATION: Self = Self(0x0211);
    pub const OUT_OF_RESOURCES: Self = Self(0xA700);
    pub const DATA_SET_DOES_NOT_MATCH: Self = Self(0xA900);
    /// Warning: stored, but a CT slice that cannot be analysed as it is.
    pub const DATA_SET_DOES_NOT_MATCH_WARNING: Self = Self(0xB007);
    pub const CANNOT_UNDERSTAND: Self = Self(0xC000);
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04X}H", self.0)
    }
}

const C_STORE_RQ: u16 = 0x0001;
const C_ECHO_RQ: u16 = 0x0030;
const N_EVENT_REPORT_RQ: u16 = 0x0100;
const N_SET_RQ: u16 = 0x0120;
const N_CREATE_RQ: u16 = 0x0140;
const C_CANCEL_RQ: u16 = 0x0FFF;
/// A response's command field is its request's with this bit set.
const RESPONSE: u16 = 0x8000;
const NO_DATA_SET: u16 = 0x0101;

/// A request, as its command set says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    field: u16,
    message_id: u16,
    /// Affected or Requested SOP Class UID.
    pub sop_class_uid: String,
    /// Affected or Requested SOP Instance UID; may be empty in an N-CREATE.
    pub sop_instance_uid: String,
    pub has_data_set: bool,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Echo,
    Store,
    Create,
    Set,
    /// Reports something that was asked for.
    EventReport,
    /// Asks to stop something that is over already; there is no answer to it.
    Cancel,
    /// Answers something that was never asked; there is no answer to it either.
    Response,
    /// Something that this node does not provide.
    Other(u16),
}

impl Operation {
    /// Whether the peer waits for a response (PS3.7 section 9.3.2.3 has none).
    #[must_use]
    pub(crate) fn is_answered(self) -> bool {
        !matches!(self, Self::Cancel | Self::Response)
    }
}

/// A command set that is no request.
#[derive(Debug, thiserror::Error)]
#[error("the command set cannot be understood: {0}")]
pub struct CommandError(String);

impl Request {
    /// Reads a command set, always Implicit VR Little Endian (PS3.7 section 6.3.1).
    ///
    /// # Errors
    /// If it cannot be read, lacks its command field, or its message ID although it wants an answer.
    pub(crate) fn read(command_set: &[u8]) -> Result<Self, CommandError> {
        let refuse = |error: &dyn std::fmt::Display| CommandError(error.to_string());
        let read = read_data_set(command_set, Encoding::ImplicitVr, Keep::Described);
        let command = read.map_err(|error| refuse(&error))?.object;
        let number = |tag| command.get(tag).and_then(|element| element.to_int::<u16>().ok());
        let text = |tag| super::attributes::text(&command, tag);
        let either =
            |affected, requested| Some(text(affected)).filter(|uid| !uid.is_empty()).unwrap_or_else(|| text(requested));
        let field = number(tags::COMMAND_FIELD).ok_or_else(|| refuse(&"it has no command field"))?;
        // What is not answered has the ID of the message that it is about, and none of its own (PS3.7 sections 9.3.2.3, 9.1.1.1).
        let is_answered = field != C_CANCEL_RQ && field & RESPONSE == 0;
        let message_id = number(if is_answered { tags::MESSAGE_ID } else { tags::MESSAGE_ID_BEING_RESPONDED_TO });
        let message_id = message_id.or((!is_answered).then_some(0));
        let data_set_type = number(tags::COMMAND_DATA_SET_TYPE);
        Ok(Self {
            field,
            message_id: message_id.ok_or_else(|| refuse(&"it has no message ID"))?,
            sop_class_uid: either(tags::AFFECTED_SOP_CLASS_UID, tags::REQUESTED_SOP_CLASS_UID),
            sop_instance_uid: either(tags::AFFECTED_SOP_INSTANCE_UID, tags::REQUESTED_SOP_INSTANCE_UID),
            has_data_set: data_set_type
                .map_or(matches!(field, C_STORE_RQ | N_SET_RQ | N_CREATE_RQ | N_EVENT_REPORT_RQ), |of_type| {
                    of_type != NO_DATA_SET
                }),
        })
    }

    #[must_use]
    pub(crate) fn operation(&self) -> Operation {
        match self.field {
            C_ECHO_RQ => Operation::Echo,
            N_CREATE_RQ => Operation::Create,
            N_SET_RQ => Operation::Set,
            N_EVENT_REPORT_RQ => Operation::EventReport,
            C_CANCEL_RQ => Operation::Cancel,
            C_STORE_RQ => Operation::Store,
            response if response & RESPONSE != 0 => Operation::Response,
            other => Operation::Other(other),
        }
    }

    /// The command set that answers this request.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub(crate) fn response(&self, status: Status) -> Result<Vec<u8>, CommandError> {
        let mut elements = vec![
            DataElement::new(tags::AFFECTED_SOP_CLASS_UID, VR::UI, PrimitiveValue::from(self.sop_class_uid.as_str())),
            DataElement::new(tags::COMMAND_FIELD, VR::US, PrimitiveValue::from(self.field | RESPONSE)),
            DataElement::new(tags::MESSAGE_ID_BEING_RESPONDED_TO, VR::US, PrimitiveValue::from(self.message_id)),
            DataElement::new(tags::COMMAND_DATA_SET_TYPE, VR::US, PrimitiveValue::from(NO_DATA_SET)),
            DataElement::new(tags::STATUS, VR::US, PrimitiveValue::from(status.0)),
        ];
        if !self.sop_instance_uid.is_empty() {
            let uid = PrimitiveValue::from(self.sop_instance_uid.as_str());
            elements.push(DataElement::new(tags::AFFECTED_SOP_INSTANCE_UID, VR::UI, uid));
        }
        let command = InMemDicomObject::command_from_element_iter(elements);
        let mut bytes = Vec::with_capacity(256);
        command
            .write_dataset_with_ts(&mut bytes, &IMPLICIT_VR_LITTLE_ENDIAN.erased())
            .map_err(|error| CommandError(error.to_string()))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_names_its_request() {
        let request = Request {
            field: C_STORE_RQ,
            message_id: 7,
            sop_class_uid: "1.2.840.10008.5.1.4.1.1.2".into(),
            sop_instance_uid: "1.2.3".into(),
            has_data_set: true,
        };
        let bytes = request.response(Status::DATA_SET_DOES_NOT_MATCH).unwrap();
        let response =
            InMemDicomObject::read_dataset_with_ts(bytes.as_slice(), &IMPLICIT_VR_LITTLE_ENDIAN.erased()).unwrap();
        let number = |tag| response.get(tag).unwrap().to_int::<u16>().unwrap();
        assert_eq!(number(tags::COMMAND_FIELD), 0x8001);
        assert_eq!(number(tags::MESSAGE_ID_BEING_RESPONDED_TO), 7);
        assert_eq!(number(tags::STATUS), 0xA900);
        assert_eq!(number(tags::COMMAND_GROUP_LENGTH) as usize, bytes.len() - 12);
    }

    #[test]
    fn a_length_that_puts_a_parser_out_of_step_is_refused_before_it_can_ask_for_gigabytes() {
        let element = |number: u8, length: u8| {
            let header = vec![0, 0, number, 0, length, 0, 0, 0];
            header.into_iter().chain(std::iter::repeat_n(0, length.into()))
        };
        // A parser reads four of seven bytes, and of what follows the length as 240 x 2^24.
        let command_set: Vec<u8> = element(0x00, 7).chain(element(0x02, 240)).collect();
        let error = Request::read(&command_set).unwrap_err().to_string();
        assert!(error.contains("no whole number of values"), "{error}");
    }

    #[test]
    fn rubbish_is_no_request() {
        assert!(Request::read(b"GET / HTTP/1.1\r\n\r\n").is_err());
        assert!(Request::read(&[]).is_err());
    }
}
