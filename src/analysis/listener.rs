//! Whom the analysis tells what comes of exams.

use std::collections::BTreeSet;

use super::view::{ExamView, SlabView};
use crate::exam::{ExamKey, QualityIssue, QualityLimits};
use crate::report::ReportBasis;
use crate::triage::{CaseReport, EarlyFlag};

/// Shows and keeps what comes of exams, and remembers earlier ones. It is called by the thread that analyses: what takes
/// time is not done within the call.
pub trait Listener: Send + Sync {
    /// The report that an exam has from before.
    fn known_report(&self, key: &ExamKey) -> Option<CaseReport>;

    /// The exams that are known with the same study and Patient ID, and another person.
    fn siblings(&self, key: &ExamKey) -> BTreeSet<ExamKey>;

    /// Adds an issue to an exam's report, unless it is there.
    fn add_issue(&self, key: &ExamKey, issue: &QualityIssue);

    /// Forgets the slabs of an exam, which are made anew.
    fn forget_slabs(&self, key: &ExamKey);

    /// The exams that have been received and not begun, the next one first. No others wait for their turn any more.
    fn waiting(&self, exams: &[ExamKey]);

    /// Brings an exam up to date; what a verdict said of a scan that goes on is pending.
    fn update(&self, exam: ExamView);

    /// Puts a slab in its place.
    fn put_slab(&self, key: &ExamKey, slab: SlabView);

    /// Raises the early flag if none stands. `true` if it was raised.
    fn raise_early(&self, key: &ExamKey, early: &EarlyFlag) -> bool;

    /// Asks for a rescan while the scan runs, if nothing does so already.
    fn raise_rescan(&self, key: &ExamKey, issue: &QualityIssue, limits: &QualityLimits);

    /// Shows a verdict, and sees to the flags.
    fn conclude(&self, exam: ExamView, report: &CaseReport, limits: &QualityLimits);

    /// Keeps the verdict that was shown last, and what its report was made from; of a scan that goes on there is no such thing yet.
    fn keep(&self, key: &ExamKey, basis: Option<ReportBasis>);
}
