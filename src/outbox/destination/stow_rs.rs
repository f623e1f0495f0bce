//! Delivery by STOW-RS (PS3.18 section 10.5): one request an object, so that each has its own answer.

use serde_json::Value;
use ureq::http::StatusCode;

use super::http::{self, Http, HttpOptions};
use super::{Answer, NodeFault, Step, Tell, answer, file_of};
use crate::database::Delivery;

pub(in crate::outbox) struct StowRs {
    url: String,
    http: Http,
}

/// Separates the parts of a body; nothing that begins like it is in a Part 10 file behind a line break by accident.
const BOUNDARY: &str = "tableside-part-10-9f3c2a71d85b4e06";

impl StowRs {
    /// # Errors
    /// If the service is reached by TLS and the authorities cannot be read.
    pub(super) fn new(options: HttpOptions) -> std::io::Result<Self> {
        let url = format!("{}/studies", options.url.trim_end_matches('/'));
        Ok(Self { url, http: Http::new(options)? })
    }

    pub(super) fn deliver(&self, batch: &[Delivery], tell: Tell<'_>) -> Result<(), NodeFault> {
        let content_type = format!("multipart/related; type=\"application/dicom\"; boundary={BOUNDARY}");
        let headers = [("content-type", content_type), ("accept", "application/dicom+json".to_owned())];
        for delivery in batch {
            let Some(object) = &delivery.object else { continue };
            let file = match file_of(object) {
                Ok(file) => file,
                Err(reason) => {
                    tell(delivery, Step::Dead(reason))?;
                    continue;
                }
            };
            let mut body = format!("--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n").into_bytes();
            body.extend_from_slice(&file);
            body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
            self.http.deliver(delivery, &self.url, &headers, &body, meaning, tell)?;
        }
        Ok(())
    }
}

// Attributes of the answer (PS3.18 section 10.5.3), as DICOM JSON names them.
const FAILED_SOP_SEQUENCE: &str = "00081198";
const FAILURE_REASON: &str = "00081197";
const REFERENCED_SOP_SEQUENCE: &str = "00081199";
const WARNING_REASON: &str = "00081196";

/// What the answer to a request with one object means: the object's own status where there is one, else that of the request.
fn meaning(status: StatusCode, body: &str) -> Answer {
    let body: Option<Value> = serde_json::from_str(body).ok();
    let reason = |sequence: &str, reason: &str| {
        let item = body.as_ref()?.get(sequence)?.get("Value")?.get(0)?;
        let value = item.get(reason)?.get("Value")?.get(0)?;
        u16::try_from(value.as_u64().or_else(|| value.as_str()?.parse().ok())?).ok()
    };
    if let Some(failure) = reason(FAILED_SOP_SEQUENCE, FAILURE_REASON) {
        return match answer(failure) {
            // A failure that names no fault is one.
            Answer::Stored(_) => Answer::Refused(format!("it lists the object as failed, with reason {failure:04X}")),
            other => other,
        };
    }
    match http::answer(status) {
        Answer::Stored(_) => {
            let warning = reason(REFERENCED_SOP_SEQUENCE, WARNING_REASON);
            Answer::Stored(warning.map(|warning| format!("stored with warning {warning:04X}")))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_itself_costs_the_object_nothing() {
        for status in [301, 401, 403, 404, 408, 429, 500, 502, 503, 507] {
            let answer = meaning(StatusCode::from_u16(status).unwrap(), "");
            assert!(matches!(answer, Answer::NotNow(_)), "{status}");
        }
        for status in [400, 406, 409, 413, 415] {
            let answer = meaning(StatusCode::from_u16(status).unwrap(), "");
            assert!(matches!(answer, Answer::Refused(_)), "{status}");
        }
    }

    #[test]
    fn the_objects_own_status_counts_before_the_requests() {
        let failed = |reason: u16| {
            let item = serde_json::json!({ "00081197": { "vr": "US", "Value": [reason] } });
            serde_json::json!({ "00081198": { "vr": "SQ", "Value": [item] } }).to_string()
        };
        assert!(matches!(meaning(StatusCode::CONFLICT, &failed(0xA700)), Answer::NotNow(_)));
        assert!(matches!(meaning(StatusCode::OK, &failed(0xC000)), Answer::Refused(_)));
        assert!(matches!(meaning(StatusCode::OK, &failed(0)), Answer::Refused(_)));
        let stored = serde_json::json!({ "00081199": { "vr": "SQ", "Value": [{}] } }).to_string();
        assert_eq!(meaning(StatusCode::OK, &stored), Answer::Stored(None));
    }
}
