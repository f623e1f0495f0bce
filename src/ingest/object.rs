//! Whether a received data set is the instance that its C-STORE request names, before it is acknowledged.

use std::io::Read;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::TransferSyntaxIndex;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::dimse::Status;
use crate::exam::{HeaderError, InstanceHeader, is_ct_image};
use crate::part10::{Encoding, ExtentError, PixelData, PixelValue, check_extent};

/// Why a data set is refused.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error(transparent)]
    Extent(#[from] ExtentError),
    #[error("the deflated data set does not inflate: {0}")]
    Inflate(std::io::Error),
    #[error("the deflated data set inflates beyond {0} bytes")]
    InflatesTooFar(u64),
    #[error("the data set cannot be parsed: {0}")]
    Parse(String),
    #[error("transfer syntax {0} is not known")]
    TransferSyntax(String),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("{what} is {found} in the data set, but {requested} in the C-STORE request")]
    OtherInstance { what: &'static str, found: String, requested: String },
    #[error("a CT image without pixel data (7FE0,0010)")]
    NoPixelData,
    #[error("rows x columns need {expected} bytes of pixel data (7FE0,0010), there are {found}")]
    PixelDataLength { expected: u64, found: u64 },
}

impl ObjectError {
    /// The C-STORE status that says so (PS3.4 section B.2.3).
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::OtherInstance { .. } | Self::NoPixelData | Self::PixelDataLength { .. } => {
                Status::DATA_SET_DOES_NOT_MATCH
            }
            Self::Extent(_)
            | Self::Inflate(_)
            | Self::InflatesTooFar(_)
            | Self::Parse(_)
            | Self::TransferSyntax(_)
            | Self::Header(_) => Status::CANNOT_UNDERSTAND,
        }
    }

    /// The reason in words for a technician; what a parser says of it stands in the log.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Extent(ExtentError::Truncated(_) | ExtentError::Overrun { .. }) => "it is cut off".to_owned(),
            Self::Extent(_) | Self::Parse(_) => "it is no readable DICOM object".to_owned(),
            Self::Inflate(_) | Self::InflatesTooFar(_) => "its compressed data set is damaged".to_owned(),
            Self::TransferSyntax(_) => "its transfer syntax is not known here".to_owned(),
            Self::OtherInstance { .. } => "it is another object than its sender had announced".to_owned(),
            Self::NoPixelData => "it has no pixel data".to_owned(),
            Self::PixelDataLength { expected, found } if found < expected => "its pixel data is cut off".to_owned(),
            Self::PixelDataLength { .. } => "its pixel data is longer than its image".to_owned(),
            Self::Header(error) => error.to_string(),
        }
    }

    /// The reason in metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Extent(_) => "truncated_or_not_dicom",
            Self::Inflate(_) | Self::InflatesTooFar(_) => "deflate",
            Self::Parse(_) => "unparsable",
            Self::TransferSyntax(_) => "transfer_syntax",
            Self::Header(_) => "missing_uid",
            Self::OtherInstance { .. } => "other_instance",
            Self::NoPixelData => "no_pixel_data",
            Self::PixelDataLength { .. } => "pixel_data_length",
        }
    }
}

/// What the C-STORE request says of the data set that follows it.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "the names of DICOM's attributes")]
pub struct Requested<'a> {
    pub sop_class_uid: &'a str,
    pub sop_instance_uid: &'a str,
    pub transfer_syntax_uid: &'a str,
}

/// Parses a data set and holds it against the request.
///
/// # Errors
/// If it cannot be parsed, is another instance than was announced, or is a CT image whose pixel data cannot be right.
pub fn check(data_set: &[u8], requested: &Requested<'_>, max_bytes: u64) -> Result<InstanceHeader, ObjectError> {
    let (object, pixel_data) = parse(data_set, requested.transfer_syntax_uid, max_bytes)?;
    let header = InstanceHeader::read(&object)?;
    let same = |what, found: &str, requested: &str| {
        if found == requested {
            return Ok(());
        }
        Err(ObjectError::OtherInstance { what, found: found.to_owned(), requested: requested.to_owned() })
    };
    same("SOP Class UID (0008,0016)", &header.sop_class_uid, requested.sop_class_uid)?;
    same("SOP Instance UID (0008,0018)", &header.sop_instance_uid, requested.sop_instance_uid)?;
    if is_ct_image(&header.sop_class_uid) {
        check_pixel_data(&object, pixel_data)?;
    }
    Ok(header)
}

