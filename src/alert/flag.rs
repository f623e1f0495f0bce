//! Flags: what a person is told, and the life of what they were told.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::flag_text::{Advice, FlagText, Severity, Withdrawal};
use super::moment::{FlagEvent, FlagState, Moment, Seen};
use crate::exam::{QualityIssue, QualityKind, QualityLimits, Remedy};
use crate::texts::Phrase;
use crate::triage::{CaseReport, EarlyFlag, Verdict};
use crate::words::is_unseen;

/// What a flag is about; an exam has at most one flag of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlagKind {
    Suspected,
    Abnormal,
    Rescan,
    NotAnalysed,
}

impl FlagKind {
    /// The kind in metrics and as the flag's id within its exam.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suspected => "suspected",
            Self::Abnormal => "abnormal",
            Self::Rescan => "rescan",
            Self::NotAnalysed => "not_analysed",
        }
    }

    /// The verdict that a flag of this kind says; `None` where it says none.
    #[must_use]
    pub fn verdict(self) -> Option<Verdict> {
        match self {
            Self::Suspected => Some(Verdict::Suspected),
            Self::Abnormal => Some(Verdict::Abnormal),
            Self::NotAnalysed => Some(Verdict::NotAnalysed),
            Self::Rescan => None,
        }
    }
}

/// Who has seen a flag, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Acknowledgement {
    pub by: String,
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// What a person is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flag {
    pub id: String,
    pub kind: FlagKind,
    pub severity: Severity,
    pub state: FlagState,
    /// What was found and what to do: the English words of a `FlagText` or a `Withdrawal`.
    pub text: String,
    /// The same in no language yet; absent from flags of versions that kept the text alone.
    #[serde(default)]
    pub phrase: Option<Phrase>,
    /// The gravest of what can be done about the scan; absent from flags that are about something else.
    #[serde(default)]
    pub remedy: Option<Remedy>,
    pub raised: Timestamp,
    /// Slices received when it was raised.
    pub after_slices: usize,
    /// The case score that raised it.
    pub score: Option<f64>,
    pub acknowledged: Option<Acknowledgement>,
    /// All that has happened to it, oldest first.
    #[serde(default)]
    pub life: Vec<Moment>,
}

impl Flag {
    /// What a flag is called within its exam.
    #[must_use]
    pub fn id_of(kind: FlagKind) -> String {
        kind.as_str().to_owned()
    }

    /// What was found and what to do.
    #[must_use]
    pub fn said(&self) -> Phrase {
        self.phrase.clone().unwrap_or_else(|| Phrase::english(&self.text))
    }

    /// Whether it asks for something: one that is withdrawn does not any more, one that is pending not before the next verdict.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.state, FlagState::Withdrawn | FlagState::Pending)
    }
}

/// How many characters a name or initials may have.
const LONGEST_SIGNATURE: usize = 64;

/// The name or the initials by which somebody signs; `None` if it is none, or has what cannot be seen.
pub(super) fn signature(by: &str) -> Option<&str> {
    let by = by.trim();
    ((1..=LONGEST_SIGNATURE).contains(&by.chars().count()) && !by.contains(is_unseen)).then_some(by)
}

/// All flags of one exam.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flags(Vec<Flag>);

/// Why an acknowledgement was not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.phrase())]
pub enum AcknowledgeError {
    NoSuchFlag,
    NoName,
    NotKept,
}

impl AcknowledgeError {
    /// What people are told.
    #[must_use]
    pub fn phrase(&self) -> Phrase {
        Phrase::new(match self {
            Self::NoSuchFlag => "error.no_such_flag",
            Self::NoName => "error.no_name_for_flag",
            Self::NotKept => "error.acknowledgement_not_kept",
        })
    }
}

impl From<Vec<Flag>> for Flags {
    fn from(flags: Vec<Flag>) -> Self {
        Self(flags)
    }
}

impl Flags {
    #[must_use]
    pub fn all(&self) -> &[Flag] {
        &self.0
    }

