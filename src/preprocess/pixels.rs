//! From a CT instance's pixel data to Hounsfield units.

use dicom_core::value::{PixelFragmentSequence, Value};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::DefaultDicomObject;
use dicom_pixeldata::{PixelDecoder, PixelRepresentation};

use super::turn::upright;
use crate::dicom::codestream::{FrameSize, bare, frame_size, has_end_of_image, is_rle_frame};
use crate::dicom::{FrameError, InstanceFile};
use crate::exam::SliceHeader;

/// A slice in Hounsfield units, row by row as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct HounsfieldImage {
    pub rows: usize,
    pub columns: usize,
    pub values: Vec<f32>,
}

/// A slice as stored, before anything is made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredImage {
    pub rows: usize,
    pub columns: usize,
    /// Bytes of a cell: 1 or 2.
    pub cell_bytes: usize,
    /// The cells row by row, little endian.
    pub cells: Vec<u8>,
    pub layout: CellLayout,
    /// From stored values to Hounsfield units (PS3.3 C.11.1.1.2).
    pub rescale_slope: f32,
    pub rescale_intercept: f32,
    /// Stored values that stand for no measurement.
    pub padding: Option<Padding>,
}

/// Stored values from `first` to `last` fill an image up where nothing was measured (PS3.3 C.7.5.1.1.2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Padding {
    pub first: f32,
    pub last: f32,
}

/// What padding counts as: air to every window, HU.
const PADDING_HU: f32 = -100_000.0;

/// An image of fewer different values than this shows no patient: it is blank, or a page of text.
const FEWEST_VALUES: usize = 8;

impl Padding {
    /// No value is padding.
    pub const NONE: Self = Self { first: 1.0, last: 0.0 };

    #[must_use]
    pub fn contains(self, stored_value: f32) -> bool {
        (self.first..=self.last).contains(&stored_value)
    }
}

impl StoredImage {
    /// Applies the rescale slope and intercept to all stored values; padding is air.
    #[must_use]
    pub fn hounsfield(&self) -> HounsfieldImage {
        let rescaled = |stored: f32| stored * self.rescale_slope + self.rescale_intercept;
        let values = match self.padding {
            None => self.stored_values().map(rescaled).collect(),
            Some(padding) => self
                .stored_values()
                .map(|stored| if padding.contains(stored) { PADDING_HU } else { rescaled(stored) })
                .collect(),
        };
        HounsfieldImage { rows: self.rows, columns: self.columns, values }
    }

    fn stored_values(&self) -> impl Iterator<Item = f32> {
        let (cell_bytes, layout) = (self.cell_bytes, self.layout);
        self.cells.chunks_exact(cell_bytes).map(move |cell| {
            layout.stored_value(match *cell {
                [low, high] => u16::from_le_bytes([low, high]),
                [byte, ..] => u16::from(byte),
                [] => 0,
            })
        })
    }

    /// Whether it shows anything: it has more than a few different values beside its padding.
    fn shows_anything(&self) -> bool {
        let mut values: Vec<f32> = Vec::with_capacity(FEWEST_VALUES);
        let is_measured = |value: &f32| self.padding.is_none_or(|padding| !padding.contains(*value));
        for value in self.stored_values().filter(is_measured) {
            if !values.contains(&value) {
                values.push(value);
            }
            if values.len() == FEWEST_VALUES {
                return true;
            }
        }
        false
    }

    /// Whether a pixel at the image's border lies in this range. What pads an image lies there; a value that does not is named as
    /// padding by mistake, and may be that of tissue.
    fn has_at_border(&self, padding: Padding) -> bool {
        let (last_row, last_column) = (self.rows - 1, self.columns - 1);
        self.stored_values().enumerate().any(|(at, value)| {
            let (row, column) = (at / self.columns, at % self.columns);
            (row == 0 || column == 0 || row == last_row || column == last_column) && padding.contains(value)
        })
    }
}

/// Why a slice's pixels cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PixelError {
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
    #[error("the image is blank: its pixels have no more than {} different values", FEWEST_VALUES - 1)]
    Blank,
    #[error(
        "the image shows no soft tissue (0 to 100 HU): are its Rescale Slope (0028,1053) and Rescale Intercept (0028,1052) right?"
    )]
    NoSoftTissue,
    #[error("pixel data decodes to {found} bytes, {rows} rows x {columns} columns need {expected}")]
    Length { found: usize, expected: usize, rows: usize, columns: usize },
}

