//! One frame's pixel data decoded, as stored.

use dicom_core::value::{PixelFragmentSequence, Value};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::DefaultDicomObject;
use dicom_pixeldata::{PixelDecoder, PixelRepresentation};

use super::codestream::{FrameSize, bare, frame_size, has_end_of_image, is_rle_frame};
use super::{FrameError, InstanceFile};

/// A frame's cells.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodedFrame {
    /// Bytes of a cell: 1 or 2.
    pub cell_bytes: usize,
    /// The cells row by row, little endian.
    pub cells: Vec<u8>,
    pub layout: CellLayout,
}

/// Why a frame cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error(transparent)]
    Stored(#[from] FrameError),
    #[error("the pixel data (7FE0,0010) cannot be decoded: it is damaged, or not of its transfer syntax")]
    Decode(String),
    #[error("the compressed frame has {found}, the image has {expected}")]
    Frame { found: FrameSize, expected: FrameSize },
    #[error("the compressed frame does not begin as a JPEG, JPEG-LS or JPEG 2000 image does")]
    NoFrameHeader,
    #[error("the compressed frame has no RLE header")]
    NoRleHeader,
    #[error("the compressed frame has no end: it was cut off")]
    NoEndOfImage,
    #[error("the decoder for the pixel data gave up on it")]
    DecoderPanicked,
    #[error(
        "pixel data decodes to {found_rows} x {found_columns} x {samples} of {bits} bits, expected {rows} x {columns} x 1 of 8 or 16"
    )]
    Shape { found_rows: usize, found_columns: usize, samples: u16, bits: u16, rows: usize, columns: usize },
    #[error("pixel data decodes to {found} bytes, {rows} rows x {columns} columns need {expected}")]
    Length { found: usize, expected: usize, rows: usize, columns: usize },
}

impl DecodeError {
    /// What the decoder said, for the log.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Decode(detail) => Some(detail),
            _ => None,
        }
    }
}

/// Decodes one frame of a file, counted from 0, which must be `rows x columns` of one sample.
///
/// # Errors
/// If the pixel data does not decode or is something else.
pub fn decode_frame(
    file: &InstanceFile,
    frame: usize,
    rows: usize,
    columns: usize,
) -> Result<DecodedFrame, DecodeError> {
    let image = with_bare_codestream(file.frame(frame)?);
    check_frame(&image, FrameSize { rows, columns, components: 1 })?;
    // The codecs are other people's code on other people's bytes: a panic in one costs one slice.
    let decoded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| image.decode_pixel_data()))
        .map_err(|_| DecodeError::DecoderPanicked)?
        .map_err(|error| DecodeError::Decode(error.to_string()))?;
    let (found_rows, found_columns) = (decoded.rows() as usize, decoded.columns() as usize);
    let (samples, bits) = (decoded.samples_per_pixel(), decoded.bits_allocated());
    if (found_rows, found_columns, samples) != (rows, columns, 1) || !matches!(bits, 8 | 16) {
        return Err(DecodeError::Shape { found_rows, found_columns, samples, bits, rows, columns });
    }
    let cell_bytes = usize::from(bits / 8);
    let expected = rows * columns * cell_bytes;
    let mut cells = decoded.data().to_vec();
    if cells.len() < expected {
        return Err(DecodeError::Length { found: cells.len(), expected, rows, columns });
    }
    cells.truncate(expected);
    let signed = decoded.pixel_representation() == PixelRepresentation::Signed;
    let layout = CellLayout::new(decoded.bits_stored(), decoded.high_bit(), signed);
    Ok(DecodedFrame { cell_bytes, cells, layout })
}

/// The image with its compressed frame as decoders want it: no wrapper, nothing behind its end.
fn with_bare_codestream(mut image: DefaultDicomObject) -> DefaultDicomObject {
    let fragments = image.get(tags::PIXEL_DATA).and_then(|element| element.fragments());
    let Some([frame]) = fragments else { return image };
    let codestream = bare(frame);
    if codestream.len() != frame.len() {
        let one = PixelFragmentSequence::new(Vec::new(), vec![codestream.to_vec()]);
        image.put(DataElement::new(tags::PIXEL_DATA, VR::OB, one));
    }
    image
}

/// Compares a compressed frame's own header with the image's: decoders allocate what the frame claims.
fn check_frame(object: &DefaultDicomObject, expected: FrameSize) -> Result<(), DecodeError> {
    let Some(Value::PixelSequence(sequence)) = object.get(tags::PIXEL_DATA).map(dicom_object::mem::InMemElement::value)
    else {
        return Ok(());
    };
    let codestream = sequence.fragments().first().map(Vec::as_slice).unwrap_or_default();
    if object.meta().transfer_syntax() == uids::RLE_LOSSLESS {
        return if is_rle_frame(codestream) { Ok(()) } else { Err(DecodeError::NoRleHeader) };
    }
    let found = frame_size(codestream).ok_or(DecodeError::NoFrameHeader)?;
    if found != expected {
        return Err(DecodeError::Frame { found, expected });
    }
    // CharLS looks for the rest of what was cut off for seconds.
    let is_jpeg_ls = [uids::JPEGLS_LOSSLESS, uids::JPEGLS_NEAR_LOSSLESS].contains(&object.meta().transfer_syntax());
    if is_jpeg_ls && !has_end_of_image(codestream) { Err(DecodeError::NoEndOfImage) } else { Ok(()) }
}

/// How a stored value lies in its cell: bits above High Bit may hold overlays, the sign is in the highest stored bit (PS3.5
/// section 8.1.1). Shifted up the value begins at the highest of 16 bits, shifted down it ends at the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellLayout {
    pub shift_up: u32,
    pub shift_down: u32,
    pub signed: bool,
}

impl CellLayout {
    #[must_use]
    pub fn new(bits_stored: u16, high_bit: u16, signed: bool) -> Self {
        let bits_stored = u32::from(bits_stored.clamp(1, 16));
        let high_bit = u32::from(high_bit).clamp(bits_stored - 1, 15);
        Self { shift_up: 15 - high_bit, shift_down: 16 - bits_stored, signed }
    }

    /// The value stored in a cell.
    #[must_use]
    pub fn stored_value(&self, cell: u16) -> f32 {
        let aligned = cell << self.shift_up;
        if self.signed { f32::from((aligned as i16) >> self.shift_down) } else { f32::from(aligned >> self.shift_down) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_signed_bits_carry_their_sign() {
        let stored = CellLayout::new(12, 11, true);
        assert_eq!(stored.stored_value(0x0FFF), -1.0);
        assert_eq!(stored.stored_value(0x07FF), 2047.0);
        assert_eq!(stored.stored_value(0x0800), -2048.0);
    }

    #[test]
    fn an_overlay_in_the_unused_bits_is_ignored() {
        assert_eq!(CellLayout::new(12, 11, false).stored_value(0xF123), f32::from(0x123_u16));
        assert_eq!(CellLayout::new(12, 15, false).stored_value(0x123F), f32::from(0x123_u16));
        assert_eq!(CellLayout::new(16, 15, true).stored_value(0xFFFE), -2.0);
    }
}