    /// The running score has crossed the early threshold. Does nothing if the exam is flagged already.
    pub fn raise_early(&mut self, early: &EarlyFlag, now: Timestamp) -> bool {
        let standing = self.stands(FlagKind::Suspected);
        if !standing {
            let seen = Seen::early(early, now);
            self.put(FlagKind::Suspected, FlagState::Early, &FlagText::SuspectedEarly, &seen);
        }
        !standing
    }

    /// Something is seen to be wrong with the scan while it runs. Does nothing if the exam is flagged for it already.
    pub fn raise_rescan(&mut self, issue: &QualityIssue, limits: &QualityLimits, seen: &Seen) -> bool {
        let standing = self.stands(FlagKind::Rescan);
        let Some(advice) = Advice::of(std::iter::once(issue), limits).filter(|_| !standing) else {
            return false;
        };
        self.put(FlagKind::Rescan, FlagState::Early, &FlagText::Advice(advice), seen);
        true
    }

    /// The exam is open again: what the verdict said of its scan may have been mended by what has come since. `true` if it had
    /// said something.
    pub fn reopen(&mut self, seen: &Seen) -> bool {
        let of_verdict = |flag: &&mut Flag| {
            flag.kind == FlagKind::Rescan && matches!(flag.state, FlagState::Final | FlagState::Confirmed)
        };
        let Some(flag) = self.0.iter_mut().find(of_verdict) else { return false };
        flag.state = FlagState::Pending;
        flag.life.push(Moment { event: FlagEvent::Pending, seen: seen.without_score() });
        true
    }

    /// The exam has a verdict: early flags are confirmed or withdrawn, and what else there is to say is said.
    pub fn conclude(&mut self, report: &CaseReport, limits: &QualityLimits, now: Timestamp) {
        let reason = &report.said_reason();
        let seen = &Seen::verdict(report, now);
        let scoreless = &seen.without_score();
        match report.verdict {
            Verdict::Suspected => {
                let state = self.concluded(FlagKind::Suspected);
                self.put(FlagKind::Suspected, state, &FlagText::Suspected { reason }, seen);
                self.withdraw(FlagKind::Abnormal, Withdrawal::SuspectedSince, seen);
                self.withdraw(FlagKind::NotAnalysed, Withdrawal::AnalysedSince, scoreless);
            }
            // The whole lungs were looked at and the finding is not believed: to say "isolate" beside it would be two answers.
            Verdict::Abnormal => {
                self.withdraw(FlagKind::Suspected, Withdrawal::Abnormal { reason }, seen);
                self.put(FlagKind::Abnormal, FlagState::Final, &FlagText::Abnormal { reason }, seen);
                self.withdraw(FlagKind::NotAnalysed, Withdrawal::AnalysedSince, scoreless);
            }
            Verdict::NotSuspected => {
                self.withdraw(FlagKind::Suspected, Withdrawal::NotSuspected { reason }, seen);
                self.withdraw(FlagKind::Abnormal, Withdrawal::NotSuspected { reason }, seen);
                self.withdraw(FlagKind::NotAnalysed, Withdrawal::AnalysedSince, scoreless);
            }
            // An early flag stands: that something broke says nothing against it.
            Verdict::NotAnalysed => {
                self.put(FlagKind::NotAnalysed, FlagState::Final, &FlagText::NotAnalysed { reason }, scoreless);
            }
        }
        // Where a finding goes beyond what a shallow breath explains, a deeper one would be radiation for nothing.
        let is_needless = |issue: &QualityIssue| {
            report.verdict == Verdict::Suspected && matches!(issue.kind, QualityKind::HardlyInflated { .. })
        };
        match Advice::of(report.quality.iter().filter(|issue| !is_needless(issue)), limits) {
            Some(advice) => {
                let state = self.concluded(FlagKind::Rescan);
                self.put(FlagKind::Rescan, state, &FlagText::Advice(advice), scoreless);
            }
            // An exam that was not analysed shows no issue because nothing was looked at.
            None if report.verdict == Verdict::NotAnalysed => self.stand_again(FlagKind::Rescan, scoreless),
            None => self.withdraw(FlagKind::Rescan, Withdrawal::ScanMended, scoreless),
        }
    }

