//! An exam: one patient on the table once. What of it is a slice, where each slice lies, which windows are due, what is
//! wrong with the acquisition, and when it is over.

mod acquisition;
mod attributes;
mod completion;
mod enhanced;
mod geometry;
mod header;
mod kernel;
mod performed_step;
mod quality;
mod reconstruction;
mod refusal;
mod scan_order;
mod scanner_pauses;
mod series;
mod siblings;
mod slab_slices;
mod spacing;

pub use acquisition::AcquisitionParameters;
pub(crate) use attributes::{number, numbers, text};
pub use completion::{AssociationId, CompletionLimits, CompletionRule, Progress, Rhythm};
pub use geometry::{GeometryError, Lps, SliceGeometry};
pub(crate) use geometry::{cross, dot};
pub(crate) use header::MIN_TILT_DEGREES;
pub use header::{Content, ExamKey, HeaderError, Identity, InstanceHeader, Patient, SliceHeader, is_ct_image, is_uid};
pub use kernel::Kernel;
pub use performed_step::{JudgedSeriesId, PerformedStep, PerformedSteps, StepWord};
pub use quality::{KeySlice, QualityIssue, QualityKind, QualityLimits, Remedy};
pub use reconstruction::{Reconstruction, best, shows_lung};
pub use refusal::{Contents, Refusal, Refusals};
pub use scan_order::{LungArea, NO_LUNG_CM2, ScanDirection, ScanOrder, lungs_passed};
pub use scanner_pauses::{Pauses, ScannerPauses};
#[cfg(test)]
pub(crate) use series::made_slice;
pub use series::{PreparedSlice, Series, SeriesKey, SlabIndex, WINDOW_SLABS, WindowInputs, WindowJob};
pub use siblings::{Holdings, Place, Siblings};
pub use slab_slices::{SlabSlices, SliceId};
pub use spacing::{Spacing, Stretch};
