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

use std::fmt;

use crate::dicom::{DecodeError, FileError};
use crate::spool::SpoolError;
use crate::texts::Phrase;

/// Why there is no slice to look at.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.phrase())]
pub enum SlicesError {
    NoSuchSlice,
    Removed,
    File(#[from] FileError),
    Decode(#[from] DecodeError),
    Stopping,
    Spool(#[from] SpoolError),
}

impl SlicesError {
    /// What people are told.
    #[must_use]
    pub fn phrase(&self) -> Phrase {
        let failed =
            |text, reason: &dyn fmt::Display| Phrase::new(text).with("reason", Phrase::english(reason.to_string()));
        match self {
            Self::NoSuchSlice => Phrase::new("error.no_such_slice"),
            Self::Removed => Phrase::new("error.images_removed"),
            Self::File(error) => failed("error.slice_not_read", error),
            Self::Spool(error) => failed("error.slice_not_read", error),
            Self::Decode(error) => failed("error.slice_not_shown", error),
            Self::Stopping => Phrase::new("error.stopping"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::tests::assert_known;

    #[test]
    fn why_there_is_no_slice_is_said_in_every_language() {
        let decode = DecodeError::Decode(String::new());
        let spool = SpoolError::from(std::io::Error::from(std::io::ErrorKind::NotFound));
        for error in [SlicesError::Removed, SlicesError::Decode(decode), SlicesError::Spool(spool)] {
            assert_known(&error.phrase());
        }
    }
}
