//! A data set's elements: walked and read in one go. A length that lies would make a parser allocate gigabytes or lose its
//! place, so each length is checked against what contains it (PS3.5 section 7.1), and what is not needed is passed over unread.
//!
//! Writers get much wrong that leaves no doubt where the next element begins: tags out of order, unknown VRs, sequences of unknown
//! VR, bytes behind the pixel data. That is read and noted as an [`Oddity`]. What leaves the place in doubt is refused.

use std::io::{Cursor, Read, Seek};
use std::ops::Range;

use dicom_core::Tag;
use dicom_object::InMemDicomObject;

pub use super::element::Encoding;
use super::element::Source;
use super::oddity::{Oddities, Oddity};
use super::reader::{DataSetReader, Scope};
use super::text::CharacterSet;

/// Sequences nested deeper than this are an attack.
pub(super) const MAX_DEPTH: usize = 24;

/// Pixel data in more fragments than this is an attack: a long scan in one object has some thousand.
pub(super) const MAX_FRAGMENTS: usize = 1_000_000;

/// Elements and items, nested ones included: an object of 10,000 frames has a million.
pub(super) const MAX_ELEMENTS: usize = 2_000_000;

/// How a data set's bytes cannot be what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExtentError {
    #[error("the data set ends in the middle of an element, at byte {0}")]
    Truncated(usize),
    #[error("element {tag} at byte {at} claims {length} bytes, {left} are left")]
    Overrun { tag: Tag, at: usize, length: u32, left: usize },
    #[error("element {tag} at byte {at} has {length} bytes, no whole number of values of {vr}")]
    Fraction { tag: Tag, at: usize, length: u32, vr: &'static str },
    #[error("element {tag} at byte {at} is out of place: this is no DICOM data set")]
    OutOfPlace { tag: Tag, at: usize },
    #[error("element {tag} stands there twice, with different values: nobody knows which one counts")]
    Contradiction { tag: Tag },
    #[error("sequences are nested more than {MAX_DEPTH} deep")]
    TooDeep,
    #[error("the data set has more than {MAX_ELEMENTS} elements")]
    TooManyElements,
    #[error("the pixel data has more than {MAX_FRAGMENTS} fragments")]
    TooManyFragments,
    #[error("the data set cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
}

impl ExtentError {
    /// Whether it is beyond what a container of known length can confine.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::TooManyElements | Self::Unreadable(_))
    }
}

/// Where a data set's own Pixel Data (7FE0,0010) lies, not that of an icon in a sequence. Places are bytes from the data set's
/// beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PixelData {
    /// Where the element begins.
    pub start: usize,
    pub value: PixelValue,
}

/// How pixel data is encoded (PS3.5 section A.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PixelValue {
    Native(Range<usize>),
    Encapsulated {
        /// The value of the basic offset table, which may be empty.
        offset_table: Range<usize>,
        /// The values of the fragments; each is preceded by an item's tag and length.
        fragments: Vec<Range<usize>>,
    },
}

/// What of a data set is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// What the standard has a meaning for, but no bulk data.
    Described,
    /// The same of a data set that has a fault: what stands before it.
    BeforeFault,
    /// Everything but pixel data, so that it can be stored again.
    All,
    /// As `Described`, and texts stay the bytes that they are: to be copied in the character set of their sender.
    Undecoded,
}

/// A data set that was read. Its texts are in Unicode.
#[derive(Debug)]
pub struct ReadDataSet {
    /// Without its pixel data.
    pub object: InMemDicomObject,
    pub pixel_data: Option<PixelData>,
    pub oddities: Oddities,
    /// How it turned out to be encoded.
    pub encoding: Encoding,
}

/// Reads a little-endian data set that is in memory.
///
/// # Errors
/// If an element reaches beyond its container or stands where none may.
pub fn read_data_set(data_set: &[u8], encoding: Encoding, keep: Keep) -> Result<ReadDataSet, ExtentError> {
    read_data_set_from(Cursor::new(data_set), data_set.len(), encoding, keep)
}

/// Reads a little-endian data set of `length` bytes; its pixel data and what is not kept is passed over.
///
/// # Errors
/// As [`read_data_set`], and if it cannot be read.
pub(super) fn read_data_set_from(
    reader: impl Read + Seek,
    length: usize,
    encoding: Encoding,
    keep: Keep,
) -> Result<ReadDataSet, ExtentError> {
    let mut source = Source::new(reader);
    let found = source.sniff(encoding, length)?;
    let mut oddities = Oddities::default();
    if found != encoding {
        oddities.note(Oddity::OtherEncoding);
    }
    let mut reader = DataSetReader { source, keep, pixel_data: None, oddities, elements: 0 };
    let whole = Scope { end: length, depth: 0, is_delimited: false, encoding: found, is_kept: true };
    let object = reader.elements(whole, &CharacterSet::default())?;
    Ok(ReadDataSet { object, pixel_data: reader.pixel_data, oddities: reader.oddities, encoding: found })
}

