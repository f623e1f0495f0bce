//! Filters of lists: each says which exams it lets through twice, of an exam at hand and as a condition on rows. The tests hold both
//! to the same answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::ListedExam;
use crate::alert::{FlagKind, Severity, Urgency};
use crate::analysis::ExamState;
use crate::triage::Verdict;

/// Which exams are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExamFilter {
    /// They ask for something that nobody has seen.
    ToDo,
    /// The verdict or a flag that stands says so.
    Suspected,
    /// A flag that stands asks for another scan, or to send again.
    Rescan,
    /// The verdict or a flag that stands says so, or they are over without a verdict.
    NotAnalysed,
    /// They are suspected, the verdict stands, and nobody has recorded what became of it.
    NoOutcome,
}

/// A verdict stands.
pub(super) const CONCLUDED: &str = "(exam.state <> 'receiving')";

/// The last outcome is about the verdict that the exam has now.
pub(super) const HAS_OUTCOME: &str =
    "EXISTS (SELECT 1 FROM outcome WHERE outcome.exam = exam.key AND outcome.verdict IS exam.verdict
    AND outcome.place = (SELECT max(other.place) FROM outcome AS other WHERE other.exam = exam.key))";

impl ExamFilter {
    pub const ALL: [Self; 5] = [Self::ToDo, Self::Suspected, Self::Rescan, Self::NotAnalysed, Self::NoOutcome];

    /// The filters that let an exam through.
    #[must_use]
    pub fn of(listed: &ListedExam, urgency: &Urgency) -> Vec<Self> {
        Self::ALL.into_iter().filter(|filter| filter.lets_through(listed, urgency)).collect()
    }

    fn lets_through(self, ListedExam { exam, flags, outcomes }: &ListedExam, urgency: &Urgency) -> bool {
        let stands = |kind| flags.all().iter().any(|flag| flag.kind == kind && flag.is_open());
        let is_concluded = exam.state != ExamState::Receiving;
        match self {
            Self::ToDo => urgency.asks(),
            Self::Suspected => exam.verdict == Some(Verdict::Suspected) || stands(FlagKind::Suspected),
            Self::Rescan => flags
                .all()
                .iter()
                .any(|flag| flag.kind == FlagKind::Rescan && flag.is_open() && flag.severity != Severity::Notice),
            Self::NotAnalysed => {
                let is_over_without = is_concluded && exam.verdict.is_none();
                is_over_without || exam.verdict == Some(Verdict::NotAnalysed) || stands(FlagKind::NotAnalysed)
            }
            Self::NoOutcome => is_concluded && exam.verdict == Some(Verdict::Suspected) && outcomes.of(exam).is_none(),
        }
    }

