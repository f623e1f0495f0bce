//! Doors for the fuzz targets: whatever reads other people's bytes before anything is known of them.

use std::time::{Duration, Instant};

use dicom_core::value::{DataSetSequence, PixelFragmentSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

use crate::dicom::InstanceFile;
use crate::exam::{Content, InstanceHeader, hounsfield_image};
use crate::ingest;

/// What a peer sends, from its A-ASSOCIATE-RQ to its last message: PDU reassembly.
pub fn pdus(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(ingest::fuzzing::read_all(bytes, Instant::now() + Duration::from_secs(5)));
}

/// A data set to a slice's header; the first byte chooses the transfer syntax, or a whole file with its file meta group.
pub fn data_set(bytes: &[u8]) {
    let syntaxes =
        [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN, uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN];
    let Some((choice, stored)) = bytes.split_first() else { return };
    if let Some(syntax) = syntaxes.get(usize::from(*choice) % (syntaxes.len() + 1)) {
        ingest::fuzzing::check_object(stored, syntax);
    } else if let Ok(file) = InstanceFile::of_bytes(stored.to_vec()) {
        let _ = InstanceHeader::read(&file.object);
    }
}

/// The pixels of one slice, or of the frames of one object: the first byte chooses the transfer syntax, how many frames and how many
/// fragments; the second and third give rows and columns.
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
    const MOST_FRAMES: usize = 4;
    let [choice, rows, columns, stored @ ..] = bytes else { return };
    let choice = usize::from(*choice);
    let syntax = SYNTAXES[choice % SYNTAXES.len()];
    let frames = choice / SYNTAXES.len() % MOST_FRAMES + 1;
    let bits: u16 = if syntax == uids::JPEG_BASELINE8_BIT { 8 } else { 16 };
    let number = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let mut object = if frames == 1 { single_image() } else { multi_frame_image(frames) };
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, u16::from(*rows) + 1),
        (tags::COLUMNS, u16::from(*columns) + 1),
        (tags::BITS_ALLOCATED, bits),
        (tags::BITS_STORED, bits),
        (tags::HIGH_BIT, bits - 1),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        object.put(number(tag, value));
    }
    if syntax == uids::EXPLICIT_VR_LITTLE_ENDIAN {
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(stored.to_vec())));
    } else {
        let fragments = frames + choice / SYNTAXES.len() / MOST_FRAMES;
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, fragmented(stored, fragments, frames)));
    }
    read_all_images(object, syntax);
}

/// Bytes in so many fragments, of which the first few begin a frame by the offset table.
fn fragmented(stored: &[u8], fragments: usize, frames: usize) -> PixelFragmentSequence<Vec<u8>> {
    const ITEM_HEADER_BYTES: usize = 8;
    let fragment_bytes = stored.len().div_ceil(fragments).next_multiple_of(2).max(2);
    let fragments: Vec<Vec<u8>> = stored.chunks(fragment_bytes).map(<[u8]>::to_vec).collect();
    let offsets = (0..frames).map(|frame| (frame * (fragment_bytes + ITEM_HEADER_BYTES)) as u32);
    PixelFragmentSequence::new(offsets.collect::<Vec<u32>>(), fragments)
}

fn text(tag: Tag, vr: VR, value: &str) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, vr, PrimitiveValue::from(value))
}

const GEOMETRY: [(Tag, VR, &str); 5] = [
    (tags::IMAGE_POSITION_PATIENT, VR::DS, "0\\0\\0"),
    (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
    (tags::PIXEL_SPACING, VR::DS, "1\\1"),
    (tags::RESCALE_SLOPE, VR::DS, "1"),
    (tags::RESCALE_INTERCEPT, VR::DS, "-1024"),
];

fn single_image() -> InMemDicomObject {
    let names = [
        (tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE),
        (tags::SOP_INSTANCE_UID, VR::UI, "1.2.3"),
        (tags::STUDY_INSTANCE_UID, VR::UI, "1.2"),
        (tags::SERIES_INSTANCE_UID, VR::UI, "1.2.4"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
    ];
    InMemDicomObject::from_element_iter(names.iter().chain(&GEOMETRY).map(|(tag, vr, value)| text(*tag, *vr, value)))
}

fn multi_frame_image(frames: usize) -> InMemDicomObject {
    let mut object = single_image();
    let of = |tag: Tag, inside: &[usize]| {
        let elements = inside.iter().filter_map(|at| GEOMETRY.get(*at)).map(|(tag, vr, value)| text(*tag, *vr, value));
        sequence(tag, vec![InMemDicomObject::from_element_iter(elements)])
    };
    let shared = InMemDicomObject::from_element_iter([
        of(tags::PLANE_POSITION_SEQUENCE, &[0]),
        of(tags::PLANE_ORIENTATION_SEQUENCE, &[1]),
        of(tags::PIXEL_MEASURES_SEQUENCE, &[2]),
        of(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, &[3, 4]),
    ]);
    object.put(text(tags::SOP_CLASS_UID, VR::UI, uids::ENHANCED_CT_IMAGE_STORAGE));
    object.put(text(tags::NUMBER_OF_FRAMES, VR::IS, &frames.to_string()));
    object.put(sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]));
    let own = vec![InMemDicomObject::new_empty(); frames];
    object.put(sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, own));
    object
}

fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}

/// Writes the object as a file, reads it back, and decodes whatever of it is a slice.
fn read_all_images(object: InMemDicomObject, syntax: &str) {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Each seed of a target once, as its fuzzer begins.
    fn run_seeds(target: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
        let seeds: Vec<_> = std::fs::read_dir(folder).unwrap().map(|seed| seed.unwrap().path()).collect();
        assert!(!seeds.is_empty(), "{target} has no seed");
        for seed in seeds {
            run(&std::fs::read(&seed).unwrap());
        }
    }

    #[test]
    fn no_seed_of_a_fuzz_target_panics() {
        run_seeds("pdus", pdus);
        run_seeds("data_set", data_set);
        run_seeds("pixels", pixels);
    }
}
