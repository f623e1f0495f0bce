//! What must reach others, and how far each of it has come.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::alert::Notice;
use crate::exam::ExamKey;
use crate::report::ObjectKind;

/// What is delivered, in the order in which a destination gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryKind {
    /// An instance as it was received.
    Original,
    Segmentation,
    SecondaryCapture,
    StructuredReport,
    /// The newest state of the exam, for people and systems elsewhere.
    Notification,
}

impl DeliveryKind {
    /// The kinds that a report becomes.
    pub const OF_REPORT: [Self; 3] = [Self::Segmentation, Self::SecondaryCapture, Self::StructuredReport];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Segmentation => "segmentation",
            Self::SecondaryCapture => "secondary_capture",
            Self::StructuredReport => "structured_report",
            Self::Notification => "notification",
        }
    }
}

impl From<ObjectKind> for DeliveryKind {
    fn from(kind: ObjectKind) -> Self {
        match kind {
            ObjectKind::Segmentation => Self::Segmentation,
            ObjectKind::SecondaryCapture => Self::SecondaryCapture,
            ObjectKind::StructuredReport => Self::StructuredReport,
        }
    }
}

/// How far a delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It waits to be made, or to be sent.
    Queued,
    /// It is on its way; after a restart nobody knows whether it arrived.
    Sending,
    /// It was on its way when the destination was lost: it may have arrived. The same bytes are sent again.
    Unsure,
    /// The destination said that it has it; it is to be asked whether for good.
    Stored,
    /// The destination was asked whether it has it for good.
    CommitmentAsked,
    /// The destination said that it has it; for good, where it is asked that.
    Done,
    /// The destination said that it has it, and never whether for good.
    DoneUnconfirmed,
    /// It cannot be made, or the destination refused it as such. Somebody must decide: retry or drop.
    Dead,
    /// A later verdict took its place before it was sent.
    Superseded,
    /// Somebody decided that it is not sent.
    Dropped,
}

impl DeliveryState {
    /// What somebody still has to do with: a worker, or a person.
    pub const UNSETTLED: [Self; 6] =
        [Self::Queued, Self::Sending, Self::Unsure, Self::Stored, Self::CommitmentAsked, Self::Dead];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Unsure => "unsure",
            Self::Stored => "stored",
            Self::CommitmentAsked => "commitment_asked",
            Self::Done => "done",
            Self::DoneUnconfirmed => "done_unconfirmed",
            Self::Dead => "dead",
            Self::Superseded => "superseded",
            Self::Dropped => "dropped",
        }
    }

    /// Whether it waits to be sent.
    #[must_use]
    pub fn is_open(self) -> bool {
        match self {
            Self::Queued | Self::Sending | Self::Unsure => true,
            Self::Stored
            | Self::CommitmentAsked
            | Self::Done
            | Self::DoneUnconfirmed
            | Self::Dead
            | Self::Superseded
            | Self::Dropped => false,
        }
    }
}

/// One object for one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Delivery {
    pub id: i64,
    pub exam: ExamKey,
    /// Which of the exam's verdicts it belongs to, from 1.
    pub revision: u32,
    pub kind: DeliveryKind,
    pub destination: String,
    pub state: DeliveryState,
    /// Why it is in its state, or what became of the last attempt.
    pub reason: Option<String>,
    /// When it was entered; of a notification that waits for somebody to see a flag, when it is due.
    #[schemars(with = "String")]
    pub queued: Timestamp,
    #[schemars(with = "String")]
    pub changed: Timestamp,
    /// How often it was refused or lost on its way.
    pub failures: u32,
    /// `None` of a notification, and until the objects of the verdict are made.
    pub object: Option<DeliveryObject>,
    /// What a notification says. It names the patient: listings do not have it.
    #[serde(skip)]
    pub notice: Option<Box<Notice>>,
}

/// What is sent: a Part 10 file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeliveryObject {
    pub path: PathBuf,
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    /// Of our own objects.
    pub series_instance_uid: Option<String>,
    pub transfer_syntax_uid: String,
    /// Of the file, where it is our own: what was made once is what is sent, ever.
    pub sha256: Option<String>,
}

/// Who gets something of each exam.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressee {
    /// The destination's name.
    pub name: String,
    pub gets: Gets,
}

/// What an addressee gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gets {
    /// The objects of each final verdict, and where wanted the instances as they were received.
    Objects { originals: bool },
    /// A notification of each new state: at once, or once a flag has not been acknowledged by a person for so long.
    Notifications { unseen_for: Option<SignedDuration> },
}
