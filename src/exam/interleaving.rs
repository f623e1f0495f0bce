//! Whether slices that lie beside each other are of two bodies: acquisitions that were mixed with nothing in their headers to tell them
//! apart. From slice to slice a body changes little and the same way: a slice is more like its neighbour than like the one after
//! that. Where two volumes lie one in the other it is the other way round, slice after slice.

use crate::preprocess::{InputGeometry, Plane};

/// Cells of a thumbnail on a side.
const CELLS: usize = 32;

/// A neighbour that differs by this more than the slice after it is one of another body, HU over the whole plane: noise differs by
/// far less in such large cells.
const LEAST_EXCESS_HU: f32 = 3.0;

/// And by this factor.
const LEAST_FACTOR: f32 = 1.25;

/// At least this many slices, and this share of all, must lie between two that are more like each other.
const FEWEST_SLICES: usize = 10;
const LEAST_SHARE: f64 = 0.2;

/// A cell that is denser holds tissue, HU; fewer such cells tell nothing.
const TISSUE_HU: f64 = -300.0;
const LEAST_CELLS: usize = 30;

/// A cell that is less dense is padding, or below what the model's window shows, HU.
const NOTHING_HU: f64 = -1130.0;

/// A cell that is denser is no air, HU.
const AIR_HU: f64 = -920.0;
const LEAST_ALIKE_SHARE: f64 = 0.95;

/// A slice in cells of 12 mm. Noise alone makes those of two images differ.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thumbnail(Box<[u8]>);

impl Thumbnail {
    /// The thumbnail of a plane.
    #[must_use]
    pub fn of(plane: &Plane, input: &InputGeometry) -> Self {
        let (mut sums, mut counts) = (vec![0_u64; CELLS * CELLS], vec![0_u64; CELLS * CELLS]);
        for (row, levels) in plane.levels().chunks_exact(input.columns).enumerate() {
            let first = row * CELLS / input.rows * CELLS;
            for (column, level) in levels.iter().enumerate() {
                let cell = first + column * CELLS / input.columns;
                sums[cell] += u64::from(*level);
                counts[cell] += 1;
            }
        }
        // The upper eight bits of a level.
        Self(sums.iter().zip(&counts).map(|(sum, count)| ((sum / (*count).max(1)) >> 8) as u8).collect())
    }

    /// Whether both may show one image, stored again with other noise or with a text in it: what is denser than air agrees within a
    /// grey level in nearly all cells. Of neighbours 2 mm apart in 20 real series at most 76 % do, of images that are stuck 98 %.
    #[must_use]
    pub fn is_alike(&self, other: &Self, input: &InputGeometry) -> bool {
        let air = level_of(AIR_HU, input);
        let pairs = || self.0.iter().zip(&other.0).filter(|(one, other)| (**one).max(**other) > air);
        let (body, same) = (pairs().count(), pairs().filter(|(one, other)| one.abs_diff(**other) <= 1).count());
        body >= LEAST_CELLS && same as f64 >= LEAST_ALIKE_SHARE * body as f64
    }

    /// Whether a look at some cells all over the plane leaves it open that both show one image: seldom, where they do not.
    #[must_use]
    pub fn may_be_alike(&self, other: &Self, input: &InputGeometry) -> bool {
        /// Prime to the number of cells: each comes once, far from the one before.
        const STRIDE: usize = 389;
        /// Cells of the body that are looked at, and how many of them may differ: five times as many as [`Self::is_alike`] lets.
        const LOOKED_AT: usize = 40;
        const MAY_DIFFER: usize = 10;
        let air = level_of(AIR_HU, input);
        let cells = (0..self.0.len()).map(|at| at * STRIDE % self.0.len()).map(|at| (self.0[at], other.0[at]));
        let body = cells.filter(|(one, other)| *one.max(other) > air).take(LOOKED_AT);
        body.filter(|(one, other)| one.abs_diff(*other) > 1).take(MAY_DIFFER + 1).count() <= MAY_DIFFER
    }

    /// By how much the other slice's tissue is denser, HU: the median over the cells that are tissue in both. `None` where there is
    /// too little of it.
    #[must_use]
    pub fn tissue_rise_hu(&self, other: &Self, input: &InputGeometry) -> Option<f64> {
        let tissue = level_of(TISSUE_HU, input);
        self.median_rise_hu(other, input, |[less, _]| less > tissue)
    }

