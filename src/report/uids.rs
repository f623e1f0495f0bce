//! UIDs that name what an object says: the same content has the same UID, any other content another one.

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use uuid::Builder;

use super::{Exam, ObjectKind, ReportBasis, ReportOptions};
use crate::hex::hex;
use crate::triage::CaseReport;

/// Rises when the same report is written down otherwise.
const FORMAT_VERSION: u32 = 1;

/// All that distinguishes an object from every other one.
#[derive(Serialize)]
struct Content<'a> {
    format_version: u32,
    program: &'static str,
    kind: ObjectKind,
    /// Which one of its kind.
    part: &'a str,
    /// What of the object is named: itself, its series, a lesion.
    named: &'a str,
    study_instance_uid: &'a str,
    source_header: String,
    sources: Vec<(&'a str, Option<u32>)>,
    model_sha256: &'a str,
    /// The moment, and the offset from UTC in which it is written.
    concluded: [String; 2],
    report: serde_json::Value,
    replaces: Option<&'a str>,
    options: &'a ReportOptions,
}

/// Names things of one kind of an exam's objects.
pub(super) struct Uids<'a> {
    exam: &'a Exam<'a>,
    options: &'a ReportOptions,
    kind: ObjectKind,
}

impl<'a> Uids<'a> {
    pub(super) fn new(exam: &'a Exam<'a>, kind: ObjectKind, options: &'a ReportOptions) -> Self {
        Self { exam, options, kind }
    }

    /// The kind's series.
    pub(super) fn series(&self) -> String {
        self.of("", "series")
    }

    /// An object of the kind; `part` says which one.
    pub(super) fn object(&self, part: &str) -> String {
        self.of(part, "object")
    }

    /// Something else that such an object names.
    pub(super) fn of(&self, part: &str, named: &str) -> String {
        let Exam { report, basis, source_header, replaces, .. } = self.exam;
        let mut report_value = said(report);
        // When it was suspected first stands on the summary page alone.
        if let Some(report) = report_value.as_object_mut()
            && self.kind != ObjectKind::SecondaryCapture
        {
            report.remove("early_flag");
        }
        let content = Content {
            format_version: FORMAT_VERSION,
            program: env!("CARGO_PKG_VERSION"),
            kind: self.kind,
            part,
            named,
            study_instance_uid: &source_header.study_instance_uid,
            source_header: source_header.digest(),
            sources: sources(basis),
            model_sha256: &report.model.sha256,
            concluded: [basis.concluded.to_string(), self.exam.offset().to_string()],
            report: report_value,
            replaces: replaces.map(|replaced| replaced.sop_instance_uid.as_str()),
            options: self.options,
        };
        uid_of(&serde_json::to_vec(&content).unwrap_or_default())
    }
}

/// What a report says: how long it took stands in no object.
fn said(report: &CaseReport) -> serde_json::Value {
    // Numbers, text and lists alone: that always is JSON.
    let mut value = serde_json::to_value(report).unwrap_or_default();
    if let Some(report) = value.as_object_mut() {
        report.remove("timing");
        // The sentence stands there in English.
        report.remove("reason_phrase");
    }
    value
}

/// The judged images: SOP instance UID and number of the frame.
fn sources(basis: &ReportBasis) -> Vec<(&str, Option<u32>)> {
    let mut sources: Vec<(&str, Option<u32>)> =
        basis.images.iter().map(|image| (image.sop_instance_uid.as_str(), image.frame_number)).collect();
    sources.sort_unstable();
    sources
}

/// Names what a verdict says and of what: one that says the same of the same images is no new one.
#[must_use]
pub fn content_digest(report: &CaseReport, basis: &ReportBasis) -> String {
    let mut said = said(report);
    // A scanner's dose report or scout after the verdict is no news, nor is on what or when it was computed.
    let removed = said.as_object_mut().map(|report| ["early_flag", "engine"].map(|field| report.remove(field)));
    debug_assert!(removed.is_some());
    if let Some(slices) = said.get_mut("slices").and_then(serde_json::Value::as_object_mut) {
        slices.retain(|count, _| !matches!(count.as_str(), "received" | "instances" | "kept"));
    }
    let content = serde_json::json!({ "report": said, "sources": sources(basis) });
    hex(&Sha256::digest(content.to_string()))
}

/// A UID under `2.25.` (PS3.5 B.2), from the SHA-256 of these bytes as a UUID of version 8.
pub(super) fn uid_of(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    format!("2.25.{}", Builder::from_custom_bytes(bytes).into_uuid().as_u128())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The database keeps reports as JSON.
    #[test]
    fn a_number_comes_back_from_json_with_the_same_bits() {
        for number in (1..20_000_u32).map(|at| f64::from(at).sqrt().recip() * 1e3) {
            let text = serde_json::to_string(&number).unwrap();
            assert_eq!(serde_json::from_str::<f64>(&text).unwrap().to_bits(), number.to_bits(), "{text}");
        }
    }

    #[test]
    fn a_uid_is_a_version_8_uuid_and_names_its_content() {
        let uid = uid_of(b"said");
        let number: u128 = uid.strip_prefix("2.25.").unwrap().parse().unwrap();
        assert_eq!((number >> 76 & 0xF, number >> 62 & 0b11), (8, 0b10));
        assert_eq!(uid_of(b"said"), uid);
        assert_ne!(uid_of(b"said otherwise"), uid);
    }
}
