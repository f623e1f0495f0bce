//! Whether a data set's elements stay within its bytes. A length that lies would have the parser ask for gigabytes, so
//! this walk over tags and lengths comes before any parsing (PS3.5 section 7.1).

use std::io::{Cursor, Read, Seek};
use std::ops::Range;

use dicom_core::{DataDictionary, Tag, VR, dictionary::DataDictionaryEntry};
use dicom_dictionary_std::{StandardDataDictionary, tags};

/// Sequences nested deeper than this are an attack.
const MAX_DEPTH: usize = 24;

/// Pixel data in more fragments than this is an attack: a long scan in one object has some thousand.
const MAX_FRAGMENTS: usize = 1_000_000;

const UNDEFINED_LENGTH: u32 = 0xFFFF_FFFF;
const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_DELIMITER: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_DELIMITER: Tag = Tag(0xFFFE, 0xE0DD);

/// How a data set's bytes cannot be what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExtentError {
    #[error("the data set ends in the middle of an element, at byte {0}")]
    Truncated(usize),
    #[error("element {tag} at byte {at} claims {length} bytes, {left} are left")]
    Overrun { tag: Tag, at: usize, length: u32, left: usize },
    #[error("element {tag} at byte {at} has {length} bytes, no whole number of values of {vr:?}")]
    Fraction { tag: Tag, at: usize, length: u32, vr: VR },
    #[error("element {tag} at byte {at} is out of place: this is no DICOM data set")]
    OutOfPlace { tag: Tag, at: usize },
    #[error("sequences are nested more than {MAX_DEPTH} deep")]
    TooDeep,
    #[error("the pixel data has more than {MAX_FRAGMENTS} fragments")]
    TooManyFragments,
    #[error("the data set cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
}

/// How values are preceded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    ImplicitVr,
    ExplicitVr,
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

/// Walks all elements of a little-endian data set and says where its pixel data is, if it has any.
///
/// # Errors
/// If an element reaches beyond its container or stands where none may.
pub fn check_extent(data_set: &[u8], encoding: Encoding) -> Result<Option<PixelData>, ExtentError> {
    walk(Cursor::new(data_set), data_set.len(), encoding, false)
}

/// Where the pixel data is in a data set of `length` bytes that is read as it is needed; what follows the pixel data is not looked at.
///
/// # Errors
/// As [`check_extent`], and if it cannot be read.
pub fn find_pixel_data(
    reader: impl Read + Seek,
    length: usize,
    encoding: Encoding,
) -> Result<Option<PixelData>, ExtentError> {
    walk(reader, length, encoding, true)
}

/// How many bytes from a data set's beginning are whole elements, up to the last one whose tag is not above `last`.
pub(super) fn whole_elements(data_set: &[u8], encoding: Encoding, last: Tag) -> usize {
    let reader = Cursor::new(data_set);
    let mut walk = Walk { reader, at: 0, encoding, stops_at_pixel_data: true, pixel_data: None };
    let (mut whole, mut previous) = (0, None);
    while let Ok(element) = walk.header(data_set.len()) {
        let is_in_order = element.tag.group() != 0xFFFE && previous.is_none_or(|previous| element.tag > previous);
        if !is_in_order || element.tag > last || walk.value(&element, data_set.len(), 0).is_err() {
            break;
        }
        (whole, previous) = (walk.at, Some(element.tag));
    }
    whole
}

fn walk(
    reader: impl Read + Seek,
    length: usize,
    encoding: Encoding,
    stops_at_pixel_data: bool,
) -> Result<Option<PixelData>, ExtentError> {
    let mut walk = Walk { reader, at: 0, encoding, stops_at_pixel_data, pixel_data: None };
    walk.elements(length, 0, false)?;
    Ok(walk.pixel_data)
}

struct Walk<R> {
    reader: R,
    at: usize,
    encoding: Encoding,
    stops_at_pixel_data: bool,
    pixel_data: Option<PixelData>,
}

