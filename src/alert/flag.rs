//! Flags: what a person is told, and the life of what they were told.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::moment::{FlagEvent, Moment, Seen};
use crate::exam::{QualityIssue, QualityLimits};
use crate::triage::{CaseReport, EarlyFlag, PatternKind, Verdict};

/// What a flag is about; an exam has at most one flag of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// How urgent a flag is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Notice,
    Warning,
    Alarm,
}

/// Where a flag is in its life: `early` becomes `confirmed` or `withdrawn`; what is raised with the verdict is `final`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlagState {
    Early,
    Confirmed,
    Withdrawn,
    Final,
}

impl FlagState {
    /// The state in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Early => "early",
            Self::Confirmed => "confirmed",
            Self::Withdrawn => "withdrawn",
            Self::Final => "final",
        }
    }
}

/// Who has seen a flag, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    pub by: String,
    pub at: Timestamp,
}

/// What a person is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flag {
    pub id: String,
    pub kind: FlagKind,
    pub severity: Severity,
    pub state: FlagState,
    /// What was found and what to do.
    pub text: String,
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

/// All flags of one exam.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flags(Vec<Flag>);

/// Why an acknowledgement was not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcknowledgeError {
    #[error("there is no such flag")]
    NoSuchFlag,
    #[error("\"by\" must say in 1 to 64 characters who acknowledges the flag")]
    NoName,
}

impl Flags {
    #[must_use]
    pub fn all(&self) -> &[Flag] {
        &self.0
    }

    /// The running score has crossed the early threshold. Does nothing if the exam is flagged already.
    pub fn raise_early(&mut self, early: &EarlyFlag, now: Timestamp) -> bool {
        let standing = self.find(FlagKind::Suspected).is_some_and(|flag| flag.state != FlagState::Withdrawn);
        if !standing {
            let text = "COVID-19 pneumonia suspected while the scan runs: isolate the patient".to_owned();
            let seen = Seen::early(early, now);
            self.put(FlagKind::Suspected, Severity::Alarm, FlagState::Early, text, &seen);
        }
        !standing
    }

    /// Something is seen to be wrong with the scan while it runs. Does nothing if the exam is flagged for it already.
    pub fn raise_rescan(&mut self, issue: &QualityIssue, limits: &QualityLimits, seen: &Seen) -> bool {
        let standing = self.find(FlagKind::Rescan).is_some_and(|flag| flag.state != FlagState::Withdrawn);
        let Some((severity, text)) = rescan_advice(std::slice::from_ref(issue), limits).filter(|_| !standing) else {
            return false;
        };
        self.put(FlagKind::Rescan, severity, FlagState::Early, text, seen);
        true
    }

    /// The exam has a verdict: early flags are confirmed or withdrawn, and what else there is to say is said.
    pub fn conclude(&mut self, report: &CaseReport, limits: &QualityLimits, now: Timestamp) {
        let reason = &report.reason;
        let seen = &Seen::verdict(report, now);
        let scoreless = &seen.without_score();
        match report.verdict {
            Verdict::Suspected => {
                let state = self.concluded(FlagKind::Suspected);
                let text = format!("COVID-19 pneumonia suspected, isolate the patient: {reason}");
                self.put(FlagKind::Suspected, Severity::Alarm, state, text, seen);
                self.withdraw(FlagKind::Abnormal, "the exam is suspected since", seen);
                self.withdraw(FlagKind::NotAnalysed, "the exam has been analysed since", scoreless);
            }
            // An early flag stands where the lungs cannot be assessed; a mass says what its score came from.
            Verdict::Abnormal => {
                if report.pattern.kind == PatternKind::MassLike {
                    self.withdraw(FlagKind::Suspected, &format!("withdrawn: {reason}"), seen);
                }
                let text = format!("abnormal, not assessed: {reason}");
                self.put(FlagKind::Abnormal, Severity::Warning, FlagState::Final, text, seen);
                self.withdraw(FlagKind::NotAnalysed, "the exam has been analysed since", scoreless);
            }
            Verdict::NotSuspected => {
                self.withdraw(FlagKind::Suspected, &format!("withdrawn: {reason}"), seen);
                self.withdraw(FlagKind::Abnormal, &format!("withdrawn: {reason}"), seen);
                self.withdraw(FlagKind::NotAnalysed, "the exam has been analysed since", scoreless);
            }
            // An early flag stands: that something broke says nothing against it.
            Verdict::NotAnalysed => {
                let text = format!("not analysed: {reason}");
                self.put(FlagKind::NotAnalysed, Severity::Warning, FlagState::Final, text, scoreless);
            }
        }
        match rescan_advice(&report.quality, limits) {
            Some((severity, text)) => {
                let state = self.concluded(FlagKind::Rescan);
                self.put(FlagKind::Rescan, severity, state, text, scoreless);
            }
            // An exam that was not analysed shows no issue because nothing was looked at.
            None if report.verdict == Verdict::NotAnalysed => {}
            None => self.withdraw(FlagKind::Rescan, "what was wrong with the scan has been mended since", scoreless),
        }
    }

