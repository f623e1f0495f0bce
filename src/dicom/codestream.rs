//! The size that a compressed frame states itself, read before a decoder runs on it: a frame that claims more than its image
//! has would make the decoder allocate memory without end, and one that claims less would come back as noise.

/// Rows, columns and components as the codestream has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameSize {
    pub rows: usize,
    pub columns: usize,
    pub components: usize,
}

impl std::fmt::Display for FrameSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rows, columns, components } = self;
        write!(f, "{rows} rows x {columns} columns")?;
        if *components == 1 { Ok(()) } else { write!(f, " in {components} components") }
    }
}

/// RLE (PS3.5 annex G): at most 15 segments, after a header of 64 bytes.
const RLE_HEADER_BYTES: usize = 64;
const MAX_RLE_SEGMENTS: u32 = 15;

/// The size in the header of a JPEG, JPEG-LS or JPEG 2000 codestream (HTJ2K included); `None` if it has none.
#[must_use]
pub(crate) fn frame_size(codestream: &[u8]) -> Option<FrameSize> {
    match codestream {
        [0xFF, 0xD8, rest @ ..] => jpeg_frame(rest),
        [0xFF, 0x4F, 0xFF, 0x51, siz @ ..] => jpeg2000_frame(siz),
        _ => None,
    }
}

/// The codestream alone: out of a JP2 file's boxes if it is in one, and without what follows the end of a JPEG or JPEG-LS image.
#[must_use]
pub(crate) fn bare(frame: &[u8]) -> &[u8] {
    let codestream =
        if frame.starts_with(&JP2_SIGNATURE) { contiguous_codestream(frame).unwrap_or(frame) } else { frame };
    match codestream {
        [0xFF, 0xD8, ..] => end_of_image(codestream).and_then(|end| codestream.get(..end)).unwrap_or(codestream),
        _ => codestream,
    }
}

/// The signature box with which a JP2 file begins (ITU-T T.800 I.5.1).
const JP2_SIGNATURE: [u8; 12] = [0, 0, 0, 12, b'j', b'P', b' ', b' ', 0x0D, 0x0A, 0x87, 0x0A];

/// What is in the box `jp2c` (ITU-T T.800 I.5.4), behind boxes of other types.
fn contiguous_codestream(mut boxes: &[u8]) -> Option<&[u8]> {
    loop {
        let kind: &[u8; 4] = boxes.get(4..)?.first_chunk()?;
        // A length of 1 stands for one of 64 bits behind the type, one of 0 for all that is left (ITU-T T.800 I.4).
        let (head_bytes, length) = match u32_at(boxes, 0)? {
            0 => (8, boxes.len()),
            1 => (16, usize::try_from(u64::from_be_bytes(*boxes.get(8..)?.first_chunk()?)).ok()?),
            length => (8, length as usize),
        };
        if kind == b"jp2c" {
            return boxes.get(head_bytes..length.min(boxes.len()));
        }
        if length < head_bytes {
            return None;
        }
        boxes = boxes.get(length..)?;
    }
}

/// Where the marker EOI ends. In the data of a scan a byte FFH is followed by one below 80H or, in JPEG, by a restart marker, so
/// that the first one behind the start of the scan is it.
fn end_of_image(codestream: &[u8]) -> Option<usize> {
    const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];
    const START_OF_SCAN: u8 = 0xDA;
    let mut at = 2;
    while *codestream.get(at + 1)? != START_OF_SCAN {
        let is_fill = codestream[at..].starts_with(&[0xFF, 0xFF]);
        at += if is_fill { 1 } else { 2 + usize::from(u16_at(codestream, at + 2)?) };
    }
    let scan = at + 2;
    codestream.get(scan..)?.windows(2).position(|pair| pair == END_OF_IMAGE).map(|end| scan + end + 2)
}

/// Whether a JPEG or JPEG-LS codestream ends as it must (EOI, ITU-T T.81 B.2.1), but for padding.
#[must_use]
pub(crate) fn has_end_of_image(codestream: &[u8]) -> bool {
    let padding = codestream.iter().rev().take_while(|byte| **byte == 0).count();
    codestream[..codestream.len() - padding].ends_with(&[0xFF, 0xD9])
}

/// Whether an RLE frame's header is one.
#[must_use]
pub(crate) fn is_rle_frame(frame: &[u8]) -> bool {
    let segments = frame.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    frame.len() >= RLE_HEADER_BYTES && segments.is_some_and(|segments| (1..=MAX_RLE_SEGMENTS).contains(&segments))
}

/// Walks marker segments to the start of frame (ITU-T T.81 B.2.2; for JPEG-LS ITU-T T.87 C.2.2).
fn jpeg_frame(mut segments: &[u8]) -> Option<FrameSize> {
    loop {
        let [0xFF, marker, rest @ ..] = segments else { return None };
        if *marker == 0xFF {
            segments = &segments[1..];
            continue;
        }
        let length = usize::from(u16_at(rest, 0)?);
        let is_frame = matches!(marker, 0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF | 0xF7);
        if is_frame {
            let (rows, columns) = (usize::from(u16_at(rest, 3)?), usize::from(u16_at(rest, 5)?));
            return Some(FrameSize { rows, columns, components: usize::from(*rest.get(7)?) });
        }
        segments = rest.get(length.max(2)..)?;
    }
}

