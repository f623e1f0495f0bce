//! Instances as Part 10 files: what precedes the pixel data is parsed, the pixel data stays in the file and is read frame by
//! frame, so that an object of many frames never is in memory as a whole.

mod extent;
mod frames;
mod other_files;
mod whole_elements;

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::TransferSyntaxIndex;
use dicom_object::{DefaultDicomObject, FileMetaTable, InMemDicomObject};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use serde::{Deserialize, Serialize};

use extent::find_pixel_data;
pub use extent::{Encoding, ExtentError, PixelData, PixelValue, check_extent};
pub use frames::FrameError;
use frames::Frames;
pub use other_files::is_something_else;
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
    #[error("not a DICOM file: DICM is missing")]
    NotDicom,
    #[error("the file meta group cannot be read: {0}")]
    Meta(String),
    #[error("transfer syntax {0} is not known")]
    TransferSyntax(String),
    #[error("the deflated data set inflates beyond {MAX_INFLATED_BYTES} bytes")]
    InflatesTooFar,
    #[error(transparent)]
    Extent(#[from] ExtentError),
    #[error("the data set cannot be parsed: {0}")]
    Parse(String),
}

/// A file meta group is far shorter than this.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// A deflated data set is inflated in memory: a gigabyte is 2,000 slices.
const MAX_INFLATED_BYTES: u64 = 1 << 30;

/// Explicit VR Big Endian, retired in 2006: bytes are taken for little-endian here.
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

const PREAMBLE_BYTES: usize = 128;
const MAGIC: &[u8] = b"DICM";

/// What precedes the data set in a file (PS3.10 section 7.1).
pub struct Head {
    pub meta: FileMetaTable,
    /// Where the data set begins, bytes.
    pub length: usize,
}

impl Head {
    /// Reads the file meta group, with the preamble before it or without.
    ///
    /// # Errors
    /// If it is none.
    pub fn read(file: &[u8]) -> Result<Self, FileError> {
        let is_magic = |at: &usize| file.get(*at..*at + MAGIC.len()) == Some(MAGIC);
        let magic_at = [PREAMBLE_BYTES, 0].into_iter().find(is_magic).ok_or(FileError::NotDicom)?;
        let meta_error = |reason: &str| FileError::Meta(reason.to_owned());
        let length = magic_at + MAGIC.len() + group_length(&file[magic_at + MAGIC.len()..]).map_err(meta_error)?;
        let head = file.get(magic_at..length).ok_or_else(|| meta_error("the file ends in it"))?;
        let meta = FileMetaTable::from_reader(head).map_err(|error| FileError::Meta(error.to_string()))?;
        Ok(Self { meta, length })
    }
}

/// Bytes of the file meta group (PS3.10 7.1), by what the file itself says: `FileMetaTable` gives the length that the group
/// would have if it were written anew.
fn group_length(group: &[u8]) -> Result<usize, &'static str> {
    const LENGTH_ELEMENT: [u8; 8] = [0x02, 0x00, 0x00, 0x00, b'U', b'L', 0x04, 0x00];
    let (element, value) = group.split_first_chunk::<8>().ok_or("the file ends in it")?;
    let (length, _) = value.split_first_chunk::<4>().ok_or("the file ends in it")?;
    if *element != LENGTH_ELEMENT {
        return Err("it does not begin with its length");
    }
    Ok(12 + u32::from_le_bytes(*length) as usize)
}

/// An instance whose pixel data is read when it is asked for.
#[derive(Debug)]
pub struct InstanceFile {
    /// Everything that precedes the pixel data.
    pub object: DefaultDicomObject,
    data_set: DataSet,
    frames: Result<Frames, FrameError>,
}

impl InstanceFile {
    /// Opens a file.
    ///
    /// # Errors
    /// If it is no instance that can be read.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let mut file = File::open(path)?;
        let mut start = Vec::new();
        file.by_ref().take(MAX_HEAD_BYTES as u64).read_to_end(&mut start)?;
        let Head { meta, length } = Head::read(&start)?;
        let bytes = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX).saturating_sub(length);
        Self::of(meta, DataSet::File { file, start: length, bytes })
    }

    /// The same of a file in memory.
    ///
    /// # Errors
    /// If it is no instance that can be read.
    pub fn of_bytes(mut file: Vec<u8>) -> Result<Self, FileError> {
        let Head { meta, length } = Head::read(&file)?;
        file.drain(..length);
        Self::of(meta, DataSet::Memory(file))
    }

    fn of(meta: FileMetaTable, stored: DataSet) -> Result<Self, FileError> {
        let is_deflated = meta.transfer_syntax() == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN;
        let data_set = if is_deflated { stored.inflated()? } else { stored };
        let syntax = if is_deflated { uids::EXPLICIT_VR_LITTLE_ENDIAN } else { meta.transfer_syntax() };
        let encoding = match syntax {
            uids::IMPLICIT_VR_LITTLE_ENDIAN => Encoding::ImplicitVr,
            _ => Encoding::ExplicitVr,
        };
        let known = TransferSyntaxRegistry.get(syntax).filter(|_| syntax != BIG_ENDIAN);
        let known = known.ok_or_else(|| FileError::TransferSyntax(syntax.to_owned()))?;
        let pixel_data = data_set.find_pixel_data(encoding)?;
        let before = data_set.read(0..pixel_data.as_ref().map_or(data_set.len(), |pixel_data| pixel_data.start))?;
        let object = InMemDicomObject::read_dataset_with_ts(before.as_slice(), known)
            .map_err(|error| FileError::Parse(error.to_string()))?;
        let frames = match pixel_data {
            Some(pixel_data) => Frames::of(pixel_data.value, &object, &data_set),
            None => Err(FrameError::NoPixelData),
        };
        Ok(Self { object: object.with_exact_meta(meta), data_set, frames })
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
        const DESCRIBING: [dicom_core::Tag; 9] = [
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

    fn find_pixel_data(&self, encoding: Encoding) -> Result<Option<PixelData>, FileError> {
        match self {
            Self::File { file, start, bytes } => {
                let mut reader = BufReader::new(file);
                reader.seek(SeekFrom::Start(*start as u64))?;
                Ok(find_pixel_data(reader, *bytes, encoding)?)
            }
            Self::Memory(bytes) => Ok(find_pixel_data(Cursor::new(bytes), bytes.len(), encoding)?),
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
