//! Outcomes of verdicts at the console: recorded by people, told to everybody who watches, counted.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::hub::Hub;
use super::view::ShownExam;
use crate::alert::{FEWEST_CASES, OutcomeCounts, OutcomeError, OutcomeKind, PredictiveValue};
use crate::database::{DatabaseError, Record};
use crate::exam::ExamKey;
use crate::telemetry;

/// How far this site can rely on "suspected".
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(in crate::console) struct OutcomeFigures {
    /// Exams that began then or later are counted; `None` where no outcome was recorded yet.
    #[schemars(with = "Option<String>")]
    since: Option<Timestamp>,
    counts: OutcomeCounts,
    predictive_value: PredictiveValue,
    /// With fewer cases there is no percentage.
    fewest_cases: usize,
}

impl Hub {
    /// Records what became of an exam's verdict; it is on the disk then.
    ///
    /// # Errors
    /// If there is no such exam, no verdict that can have this outcome, nobody is named, or it cannot be kept.
    pub(super) fn record_outcome(&self, key: &ExamKey, kind: OutcomeKind, by: &str) -> Result<ShownExam, OutcomeError> {
        let mut recorded = Err(OutcomeError::NoSuchExam);
        let record = self.change(key, |Record { exam, outcomes, .. }| {
            recorded = outcomes.record(exam, kind, by, Timestamp::now());
        });
        recorded?;
        let record = record.ok_or(OutcomeError::NoSuchExam)?;
        let exam = self.shown(&record);
        if !self.save_now(record) {
            return Err(OutcomeError::NotKept);
        }
        telemetry::outcome_recorded(kind.as_str());
        Ok(exam)
    }

    /// What became of the verdicts on exams that began at `since` or later; of all since the first one that has an outcome, without it.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(super) fn outcome_figures(&self, since: Option<Timestamp>) -> Result<OutcomeFigures, DatabaseError> {
        let counted = self.database().map(|database| database.outcome_counts(since)).transpose()?;
        let (since, counts) = counted.unwrap_or_default();
        let predictive_value = counts.predictive_value();
        Ok(OutcomeFigures { since, counts, predictive_value, fewest_cases: FEWEST_CASES })
    }
}
