//! What files and the network have in common: data sets and their attributes, code streams, UIDs, PDUs, DIMSE.
//!
//! Instances are Part 10 files: what precedes the pixel data is parsed, the pixel data stays in the file and is read frame by
//! frame, so that an object of many frames is never in memory as a whole.

pub(crate) mod attributes;
pub(crate) mod codestream;
pub(crate) mod commitment;
pub(crate) mod dimse;
mod element;
mod extent;
mod frames;
mod head;
mod native;
mod oddity;
mod other_files;
pub(crate) mod pdu;
mod pixels;
mod reader;
pub(crate) mod scu;
pub(crate) mod target;
mod text;
pub(crate) mod uid;
mod values;
mod whole_elements;

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::TransferSyntaxIndex;
use dicom_object::{DefaultDicomObject, InMemDicomObject};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use serde::{Deserialize, Serialize};

pub use commitment::CommitmentReport;
pub use dimse::Status;
use extent::read_data_set_from;
pub use extent::{Encoding, ExtentError, Keep, PixelData, PixelValue, ReadDataSet, read_data_set};
pub use frames::FrameError;
use frames::Frames;
pub use head::Head;
pub use native::NativeSize;
pub use oddity::{Oddities, Oddity, OddityTally};
pub use other_files::is_something_else;
pub use pixels::{CellLayout, DecodeError, DecodedFrame, decode_frame};
pub use scu::{Outgoing, ScuError, status_of, store_request};
pub use target::{Target, TargetError};
pub use uid::UidSource;
pub use whole_elements::read_before_fault;

/// Where an image lies: a file, and which of its frames it is, from 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "KeptImageFile")]
pub struct ImageFile {
    pub path: PathBuf,
    pub frame: usize,
}

/// An image in the database: before there were frames a path was all.
#[derive(Deserialize)]
#[serde(untagged)]
enum KeptImageFile {
    Path(PathBuf),
    Frame { path: PathBuf, frame: usize },
}

impl From<KeptImageFile> for ImageFile {
    fn from(kept: KeptImageFile) -> Self {
        match kept {
            KeptImageFile::Path(path) => Self { path, frame: 0 },
            KeptImageFile::Frame { path, frame } => Self { path, frame },
        }
    }
}

/// Why a file is no instance.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error(transparent)]
    Read(#[from] std::io::Error),
    #[error("not a DICOM file: DICM is missing, and it does not begin as a data set does")]
    NotDicom,
    #[error("transfer syntax {0} is not known")]
    TransferSyntax(String),
    #[error("the file does not say which transfer syntax its pixel data is compressed with")]
    NoTransferSyntax,
    #[error("the deflated data set inflates beyond {MAX_INFLATED_BYTES} bytes")]
    InflatesTooFar,
    #[error(transparent)]
    Extent(#[from] ExtentError),
}

/// A file meta group is far shorter than this.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// A deflated data set is inflated in memory: a gigabyte is 2,000 slices.
const MAX_INFLATED_BYTES: u64 = 1 << 30;

/// Explicit VR Big Endian, retired in 2006: bytes are taken for little-endian here.
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// An instance whose pixel data is read when it is asked for.
#[derive(Debug)]
pub struct InstanceFile {
    /// Everything but private elements, bulk data and the pixel data; texts are in Unicode.
    pub object: DefaultDicomObject,
    /// What is wrong with it and can be read all the same.
    pub oddities: Oddities,
    data_set: DataSet,
    frames: Result<Frames, FrameError>,
}

impl InstanceFile {
    /// Opens a file.
    ///
    /// # Errors
    /// If it is no instance that can be read.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let (head, stored) = opened(path)?;
        Self::of(head, stored)
    }

    /// The same of a file in memory.
    ///
    /// # Errors
    /// If it is no instance that can be read.
    pub fn of_bytes(mut file: Vec<u8>) -> Result<Self, FileError> {
        let head = Head::read(&file)?;
        file.drain(..head.length);
        Self::of(head, DataSet::Memory(file))
    }

    fn of(head: Head, stored: DataSet) -> Result<Self, FileError> {
        let Head { meta, oddities, .. } = head;
        let is_deflated = meta.transfer_syntax() == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN;
        let data_set = if is_deflated { stored.inflated()? } else { stored };
        let syntax = meta.transfer_syntax();
        if TransferSyntaxRegistry.get(syntax).is_none() || syntax == BIG_ENDIAN {
            return Err(FileError::TransferSyntax(syntax.to_owned()));
        }
        let read = data_set.read_data_set(encoding_of(syntax), Keep::Described)?;
        let (mut object, mut oddities) = (read.object, oddities.joined_by(read.oddities));
        take_uids(&mut object, &meta.media_storage_sop_class_uid, &meta.media_storage_sop_instance_uid, &mut oddities);
        let is_plain = [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN].contains(&syntax);
        if let Some(PixelData { value: PixelValue::Native(value), .. }) = &read.pixel_data {
            let excess = NativeSize::of(&object).excess(value.len() as u64);
            if excess > 0 {
                oddities.note(Oddity::ExcessPixels(excess));
            }
        }
        let frames = match read.pixel_data {
            Some(PixelData { value: PixelValue::Encapsulated { .. }, .. }) if is_plain => {
                return Err(FileError::NoTransferSyntax);
            }
            Some(pixel_data) => Frames::of(pixel_data.value, &object, &data_set),
            None => Err(FrameError::NoPixelData),
        };
        Ok(Self { object: object.with_exact_meta(meta), oddities, data_set, frames })
    }

    /// Whether the first image has the same stored pixels as another instance's; so have two instances without images.
    #[must_use]
    pub fn shows_the_same(&self, other: &Self) -> bool {
        match (self.frame(0), other.frame(0)) {
            (Ok(one), Ok(other)) => one.get(tags::PIXEL_DATA) == other.get(tags::PIXEL_DATA),
            (Err(one), Err(other)) => one == FrameError::NoPixelData && other == one,
            _ => false,
        }
    }

    /// An image of its own that holds the pixels of one frame, counted from 0, as they are stored, and what describes them
    /// (Image Pixel module, PS3.3 C.7.6.3).
    ///
    /// # Errors
    /// If there is no such frame, or it cannot be read.
    pub fn frame(&self, frame: usize) -> Result<DefaultDicomObject, FrameError> {
        const DESCRIBING: [Tag; 9] = [
            tags::SAMPLES_PER_PIXEL,
            tags::PHOTOMETRIC_INTERPRETATION,
            tags::PLANAR_CONFIGURATION,
            tags::ROWS,
            tags::COLUMNS,
            tags::BITS_ALLOCATED,
            tags::BITS_STORED,
            tags::HIGH_BIT,
            tags::PIXEL_REPRESENTATION,
        ];
        let pixels = self.frames.as_ref().map_err(Clone::clone)?.read(frame, &self.data_set)?;
        let described = DESCRIBING.iter().filter_map(|tag| self.object.get(*tag).cloned());
        let mut image = InMemDicomObject::from_element_iter(described);
        image.put(match pixels {
            frames::Pixels::Native(bytes) => {
                DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U8(bytes.into()))
            }
            frames::Pixels::Encapsulated(bytes) => {
                let one = dicom_core::value::PixelFragmentSequence::new(Vec::new(), vec![bytes]);
                DataElement::new(tags::PIXEL_DATA, VR::OB, one)
            }
        });
        Ok(image.with_exact_meta(self.object.meta().clone()))
    }
}

