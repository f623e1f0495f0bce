//! Lesions: connected components of the slabs' lesion masks in three dimensions.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::evidence::{Mask, TableRow};
use crate::exam::{Lps, SlabIndex};
use crate::preprocess::InputGeometry;

/// Components smaller than this are noise of the segmentation and are not listed, ml.
pub const SMALLEST_LESION_ML: f64 = 0.1;

/// Slabs further apart than this are not connected: what lies between them was not seen, mm.
const MAX_CONNECTION_MM: f64 = 10.0;

/// A 3D connected lesion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Lesion {
    /// Volume, ml.
    pub volume_ml: f64,
    /// Mean Hounsfield units, clamped to the model's window.
    pub mean_hu: f64,
    pub side: Side,
    /// Centre of mass in LPS, mm.
    pub centre_mm: [f64; 3],
    /// Lowest and highest slab position, mm.
    pub z_mm: [f64; 2],
    /// The slab with the lesion's largest area.
    pub key_slab: SlabIndex,
}

/// The lung a lesion lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Left,
    Right,
}

/// Pixels of one row of one slab's mask that stand together.
struct Run {
    slab: usize,
    row: usize,
    columns: Range<usize>,
}

/// All lesions of at least [`SMALLEST_LESION_ML`], largest first. Pixels touch in their plane by side or corner, between
/// slabs by lying above each other. `plane_centre` is the patient's position of the plane's centre.
#[must_use]
pub fn lesions(table: &[TableRow<'_>], input: &InputGeometry, plane_centre: Lps) -> Vec<Lesion> {
    let runs: Vec<Run> = table.iter().enumerate().flat_map(|(slab, row)| runs_of(&row.evidence.lesion, slab)).collect();
    let mut sets = DisjointSets::new(runs.len());
    let rows = rows_of(&runs, table.len(), input.rows);
    for (at, run) in runs.iter().enumerate() {
        let widened = run.columns.start.saturating_sub(1)..run.columns.end + 1;
        if run.row > 0 {
            join_overlapping(&mut sets, &runs, at, &widened, rows[run.slab * input.rows + run.row - 1].clone());
        }
        if run.slab > 0 && table[run.slab].z_mm - table[run.slab - 1].z_mm <= MAX_CONNECTION_MM {
            join_overlapping(&mut sets, &runs, at, &run.columns, rows[(run.slab - 1) * input.rows + run.row].clone());
        }
    }
    measure(&runs, &mut sets, table, input, plane_centre)
}

fn runs_of(mask: &Mask, slab: usize) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for at in mask.pixels() {
        let (row, column) = (at / mask.columns(), at % mask.columns());
        match runs.last_mut() {
            Some(run) if run.row == row && run.columns.end == column => run.columns.end += 1,
            _ => runs.push(Run { slab, row, columns: column..column + 1 }),
        }
    }
    runs
}

/// For each row of each slab, which runs lie in it.
fn rows_of(runs: &[Run], slabs: usize, rows: usize) -> Vec<Range<usize>> {
    let mut ranges = vec![0..0; slabs * rows];
    for (at, run) in runs.iter().enumerate() {
        let range = &mut ranges[run.slab * rows + run.row];
        *range = if range.end == 0 { at..at + 1 } else { range.start..at + 1 };
    }
    ranges
}

fn join_overlapping(
    sets: &mut DisjointSets,
    runs: &[Run],
    at: usize,
    columns: &Range<usize>,
    candidates: Range<usize>,
) {
    for other in candidates {
        if runs[other].columns.start < columns.end && columns.start < runs[other].columns.end {
            sets.join(at, other);
        }
    }
}

/// Union-find with path halving; the smaller number is the root, so that roots come in order.
struct DisjointSets {
    parent: Vec<usize>,
}

impl DisjointSets {
    fn new(len: usize) -> Self {
        Self { parent: (0..len).collect() }
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.parent[at] != at {
            self.parent[at] = self.parent[self.parent[at]];
            at = self.parent[at];
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b);
    }
}

/// Sums over one component.
#[derive(Default)]
struct Sums {
    volume_ml: f64,
    hu_ml: f64,
    moment: [f64; 3],
    slabs: Vec<(usize, f64)>,
}

