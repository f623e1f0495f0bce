//! Outcomes: what a person says of a verdict once the radiologist's answer is known, and how far this site can rely on "suspected".

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::flag::signature;
use crate::analysis::{ExamState, ExamView};
use crate::texts::Phrase;
use crate::triage::Verdict;
use crate::wilson::wilson;

/// What became of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// The radiologist sees what the verdict says.
    Agree,
    /// Suspected, and the radiologist sees no such pneumonia.
    FalseAlarm,
    /// Not suspected, and the radiologist sees it.
    Missed,
    /// The radiologist cannot tell, or the answer is not to be had.
    Unclear,
}

impl OutcomeKind {
    pub const ALL: [Self; 4] = [Self::Agree, Self::FalseAlarm, Self::Missed, Self::Unclear];

    /// The outcome in metrics and the audit trail.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agree => "agree",
            Self::FalseAlarm => "false_alarm",
            Self::Missed => "missed",
            Self::Unclear => "unclear",
        }
    }

    /// The outcomes that a verdict can have. One that says nothing of pneumonia can be neither right nor a false alarm.
    #[must_use]
    pub fn of_verdict(verdict: Option<Verdict>) -> &'static [Self] {
        match verdict {
            Some(Verdict::Suspected) => &[Self::Agree, Self::FalseAlarm, Self::Unclear],
            Some(Verdict::NotSuspected) => &[Self::Agree, Self::Missed, Self::Unclear],
            Some(Verdict::Abnormal | Verdict::NotAnalysed) | None => &[Self::Missed, Self::Unclear],
        }
    }
}

/// An outcome, and who said so when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CaseOutcome {
    pub kind: OutcomeKind,
    /// The verdict that it is about; the exam may have another one since.
    pub verdict: Option<Verdict>,
    pub by: String,
    #[schemars(with = "String")]
    pub at: Timestamp,
}

impl CaseOutcome {
    /// Whether the patient has such a pneumonia by the radiologist's answer; `None` where that is not known.
    #[must_use]
    pub fn is_positive(&self) -> Option<bool> {
        match (self.kind, self.verdict) {
            (OutcomeKind::Agree, Some(Verdict::Suspected)) | (OutcomeKind::Missed, _) => Some(true),
            (OutcomeKind::Agree, Some(Verdict::NotSuspected)) | (OutcomeKind::FalseAlarm, _) => Some(false),
            (OutcomeKind::Agree | OutcomeKind::Unclear, _) => None,
        }
    }
}

/// All outcomes that were recorded of one exam, oldest first: the last one counts, and the earlier ones stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcomes(Vec<CaseOutcome>);

/// Why an outcome was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.phrase())]
pub enum OutcomeError {
    NoSuchExam,
    NoVerdict,
    OtherVerdict,
    NoName,
    NotKept,
}

impl OutcomeError {
    /// What people are told.
    #[must_use]
    pub fn phrase(self) -> Phrase {
        Phrase::new(match self {
            Self::NoSuchExam => "error.no_such_exam",
            Self::NoVerdict => "error.no_verdict",
            Self::OtherVerdict => "error.other_verdict",
            Self::NoName => "error.no_name_for_outcome",
            Self::NotKept => "error.outcome_not_kept",
        })
    }
}

impl From<Vec<CaseOutcome>> for Outcomes {
    fn from(outcomes: Vec<CaseOutcome>) -> Self {
        Self(outcomes)
    }
}

impl Outcomes {
    #[must_use]
    pub fn all(&self) -> &[CaseOutcome] {
        &self.0
    }

    /// The outcome of the verdict that the exam has now.
    #[must_use]
    pub fn of(&self, exam: &ExamView) -> Option<&CaseOutcome> {
        self.0.last().filter(|outcome| outcome.verdict == exam.verdict)
    }

    /// The outcomes that can be recorded of an exam now: none while no verdict stands.
    #[must_use]
    pub fn choices(exam: &ExamView) -> &'static [OutcomeKind] {
        if exam.state == ExamState::Receiving { &[] } else { OutcomeKind::of_verdict(exam.verdict) }
    }

    /// Adds an outcome.
    ///
    /// # Errors
    /// If the exam has no verdict, its verdict cannot have this outcome, or nobody is named.
    pub fn record(&mut self, exam: &ExamView, kind: OutcomeKind, by: &str, at: Timestamp) -> Result<(), OutcomeError> {
        let by = signature(by).ok_or(OutcomeError::NoName)?.to_owned();
        match Self::choices(exam) {
            [] => Err(OutcomeError::NoVerdict),
            choices if choices.contains(&kind) => {
                self.0.push(CaseOutcome { kind, verdict: exam.verdict, by, at });
                Ok(())
            }
            _ => Err(OutcomeError::OtherVerdict),
        }
    }
}

/// How many exams have which outcome: the last one of each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OutcomeCounts {
    /// Suspected, and the radiologist agreed.
    pub true_alarms: usize,
    pub false_alarms: usize,
    /// Suspected, and the answer is unclear.
    pub unclear_alarms: usize,
    /// Suspected, without an outcome.
    pub open_alarms: usize,
    /// Not flagged, and the radiologist saw a pneumonia.
    pub missed: usize,
    /// Not flagged, and the radiologist agreed.
    pub true_negatives: usize,
}

