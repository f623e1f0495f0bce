//! Exams and flags for tests.

use jiff::Timestamp;

use super::{Flag, FlagKind, FlagState, Severity};
use crate::analysis::{ExamState, ExamView};
use crate::exam::{ExamKey, Patient};
use crate::triage::{SliceCounts, Thresholds, Verdict};

/// An exam that began at the epoch.
pub(crate) fn exam(state: ExamState, verdict: Option<Verdict>) -> ExamView {
    ExamView {
        key: ExamKey::new("1.2", &Patient::default()),
        state,
        patient: Patient::default(),
        scanner: "CT1".to_owned(),
        description: String::new(),
        started: Timestamp::UNIX_EPOCH,
        last_slice: None,
        updated: Timestamp::UNIX_EPOCH,
        slices: SliceCounts { received: 100, instances: 100, analysed: 99, kept: 1, ..SliceCounts::default() },
        z_mm: None,
        slabs: 0,
        score: None,
        threshold: Thresholds { early: 0.9, suspected: 0.5 },
        verdict,
        reason: verdict.map(|_| "because".to_owned()).unwrap_or_default(),
        reason_phrase: None,
        revised: false,
        lesions: None,
    }
}

/// A flag that nobody has acknowledged.
pub(crate) fn flag(kind: FlagKind, state: FlagState) -> Flag {
    let severity = match kind {
        FlagKind::Suspected => Severity::Alarm,
        FlagKind::Abnormal | FlagKind::Rescan | FlagKind::NotAnalysed => Severity::Warning,
    };
    Flag {
        id: Flag::id_of(kind),
        kind,
        severity,
        state,
        text: format!("{} text", kind.as_str()),
        phrase: None,
        remedy: None,
        raised: Timestamp::UNIX_EPOCH,
        after_slices: 40,
        score: None,
        acknowledged: None,
        life: Vec::new(),
    }
}
