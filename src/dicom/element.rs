//! Tags, VRs and lengths off a data set's bytes (PS3.5 section 7.1). Every length is checked against the bytes that are left
//! before anything is read or asked for by it.

use std::io::{Read, Seek};

use dicom_core::dictionary::{DataDictionaryEntry, TagRange, VirtualVr};
use dicom_core::{DataDictionary, Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use super::extent::ExtentError;

pub(super) const UNDEFINED_LENGTH: u32 = 0xFFFF_FFFF;
pub(super) const ITEM: Tag = Tag(0xFFFE, 0xE000);
pub(super) const ITEM_DELIMITER: Tag = Tag(0xFFFE, 0xE00D);
pub(super) const SEQUENCE_DELIMITER: Tag = Tag(0xFFFE, 0xE0DD);
const DELIMITING_GROUP: u16 = 0xFFFE;

/// How values are preceded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    ImplicitVr,
    ExplicitVr,
}

/// What stands before a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ElementHead {
    pub tag: Tag,
    /// Where the element begins.
    pub start: usize,
    /// The VR as it is stored, or that of the dictionary where none is stored; none for what is unknown.
    pub vr: Option<VR>,
    pub length: u32,
    /// Whether a VR is stored that the standard does not have.
    pub has_unknown_vr: bool,
}

/// Bytes that are read in their order, and how far they have been.
pub(super) struct Source<R> {
    reader: R,
    pub at: usize,
}

