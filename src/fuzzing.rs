//! Doors for the fuzz targets: whatever reads other people's bytes before anything is known of them.

use std::time::{Duration, Instant};

use dicom_core::value::{PixelFragmentSequence, PrimitiveValue};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

use crate::exam::{Content, InstanceHeader};
use crate::ingest;
use crate::part10::InstanceFile;
use crate::preprocess::hounsfield_image;

/// What a peer sends, from its A-ASSOCIATE-RQ to its last message: PDU reassembly.
pub fn pdus(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(ingest::fuzzing::read_all(bytes, Instant::now() + Duration::from_secs(5)));
}

/// A data set to a slice's header; the first byte chooses the transfer syntax.
pub fn data_set(bytes: &[u8]) {
    let syntaxes =
        [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN, uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN];
    if let Some((choice, data_set)) = bytes.split_first() {
        ingest::fuzzing::check_object(data_set, syntaxes[usize::from(*choice) % syntaxes.len()]);
    }
}

/// One slice's pixels: the first byte chooses the transfer syntax, the second and third give rows and columns.
pub fn pixels(bytes: &[u8]) {
    const SYNTAXES: [&str; 12] = [
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
        uids::RLE_LOSSLESS,
        uids::JPEG_LOSSLESS_SV1,
        uids::JPEG_LOSSLESS,
        uids::JPEGLS_LOSSLESS,
        uids::JPEGLS_NEAR_LOSSLESS,
        uids::JPEG2000_LOSSLESS,
        uids::JPEG2000,
        uids::HTJ2K_LOSSLESS,
        uids::HTJ2K_LOSSLESS_RPCL,
        uids::HTJ2K,
        uids::JPEG_BASELINE8_BIT,
    ];
    let [choice, rows, columns, stored @ ..] = bytes else { return };
    let syntax = SYNTAXES[usize::from(*choice) % SYNTAXES.len()];
    let bits: u16 = if syntax == uids::JPEG_BASELINE8_BIT { 8 } else { 16 };
    let number = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let text = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
    let mut object = InMemDicomObject::from_element_iter([
        text(tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE),
        text(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3"),
        text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2"),
        text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.4"),
        text(tags::IMAGE_POSITION_PATIENT, VR::DS, "0\\0\\0"),
        text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
        text(tags::PIXEL_SPACING, VR::DS, "1\\1"),
        text(tags::RESCALE_SLOPE, VR::DS, "1"),
        text(tags::RESCALE_INTERCEPT, VR::DS, "-1024"),
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        number(tags::SAMPLES_PER_PIXEL, 1),
        number(tags::ROWS, u16::from(*rows) + 1),
        number(tags::COLUMNS, u16::from(*columns) + 1),
        number(tags::BITS_ALLOCATED, bits),
        number(tags::BITS_STORED, bits),
        number(tags::HIGH_BIT, bits - 1),
        number(tags::PIXEL_REPRESENTATION, 0),
    ]);
    if syntax == uids::EXPLICIT_VR_LITTLE_ENDIAN {
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(stored.to_vec())));
    } else {
        let fragments = PixelFragmentSequence::new(Vec::new(), vec![stored.to_vec()]);
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, fragments));
    }
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(uids::CT_IMAGE_STORAGE)
        .media_storage_sop_instance_uid("1.2.3")
        .transfer_syntax(syntax);
    let Ok(object) = object.with_meta(meta) else { return };
    let mut file = Vec::new();
    if object.write_all(&mut file).is_err() {
        return;
    }
    let Ok(file) = InstanceFile::of_bytes(file) else { return };
    let Ok(header) = InstanceHeader::read(&file.object) else { return };
    for (frame, image) in header.images.iter().enumerate() {
        let Content::Slice(slice) = image else { continue };
        // An error is a slice that is not analysed; anything else has as many values as pixels.
        if let Ok(image) = hounsfield_image(&file, frame, slice) {
            assert_eq!(image.values.len(), image.rows * image.columns);
        }
    }
}