fn measure(
    runs: &[Run],
    sets: &mut DisjointSets,
    table: &[TableRow<'_>],
    input: &InputGeometry,
    plane_centre: Lps,
) -> Vec<Lesion> {
    let mut components: std::collections::BTreeMap<usize, Sums> = std::collections::BTreeMap::new();
    let mut hu = table.iter().map(|row| row.evidence.lesion_hu.iter()).collect::<Vec<_>>();
    for (at, run) in runs.iter().enumerate() {
        let row = &table[run.slab];
        let pixel_ml = input.pixel_cm2() * row.thickness_mm / 10.0;
        let sums = components.entry(sets.root(at)).or_default();
        let y_mm = plane_centre[1] + (run.row as f64 - (input.rows as f64 - 1.0) / 2.0) * input.pixel_mm;
        for (column, hu) in run.columns.clone().zip(&mut hu[run.slab]) {
            let x_mm = plane_centre[0] + (column as f64 - (input.columns as f64 - 1.0) / 2.0) * input.pixel_mm;
            sums.volume_ml += pixel_ml;
            sums.hu_ml += f64::from(*hu) * pixel_ml;
            for (moment, position) in sums.moment.iter_mut().zip([x_mm, y_mm, row.z_mm]) {
                *moment += position * pixel_ml;
            }
        }
        let area = run.columns.len() as f64;
        match sums.slabs.last_mut() {
            Some((slab, total)) if *slab == run.slab => *total += area,
            _ => sums.slabs.push((run.slab, area)),
        }
    }
    let middle_x_mm = lungs_middle_x_mm(table, input, plane_centre);
    let mut lesions: Vec<Lesion> = components
        .into_values()
        .filter(|sums| sums.volume_ml >= SMALLEST_LESION_ML)
        .filter_map(|sums| lesion(&sums, table, middle_x_mm))
        .collect();
    lesions.sort_by(|a, b| b.volume_ml.total_cmp(&a.volume_ml));
    lesions
}

fn lesion(sums: &Sums, table: &[TableRow<'_>], middle_x_mm: f64) -> Option<Lesion> {
    let centre_mm = sums.moment.map(|moment| moment / sums.volume_ml);
    let (first, last) = (sums.slabs.first()?.0, sums.slabs.last()?.0);
    let (key, _) = sums.slabs.iter().copied().reduce(|best, slab| if slab.1 > best.1 { slab } else { best })?;
    Some(Lesion {
        volume_ml: sums.volume_ml,
        mean_hu: sums.hu_ml / sums.volume_ml,
        side: if centre_mm[0] > middle_x_mm { Side::Left } else { Side::Right },
        centre_mm,
        z_mm: [table[first].z_mm, table[last].z_mm],
        key_slab: table[key].slab,
    })
}

/// Half way between the lungs' outermost pixels, x in mm: what lies further to the left belongs to the left lung.
fn lungs_middle_x_mm(table: &[TableRow<'_>], input: &InputGeometry, plane_centre: Lps) -> f64 {
    let columns = table.iter().flat_map(|row| row.evidence.lung.pixels().map(|at| at % input.columns));
    let (low, high) = columns.fold((usize::MAX, 0), |(low, high), column| (low.min(column), high.max(column)));
    let centre = (input.columns as f64 - 1.0) / 2.0;
    let middle = if low > high { centre } else { (low + high) as f64 / 2.0 };
    plane_centre[0] + (middle - centre) * input.pixel_mm
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::evidence::{SlabEvidence, thicknesses_mm};
    use super::*;
    use crate::engine::ModelPackage;

    const SIDE: usize = 12;

    fn input() -> InputGeometry {
        InputGeometry { rows: SIDE, columns: SIDE, pixel_mm: 10.0, ..ModelPackage::built_in().unwrap().manifest.input }
    }

    fn evidence(pixels: &[usize]) -> SlabEvidence {
        let lesion = Mask::from_fn(SIDE, SIDE, |at| pixels.contains(&at));
        let lung = Mask::from_fn(SIDE, SIDE, |_| true);
        let lesion_hu = lesion.pixels().map(|at| -(at as f32)).collect();
        SlabEvidence { attention: 0.0, logit: 0.0, lung_cm2: 1.0, lesion_cm2: 1.0, lung, lesion, lesion_hu }
    }

    fn table<'a>(slabs: &'a [SlabEvidence], z_mm: &[f64]) -> Vec<TableRow<'a>> {
        let rows = z_mm.iter().zip(thicknesses_mm(z_mm)).zip(slabs).enumerate();
        rows.map(|(at, ((z_mm, thickness_mm), evidence))| TableRow {
            slab: SlabIndex(at as i64),
            z_mm: *z_mm,
            thickness_mm,
            evidence,
        })
        .collect()
    }

    #[test]
    fn volume_density_place_and_side_are_those_of_the_drawn_lesion() {
        let slabs = [evidence(&[]), evidence(&[14, 15]), evidence(&[14, 15, 27]), evidence(&[])];
        let found = lesions(&table(&slabs, &[0.0, 3.0, 6.0, 9.0]), &input(), [100.0, 0.0, 0.0]);
        assert_eq!(found.len(), 1);
        assert!((found[0].volume_ml - 5.0 * 1.0 * 0.3).abs() < 1e-9, "{}", found[0].volume_ml);
        assert!((found[0].mean_hu - -(14.0 + 15.0 + 14.0 + 15.0 + 27.0) / 5.0).abs() < 1e-6);
        assert_eq!(found[0].side, Side::Right);
        assert_eq!(found[0].z_mm, [3.0, 6.0]);
        assert_eq!(found[0].key_slab, SlabIndex(2));
    }

    #[test]
    fn a_gap_in_the_scan_parts_a_lesion() {
        let slabs = [evidence(&[14]), evidence(&[14])];
        assert_eq!(lesions(&table(&slabs, &[0.0, 3.0]), &input(), [0.0; 3]).len(), 1);
        assert_eq!(lesions(&table(&slabs, &[0.0, 30.0]), &input(), [0.0; 3]).len(), 2);
    }

    /// Flood fill over the whole volume, the slow and obvious way.
    fn component_sizes_by_flood_fill(slabs: &[Vec<usize>]) -> Vec<usize> {
        let is_set = |slab: usize, at: usize| slabs[slab].contains(&at);
        let mut seen = std::collections::BTreeSet::new();
        let mut sizes = Vec::new();
        for slab in 0..slabs.len() {
            for at in 0..SIDE * SIDE {
                let mut stack = vec![(slab, at)];
                let mut size = 0;
                while let Some((slab, at)) = stack.pop() {
                    if !is_set(slab, at) || !seen.insert((slab, at)) {
                        continue;
                    }
                    size += 1;
                    let (row, column) = ((at / SIDE) as i64, (at % SIDE) as i64);
                    for (down, right) in [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)] {
                        let (row, column) = (row + down, column + right);
                        if (0..SIDE as i64).contains(&row) && (0..SIDE as i64).contains(&column) {
                            stack.push((slab, (row * SIDE as i64 + column) as usize));
                        }
                    }
                    if slab > 0 {
                        stack.push((slab - 1, at));
                    }
                    if slab + 1 < slabs.len() {
                        stack.push((slab + 1, at));
                    }
                }
                if size > 0 {
                    sizes.push(size);
                }
            }
        }
        sizes.sort_unstable();
        sizes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn components_equal_those_of_a_flood_fill(
            slabs in prop::collection::vec(prop::collection::vec(0..SIDE * SIDE, 0..60), 2..5)
        ) {
            let drawn: Vec<SlabEvidence> = slabs.iter().map(|pixels| evidence(pixels)).collect();
            let z_mm: Vec<f64> = (0..slabs.len()).map(|at| at as f64 * 10.0).collect();
            let found = lesions(&table(&drawn, &z_mm), &input(), [0.0; 3]);
            let mut sizes: Vec<usize> = found.iter().map(|lesion| lesion.volume_ml.round() as usize).collect();
            sizes.sort_unstable();
            prop_assert_eq!(sizes, component_sizes_by_flood_fill(&slabs));
        }
    }
}
