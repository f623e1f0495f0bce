//! What an exam says to people, gravest first. Whatever shows or sends an exam's state takes it from here (the console's banner, list
//! and title, and what goes to other systems), so that no two of them can disagree. Decisions are made here, the phrases in `words`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::flag::{Flag, FlagKind};
use super::flag_text::Severity;
use super::moment::FlagState;
use crate::analysis::{ExamState, ExamView};
use crate::exam::Remedy;
use crate::texts::Phrase;
use crate::triage::{SliceCounts, Verdict};

/// What is said, with what its words need. The codes are part of the interface: they stay.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "code", content = "parameters", rename_all = "snake_case")]
pub enum Message {
    /// The running score has crossed the early threshold, and no verdict has confirmed or withdrawn it. `scan_goes_on`: one will.
    SuspectedEarly {
        after_slices: usize,
        scan_goes_on: bool,
    },
    Suspected {
        basis: Basis,
    },
    Abnormal {},
    /// Only another scan helps.
    Rescan {
        remedy: Option<Remedy>,
    },
    /// To send again is tried first, while the patient is still there: another scan is another dose.
    SendAgain {
        remedy: Option<Remedy>,
    },
    /// Something about the scan can be mended without the patient.
    CheckScan {
        remedy: Option<Remedy>,
    },
    /// Part of what the verdict should rest on is not there, and no flag says so.
    SlicesLost {
        failed: usize,
        refused: usize,
        missing: usize,
    },
    NotAnalysed {},
    /// The exam is over and has no verdict.
    NoVerdict {},
    /// An early suspicion was withdrawn: somebody may have isolated the patient. Without `basis` the exam is open again.
    SuspicionWithdrawn {
        basis: Option<Basis>,
    },
    /// No verdict stands. `reopened`: one did, and more slices came. `place`: other exams have their turn before, 1 for the next one.
    Receiving {
        received: usize,
        expected: Option<usize>,
        analysed: usize,
        reopened: bool,
        place: Option<usize>,
    },
    /// The one message that may be read as clear.
    NotSuspected {
        analysed: usize,
    },
    /// There was an earlier verdict.
    Revised {},
}

/// What a verdict rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The lungs have passed and more comes.
    WholeLungs,
    WholeScan,
}

/// What a statement is about, gravest first: its icon and colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatementKind {
    Suspected,
    Abnormal,
    Rescan,
    NotAnalysed,
    Withdrawn,
    Receiving,
    NotSuspected,
    Revised,
}

/// How much a statement asks for attention, most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Alarm,
    Warning,
    Notice,
    Receiving,
    Neutral,
}

impl From<Severity> for Level {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Alarm => Self::Alarm,
            Severity::Warning => Self::Warning,
            Severity::Notice => Self::Notice,
        }
    }
}

/// Whether more is to be expected, in the words of a FHIR `DiagnosticReport`'s status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// No verdict stands.
    Preliminary,
    /// The verdict stands, also where more comes that lies beyond the lungs.
    Final,
    /// The verdict stands, and it was given anew after a correction or late slices.
    Amended,
}

impl Stage {
    /// The stage of an exam as a whole.
    #[must_use]
    pub fn of(exam: &ExamView) -> Self {
        match (exam.state, exam.revised) {
            (ExamState::Receiving, _) => Self::Preliminary,
            (ExamState::Trailing | ExamState::Complete, true) => Self::Amended,
            (ExamState::Trailing | ExamState::Complete, false) => Self::Final,
        }
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Isolate,
    Rescan,
    SendAgain,
    /// A person must look: at the images, or at the scanner's console.
    Check,
    Wait,
    None,
}

/// How urgently a statement sounds, after IEC 60601-1-8. Nothing here is of high priority: no patient dies within minutes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlarmPriority {
    /// To be acted on before the patient leaves.
    Medium,
    /// To be known of.
    Low,
    /// Nothing sounds.
    None,
}

/// One thing that an exam says.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Statement {
    #[serde(flatten)]
    pub message: Message,
    pub kind: StatementKind,
    pub level: Level,
    pub stage: Stage,
    pub action: Action,
    pub alarm: AlarmPriority,
    /// The flag that says it; who has acknowledged it stands there.
    pub flag: Option<FlagKind>,
    /// What the headline rests on; may be empty. All words are English here.
    pub lead: String,
    pub headline: String,
    /// What was found and why; may be empty.
    pub detail: String,
    /// A word or two for lists.
    pub badge: String,
    /// Headline and detail in one line.
    pub line: String,
    /// What a screen reader says; empty where it says nothing.
    pub announcement: String,
    /// The same for people who read another language.
    pub phrases: StatementPhrases,
}

/// The words of a statement in no language yet. Those that say nothing are left out.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StatementPhrases {
    #[serde(skip_serializing_if = "Phrase::is_nothing")]
    pub lead: Phrase,
    pub headline: Phrase,
    #[serde(skip_serializing_if = "Phrase::is_nothing")]
    pub detail: Phrase,
    pub badge: Phrase,
    pub line: Phrase,
    #[serde(skip_serializing_if = "Phrase::is_nothing")]
    pub announcement: Phrase,
}