struct Element {
    tag: Tag,
    start: usize,
    vr: Option<VR>,
    length: u32,
}

impl<R: Read + Seek> Walk<R> {
    /// Elements up to byte `end` or, in an item of undefined length, up to its delimiter. Tags must rise.
    fn elements(&mut self, end: usize, depth: usize, delimited: bool) -> Result<(), ExtentError> {
        if depth > MAX_DEPTH {
            return Err(ExtentError::TooDeep);
        }
        let mut previous = None;
        while self.at < end && !(self.stops_at_pixel_data && self.pixel_data.is_some()) {
            let element = self.header(end)?;
            if element.tag == ITEM_DELIMITER && delimited {
                return Ok(());
            }
            if element.tag.group() == 0xFFFE || previous.is_some_and(|previous| element.tag <= previous) {
                return Err(ExtentError::OutOfPlace { tag: element.tag, at: element.start });
            }
            previous = Some(element.tag);
            self.value(&element, end, depth)?;
        }
        if delimited { Err(ExtentError::Truncated(self.at)) } else { Ok(()) }
    }

    fn value(&mut self, element: &Element, end: usize, depth: usize) -> Result<(), ExtentError> {
        if element.length == UNDEFINED_LENGTH {
            let outer = self.encoding;
            if element.vr == Some(VR::UN) {
                // PS3.5 section 6.2.2 note: what is of unknown VR and undefined length is implicit inside.
                self.encoding = Encoding::ImplicitVr;
            }
            if element.tag == tags::PIXEL_DATA {
                let value = self.fragments(end)?;
                if depth == 0 {
                    self.pixel_data = Some(PixelData { start: element.start, value });
                }
            } else {
                self.items(end, depth, true)?;
            }
            self.encoding = outer;
            return Ok(());
        }
        let value_end = self.value_end(element, end)?;
        if element.tag == tags::PIXEL_DATA && depth == 0 {
            self.pixel_data = Some(PixelData { start: element.start, value: PixelValue::Native(self.at..value_end) });
        }
        match element.vr {
            Some(VR::SQ) => return self.items(value_end, depth, false),
            // A parser that reads whole values would take the rest for the next element, and its bytes for a length.
            Some(vr) if element.tag != tags::PIXEL_DATA && !element.length.is_multiple_of(value_bytes(vr)) => {
                let Element { tag, start: at, length, .. } = *element;
                return Err(ExtentError::Fraction { tag, at, length, vr });
            }
            _ => {}
        }
        self.skip_to(value_end)
    }

    /// Items up to `end` or the sequence's delimiter.
    fn items(&mut self, end: usize, depth: usize, delimited: bool) -> Result<(), ExtentError> {
        while self.at < end {
            let item = self.item_header(end)?;
            match item.tag {
                SEQUENCE_DELIMITER if delimited => return Ok(()),
                ITEM if item.length == UNDEFINED_LENGTH => self.elements(end, depth + 1, true)?,
                ITEM => {
                    let item_end = self.value_end(&item, end)?;
                    self.elements(item_end, depth + 1, false)?;
                }
                tag => return Err(ExtentError::OutOfPlace { tag, at: item.start }),
            }
        }
        if delimited { Err(ExtentError::Truncated(self.at)) } else { Ok(()) }
    }

    /// Items of bytes up to the delimiter; the first one is the offset table.
    fn fragments(&mut self, end: usize) -> Result<PixelValue, ExtentError> {
        let (mut offset_table, mut fragments) = (None, Vec::new());
        while self.at < end {
            let item = self.item_header(end)?;
            match item.tag {
                SEQUENCE_DELIMITER => {
                    return Ok(PixelValue::Encapsulated { offset_table: offset_table.unwrap_or_default(), fragments });
                }
                ITEM => {
                    let value = self.at..self.value_end(&item, end)?;
                    self.skip_to(value.end)?;
                    if offset_table.is_none() {
                        offset_table = Some(value);
                    } else if fragments.len() < MAX_FRAGMENTS {
                        fragments.push(value);
                    } else {
                        return Err(ExtentError::TooManyFragments);
                    }
                }
                tag => return Err(ExtentError::OutOfPlace { tag, at: item.start }),
            }
        }
        Err(ExtentError::Truncated(self.at))
    }