/// The elements of a file before its pixel data, texts in the bytes of the character set that they were sent in.
///
/// # Errors
/// If it is no instance that can be read.
pub fn undecoded_header(path: &Path) -> Result<InMemDicomObject, FileError> {
    let (head, stored) = opened(path)?;
    let syntax = head.meta.transfer_syntax();
    let data_set = if syntax == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN { stored.inflated()? } else { stored };
    Ok(data_set.read_data_set(encoding_of(syntax), Keep::Undecoded)?.object)
}

fn opened(path: &Path) -> Result<(Head, DataSet), FileError> {
    let mut file = File::open(path)?;
    let mut start = Vec::new();
    file.by_ref().take(MAX_HEAD_BYTES as u64).read_to_end(&mut start)?;
    let head = Head::read(&start)?;
    let start = head.length;
    let bytes = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX).saturating_sub(start);
    Ok((head, DataSet::File { file, start, bytes }))
}

/// How the elements of a data set are encoded in a transfer syntax, once it is inflated (PS3.5 annex A).
#[must_use]
pub fn encoding_of(transfer_syntax_uid: &str) -> Encoding {
    match transfer_syntax_uid {
        uids::IMPLICIT_VR_LITTLE_ENDIAN => Encoding::ImplicitVr,
        _ => Encoding::ExplicitVr,
    }
}

/// Gives a data set that lacks its SOP UIDs those that are known from elsewhere: the file meta group, the C-STORE request.
pub fn take_uids(object: &mut InMemDicomObject, sop_class_uid: &str, sop_instance_uid: &str, oddities: &mut Oddities) {
    let known = [
        (tags::SOP_CLASS_UID, "SOP Class UID (0008,0016)", sop_class_uid),
        (tags::SOP_INSTANCE_UID, "SOP Instance UID (0008,0018)", sop_instance_uid),
    ];
    for (tag, name, uid) in known {
        let is_missing = object.get(tag).and_then(|element| element.to_str().ok()).is_none_or(|uid| uid.is_empty());
        if is_missing && !uid.is_empty() {
            object.put(DataElement::new(tag, VR::UI, PrimitiveValue::from(uid)));
            oddities.note(Oddity::UidFromOutside(name));
        }
    }
}

/// Where a data set's bytes are.
#[derive(Debug)]
enum DataSet {
    File { file: File, start: usize, bytes: usize },
    Memory(Vec<u8>),
}

impl DataSet {
    fn len(&self) -> usize {
        match self {
            Self::File { bytes, .. } => *bytes,
            Self::Memory(bytes) => bytes.len(),
        }
    }

    /// Bytes that lie within the data set.
    fn read(&self, range: Range<usize>) -> std::io::Result<Vec<u8>> {
        match self {
            Self::File { file, start, .. } => {
                let mut bytes = vec![0; range.len()];
                file.read_exact_at(&mut bytes, (start + range.start) as u64)?;
                Ok(bytes)
            }
            Self::Memory(bytes) => {
                let read = bytes.get(range).map(<[u8]>::to_vec);
                read.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
            }
        }
    }

    fn read_data_set(&self, encoding: Encoding, keep: Keep) -> Result<ReadDataSet, FileError> {
        match self {
            Self::File { file, start, bytes } => {
                let mut reader = BufReader::new(file);
                reader.seek(SeekFrom::Start(*start as u64))?;
                Ok(read_data_set_from(reader, *bytes, encoding, keep)?)
            }
            Self::Memory(bytes) => Ok(read_data_set(bytes, encoding, keep)?),
        }
    }

    fn inflated(self) -> Result<Self, FileError> {
        let mut inflated = Vec::new();
        let deflated = Cursor::new(self.read(0..self.len())?);
        flate2::read::DeflateDecoder::new(deflated).take(MAX_INFLATED_BYTES + 1).read_to_end(&mut inflated)?;
        if inflated.len() as u64 > MAX_INFLATED_BYTES {
            return Err(FileError::InflatesTooFar);
        }
        Ok(Self::Memory(inflated))
    }
}
