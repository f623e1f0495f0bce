//! Which slices of a series are one volume. A series may hold several acquisitions: breathed in and out, before and after contrast
//! medium, the same slices in two kernels. Slices of two of them beside each other show a body that does not exist.
//!
//! A series is divided by what its headers say, and only where that parts volumes that lie over each other: scanners also number
//! the turns of their gantry, whose slices lie beside each other and are one volume. What headers do not tell apart shows in the
//! slices themselves: see [`super::are_interleaved`]. The division is a function of the slices that have come, not of their order.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::SliceHeader;

/// How many attributes of a header volumes differ by.
const MARKS: usize = 8;

/// Fewer slices than this are no volume of their own.
const FEWEST_SLICES: usize = 3;

/// Volumes that share more of the z axis than this lie over each other, mm: the slices of neighbouring turns of a gantry share less.
const SHARED_MM: f64 = 10.0;

/// A pause in the time of acquisition from which on another one may have begun, ms.
pub(super) const PAUSE_MS: i64 = 3_000;

/// A volume within its series: the same for all slices of a series that is one.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// Whether its images are secondary ones, such as a captured page: these are never slices of the volume beside which they lie.
    is_secondary: bool,
    marks: [u64; MARKS],
    acquisition: usize,
}

impl Part {
    /// The part that a series is as long as it holds one volume.
    pub const WHOLE: Self = Self { is_secondary: false, marks: [0; MARKS], acquisition: 0 };

    #[must_use]
    pub fn is_secondary(&self) -> bool {
        self.is_secondary
    }
}

#[derive(Debug, Clone, Copy)]
struct Extent {
    slices: usize,
    low_mm: f64,
    high_mm: f64,
}

impl Extent {
    fn at(z_mm: f64) -> Self {
        Self { slices: 1, low_mm: z_mm, high_mm: z_mm }
    }

    fn with(self, other: Self) -> Self {
        Self {
            slices: self.slices + other.slices,
            low_mm: self.low_mm.min(other.low_mm),
            high_mm: self.high_mm.max(other.high_mm),
        }
    }

    fn lies_over(&self, other: &Self) -> bool {
        self.slices.min(other.slices) >= FEWEST_SLICES
            && self.high_mm.min(other.high_mm) - self.low_mm.max(other.low_mm) >= SHARED_MM
    }
}

/// How the slices of a series are divided into volumes.
#[derive(Debug, Default)]
pub struct Division {
    by_mark: [BTreeMap<u64, Extent>; MARKS],
    divides: [bool; MARKS],
    by_time: BTreeMap<i64, Extent>,
    /// Where later acquisitions begin, ms.
    begin: Vec<i64>,
}

impl Division {
    /// Notes a slice. `true` if slices that came before may belong to other parts now.
    pub fn note(&mut self, slice: &SliceHeader) -> bool {
        let divided = self.divides;
        let extent = Extent::at(slice.geometry.z_mm);
        for (mark, value) in marks(slice).into_iter().enumerate() {
            let groups = &mut self.by_mark[mark];
            let group = groups.entry(value).and_modify(|group| *group = group.with(extent)).or_insert(extent);
            let group = *group;
            self.divides[mark] |= groups.iter().any(|(other, extent)| *other != value && extent.lies_over(&group));
        }
        let is_timed_anew = slice.acquisition.time_ms.is_some_and(|ms| self.note_time(ms, extent));
        is_timed_anew || self.divides != divided
    }

    /// Notes a slice of this time. `true` if earlier ones may be of other acquisitions now.
    fn note_time(&mut self, ms: i64, extent: Extent) -> bool {
        let is_first = !self.by_time.contains_key(&ms);
        self.by_time.entry(ms).and_modify(|group| *group = group.with(extent)).or_insert(extent);
        let before = std::mem::replace(&mut self.begin, later_acquisitions(&self.by_time));
        let noted = || self.by_time.keys().filter(|noted| !is_first || **noted != ms);
        self.begin != before && noted().any(|noted| began(&before, *noted) != began(&self.begin, *noted))
    }

    /// The part that a slice belongs to, by all that have been noted.
    #[must_use]
    pub fn part(&self, slice: &SliceHeader) -> Part {
        let mut values = marks(slice);
        for (value, divides) in values.iter_mut().zip(self.divides) {
            *value *= u64::from(divides);
        }
        Part {
            is_secondary: slice.acquisition.is_secondary,
            marks: values,
            acquisition: slice.acquisition.time_ms.map_or(0, |ms| began(&self.begin, ms)),
        }
    }
}

/// How many of these times have come at a time.
fn began(begin: &[i64], ms: i64) -> usize {
    begin.iter().filter(|begin| **begin <= ms).count()
}

pub(super) fn marks(slice: &SliceHeader) -> [u64; MARKS] {
    let acquisition = &slice.acquisition;
    let thickness = slice.thickness_mm.map(|mm| format!("{mm:.2}")).unwrap_or_default();
    [
        acquisition.frame_of_reference_uid.as_str(),
        &acquisition.temporal_position,
        &acquisition.number,
        &acquisition.kernel,
        &acquisition.image_type,
        &acquisition.contrast_agent,
        &acquisition.tube_voltage,
        &thickness,
    ]
    .map(|value| {
        // With the same keys each time: the division is part of what an exam's report is made from.
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    })
}

