//! Doors for the fuzz targets.

use std::time::Instant;

use super::negotiation::{Caller, negotiate};
use super::object::{Requested, check};
use crate::dicom::dimse::Request;
use crate::dicom::pdu::{Next, PduStream};

const MOST_PDU_BYTES: u32 = 16 * 1024;
const MOST_OBJECT_BYTES: u64 = 1 << 20;

/// Reads what a peer sends as an association does, up to the first error.
pub(crate) async fn read_all(bytes: &[u8], deadline: Instant) {
    let mut stream = PduStream::new(tokio::io::join(bytes, tokio::io::sink()), MOST_PDU_BYTES);
    let Ok(request) = stream.association_request(deadline).await else { return };
    let _ = negotiate(request, None, MOST_PDU_BYTES, Caller::Scanner);
    let mut message = Vec::new();
    while let Ok(Next::Fragment(head)) = stream.next(deadline).await {
        if stream.take_fragment(head, &mut message, deadline).await.is_err() {
            return;
        }
        assert!(message.len() <= bytes.len());
        if head.is_last {
            if head.is_command {
                let _ = Request::read(&message);
            }
            message.clear();
        }
    }
}

/// Checks an object that is announced as what it says it is, or as something else.
pub(crate) fn check_object(data_set: &[u8], transfer_syntax_uid: &str) {
    let requested = Requested {
        sop_class_uid: dicom_dictionary_std::uids::CT_IMAGE_STORAGE,
        sop_instance_uid: "1.2.3",
        transfer_syntax_uid,
    };
    let _ = check(data_set, &requested, MOST_OBJECT_BYTES);
}