impl StatementPhrases {
    /// `reason` is the verdict's, or the text of the flag.
    fn of(message: &Message, reason: Phrase) -> Self {
        let detail = message.detail(reason);
        let line = message.line(&detail);
        Self {
            lead: message.lead(),
            headline: message.headline(),
            badge: message.badge(),
            announcement: message.announcement(&line),
            detail,
            line,
        }
    }
}

/// All that there is to say of an exam, gravest first. There is always at least one statement. `place` is the exam's among those
/// that wait for their turn.
#[must_use]
pub fn statements(exam: &ExamView, flags: &[Flag], place: Option<usize>) -> Vec<Statement> {
    let mut said: Vec<Statement> = flags.iter().filter(|flag| flag.is_open()).map(|flag| of_flag(flag, exam)).collect();
    said.extend(of_verdict(exam, flags, place));
    said.extend(of_withdrawn(exam, flags));
    said.extend(of_lost_slices(exam, flags));
    said.extend(exam.revised.then(|| statement(exam, Message::Revised {}, Level::Neutral, Phrase::nothing())));
    let is_acknowledged = |said: &Statement| {
        said.flag.is_some_and(|kind| flags.iter().any(|flag| flag.kind == kind && flag.acknowledged.is_some()))
    };
    said.sort_by_key(|said| (said.level, said.kind, is_acknowledged(said)));
    said
}

/// A statement that no flag makes; `reason` is the verdict's.
fn statement(exam: &ExamView, message: Message, level: Level, reason: Phrase) -> Statement {
    let phrases = StatementPhrases::of(&message, reason);
    Statement {
        kind: message.kind(),
        level,
        stage: message.stage(exam),
        action: message.action(),
        // Nobody could acknowledge what no flag says: it would sound for ever.
        alarm: AlarmPriority::None,
        flag: None,
        lead: phrases.lead.to_string(),
        headline: phrases.headline.to_string(),
        detail: phrases.detail.to_string(),
        badge: phrases.badge.to_string(),
        line: phrases.line.to_string(),
        announcement: phrases.announcement.to_string(),
        phrases,
        message,
    }
}

impl Message {
    fn kind(&self) -> StatementKind {
        match self {
            Self::SuspectedEarly { .. } | Self::Suspected { .. } => StatementKind::Suspected,
            Self::Abnormal {} => StatementKind::Abnormal,
            Self::Rescan { .. } | Self::SendAgain { .. } | Self::CheckScan { .. } | Self::SlicesLost { .. } => {
                StatementKind::Rescan
            }
            Self::NotAnalysed {} | Self::NoVerdict {} => StatementKind::NotAnalysed,
            Self::SuspicionWithdrawn { .. } => StatementKind::Withdrawn,
            Self::Receiving { .. } => StatementKind::Receiving,
            Self::NotSuspected { .. } => StatementKind::NotSuspected,
            Self::Revised {} => StatementKind::Revised,
        }
    }

    fn action(&self) -> Action {
        match self {
            Self::SuspectedEarly { .. } | Self::Suspected { .. } => Action::Isolate,
            Self::Rescan { .. } => Action::Rescan,
            Self::SendAgain { .. } => Action::SendAgain,
            Self::Abnormal {}
            | Self::CheckScan { .. }
            | Self::SlicesLost { .. }
            | Self::NotAnalysed {}
            | Self::NoVerdict {} => Action::Check,
            Self::Receiving { .. } => Action::Wait,
            Self::SuspicionWithdrawn { .. } | Self::NotSuspected { .. } | Self::Revised {} => Action::None,
        }
    }

    /// How urgently it sounds until somebody has acknowledged it.
    fn alarm(&self) -> AlarmPriority {
        match self {
            Self::SuspectedEarly { .. } | Self::Suspected { .. } | Self::Rescan { .. } | Self::SendAgain { .. } => {
                AlarmPriority::Medium
            }
            Self::Abnormal {} | Self::NotAnalysed {} | Self::NoVerdict {} => AlarmPriority::Low,
            Self::CheckScan { .. }
            | Self::SlicesLost { .. }
            | Self::SuspicionWithdrawn { .. }
            | Self::Receiving { .. }
            | Self::NotSuspected { .. }
            | Self::Revised {} => AlarmPriority::None,
        }
    }

    fn stage(&self, exam: &ExamView) -> Stage {
        match self {
            Self::SuspectedEarly { .. } => Stage::Preliminary,
            _ => Stage::of(exam),
        }
    }
}

