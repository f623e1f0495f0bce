//! What other systems are told of an exam: always all of its newest state, so that a notice that is late, lost or repeated does no
//! harm.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::flag::{Acknowledgement, Flag, FlagKind, Flags};
use super::flag_text::Severity;
use super::moment::FlagState;
use super::statement::{Action, Level, Stage, statements};
use crate::analysis::ExamView;
use crate::exam::{ExamKey, Patient};
use crate::triage::{INTENDED_USE, Verdict};

/// Rises when a field changes its meaning or goes.
const SCHEMA_VERSION: u32 = 1;

/// The state of an exam.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    pub schema_version: u32,
    pub intended_use: String,
    pub exam: ExamKey,
    pub stage: Stage,
    /// The verdict that stands; absent while none does.
    pub verdict: Option<Verdict>,
    /// Why the verdict is what it is, in words; empty without one.
    pub reason: String,
    /// There was an earlier verdict.
    pub revised: bool,
    /// What the exam says, gravest first.
    pub statements: Vec<NoticeStatement>,
    pub flags: Vec<NoticeFlag>,
    /// The AE title of the scanner.
    pub scanner: String,
    /// When its first slice came.
    #[schemars(with = "String")]
    pub started: Timestamp,
    /// Absent unless the destination is configured to get it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<Patient>,
}

/// One thing that an exam says, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoticeStatement {
    pub level: Level,
    pub action: Action,
    pub headline: String,
    /// What was found and why; may be empty.
    pub detail: String,
}

/// What people were told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoticeFlag {
    pub kind: FlagKind,
    pub state: FlagState,
    pub severity: Severity,
    /// It asks for something.
    pub open: bool,
    pub title: String,
    pub text: String,
    #[schemars(with = "String")]
    pub raised: Timestamp,
    /// Which person has seen it, and when.
    pub acknowledged: Option<Acknowledgement>,
}

impl NoticeFlag {
    fn of(flag: &Flag) -> Self {
        Self {
            kind: flag.kind,
            state: flag.state,
            severity: flag.severity,
            open: flag.is_open(),
            title: flag.title().to_string(),
            text: flag.text.clone(),
            raised: flag.raised,
            acknowledged: flag.acknowledged.clone(),
        }
    }
}

impl Notice {
    /// What there is to tell of an exam; `None` while it has neither a flag nor a verdict.
    #[must_use]
    pub fn of(exam: &ExamView, flags: &Flags) -> Option<Self> {
        let stage = Stage::of(exam);
        if flags.all().is_empty() && stage == Stage::Preliminary {
            return None;
        }
        let verdict = exam.verdict.filter(|_| stage != Stage::Preliminary);
        let said = statements(exam, flags.all(), None);
        Some(Self {
            schema_version: SCHEMA_VERSION,
            intended_use: INTENDED_USE.to_owned(),
            exam: exam.key.clone(),
            stage,
            verdict,
            reason: verdict.map(|_| exam.reason.clone()).unwrap_or_default(),
            revised: exam.revised,
            // How much has been received so far is no news.
            statements: said
                .into_iter()
                .filter(|said| said.level != Level::Receiving)
                .map(|said| NoticeStatement {
                    level: said.level,
                    action: said.action,
                    headline: said.headline,
                    detail: said.detail,
                })
                .collect(),
            flags: flags.all().iter().map(NoticeFlag::of).collect(),
            scanner: exam.scanner.clone(),
            started: exam.started,
            patient: Some(exam.patient.clone()),
        })
    }

    /// Since when a flag asks for something and no person has seen it.
    #[must_use]
    pub fn unseen_since(&self) -> Option<Timestamp> {
        let unseen = self.flags.iter().filter(|flag| flag.open && flag.acknowledged.is_none());
        unseen.map(|flag| flag.raised).min()
    }

    /// Whether something that was told does not stand any more, or stands anew.
    #[must_use]
    pub fn corrects(&self) -> bool {
        self.revised || self.flags.iter().any(|flag| flag.state == FlagState::Withdrawn)
    }
}

/// The JSON schema of [`Notice`].
#[must_use]
pub fn notice_schema() -> serde_json::Value {
    schemars::schema_for!(Notice).to_value()
}