/// The SIZ marker segment (ITU-T T.800 A.5.1), from its length on.
fn jpeg2000_frame(siz: &[u8]) -> Option<FrameSize> {
    let (x, y) = (u32_at(siz, 4)?, u32_at(siz, 8)?);
    let (x_offset, y_offset) = (u32_at(siz, 12)?, u32_at(siz, 16)?);
    let components = usize::from(u16_at(siz, 36)?);
    Some(FrameSize { rows: y.checked_sub(y_offset)? as usize, columns: x.checked_sub(x_offset)? as usize, components })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_jpeg_frame_is_found_behind_other_segments() {
        let jpeg = [0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 2, 0xFF, 0xC3, 0, 11, 16, 2, 0, 1, 0, 1, 1, 0x11, 0, 0xFF, 0xDA];
        assert_eq!(frame_size(&jpeg), Some(FrameSize { rows: 512, columns: 256, components: 1 }));
    }

    #[test]
    fn the_samples_of_jpeg_2000_and_htj2k_say_their_size() {
        for name in ["jpeg2000-lossless", "jpeg2000", "htj2k-lossless", "htj2k"] {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
            let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
            let bytes = std::fs::read(file).unwrap();
            let start = bytes.windows(4).position(|four| four == [0xFF, 0x4F, 0xFF, 0x51]).unwrap();
            assert_eq!(frame_size(&bytes[start..]), Some(FrameSize { rows: 96, columns: 96, components: 1 }), "{name}");
        }
    }

    #[test]
    fn a_codestream_is_taken_out_of_the_boxes_of_a_jp2_file() {
        let codestream = [0xFF, 0x4F, 0xFF, 0x51, 1, 2, 3, 0xFF, 0xD9];
        let a_box =
            |kind: &[u8; 4], length: u32, value: &[u8]| [&length.to_be_bytes(), kind.as_slice(), value].concat();
        let header = a_box(b"jp2h", 12, b"abcd");
        let long_length = (16 + codestream.len() as u64).to_be_bytes();
        for image in [
            a_box(b"jp2c", 8 + codestream.len() as u32, &codestream),
            a_box(b"jp2c", 0, &codestream),
            a_box(b"jp2c", 1, &[&long_length[..], &codestream].concat()),
        ] {
            assert_eq!(bare(&[JP2_SIGNATURE.as_slice(), &header, &image].concat()), codestream);
        }
        let more_behind = [a_box(b"jp2c", 8 + codestream.len() as u32, &codestream), a_box(b"xml ", 9, b"x")].concat();
        assert_eq!(bare(&[JP2_SIGNATURE.as_slice(), &more_behind].concat()), codestream);
        let without = [JP2_SIGNATURE.as_slice(), &a_box(b"jp2h", 3, b"abcd")].concat();
        assert_eq!(bare(&without), without);
    }

    #[test]
    fn what_follows_the_end_of_a_jpeg_image_is_cut_off() {
        // The end marker in the comment is none.
        let jpeg = [0xFF, 0xD8, 0xFF, 0xFE, 0, 4, 0xFF, 0xD9, 0xFF, 0xFF, 0xDA, 0, 2, 7, 0xFF, 0x00, 0xFF, 0xD9];
        assert_eq!(bare(&[&jpeg[..], &[0xFF, 9, 0xFF, 0xD9]].concat()), jpeg);
        assert_eq!(bare(&jpeg[..jpeg.len() - 1]), &jpeg[..jpeg.len() - 1]);
    }

    #[test]
    fn an_rle_header_of_too_many_segments_is_none() {
        let mut frame = [0_u8; 64];
        assert!(!is_rle_frame(&frame));
        frame[0] = 2;
        assert!(is_rle_frame(&frame));
        frame[..4].copy_from_slice(&[0xFE, 0xFF, 0xFF, 0xFF]);
        assert!(!is_rle_frame(&frame));
        assert!(!is_rle_frame(&[1, 0, 0, 0]));
    }

    #[test]
    fn a_codestream_that_was_cut_off_has_no_end() {
        assert!(has_end_of_image(&[0xFF, 0xD8, 1, 0xFF, 0xD9]));
        assert!(has_end_of_image(&[0xFF, 0xD8, 0xFF, 0xD9, 0]));
        assert!(!has_end_of_image(&[0xFF, 0xD8, 1, 0xFF]));
        assert!(!has_end_of_image(&[0, 0]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_run_away(mut bytes in prop::collection::vec(any::<u8>(), 4..200), jpeg in any::<bool>()) {
            let start: &[u8] = if jpeg { &[0xFF, 0xD8, 0xFF] } else { &[0xFF, 0x4F, 0xFF, 0x51] };
            bytes[..start.len()].copy_from_slice(start);
            let _ = frame_size(&bytes);
            let _ = bare(&bytes);
            let _ = bare(&[JP2_SIGNATURE.as_slice(), &bytes].concat());
            let _ = is_rle_frame(&bytes);
            let _ = has_end_of_image(&bytes);
        }
    }
}
