//! In which order a series' slices come, and whether the scan has left the lungs behind.

use std::collections::BTreeMap;

/// Which way the scan goes along the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanDirection {
    TowardsHead,
    TowardsFeet,
}

/// A slice may come this far behind the foremost one, mm: several associations, or reconstruction in parallel, mix
/// neighbours up. It is far less than what has to be without lung before the lungs have passed.
const SLACK_MM: f64 = 10.0;

/// How much lung a slab shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LungArea {
    /// Mean position of the slab's slices, mm.
    pub z_mm: f64,
    pub lung_cm2: f64,
}

/// Positions of a series' slices, mm, by their place in the exam: the number of their instance's arrival and theirs in it.
#[derive(Debug, Default)]
pub struct ScanOrder {
    positions_mm: BTreeMap<(usize, usize), f64>,
}

impl ScanOrder {
    /// The slice at this place of the exam lies at `z_mm`. Calls may come in any order, since decoding mixes them up; the places give the order.
    pub fn add(&mut self, place: (usize, usize), z_mm: f64) {
        self.positions_mm.insert(place, z_mm);
    }

    /// The direction in which all slices have come; `None` where they come in no order, or are too few to tell.
    #[must_use]
    pub fn direction(&self) -> Option<ScanDirection> {
        let (mut lowest, mut highest) = (f64::INFINITY, f64::NEG_INFINITY);
        let (mut towards_head, mut towards_feet) = (true, true);
        for z_mm in self.positions_mm.values() {
            towards_head &= *z_mm >= highest - SLACK_MM;
            towards_feet &= *z_mm <= lowest + SLACK_MM;
            lowest = lowest.min(*z_mm);
            highest = highest.max(*z_mm);
        }
        match (towards_head, towards_feet) {
            (true, false) => Some(ScanDirection::TowardsHead),
            (false, true) => Some(ScanDirection::TowardsFeet),
            _ => None,
        }
    }
}

/// A slab with less lung than this shows none, cm²: the last of a lung's recess, or pixels beside the body. On real scans the
/// area falls from slab to slab to its end at either end of the lungs and stays below this from there on.
pub const NO_LUNG_CM2: f64 = 2.0;

/// Whether the last `passed_mm` of the scan show less lung than `limit_cm2` on each slab, after slabs that showed more. `lung`
/// in the order of the scan. Lungs are one piece along z: once they have ended, what follows has none.
#[must_use]
pub fn lungs_passed(lung: &[LungArea], limit_cm2: f64, passed_mm: f64) -> bool {
    let without = lung.iter().rev().take_while(|slab| slab.lung_cm2 < limit_cm2).count();
    let (before, since) = lung.split_at(lung.len() - without);
    match (before.is_empty(), since) {
        (false, [first, .., last]) => (last.z_mm - first.z_mm).abs() >= passed_mm,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(positions_mm: impl IntoIterator<Item = f64>) -> ScanOrder {
        ScanOrder { positions_mm: (0..).map(|number| (number, 0)).zip(positions_mm).collect() }
    }

    #[test]
    fn slices_in_order_have_a_direction_whichever_it_is() {
        assert_eq!(order((0..50).map(f64::from)).direction(), Some(ScanDirection::TowardsHead));
        assert_eq!(order((0..50).map(|z| f64::from(-z))).direction(), Some(ScanDirection::TowardsFeet));
        assert_eq!(order([]).direction(), None);
        assert_eq!(order([3.0]).direction(), None);
    }

    #[test]
    fn neighbours_may_change_places_and_decoding_may_mix_up_the_calls() {
        let mixed = (0..60).map(|number| f64::from(number ^ 1));
        assert_eq!(order(mixed).direction(), Some(ScanDirection::TowardsHead));
        let mut called = ScanOrder::default();
        (0..60).rev().for_each(|number| called.add((number, 0), number as f64));
        assert_eq!(called.direction(), Some(ScanDirection::TowardsHead));
    }

    #[test]
    fn a_slice_from_far_behind_ends_the_order() {
        let late = (0..50).map(f64::from).chain([20.0]);
        assert_eq!(order(late).direction(), None);
    }

    /// Lung of 200 mm and `after` mm without, in slabs of 3 mm.
    fn scan(after: f64) -> Vec<LungArea> {
        let z = (0..).map(|slab| f64::from(slab) * -3.0).take_while(|z| *z >= -200.0 - after);
        z.map(|z_mm| LungArea { z_mm, lung_cm2: if z_mm > -200.0 { 150.0 } else { 0.4 } }).collect()
    }

    #[test]
    fn the_lungs_have_passed_after_so_many_millimetres_without_lung_and_not_before() {
        assert!(!lungs_passed(&scan(29.0), NO_LUNG_CM2, 30.0));
        assert!(lungs_passed(&scan(34.0), NO_LUNG_CM2, 30.0));
        assert!(!lungs_passed(&[], NO_LUNG_CM2, 30.0));
    }

    #[test]
    fn what_comes_before_the_lungs_is_not_after_them() {
        let neck: Vec<LungArea> = scan(100.0).into_iter().filter(|slab| slab.z_mm < -200.0).collect();
        assert!(!lungs_passed(&neck, NO_LUNG_CM2, 30.0));
        let mut begun = neck;
        begun.push(LungArea { z_mm: -400.0, lung_cm2: 60.0 });
        assert!(!lungs_passed(&begun, NO_LUNG_CM2, 30.0));
    }

    proptest! {
        #[test]
        fn slices_in_random_order_have_no_direction(
            positions in Just((0..60_i32).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let far = positions.windows(2).any(|pair| pair[1] - pair[0] > 3)
                && positions.windows(2).any(|pair| pair[0] - pair[1] > 3);
            prop_assume!(far);
            prop_assert_eq!(order(positions.iter().map(|z| f64::from(*z) * 4.0)).direction(), None);
        }
    }
}
