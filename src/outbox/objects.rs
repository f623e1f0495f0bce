//! The DICOM objects of a report, made from what is on the disk: the header of a judged slice, and the slices that pictures show.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use parking_lot::Mutex;

use crate::analysis::PlacedImage;
use crate::dicom::{FileError, undecoded_header};
use crate::exam::{SlabIndex, SourceImage};
use crate::picture;
use crate::preprocess::InputGeometry;
use crate::raster::{Mask, outlines};
use crate::report::{
    self, Exam, KeyPicture, ReportBasis, ReportError, ReportObject, ReportOptions, SopReference, SourceHeader,
};
use crate::triage::{CaseReport, Segmentation, SegmentedSlab};

/// How many key slices there are at most, those with the largest lesions.
const MOST_PICTURES: usize = 10;

/// How many slices across the lungs are shown of an exam without lesions.
const PICTURES_WITHOUT_LESIONS: usize = 3;

/// Why a report has no objects.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    #[error(
        "what the report was made from is not kept: it was written by an earlier version, or the exam is open again"
    )]
    NoBasis,
    #[error("no file of the exam is known: nothing says whose it is")]
    NoFile,
    #[error("the header of {path} cannot be read: {source}")]
    Header { path: String, source: FileError },
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// The objects of a report; `plane` is the model's.
///
/// # Errors
/// If no file says whose exam it is, or an object cannot be encoded.
pub fn objects(
    report: &CaseReport,
    basis: &ReportBasis,
    replaces: Option<&SopReference>,
    plane: &InputGeometry,
    options: &ReportOptions,
) -> Result<Vec<ReportObject>, ObjectsError> {
    let all = Mutex::new(Vec::new());
    objects_as_made(report, basis, replaces, plane, options, |made| {
        all.lock().extend(made.iter().copied().cloned());
        Ok::<_, ObjectsError>(())
    })?;
    Ok(all.into_inner())
}

/// Hands the objects of a report to `ready` as [`report::objects`] does; `plane` is the model's.
///
/// # Errors
/// If no file says whose exam it is, an object cannot be encoded, or `ready` fails.
pub(super) fn objects_as_made<E: From<ObjectsError> + From<ReportError> + Send>(
    report: &CaseReport,
    basis: &ReportBasis,
    replaces: Option<&SopReference>,
    plane: &InputGeometry,
    options: &ReportOptions,
    ready: impl Fn(&[&ReportObject]) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let source_header = source_header(basis)?;
    let site_offset = TimeZone::system().to_offset(basis.concluded);
    let exam = Exam { report, basis, source_header: &source_header, site_offset, replaces };
    report::objects(&exam, || pictures(report, basis, plane), options, ready)
}

/// The header of the file that says whose exam it is; of another judged slice where that one cannot be read.
fn source_header(basis: &ReportBasis) -> Result<SourceHeader, ObjectsError> {
    let others = basis.images.iter().map(|image| &image.file.path);
    let mut failed = None;
    for path in basis.described_by.iter().chain(others) {
        match undecoded_header(path) {
            Ok(header) => return Ok(SourceHeader::of(&header).ok_or(ReportError::NoStudy)?),
            Err(source) => {
                failed.get_or_insert(ObjectsError::Header { path: path.display().to_string(), source });
            }
        }
    }
    Err(failed.unwrap_or(ObjectsError::NoFile))
}

/// The key slices with outlines. One that cannot be drawn any more is left out: the summary page, the segmentation and the structured
/// report say the same.
fn pictures(report: &CaseReport, basis: &ReportBasis, plane: &InputGeometry) -> Vec<KeyPicture> {
    let Some(segmentation) = &basis.segmentation else { return Vec::new() };
    let mut pictures = Vec::new();
    for (slab, lesion) in key_slabs(report, segmentation) {
        let Some(image) = middle_image(&basis.images, slab.slab) else { continue };
        let SourceImage { file, centre, .. } = &basis.images[image];
        let [lung, drawn] = [slab_mask(segmentation, slab, false), slab_mask(segmentation, slab, true)];
        let placed = PlacedImage { image: file.clone(), centre: Some(*centre) };
        match picture::outlined(&placed, plane, &outlines(&lung), &outlines(&drawn)) {
            Ok(rgb) => {
                pictures.push(KeyPicture { image, lesion, rows: picture::SIDE, columns: picture::SIDE, rgb });
            }
            Err(error) => {
                tracing::warn!(exam = %report.exam, %error, "a key slice is left out of the report's pictures");
            }
        }
    }
    pictures
}

/// The slabs where the largest lesions are largest, and which lesion that is; without lesions some across the lungs.
fn key_slabs<'a>(report: &CaseReport, segmentation: &'a Segmentation) -> Vec<(&'a SegmentedSlab, Option<usize>)> {
    let mut first_lesion: BTreeMap<SlabIndex, usize> = BTreeMap::new();
    for (place, lesion) in report.lesions.iter().enumerate() {
        first_lesion.entry(lesion.key_slab).or_insert(place);
    }
    if first_lesion.is_empty() {
        let lungs: Vec<&SegmentedSlab> = segmentation.slabs.iter().filter(|slab| !slab.runs.is_empty()).collect();
        let parts = PICTURES_WITHOUT_LESIONS + 1;
        let places = (1..parts).map(|part| lungs.len() * part / parts);
        return places.filter_map(|place| Some((*lungs.get(place)?, None))).collect();
    }
    let mut lesions: Vec<(usize, SlabIndex)> = first_lesion.into_iter().map(|(slab, place)| (place, slab)).collect();
    lesions.sort_unstable();
    let chosen = lesions.into_iter().take(MOST_PICTURES);
    chosen.filter_map(|(place, slab)| Some((segmentation.slab(slab)?, Some(place)))).collect()
}

fn middle_image(images: &[SourceImage], slab: SlabIndex) -> Option<usize> {
    let of_slab: Vec<usize> = (0..images.len()).filter(|at| images[*at].slab == slab).collect();
    of_slab.get(of_slab.len() / 2).copied()
}

fn slab_mask(segmentation: &Segmentation, slab: &SegmentedSlab, lesions_alone: bool) -> Mask {
    let runs = slab.runs.iter().filter(|run| !lesions_alone || run.lesion.is_some());
    let pixels = runs.flat_map(|run| {
        let first = usize::from(run.row) * segmentation.columns;
        first + usize::from(run.columns.start)..first + usize::from(run.columns.end)
    });
    Mask::from_pixels(segmentation.rows, segmentation.columns, pixels)
}
