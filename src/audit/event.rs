//! What is recorded.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::exam::ExamKey;

/// How many instances there are of each SOP class.
pub type Instances = BTreeMap<String, usize>;

/// Whose exam it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    /// Empty where it is not known.
    pub study_instance_uid: String,
    pub patient_id: String,
    /// As the exam stands in logs.
    pub exam: Option<ExamKey>,
}

/// A peer that speaks DICOM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Empty where it did not come to say it.
    pub ae_title: String,
    pub address: String,
}

/// A person, as far as known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Person {
    /// Somebody at a browser: the address, the account where somebody has logged in, and the name or the initials that were given.
    AtConsole {
        address: String,
        #[serde(default)]
        account: Option<String>,
        initials: Option<String>,
    },
    /// Somebody at the command line: the user of the system, and who became that user by sudo.
    AtShell { user: String, sudo_user: Option<String> },
}

/// What was tried, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Done,
    Failed(String),
}

/// What leaves the appliance by a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExportKind {
    Report,
    Backup,
    SupportBundle,
    Cases,
}

/// What somebody decided about deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    SendAgain,
    GiveUp,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Started,
    Stopped,
    /// The first instance of a study came over an association.
    ReceivingBegan {
        from: Peer,
        subject: Subject,
    },
    /// What came of a study over an association that has ended, or what was refused of it.
    Received {
        from: Peer,
        subject: Subject,
        instances: Instances,
        outcome: Outcome,
    },
    CallerRefused {
        peer: Peer,
        reason: String,
    },
    /// Somebody logged in, or could not.
    LoggedIn {
        who: Person,
        outcome: Outcome,
    },
    LoggedOut {
        who: Person,
    },
    /// An account, a kiosk or a set-up link was made, changed or taken back.
    AccessChanged {
        who: Person,
        whose: String,
        change: String,
    },
    /// Somebody was shown an exam.
    Viewed {
        who: Person,
        subject: Subject,
    },
    Acknowledged {
        who: Person,
        subject: Subject,
        flag: String,
    },
    /// Somebody recorded what became of a verdict.
    OutcomeRecorded {
        who: Person,
        subject: Subject,
        outcome: String,
    },
    /// Objects for a destination, or what it refused of them.
    Delivered {
        destination: String,
        address: String,
        subject: Subject,
        instances: Instances,
        outcome: Outcome,
    },
    /// The state of an exam for a destination, or that it refused it.
    Notified {
        destination: String,
        address: String,
        subject: Subject,
        outcome: Outcome,
    },
    Exported {
        who: Person,
        kind: ExportKind,
        file: String,
        subject: Option<Subject>,
    },
    /// A copy of the database was put in its place.
    Restored {
        who: Person,
        file: String,
    },
    DeliveriesDecided {
        who: Person,
        decision: Decision,
        chosen: String,
        count: usize,
    },
    /// The configuration was read again; these sections wait for a restart.
    ConfigurationChanged {
        waiting: Vec<String>,
    },
    /// Another model package serves from the next start on.
    ModelChanged {
        who: Person,
        serves: String,
        before: String,
    },
    TrailVerified {
        who: Person,
        outcome: Outcome,
    },
    /// More happened than could be kept while the disk took nothing.
    RecordsLost {
        count: u64,
    },
    /// A record was half written when the daemon ended.
    TailSetAside {
        bytes: u64,
        file: String,
    },
    /// The last records could not be read at a start: the chain goes on behind the last one that could.
    TrailDamaged {
        last_readable: u64,
    },
    /// Whole files went for their age.
    TrailShortened {
        through: u64,
    },
}

/// An event and its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Noted {
    pub at: Timestamp,
    pub event: Event,
}

impl Event {
    /// The event in metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::ReceivingBegan { .. } => "receiving_began",
            Self::Received { .. } => "received",
            Self::CallerRefused { .. } => "caller_refused",
            Self::LoggedIn { .. } => "logged_in",
            Self::LoggedOut { .. } => "logged_out",
            Self::AccessChanged { .. } => "access_changed",
            Self::Viewed { .. } => "viewed",
            Self::Acknowledged { .. } => "acknowledged",
            Self::OutcomeRecorded { .. } => "outcome_recorded",
            Self::Delivered { .. } => "delivered",
            Self::Notified { .. } => "notified",
            Self::Exported { .. } => "exported",
            Self::Restored { .. } => "restored",
            Self::DeliveriesDecided { .. } => "deliveries_decided",
            Self::ConfigurationChanged { .. } => "configuration_changed",
            Self::ModelChanged { .. } => "model_changed",
            Self::TrailVerified { .. } => "trail_verified",
            Self::RecordsLost { .. } => "records_lost",
            Self::TailSetAside { .. } => "tail_set_aside",
            Self::TrailDamaged { .. } => "trail_damaged",
            Self::TrailShortened { .. } => "trail_shortened",
        }
    }
}

impl Subject {
    /// An exam of which no more is known.
    #[must_use]
    pub fn of_exam(exam: &ExamKey) -> Self {
        Self { study_instance_uid: String::new(), patient_id: String::new(), exam: Some(exam.clone()) }
    }
}