    /// The same as a condition on rows of `exam`.
    pub(super) fn condition(self) -> String {
        let stands = |more: &str| {
            format!(
                "EXISTS (SELECT 1 FROM flag WHERE flag.exam = exam.key AND flag.state NOT IN ('withdrawn', 'pending') AND {more})"
            )
        };
        match self {
            Self::ToDo => {
                let unseen = stands("flag.acknowledged_by IS NULL");
                // What no flag says (`alert::statements`): no verdict, or slices that a negative verdict lacks.
                let lost = "slices_failed + objects_refused > 0
                    OR (exam.state = 'complete' AND images_expected > images_received)";
                let rescan = stands("flag.kind = 'rescan'");
                let unflagged =
                    format!("(exam.verdict IS NULL OR (exam.verdict = 'not_suspected' AND ({lost}) AND NOT {rescan}))");
                format!("({unseen} OR ({CONCLUDED} AND {unflagged} AND NOT {HAS_OUTCOME}))")
            }
            Self::Suspected => format!("(exam.verdict = 'suspected' OR {})", stands("flag.kind = 'suspected'")),
            Self::Rescan => stands("flag.kind = 'rescan' AND flag.severity <> 'notice'"),
            Self::NotAnalysed => format!(
                "(exam.verdict = 'not_analysed' OR (exam.verdict IS NULL AND {CONCLUDED}) OR {})",
                stands("flag.kind = 'not_analysed'")
            ),
            Self::NoOutcome => format!("(exam.verdict = 'suspected' AND {CONCLUDED} AND NOT {HAS_OUTCOME})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::{Duration, Instant};

    use jiff::Timestamp;

    use super::*;
    use crate::alert::made::{exam, flag};
    use crate::alert::{Acknowledgement, Flag, FlagState, Flags, OutcomeKind, Outcomes, statements};
    use crate::analysis::ExamView;
    use crate::database::{Database, ExamSearch, Record};
    use crate::exam::{ExamKey, Patient};

    /// Exams of every state and verdict, with and without flags, failed slices and outcomes.
    fn exams() -> Vec<ListedExam> {
        let states = [ExamState::Receiving, ExamState::Trailing, ExamState::Complete];
        let verdicts = [
            None,
            Some(Verdict::Suspected),
            Some(Verdict::Abnormal),
            Some(Verdict::NotSuspected),
            Some(Verdict::NotAnalysed),
        ];
        let kinds = [FlagKind::Suspected, FlagKind::Rescan, FlagKind::NotAnalysed];
        let seen = Some(Acknowledgement { by: "ab".to_owned(), at: Timestamp::UNIX_EPOCH });
        let mut flags = vec![Vec::new()];
        for kind in kinds {
            for state in [FlagState::Early, FlagState::Final, FlagState::Withdrawn, FlagState::Pending] {
                let unseen = flag(kind, state);
                flags.push(vec![Flag { acknowledged: seen.clone(), ..unseen.clone() }]);
                flags.push(vec![Flag { severity: Severity::Notice, ..unseen.clone() }]);
                flags.push(vec![unseen]);
            }
        }
        let mut exams = Vec::new();
        for (state, verdict) in states.into_iter().flat_map(|state| verdicts.map(|verdict| (state, verdict))) {
            for (flags, lost) in flags.iter().flat_map(|flags| [0, 1, 2].map(|lost| (flags, lost))) {
                for outcomes in 0..3 {
                    let mut exam = exam(state, verdict);
                    exam.key = ExamKey::new(&format!("1.2.{}", exams.len()), &Patient::default());
                    (exam.slices.failed, exam.slices.expected) = [(0, None), (1, Some(100)), (0, Some(101))][lost];
                    let mut recorded = Outcomes::default();
                    // The second one is about an earlier verdict.
                    let earlier =
                        ExamView { state: ExamState::Complete, verdict: Some(Verdict::Suspected), ..exam.clone() };
                    let about = [None, Some(&exam), Some(&earlier)][outcomes];
                    let _ = about.map(|exam| recorded.record(exam, OutcomeKind::Unclear, "ab", Timestamp::UNIX_EPOCH));
                    exams.push(ListedExam { exam, flags: Flags::from(flags.clone()), outcomes: recorded });
                }
            }
        }
        exams
    }

    #[test]
    fn a_filter_finds_in_the_database_what_it_lets_through_at_hand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tableside.db");
        let (exams, database) = (exams(), Database::open(&path).unwrap());
        for ListedExam { exam, flags, outcomes } in exams.clone() {
            database.save(Record { exam, flags, outcomes, slabs: [].into(), report: None, basis: None });
        }
        assert_eq!(database.close(Instant::now() + Duration::from_mins(1)), BTreeSet::new());
        for filter in ExamFilter::ALL {
            let at_hand: BTreeSet<ExamKey> = exams
                .iter()
                .filter(|listed| {
                    let said = statements(&listed.exam, listed.flags.all(), None);
                    let urgency = Urgency::of(&listed.exam, listed.flags.all(), &said, &listed.outcomes);
                    ExamFilter::of(listed, &urgency).contains(&filter)
                })
                .map(|listed| listed.exam.key.clone())
                .collect();
            let search = ExamSearch { filter: Some(filter), ..ExamSearch::default() };
            let found = database.search(&search, exams.len()).unwrap();
            let found: BTreeSet<ExamKey> = found.into_iter().map(|listed| listed.exam.key).collect();
            assert!(!found.is_empty() && found.len() < exams.len(), "{filter:?}");
            assert_eq!(found, at_hand, "{filter:?}");
        }
    }
}
