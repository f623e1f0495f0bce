//! Notification by FHIR R4: a transaction of conditional updates, so that a repeated one changes nothing.

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Builder;

use super::http::{self, Http, HttpOptions};
use super::notification::{NoticeOptions, Notification, headline};
use super::{NodeFault, Tell};
use crate::alert::Notice;
use crate::database::Delivery;

/// Where to.
#[derive(Debug, Clone, PartialEq)]
pub struct FhirOptions {
    /// The server's base address.
    pub http: HttpOptions,
    pub notice: NoticeOptions,
}

pub(in crate::outbox) struct Fhir {
    options: FhirOptions,
    http: Http,
}

impl Fhir {
    /// # Errors
    /// If the server is reached by TLS and the authorities cannot be read.
    pub(super) fn new(options: FhirOptions) -> std::io::Result<Self> {
        Ok(Self { http: Http::new(options.http.clone())?, options })
    }

    pub(super) fn deliver(&self, delivery: &Delivery, tell: Tell<'_>) -> Result<(), NodeFault> {
        let Some(notification) = Notification::of(delivery, &self.options.notice, Timestamp::now()) else {
            return Ok(());
        };
        let body = bundle(&notification).to_string();
        let json = "application/fhir+json; charset=utf-8".to_owned();
        let headers = [("content-type", json), ("accept", "application/fhir+json".to_owned())];
        let meaning = |status, _: &str| http::answer(status);
        self.http.deliver(delivery, &self.options.http.url, &headers, body.as_bytes(), meaning, tell)
    }
}

const IDENTIFIERS: &str = "urn:tableside:exam";

/// The transaction (FHIR R4, "http", section 3.1.0.11): verdict, report and flags of the exam.
fn bundle(notification: &Notification) -> Value {
    let notice = &notification.notice;
    let observation = observation(notification);
    let report = report(notification, &full_url(notice, "verdict"));
    let flags = notice.flags.iter().map(|flag| {
        let name = format!("flag-{}", flag.kind.as_str());
        let resource = json!({
            "resourceType": "Flag",
            "identifier": [identifier(notice, &name)],
            "status": if flag.open { "active" } else { "inactive" },
            "code": { "text": format!("{}: {}", flag.title, flag.text) },
            "subject": subject(notice),
            "period": { "start": flag.raised.to_string() },
        });
        entry(notice, &name, &resource)
    });
    let entries: Vec<Value> =
        [entry(notice, "verdict", &observation), entry(notice, "report", &report)].into_iter().chain(flags).collect();
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries })
}

/// Nobody has verified what a program found: it stays preliminary.
fn observation(Notification { due, is_late, notice, .. }: &Notification) -> Value {
    let mut resource = json!({
        "resourceType": "Observation",
        "identifier": [identifier(notice, "verdict")],
        "status": "preliminary",
        "code": {
            "coding": [{ "system": "urn:tableside", "code": "verdict", "display": "Verdict" }],
            "text": "Automated analysis of a chest CT for signs of pneumonia",
        },
        "subject": subject(notice),
        "effectiveDateTime": notice.started.to_string(),
        "issued": due.to_string(),
        "note": notes(notice, *is_late),
    });
    if let Some(verdict) = notice.verdict {
        let coding = [json!({ "system": "urn:tableside:verdict", "code": verdict })];
        resource["valueCodeableConcept"] = json!({ "coding": coding, "text": headline(notice) });
    } else {
        let system = "http://terminology.hl7.org/CodeSystem/data-absent-reason";
        resource["dataAbsentReason"] = json!({ "coding": [{ "system": system, "code": "temp-unknown" }] });
    }
    resource
}

fn report(Notification { due, notice, .. }: &Notification, observation: &str) -> Value {
    let said: Vec<String> =
        notice
            .statements
            .iter()
            .map(|said| {
                if said.detail.is_empty() {
                    said.headline.clone()
                } else {
                    format!("{}: {}", said.headline, said.detail)
                }
            })
            .collect();
    json!({
        "resourceType": "DiagnosticReport",
        "identifier": [identifier(notice, "report")],
        "status": "preliminary",
        "code": { "coding": [{ "system": "http://loinc.org", "code": "24627-2", "display": "CT Chest" }] },
        "subject": subject(notice),
        "effectiveDateTime": notice.started.to_string(),
        "issued": due.to_string(),
        "result": [{ "reference": observation }],
        "conclusion": format!("{} {}", said.join(". "), notice.intended_use),
    })
}

fn notes(notice: &Notice, is_late: bool) -> Value {
    let mut notes = vec![notice.intended_use.clone()];
    notes.extend(Some(notice.reason.clone()).filter(|reason| !reason.is_empty()));
    notes.extend(is_late.then(|| "This message is late.".to_owned()));
    notes.iter().map(|text| json!({ "text": text })).collect()
}

/// Whom it is about: a patient by their identifier, or somebody who had this exam.
fn subject(notice: &Notice) -> Value {
    match &notice.patient {
        Some(patient) if !patient.id.is_empty() => {
            let mut subject = json!({ "type": "Patient", "identifier": { "value": patient.id } });
            if !patient.name.is_empty() {
                subject["display"] = patient.name.as_str().into();
            }
            subject
        }
        _ => json!({ "type": "Patient", "identifier": { "system": IDENTIFIERS, "value": notice.exam } }),
    }
}

fn identifier(notice: &Notice, name: &str) -> Value {
    json!({ "system": IDENTIFIERS, "value": format!("{}-{name}", notice.exam) })
}

fn full_url(notice: &Notice, name: &str) -> String {
    let digest = Sha256::digest(format!("{}-{name}", notice.exam));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    format!("urn:uuid:{}", Builder::from_custom_bytes(bytes).into_uuid())
}

fn entry(notice: &Notice, name: &str, resource: &Value) -> Value {
    let kind = resource["resourceType"].as_str().unwrap_or_default();
    // The bar between system and value is %7C in an address.
    let url = format!("{kind}?identifier={IDENTIFIERS}%7C{}-{name}", notice.exam);
    let full_url = full_url(notice, name);
    json!({ "fullUrl": full_url, "resource": resource, "request": { "method": "PUT", "url": url } })
}
