//! Whether a received data set is the instance that its C-STORE request names, before it is acknowledged.

use std::io::Read;
use std::ops::Range;

use dicom_dictionary_std::uids;
use dicom_object::InMemDicomObject;

use crate::dicom::dimse::Status;
use crate::dicom::{
    ExtentError, Keep, NativeSize, Oddities, Oddity, PixelData, PixelValue, ReadDataSet, encoding_of, read_data_set,
    take_uids,
};
use crate::exam::{HeaderError, InstanceHeader, is_ct_image};

/// Why a data set is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum ObjectError {
    #[error(transparent)]
    Extent(#[from] ExtentError),
    #[error("the deflated data set does not inflate: {0}")]
    Inflate(std::io::Error),
    #[error("the deflated data set inflates beyond {0} bytes")]
    InflatesTooFar(u64),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("{what} is {found} in the data set, but {requested} in the C-STORE request")]
    OtherInstance { what: &'static str, found: String, requested: String },
    #[error("a CT image without pixel data (7FE0,0010)")]
    NoPixelData,
    #[error("rows x columns need {expected} bytes of pixel data (7FE0,0010), there are {found}")]
    PixelDataLength { expected: u64, found: u64 },
    #[error(
        "rows x columns need {expected} bytes of pixel data (7FE0,0010), there are {found}, and what is too much is no padding"
    )]
    PixelDataExcess { expected: u64, found: u64 },
}

impl ObjectError {
    /// The C-STORE status that says so (PS3.4 section B.2.3).
    #[must_use]
    pub(super) fn status(&self) -> Status {
        match self {
            Self::OtherInstance { .. }
            | Self::NoPixelData
            | Self::PixelDataLength { .. }
            | Self::PixelDataExcess { .. } => Status::DATA_SET_DOES_NOT_MATCH,
            Self::Extent(_) | Self::Inflate(_) | Self::InflatesTooFar(_) | Self::Header(_) => Status::CANNOT_UNDERSTAND,
        }
    }

    /// The reason in words for a technician; what a parser says of it stands in the log.
    #[must_use]
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Extent(ExtentError::Truncated(_) | ExtentError::Overrun { .. }) => "it is cut off".to_owned(),
            Self::Extent(_) => "it is no readable DICOM object".to_owned(),
            Self::Inflate(_) | Self::InflatesTooFar(_) => "its compressed data set is damaged".to_owned(),
            Self::OtherInstance { .. } => "it is another object than its sender had announced".to_owned(),
            Self::NoPixelData => "it has no pixel data".to_owned(),
            Self::PixelDataLength { .. } => "its pixel data is cut off".to_owned(),
            Self::PixelDataExcess { .. } => "its pixel data is longer than its image".to_owned(),
            Self::Header(error) => error.to_string(),
        }
    }

    /// The reason in metrics.
    #[must_use]
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Extent(_) => "truncated_or_not_dicom",
            Self::Inflate(_) | Self::InflatesTooFar(_) => "deflate",
            Self::Header(_) => "missing_uid",
            Self::OtherInstance { .. } => "other_instance",
            Self::NoPixelData => "no_pixel_data",
            Self::PixelDataLength { .. } | Self::PixelDataExcess { .. } => "pixel_data_length",
        }
    }
}

/// What the C-STORE request says of the data set that follows it.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "the names of DICOM's attributes")]
pub(super) struct Requested<'a> {
    pub sop_class_uid: &'a str,
    pub sop_instance_uid: &'a str,
    pub transfer_syntax_uid: &'a str,
}

/// An object that is what its request says.
#[derive(Debug)]
pub(super) struct Checked {
    pub header: InstanceHeader,
    /// What is wrong with it all the same.
    pub oddities: Oddities,
}

