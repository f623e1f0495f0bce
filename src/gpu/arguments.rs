//! What the host hands to the kernels: `kernels/interface.h` in Rust, field by field under the same names. What the fields mean
//! stands there. The assertions pin the sizes that it pins; a test compares every offset with the C++ compiler's.
#![expect(unsafe_code, reason = "the kernels read these structs byte by byte")]

use cudarc::driver::{DeviceRepr, ValidAsZeroBits};

pub(crate) use crate::engine::Address;

/// Plane pixels of one block of `add_slices`.
pub(super) const TILE_COLUMNS: usize = 32;
pub(super) const TILE_ROWS: usize = 8;
pub(super) const SLICE_THREADS: usize = TILE_COLUMNS * TILE_ROWS;

pub(super) const WINDOW_THREADS: usize = 128;
pub(super) const EVIDENCE_THREADS: usize = 1024;

/// Plane pixels of one block of the window kernels.
pub(super) const WINDOW_PIXELS: usize = WINDOW_THREADS * 8;

/// The most slices or windows of a launch.
pub(crate) const MAX_BATCH: usize = 65_535;

#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taps {
    pub first: Address,
    pub count: Address,
    pub weights: Address,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    pub cells: Address,
    pub sum: Address,
    pub levels: Address,
    pub x: Taps,
    pub y: Taps,
    pub rows: i32,
    pub columns: i32,
    pub cell_bytes: i32,
    pub shift_up: i32,
    pub shift_down: i32,
    pub is_signed: i32,
    pub slope: f32,
    pub intercept: f32,
    pub padding_first: f32,
    pub padding_last: f32,
    pub x_along_columns: i32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SliceArguments {
    pub slices: Address,
    pub rows: i32,
    pub columns: i32,
    pub hu_low: f32,
    pub hu_high: f32,
    pub hu_scale: f32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slab {
    pub sum: Address,
    pub share: f64,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct WindowArguments {
    pub slabs: Address,
    pub input: Address,
    pub tissue: Address,
    pub bone: Address,
    pub change: Address,
    pub slab_count: i32,
    pub plane_len: i32,
    pub hu_low: f32,
    pub hu_high: f32,
    pub tissue_hu: f32,
    pub bone_hu: f32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statistics {
    pub not_finite: [u32; 4],
    pub lung_pixels: u32,
    pub lesion_pixels: u32,
    pub attention: f32,
    pub logit: f32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct EvidenceArguments {
    pub lung: Address,
    pub lesion: Address,
    pub attention: Address,
    pub logit: Address,
    pub slabs: Address,
    pub body: Address,
    pub lung_mask: Address,
    pub lesion_mask: Address,
    pub lesion_hu: Address,
    pub statistics: Address,
    pub slab_count: i32,
    pub plane_len: i32,
    pub lung_probability: f32,
    pub lesion_probability: f32,
    pub hu_low: f32,
    pub hu_high: f32,
}

const _: () = assert!(size_of::<Taps>() == 24 && size_of::<Slice>() == 120 && size_of::<SliceArguments>() == 32);
const _: () = assert!(size_of::<Slab>() == 16 && size_of::<WindowArguments>() == 64);
const _: () = assert!(size_of::<Statistics>() == 32 && size_of::<EvidenceArguments>() == 104);

// SAFETY: C's layout, numbers and addresses only, no padding but at the end of it, which nobody reads.
unsafe impl DeviceRepr for Slice {}
// SAFETY: as above.
unsafe impl DeviceRepr for SliceArguments {}
// SAFETY: as above.
unsafe impl DeviceRepr for Slab {}
// SAFETY: as above.
unsafe impl DeviceRepr for WindowArguments {}
// SAFETY: as above.
unsafe impl DeviceRepr for Statistics {}
// SAFETY: as above.
unsafe impl DeviceRepr for EvidenceArguments {}

// SAFETY: numbers and addresses, which may all be 0.
unsafe impl ValidAsZeroBits for Slice {}
// SAFETY: as above.
unsafe impl ValidAsZeroBits for Slab {}
// SAFETY: as above.
unsafe impl ValidAsZeroBits for Statistics {}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::mem::offset_of;
    use std::process::Command;

    use super::*;

    /// Names of struct and field, and where it lies; last the struct's size.
    macro_rules! fields {
        ($kind:ident: $($field:ident),*) => {
            [$((stringify!($kind), stringify!($field), offset_of!($kind, $field)),)* (stringify!($kind), "", size_of::<$kind>())]
        };
    }

    #[test]
    #[rustfmt::skip]
    fn structs_and_launch_shapes_are_those_of_the_kernels() {
        let structs: Vec<(&str, &str, usize)> = [
            &fields!(Taps: first, count, weights)[..],
            &fields!(Slice: cells, sum, levels, x, y, rows, columns, cell_bytes, shift_up, shift_down, is_signed, slope, intercept,
                padding_first, padding_last,                x_along_columns),
            &fields!(SliceArguments: slices, rows, columns, hu_low, hu_high, hu_scale),
            &fields!(Slab: sum, share),
            &fields!(WindowArguments: slabs, input, tissue, bone, change, slab_count, plane_len, hu_low, hu_high, tissue_hu, bone_hu),
            &fields!(Statistics: not_finite, lung_pixels, lesion_pixels, attention, logit),
            &fields!(EvidenceArguments: lung, lesion, attention, logit, slabs, body, lung_mask, lesion_mask, lesion_hu, statistics,
                slab_count, plane_len, lung_probability, lesion_probability, hu_low, hu_high),
        ].concat();
        let constants = [("TILE_COLUMNS", TILE_COLUMNS), ("TILE_ROWS", TILE_ROWS), ("SLICE_THREADS", SLICE_THREADS),
            ("WINDOW_THREADS", WINDOW_THREADS), ("EVIDENCE_THREADS", EVIDENCE_THREADS), ("WINDOW_PIXELS", WINDOW_PIXELS)];
        let mut source = "#include <cstddef>\n#include \"interface.h\"\n".to_owned();
        for (kind, field, here) in &structs {
            let there = if field.is_empty() { format!("sizeof({kind})") } else { format!("offsetof({kind}, {field})") };
            writeln!(source, "static_assert({there} == {here}, \"{kind} {field}\");").unwrap();
        }
        for (name, here) in constants {
            writeln!(source, "static_assert({name} == {here}, \"{name}\");").unwrap();
        }

        let compiler = std::env::var("CXX").unwrap_or_else(|_| "g++".to_owned());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("layout.cpp");
        std::fs::write(&file, source).unwrap();
        let kernels = concat!(env!("CARGO_MANIFEST_DIR"), "/kernels");
        let Ok(output) = Command::new(&compiler).args(["-std=c++17", "-fsyntax-only", "-I", kernels]).arg(&file).output()
        else {
            eprintln!("SKIPPED: there is no C++ compiler {compiler}");
            return;
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
