//! Between the analysis and the hub: what comes of patients goes on, the synthetic patient ends here. So neither the console's lists
//! nor the database, the flags or the outbox ever hear of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::analysis::{ExamState, ExamView, Listener, SlabView};
use crate::console::Hub;
use crate::exam::{ExamKey, QualityIssue, QualityLimits};
use crate::report::ReportBasis;
use crate::triage::{CaseReport, EarlyFlag, Verdict};

/// What was concluded of the synthetic patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conclusion {
    pub(super) verdict: Verdict,
    pub(super) reason: String,
}

/// The hub's listener for patients.
#[derive(Debug)]
pub struct PatientsOnly {
    hub: Arc<Hub>,
    /// Of the last synthetic patient, once all of it was judged.
    concluded: Mutex<Option<(ExamKey, Conclusion)>>,
}

impl PatientsOnly {
    #[must_use]
    pub fn new(hub: Arc<Hub>) -> Self {
        Self { hub, concluded: Mutex::default() }
    }

    /// Whether a patient's exam has no verdict.
    pub(super) fn an_exam_is_open(&self) -> bool {
        self.hub.open_exams().0 > 0
    }

    pub(super) fn concluded(&self, key: &ExamKey) -> Option<Conclusion> {
        let concluded = self.concluded.lock();
        concluded.as_ref().filter(|(of, _)| of == key).map(|(_, conclusion)| conclusion.clone())
    }

    /// The hub, for an exam of a patient.
    fn of(&self, key: &ExamKey) -> Option<&Hub> {
        (!key.is_synthetic()).then_some(&*self.hub)
    }
}

impl Listener for PatientsOnly {
    fn known_report(&self, key: &ExamKey) -> Option<CaseReport> {
        self.of(key)?.known_report(key)
    }

    fn siblings(&self, key: &ExamKey) -> BTreeSet<ExamKey> {
        self.of(key).map(|hub| hub.siblings(key)).unwrap_or_default()
    }

    fn add_issue(&self, key: &ExamKey, issue: &QualityIssue) {
        if let Some(hub) = self.of(key) {
            hub.add_issue(key, issue);
        }
    }

    fn forget_slabs(&self, key: &ExamKey) {
        if let Some(hub) = self.of(key) {
            hub.forget_slabs(key);
        }
    }

    fn waiting(&self, exams: &[ExamKey]) {
        let patients: Vec<ExamKey> = exams.iter().filter(|key| !key.is_synthetic()).cloned().collect();
        self.hub.waiting(&patients);
    }

    fn update(&self, exam: ExamView) {
        if let Some(hub) = self.of(&exam.key) {
            hub.update(exam);
        }
    }

    fn put_slab(&self, key: &ExamKey, slab: SlabView) {
        if let Some(hub) = self.of(key) {
            hub.put_slab(key, slab);
        }
    }

    fn raise_early(&self, key: &ExamKey, early: &EarlyFlag) -> bool {
        self.of(key).is_some_and(|hub| hub.raise_early(key, early))
    }

    fn raise_rescan(&self, key: &ExamKey, issue: &QualityIssue, limits: &QualityLimits) {
        if let Some(hub) = self.of(key) {
            hub.raise_rescan(key, issue, limits);
        }
    }

    fn conclude(&self, exam: ExamView, report: &CaseReport, limits: &QualityLimits) {
        if let Some(hub) = self.of(&exam.key) {
            return hub.conclude(exam, report, limits);
        }
        // Until then the scan goes on, and its images are needed.
        if exam.state == ExamState::Complete {
            let conclusion = Conclusion { verdict: report.verdict, reason: report.reason.clone() };
            *self.concluded.lock() = Some((exam.key.clone(), conclusion));
            self.hub.tell_synthetic(&exam.key, report.verdict);
        }
    }

    fn keep(&self, key: &ExamKey, basis: Option<ReportBasis>) {
        if let Some(hub) = self.of(key) {
            hub.keep(key, basis);
        }
    }
}