impl<R: Read + Seek> Source<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, at: 0 }
    }

    /// Reads what stands before the next value. Where the element ends must lie before `end`, too; that is checked by
    /// [`Source::value_end`], since a length may be undefined.
    pub(super) fn element_head(&mut self, end: usize, encoding: Encoding) -> Result<ElementHead, ExtentError> {
        let start = self.at;
        let tag = Tag(self.u16(end)?, self.u16(end)?);
        let is_delimiter = tag.group() == DELIMITING_GROUP;
        if is_delimiter || encoding == Encoding::ImplicitVr {
            let vr = if is_delimiter { None } else { dictionary_vr(tag) };
            return Ok(ElementHead { tag, start, vr, length: self.u32(end)?, has_unknown_vr: false });
        }
        let letters = self.take(end)?;
        let Some(vr) = VR::from_binary(letters) else {
            let length = self.length_after_unknown_vr(tag, start, letters, end)?;
            return Ok(ElementHead { tag, start, vr: dictionary_vr(tag), length, has_unknown_vr: true });
        };
        let length = if has_long_length(vr) {
            self.u16(end)?;
            self.u32(end)?
        } else {
            u32::from(self.u16(end)?)
        };
        Ok(ElementHead { tag, start, vr: Some(vr), length, has_unknown_vr: false })
    }

    /// The length of an element whose VR the standard does not have. VRs that come later have a length of 32 bits behind two
    /// zero bytes (PS3.5 section 7.1.2), but writers put `??` and zeros before one of 16 bits too: taken is the one behind which
    /// the data set goes on.
    fn length_after_unknown_vr(
        &mut self,
        tag: Tag,
        start: usize,
        letters: [u8; 2],
        end: usize,
    ) -> Result<u32, ExtentError> {
        let peeked = self.peek::<6>(end)?;
        let [a, b, rest @ ..] = peeked.bytes;
        let short = (peeked.count >= 2).then(|| (2, u32::from(u16::from_le_bytes([a, b]))));
        let long = (peeked.count == 6 && [a, b] == [0, 0]).then(|| (6, u32::from_le_bytes(rest)));
        let candidates = if letters.iter().all(u8::is_ascii_uppercase) { [long, short] } else { [short, long] };
        for (field_bytes, length) in candidates.into_iter().flatten() {
            let value = self.at + field_bytes;
            let value_end = value.saturating_add(length as usize);
            if value_end <= end && self.goes_on_at(value_end, tag, end)? {
                self.skip_to(value)?;
                return Ok(length);
            }
        }
        Err(ExtentError::OutOfPlace { tag, at: start })
    }

    /// Whether a data set ends at a byte, or an element of a higher tag or a delimiter may stand there.
    fn goes_on_at(&mut self, at: usize, tag: Tag, end: usize) -> Result<bool, ExtentError> {
        if at == end {
            return Ok(true);
        }
        let here = self.at;
        self.skip_to(at)?;
        let next = self.peek::<6>(end)?;
        self.skip_to(here)?;
        let [a, b, c, d, letters @ ..] = next.bytes;
        let next_tag = Tag(u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        let is_printable = letters.iter().all(|letter| matches!(letter, 0x20..=0x7E));
        let may_follow = next_tag.group() == DELIMITING_GROUP || (next_tag > tag && is_printable);
        Ok(next.count == 6 && may_follow)
    }

    /// Tag and length of an item or a delimiter (PS3.5 section 7.5).
    pub(super) fn item_head(&mut self, end: usize) -> Result<ElementHead, ExtentError> {
        let start = self.at;
        let tag = Tag(self.u16(end)?, self.u16(end)?);
        Ok(ElementHead { tag, start, vr: None, length: self.u32(end)?, has_unknown_vr: false })
    }

    /// Where a value of defined length ends.
    pub(super) fn value_end(&self, head: &ElementHead, end: usize) -> Result<usize, ExtentError> {
        let left = end - self.at;
        let ElementHead { tag, start: at, length, .. } = *head;
        if length as usize > left {
            return Err(ExtentError::Overrun { tag, at, length, left });
        }
        Ok(self.at + length as usize)
    }

    /// How the elements that begin here are encoded. A sequence of unknown VR is implicit inside (PS3.5 section 6.2.2 note), some
    /// writers leave it explicit; and some name one transfer syntax and write another.
    pub(super) fn sniff(&mut self, outer: Encoding, end: usize) -> Result<Encoding, ExtentError> {
        let peeked = self.peek::<6>(end)?;
        let [a, b, _, _, letters @ ..] = peeked.bytes;
        if peeked.count < 6 || u16::from_le_bytes([a, b]) == DELIMITING_GROUP {
            return Ok(outer);
        }
        // Two printable letters would be a length above 8,224: no first element has one.
        let has_letters = letters.iter().all(|letter| matches!(letter, 0x20..=0x7E));
        let is_explicit = match outer {
            Encoding::ExplicitVr => has_letters,
            Encoding::ImplicitVr => VR::from_binary(letters).is_some(),
        };
        Ok(if is_explicit { Encoding::ExplicitVr } else { Encoding::ImplicitVr })
    }

    /// Whether nothing but zeros is left; the place stays where it was.
    pub(super) fn is_zero_up_to(&mut self, end: usize) -> Result<bool, ExtentError> {
        let here = self.at;
        let mut is_zero = true;
        while is_zero && self.at < end {
            let peeked = self.peek::<64>(end)?;
            is_zero = peeked.bytes.iter().all(|byte| *byte == 0);
            self.skip_to(self.at + peeked.count)?;
        }
        self.skip_to(here)?;
        Ok(is_zero)
    }

    /// A value, whose end lies within the data set.
    pub(super) fn value(&mut self, value_end: usize) -> Result<Vec<u8>, ExtentError> {
        let mut bytes = vec![0; value_end - self.at];
        self.reader.read_exact(&mut bytes).map_err(|error| ExtentError::Unreadable(error.kind()))?;
        self.at = value_end;
        Ok(bytes)
    }

    /// Goes on at another byte, which lies within the data set.
    pub(super) fn skip_to(&mut self, at: usize) -> Result<(), ExtentError> {
        let distance = at as i64 - self.at as i64;
        self.reader.seek_relative(distance).map_err(|error| ExtentError::Unreadable(error.kind()))?;
        self.at = at;
        Ok(())
    }

    /// The next bytes, as many as there are up to `end`; the place stays where it was.
    pub(super) fn peek<const N: usize>(&mut self, end: usize) -> Result<Peeked<N>, ExtentError> {
        let here = self.at;
        let count = N.min(end - here);
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes[..count]).map_err(|error| ExtentError::Unreadable(error.kind()))?;
        self.at += count;
        self.skip_to(here)?;
        Ok(Peeked { bytes, count })
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

/// Bytes that were looked at; those beyond `count` are zero.
pub(super) struct Peeked<const N: usize> {
    pub bytes: [u8; N],
    pub count: usize,
}

/// What the dictionary says of a tag (PS3.6).
pub(super) fn dictionary_vr(tag: Tag) -> Option<VR> {
    StandardDataDictionary.by_tag(tag).map(|entry| entry.vr().relaxed())
}

/// Whether the dictionary has this very tag, and not only its kind.
pub(super) fn is_standard(tag: Tag) -> bool {
    let entry = StandardDataDictionary.by_tag(tag);
    entry.is_some_and(|entry| !matches!(entry.tag_range(), TagRange::GroupLength | TagRange::PrivateCreator))
}

/// Whether values of a tag are signed where the pixels are (PS3.6: "US or SS").
pub(super) fn has_sign_of_pixels(tag: Tag) -> bool {
    StandardDataDictionary.by_tag(tag).is_some_and(|entry| entry.vr() == VirtualVr::Xs)
}

/// VRs whose length field has 32 bits in explicit VR encodings (PS3.5 table 7.1-1).
fn has_long_length(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV};
    matches!(vr, OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV)
}
