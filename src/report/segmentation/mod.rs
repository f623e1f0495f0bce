//! Lungs and lesions as a DICOM Segmentation (PS3.3 section A.51), on the grid of the slices that they were drawn on.
//!
//! A segmentation references one series and has one pixel grid: viewers refuse another grid than the source's, and several series.
//! Slices of one series that differ in rows, columns, orientation or spacing therefore are in segmentations of their own; none is
//! left out. A slice takes the mask of the slab that it was summed into, each of its pixels the nearest one of the model's plane.

mod bit_stream;
mod frames;
mod masks;
mod segments;
mod source_grid;
#[cfg(test)]
mod tests;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids as sop};
use dicom_object::InMemDicomObject;

use self::bit_stream::BitStream;
use self::frames::Frame;
use self::masks::Masks;
use self::segments::chosen;
use self::source_grid::SourceGrid;
use super::elements::{Naming, Put, common, finished};
use super::uids::Uids;
use super::{Exam, ObjectKind, ReportError, ReportObject, ReportOptions};
use crate::triage::Side;

/// A segmentation of one source series, and what its segments show.
pub(super) struct DrawnSegmentation {
    pub object: ReportObject,
    pub source_series_uid: String,
    pub segments: Vec<DrawnSegment>,
}

/// One segment of it.
pub(super) struct DrawnSegment {
    /// Segment Number (0062,0004), from 1.
    pub number: u16,
    pub shows: Shows,
    /// Tracking ID (0062,0020) and Tracking UID (0062,0021): the same for one lesion in all objects of the exam.
    pub tracking_id: String,
    pub tracking_uid: String,
}

/// What a segment shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    Lung(Side),
    /// By its place in the report's list.
    Lesion(usize),
    /// The lesions after those that have segments of their own.
    OtherLesions,
}

/// The segmentations of the judged slices, one for each series and pixel grid. None where nothing was drawn.
pub(super) fn objects(exam: &Exam<'_>, options: &ReportOptions) -> Result<Vec<DrawnSegmentation>, ReportError> {
    let Some(segmentation) = &exam.basis.segmentation else { return Ok(Vec::new()) };
    let mut objects = Vec::new();
    for grid in SourceGrid::of_images(&exam.basis.images) {
        let masks = masks::of_images(&grid.images, segmentation);
        objects.extend(object(exam, options, objects.len() + 1, &grid, &masks)?);
    }
    Ok(objects)
}

/// `masks` has one item for each of the grid's images.
fn object(
    exam: &Exam<'_>,
    options: &ReportOptions,
    number: usize,
    grid: &SourceGrid<'_>,
    masks: &[std::rc::Rc<Masks>],
) -> Result<Option<DrawnSegmentation>, ReportError> {
    let uids = Uids::new(exam, ObjectKind::Segmentation, options);
    let segments = chosen(exam, &uids, masks, options.keeps_empty_frames);
    let frames = frames::of_segments(&segments, grid, masks, options.keeps_empty_frames);
    if frames.iter().all(|frame| frame.mask.is_none()) {
        return Ok(None);
    }
    let part = number.to_string();
    let naming = Naming {
        kind: ObjectKind::Segmentation,
        sop_class_uid: sop::SEGMENTATION_STORAGE,
        sop_instance_uid: uids.object(&part),
        series_instance_uid: uids.series(),
        modality: "SEG",
        series_number: options.series_numbers.segmentation,
        shows: "lung and lesion outlines",
        instance_number: number,
    };
    let mut object = common(exam, &naming);
    exam.source_header.put_compression_into(&mut object);
    put_image(&mut object, grid, &frames);
    segments::put_into(&mut object, exam, &segments);
    source_grid::put_references(&mut object, grid);
    frames::put_into(&mut object, exam, &uids.of(&part, "dimensions"), grid, &frames);
    Ok(Some(DrawnSegmentation {
        object: finished(object, &naming)?,
        source_series_uid: grid.series_instance_uid().to_owned(),
        segments,
    }))
}

/// The General Image, Image Pixel and Segmentation Image modules (PS3.3 C.7.6.1, C.7.6.3, C.8.20.2) but for the segments.
fn put_image(object: &mut InMemDicomObject, grid: &SourceGrid<'_>, frames: &[Frame<'_>]) {
    let mut pixels = BitStream::for_pixels(frames.len() * grid.pixels());
    for frame in frames {
        pixels.append(frame.mask, grid.pixels());
    }
    object
        .texts(tags::IMAGE_TYPE, VR::CS, &["DERIVED", "PRIMARY"])
        .text(tags::CONTENT_LABEL, VR::CS, "LUNGS_LESIONS")
        .text(tags::CONTENT_DESCRIPTION, VR::LO, "Lungs and lesions drawn by a model, for research")
        // Its creator is no person.
        .empty(tags::CONTENT_CREATOR_NAME, VR::PN)
        .text(tags::BURNED_IN_ANNOTATION, VR::CS, "NO")
        .u16(tags::SAMPLES_PER_PIXEL, 1)
        .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2")
        .text(tags::NUMBER_OF_FRAMES, VR::IS, &frames.len().to_string())
        .u16(tags::ROWS, grid.rows() as u16)
        .u16(tags::COLUMNS, grid.columns() as u16)
        .u16(tags::BITS_ALLOCATED, 1)
        .u16(tags::BITS_STORED, 1)
        .u16(tags::HIGH_BIT, 0)
        .u16(tags::PIXEL_REPRESENTATION, 0)
        .text(tags::SEGMENTATION_TYPE, VR::CS, "BINARY")
        .text(tags::SEGMENTS_OVERLAP, VR::CS, "NO");
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(pixels.into_bytes().into())));
}
