//! Connected components of a stack of masks. Pixels touch in their plane by side or corner, between neighbouring slabs by
//! lying above each other.

use std::ops::Range;

use super::evidence::Mask;

/// Slabs further apart than this are not connected: what lies between them was not seen, mm.
const MAX_CONNECTION_MM: f64 = 10.0;

/// Pixels of one row of one slab's mask that stand together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Number of the slab in the stack, ascending z.
    pub slab: usize,
    pub row: usize,
    pub columns: Range<usize>,
}

/// The components of a stack, each as its runs in order of slab, row and column. `z_mm` are the masks' positions.
pub fn components(masks: &[&Mask], z_mm: &[f64]) -> Vec<Vec<Run>> {
    let runs: Vec<Run> = masks.iter().enumerate().flat_map(|(slab, mask)| runs_of(mask, slab)).collect();
    let rows = masks.first().map_or(0, |mask| mask.rows());
    let runs_in = runs_by_row(&runs, masks.len(), rows);
    let mut sets = DisjointSets::new(runs.len());
    for (at, run) in runs.iter().enumerate() {
        if run.row > 0 {
            let widened = run.columns.start.saturating_sub(1)..run.columns.end + 1;
            join_overlapping(&mut sets, &runs, at, &widened, runs_in[run.slab * rows + run.row - 1].clone());
        }
        if run.slab > 0 && z_mm[run.slab] - z_mm[run.slab - 1] <= MAX_CONNECTION_MM {
            join_overlapping(&mut sets, &runs, at, &run.columns, runs_in[(run.slab - 1) * rows + run.row].clone());
        }
    }
    let mut components: std::collections::BTreeMap<usize, Vec<Run>> = std::collections::BTreeMap::new();
    for (at, run) in runs.into_iter().enumerate() {
        components.entry(sets.root(at)).or_default().push(run);
    }
    components.into_values().collect()
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
fn runs_by_row(runs: &[Run], slabs: usize, rows: usize) -> Vec<Range<usize>> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIDE: usize = 12;

    fn sizes(slabs: &[Vec<usize>], distance_mm: f64) -> Vec<usize> {
        let masks: Vec<Mask> =
            slabs.iter().map(|pixels| Mask::from_fn(SIDE, SIDE, |at| pixels.contains(&at))).collect();
        let z_mm: Vec<f64> = (0..slabs.len()).map(|at| at as f64 * distance_mm).collect();
        let found = components(&masks.iter().collect::<Vec<_>>(), &z_mm);
        let mut sizes: Vec<usize> = found.iter().map(|runs| runs.iter().map(|run| run.columns.len()).sum()).collect();
        sizes.sort_unstable();
        sizes
    }

    #[test]
    fn a_gap_in_the_scan_parts_a_component() {
        assert_eq!(sizes(&[vec![14], vec![14]], 3.0), [2]);
        assert_eq!(sizes(&[vec![14], vec![14]], 30.0), [1, 1]);
    }

    /// Flood fill over the whole volume, the slow and obvious way.
    fn sizes_by_flood_fill(slabs: &[Vec<usize>]) -> Vec<usize> {
        let side = SIDE as i64;
        let mut seen = std::collections::BTreeSet::new();
        let mut sizes = Vec::new();
        for start in (0..slabs.len()).flat_map(|slab| (0..SIDE * SIDE).map(move |at| (slab, at))) {
            let mut stack = vec![start];
            let mut pixels = 0;
            while let Some((slab, at)) = stack.pop() {
                if !slabs[slab].contains(&at) || !seen.insert((slab, at)) {
                    continue;
                }
                pixels += 1;
                let (row, column) = ((at / SIDE) as i64, (at % SIDE) as i64);
                for (row, column) in
                    (row - 1..=row + 1).flat_map(|row| (column - 1..=column + 1).map(move |c| (row, c)))
                {
                    if (0..side).contains(&row) && (0..side).contains(&column) {
                        stack.push((slab, (row * side + column) as usize));
                    }
                }
                stack.extend(slab.checked_sub(1).map(|below| (below, at)));
                stack.extend((slab + 1 < slabs.len()).then_some((slab + 1, at)));
            }
            sizes.extend((pixels > 0).then_some(pixels));
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
            let slabs: Vec<Vec<usize>> = slabs
                .into_iter()
                .map(|pixels| pixels.into_iter().collect::<std::collections::BTreeSet<_>>().into_iter().collect())
                .collect();
            prop_assert_eq!(sizes(&slabs, 10.0), sizes_by_flood_fill(&slabs));
        }
    }
}
