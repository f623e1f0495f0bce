//! Where things are delivered, and what an answer means.

mod c_store;
mod fhir;
mod hl7;
mod http;
mod notification;
mod stow_rs;
mod webhook;

use std::time::Duration;

use jiff::SignedDuration;
use sha2::{Digest as _, Sha256};

pub use c_store::CStoreOptions;
pub use fhir::FhirOptions;
pub use hl7::Hl7Options;
pub use http::HttpOptions;
pub use notification::NoticeOptions;
pub use webhook::WebhookOptions;

use crate::backoff::RetryLimits;
use crate::client_tls::{host_of, host_of_url};
use crate::database::{DatabaseError, Delivery, DeliveryObject, Gets};
use crate::dicom::CommitmentReport;
use crate::hex::hex;

/// A configured destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Destination {
    /// As it stands in rows, metrics and messages.
    pub name: String,
    pub route: Route,
    /// It also gets the instances as they were received.
    pub forward: bool,
    pub retry: RetryLimits,
}

/// How a destination is reached.
#[derive(Debug, Clone, PartialEq)]
pub enum Route {
    /// DICOM's own network service (PS3.4 annex B).
    CStore(CStoreOptions),
    /// `DICOMweb` (PS3.18 section 10.5).
    StowRs(HttpOptions),
    /// Standard Webhooks.
    Webhook(WebhookOptions),
    /// HL7 v2 over MLLP.
    Hl7(Hl7Options),
    Fhir(FhirOptions),
}

impl Route {
    /// Where it leads, without what may be secret in an address.
    pub(super) fn address(&self) -> String {
        match self {
            Self::CStore(options) => options.target.to_string(),
            Self::Hl7(options) => options.address.clone(),
            Self::StowRs(http) | Self::Webhook(WebhookOptions { http, .. }) | Self::Fhir(FhirOptions { http, .. }) => {
                http::host_of(&http.url).to_owned()
            }
        }
    }
}

impl Destination {
    /// Where it is reached: a name or an address, without a port. Empty where its URL names none.
    #[must_use]
    pub fn host(&self) -> String {
        match &self.route {
            Route::CStore(options) => options.target.host.clone(),
            Route::Hl7(options) => host_of(&options.address).to_owned(),
            Route::StowRs(http)
            | Route::Webhook(WebhookOptions { http, .. })
            | Route::Fhir(FhirOptions { http, .. }) => host_of_url(&http.url),
        }
    }

    /// What it gets of each exam.
    #[must_use]
    pub fn gets(&self) -> Gets {
        let notice = match &self.route {
            Route::CStore(_) | Route::StowRs(_) => return Gets::Objects { originals: self.forward },
            Route::Webhook(options) => &options.notice,
            Route::Hl7(options) => &options.notice,
            Route::Fhir(options) => &options.notice,
        };
        let unseen_for = notice.unseen_for.map(|time| SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX));
        Gets::Notifications { unseen_for }
    }
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Sending,
    /// It is stored; the text is what the destination remarked.
    Done(Option<String>),
    /// The destination refused the object as such, or it cannot be sent.
    Dead(String),
    /// It was not sent after all: the destination was not reached.
    NotSent(String),
    /// The destination refused it for a reason of its own: it waits again.
    Back(String),
    /// The destination was lost before it answered.
    Unsure(String),
}

/// Why nothing goes to a destination at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeFault {
    pub reason: String,
    /// How long the destination asks to be left alone.
    pub retry_after: Option<Duration>,
    /// It came up with one object: others may fare better.
    pub is_at_an_object: bool,
}

impl NodeFault {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retry_after: None, is_at_an_object: false }
    }

    pub(super) fn at_an_object(reason: impl Into<String>) -> Self {
        Self { is_at_an_object: true, ..Self::new(reason) }
    }
}

impl From<DatabaseError> for NodeFault {
    fn from(error: DatabaseError) -> Self {
        Self::new(format!("what was delivered cannot be noted: {error}"))
    }
}

/// Hears of each step before the next one is made. `false` in answer to `Sending` where the object is not to be sent any more.
pub(super) type Tell<'a> = &'a mut dyn FnMut(&Delivery, Step) -> Result<bool, NodeFault>;

/// Hears what a destination reports; whether it was asked for.
pub(super) type Report<'a> = &'a dyn Fn(&CommitmentReport) -> bool;

/// The way to a destination.
pub(super) enum Way {
    CStore(c_store::CStore),
    StowRs(stow_rs::StowRs),
    Webhook(webhook::Webhook),
    Hl7(Box<Hl7Options>),
    Fhir(fhir::Fhir),
}

impl Way {
    /// # Errors
    /// If the system does not let it be prepared.
    pub(super) fn to(route: Route) -> std::io::Result<Self> {
        Ok(match route {
            Route::CStore(options) => Self::CStore(c_store::CStore::new(options)?),
            Route::StowRs(options) => Self::StowRs(stow_rs::StowRs::new(options)?),
            Route::Webhook(options) => Self::Webhook(webhook::Webhook::new(options)?),
            Route::Hl7(options) => Self::Hl7(Box::new(options)),
            Route::Fhir(options) => Self::Fhir(fhir::Fhir::new(options)?),
        })
    }

