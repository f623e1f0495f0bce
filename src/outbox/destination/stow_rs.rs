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
            let meaning = |status, text: &str| meaning(status, text, &object.sop_instance_uid);
            self.http.deliver(delivery, &self.url, &headers, &body, meaning, tell)?;
        }
        Ok(())
    }
}

// Attributes of the answer (PS3.18 section 10.5.3), as DICOM JSON names them.
const REFERENCED_SOP_SEQUENCE: &str = "00081199";
const REFERENCED_SOP_INSTANCE_UID: &str = "00081155";
const WARNING_REASON: &str = "00081196";
const FAILURE_REASON: &str = "00081197";
/// Failed SOP Sequence, Other Failures Sequence.
const FAILURES: [&str; 2] = ["00081198", "0008119A"];
/// What some services give as the reason that the object is there already.
const IS_THERE: u16 = 0xB00E;

/// What the answer to a request with one object means: the object's own status where there is one, else that of the request. A
/// service that has stored it names it; any page can say 200.
fn meaning(status: StatusCode, body: &str, sop_instance_uid: &str) -> Answer {
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    let parsed = parsed.as_ref().and_then(|parsed| parsed.as_array().map_or(Some(parsed), |items| items.first()));
    let item = |sequence: &str| parsed?.get(sequence)?.get("Value")?.get(0);
    let number = |item: &Value, tag: &str| {
        let value = item.get(tag)?.get("Value")?.get(0)?;
        u16::try_from(value.as_u64().or_else(|| value.as_str()?.parse().ok())?).ok()
    };
    if let Some(failed) = FAILURES.into_iter().find_map(item) {
        return match number(failed, FAILURE_REASON) {
            Some(IS_THERE) => Answer::Stored(Some(format!("it was there already ({IS_THERE:04X})"))),
            // A failure that names no fault is one.
            Some(0) | None => Answer::Refused("it lists the object as failed, without a reason".to_owned()),
            Some(reason) => answer(reason),
        };
    }
    let names_it =
        |item: &Value| item.get(REFERENCED_SOP_INSTANCE_UID).is_some_and(|uid| uid["Value"][0] == sop_instance_uid);
    let is_named = match parsed {
        Some(parsed) => {
            parsed[REFERENCED_SOP_SEQUENCE]["Value"].as_array().is_some_and(|items| items.iter().any(names_it))
        }
        // In the other form of DICOM, XML, the same tags stand only where they have items.
        None => body.contains(sop_instance_uid) && !FAILURES.iter().any(|tag| body.contains(tag)),
    };
    match http::answer(status) {
        Answer::Stored(_) if !is_named => {
            Answer::NotNow(format!("it answered {status} and did not say that it stored the object"))
        }
        Answer::Stored(_) => {
            let warning = item(REFERENCED_SOP_SEQUENCE).and_then(|stored| number(stored, WARNING_REASON));
            Answer::Stored(warning.map(|warning| format!("stored with warning {warning:04X}")))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const UID: &str = "2.25.7";

    fn failed(sequence: &str, item: &Value) -> Value {
        json!({ sequence: { "vr": "SQ", "Value": [item] } })
    }

    fn reason(reason: u16) -> Value {
        json!({ "00081155": { "vr": "UI", "Value": [UID] }, "00081197": { "vr": "US", "Value": [reason] } })
    }

    #[test]
    fn what_a_server_says_of_itself_costs_the_object_nothing() {
        for status in [301, 401, 403, 404, 408, 429, 500, 502, 503, 507] {
            let answer = meaning(StatusCode::from_u16(status).unwrap(), "", UID);
            assert!(matches!(answer, Answer::NotNow(_)), "{status}");
        }
        for status in [400, 406, 409, 413, 415] {
            let answer = meaning(StatusCode::from_u16(status).unwrap(), "", UID);
            assert!(matches!(answer, Answer::Refused(_)), "{status}");
        }
    }

    #[test]
    fn the_objects_own_status_counts_before_the_requests() {
        let [failures, others] = FAILURES;
        let said = |body: Value| meaning(StatusCode::OK, &body.to_string(), UID);
        assert!(matches!(said(failed(failures, &reason(0xA700))), Answer::NotNow(_)));
        assert!(matches!(said(json!([failed(failures, &reason(0xC000))])), Answer::Refused(_)));
        assert!(matches!(said(failed(failures, &reason(0))), Answer::Refused(_)));
        assert!(matches!(said(failed(others, &json!({}))), Answer::Refused(_)));
        for there in [0x0111, IS_THERE] {
            assert!(matches!(said(failed(failures, &reason(there))), Answer::Stored(Some(_))));
        }
    }

    #[test]
    fn only_who_names_the_object_has_stored_it() {
        let mut stored = failed(REFERENCED_SOP_SEQUENCE, &json!({ "00081155": { "vr": "UI", "Value": [UID] } }));
        assert_eq!(meaning(StatusCode::OK, &stored.to_string(), UID), Answer::Stored(None));
        // Orthanc always has the sequence of what failed, empty as a rule.
        stored["00081198"] = json!({ "vr": "SQ" });
        assert_eq!(meaning(StatusCode::OK, &stored.to_string(), UID), Answer::Stored(None));
        let xml = format!("<DicomAttribute tag=\"00081199\"><Value>{UID}</Value></DicomAttribute>");
        assert_eq!(meaning(StatusCode::OK, &xml, UID), Answer::Stored(None));
        for page in ["", "<html>log in</html>", "{", &xml.replace("00081199", "00081198")] {
            assert!(matches!(meaning(StatusCode::OK, page, UID), Answer::NotNow(_)), "{page}");
        }
    }
}