/// Reads a data set and checks it against the request.
///
/// # Errors
/// If it cannot be read, is another instance than was announced, or is a CT image whose pixel data cannot be right.
pub(super) fn check(data_set: &[u8], requested: &Requested<'_>, max_bytes: u64) -> Result<Checked, ObjectError> {
    let inflated;
    let data_set = if requested.transfer_syntax_uid == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
        inflated = inflate(data_set, max_bytes)?;
        inflated.as_slice()
    } else {
        data_set
    };
    let ReadDataSet { mut object, pixel_data, mut oddities, .. } =
        read_data_set(data_set, encoding_of(requested.transfer_syntax_uid), Keep::Described)?;
    take_uids(&mut object, requested.sop_class_uid, requested.sop_instance_uid, &mut oddities);
    let header = InstanceHeader::read(&object)?;
    let pairs = [
        ("SOP Class UID (0008,0016)", &header.sop_class_uid, requested.sop_class_uid),
        ("SOP Instance UID (0008,0018)", &header.sop_instance_uid, requested.sop_instance_uid),
    ];
    for (name, found, requested) in pairs {
        check_same(name, found, requested, &mut oddities)?;
    }
    header.invalid_uids().for_each(|name| oddities.note(Oddity::InvalidUid(name)));
    if is_ct_image(&header.sop_class_uid) {
        check_pixel_data(&object, pixel_data, data_set, &mut oddities)?;
    }
    Ok(Checked { header, oddities })
}

/// A UID in the data set is the one that was requested if they differ by padding, case or a last dot alone. A request that
/// names none means the data set's own.
fn check_same(name: &'static str, found: &str, requested: &str, oddities: &mut Oddities) -> Result<(), ObjectError> {
    if requested.is_empty() || found == requested {
        return Ok(());
    }
    if !canonical(found).eq_ignore_ascii_case(canonical(requested)) {
        return Err(ObjectError::OtherInstance {
            what: name,
            found: found.to_owned(),
            requested: requested.to_owned(),
        });
    }
    oddities.note(Oddity::SpelledOtherwise { name, spelled: found.to_owned() });
    Ok(())
}

/// A UID without what writers put behind it.
pub(super) fn canonical(uid: &str) -> &str {
    uid.trim_matches(|c: char| c.is_whitespace() || c.is_control()).trim_end_matches('.')
}

/// Reads a data set that has no pixels as a whole, so that it can be stored again.
///
/// # Errors
/// If it cannot be read.
pub(super) fn parse_whole(data_set: &[u8], transfer_syntax_uid: &str) -> Result<InMemDicomObject, ObjectError> {
    Ok(read_data_set(data_set, encoding_of(transfer_syntax_uid), Keep::All)?.object)
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

fn check_pixel_data(
    object: &InMemDicomObject,
    pixel_data: Option<PixelData>,
    data_set: &[u8],
    oddities: &mut Oddities,
) -> Result<(), ObjectError> {
    match pixel_data.map(|pixel_data| pixel_data.value) {
        Some(PixelValue::Native(value)) => check_native_length(object, &value, data_set, oddities),
        Some(PixelValue::Encapsulated { fragments, .. }) if fragments.iter().any(|bytes| !bytes.is_empty()) => Ok(()),
        _ => Err(ObjectError::NoPixelData),
    }
}

/// Native pixel data has the size that rows, columns and bits make, or more where it is padded (PS3.5 section 8.1.1).
fn check_native_length(
    object: &InMemDicomObject,
    value: &Range<usize>,
    data_set: &[u8],
    oddities: &mut Oddities,
) -> Result<(), ObjectError> {
    let size = NativeSize::of(object);
    let (expected, found) = (size.all_bytes, value.len() as u64);
    if found < expected {
        return Err(ObjectError::PixelDataLength { expected, found });
    }
    let read = |range: Range<usize>| data_set.get(range).map(<[u8]>::to_vec).ok_or(ExtentError::Truncated(value.end));
    if !size.is_padded(value, read)? {
        return Err(ObjectError::PixelDataExcess { expected, found });
    }
    if size.excess(found) > 0 {
        oddities.note(Oddity::ExcessPixels(size.excess(found)));
    }
    Ok(())
}
