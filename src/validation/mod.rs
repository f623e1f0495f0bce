//! How well a model package does on labelled cases: an observer notes what happens in each case, and statistics follow from
//! all of them. Data goes one way here too: `cases` -> `observe` -> [`CaseResult`] -> `statistics` -> `summary` -> files and the exit code.

mod acquisition;
mod agreement;
pub mod calibration;
pub mod cases;
pub mod curves;
pub mod files;
mod html;
pub mod limits;
#[cfg(test)]
mod made;
mod masks;
mod observe;
mod operating_point;
mod result_log;
mod run;
pub mod shadow_report;
pub mod statistics;
pub mod summary;

pub use operating_point::{OperatingPointError, with_operating_point};
pub use run::{ValidationError, ValidationOptions, ValidationRun, run};

use serde::{Deserialize, Serialize};

use crate::triage::Verdict;

/// A labelled case and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// The case's name in the list, unique.
    pub name: String,
    /// Whether the label says that the case must be flagged; `false` too where it says neither, which is a failed case.
    pub positive: bool,
    /// Where the case was scanned; empty if not stated.
    pub site: String,
    /// What the patient has, such as "normal", "lung tumour" or "covid-19"; empty if not stated.
    pub group: String,
    pub outcome: Outcome,
}

impl CaseResult {
    /// What was observed, if the case came to a result: suspected or not suspected.
    #[must_use]
    pub fn judged(&self) -> Option<&Observation> {
        match &self.outcome {
            Outcome::Judged(seen) if matches!(seen.verdict, Verdict::Suspected | Verdict::NotSuspected) => Some(seen),
            _ => None,
        }
    }

    /// Whether the final verdict flags the case.
    #[must_use]
    pub fn flagged(&self) -> bool {
        self.judged().is_some_and(|seen| seen.verdict == Verdict::Suspected)
    }

    /// Whether the case could not be run at all.
    #[must_use]
    pub fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed { .. })
    }
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Outcome {
    /// The exam has a score and a verdict.
    Judged(Observation),
    /// The appliance said "not analysed", or "abnormal, not assessed", and why. Counts as not flagged, never as clear.
    NotAnalysed { reason: String },
    /// The case could not be run: no such folder, no DICOM, labels or masks that cannot be read.
    Failed { reason: String },
}

/// What was observed of a judged case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    pub verdict: Verdict,
    pub reason: String,
    /// Case probability of the whole scan.
    pub score: f64,
    pub slices: usize,
    pub lung_ml: f64,
    pub lesion_ml: f64,
    /// Running probability after each slab, slices in acquisition order (`InstanceNumber`).
    pub path: Vec<PathPoint>,
    /// Largest running probability over the path in acquisition order and the path in the opposite one, among points
    /// with at least the operating point's `early_min_lung_mm` of lung; `None` if no point has that much.
    pub path_maximum: Option<f64>,
    /// When the early flag was raised in acquisition order; the verdict's moment for a final one; `None` if never flagged.
    pub flag: Option<FlagTime>,
    /// Against the case's masks, where there are.
    pub masks: Option<MaskAgreement>,
    /// The key slice with outlines, a file name inside the output folder.
    pub picture: Option<String>,
}

/// One point of the running score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PathPoint {
    /// Slices received so far.
    pub slices: usize,
    /// How much lung has been judged so far, mm along z.
    pub lung_mm: f64,
    /// Running case probability.
    pub score: f64,
}

/// When an exam was flagged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FlagTime {
    /// Raised while the scan ran, not with the verdict.
    pub early: bool,
    /// Share of the scan's slices that had come, 0..=1.
    pub share: f64,
    /// Since the first slice, at the slice rate the validation assumes, s.
    pub seconds: f64,
}

/// Agreement of what the model drew with a person's masks, on the model's grid.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MaskAgreement {
    /// `None` without a lung mask, or where both are empty.
    pub lung_dice: Option<f64>,
    /// `None` without a lesion mask, or where both are empty.
    pub lesion_dice: Option<f64>,
    /// `None` without a lesion mask: that none was drawn does not mean that there is no lesion.
    pub lesions: Option<LesionAgreement>,
}

/// Lesions of at least 0.5 ml in a person's mask and in the model's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LesionAgreement {
    /// Lesions in the person's mask, and how many of them the model touched.
    pub count: usize,
    pub found: usize,
    /// Lesions that the model drew where the person's mask has none.
    pub false_lesions: usize,
}