    /// After how long without a report it is asked again whether it has things for good; `None` where it is not asked.
    pub(super) fn commitment_patience(&self) -> Option<Duration> {
        match self {
            Self::CStore(way) => way.commitment_patience(),
            Self::StowRs(_) | Self::Webhook(_) | Self::Hl7(_) | Self::Fhir(_) => None,
        }
    }

    /// Asks whether it has these for good. What it reports on the same association is handed to `report`.
    ///
    /// # Errors
    /// If it cannot be asked at present.
    pub(super) fn ask(&self, batch: &[Delivery], transaction_uid: &str, report: Report<'_>) -> Result<(), NodeFault> {
        match self {
            Self::CStore(way) => way.ask(batch, transaction_uid, report),
            Self::StowRs(_) | Self::Webhook(_) | Self::Hl7(_) | Self::Fhir(_) => Ok(()),
        }
    }

    /// Sends these, one after the other.
    ///
    /// # Errors
    /// If the destination takes nothing at present; what was told before holds.
    pub(super) fn deliver(&self, batch: &[Delivery], tell: Tell<'_>) -> Result<(), NodeFault> {
        match self {
            Self::CStore(way) => way.deliver(batch, tell),
            Self::StowRs(way) => way.deliver(batch, tell),
            Self::Webhook(way) => batch.iter().try_for_each(|delivery| way.deliver(delivery, tell)),
            Self::Hl7(options) => batch.iter().try_for_each(|delivery| hl7::deliver(options, delivery, tell)),
            Self::Fhir(way) => batch.iter().try_for_each(|delivery| way.deliver(delivery, tell)),
        }
    }
}

/// What a status of the storage service means (PS3.4 table B.2-1, PS3.7 annex C; PS3.18 table 10.5.3-1 has the same reasons).
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Stored(Option<String>),
    /// Out of resources, processing failure, not authorised: it may take the object another time.
    NotNow(String),
    Refused(String),
}

/// Tells what an answer made of a delivery.
///
/// # Errors
/// If the destination does not take it now, or it cannot be noted.
fn settle(delivery: &Delivery, answer: Answer, tell: Tell<'_>) -> Result<(), NodeFault> {
    match answer {
        Answer::Stored(remark) => tell(delivery, Step::Done(remark)).map(drop),
        Answer::Refused(reason) => tell(delivery, Step::Dead(reason)).map(drop),
        Answer::NotNow(reason) => {
            tell(delivery, Step::Back(reason.clone()))?;
            Err(NodeFault::at_an_object(reason))
        }
    }
}

/// Tells that the destination was lost before it answered, which always is a fault.
fn lost(delivery: &Delivery, reason: String, tell: Tell<'_>) -> Result<(), NodeFault> {
    tell(delivery, Step::Unsure(reason.clone()))?;
    Err(NodeFault::at_an_object(reason))
}

fn answer(status: u16) -> Answer {
    match status {
        0x0000 => Answer::Stored(None),
        // Under a UID that names its content is what would have been sent.
        0x0111 => Answer::Stored(Some("it was there already (status 0111)".to_owned())),
        0xB000..=0xBFFF => Answer::Stored(Some(format!("stored with warning {status:04X}"))),
        0xA700..=0xA7FF => Answer::NotNow(format!("it is out of resources (status {status:04X})")),
        0x0110 => Answer::NotNow("it cannot process what it gets (status 0110)".to_owned()),
        0x0124 => Answer::NotNow("it does not authorise us (status 0124)".to_owned()),
        0xA900..=0xA9FF => Answer::Refused(format!("the object does not match its SOP class (status {status:04X})")),
        0xC000..=0xCFFF => Answer::Refused(format!("it does not understand the object (status {status:04X})")),
        other => Answer::Refused(format!("it refused the object with status {other:04X}")),
    }
}

/// The file of an object, which must be what was made.
fn file_of(object: &DeliveryObject) -> Result<Vec<u8>, String> {
    if object.sop_class_uid.is_empty() {
        return Err(format!("{} is no instance that could be sent", object.path.display()));
    }
    let file = std::fs::read(&object.path)
        .map_err(|error| format!("its file {} cannot be read: {error}", object.path.display()))?;
    match &object.sha256 {
        Some(sha256) if hex(&Sha256::digest(&file)) != *sha256 => {
            Err(format!("its file {} is not what was made: the disk or somebody changed it", object.path.display()))
        }
        _ => Ok(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_over_there_is_no_fault_of_the_object() {
        for status in [0xA700, 0xA7AB, 0x0110, 0x0124] {
            assert!(matches!(answer(status), Answer::NotNow(_)), "{status:04X}");
        }
        for status in [0xA900, 0xA9FF, 0xC000, 0xC123, 0x0122, 0x0117, 0xFE00] {
            assert!(matches!(answer(status), Answer::Refused(_)), "{status:04X}");
        }
        assert_eq!(answer(0), Answer::Stored(None));
        assert_eq!(answer(0xB007), Answer::Stored(Some("stored with warning B007".to_owned())));
    }
}
