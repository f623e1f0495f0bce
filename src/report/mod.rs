//! What an exam's report becomes for a PACS: case report, masks and pictures in, DICOM objects out. Nothing here reads a file, asks
//! the time or draws a random number: the same input gives the same bytes, under the same UIDs.
//!
//! A UID names what its object says (`uids`): archives answer success to other bytes under a UID that they know, and keep the old
//! ones, so that a revised report under the UID of the first would vanish.

mod basis;
mod codes;
mod elements;
mod page;
mod secondary_capture;
mod segmentation;
mod structured_report;
mod uids;

use std::thread;

use jiff::tz::Offset;
use serde::Serialize;

pub use basis::{ReportBasis, SourceHeader};
pub use secondary_capture::KeyPicture;
pub use uids::content_digest;

use crate::meanwhile::Meanwhile;
use crate::triage::CaseReport;

/// What one exam's objects are made from.
#[derive(Debug, Clone, Copy)]
pub struct Exam<'a> {
    pub report: &'a CaseReport,
    pub basis: &'a ReportBasis,
    /// What holds for the objects as it does for the judged slices.
    pub source_header: &'a SourceHeader,
    /// The site's offset from UTC when the verdict was given: times are written in it where the source names none, as the scanner
    /// wrote its own.
    pub site_offset: Offset,
    /// The structured report that this one takes the place of.
    pub replaces: Option<&'a SopReference>,
}

/// An object of the same study.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SopReference {
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    pub series_instance_uid: String,
}

/// What a site chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReportOptions {
    pub series_numbers: SeriesNumbers,
    /// A segmentation has a frame for each source slice and segment, also where nothing is drawn.
    pub keeps_empty_frames: bool,
}

/// Series Number (0020,0011) of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SeriesNumbers {
    pub secondary_capture: u32,
    pub segmentation: u32,
    pub structured_report: u32,
}

impl Default for ReportOptions {
    fn default() -> Self {
        let series_numbers = SeriesNumbers { secondary_capture: 9001, segmentation: 9002, structured_report: 9003 };
        Self { series_numbers, keeps_empty_frames: false }
    }
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    Segmentation,
    SecondaryCapture,
    StructuredReport,
}

/// A DICOM object, ready to be sent or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportObject {
    pub kind: ObjectKind,
    pub reference: SopReference,
    /// As a Part 10 file, Explicit VR Little Endian.
    pub file: Vec<u8>,
}

/// Why an exam has no objects.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("the study is not known: every object of the exam was refused before it said to which study it belongs")]
    NoStudy,
    #[error("cannot encode the {kind:?} object: {reason}")]
    Encode { kind: ObjectKind, reason: String },
}

/// Hands all objects of an exam to `ready`, in the order in which they are sent: first the segmentations, then pictures and the
/// structured report. Segmentations are the largest objects, so they may be on their way while the last pages are drawn. Key pictures
/// are asked for, and made into pages, while a second thread draws the segmentations.
///
/// # Errors
/// If the study is not known, an object cannot be encoded, or `ready` fails.
pub fn objects<E: From<ReportError> + Send>(
    exam: &Exam<'_>,
    pictures: impl FnOnce() -> Vec<KeyPicture>,
    options: &ReportOptions,
    ready: impl Fn(&[&ReportObject]) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let ready = &ready;
    let (segmentations, pages) = thread::scope(|scope| {
        let segmentations = Meanwhile::begin(scope, || {
            let drawn = segmentation::objects(exam, options)?;
            ready(&drawn.iter().map(|drawn| &drawn.object).collect::<Vec<_>>())?;
            Ok::<_, E>(drawn)
        });
        let pages = secondary_capture::objects(exam, &pictures(), options);
        (segmentations.end(), pages)
    });
    let structured_report = structured_report::object(exam, &segmentations?, options)?;
    ready(&pages?.iter().chain([&structured_report]).collect::<Vec<_>>())
}

impl Exam<'_> {
    fn offset(&self) -> Offset {
        self.source_header.utc_offset.unwrap_or(self.site_offset)
    }

    /// When the verdict was given, as DICOM writes it: DA and TM.
    fn concluded(&self) -> [String; 2] {
        let at = self.offset().to_datetime(self.basis.concluded);
        [at.strftime("%Y%m%d").to_string(), at.strftime("%H%M%S.%6f").to_string()]
    }
}
