//! Triage: from the slabs' evidence to a verdict. Evidence is a table, and the case is a fold over it.

mod aeration;
mod anatomy_jumps;
mod around;
mod body;
mod cut_off;
mod dense_zone;
mod density;
mod driving;
mod evidence;
mod extent;
mod field_of_view;
mod findings;
mod key_slice;
mod lesion_region;
mod lesions;
mod location;
mod lung_regions;
mod lungs;
mod pattern;
mod quality;
mod reason;
#[cfg(test)]
mod reference;
mod report;
mod segmentation;
mod transfer;
mod verdict;
mod words;
mod zones;

pub use aeration::{Aeration, Inflation};
pub use anatomy_jumps::{AnatomyJump, anatomy_jumps, change_hu, change_of_parts};
pub use body::{BONE_HU, Body, CrossSection, SpinePlace, TISSUE_HU, Tissue};
pub use density::{Densities, HIGH_OPACITY_HU, Histogram};
pub use driving::{DrivingSlab, driving_slabs};
pub use evidence::{Adjacencies, EvidenceTable, SlabEvidence, TableRow, case_score, thicknesses_mm};
pub use extent::Spans;
pub use field_of_view::CutField;
pub use findings::Findings;
pub use lesion_region::{LesionRegion, LesionRegions};
pub use lesions::{Lesion, LesionSummary, SMALLEST_LESION_ML};
pub use lung_regions::LungRegions;
pub use lungs::{LungSummary, Lungs};
pub use pattern::{Pattern, PatternKind};
pub use quality::{Beginning, acquisition_issues, beginning, mixed};
pub use reason::{Reason, Verdict};
pub use report::{
    CaseReport, EarlyFlag, INTENDED_USE, ModelIdentity, SCHEMA_VERSION, SliceCounts, Thresholds, Timing, schema,
};
pub use segmentation::{Segmentation, SegmentedRun, SegmentedSlab};
pub use transfer::Transfer;
pub use verdict::{Facts, is_seen_beside_a_dense_lung, judge};
pub use zones::{Side, Zone, ZoneInvolvement, ZoneScore};

#[cfg(test)]
pub(crate) use evidence::tests;
#[cfg(test)]
pub(crate) use report::example_report;
