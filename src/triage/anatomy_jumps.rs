//! Steps in the anatomy: between slabs that lie side by side a body changes little and evenly. Where the patient breathed
//! or moved during the scan it changes at once.

use super::evidence::TableRow;
use crate::preprocess::{InputGeometry, Window};

/// How many slabs on either side tell what change is usual around a slab: a jump shows on two of them at most, the
/// change itself grows and falls over more.
pub(super) const JUMP_NEIGHBOURS: usize = 4;

/// Fewer neighbours than this tell nothing.
const MIN_NEIGHBOURS: usize = 5;

/// Slabs count as side by side, and as comparable, within this share of the usual distance.
const SAME_SHARE: f64 = 0.3;

/// A change above the usual one by less than this is no jump, however little is usual, HU: drawn patients change hardly at
/// all from slab to slab.
const MIN_EXCESS_HU: f64 = 5.0;

/// Where less lung than this lies there is nothing to be judged, cm².
const MIN_LUNG_CM2: f64 = 10.0;

const CHANGE_PARTS: f32 = (1_u64 << 32) as f32;

/// How much the anatomy changes across a window's middle slab: the mean absolute difference of the slabs below and above it,
/// HU clamped to the model's window. A jump within the middle slab or at either of its faces shows whole in it. Differences are
/// counted in whole parts of 2^-32, so that their sum is the same in any order.
#[must_use]
pub fn change_hu(window: &Window, input: &InputGeometry) -> f32 {
    let len = input.plane_len();
    let values = window.values();
    let (below, above) = (&values[..len], &values[values.len() - len..]);
    let parts: u64 = below.iter().zip(above).map(|(below, above)| ((above - below).abs() * CHANGE_PARTS) as u64).sum();
    change_of_parts(parts, input)
}

/// The change whose differences have this sum over the plane, parts of 2^-32.
#[must_use]
pub fn change_of_parts(parts: u64, input: &InputGeometry) -> f32 {
    let [low, high] = input.hu_window;
    (parts as f64 / f64::from(CHANGE_PARTS) / input.plane_len() as f64 * f64::from(high - low)) as f32
}

/// A jump of the anatomy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnatomyJump {
    /// The row of the table that it shows on most.
    pub row: usize,
    /// The change across that row's slab, in terms of the median around it.
    pub times_usual: f64,
}