    fn value_end(&self, element: &Element, end: usize) -> Result<usize, ExtentError> {
        let left = end - self.at;
        let length = element.length;
        if length as usize > left {
            return Err(ExtentError::Overrun { tag: element.tag, at: element.start, length, left });
        }
        Ok(self.at + length as usize)
    }

    fn header(&mut self, end: usize) -> Result<Element, ExtentError> {
        let start = self.at;
        let tag = Tag(self.u16(end)?, self.u16(end)?);
        if tag.group() == 0xFFFE {
            let length = self.u32(end)?;
            return Ok(Element { tag, start, vr: None, length });
        }
        if self.encoding == Encoding::ImplicitVr {
            let vr = StandardDataDictionary.by_tag(tag).map(|entry| entry.vr().relaxed());
            let length = self.u32(end)?;
            return Ok(Element { tag, start, vr, length });
        }
        let [first, second] = self.u16(end)?.to_le_bytes();
        let vr = VR::from_binary([first, second]).ok_or(ExtentError::OutOfPlace { tag, at: start })?;
        let length = if has_long_length(vr) {
            self.u16(end)?;
            self.u32(end)?
        } else {
            u32::from(self.u16(end)?)
        };
        Ok(Element { tag, start, vr: Some(vr), length })
    }

    fn item_header(&mut self, end: usize) -> Result<Element, ExtentError> {
        let start = self.at;
        let tag = Tag(self.u16(end)?, self.u16(end)?);
        Ok(Element { tag, start, vr: None, length: self.u32(end)? })
    }

    /// Goes on at a byte further on, which lies within the data set.
    fn skip_to(&mut self, at: usize) -> Result<(), ExtentError> {
        self.reader.seek_relative((at - self.at) as i64).map_err(|error| ExtentError::Unreadable(error.kind()))?;
        self.at = at;
        Ok(())
    }

    fn take<const N: usize>(&mut self, end: usize) -> Result<[u8; N], ExtentError> {
        if end - self.at < N {
            return Err(ExtentError::Truncated(self.at));
        }
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(|error| ExtentError::Unreadable(error.kind()))?;
        self.at += N;
        Ok(bytes)
    }

    fn u16(&mut self, end: usize) -> Result<u16, ExtentError> {
        self.take(end).map(u16::from_le_bytes)
    }

    fn u32(&mut self, end: usize) -> Result<u32, ExtentError> {
        self.take(end).map(u32::from_le_bytes)
    }
}

/// Bytes of one value of the VRs that are numbers, 1 for all others (PS3.5 table 6.2-1).
fn value_bytes(vr: VR) -> u32 {
    use VR::{AT, FD, FL, OD, OF, OL, OV, OW, SL, SS, SV, UL, US, UV};
    match vr {
        OW | SS | US => 2,
        AT | FL | OF | OL | SL | UL => 4,
        FD | OD | OV | SV | UV => 8,
        _ => 1,
    }
}

/// VRs whose length field has 32 bits in explicit VR encodings (PS3.5 table 7.1-1).
fn has_long_length(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV};
    matches!(vr, OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV)
}

#[cfg(test)]
mod tests {
    use dicom_core::value::DataSetSequence;
    use dicom_core::{DataElement, PrimitiveValue};
    use dicom_object::InMemDicomObject;
    use dicom_transfer_syntax_registry::entries::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};
    use proptest::prelude::*;

    use super::*;

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
            check_extent(&whole, encoding).unwrap();
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
