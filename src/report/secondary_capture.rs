//! What everybody sees: a page that sums the report up, and key slices with outlines, as Secondary Capture (PS3.3 section A.8.1).

use std::collections::BTreeMap;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids as sop};
use dicom_object::InMemDicomObject;
use sha2::{Digest as _, Sha256};

use super::codes::SOURCE_IMAGE;
use super::elements::{self, MANUFACTURER, MODEL_NAME, Naming, Put, shortened};
use super::page::{self, Page};
use super::uids::Uids;
use super::{Exam, ObjectKind, ReportError, ReportObject, ReportOptions};
use crate::exam::SourceImage;
use crate::hex::hex;

/// A slice with lungs and lesions outlined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPicture {
    /// Place of its slice in [`super::ReportBasis::images`].
    pub image: usize,
    /// Place of the lesion that it shows at its largest in the report's list; `None` where it shows none.
    pub lesion: Option<usize>,
    pub rows: usize,
    pub columns: usize,
    /// Red, green and blue of each pixel, row by row.
    pub rgb: Vec<u8>,
}

/// More pictures than these become no pages.
const MOST_PICTURES: usize = 10;

/// Frames that one item references: an element with an explicit VR holds 64 KiB of such numbers.
const MOST_FRAMES: usize = 4096;

/// What distinguishes one page from the others.
struct Content<'a> {
    page: Page<'a>,
    /// Patient Orientation (0020,0020): where its rows and its columns run to; empty for a page of text.
    orientation: &'static [&'static str],
    sources: Vec<&'a SourceImage>,
    description: &'static str,
}

/// The summary page, then the pictures.
pub(super) fn objects(
    exam: &Exam<'_>,
    pictures: &[KeyPicture],
    options: &ReportOptions,
) -> Result<Vec<ReportObject>, ReportError> {
    let pictures = &pictures[..pictures.len().min(MOST_PICTURES)];
    let mut objects = vec![object(exam, &summary(exam), 1, options)?];
    for (place, picture) in pictures.iter().enumerate() {
        let content = key_slice(exam, picture, [place + 1, pictures.len()])?;
        objects.push(object(exam, &content, place + 2, options)?);
    }
    Ok(objects)
}

fn summary<'a>(exam: &Exam<'a>) -> Content<'a> {
    Content {
        page: page::summary(exam),
        orientation: &[],
        sources: exam.basis.images.iter().collect(),
        description: "A page of text and figures that sums up an automated analysis. It is no image of the patient.",
    }
}

fn key_slice<'a>(exam: &Exam<'a>, picture: &'a KeyPicture, numbers: [usize; 2]) -> Result<Content<'a>, ReportError> {
    let refuse = |reason| ReportError::Encode { kind: ObjectKind::SecondaryCapture, reason };
    let KeyPicture { image, rows, columns, rgb, .. } = picture;
    if rgb.is_empty() || rgb.len() != rows * columns * 3 {
        return Err(refuse(format!("a picture of {rows} rows and {columns} columns has {} bytes", rgb.len())));
    }
    let images = &exam.basis.images;
    let source = images.get(*image).ok_or_else(|| refuse(format!("there is no slice {image} of {}", images.len())))?;
    Ok(Content {
        page: page::key_slice(exam, picture, numbers),
        orientation: &["L", "P"],
        sources: vec![source],
        description: "A slice, resampled, with the outlines of lungs and lesions as an automated analysis drew them, and text.",
    })
}

/// An instance; its number counts from 1.
fn object(
    exam: &Exam<'_>,
    content: &Content<'_>,
    instance_number: usize,
    options: &ReportOptions,
) -> Result<ReportObject, ReportError> {
    let uids = Uids::new(exam, ObjectKind::SecondaryCapture, options);
    let rgb = content.page.draw();
    // The report does not say which pictures could be made.
    let part = format!("{instance_number}\n{}", hex(&Sha256::digest(&rgb)));
    let naming = Naming {
        kind: ObjectKind::SecondaryCapture,
        sop_class_uid: sop::SECONDARY_CAPTURE_IMAGE_STORAGE,
        sop_instance_uid: uids.object(&part),
        series_instance_uid: uids.series(),
        modality: "OT",
        series_number: options.series_numbers.secondary_capture,
        shows: "summary and key slices",
        instance_number,
    };
    let mut object = elements::common(exam, &naming);
    // Of a chest it is empty, and must be there: SC has no Image Laterality.
    object.empty(tags::LATERALITY, VR::CS);
    put_equipment(&mut object, exam);
    exam.source_header.put_compression_into(&mut object);
    put_image(&mut object, content, rgb);
    put_sources(&mut object, &content.sources);
    elements::finished(object, &naming)
}