/// The jumps in rows of ascending z: where the change is more than `max_step` times the median of the slabs around. On the
/// eleven patients at hand it is nowhere more than 1.26 times (median 1.0, median deviation 0.05).
#[must_use]
pub fn anatomy_jumps(rows: &[TableRow<'_>], max_step: f64) -> Vec<AnatomyJump> {
    let candidates: Vec<AnatomyJump> = (0..rows.len())
        .filter(|row| rows[*row].evidence.lung_cm2 >= MIN_LUNG_CM2)
        .filter_map(|row| Some(AnatomyJump { row, times_usual: times_usual(rows, row)? }))
        .filter(|jump| jump.times_usual > max_step)
        .collect();
    // A jump shows on both slabs beside it.
    let largest = |run: &[AnatomyJump]| run.iter().copied().max_by(|a, b| a.times_usual.total_cmp(&b.times_usual));
    candidates.chunk_by(|a, b| a.row + 1 == b.row).filter_map(largest).collect()
}

/// `None` where slabs are missing around the row, or the change is too little above the usual one.
fn times_usual(rows: &[TableRow<'_>], row: usize) -> Option<f64> {
    let span_mm = span_mm(rows, row)?;
    let is_comparable = |other: &usize| {
        *other != row
            && self::span_mm(rows, *other).is_some_and(|other_mm| (other_mm - span_mm).abs() <= SAME_SHARE * span_mm)
    };
    let around = row.saturating_sub(JUMP_NEIGHBOURS)..(row + JUMP_NEIGHBOURS + 1).min(rows.len());
    let change = |row: usize| f64::from(rows[row].evidence.change_hu);
    let mut changes: Vec<f64> = around.filter(is_comparable).map(change).collect();
    if changes.len() < MIN_NEIGHBOURS {
        return None;
    }
    changes.sort_by(f64::total_cmp);
    let usual = f64::midpoint(changes[(changes.len() - 1) / 2], changes[changes.len() / 2]);
    (change(row) - usual >= MIN_EXCESS_HU && usual > 0.0).then(|| change(row) / usual)
}

/// How far the slabs below and above a row lie apart, mm; `None` at the ends, where the row's window has only two slabs, and
/// where one of the two is further away than the other.
fn span_mm(rows: &[TableRow<'_>], row: usize) -> Option<f64> {
    let (below, above) = (rows.get(row.checked_sub(1)?)?, rows.get(row + 1)?);
    let (down, up) = (rows[row].z_mm - below.z_mm, above.z_mm - rows[row].z_mm);
    let span = down + up;
    ((down - up).abs() <= SAME_SHARE * span).then_some(span)
}

#[cfg(test)]
mod tests {
    use super::super::evidence::SlabEvidence;
    use super::super::evidence::tests::{loose_rows, masks};
    use super::*;
    use crate::engine::ModelPackage;

    fn slab(change_hu: f32) -> SlabEvidence {
        SlabEvidence { change_hu, lung_cm2: 100.0, ..masks(4, &[], &[]) }
    }

    /// A change that rises and falls as it does from apex to base, 3 mm from slab to slab.
    fn chest() -> (Vec<SlabEvidence>, Vec<f64>) {
        let changes = (0..60).map(|at| 20.0 + 30.0 * (at as f32 / 60.0 * std::f32::consts::PI).sin());
        (changes.map(slab).collect(), (0..60).map(|at| f64::from(at) * 3.0).collect())
    }

    #[test]
    fn a_chest_has_no_jumps_and_one_that_jumps_has_one() {
        let (mut evidence, z_mm) = chest();
        assert_eq!(anatomy_jumps(&loose_rows(&evidence, &z_mm), 1.5), []);
        evidence[30].change_hu *= 2.0;
        evidence[31].change_hu *= 1.9;
        let found = anatomy_jumps(&loose_rows(&evidence, &z_mm), 1.5);
        assert_eq!(found.iter().map(|jump| jump.row).collect::<Vec<_>>(), [30]);
        assert!((1.8..2.1).contains(&found[0].times_usual), "{found:?}");
    }

    #[test]
    fn a_change_where_slabs_are_missing_or_without_lung_or_of_little_is_no_jump() {
        let (mut evidence, mut z_mm) = chest();
        evidence[30].change_hu *= 2.0;
        z_mm.iter_mut().skip(31).for_each(|z_mm| *z_mm += 9.0);
        assert_eq!(anatomy_jumps(&loose_rows(&evidence, &z_mm), 1.5), []);
        let (_, z_mm) = chest();
        evidence[30].lung_cm2 = 0.0;
        assert_eq!(anatomy_jumps(&loose_rows(&evidence, &z_mm), 1.5), []);
        let drawn: Vec<SlabEvidence> = (0..60).map(|at| slab(if at == 30 { 4.0 } else { 0.5 })).collect();
        assert_eq!(anatomy_jumps(&loose_rows(&drawn, &z_mm), 1.5), []);
    }

    #[test]
    fn no_table_is_too_short_to_be_looked_at() {
        let (evidence, z_mm) = chest();
        for len in 0..6 {
            assert_eq!(anatomy_jumps(&loose_rows(&evidence[..len], &z_mm[..len]), 1.5), []);
        }
    }

    #[test]
    fn the_change_is_that_of_the_outer_slabs_in_hounsfield_units() {
        let input = InputGeometry { rows: 2, columns: 2, ..ModelPackage::built_in().unwrap().manifest.input };
        let (below, middle, above) = ([0.5; 4], [0.9; 4], [0.5, 0.5, 0.6, 0.4]);
        let window = Window::of_slabs(&[&below, &middle, &above], &input);
        assert!((change_hu(&window, &input) - 65.0).abs() < 1e-3);
    }
}
