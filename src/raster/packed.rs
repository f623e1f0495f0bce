//! Masks as they are kept: deflated, some hundred bytes where the mask is 8 KB.

use std::io::{Error, ErrorKind, Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::Mask;

/// A mask that waits to be drawn or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedMask {
    rows: usize,
    columns: usize,
    /// The mask's words (see [`Mask::words`]), little endian, as one DEFLATE stream (RFC 1951).
    deflated: Vec<u8>,
}

impl PackedMask {
    #[must_use]
    pub fn of(mask: &Mask) -> Self {
        let bytes: Vec<u8> = mask.words().iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        // A Vec takes all that is written to it.
        let deflated = encoder.write_all(&bytes).and_then(|()| encoder.finish()).unwrap_or_default();
        Self { rows: mask.rows(), columns: mask.columns(), deflated }
    }

    /// A mask of no pixel.
    #[must_use]
    pub fn empty() -> Self {
        Self::of(&Mask::empty(0, 0))
    }

    /// A mask that was kept.
    #[must_use]
    pub fn from_parts(rows: usize, columns: usize, deflated: Vec<u8>) -> Self {
        Self { rows, columns, deflated }
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    #[must_use]
    pub fn deflated(&self) -> &[u8] {
        &self.deflated
    }

    /// The mask again.
    ///
    /// # Errors
    /// If the bytes are no mask of this size.
    pub fn unpack(&self) -> Result<Mask, Error> {
        let expected = (self.rows * self.columns).div_ceil(64) * 8;
        let mut bytes = Vec::with_capacity(expected);
        DeflateDecoder::new(self.deflated.as_slice()).take(expected as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() != expected {
            return Err(Error::new(ErrorKind::InvalidData, "the mask has another size than its plane"));
        }
        let words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        Ok(Mask::from_words(self.rows, self.columns, words.collect()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mask_of_no_pixel_comes_back_as_it_was() {
        assert_eq!(PackedMask::empty().unpack().unwrap(), Mask::empty(0, 0));
    }

    proptest! {
        #[test]
        fn a_mask_comes_back_as_it_was(columns in 1..140_usize, pixels in prop::collection::btree_set(0..140_usize, 0..70)) {
            let rows = 7;
            let mask = Mask::from_fn(rows, columns, |at| pixels.contains(&(at % 140)));
            prop_assert_eq!(PackedMask::of(&mask).unpack().unwrap(), mask);
        }
    }

    #[test]
    fn bytes_that_are_no_mask_of_this_size_are_refused() {
        let packed = PackedMask::of(&Mask::empty(64, 64));
        assert!(PackedMask::from_parts(64, 65, packed.deflated().to_vec()).unpack().is_err());
        assert!(PackedMask::from_parts(64, 63, packed.deflated().to_vec()).unpack().is_err());
        assert!(PackedMask::from_parts(64, 64, vec![0xFF; 9]).unpack().is_err());
    }
}