/// The SC Equipment and SC Image modules (PS3.3 C.8.6.1, C.8.6.2).
fn put_equipment(object: &mut InMemDicomObject, exam: &Exam<'_>) {
    let [date, time] = exam.concluded();
    object
        .text(tags::CONVERSION_TYPE, VR::CS, "WSD")
        .text(tags::SECONDARY_CAPTURE_DEVICE_MANUFACTURER, VR::LO, MANUFACTURER)
        .text(tags::SECONDARY_CAPTURE_DEVICE_MANUFACTURER_MODEL_NAME, VR::LO, MODEL_NAME)
        .text(tags::SECONDARY_CAPTURE_DEVICE_SOFTWARE_VERSIONS, VR::LO, &shortened(&exam.report.tableside, 64))
        .text(tags::DATE_OF_SECONDARY_CAPTURE, VR::DA, &date)
        .text(tags::TIME_OF_SECONDARY_CAPTURE, VR::TM, &time);
}

/// The General Image and Image Pixel modules (PS3.3 C.7.6.1, C.7.6.3).
fn put_image(object: &mut InMemDicomObject, content: &Content<'_>, rgb: Vec<u8>) {
    object
        .texts(tags::IMAGE_TYPE, VR::CS, &["DERIVED", "SECONDARY"])
        .text(tags::DERIVATION_DESCRIPTION, VR::ST, content.description)
        .text(tags::BURNED_IN_ANNOTATION, VR::CS, "YES")
        .text(tags::RECOGNIZABLE_VISUAL_FEATURES, VR::CS, "NO")
        .u16(tags::SAMPLES_PER_PIXEL, 3)
        .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB")
        .u16(tags::PLANAR_CONFIGURATION, 0)
        .u16(tags::ROWS, content.page.rows as u16)
        .u16(tags::COLUMNS, content.page.columns as u16)
        .u16(tags::BITS_ALLOCATED, 8)
        .u16(tags::BITS_STORED, 8)
        .u16(tags::HIGH_BIT, 7)
        .u16(tags::PIXEL_REPRESENTATION, 0);
    match content.orientation {
        [] => object.empty(tags::PATIENT_ORIENTATION, VR::CS),
        orientation => object.texts(tags::PATIENT_ORIENTATION, VR::CS, orientation),
    };
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(rgb.into())));
}

/// What the page was made from: Source Image Sequence (PS3.3 C.12.4) and the Common Instance Reference module (C.12.2).
fn put_sources(object: &mut InMemDicomObject, sources: &[&SourceImage]) {
    let mut frames: BTreeMap<(&str, &str, &str), Vec<u32>> = BTreeMap::new();
    for image in sources {
        let instance = (&*image.series_instance_uid, &*image.sop_class_uid, &*image.sop_instance_uid);
        frames.entry(instance).or_default().extend(image.frame_number);
    }
    if frames.is_empty() {
        return;
    }
    let mut series: BTreeMap<&str, Vec<InMemDicomObject>> = BTreeMap::new();
    let mut items = Vec::new();
    for ((series_uid, class_uid, instance_uid), mut frames) in frames {
        frames.sort_unstable();
        series.entry(series_uid).or_default().push(elements::sop_reference(class_uid, instance_uid));
        items.extend(source_items(class_uid, instance_uid, &frames));
    }
    let series = series.into_iter().map(|(series_uid, instances)| {
        let mut item = InMemDicomObject::new_empty();
        item.text(tags::SERIES_INSTANCE_UID, VR::UI, series_uid).items(tags::REFERENCED_INSTANCE_SEQUENCE, instances);
        item
    });
    object.items(tags::SOURCE_IMAGE_SEQUENCE, items).items(tags::REFERENCED_SERIES_SEQUENCE, series.collect());
}

/// References an instance, or the frames of it that were judged.
fn source_items(class_uid: &str, instance_uid: &str, frames: &[u32]) -> Vec<InMemDicomObject> {
    let reference = || {
        let mut item = elements::sop_reference(class_uid, instance_uid);
        item.code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, &SOURCE_IMAGE);
        item
    };
    let of_frames = |frames: &[u32]| {
        let numbers: Vec<String> = frames.iter().map(u32::to_string).collect();
        let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let mut item = reference();
        item.texts(tags::REFERENCED_FRAME_NUMBER, VR::IS, &numbers);
        item
    };
    if frames.is_empty() { vec![reference()] } else { frames.chunks(MOST_FRAMES).map(of_frames).collect() }
}

#[cfg(test)]
#[path = "secondary_capture_tests.rs"]
mod tests;
