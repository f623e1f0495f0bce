//! An exam: one patient on the table once. This module knows what of it is a slice, where each slice lies, which windows are
//! due, what is wrong with the acquisition, and when the exam is over.

mod acquisition;
mod completion;
mod density_jump;
mod division;
mod doubt;
mod enhanced;
mod field_of_view;
mod geometry;
mod header;
mod interleaving;
mod joining;
mod kernel;
mod performed_step;
mod plane_centre;
mod quality;
mod reconstruction;
mod refusal;
mod repeated;
mod scan_order;
mod scanner_pauses;
mod series;
mod siblings;
mod slab_slices;
mod slice_image;
mod spacing;
mod summed;

pub use acquisition::AcquisitionParameters;
pub use completion::{AssociationId, CompletionLimits, CompletionRule, Progress, Rhythm};
pub use density_jump::{DensityJump, density_jumps};
pub use division::{Division, Part};
pub use doubt::Doubt;
pub use field_of_view::{CutRegion, LungAtBorder, lung_at_border};
pub use geometry::{GeometryError, Lps, OtherPlane, SliceGeometry};
pub(crate) use geometry::{cross, dot};
pub(crate) use header::MIN_TILT_DEGREES;
pub use header::{Content, ExamKey, HeaderError, Identity, InstanceHeader, Patient, SliceHeader, is_ct_image, is_uid};
pub use interleaving::{Thumbnail, are_interleaved};
pub use joining::joined;
pub use kernel::Kernel;
pub use performed_step::{AwaitedSeries, PerformedStep, PerformedStepSignal, PerformedSteps};
pub use plane_centre::{Centring, PlaneCentre};
pub use quality::{KeySlice, QualityIssue, QualityKind, QualityLimits, Remedy};
pub use reconstruction::{Reconstruction, best, shows_lung};
pub use refusal::{Contents, Refusal, Refusals};
pub use repeated::{RepeatedImages, repeated_images};
pub use scan_order::{LungArea, NO_LUNG_CM2, ScanDirection, ScanOrder, lungs_passed};
pub use scanner_pauses::{Pauses, ScannerPauses};
pub use series::{PreparedSlice, Series, SeriesKey, SlabIndex, WINDOW_SLABS, WindowInputs, WindowJob};
#[cfg(test)]
pub(crate) use series::{made_header, made_image, made_slice};
pub use siblings::{AssignedExam, Holdings, Siblings};
pub use slab_slices::{SlabSlices, SliceId};
pub use slice_image::{PixelError, PlaneError, hounsfield_image, plane_of, stored_image};
pub use spacing::{Spacing, Stretch};
pub use summed::{Sum, sum_up};
