//! Which bytes of the pixel data are which frame (PS3.5 sections 8.2 and A.4).

use std::ops::Range;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::extent::PixelValue;
use super::{DataSet, NativeSize};

/// Why the bytes of a frame cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("there is no pixel data (7FE0,0010)")]
    NoPixelData,
    #[error("the pixel data (7FE0,0010) has no frame {0}")]
    Missing(usize),
    #[error("{fragments} fragments for {frames} frames, and no offset table says which belong together")]
    Fragments { fragments: usize, frames: usize },
    #[error("the pixel data (7FE0,0010) has {0} bytes more than rows x columns need, and they are no padding")]
    Excess(u64),
    #[error("the pixel data (7FE0,0010) cannot be read: {0}")]
    Read(std::io::ErrorKind),
}

/// Bytes of a frame as they are stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pixels {
    Native(Vec<u8>),
    /// One codestream, whatever fragments it came in.
    Encapsulated(Vec<u8>),
}

/// Where each frame lies in its data set, bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frames {
    Native { value: Range<usize>, frames: usize, frame_bytes: usize },
    Encapsulated { fragments: Vec<Range<usize>>, of_frames: Vec<Range<usize>> },
}

/// Before the value of a fragment stand its tag and its length.
const ITEM_HEADER_BYTES: usize = 8;

impl Frames {
    /// Divides pixel data into the frames that its data set counts.
    ///
    /// # Errors
    /// If nothing says which fragment belongs to which frame.
    pub(super) fn of(value: PixelValue, object: &InMemDicomObject, data_set: &DataSet) -> Result<Self, FrameError> {
        let number = |tag: Tag| object.get(tag).and_then(|element| element.to_int::<usize>().ok());
        let frames = number(tags::NUMBER_OF_FRAMES).unwrap_or(1).max(1);
        match value {
            PixelValue::Native(value) => {
                let size = NativeSize::of(object);
                let read = |range| data_set.read(range).map_err(|error| FrameError::Read(error.kind()));
                if !size.is_padded(&value, read)? {
                    return Err(FrameError::Excess(size.excess(value.len() as u64)));
                }
                let frame_bytes = usize::try_from(size.frame_bytes).unwrap_or(usize::MAX);
                Ok(Self::Native { value, frames, frame_bytes })
            }
            PixelValue::Encapsulated { offset_table, fragments } => {
                let of_frames = match fragments.len() {
                    count if frames == 1 => std::iter::once(0..count).collect(),
                    count if count == frames => (0..count).map(|one| one..one + 1).collect(),
                    count => {
                        let offsets =
                            extended_offsets(object).map_or_else(|| basic_offsets(offset_table, data_set), Ok)?;
                        by_offsets(&offsets, &fragments)
                            .filter(|of_frames| of_frames.len() == frames)
                            .ok_or(FrameError::Fragments { fragments: count, frames })?
                    }
                };
                Ok(Self::Encapsulated { fragments, of_frames })
            }
        }
    }

    /// Reads one frame, counted from 0.
    pub(super) fn read(&self, frame: usize, data_set: &DataSet) -> Result<Pixels, FrameError> {
        let missing = FrameError::Missing(frame + 1);
        let read = |range: Range<usize>| data_set.read(range).map_err(|error| FrameError::Read(error.kind()));
        match self {
            // Its length is checked when it is decoded.
            Self::Native { value, frames: 1, frame_bytes } if frame == 0 => {
                let end = value.start.saturating_add(*frame_bytes).min(value.end);
                read(value.start..end).map(Pixels::Native)
            }
            Self::Native { value, frames, frame_bytes } => {
                let start = frame.checked_mul(*frame_bytes).and_then(|before| before.checked_add(value.start));
                let range = start.and_then(|start| Some(start..start.checked_add(*frame_bytes)?));
                let range = range.filter(|range| frame < *frames && !range.is_empty() && range.end <= value.end);
                read(range.ok_or(missing)?).map(Pixels::Native)
            }
            Self::Encapsulated { fragments, of_frames } => {
                let of_frame = of_frames.get(frame).and_then(|range| fragments.get(range.clone())).ok_or(missing)?;
                let mut codestream = Vec::new();
                for fragment in of_frame {
                    codestream.append(&mut read(fragment.clone())?);
                }
                Ok(Pixels::Encapsulated(codestream))
            }
        }
    }
}

/// Extended Offset Table (7FE0,0001).
fn extended_offsets(object: &InMemDicomObject) -> Option<Vec<u64>> {
    object.get(tags::EXTENDED_OFFSET_TABLE)?.to_multi_int().ok().filter(|offsets: &Vec<u64>| !offsets.is_empty())
}

fn basic_offsets(offset_table: Range<usize>, data_set: &DataSet) -> Result<Vec<u64>, FrameError> {
    let bytes = data_set.read(offset_table).map_err(|error| FrameError::Read(error.kind()))?;
    Ok(bytes.as_chunks().0.iter().map(|four| u64::from(u32::from_le_bytes(*four))).collect())
}