    /// Notes who has seen a flag; `true` if nobody had before. A second acknowledgement leaves the first as it is.
    ///
    /// # Errors
    /// If there is no such flag or nobody is named.
    pub fn acknowledge(&mut self, id: &str, by: &str, seen: Seen) -> Result<bool, AcknowledgeError> {
        let by = by.trim();
        if by.is_empty() || by.chars().count() > 64 {
            return Err(AcknowledgeError::NoName);
        }
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
            Some(FlagState::Withdrawn | FlagState::Final) | None => FlagState::Final,
        }
    }

    fn find(&self, kind: FlagKind) -> Option<&Flag> {
        self.0.iter().find(|flag| flag.kind == kind)
    }

    /// Raises a flag or brings it up to date. One that says something new or graver wants a new acknowledgement.
    fn put(&mut self, kind: FlagKind, severity: Severity, state: FlagState, text: String, seen: &Seen) {
        let moment = Moment { event: state.into(), seen: seen.clone() };
        let fresh = Flag {
            id: kind.as_str().to_owned(),
            kind,
            severity,
            state,
            text,
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
                flag.text = fresh.text;
                flag.score = seen.score;
                flag.severity = severity;
            }
        }
    }

    fn withdraw(&mut self, kind: FlagKind, why: &str, seen: &Seen) {
        if let Some(flag) = self.0.iter_mut().find(|flag| flag.kind == kind && flag.state != FlagState::Withdrawn) {
            flag.state = FlagState::Withdrawn;
            flag.life.push(Moment { event: FlagEvent::Withdrawn, seen: seen.clone() });
            why.clone_into(&mut flag.text);
        }
    }
}

/// So many issues are told in a flag's words, the gravest first; the report has them all.
const MOST_ADVICE: usize = 3;

/// What the technician can mend by scanning or sending again.
fn rescan_advice(quality: &[QualityIssue], limits: &QualityLimits) -> Option<(Severity, String)> {
    let of = |issue: &QualityIssue| {
        let remedy = issue.remedy(limits)?;
        let severity = if remedy.needs_the_patient() { Severity::Warning } else { Severity::Notice };
        Some((severity, format!("{}: {issue}", remedy.words())))
    };
    let mut advice: Vec<(Severity, String)> = quality.iter().filter_map(of).collect();
    advice.sort_by_key(|(severity, _)| std::cmp::Reverse(*severity));
    let severity = advice.first()?.0;
    let said: Vec<&str> = advice.iter().take(MOST_ADVICE).map(|(_, text)| text.as_str()).collect();
    let more = advice.len() - said.len();
    let text = said.join("; ");
    Some((severity, if more > 0 { format!("{text}; and {more} more") } else { text }))
}

#[cfg(test)]
#[path = "flag_tests.rs"]
mod tests;
