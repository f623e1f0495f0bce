//! The case report: what `demo` and `triage` print and the console shows once an exam is complete.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Densities, DrivingSlab, Lesion, LesionSummary, LungSummary, Pattern, Verdict, ZoneScore};
use crate::exam::{CompletionRule, Contents, ExamKey, QualityIssue};
use crate::texts::Phrase;

/// Version of the report's format; it rises when a key changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 2;

/// Stands wherever users look.
pub const INTENDED_USE: &str = "Research use only. Not a medical device.";

/// Everything that is said of one exam.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CaseReport {
    pub schema_version: u32,
    /// Version of the program.
    pub tableside: String,
    pub intended_use: String,
    pub exam: ExamKey,
    pub study_instance_uid: String,
    /// The series that was judged.
    pub series_instance_uid: Option<String>,
    pub verdict: Verdict,
    /// One sentence that says why the verdict is what it is.
    pub reason: String,
    /// The same in no language yet; absent from reports of versions that kept the sentence alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_phrase: Option<Phrase>,
    /// There was an earlier verdict, and it was another one or rested on other slices. What comes after the lungs have passed
    /// and leaves the verdict as it is revises nothing.
    pub revised: bool,
    /// Case probability, 0 to 1.
    pub score: Option<f64>,
    /// The slabs that add most to it.
    #[serde(default)]
    pub driving_slabs: Vec<DrivingSlab>,
    pub thresholds: Thresholds,
    /// When the running score first crossed the early threshold.
    pub early_flag: Option<EarlyFlag>,
    pub slices: SliceCounts,
    /// Volume of both lungs, lesions included, ml.
    pub lung_ml: f64,
    pub lungs: LungSummary,
    pub lesion_summary: LesionSummary,
    /// Absent where no lung was found.
    pub zone_score: Option<ZoneScore>,
    /// What counts as ground glass and consolidation in this report.
    #[serde(default)]
    pub densities: Densities,
    pub pattern: Pattern,
    /// Largest first.
    pub lesions: Vec<Lesion>,
    pub quality: Vec<QualityIssue>,
    pub engine: String,
    pub model: ModelIdentity,
    pub timing: Timing,
}

impl CaseReport {
    /// Why the verdict is what it is.
    #[must_use]
    pub fn said_reason(&self) -> Phrase {
        self.reason_phrase.clone().unwrap_or_else(|| Phrase::english(&self.reason))
    }
}

/// Probabilities from which an exam is flagged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Thresholds {
    pub early: f64,
    pub suspected: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EarlyFlag {
    /// Slices received when the flag was raised.
    pub after_slices: usize,
    /// Time since the exam's first slice, seconds.
    pub after_s: f64,
    /// The running score that raised it.
    pub score: f64,
    /// Share of the announced slices that had come, 0 to 1; absent where none were announced.
    #[serde(default)]
    pub scan_share: Option<f64>,
    /// The slabs that added most to the score.
    #[serde(default)]
    pub driving_slabs: Vec<DrivingSlab>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SliceCounts {
    /// Images received: an instance of several frames counts each of them.
    pub received: usize,
    /// The instances in which they came.
    #[serde(default)]
    pub instances: usize,
    /// Slices in the series that was judged.
    pub analysed: usize,
    /// Images that are rightly not analysed: scouts, other series, other objects.
    pub kept: usize,
    /// CT slices that cannot be analysed.
    pub failed: usize,
    /// Objects of the exam that were refused: they are not here, and nobody knows what they show.
    #[serde(default)]
    pub refused: usize,
    /// Instances that were sent again with other content: what came before does not count any more.
    #[serde(default)]
    pub replaced: usize,
    /// Images that the scanner announced.
    pub expected: Option<usize>,
}

impl SliceCounts {
    /// The instances received; reports from before they were counted know the images alone, one in each.
    #[must_use]
    pub fn instances(&self) -> usize {
        if self.instances == 0 { self.received } else { self.instances }
    }

    /// What there is of the exam.
    #[must_use]
    pub fn contents(&self) -> Contents {
        Contents { instances: self.instances() + self.replaced, refused: self.refused }
    }

    /// Share of the announced slices that have come, 0 to 1; `None` where none were announced.
    #[must_use]
    pub fn scan_share(&self) -> Option<f64> {
        self.expected.filter(|expected| *expected > 0).map(|expected| (self.analysed as f64 / expected as f64).min(1.0))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelIdentity {
    pub name: String,
    pub version: String,
    /// Of the weights; empty in reports from before it was kept.
    #[serde(default)]
    pub sha256: String,
}

/// Durations, ms unless named otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timing {
    pub first_slice_to_verdict_ms: f64,
    /// From the last slice being on disk to the verdict.
    pub last_slice_to_verdict_ms: f64,
    /// From the first slice being on disk to the last.
    #[serde(default)]
    pub receive_ms: f64,
    /// From the last slice being on disk to when the exam was known to be over.
    #[serde(default)]
    pub wait_ms: f64,
    /// The rest, up to the verdict: decoding, the last windows, the verdict itself.
    #[serde(default)]
    pub compute_ms: f64,
    pub completed_by: CompletionRule,
    /// Windows that the engine judged, repeated ones included.
    pub inferences: usize,
    /// Mean time of one inference.
    pub inference_ms: f64,
}

/// The JSON schema of [`CaseReport`].
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(CaseReport).to_value()
}

#[cfg(test)]
pub(crate) fn example_report() -> CaseReport {
    CaseReport {
        schema_version: SCHEMA_VERSION,
        tableside: "0.0.0".into(),
        intended_use: INTENDED_USE.into(),
        exam: ExamKey::new("1.2", &crate::exam::Patient::default()),
        study_instance_uid: "1.2".into(),
        series_instance_uid: Some("1.2.3".into()),
        verdict: Verdict::NotSuspected,
        reason: "because".into(),
        reason_phrase: None,
        revised: false,
        score: Some(0.9),
        driving_slabs: Vec::new(),
        thresholds: Thresholds { early: 0.9, suspected: 0.5 },
        early_flag: None,
        slices: SliceCounts { received: 100, instances: 100, analysed: 100, ..SliceCounts::default() },
        lung_ml: 4000.0,
        lungs: LungSummary {
            right_ml: 2200.0,
            left_ml: 1800.0,
            chest_share: Some(0.3),
            spine_in_front: false,
            spine_found: true,
            inflation: Some(super::Inflation { median_hu: -851.0, gradient_hu: 14.0 }),
        },
        lesion_summary: LesionSummary::default(),
        zone_score: None,
        densities: Densities::default(),
        pattern: Pattern::default(),
        lesions: Vec::new(),
        quality: Vec::new(),
        engine: "embedded".into(),
        model: ModelIdentity { name: "reference".into(), version: "0".into(), sha256: "00".repeat(32) },
        timing: Timing {
            first_slice_to_verdict_ms: 0.0,
            last_slice_to_verdict_ms: 0.0,
            receive_ms: 0.0,
            wait_ms: 0.0,
            compute_ms: 0.0,
            completed_by: CompletionRule::QuietTime,
            inferences: 0,
            inference_ms: 0.0,
        },
    }
}