/// The fragments of each frame. Offsets are those of the frames' first fragments from the beginning of the first one, items'
/// headers included; `None` where one of them is no fragment's.
fn by_offsets(offsets: &[u64], fragments: &[Range<usize>]) -> Option<Vec<Range<usize>>> {
    let header_of = |fragment: &Range<usize>| fragment.start - ITEM_HEADER_BYTES;
    let origin = header_of(fragments.first()?);
    let at = |offset: &u64| {
        let header = origin.checked_add(usize::try_from(*offset).ok()?)?;
        fragments.binary_search_by_key(&header, header_of).ok()
    };
    let mut starts = offsets.iter().map(at).collect::<Option<Vec<usize>>>()?;
    starts.push(fragments.len());
    let rises = starts[0] == 0 && starts.is_sorted_by(|one, next| one < next);
    rises.then(|| starts.windows(2).map(|pair| pair[0]..pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use dicom_core::{DataElement, PrimitiveValue, VR};
    use proptest::prelude::*;

    use super::*;

    fn object(numbers: &[(Tag, VR, &str)]) -> InMemDicomObject {
        InMemDicomObject::from_element_iter(
            numbers.iter().map(|(tag, vr, value)| DataElement::new(*tag, *vr, PrimitiveValue::from(*value))),
        )
    }

    fn counting(frames: &str) -> InMemDicomObject {
        let number = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
        let mut object = object(&[(tags::NUMBER_OF_FRAMES, VR::IS, frames)]);
        for (tag, value) in [(tags::ROWS, 2), (tags::COLUMNS, 2), (tags::BITS_ALLOCATED, 16)] {
            object.put(number(tag, value));
        }
        object
    }

    /// Pixel data of fragments with the letters `a`, `b` ..., after an offset table.
    fn encapsulated(offsets: &[u32], lengths: &[usize]) -> (PixelValue, DataSet) {
        let mut bytes: Vec<u8> = offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
        let offset_table = 0..bytes.len();
        let fragments = lengths.iter().zip(b'a'..).map(|(length, letter)| {
            bytes.extend([0; ITEM_HEADER_BYTES]);
            let start = bytes.len();
            bytes.extend(vec![letter; *length]);
            start..bytes.len()
        });
        let fragments = fragments.collect();
        (PixelValue::Encapsulated { offset_table, fragments }, DataSet::Memory(bytes))
    }

    fn codestreams(frames: &str, offsets: &[u32], lengths: &[usize]) -> Result<Vec<String>, FrameError> {
        let (value, data_set) = encapsulated(offsets, lengths);
        let found = Frames::of(value, &counting(frames), &data_set)?;
        let count: usize = frames.parse().unwrap();
        let text = |frame| match found.read(frame, &data_set)? {
            Pixels::Encapsulated(bytes) => Ok(String::from_utf8(bytes).unwrap()),
            Pixels::Native(_) => panic!("it is encapsulated"),
        };
        (0..count).map(text).collect()
    }

    #[test]
    fn native_frames_follow_each_other_and_what_is_cut_off_is_missing() {
        let data_set = DataSet::Memory((0..30).collect());
        let frames = Frames::of(PixelValue::Native(4..30), &counting("4"), &data_set).unwrap();
        assert_eq!(frames.read(1, &data_set), Ok(Pixels::Native((12..20).collect())));
        assert_eq!(frames.read(3, &data_set), Err(FrameError::Missing(4)));
        assert_eq!(frames.read(usize::MAX - 1, &data_set), Err(FrameError::Missing(usize::MAX)));
    }

    #[test]
    fn padding_behind_native_frames_is_left_out_and_more_than_padding_is_refused() {
        let data_set = DataSet::Memory((0..30).collect());
        let three = Frames::of(PixelValue::Native(3..30), &counting("3"), &data_set).unwrap();
        assert_eq!(three.read(2, &data_set), Ok(Pixels::Native((19..27).collect())));
        assert_eq!(three.read(3, &data_set), Err(FrameError::Missing(4)));
        let one = Frames::of(PixelValue::Native(4..14), &counting("1"), &data_set).unwrap();
        assert_eq!(one.read(0, &data_set), Ok(Pixels::Native((4..12).collect())));
        assert_eq!(Frames::of(PixelValue::Native(4..30), &counting("2"), &data_set), Err(FrameError::Excess(10)));
    }

    #[test]
    fn a_fragment_each_needs_no_offset_table_and_a_single_frame_takes_them_all() {
        assert_eq!(codestreams("3", &[], &[2, 3, 1]).unwrap(), ["aa", "bbb", "c"]);
        assert_eq!(codestreams("3", &[7, 7, 7], &[2, 3, 1]).unwrap(), ["aa", "bbb", "c"]);
        assert_eq!(codestreams("1", &[], &[2, 3, 1]).unwrap(), ["aabbbc"]);
    }

    #[test]
    fn an_offset_table_says_which_fragments_are_one_frame() {
        assert_eq!(codestreams("2", &[0, 10 + 11], &[2, 3, 1, 4]).unwrap(), ["aabbb", "cdddd"]);
        let (value, data_set) = encapsulated(&[], &[2, 3, 1, 4]);
        let mut extended = counting("2");
        let offsets: Vec<u64> = vec![0, 10];
        extended.put(DataElement::new(tags::EXTENDED_OFFSET_TABLE, VR::OV, PrimitiveValue::U64(offsets.into())));
        let frames = Frames::of(value, &extended, &data_set).unwrap();
        assert_eq!(frames.read(0, &data_set), Ok(Pixels::Encapsulated(b"aa".to_vec())));
        assert_eq!(frames.read(1, &data_set), Ok(Pixels::Encapsulated(b"bbbcdddd".to_vec())));
    }

    #[test]
    fn fragments_that_belong_to_no_frame_for_sure_are_refused() {
        for offsets in [&[][..], &[0], &[0, 9], &[10, 21], &[21, 0], &[0, 0], &[0, u32::MAX]] {
            let refused = codestreams("2", offsets, &[2, 3, 1, 4]);
            assert_eq!(refused, Err(FrameError::Fragments { fragments: 4, frames: 2 }), "{offsets:?}");
        }
    }

    proptest! {
        #[test]
        fn no_table_makes_it_panic(
            offsets in prop::collection::vec(any::<u32>(), 0..6),
            lengths in prop::collection::vec(0..9_usize, 0..6),
            frames in 0..7_usize,
        ) {
            let _ = codestreams(&frames.to_string(), &offsets, &lengths);
        }
    }
}
