//! A slice as it is stored, and in Hounsfield units.

use crate::dicom::CellLayout;

/// A slice in Hounsfield units, row by row as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct HounsfieldImage {
    pub rows: usize,
    pub columns: usize,
    pub values: Vec<f32>,
}

/// A slice as stored, before anything is made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredImage {
    pub rows: usize,
    pub columns: usize,
    /// Bytes of a cell: 1 or 2.
    pub cell_bytes: usize,
    /// The cells row by row, little endian.
    pub cells: Vec<u8>,
    pub layout: CellLayout,
    /// From stored values to Hounsfield units (PS3.3 C.11.1.1.2).
    pub rescale_slope: f32,
    pub rescale_intercept: f32,
    /// Stored values that stand for no measurement.
    pub padding: Option<Padding>,
}

/// Stored values from `first` to `last` fill an image up where nothing was measured (PS3.3 C.7.5.1.1.2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Padding {
    pub first: f32,
    pub last: f32,
}

/// What padding counts as: air to every window, HU.
const PADDING_HU: f32 = -100_000.0;

/// What stands for no measurement among whole Hounsfield units.
pub const NO_MEASUREMENT: i16 = i16::MIN;

/// An image of fewer different values than this shows no patient: it is blank, or a page of text.
pub const FEWEST_VALUES: usize = 8;

impl Padding {
    /// No value is padding.
    pub const NONE: Self = Self { first: 1.0, last: 0.0 };

    #[must_use]
    pub fn contains(self, stored_value: f32) -> bool {
        (self.first..=self.last).contains(&stored_value)
    }
}

impl StoredImage {
    /// Applies the rescale slope and intercept to all stored values; padding is air.
    #[must_use]
    pub fn hounsfield(&self) -> HounsfieldImage {
        let values = match self.padding {
            None => self.stored_values().map(|stored| self.rescaled(stored)).collect(),
            Some(padding) => self
                .stored_values()
                .map(|stored| if padding.contains(stored) { PADDING_HU } else { self.rescaled(stored) })
                .collect(),
        };
        HounsfieldImage { rows: self.rows, columns: self.columns, values }
    }

    /// The same rounded to whole units within ±32767; padding is [`NO_MEASUREMENT`].
    #[must_use]
    pub fn whole_hounsfield(&self) -> Vec<i16> {
        let limit = f32::from(i16::MAX);
        let whole = |stored: f32| self.rescaled(stored).round().clamp(-limit, limit) as i16;
        let padding = self.padding.unwrap_or(Padding::NONE);
        let values = self.stored_values();
        values.map(|stored| if padding.contains(stored) { NO_MEASUREMENT } else { whole(stored) }).collect()
    }

    fn rescaled(&self, stored: f32) -> f32 {
        stored * self.rescale_slope + self.rescale_intercept
    }

    fn stored_values(&self) -> impl Iterator<Item = f32> {
        let (cell_bytes, layout) = (self.cell_bytes, self.layout);
        self.cells.chunks_exact(cell_bytes).map(move |cell| {
            layout.stored_value(match *cell {
                [low, high] => u16::from_le_bytes([low, high]),
                [byte, ..] => u16::from(byte),
                [] => 0,
            })
        })
    }

    /// Whether it shows anything: it has more than a few different values beside its padding.
    #[must_use]
    pub fn shows_anything(&self) -> bool {
        let mut values: Vec<f32> = Vec::with_capacity(FEWEST_VALUES);
        let is_measured = |value: &f32| self.padding.is_none_or(|padding| !padding.contains(*value));
        for value in self.stored_values().filter(is_measured) {
            if !values.contains(&value) {
                values.push(value);
            }
            if values.len() == FEWEST_VALUES {
                return true;
            }
        }
        false
    }

    /// Whether a pixel at the image's border lies in this range. What pads an image lies there; a value that does not is named as
    /// padding by mistake, and may be that of tissue.
    #[must_use]
    pub fn has_at_border(&self, padding: Padding) -> bool {
        let (last_row, last_column) = (self.rows - 1, self.columns - 1);
        self.stored_values().enumerate().any(|(at, value)| {
            let (row, column) = (at / self.columns, at % self.columns);
            (row == 0 || column == 0 || row == last_row || column == last_column) && padding.contains(value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_hounsfield_units_are_rounded_kept_in_their_range_and_tell_what_was_not_measured() {
        let cells = [0_i16, 100, 3000, -2000].map(i16::to_le_bytes).concat();
        let image = |rescale_slope, padding| StoredImage {
            rows: 2,
            columns: 2,
            cell_bytes: 2,
            cells: cells.clone(),
            layout: CellLayout::new(16, 15, true),
            rescale_slope,
            rescale_intercept: -1024.0,
            padding,
        };
        assert_eq!(image(1.0, None).whole_hounsfield(), [-1024, -924, 1976, -3024]);
        assert_eq!(image(0.999, None).whole_hounsfield(), [-1024, -924, 1973, -3022]);
        assert_eq!(image(100.0, None).whole_hounsfield(), [-1024, 8976, 32767, -32767]);
        let padding = Padding { first: -2000.0, last: -2000.0 };
        assert_eq!(image(1.0, Some(padding)).whole_hounsfield(), [-1024, -924, 1976, NO_MEASUREMENT]);
    }
}
