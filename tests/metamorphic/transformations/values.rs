//! Stored values: their sign, width and rescaling, and what stands outside the reconstruction circle.

use super::{Aspect, SAME, Transformation, slices};
use crate::storage::{Padding, Storage};

pub fn stored_otherwise() -> Vec<Transformation> {
    let as_stored = |name: &str, storage: Storage| {
        slices(name, Aspect::Values, SAME, move |series| series.restore(|own| *own = storage.clone()))
    };
    vec![
        as_stored("unsigned, 12 bits, no padding", Storage::USUAL),
        as_stored("signed, intercept 0", Storage::SIGNED),
        as_stored("signed, intercept -1024", Storage { intercept: -1024.0, ..Storage::SIGNED }),
        as_stored("unsigned, 16 bits, slope 0.5", Storage { bits_stored: 16, slope: 0.5, ..Storage::USUAL }),
        as_stored(
            "unsigned, 16 bits, intercept -8192",
            Storage { bits_stored: 16, intercept: -8192.0, ..Storage::USUAL },
        ),
    ]
}

pub fn padded() -> Vec<Transformation> {
    let with = |name: &str, storage: Storage, padding: Padding| {
        let storage = Storage { padding: Some(padding), ..storage };
        slices(format!("padded with {name}"), Aspect::Values, SAME, move |series| {
            series.restore(|own| *own = storage.clone());
        })
    };
    let unsigned_16 = || Storage { bits_stored: 16, ..Storage::USUAL };
    let range = |value: i32, limit: i32| Padding { limit: Some(limit), ..Padding::of(value) };
    vec![
        with("0", Storage::USUAL, Padding::of(0)),
        with("0 to 24", Storage::USUAL, range(0, 24)),
        with("4095", Storage::USUAL, Padding::of(4095)),
        with("4095 down to 4064", Storage::USUAL, range(4095, 4064)),
        with("63536, unsigned", unsigned_16(), Padding::of(63536)),
        with("-2000, signed", Storage::SIGNED, Padding::of(-2000)),
        with(
            "-2000 that the header writes as 63536",
            Storage::SIGNED,
            Padding { written_unsigned: true, ..Padding::of(-2000) },
        ),
        with("-32768, signed", Storage::SIGNED, Padding::of(-32768)),
        with("32767, signed", Storage::SIGNED, Padding::of(32767)),
    ]
}