/// What precedes the pixel data, parsed, and where the pixel data is: it is looked at where it lies.
fn parse(
    data_set: &[u8],
    transfer_syntax_uid: &str,
    max_bytes: u64,
) -> Result<(InMemDicomObject, Option<PixelData>), ObjectError> {
    let inflated;
    let (data_set, transfer_syntax_uid) = if transfer_syntax_uid == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
        inflated = inflate(data_set, max_bytes)?;
        (inflated.as_slice(), uids::EXPLICIT_VR_LITTLE_ENDIAN)
    } else {
        (data_set, transfer_syntax_uid)
    };
    let implicit = transfer_syntax_uid == uids::IMPLICIT_VR_LITTLE_ENDIAN;
    let pixel_data = check_extent(data_set, if implicit { Encoding::ImplicitVr } else { Encoding::ExplicitVr })?;
    let before = &data_set[..pixel_data.as_ref().map_or(data_set.len(), |pixel_data| pixel_data.start)];
    let transfer_syntax = TransferSyntaxRegistry
        .get(transfer_syntax_uid)
        .ok_or_else(|| ObjectError::TransferSyntax(transfer_syntax_uid.to_owned()))?;
    let object = InMemDicomObject::read_dataset_with_ts(before, transfer_syntax)
        .map_err(|error| ObjectError::Parse(error.to_string()))?;
    Ok((object, pixel_data))
}

/// Parses a data set that has no pixels.
///
/// # Errors
/// If it cannot be parsed.
pub fn parse_whole(data_set: &[u8], transfer_syntax_uid: &str) -> Result<InMemDicomObject, ObjectError> {
    parse(data_set, transfer_syntax_uid, data_set.len() as u64).map(|(object, _)| object)
}

fn inflate(deflated: &[u8], max_bytes: u64) -> Result<Vec<u8>, ObjectError> {
    let mut inflated = Vec::new();
    let read = flate2::read::DeflateDecoder::new(deflated).take(max_bytes + 1).read_to_end(&mut inflated);
    read.map_err(ObjectError::Inflate)?;
    if inflated.len() as u64 > max_bytes {
        return Err(ObjectError::InflatesTooFar(max_bytes));
    }
    Ok(inflated)
}

fn check_pixel_data(object: &InMemDicomObject, pixel_data: Option<PixelData>) -> Result<(), ObjectError> {
    match pixel_data.map(|pixel_data| pixel_data.value) {
        Some(PixelValue::Native(bytes)) => check_native_length(object, bytes.len() as u64),
        Some(PixelValue::Encapsulated { fragments, .. }) if fragments.iter().any(|bytes| !bytes.is_empty()) => Ok(()),
        _ => Err(ObjectError::NoPixelData),
    }
}

/// Native pixel data has just the size that rows, columns and bits make, plus a byte where that is odd (PS3.5 section 8.1.1).
fn check_native_length(object: &InMemDicomObject, found: u64) -> Result<(), ObjectError> {
    let number =
        |tag: Tag, absent: u64| object.get(tag).and_then(|element| element.to_int::<u64>().ok()).unwrap_or(absent);
    let samples = number(tags::SAMPLES_PER_PIXEL, 1);
    let frames = number(tags::NUMBER_OF_FRAMES, 1);
    let bits = number(tags::BITS_ALLOCATED, 16);
    let pixels =
        [number(tags::COLUMNS, 0), samples, frames].into_iter().fold(number(tags::ROWS, 0), u64::saturating_mul);
    let expected = pixels.saturating_mul(bits).div_ceil(8);
    if found == expected || found == expected.next_multiple_of(2) {
        Ok(())
    } else {
        Err(ObjectError::PixelDataLength { expected, found })
    }
}
