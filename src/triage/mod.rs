//! Triage: from the slabs' evidence to a verdict. Evidence is a table, the case is a fold over it.

mod body;
mod components;
mod driving;
mod evidence;
mod findings;
mod lesions;
mod location;
mod lungs;
mod pattern;
mod quality;
mod report;
mod steps;
mod verdict;

pub use body::{CrossSection, SpinePlace};
pub(crate) use components::{Run, components};
pub use driving::{DrivingSlab, driving_slabs};
pub use evidence::{EvidenceTable, Mask, SlabEvidence, TableRow, case_score, thicknesses_mm};
pub use findings::Findings;
pub use lesions::{Lesion, SMALLEST_LESION_ML, Side, lesions};
pub use lungs::{LungSummary, Lungs};
pub use pattern::{Pattern, PatternKind};
pub use quality::{Beginning, FIRST_SLICES, acquisition_issues, beginning};
pub use report::{
    CaseReport, EarlyFlag, INTENDED_USE, LesionSummary, ModelIdentity, SCHEMA_VERSION, SliceCounts, Thresholds, Timing,
    schema,
};
pub use steps::{Step, change_hu, steps};
pub use verdict::{Facts, Judgement, Verdict, is_seen_beside_a_dense_lung, judge};

#[cfg(test)]
pub(crate) use evidence::tests;
#[cfg(test)]
pub(crate) use report::example_report;