    /// Notes who has seen a flag; `true` if nobody had before. A second acknowledgement leaves the first as it is.
    ///
    /// # Errors
    /// If there is no such flag or nobody is named.
    pub fn acknowledge(&mut self, id: &str, by: &str, seen: Seen) -> Result<bool, AcknowledgeError> {
        let by = signature(by).ok_or(AcknowledgeError::NoName)?;
        let flag = self.0.iter_mut().find(|flag| flag.id == id).ok_or(AcknowledgeError::NoSuchFlag)?;
        let is_first = flag.acknowledged.is_none();
        if is_first {
            flag.acknowledged = Some(Acknowledgement { by: by.to_owned(), at: seen.at });
            flag.life.push(Moment { event: FlagEvent::Acknowledged, seen });
        }
        Ok(is_first)
    }

    /// The flags that were raised or changed their state since `earlier`.
    pub fn changed_since<'a>(&'a self, earlier: &'a Self) -> impl Iterator<Item = &'a Flag> {
        let moments = |flag: &Flag| earlier.find(flag.kind).map(|known| known.life.len());
        self.0.iter().filter(move |flag| moments(flag) != Some(flag.life.len()))
    }

    /// The state of a flag that the verdict bears out.
    fn concluded(&self, kind: FlagKind) -> FlagState {
        match self.find(kind).map(|flag| flag.state) {
            Some(FlagState::Early | FlagState::Confirmed) => FlagState::Confirmed,
            Some(FlagState::Withdrawn | FlagState::Final | FlagState::Pending) | None => FlagState::Final,
        }
    }

    /// Whether a flag of this kind asks for something.
    fn stands(&self, kind: FlagKind) -> bool {
        self.find(kind).is_some_and(Flag::is_open)
    }

    fn find(&self, kind: FlagKind) -> Option<&Flag> {
        self.0.iter().find(|flag| flag.kind == kind)
    }

    /// Raises a flag or brings it up to date. One that says something new or graver wants a new acknowledgement.
    fn put(&mut self, kind: FlagKind, state: FlagState, text: &FlagText<'_>, seen: &Seen) {
        let (severity, remedy, phrase) = (text.severity(), text.remedy(), text.phrase());
        let moment = Moment { event: state.into(), seen: seen.clone() };
        let fresh = Flag {
            id: Flag::id_of(kind),
            kind,
            severity,
            state,
            text: phrase.to_string(),
            phrase: Some(phrase),
            remedy,
            raised: seen.at,
            after_slices: seen.slices,
            score: seen.score,
            acknowledged: None,
            life: vec![moment.clone()],
        };
        match self.0.iter_mut().find(|flag| flag.kind == kind) {
            None => self.0.push(fresh),
            Some(flag) if flag.state == FlagState::Withdrawn || severity > flag.severity => {
                let mut life = std::mem::take(&mut flag.life);
                life.push(moment);
                *flag = Flag { life, ..fresh };
            }
            Some(flag) => {
                if flag.state != state {
                    flag.life.push(moment);
                }
                flag.state = state;
                (flag.text, flag.phrase) = (fresh.text, fresh.phrase);
                flag.remedy = remedy;
                flag.score = seen.score;
                flag.severity = severity;
            }
        }
    }

    /// What was pending stands as it did.
    fn stand_again(&mut self, kind: FlagKind, seen: &Seen) {
        let is_pending = |flag: &&mut Flag| flag.kind == kind && flag.state == FlagState::Pending;
        if let Some(flag) = self.0.iter_mut().find(is_pending) {
            flag.state = FlagState::Final;
            flag.life.push(Moment { event: FlagEvent::Final, seen: seen.clone() });
        }
    }

    fn withdraw(&mut self, kind: FlagKind, why: Withdrawal<'_>, seen: &Seen) {
        if let Some(flag) = self.0.iter_mut().find(|flag| flag.kind == kind && flag.state != FlagState::Withdrawn) {
            flag.state = FlagState::Withdrawn;
            flag.life.push(Moment { event: FlagEvent::Withdrawn, seen: seen.clone() });
            let phrase = why.phrase();
            (flag.text, flag.phrase) = (phrase.to_string(), Some(phrase));
        }
    }
}

#[cfg(test)]
#[path = "flag_tests.rs"]
mod tests;
