//! How Hounsfield units become stored values, and what stands where nothing was reconstructed.

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::grid::Grid;

/// The Image Pixel module's integers and the way back to Hounsfield units (PS3.3 sections C.7.6.3 and C.11.1).
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    pub signed: bool,
    pub bits_stored: u16,
    pub slope: f64,
    pub intercept: f64,
    pub padding: Option<Padding>,
}

/// Pixel Padding Value (0028,0120) and Pixel Padding Range Limit (0028,0121).
#[derive(Debug, Clone, PartialEq)]
pub struct Padding {
    pub value: i32,
    pub limit: Option<i32>,
    /// Whether the header writes signed values as unsigned ones, as some scanners do.
    pub written_unsigned: bool,
}

impl Storage {
    /// What most scanners write.
    pub const USUAL: Self = Self { signed: false, bits_stored: 12, slope: 1.0, intercept: -1024.0, padding: None };
    /// What others write.
    pub const SIGNED: Self = Self { signed: true, bits_stored: 16, slope: 1.0, intercept: 0.0, padding: None };

    /// Stored values of an image on its grid.
    pub fn cells(&self, hu: &[f32], grid: &Grid) -> Vec<u16> {
        let cell = |(at, hu): (usize, &f32)| {
            let outside = || !grid.is_reconstructed(at / grid.columns, at % grid.columns);
            let padding = self.padding.as_ref().filter(|_| outside());
            padding.map_or_else(|| self.stored(*hu), |padding| padding.at(at)) as u16
        };
        hu.iter().enumerate().map(cell).collect()
    }

    fn stored(&self, hu: f32) -> i32 {
        let span = 1_i32 << self.bits_stored;
        let (least, most) = if self.signed { (-span / 2, span / 2 - 1) } else { (0, span - 1) };
        let stored = (((f64::from(hu) - self.intercept) / self.slope).round() as i32).clamp(least, most);
        // What was measured has no value that means "not measured".
        match self.padding.as_ref().map(Padding::range) {
            Some((low, high)) if (low..=high).contains(&stored) => {
                if high < most {
                    high + 1
                } else {
                    low - 1
                }
            }
            _ => stored,
        }
    }

    pub fn write_into(&self, header: &mut InMemDicomObject) {
        let bits = self.bits_stored;
        for (tag, value) in [
            (tags::BITS_ALLOCATED, 16),
            (tags::BITS_STORED, bits),
            (tags::HIGH_BIT, bits - 1),
            (tags::PIXEL_REPRESENTATION, u16::from(self.signed)),
        ] {
            header.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        }
        for (tag, value) in [(tags::RESCALE_SLOPE, self.slope), (tags::RESCALE_INTERCEPT, self.intercept)] {
            header.put(DataElement::new(tag, VR::DS, PrimitiveValue::from(value.to_string())));
        }
        for tag in [tags::PIXEL_PADDING_VALUE, tags::PIXEL_PADDING_RANGE_LIMIT] {
            header.remove_element(tag);
        }
        let Some(padding) = &self.padding else { return };
        self.write_padding(header, tags::PIXEL_PADDING_VALUE, padding.value, padding.written_unsigned);
        if let Some(limit) = padding.limit {
            self.write_padding(header, tags::PIXEL_PADDING_RANGE_LIMIT, limit, padding.written_unsigned);
        }
    }

    fn write_padding(&self, header: &mut InMemDicomObject, tag: Tag, value: i32, written_unsigned: bool) {
        let element = if self.signed && !written_unsigned {
            DataElement::new(tag, VR::SS, PrimitiveValue::from(value as i16))
        } else {
            DataElement::new(tag, VR::US, PrimitiveValue::from(value as u16))
        };
        header.put(element);
    }
}

impl Padding {
    pub fn of(value: i32) -> Self {
        Self { value, limit: None, written_unsigned: false }
    }

    fn range(&self) -> (i32, i32) {
        let limit = self.limit.unwrap_or(self.value);
        (self.value.min(limit), self.value.max(limit))
    }

    /// The value of a pixel outside: all those of the range in turn.
    fn at(&self, pixel: usize) -> i32 {
        let (low, high) = self.range();
        low + (pixel as i32 % (high - low + 1))
    }
}

#[test]
fn what_was_measured_never_has_a_value_that_means_padding_and_what_lies_outside_always_has() {
    let grid = Grid::upright([0.0, 0.0], [8, 8], 1.0);
    let hu: Vec<f32> = (0..64).map(|at| at as f32 * 80.0 - 1030.0).collect();
    let unsigned_16 = Storage { bits_stored: 16, ..Storage::USUAL };
    for (storage, padding) in [
        (Storage::USUAL, Padding::of(0)),
        (Storage::USUAL, Padding { limit: Some(4064), ..Padding::of(4095) }),
        (Storage::SIGNED, Padding::of(-2000)),
        (unsigned_16, Padding::of(63536)),
    ] {
        let (low, high) = padding.range();
        let signed = storage.signed;
        let cells = Storage { padding: Some(padding), ..storage }.cells(&hu, &grid);
        for (at, cell) in cells.into_iter().enumerate() {
            let value = if signed { i32::from(cell as i16) } else { i32::from(cell) };
            let is_outside = !grid.is_reconstructed(at / 8, at % 8);
            assert_eq!((low..=high).contains(&value), is_outside, "{value} at {at}");
        }
    }
}
