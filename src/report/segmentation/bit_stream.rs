//! Pixels of one bit (PS3.5 section 8.1.1): the first pixel in the least significant bit of the first byte, frame after frame without
//! a gap, so that a frame begins within a byte where the ones before it do not fill their last.

/// Frames of one bit a pixel.
#[derive(Default)]
pub(super) struct BitStream {
    bytes: Vec<u8>,
    bits: usize,
}

impl BitStream {
    /// With room for so many pixels.
    pub(super) fn for_pixels(pixels: usize) -> Self {
        Self { bytes: Vec::with_capacity(pixels.div_ceil(8).next_multiple_of(2)), bits: 0 }
    }

    /// Appends a frame of so many pixels, packed likewise and 0 after its last pixel; without a mask all its pixels are 0.
    pub(super) fn append(&mut self, mask: Option<&[u8]>, pixels: usize) {
        let filled = self.bits % 8;
        self.bits += pixels;
        let len = self.bits.div_ceil(8);
        if let Some(mask) = mask {
            match self.bytes.last_mut() {
                Some(last) if filled > 0 => {
                    *last |= mask.first().map_or(0, |first| first << filled);
                    let rest = |at: usize| mask.get(at + 1).map_or(0, |next| next << filled);
                    self.bytes.extend(mask.iter().enumerate().map(|(at, byte)| byte >> (8 - filled) | rest(at)));
                }
                _ => self.bytes.extend_from_slice(mask),
            }
        }
        self.bytes.resize(len, 0);
    }

    /// All bytes, an even number of them (PS3.5 section 7.1.1).
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len().next_multiple_of(2), 0);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_each_other_bit_by_bit() {
        let mut stream = BitStream::default();
        stream.append(Some(&[0b1010_0101, 0b1]), 9);
        stream.append(None, 3);
        stream.append(Some(&[0b1000_0001, 0b10]), 10);
        stream.append(Some(&[0b11]), 2);
        assert_eq!(stream.into_bytes(), [0b1010_0101, 0b0001_0001, 0b1110_1000, 0]);
        let mut whole = BitStream::default();
        whole.append(Some(&[1, 2]), 16);
        whole.append(Some(&[3, 4]), 16);
        assert_eq!(whole.into_bytes(), [1, 2, 3, 4]);
    }
}
