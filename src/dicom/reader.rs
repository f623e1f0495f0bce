//! Walks through a data set's elements and reads those that are wanted on its way.

use std::io::{Read, Seek};

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use super::element::{
    ElementHead, Encoding, ITEM, ITEM_DELIMITER, SEQUENCE_DELIMITER, Source, UNDEFINED_LENGTH, dictionary_vr,
    has_sign_of_pixels, is_standard,
};
use super::extent::{ExtentError, Keep, MAX_DEPTH, MAX_ELEMENTS, MAX_FRAGMENTS, PixelData, PixelValue};
use super::oddity::{Oddities, Oddity};
use super::text::CharacterSet;
use super::values::{is_bulk, is_text, number_bytes, primitive, text_value};

/// A walk under way.
pub(super) struct DataSetReader<R> {
    pub source: Source<R>,
    pub keep: Keep,
    pub pixel_data: Option<PixelData>,
    pub oddities: Oddities,
    /// How many elements and items there were.
    pub elements: usize,
}

/// What contains the elements that are read.
#[derive(Clone, Copy)]
pub(super) struct Scope {
    pub end: usize,
    pub depth: usize,
    /// Whether a delimiter ends it, and not its length.
    pub is_delimited: bool,
    pub encoding: Encoding,
    /// Whether what is in it is kept, or only walked through.
    pub is_kept: bool,
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
    pub(super) fn elements(&mut self, scope: Scope, inherited: &CharacterSet) -> Result<InMemDicomObject, ExtentError> {
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
                Err(error) if scope.depth == 0 && self.keep == Keep::BeforeFault && !error.is_final() => break,
                Err(error) => return Err(error),
            }
        }
        let is_stored_again = scope.depth == 0 && self.keep == Keep::All;
        level.finish(self.keep, is_stored_again, &mut self.oddities)
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

    /// Tags rise (PS3.5 section 7.1). One that does not is accepted where nothing else is wrong.
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
        let vr = vr_of(head, scope.encoding, level);
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
        if !is_kept || (self.keep != Keep::All && !is_described) {
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

    /// Decodes the texts, by the character set that was found, wherever it stood. From then on they are in Unicode, unless they
    /// are to stay as they are.
    fn finish(
        mut self,
        keep: Keep,
        is_stored_again: bool,
        oddities: &mut Oddities,
    ) -> Result<InMemDicomObject, ExtentError> {
        for (tag, vr, bytes) in std::mem::take(&mut self.texts) {
            let value = match keep {
                Keep::Undecoded => PrimitiveValue::U8(bytes.into()),
                _ => text_value(vr, &self.character_set.decode(&bytes, vr)),
            };
            self.put(DataElement::new(tag, vr, value), oddities)?;
        }
        if keep == Keep::Undecoded {
            return Ok(self.object);
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

/// The VR of a value: what is stored as unknown has that of the dictionary (PS3.5 section 6.2.2).
fn vr_of(head: &ElementHead, encoding: Encoding, level: &Level) -> VR {
    let stored = head.vr.filter(|vr| *vr != VR::UN);
    let vr = stored.or_else(|| dictionary_vr(head.tag)).unwrap_or(VR::UN);
    let is_of_dictionary = encoding == Encoding::ImplicitVr || stored.is_none() || head.has_unknown_vr;
    let is_signed = || {
        let representation = level.object.get(tags::PIXEL_REPRESENTATION);
        representation.and_then(|element| element.to_int::<u16>().ok()) == Some(1)
    };
    if is_of_dictionary && has_sign_of_pixels(head.tag) && is_signed() { VR::SS } else { vr }
}