    /// By how much the other slice's lung and air are denser, HU: the median over the cells that are tissue in neither and padding
    /// in one at most. `None` where there are too few.
    #[must_use]
    pub fn air_rise_hu(&self, other: &Self, input: &InputGeometry) -> Option<f64> {
        let [nothing, tissue] = [NOTHING_HU, TISSUE_HU].map(|hu| level_of(hu, input));
        self.median_rise_hu(other, input, |[_, more]| more > nothing && more <= tissue)
    }

    /// The median over the cells of which the less dense one and the denser one are meant.
    fn median_rise_hu(&self, other: &Self, input: &InputGeometry, are_meant: impl Fn([u8; 2]) -> bool) -> Option<f64> {
        let meant = self.0.iter().zip(&other.0).filter(|(one, other)| are_meant([**one.min(other), **one.max(other)]));
        let mut rises: Vec<i16> = meant.map(|(one, other)| i16::from(*other) - i16::from(*one)).collect();
        if rises.len() < LEAST_CELLS {
            return None;
        }
        let middle = rises.len() / 2;
        Some(f64::from(*rises.select_nth_unstable(middle).1) * hu_a_level(input))
    }

    /// Mean absolute difference, HU.
    fn difference_hu(&self, other: &Self, input: &InputGeometry) -> f32 {
        let sum: u32 = self.0.iter().zip(&other.0).map(|(one, other)| u32::from(one.abs_diff(*other))).sum();
        let [low, high] = input.hu_window;
        sum as f32 / self.0.len() as f32 / 255.0 * (high - low)
    }
}

fn hu_a_level(input: &InputGeometry) -> f64 {
    let [low, high] = input.hu_window.map(f64::from);
    (high - low) / 255.0
}

/// The grey level of a density within the window.
fn level_of(hu: f64, input: &InputGeometry) -> u8 {
    ((hu - f64::from(input.hu_window[0])) / hu_a_level(input)) as u8
}

/// Whether these slices, in ascending z, are of volumes that lie one in the other.
#[must_use]
pub fn are_interleaved<'a>(slices: impl Iterator<Item = &'a Thumbnail>, input: &InputGeometry) -> bool {
    let slices: Vec<&Thumbnail> = slices.collect();
    let differ = |one: usize, other: usize| slices[one].difference_hu(slices[other], input);
    let is_foreign = |at: &usize| {
        let (before, after, beyond) = (differ(*at, *at + 1), differ(*at + 1, *at + 2), differ(*at, *at + 2));
        before.min(after) > (beyond * LEAST_FACTOR).max(beyond + LEAST_EXCESS_HU)
    };
    let triples = slices.len().saturating_sub(2);
    let foreign = (0..triples).filter(is_foreign).count();
    foreign >= FEWEST_SLICES && foreign as f64 >= LEAST_SHARE * triples as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ModelPackage;

    fn input() -> InputGeometry {
        InputGeometry { rows: 64, columns: 64, ..ModelPackage::built_in().unwrap().manifest.input }
    }

    /// A body of this half width, pixels.
    fn slice(half: usize) -> Thumbnail {
        let level =
            |at: usize| if (at % 64).abs_diff(32) < half && (at / 64).abs_diff(32) < 20 { 60_000 } else { 8_000 };
        Thumbnail::of(&Plane::from_levels((0..64 * 64).map(level).collect()), &input())
    }

    fn are_two(halves: &[usize]) -> bool {
        let slices: Vec<Thumbnail> = halves.iter().map(|half| slice(*half)).collect();
        are_interleaved(slices.iter(), &input())
    }

    #[test]
    fn a_body_that_grows_from_slice_to_slice_is_one_and_two_that_take_turns_are_two() {
        let one: Vec<usize> = (0..60).map(|at| 10 + at / 4).collect();
        assert!(!are_two(&one));
        let two: Vec<usize> = one.iter().enumerate().map(|(at, half)| half + 4 * (at % 2)).collect();
        assert!(are_two(&two));
        assert!(!are_two(&two[..8]), "too few to tell");
    }

    #[test]
    fn a_single_foreign_slice_makes_no_second_body() {
        let mut one: Vec<usize> = vec![20; 60];
        one[30] = 28;
        assert!(!are_two(&one));
    }
}
