//! What the header says: decimals, names, numbers.

use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::{Aspect, Expected, SAME, Transformation, slices};
use crate::answer::Tolerance;
use crate::series::Rounding;

pub fn rounded() -> Vec<Transformation> {
    let to = |name: &str, expected: Expected, rounding: Rounding| {
        slices(name, Aspect::Rounding, expected, move |series| {
            // Positions that have something to round.
            series.origin_mm =
                [series.origin_mm[0] + 0.0437, series.origin_mm[1] - 0.0261, series.origin_mm[2] + 0.0353];
            series.rounding = rounding;
        })
    };
    let slabs = || Expected::Same(Tolerance::OTHER_SLABS, &[]);
    vec![
        to("positions rounded to 0.1 mm", slabs(), Rounding { position: 1, ..Rounding::FINE }),
        to("positions rounded to 0.01 mm", slabs(), Rounding { position: 2, ..Rounding::FINE }),
        to("spacing rounded to 0.01 mm", slabs(), Rounding { spacing: 2, ..Rounding::FINE }),
        to("orientation rounded to 1e-4", slabs(), Rounding { orientation: 4, ..Rounding::FINE }),
    ]
}

pub fn named() -> Vec<Transformation> {
    let in_characters = |set: &'static str, name: &'static str| {
        let label = if set.is_empty() { "none" } else { set };
        slices(format!("character set {label}"), Aspect::Names, SAME, move |series| {
            series.put_on_all(tags::SPECIFIC_CHARACTER_SET, VR::CS, set);
            series.put_on_all(tags::PATIENT_NAME, VR::PN, name);
        })
    };
    let numbered = |name: &str, number: fn(usize) -> usize| {
        slices(format!("instance numbers {name}"), Aspect::Numbers, SAME, move |series| {
            for (at, slice) in series.slices.iter_mut().enumerate() {
                slice.put(tags::INSTANCE_NUMBER, VR::IS, &number(at).to_string());
            }
        })
    };
    vec![
        in_characters("ISO_IR 192", "Zo\u{eb}^\u{5f20}\u{4e09}"),
        in_characters("ISO_IR 100", "M\u{fc}ller^J\u{f6}rg"),
        in_characters("ISO_IR 144", "\u{418}\u{432}\u{430}\u{43d}\u{43e}\u{432}^\u{418}\u{432}\u{430}\u{43d}"),
        in_characters("GB18030", "Wang^XiaoDong=\u{738b}^\u{5c0f}\u{4e1c}"),
        in_characters("", "PLAIN^NAME"),
        numbered("all the same", |_| 1),
        numbered("against the positions", |at| at + 1),
        numbered("at random", |at| at * 7919 % 1009),
    ]
}