impl PixelError {
    /// What the decoder said, for the log.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Decode(detail) => Some(detail),
            _ => None,
        }
    }
}

/// Decodes one frame of a file, counted from 0, and applies the slice's rescale slope and intercept.
///
/// # Errors
/// If the pixel data does not decode or is not what the header says.
pub fn hounsfield_image(
    file: &InstanceFile,
    frame: usize,
    header: &SliceHeader,
) -> Result<HounsfieldImage, PixelError> {
    stored_image(file, frame, header).map(|stored| stored.hounsfield())
}

/// Decodes one frame of a file, counted from 0, and makes it upright where it lies turned.
///
/// # Errors
/// If the pixel data does not decode, is not what the header says, or shows nothing.
pub fn stored_image(file: &InstanceFile, frame: usize, header: &SliceHeader) -> Result<StoredImage, PixelError> {
    let image = with_bare_codestream(file.frame(frame)?);
    check_frame(&image, header)?;
    // The codecs are other people's code on other people's bytes: one of them giving up costs one slice.
    let decoded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| image.decode_pixel_data()))
        .map_err(|_| PixelError::DecoderPanicked)?
        .map_err(|error| PixelError::Decode(error.to_string()))?;
    let (rows, columns) = (header.geometry.rows, header.geometry.columns);
    let (found_rows, found_columns) = (decoded.rows() as usize, decoded.columns() as usize);
    let (samples, bits) = (decoded.samples_per_pixel(), decoded.bits_allocated());
    if (found_rows, found_columns, samples) != (rows, columns, 1) || !matches!(bits, 8 | 16) {
        return Err(PixelError::Shape { found_rows, found_columns, samples, bits, rows, columns });
    }
    let cell_bytes = usize::from(bits / 8);
    let expected = rows * columns * cell_bytes;
    let mut cells = decoded.data().to_vec();
    if cells.len() < expected {
        return Err(PixelError::Length { found: cells.len(), expected, rows, columns });
    }
    cells.truncate(expected);
    let signed = decoded.pixel_representation() == PixelRepresentation::Signed;
    let layout = CellLayout::new(decoded.bits_stored(), decoded.high_bit(), signed);
    let (rescale_slope, rescale_intercept) = (header.rescale_slope, header.rescale_intercept);
    let mut stored =
        StoredImage { rows, columns, cell_bytes, cells, layout, rescale_slope, rescale_intercept, padding: None };
    stored.padding = header.padding.map(|ends| padding(ends, layout)).filter(|padding| stored.has_at_border(*padding));
    if !stored.shows_anything() {
        return Err(PixelError::Blank);
    }
    Ok(match &header.geometry.turn {
        Some(turn) => upright(&stored, turn),
        None => stored,
    })
}

/// The range of stored values between two numbers of the header, which name cells: a signed value may stand there as unsigned.
fn padding(ends: [i32; 2], layout: CellLayout) -> Padding {
    let [one, other] = ends.map(|cell| layout.stored_value(cell as u16));
    Padding { first: one.min(other), last: one.max(other) }
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

/// Holds a compressed frame's own header against the image's: decoders allocate what the frame claims.
fn check_frame(object: &DefaultDicomObject, header: &SliceHeader) -> Result<(), PixelError> {
    let Some(Value::PixelSequence(sequence)) = object.get(tags::PIXEL_DATA).map(dicom_object::mem::InMemElement::value)
    else {
        return Ok(());
    };
    let codestream = sequence.fragments().first().map(Vec::as_slice).unwrap_or_default();
    if object.meta().transfer_syntax() == uids::RLE_LOSSLESS {
        return if is_rle_frame(codestream) { Ok(()) } else { Err(PixelError::NoRleHeader) };
    }
    let expected = FrameSize { rows: header.geometry.rows, columns: header.geometry.columns, components: 1 };
    let found = frame_size(codestream).ok_or(PixelError::NoFrameHeader)?;
    if found != expected {
        return Err(PixelError::Frame { found, expected });
    }
    // CharLS looks for the rest of what was cut off for seconds.
    let is_jpeg_ls = [uids::JPEGLS_LOSSLESS, uids::JPEGLS_NEAR_LOSSLESS].contains(&object.meta().transfer_syntax());
    if is_jpeg_ls && !has_end_of_image(codestream) { Err(PixelError::NoEndOfImage) } else { Ok(()) }
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