/// With fewer cases no percentage is told: of 10 in 20 Wilson's interval reaches from 30 to 70 %, and a smaller number says less.
pub const FEWEST_CASES: usize = 20;

/// The positive predictive value: of the exams that were suspected and have a clear outcome, the share that has the pneumonia.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PredictiveValue {
    pub count: usize,
    pub of: usize,
    /// The share; `None` with fewer than [`FEWEST_CASES`].
    pub value: Option<f64>,
    /// Wilson's 95 % interval of the share.
    pub interval: Option<[f64; 2]>,
}

impl OutcomeCounts {
    #[must_use]
    pub fn predictive_value(&self) -> PredictiveValue {
        let (count, of) = (self.true_alarms, self.true_alarms + self.false_alarms);
        let is_enough = of >= FEWEST_CASES;
        PredictiveValue {
            count,
            of,
            value: is_enough.then(|| count as f64 / of as f64),
            interval: is_enough.then(|| wilson(count, of)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::made::exam;

    fn concluded(verdict: Verdict) -> ExamView {
        exam(ExamState::Complete, Some(verdict))
    }

    fn record(outcomes: &mut Outcomes, exam: &ExamView, kind: OutcomeKind) -> Result<(), OutcomeError> {
        outcomes.record(exam, kind, " A. Berg ", Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn an_outcome_is_taken_where_the_verdict_can_have_it() {
        use OutcomeKind::{Agree, FalseAlarm, Missed, Unclear};
        for (verdict, taken) in [
            (Verdict::Suspected, vec![Agree, FalseAlarm, Unclear]),
            (Verdict::NotSuspected, vec![Agree, Missed, Unclear]),
            (Verdict::Abnormal, vec![Missed, Unclear]),
            (Verdict::NotAnalysed, vec![Missed, Unclear]),
        ] {
            let exam = concluded(verdict);
            for kind in OutcomeKind::ALL {
                let expected = if taken.contains(&kind) { Ok(()) } else { Err(OutcomeError::OtherVerdict) };
                assert_eq!(record(&mut Outcomes::default(), &exam, kind), expected, "{verdict:?} {kind:?}");
            }
        }
        let open = exam(ExamState::Receiving, Some(Verdict::Suspected));
        assert_eq!(record(&mut Outcomes::default(), &open, Agree), Err(OutcomeError::NoVerdict));
        let unsigned = Outcomes::default().record(&concluded(Verdict::Suspected), Agree, " ", Timestamp::UNIX_EPOCH);
        assert_eq!(unsigned, Err(OutcomeError::NoName));
    }

    #[test]
    fn the_last_outcome_counts_and_says_nothing_of_a_verdict_that_came_later() {
        let mut outcomes = Outcomes::default();
        let exam = concluded(Verdict::Suspected);
        record(&mut outcomes, &exam, OutcomeKind::Agree).unwrap();
        record(&mut outcomes, &exam, OutcomeKind::FalseAlarm).unwrap();
        assert_eq!(outcomes.all().len(), 2);
        let last = outcomes.of(&exam).unwrap();
        assert_eq!((last.kind, last.by.as_str()), (OutcomeKind::FalseAlarm, "A. Berg"));
        assert_eq!(outcomes.of(&concluded(Verdict::NotSuspected)), None);
    }

    #[test]
    fn only_clear_answers_say_what_the_patient_has() {
        let says = |kind, verdict| {
            CaseOutcome { kind, verdict: Some(verdict), by: String::new(), at: Timestamp::UNIX_EPOCH }.is_positive()
        };
        assert_eq!(says(OutcomeKind::Agree, Verdict::Suspected), Some(true));
        assert_eq!(says(OutcomeKind::FalseAlarm, Verdict::Suspected), Some(false));
        assert_eq!(says(OutcomeKind::Agree, Verdict::NotSuspected), Some(false));
        assert_eq!(says(OutcomeKind::Missed, Verdict::NotAnalysed), Some(true));
        for verdict in [Verdict::Suspected, Verdict::NotSuspected] {
            assert_eq!(says(OutcomeKind::Unclear, verdict), None);
        }
    }

    #[test]
    fn with_few_cases_there_is_a_count_and_no_percentage() {
        let few = OutcomeCounts { true_alarms: 2, false_alarms: 1, unclear_alarms: 40, ..OutcomeCounts::default() };
        let value = few.predictive_value();
        assert_eq!((value.count, value.of, value.value, value.interval), (2, 3, None, None));
        let enough = OutcomeCounts { true_alarms: 18, false_alarms: 2, ..OutcomeCounts::default() };
        let value = enough.predictive_value();
        assert_eq!(value.value, Some(0.9));
        // statsmodels 0.15.0, proportion_confint(18, 20, 0.05, "wilson").
        let [low, high] = value.interval.unwrap();
        assert!((low - 0.698_965).abs() < 1e-4 && (high - 0.972_129).abs() < 1e-3, "{low} {high}");
    }
}