#[cfg(test)]
mod tests {
    use dicom_core::value::DataSetSequence;
    use dicom_core::{DataElement, PrimitiveValue, VR};
    use dicom_dictionary_std::tags;
    use dicom_transfer_syntax_registry::entries::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};
    use proptest::prelude::*;

    use super::*;

    fn check_extent(data_set: &[u8], encoding: Encoding) -> Result<Option<PixelData>, ExtentError> {
        read_data_set(data_set, encoding, Keep::Described).map(|read| read.pixel_data)
    }

    fn nested() -> InMemDicomObject {
        let inner = InMemDicomObject::from_element_iter([DataElement::new(tags::PATIENT_ID, VR::LO, "inside")]);
        InMemDicomObject::from_element_iter([
            DataElement::new(tags::PATIENT_ID, VR::LO, "outside"),
            DataElement::new(tags::REFERENCED_STUDY_SEQUENCE, VR::SQ, DataSetSequence::from(vec![inner])),
            DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(vec![7_u8; 64])),
        ])
    }

    fn encoded(encoding: Encoding) -> Vec<u8> {
        let mut bytes = Vec::new();
        let ts = match encoding {
            Encoding::ImplicitVr => IMPLICIT_VR_LITTLE_ENDIAN.erased(),
            Encoding::ExplicitVr => EXPLICIT_VR_LITTLE_ENDIAN.erased(),
        };
        nested().write_dataset_with_ts(&mut bytes, &ts).unwrap();
        bytes
    }

    #[test]
    fn a_whole_data_set_passes_and_any_beginning_of_it_that_cuts_an_element_does_not() {
        for encoding in [Encoding::ImplicitVr, Encoding::ExplicitVr] {
            let whole = encoded(encoding);
            read_data_set(&whole, encoding, Keep::Described).unwrap();
            let cuts_that_pass = (1..whole.len()).filter(|end| check_extent(&whole[..*end], encoding).is_ok()).count();
            assert_eq!(cuts_that_pass, 2, "only between the three elements may a cut go unnoticed");
        }
    }

    #[test]
    fn pixel_data_is_found_and_that_of_an_icon_is_not_taken_for_it() {
        let whole = encoded(Encoding::ExplicitVr);
        let found = check_extent(&whole, Encoding::ExplicitVr).unwrap().unwrap();
        let value = PixelValue::Native(whole.len() - 64..whole.len());
        assert_eq!(found, PixelData { start: whole.len() - 64 - 12, value });
        let icon = InMemDicomObject::from_element_iter([DataElement::new(
            tags::PIXEL_DATA,
            VR::OW,
            PrimitiveValue::from(vec![7_u8; 4]),
        )]);
        let with_icon = InMemDicomObject::from_element_iter([DataElement::new(
            tags::ICON_IMAGE_SEQUENCE,
            VR::SQ,
            DataSetSequence::from(vec![icon]),
        )]);
        let mut bytes = Vec::new();
        with_icon.write_dataset_with_ts(&mut bytes, &EXPLICIT_VR_LITTLE_ENDIAN.erased()).unwrap();
        assert_eq!(check_extent(&bytes, Encoding::ExplicitVr).unwrap(), None);
    }

    #[test]
    fn four_gigabytes_in_a_few_bytes_are_not_believed() {
        let lie = [0x10, 0x00, 0x20, 0x00, 0xF0, 0xFF, 0xFF, 0xFF];
        let error = check_extent(&lie, Encoding::ImplicitVr).unwrap_err();
        assert!(matches!(error, ExtentError::Overrun { left: 0, .. }), "{error}");
    }

    #[test]
    fn a_length_that_is_no_whole_number_of_values_is_refused() {
        let of_vr = |vr: [u8; 2]| [0x28, 0, 0x10, 0, vr[0], vr[1], 2, 0, 7, 0];
        assert_eq!(check_extent(&of_vr(*b"US"), Encoding::ExplicitVr), Ok(None));
        let fraction = check_extent(&of_vr(*b"UL"), Encoding::ExplicitVr);
        assert!(matches!(fraction, Err(ExtentError::Fraction { length: 2, .. })), "{fraction:?}");
        let implicit = [0x28, 0, 0x10, 0, 3, 0, 0, 0, 1, 2, 3];
        assert!(matches!(check_extent(&implicit, Encoding::ImplicitVr), Err(ExtentError::Fraction { length: 3, .. })));
    }

    #[test]
    fn text_is_no_data_set() {
        let text = b"Dear scanner, this is not a CT image at all, only a letter.";
        assert!(check_extent(text, Encoding::ImplicitVr).is_err());
        assert!(check_extent(text, Encoding::ExplicitVr).is_err());
    }

    #[test]
    fn endless_nesting_is_refused() {
        let mut bytes = Vec::new();
        for _ in 0..1000 {
            bytes.extend([
                0x08, 0x00, 0x10, 0x11, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF,
            ]);
        }
        assert_eq!(check_extent(&bytes, Encoding::ImplicitVr), Err(ExtentError::TooDeep));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_run_away(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = check_extent(&bytes, Encoding::ImplicitVr);
            let _ = check_extent(&bytes, Encoding::ExplicitVr);
        }

        #[test]
        fn no_changed_byte_makes_it_panic(at in 0..120_usize, byte in any::<u8>()) {
            for encoding in [Encoding::ImplicitVr, Encoding::ExplicitVr] {
                let mut bytes = encoded(encoding);
                if let Some(changed) = bytes.get_mut(at) { *changed = byte; }
                let _ = check_extent(&bytes, encoding);
            }
        }
    }
}
