//! Why a verdict is what it is: a closed list, each with the figures that its words need, and each of one verdict alone.

use serde::{Deserialize, Serialize};

use super::lesions::LesionSummary;
use super::pattern::Pattern;
use super::zones::{Side, Zone};
use crate::exam::QualityIssue;

/// What the exam reads as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Pneumonia-like opacities: isolate.
    Suspected,
    /// Something else is wrong that Tableside does not judge: a radiologist must look.
    Abnormal,
    NotSuspected,
    NotAnalysed,
}

impl Verdict {
    /// The verdict as reports, metrics and the console write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suspected => "suspected",
            Self::Abnormal => "abnormal",
            Self::NotSuspected => "not_suspected",
            Self::NotAnalysed => "not_analysed",
        }
    }
}

/// Why the verdict is what it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// Opacities like those of pneumonia.
    Opacities {
        pattern: Pattern,
        lesions: LesionSummary,
        score: f64,
    },
    /// One lesion like a mass.
    Mass {
        volume_ml: f64,
        side: Side,
    },
    /// One lung with too little air in it against the other one, volumes without consolidation.
    DenseLung {
        side: Side,
        aerated_ml: f64,
        other_ml: f64,
    },
    /// Two lungs with too little air in them for the chest.
    DenseLungs {
        lung_ml: f64,
        chest_share: f64,
    },
    /// A third of a lung with too little air in it against the other side's, volumes without consolidation.
    DenseThird {
        zone: Zone,
        aerated_ml: f64,
        other_ml: f64,
    },
    /// Nothing was found in whole lungs. A score above the threshold was one of a rim on the diaphragm.
    NoOpacities {
        score: f64,
        is_rim: bool,
    },
    /// Nothing but refused objects came, as far as slices go.
    AllObjectsRefused {
        count: usize,
        refusal: String,
    },
    /// Nothing is left of the exam: its objects were refused and have been stored since, in the exams that they name.
    RefusedAndStoredSince {
        count: usize,
    },
    /// Slices came, and none can be analysed; why the first cannot.
    NoUsableSlice {
        count: usize,
        defect: String,
    },
    NoAxialSlice,
    /// What the engine failed with.
    EngineFailure {
        failure: String,
    },
    /// All images claim one position, or a few.
    FewPositions {
        issue: QualityIssue,
    },
    TooFewSlices {
        usable: usize,
        at_least: usize,
    },
    /// Objects were refused, and what came without them is too little.
    TooFewSlicesLeft {
        usable: usize,
        refused: QualityIssue,
    },
    NoSlabJudged,
    SpineInFront,
    NoLung {
        lung_ml: f64,
    },
    /// So many of the slices cannot be analysed that the rest does not stand for the exam; why the first cannot.
    TooManyDefective {
        defective: usize,
        slices: usize,
        defect: String,
    },
    /// The field of view cuts the lungs; opacities that are drawn there alone may be none.
    MisleadingField {
        issue: QualityIssue,
        is_above: bool,
    },
    /// Something about the acquisition forbids the verdict.
    Quality {
        issue: QualityIssue,
    },
    /// How much of the chest is lung could not be measured.
    UnknownChestShare,
    NoSpine,
}

impl Reason {
    /// The verdict that it is a reason for.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Opacities { .. } => Verdict::Suspected,
            Self::Mass { .. } | Self::DenseLung { .. } | Self::DenseLungs { .. } | Self::DenseThird { .. } => {
                Verdict::Abnormal
            }
            Self::NoOpacities { .. } => Verdict::NotSuspected,
            Self::AllObjectsRefused { .. }
            | Self::RefusedAndStoredSince { .. }
            | Self::NoUsableSlice { .. }
            | Self::NoAxialSlice
            | Self::EngineFailure { .. }
            | Self::FewPositions { .. }
            | Self::TooFewSlices { .. }
            | Self::TooFewSlicesLeft { .. }
            | Self::NoSlabJudged
            | Self::SpineInFront
            | Self::NoLung { .. }
            | Self::TooManyDefective { .. }
            | Self::MisleadingField { .. }
            | Self::Quality { .. }
            | Self::UnknownChestShare
            | Self::NoSpine => Verdict::NotAnalysed,
        }
    }
}
