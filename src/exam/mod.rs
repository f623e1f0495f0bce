//! An exam: one patient on the table once. What of it is a slice, where each slice lies, which windows are due, what is
//! wrong with the acquisition, and when it is over.

mod completion;
mod geometry;
mod header;
mod quality;
mod series;

pub use completion::{AssociationId, CompletionRule, CompletionTimes, Rhythm};
pub use geometry::{GeometryError, Lps, SliceGeometry};
pub(crate) use geometry::{cross, dot};
pub use header::{Content, ExamKey, HeaderError, InstanceHeader, Patient, SliceHeader, is_uid};
pub(crate) use header::{number, numbers, text};
pub use quality::{LungArea, QualityIssue, QualityLimits, issues};
#[cfg(test)]
pub(crate) use series::made_slice;
pub use series::{PreparedSlice, Series, SlabIndex, WINDOW_SLABS, WindowInputs, WindowJob};
