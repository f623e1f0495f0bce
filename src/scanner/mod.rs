//! A simulated scanner: the peer with which Tableside is demonstrated and tested.
//!
//! It sends an exam as a scanner does, one C-STORE after the other at the scanner's pace, from a folder of DICOM files or
//! from a synthetic [`phantom`]. On request it does what goes wrong at a real scanner: it sends slices in another order,
//! leaves some out, sends some twice, or spreads them over several associations. It can also send a series as one
//! multi-frame object.
//!
//! [`instances()`] returns what is to be sent, already encoded; [`send()`] sends it and returns the outcome.

use std::path::PathBuf;

use crate::dicom::Target;

mod arrange;
mod enhanced;
mod options;
pub mod phantom;
mod renumber;
mod report;
mod send;
pub mod series;

pub use arrange::{Order, drop_slices, duplicate_slices, reorder};
pub use enhanced::enhanced;
pub use options::{Prepared, ScanOptions, Source, SourceArgs, instances, prepare};
pub use phantom::{Phantom, PhantomKind, PhantomOptions};
pub use renumber::new_uids;
pub use report::{Quantiles, ScanReport, SendFailure, SendProgress};
pub use send::{SendOptions, echo, send};
pub use series::{Instance, Unreadable};

/// Why the scanner could not do what it was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScannerError {
    /// A path that does not exist or may not be read or written.
    #[error("cannot read or write {folder}: {source}", folder = folder.display())]
    Folder {
        /// The file or folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No DICOM file below the folder.
    #[error(
        "no DICOM file to send below {folder} ({skipped} other files); give a folder of Part 10 files",
        folder = folder.display()
    )]
    NothingToSend {
        /// The folder that was searched.
        folder: PathBuf,
        /// How many files are not DICOM.
        skipped: usize,
    },
    /// A data set that cannot be encoded or decoded.
    #[error("cannot encode {origin}: {reason}")]
    Encoding {
        /// File or phantom slice.
        origin: String,
        /// What the encoder said.
        reason: String,
    },
    /// A transfer syntax this program does not know.
    #[error("transfer syntax {uid} is not known here; convert the file first, or send it without --new-uids")]
    TransferSyntax {
        /// `TransferSyntaxUID`.
        uid: String,
    },
    /// More slices asked for than there are.
    #[error("{wanted} slices wanted but only {available} can be chosen; ask for fewer")]
    TooFewSlices {
        /// How many were asked for.
        wanted: usize,
        /// How many there are.
        available: usize,
    },
    /// A calling AE title that DICOM does not allow.
    #[error("{title:?} cannot be the scanner's title: {reason}")]
    CallingAe {
        /// What was given.
        title: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A rate that is no rate.
    #[error("{rate} slices/s is no rate; give a number above 0, or 0 for as fast as possible")]
    Rate {
        /// What was given, slices/s.
        rate: f64,
    },
    /// More kinds of instances than an association can carry.
    #[error("{count} kinds of instances at once, an association carries {most}; send a smaller folder")]
    TooManyContexts {
        /// Pairs of SOP class and transfer syntax.
        count: usize,
        /// The most that can be proposed.
        most: usize,
    },
    /// No association, or no sensible answer.
    #[error("{target} does not take part: {reason}; check that it runs and knows this scanner's AE title")]
    Peer {
        /// Who was called.
        target: Target,
        /// What happened.
        reason: String,
    },
    /// A worker ended before its work was done.
    #[error("the work was interrupted by a fault in this program; see the messages above")]
    Interrupted,
}

impl ScannerError {
    fn encoding(origin: &str, reason: &dyn std::error::Error) -> Self {
        Self::Encoding { origin: origin.to_owned(), reason: crate::dicom::scu::chain(reason) }
    }
}
