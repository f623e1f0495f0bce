//! One exam as it is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alert::{Flags, Outcomes};
use crate::analysis::{ExamState, ExamView, SlabView};
use crate::audit::Subject;
use crate::exam::SlabIndex;
use crate::report::ReportBasis;
use crate::triage::CaseReport;

/// An exam as lists have it: without slabs and report.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedExam {
    pub exam: ExamView,
    pub flags: Flags,
    pub outcomes: Outcomes,
}

/// An exam with all that is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub exam: ExamView,
    pub flags: Flags,
    pub outcomes: Outcomes,
    pub slabs: BTreeMap<SlabIndex, SlabView>,
    pub report: Option<CaseReport>,
    /// What the report was made from, where that is at hand; [`super::Database::basis`] has it of every complete exam.
    pub basis: Option<Arc<ReportBasis>>,
}

impl Record {
    /// The case report, unless slices have come since that it does not know of.
    #[must_use]
    pub fn final_report(&self) -> Option<&CaseReport> {
        self.report.as_ref().filter(|_| self.exam.state == ExamState::Complete)
    }

    /// Whose exam it is, as the audit trail names it. The study is known once there is a report.
    #[must_use]
    pub fn subject(&self) -> Subject {
        let study_instance_uid = self.report.as_ref().map(|report| report.study_instance_uid.clone());
        Subject {
            study_instance_uid: study_instance_uid.unwrap_or_default(),
            patient_id: self.exam.patient.id.clone(),
            exam: Some(self.exam.key.clone()),
        }
    }
}
