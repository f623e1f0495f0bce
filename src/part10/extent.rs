//! A data set's elements: walked and read in one go. A length that lies would have a parser ask for gigabytes or lose its place,
//! so each one is checked against what contains it (PS3.5 section 7.1), and what is not needed is passed over unread.
//!
//! Writers get much wrong that leaves no doubt where the next element begins: tags out of order, unknown VRs, sequences of unknown
//! VR, bytes behind the pixel data. That is read and noted as an [`Oddity`]. What leaves the place in doubt is refused.

use std::io::{Cursor, Read, Seek};
use std::ops::Range;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

pub use super::element::Encoding;
use super::element::{
    ElementHead, ITEM, ITEM_DELIMITER, SEQUENCE_DELIMITER, Source, UNDEFINED_LENGTH, dictionary_vr, has_sign_of_pixels,
    is_standard,
};
use super::oddity::{Oddities, Oddity};
use super::text::CharacterSet;
use super::values::{is_bulk, is_text, number_bytes, primitive, text_value};

/// Sequences nested deeper than this are an attack.
const MAX_DEPTH: usize = 24;

/// Pixel data in more fragments than this is an attack: a long scan in one object has some thousand.
const MAX_FRAGMENTS: usize = 1_000_000;

/// Elements and items, nested ones included: an object of 10,000 frames has a million.
const MAX_ELEMENTS: usize = 2_000_000;

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
    #[error("element {tag} stands there twice, with different values: which one counts cannot be told")]
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
    fn is_final(self) -> bool {
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
    /// Everything but pixel data, so that it can be stored again.
    All,
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
pub fn read_data_set_from(
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

struct DataSetReader<R> {
    source: Source<R>,
    keep: Keep,
    pixel_data: Option<PixelData>,
    oddities: Oddities,
    elements: usize,
}

/// What contains the elements that are read.
#[derive(Clone, Copy)]
struct Scope {
    end: usize,
    depth: usize,
    /// Whether a delimiter ends it, and not its length.
    is_delimited: bool,
    encoding: Encoding,
    /// Whether what is in it is kept, or only walked through.
    is_kept: bool,
}

/// What became of an element's value.
enum ReadValue {
    Element(InMemElement),
    /// Text, to be decoded once the character set is known.
    Text(Vec<u8>),
    Nothing,
}

/// The elements of a data set or an item as they are read.
struct Level {
    object: InMemDicomObject,
    texts: Vec<(Tag, VR, Vec<u8>)>,
    character_set: CharacterSet,
    previous: Option<Tag>,
}

impl<R: Read + Seek> DataSetReader<R> {
    /// Elements up to the end of what contains them.
    fn elements(&mut self, scope: Scope, inherited: &CharacterSet) -> Result<InMemDicomObject, ExtentError> {
        if scope.depth > MAX_DEPTH {
            return Err(ExtentError::TooDeep);
        }
        let mut level = Level {
            object: InMemDicomObject::new_empty(),
            texts: Vec::new(),
            character_set: inherited.clone(),
            previous: None,
        };
        loop {
            match self.element(scope, &mut level) {
                Ok(true) => {}
                Ok(false) => break,
                // The image is whole; whatever was meant to follow it, nothing depends on where it ends.
                Err(error) if scope.depth == 0 && self.pixel_data.is_some() && !error.is_final() => {
                    self.oddities.note(Oddity::TrailingBytes);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        let is_stored_again = scope.depth == 0 && self.keep == Keep::All;
        level.finish(is_stored_again, &mut self.oddities)
    }

    /// Reads one element; `false` where there is none any more.
    fn element(&mut self, scope: Scope, level: &mut Level) -> Result<bool, ExtentError> {
        if self.source.at >= scope.end {
            return if scope.is_delimited { Err(ExtentError::Truncated(self.source.at)) } else { Ok(false) };
        }
        if scope.depth == 0 && level.previous.is_some() && self.is_padding(scope.end)? {
            self.oddities.note(Oddity::TrailingBytes);
            return Ok(false);
        }
        let head = self.source.element_head(scope.end, scope.encoding)?;
        if head.tag == ITEM_DELIMITER && scope.is_delimited {
            return Ok(false);
        }
        if head.tag == ITEM_DELIMITER && scope.depth > 0 && head.length == 0 && self.source.at == scope.end {
            self.oddities.note(Oddity::NeedlessDelimiter);
            return Ok(false);
        }
        self.check_place(&head, scope.encoding, level.previous)?;
        level.previous = Some(head.tag);
        self.count()?;
        if head.has_unknown_vr {
            self.oddities.note(Oddity::UnknownVr(head.tag));
        }
        let (vr, stored) = self.value(&head, scope, level)?;
        level.take(head.tag, vr, stored, &mut self.oddities)?;
        Ok(true)
    }

    fn is_padding(&mut self, end: usize) -> Result<bool, ExtentError> {
        Ok(self.source.peek::<8>(end)?.bytes == [0; 8] && self.source.is_zero_up_to(end)?)
    }

    /// Tags rise (PS3.5 section 7.1). One that does not is taken where nothing else speaks against it.
    fn check_place(
        &mut self,
        head: &ElementHead,
        encoding: Encoding,
        previous: Option<Tag>,
    ) -> Result<(), ExtentError> {
        let is_in_order = previous.is_none_or(|previous| head.tag > previous);
        let is_certain = match encoding {
            Encoding::ExplicitVr => !head.has_unknown_vr,
            Encoding::ImplicitVr => is_standard(head.tag),
        };
        if head.tag.group() == ITEM.group() || !(is_in_order || is_certain) {
            return Err(ExtentError::OutOfPlace { tag: head.tag, at: head.start });
        }
        if !is_in_order {
            self.oddities.note(Oddity::OutOfOrder(head.tag));
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), ExtentError> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS { Err(ExtentError::TooManyElements) } else { Ok(()) }
    }

    /// Whether an element is of use: groups of odd numbers are private, element 0 is a group's length.
    fn is_wanted(&self, tag: Tag) -> bool {
        tag.element() != 0 && (self.keep == Keep::All || tag.group().is_multiple_of(2))
    }

    /// Reads or passes over a value; with it comes the VR that it has.
    fn value(&mut self, head: &ElementHead, scope: Scope, level: &Level) -> Result<(VR, ReadValue), ExtentError> {
        let vr = self.vr_of(head, scope.encoding, level);
        let is_kept = scope.is_kept && self.is_wanted(head.tag);
        if head.length == UNDEFINED_LENGTH {
            return self.undefined_value(head, scope, is_kept, level);
        }
        let value_end = self.source.value_end(head, scope.end)?;
        if head.tag == tags::PIXEL_DATA {
            self.found_pixel_data(head, scope, PixelValue::Native(self.source.at..value_end))?;
            self.source.skip_to(value_end)?;
            return Ok((vr, ReadValue::Nothing));
        }
        let is_described = !is_bulk(vr) || head.tag == tags::EXTENDED_OFFSET_TABLE;
        if vr == VR::SQ && is_kept {
            let sequence = Scope { end: value_end, is_delimited: false, is_kept, ..scope };
            return Ok((vr, self.confined_items(head, sequence, &level.character_set)?));
        }
        // A parser that reads whole values would take the rest for the next element, and its bytes for a length.
        let is_doubtful = head.vr == Some(vr) && !head.has_unknown_vr && !head.length.is_multiple_of(number_bytes(vr));
        if is_doubtful {
            let ElementHead { tag, start: at, length, .. } = *head;
            return Err(ExtentError::Fraction { tag, at, length, vr: vr.to_string() });
        }
        if !is_kept || (self.keep == Keep::Described && !is_described) {
            self.source.skip_to(value_end)?;
            return Ok((vr, ReadValue::Nothing));
        }
        let bytes = self.source.value(value_end)?;
        if is_text(vr) {
            return Ok((vr, ReadValue::Text(bytes)));
        }
        let value = primitive(vr, bytes);
        Ok((vr, value.map_or(ReadValue::Nothing, |value| ReadValue::Element(DataElement::new(head.tag, vr, value)))))
    }

    /// The VR of a value: what is stored as unknown has that of the dictionary (PS3.5 section 6.2.2).
    fn vr_of(&self, head: &ElementHead, encoding: Encoding, level: &Level) -> VR {
        let stored = head.vr.filter(|vr| *vr != VR::UN);
        let vr = stored.or_else(|| dictionary_vr(head.tag)).unwrap_or(VR::UN);
        let is_of_dictionary = encoding == Encoding::ImplicitVr || stored.is_none() || head.has_unknown_vr;
        let is_signed = || {
            let representation = level.object.get(tags::PIXEL_REPRESENTATION);
            representation.and_then(|element| element.to_int::<u16>().ok()) == Some(1)
        };
        if is_of_dictionary && has_sign_of_pixels(head.tag) && is_signed() { VR::SS } else { vr }
    }

    /// What has no length ends with a delimiter: pixel data in fragments, or a sequence.
    fn undefined_value(
        &mut self,
        head: &ElementHead,
        scope: Scope,
        is_kept: bool,
        level: &Level,
    ) -> Result<(VR, ReadValue), ExtentError> {
        if head.tag == tags::PIXEL_DATA {
            let value = self.fragments(scope.end)?;
            self.found_pixel_data(head, scope, value)?;
            return Ok((VR::OB, ReadValue::Nothing));
        }
        if matches!(head.vr, Some(VR::OB | VR::OW)) {
            self.fragments(scope.end)?;
            return Ok((VR::OB, ReadValue::Nothing));
        }
        let sequence = Scope { is_delimited: true, is_kept, ..scope };
        let items = self.items(sequence, &level.character_set)?;
        Ok((VR::SQ, if is_kept { sequence_of(head.tag, items) } else { ReadValue::Nothing }))
    }

    fn found_pixel_data(&mut self, head: &ElementHead, scope: Scope, value: PixelValue) -> Result<(), ExtentError> {
        if scope.depth > 0 {
            return Ok(());
        }
        if self.pixel_data.is_some() {
            return Err(ExtentError::Contradiction { tag: head.tag });
        }
        self.pixel_data = Some(PixelData { start: head.start, value });
        Ok(())
    }

    /// The items of a sequence of known length. What is in one of unknown VR may be anything: its end is known all the same.
    fn confined_items(
        &mut self,
        head: &ElementHead,
        sequence: Scope,
        character_set: &CharacterSet,
    ) -> Result<ReadValue, ExtentError> {
        match self.items(sequence, character_set) {
            Ok(items) => Ok(sequence_of(head.tag, items)),
            Err(error) if head.vr == Some(VR::UN) && !error.is_final() => {
                self.oddities.note(Oddity::UnreadableSequence(head.tag));
                self.source.skip_to(sequence.end)?;
                Ok(ReadValue::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    /// Items up to the end of the sequence or its delimiter.
    fn items(&mut self, sequence: Scope, character_set: &CharacterSet) -> Result<Vec<InMemDicomObject>, ExtentError> {
        let mut items = Vec::new();
        while self.source.at < sequence.end {
            let item = self.source.item_head(sequence.end)?;
            match item.tag {
                SEQUENCE_DELIMITER if sequence.is_delimited => return Ok(items),
                SEQUENCE_DELIMITER if item.length == 0 && self.source.at == sequence.end => {
                    self.oddities.note(Oddity::NeedlessDelimiter);
                }
                ITEM => {
                    self.count()?;
                    if let Some(object) = self.item(&item, sequence, character_set)? {
                        items.push(object);
                    }
                }
                tag => return Err(ExtentError::OutOfPlace { tag, at: item.start }),
            }
        }
        if sequence.is_delimited { Err(ExtentError::Truncated(self.source.at)) } else { Ok(items) }
    }

    fn item(
        &mut self,
        item: &ElementHead,
        sequence: Scope,
        character_set: &CharacterSet,
    ) -> Result<Option<InMemDicomObject>, ExtentError> {
        let is_delimited = item.length == UNDEFINED_LENGTH;
        let end = if is_delimited { sequence.end } else { self.source.value_end(item, sequence.end)? };
        if !is_delimited && !sequence.is_kept {
            self.source.skip_to(end)?;
            return Ok(None);
        }
        let encoding = match sequence.encoding {
            Encoding::ExplicitVr => self.source.sniff(Encoding::ExplicitVr, end)?,
            Encoding::ImplicitVr => Encoding::ImplicitVr,
        };
        let scope = Scope { end, depth: sequence.depth + 1, is_delimited, encoding, is_kept: sequence.is_kept };
        let object = self.elements(scope, character_set)?;
        Ok(sequence.is_kept.then_some(object))
    }

    /// Items of bytes up to the delimiter; the first one is the offset table.
    fn fragments(&mut self, end: usize) -> Result<PixelValue, ExtentError> {
        let (mut offset_table, mut fragments) = (None, Vec::new());
        while self.source.at < end {
            let item = self.source.item_head(end)?;
            match item.tag {
                SEQUENCE_DELIMITER => {
                    return Ok(PixelValue::Encapsulated { offset_table: offset_table.unwrap_or_default(), fragments });
                }
                ITEM => {
                    let value = self.source.at..self.source.value_end(&item, end)?;
                    self.source.skip_to(value.end)?;
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
        Err(ExtentError::Truncated(self.source.at))
    }
}

impl Level {
    fn take(&mut self, tag: Tag, vr: VR, stored: ReadValue, oddities: &mut Oddities) -> Result<(), ExtentError> {
        match stored {
            ReadValue::Text(bytes) => self.texts.push((tag, vr, bytes)),
            ReadValue::Element(element) => {
                if tag == tags::SPECIFIC_CHARACTER_SET {
                    self.character_set = CharacterSet::of(&element.to_multi_str().unwrap_or_default());
                }
                self.put(element, oddities)?;
            }
            ReadValue::Nothing => {}
        }
        Ok(())
    }

    /// The first of two elements of one tag stays, where they say the same.
    fn put(&mut self, element: InMemElement, oddities: &mut Oddities) -> Result<(), ExtentError> {
        let tag = element.header().tag;
        match self.object.get(tag) {
            Some(first) if *first != element => Err(ExtentError::Contradiction { tag }),
            Some(_) => {
                oddities.note(Oddity::Repeated(tag));
                Ok(())
            }
            None => {
                self.object.put(element);
                Ok(())
            }
        }
    }

    /// Decodes the texts, by the character set that was found, wherever it stood. From then on they are in Unicode.
    fn finish(mut self, is_stored_again: bool, oddities: &mut Oddities) -> Result<InMemDicomObject, ExtentError> {
        for (tag, vr, bytes) in std::mem::take(&mut self.texts) {
            let text = self.character_set.decode(&bytes, vr);
            self.put(DataElement::new(tag, vr, text_value(vr, &text)), oddities)?;
        }
        if is_stored_again || self.object.get(tags::SPECIFIC_CHARACTER_SET).is_some() {
            let unicode = PrimitiveValue::from("ISO_IR 192");
            self.object.put(DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, unicode));
        }
        Ok(self.object)
    }
}

fn sequence_of(tag: Tag, items: Vec<InMemDicomObject>) -> ReadValue {
    ReadValue::Element(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)))
}

#[cfg(test)]
mod tests {
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