/// The times from which on slices lie over those before them, after a pause.
fn later_acquisitions(by_time: &BTreeMap<i64, Extent>) -> Vec<i64> {
    let mut begin = Vec::new();
    let mut current: Option<(i64, Extent)> = None;
    let after = extents_from(by_time);
    for ((ms, extent), from_here) in by_time.iter().zip(after) {
        current = Some(match current {
            Some((last, before)) if ms - last >= PAUSE_MS && before.lies_over(&from_here) => {
                begin.push(*ms);
                (*ms, *extent)
            }
            Some((_, before)) => (*ms, before.with(*extent)),
            None => (*ms, *extent),
        });
    }
    begin
}

/// Of each time, the extent of all slices from it on.
fn extents_from(by_time: &BTreeMap<i64, Extent>) -> Vec<Extent> {
    let mut extents: Vec<Extent> = Vec::with_capacity(by_time.len());
    for extent in by_time.values().rev() {
        extents.push(extents.last().map_or(*extent, |later| later.with(*extent)));
    }
    extents.reverse();
    extents
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exam::{AcquisitionParameters, SliceGeometry, made_header};

    fn slice(z_mm: f64, acquisition: AcquisitionParameters) -> SliceHeader {
        let geometry = SliceGeometry::new(2, 2, [0.0, 0.0, z_mm], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0], [6.0, 6.0]).unwrap();
        SliceHeader { acquisition, ..made_header(geometry) }
    }

    fn numbered(z_mm: f64, number: usize) -> SliceHeader {
        slice(z_mm, AcquisitionParameters { number: number.to_string(), ..AcquisitionParameters::default() })
    }

    fn timed(z_mm: f64, time_ms: i64) -> SliceHeader {
        slice(z_mm, AcquisitionParameters { time_ms: Some(time_ms), ..AcquisitionParameters::default() })
    }

    /// How many parts these slices make, and how many slices each has.
    fn parts(slices: &[SliceHeader]) -> Vec<usize> {
        let mut division = Division::default();
        for slice in slices {
            division.note(slice);
        }
        let mut counts: BTreeMap<Part, usize> = BTreeMap::new();
        for slice in slices {
            *counts.entry(division.part(slice)).or_default() += 1;
        }
        counts.into_values().collect()
    }

    #[test]
    fn acquisitions_that_lie_over_each_other_are_told_apart_by_their_numbers() {
        let both: Vec<SliceHeader> =
            (0..80).map(|at| numbered(f64::from(at / 2) * 2.0 + f64::from(at % 2), at as usize % 2)).collect();
        assert_eq!(parts(&both), [40, 40]);
    }

    #[test]
    fn turns_of_the_gantry_that_lie_beside_each_other_are_one_volume_however_they_are_numbered() {
        let turns: Vec<SliceHeader> = (0..160).map(|at| numbered(f64::from(at) * 0.6, at as usize / 16)).collect();
        assert_eq!(parts(&turns), [160]);
        let each: Vec<SliceHeader> = (0..60).map(|at| numbered(f64::from(at) * 2.0, at as usize)).collect();
        assert_eq!(parts(&each), [60]);
    }

    #[test]
    fn a_second_scan_after_a_pause_is_told_apart_by_its_time_and_a_slow_one_is_not_divided() {
        let sweep =
            |from_ms: i64, z: f64| (0..40).map(move |at| timed(f64::from(at) * 2.0 + z, from_ms + i64::from(at) * 40));
        let two: Vec<SliceHeader> = sweep(0, 0.0).chain(sweep(12_000, 1.0)).collect();
        assert_eq!(parts(&two), [40, 40]);
        let three: Vec<SliceHeader> = sweep(0, 0.0).chain(sweep(12_000, 0.0)).chain(sweep(40_000, 0.0)).collect();
        assert_eq!(parts(&three), [40, 40, 40]);
        let slow: Vec<SliceHeader> = (0..40).map(|at| timed(f64::from(at) * 2.0, i64::from(at) * 4_000)).collect();
        assert_eq!(parts(&slow), [40]);
    }

    #[test]
    fn two_scans_whose_slices_come_in_turns_are_divided_once_and_not_with_each_slice() {
        for time_of in [|at: i64| at * 40, |at: i64| (99 - at) * 40] {
            let mut division = Division::default();
            let slices =
                (0..100).flat_map(|at| [timed(at as f64, time_of(at)), timed(at as f64 + 0.5, 12_000 + time_of(at))]);
            let changes = slices.filter(|slice| division.note(slice)).count();
            assert!((1..=3).contains(&changes), "{changes}");
        }
    }

    #[test]
    fn a_secondary_image_is_never_a_slice_of_the_volume_beside_which_it_lies() {
        let page = slice(20.0, AcquisitionParameters { is_secondary: true, ..AcquisitionParameters::default() });
        let slices: Vec<SliceHeader> = (0..40).map(|at| numbered(f64::from(at), 1)).chain([page]).collect();
        assert_eq!(parts(&slices).len(), 2);
    }

    proptest! {
        #[test]
        fn the_division_does_not_depend_on_the_order(
            slices in prop::collection::vec((0..60_i32, 0..3_usize, 0..3_i64), 1..80).prop_shuffle(), shift in 0..80_usize,
        ) {
            let header = |(z, number, second): &(i32, usize, i64)| SliceHeader {
                acquisition: AcquisitionParameters {
                    number: number.to_string(), time_ms: Some(second * 4_000), ..AcquisitionParameters::default()
                },
                ..slice(f64::from(*z), AcquisitionParameters::default())
            };
            let mut headers: Vec<SliceHeader> = slices.iter().map(header).collect();
            let first = parts(&headers);
            let len = headers.len();
            headers.rotate_left(shift % len);
            prop_assert_eq!(parts(&headers), first);
        }
    }
}
