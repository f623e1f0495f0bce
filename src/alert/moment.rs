//! The moments of a flag's life.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::triage::{CaseReport, DrivingSlab, EarlyFlag, SliceCounts};

/// Where a flag is in its life: `early` becomes `confirmed` or `withdrawn`; what is raised with the verdict is `final`. What was
/// said of the scan is `pending` once more slices have come, until the next verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlagState {
    Early,
    Confirmed,
    Withdrawn,
    Final,
    Pending,
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
            Self::Pending => "pending",
        }
    }
}

/// What happens to a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlagEvent {
    Early,
    Confirmed,
    Withdrawn,
    Final,
    Pending,
    Acknowledged,
}

impl From<FlagState> for FlagEvent {
    fn from(state: FlagState) -> Self {
        match state {
            FlagState::Early => Self::Early,
            FlagState::Confirmed => Self::Confirmed,
            FlagState::Withdrawn => Self::Withdrawn,
            FlagState::Final => Self::Final,
            FlagState::Pending => Self::Pending,
        }
    }
}

/// What was known of the exam at that moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Seen {
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The case probability.
    pub score: Option<f64>,
    /// Instances received.
    pub slices: usize,
    /// Share of the announced slices that had come, 0 to 1; `None` where none were announced.
    pub scan_share: Option<f64>,
    /// The slabs that added most to the score; none where the flag is not about it.
    pub driving_slabs: Vec<DrivingSlab>,
}

impl Seen {
    /// So many slices, no score.
    pub fn of(slices: &SliceCounts, at: Timestamp) -> Self {
        let (slices, scan_share) = (slices.received, slices.scan_share());
        Self { at, score: None, slices, scan_share, driving_slabs: Vec::new() }
    }

    pub fn early(early: &EarlyFlag, at: Timestamp) -> Self {
        Self {
            at,
            score: Some(early.score),
            slices: early.after_slices,
            scan_share: early.scan_share,
            driving_slabs: early.driving_slabs.clone(),
        }
    }

    pub fn verdict(report: &CaseReport, at: Timestamp) -> Self {
        Self { score: report.score, driving_slabs: report.driving_slabs.clone(), ..Self::of(&report.slices, at) }
    }

    /// The same without score: for flags that are about something else.
    #[must_use]
    pub fn without_score(&self) -> Self {
        Self { score: None, driving_slabs: Vec::new(), ..self.clone() }
    }
}

/// One moment of a flag's life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Moment {
    pub event: FlagEvent,
    #[serde(flatten)]
    pub seen: Seen,
}
