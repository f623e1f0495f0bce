//! The one way from a file to a slice: header, stored values, Hounsfield units, plane.

use crate::dicom::{CellLayout, DecodeError, FileError, ImageFile, InstanceFile, decode_frame};
use crate::preprocess::{FEWEST_VALUES, HounsfieldImage, InputGeometry, Padding, Plane, StoredImage, upright};

use super::{Content, HeaderError, InstanceHeader, PlaneCentre, SliceHeader};

/// Why a slice's pixels cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PixelError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("the image is blank: its pixels have no more than {} different values", FEWEST_VALUES - 1)]
    Blank,
    #[error(
        "the image shows no soft tissue (0 to 100 HU): are its Rescale Slope (0028,1053) and Rescale Intercept (0028,1052) right?"
    )]
    NoSoftTissue,
}

impl PixelError {
    /// What the decoder said, for the log.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Decode(error) => error.detail(),
            Self::Blank | Self::NoSoftTissue => None,
        }
    }
}

/// Why an image of the spool has no plane any more.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("it is no axial slice")]
    NoSlice,
    #[error(transparent)]
    Pixels(#[from] PixelError),
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
    let stored = image_as_it_lies(file, frame, header)?;
    if !stored.shows_anything() {
        return Err(PixelError::Blank);
    }
    Ok(match &header.geometry.rotation {
        Some(rotation) => upright(&stored, rotation),
        None => stored,
    })
}

/// Decodes one frame of a file, counted from 0, and leaves it as it lies in the file, whatever it shows.
///
/// # Errors
/// If the pixel data does not decode or is not what the header says.
pub fn image_as_it_lies(file: &InstanceFile, frame: usize, header: &SliceHeader) -> Result<StoredImage, DecodeError> {
    let (rows, columns) = (header.geometry.rows, header.geometry.columns);
    let decoded = decode_frame(file, frame, rows, columns)?;
    let mut stored = StoredImage {
        rows,
        columns,
        cell_bytes: decoded.cell_bytes,
        cells: decoded.cells,
        layout: decoded.layout,
        rescale_slope: header.rescale_slope,
        rescale_intercept: header.rescale_intercept,
        padding: None,
    };
    let padding = header.padding.map(|ends| padding(ends, decoded.layout));
    stored.padding = padding.filter(|padding| stored.has_at_border(*padding));
    Ok(stored)
}

/// The plane of an image of the spool about this place, about the image itself where none is given.
///
/// # Errors
/// Why it cannot be had: the file does not read, holds no such slice, or its pixels do not decode.
pub fn plane_of(file: &ImageFile, centre: Option<PlaneCentre>, input: &InputGeometry) -> Result<Plane, PlaneError> {
    let instance = InstanceFile::open(&file.path)?;
    let header = InstanceHeader::read(&instance.object)?;
    let Some(Content::Slice(slice)) = header.images.get(file.frame) else {
        return Err(PlaneError::NoSlice);
    };
    let image = hounsfield_image(&instance, file.frame, slice)?;
    let centre = centre.unwrap_or_else(|| PlaneCentre::of_image(slice.geometry.centre));
    Ok(Plane::resample(&image, &slice.geometry.on_plane(centre), input))
}

/// The range of stored values between two numbers of the header, which name cells: a signed value may stand there as unsigned.
fn padding(ends: [i32; 2], layout: CellLayout) -> Padding {
    let [one, other] = ends.map(|cell| layout.stored_value(cell as u16));
    Padding { first: one.min(other), last: one.max(other) }
}
