//! The slices of an exam as they lie in the spool, for whoever looks at them: where each of them lies, and its Hounsfield units at
//! full resolution.
//!
//! Files and folders of the spool are the index here too: what is listed is what is there, while the exam is received and until
//! retention removes it. Headers are read once and kept for the exams that were looked at last.
//!
//! Nobody who looks delays a scanner: headers and pixels are read by a few threads of their own, which run behind those that
//! receive, whatever number of people ask. What nobody waits for any more is not read.

mod known;
mod list;
mod readers;

pub use known::FoundSlice;
pub use list::{Grid, ListedSlice, SliceList};
pub use readers::{Reader, Slices};

use crate::dicom::{DecodeError, FileError};
use crate::spool::SpoolError;

/// Why there is no slice to look at.
#[derive(Debug, thiserror::Error)]
pub enum SlicesError {
    #[error("the exam has no such slice")]
    NoSuchSlice,
    #[error("the exam's images are not here any more: finished exams make room for new ones")]
    Removed,
    #[error("the slice cannot be read: {0}")]
    File(#[from] FileError),
    #[error("the slice cannot be shown: {0}")]
    Decode(#[from] DecodeError),
    #[error("tableside is stopping")]
    Stopping,
    #[error(transparent)]
    Spool(#[from] SpoolError),
}