/// The flag's text is the headline and then the reason, where the flag is the verdict's: then the reason alone is the detail.
fn of_flag(flag: &Flag, exam: &ExamView) -> Statement {
    let is_of_a_verdict = matches!(flag.state, FlagState::Final | FlagState::Confirmed);
    let is_of_this_one = flag.kind.verdict().is_some_and(|verdict| exam.verdict == Some(verdict));
    let says_the_reason = is_of_a_verdict && is_of_this_one && !exam.reason.is_empty();
    let reason = if says_the_reason { exam.said_reason() } else { flag.said() };
    let said = statement(exam, message_of(flag, exam), flag.severity.into(), reason);
    let alarm = if flag.acknowledged.is_some() { AlarmPriority::None } else { said.message.alarm() };
    Statement { flag: Some(flag.kind), alarm, ..said }
}

fn message_of(flag: &Flag, exam: &ExamView) -> Message {
    let remedy = flag.remedy;
    match (flag.kind, flag.state) {
        (FlagKind::Suspected, FlagState::Early) => {
            let scan_goes_on = exam.state == ExamState::Receiving;
            Message::SuspectedEarly { after_slices: flag.after_slices, scan_goes_on }
        }
        (FlagKind::Suspected, _) => Message::Suspected { basis: basis(exam) },
        (FlagKind::Abnormal, _) => Message::Abnormal {},
        (FlagKind::NotAnalysed, _) => Message::NotAnalysed {},
        // A rescan is a dose: it is the headline only where nothing else is to be tried first.
        (FlagKind::Rescan, _) if flag.severity == Severity::Notice => Message::CheckScan { remedy },
        (FlagKind::Rescan, _) if remedy == Some(Remedy::SendAgainOrRescan) => Message::SendAgain { remedy },
        (FlagKind::Rescan, _) => Message::Rescan { remedy },
    }
}

fn basis(exam: &ExamView) -> Basis {
    if exam.state == ExamState::Trailing { Basis::WholeLungs } else { Basis::WholeScan }
}

/// The verdict, unless an open flag says it.
fn of_verdict(exam: &ExamView, flags: &[Flag], place: Option<usize>) -> Option<Statement> {
    let (message, level, kind) = match exam.verdict {
        Some(Verdict::Suspected) => {
            (Message::Suspected { basis: basis(exam) }, Level::Alarm, Some(FlagKind::Suspected))
        }
        Some(Verdict::Abnormal) => (Message::Abnormal {}, Level::Warning, Some(FlagKind::Abnormal)),
        Some(Verdict::NotAnalysed) => (Message::NotAnalysed {}, Level::Warning, Some(FlagKind::NotAnalysed)),
        Some(Verdict::NotSuspected) if exam.state != ExamState::Receiving => {
            (Message::NotSuspected { analysed: exam.slices.analysed }, Level::Neutral, None)
        }
        None if exam.state != ExamState::Receiving => (Message::NoVerdict {}, Level::Warning, None),
        Some(Verdict::NotSuspected) | None => {
            let SliceCounts { received, expected, analysed, .. } = exam.slices;
            let reopened = exam.verdict.is_some();
            (Message::Receiving { received, expected, analysed, reopened, place }, Level::Receiving, None)
        }
    };
    let is_flagged = kind.is_some_and(|kind| has_open(flags, kind));
    (!is_flagged).then(|| statement(exam, message, level, exam.said_reason()))
}

fn has_open(flags: &[Flag], kind: FlagKind) -> bool {
    flags.iter().any(|flag| flag.kind == kind && flag.is_open())
}

/// Somebody may have isolated the patient, so a withdrawn suspicion stands before a verdict of not suspected.
fn of_withdrawn<'a>(exam: &'a ExamView, flags: &'a [Flag]) -> impl Iterator<Item = Statement> + 'a {
    let withdrawn = flags.iter().filter(|flag| flag.kind == FlagKind::Suspected && !flag.is_open());
    withdrawn.map(|flag| {
        let has_verdict = exam.state != ExamState::Receiving;
        let level = if has_verdict { Level::Notice } else { Level::Receiving };
        let message = Message::SuspicionWithdrawn { basis: has_verdict.then(|| basis(exam)) };
        Statement { flag: Some(flag.kind), ..statement(exam, message, level, flag.said()) }
    })
}

/// What failed, was refused or never came keeps "not suspected" from reading as clear, even where no flag says so.
fn of_lost_slices(exam: &ExamView, flags: &[Flag]) -> Option<Statement> {
    let is_negative = exam.verdict == Some(Verdict::NotSuspected) && exam.state != ExamState::Receiving;
    if !is_negative || has_open(flags, FlagKind::Rescan) {
        return None;
    }
    let SliceCounts { failed, refused, received, expected, .. } = exam.slices;
    // While more comes nothing is missing yet.
    let is_over = exam.state == ExamState::Complete;
    let missing = expected.filter(|_| is_over).map_or(0, |expected| expected.saturating_sub(received));
    let message = Message::SlicesLost { failed, refused, missing };
    (failed + refused + missing > 0).then(|| statement(exam, message, Level::Notice, Phrase::nothing()))
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
