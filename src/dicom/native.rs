//! How long native pixel data has to be (PS3.5 section 8.1.1). What is longer may be padded: with less than a row of anything, or
//! with any number of bytes of one value. More than that is image: then rows and columns cannot be right.

use std::ops::Range;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

/// Bytes that are looked at in one piece.
const PIECE_BYTES: usize = 64 * 1024;

/// What rows, columns, samples, bits and frames make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NativeSize {
    pub frame_bytes: u64,
    pub all_bytes: u64,
    row_bytes: u64,
}

impl NativeSize {
    /// By the attributes of an image; absent numbers are those of a CT slice.
    pub fn of(object: &InMemDicomObject) -> Self {
        let number =
            |tag: Tag, absent: u64| object.get(tag).and_then(|element| element.to_int().ok()).unwrap_or(absent);
        let row_bits = [number(tags::SAMPLES_PER_PIXEL, 1), number(tags::BITS_ALLOCATED, 16)]
            .into_iter()
            .fold(number(tags::COLUMNS, 0), u64::saturating_mul);
        let frame_bits = row_bits.saturating_mul(number(tags::ROWS, 0));
        let all_bits = frame_bits.saturating_mul(number(tags::NUMBER_OF_FRAMES, 1).max(1));
        Self { frame_bytes: frame_bits.div_ceil(8), all_bytes: all_bits.div_ceil(8), row_bytes: row_bits.div_ceil(8) }
    }

    /// Bytes beyond what is needed, but for one that makes the length even.
    pub fn excess(&self, found: u64) -> u64 {
        found.saturating_sub(self.all_bytes.next_multiple_of(2))
    }

    /// Whether what lies behind the pixels can be padding.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn is_padded<E>(
        &self,
        value: &Range<usize>,
        mut read: impl FnMut(Range<usize>) -> Result<Vec<u8>, E>,
    ) -> Result<bool, E> {
        let excess = self.excess(value.len() as u64);
        if excess < self.row_bytes.max(2) {
            return Ok(true);
        }
        let mut at = value.end - excess as usize;
        let mut filling = None;
        while at < value.end {
            let piece = at..value.end.min(at + PIECE_BYTES);
            at = piece.end;
            let bytes = read(piece)?;
            let first = *filling.get_or_insert(bytes.first().copied());
            if bytes.iter().any(|byte| Some(*byte) != first) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use dicom_core::{DataElement, PrimitiveValue, VR};

    use super::*;

    fn size() -> NativeSize {
        let number = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
        let numbers = [(tags::ROWS, 3), (tags::COLUMNS, 5), (tags::BITS_ALLOCATED, 8)];
        NativeSize::of(&InMemDicomObject::from_element_iter(numbers.map(|(tag, value)| number(tag, value))))
    }

    fn is_padded(size: &NativeSize, bytes: &[u8]) -> bool {
        size.is_padded(&(0..bytes.len()), |range| Ok::<_, ()>(bytes[range].to_vec())).unwrap()
    }

    #[test]
    fn padding_is_less_than_a_row_or_of_one_value_and_anything_else_is_image() {
        let size = size();
        assert_eq!((size.frame_bytes, size.all_bytes, size.excess(16), size.excess(18)), (15, 15, 0, 2));
        assert!(is_padded(&size, &[1; 15]));
        assert!(is_padded(&size, &[[1; 16].as_slice(), &[1, 2, 3, 4]].concat()));
        assert!(is_padded(&size, &[[1; 16].as_slice(), &vec![7; 200_000]].concat()));
        assert!(!is_padded(&size, &[[1; 16].as_slice(), &vec![7; 200_000], &[8]].concat()));
        assert!(!is_padded(&size, &(0..32).collect::<Vec<u8>>()));
    }

    #[test]
    fn sizes_beyond_all_measure_do_not_overflow() {
        let number = |tag, value: u32| DataElement::new(tag, VR::UL, PrimitiveValue::from(value));
        let all = [tags::ROWS, tags::COLUMNS, tags::BITS_ALLOCATED, tags::SAMPLES_PER_PIXEL, tags::NUMBER_OF_FRAMES];
        let size = NativeSize::of(&InMemDicomObject::from_element_iter(all.map(|tag| number(tag, u32::MAX))));
        assert_eq!(size.excess(u64::MAX - 1), u64::MAX - 1 - size.all_bytes.next_multiple_of(2));
    }
}
