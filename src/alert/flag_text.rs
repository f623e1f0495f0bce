//! What flags say, as codes with parameters: `words` makes phrases of it. The database keeps those, and their English words.

use serde::{Deserialize, Serialize};

use crate::exam::{QualityIssue, QualityLimits, Remedy};
use crate::texts::Phrase;

/// How urgent a flag is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Notice,
    Warning,
    Alarm,
}

/// What a flag that asks for something says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum FlagText<'a> {
    /// The running score has crossed the early threshold.
    SuspectedEarly,
    Suspected {
        reason: &'a Phrase,
    },
    Abnormal {
        reason: &'a Phrase,
    },
    NotAnalysed {
        reason: &'a Phrase,
    },
    /// What can be done about the scan.
    Advice(Advice<'a>),
}

impl FlagText<'_> {
    pub(super) fn severity(&self) -> Severity {
        match self {
            Self::SuspectedEarly | Self::Suspected { .. } => Severity::Alarm,
            Self::Abnormal { .. } | Self::NotAnalysed { .. } => Severity::Warning,
            Self::Advice(advice) => urgency(advice.remedy),
        }
    }

    /// The gravest of what can be done about the scan.
    pub(super) fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Advice(advice) => Some(advice.remedy),
            _ => None,
        }
    }
}

/// Why a flag does not ask for anything any more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Withdrawal<'a> {
    NotSuspected { reason: &'a Phrase },
    Abnormal { reason: &'a Phrase },
    SuspectedSince,
    AnalysedSince,
    ScanMended,
}

/// A flag's text has so many issues, the gravest first; the report has them all.
const MOST_ADVICE: usize = 3;

/// What the technician can mend by scanning or sending again.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Advice<'a> {
    /// The gravest.
    pub remedy: Remedy,
    /// What to do and why, the gravest first.
    pub told: Vec<(Remedy, &'a QualityIssue)>,
    /// Issues beyond these.
    pub more: usize,
}

impl<'a> Advice<'a> {
    /// `None` where nothing can be done about any of the issues.
    pub(super) fn of(issues: impl Iterator<Item = &'a QualityIssue>, limits: &QualityLimits) -> Option<Self> {
        let mut advice: Vec<(Remedy, &QualityIssue)> =
            issues.filter_map(|issue| Some((issue.remedy(limits)?, issue))).collect();
        advice.sort_by_key(|(remedy, _)| (std::cmp::Reverse(urgency(*remedy)), *remedy != Remedy::Rescan));
        let (remedy, _) = *advice.first()?;
        let more = advice.len().saturating_sub(MOST_ADVICE);
        advice.truncate(MOST_ADVICE);
        Some(Self { remedy, told: advice, more })
    }
}

fn urgency(remedy: Remedy) -> Severity {
    if remedy.needs_the_patient() { Severity::Warning } else { Severity::Notice }
}
