//! Connected components, slab by slab: the regions of one mask, whose pixels touch by side or corner, and the components
//! of a stack of masks, whose regions touch by lying above each other. A slab that changes costs its own regions and its
//! adjacencies with the slabs below and above; the components are then a fold over regions, in slab order.

use std::ops::Range;

use super::Mask;

/// Slabs further apart than this are not connected: what lies between them was not seen, mm.
const MAX_CONNECTION_MM: f64 = 10.0;

/// Pixels of one row of a mask that stand together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PixelRun {
    pub row: usize,
    pub columns: Range<usize>,
    /// The region that they belong to.
    pub region: usize,
}

/// The connected regions of one mask, numbered in the order of their first pixels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Regions {
    runs: Vec<PixelRun>,
    sizes: Vec<usize>,
}

impl Regions {
    /// The regions of a mask.
    #[must_use]
    pub fn of(mask: &Mask) -> Self {
        let mut runs = runs_of(mask);
        let mut sets = DisjointSets::new(runs.len());
        find_adjacent(&runs, &runs, Between::InPlane, |above, below| sets.join(above, below));
        let mut sizes: Vec<usize> = Vec::new();
        for at in 0..runs.len() {
            // A root comes before all others of its set.
            let root = sets.root(at);
            let region = if root == at { sizes.len() } else { runs[root].region };
            if region == sizes.len() {
                sizes.push(0);
            }
            sizes[region] += runs[at].columns.len();
            runs[at].region = region;
        }
        Self { runs, sizes }
    }

    /// All runs in order of row and column.
    #[must_use]
    pub fn runs(&self) -> &[PixelRun] {
        &self.runs
    }

    /// How many pixels each region has.
    #[must_use]
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// The region that a pixel belongs to.
    #[must_use]
    pub fn region_at(&self, row: usize, column: usize) -> Option<usize> {
        let after = self.runs.partition_point(|run| (run.row, run.columns.start) <= (row, column));
        let run = self.runs.get(after.checked_sub(1)?)?;
        (run.row == row && run.columns.contains(&column)).then_some(run.region)
    }

    /// Which regions of the slab below touch which of this one, each pair once.
    #[must_use]
    pub fn adjacencies_with(&self, below: &Self) -> Vec<Adjacency> {
        let mut adjacencies = Vec::new();
        find_adjacent(&below.runs, &self.runs, Between::Above, |lower, upper| {
            adjacencies.push(Adjacency { below: below.runs[lower].region, above: self.runs[upper].region });
        });
        adjacencies.sort_unstable();
        adjacencies.dedup();
        adjacencies
    }
}

/// Two regions of neighbouring slabs that touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Adjacency {
    pub below: usize,
    pub above: usize,
}

/// One slab of a stack.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    pub z_mm: f64,
    /// How many regions it has.
    pub regions: usize,
    /// With the layer below it in the stack.
    pub adjacencies: &'a [Adjacency],
}

/// A region in a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegionAt {
    /// Number of its slab in the stack.
    pub slab: usize,
    pub region: usize,
}

/// The components of a stack in ascending z, each as its regions in order of slab and number.
#[must_use]
pub fn components(stack: &[Layer<'_>]) -> Vec<Vec<RegionAt>> {
    let mut firsts = Vec::with_capacity(stack.len());
    let mut regions = 0;
    for layer in stack {
        firsts.push(regions);
        regions += layer.regions;
    }
    let mut sets = DisjointSets::new(regions);
    for (slab, pair) in stack.windows(2).enumerate() {
        if pair[1].z_mm - pair[0].z_mm <= MAX_CONNECTION_MM {
            pair[1].adjacencies.iter().for_each(|adjacency| {
                sets.join(firsts[slab] + adjacency.below, firsts[slab + 1] + adjacency.above);
            });
        }
    }
    let mut components: Vec<Vec<RegionAt>> = Vec::new();
    let mut component_of = vec![0; regions];
    let all = stack
        .iter()
        .enumerate()
        .flat_map(|(slab, layer)| (0..layer.regions).map(move |region| RegionAt { slab, region }));
    for (at, region) in all.enumerate() {
        let root = sets.root(at);
        if root == at {
            component_of[at] = components.len();
            components.push(Vec::new());
        }
        components[component_of[root]].push(region);
    }
    components
}

/// The regions of each of these masks, in ascending z, and the components that they make.
#[must_use]
pub(crate) fn label(masks: &[Mask], z_mm: &[f64]) -> (Vec<Regions>, Vec<Vec<RegionAt>>) {
    let regions: Vec<Regions> = masks.iter().map(Regions::of).collect();
    let adjacencies = regions.windows(2).map(|pair| pair[1].adjacencies_with(&pair[0]));
    let adjacencies: Vec<Vec<Adjacency>> = std::iter::once(Vec::new()).chain(adjacencies).collect();
    let layers = regions.iter().zip(&adjacencies).zip(z_mm);
    let stack: Vec<Layer<'_>> = layers
        .map(|((regions, adjacencies), z_mm)| Layer { z_mm: *z_mm, regions: regions.sizes.len(), adjacencies })
        .collect();
    let components = components(&stack);
    (regions, components)
}

fn runs_of(mask: &Mask) -> Vec<PixelRun> {
    let mut runs: Vec<PixelRun> = Vec::new();
    for at in mask.pixels() {
        let (row, column) = (at / mask.columns(), at % mask.columns());
        match runs.last_mut() {
            Some(run) if run.row == row && run.columns.end == column => run.columns.end += 1,
            _ => runs.push(PixelRun { row, columns: column..column + 1, region: 0 }),
        }
    }
    runs
}

/// Which runs can touch.
#[derive(Clone, Copy)]
enum Between {
    /// Those of one row and the next, by side or corner.
    InPlane,
    /// Those of the same row of two slabs.
    Above,
}

/// Finds all pairs of runs that touch, in one walk along both lists.
fn find_adjacent(first: &[PixelRun], second: &[PixelRun], between: Between, mut found: impl FnMut(usize, usize)) {
    let (down, reach) = match between {
        Between::InPlane => (1, 1),
        Between::Above => (0, 0),
    };
    let (mut i, mut j) = (0, 0);
    while let (Some(one), Some(other)) = (first.get(i), second.get(j)) {
        let row = one.row + down;
        if row == other.row
            && one.columns.start < other.columns.end + reach
            && other.columns.start < one.columns.end + reach
        {
            found(i, j);
        }
        // The run that ends first has met all that it touches: between runs of a row there is a pixel at least.
        if (row, one.columns.end) <= (other.row, other.columns.end) {
            i += 1;
        } else {
            j += 1;
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
        let (regions, found) = label(&masks, &z_mm);
        let size = |at: &RegionAt| regions[at.slab].sizes()[at.region];
        let mut sizes: Vec<usize> = found.iter().map(|component| component.iter().map(size).sum()).collect();
        sizes.sort_unstable();
        sizes
    }

    #[test]
    fn a_gap_in_the_scan_parts_a_component() {
        assert_eq!(sizes(&[vec![14], vec![14]], 3.0), [2]);
        assert_eq!(sizes(&[vec![14], vec![14]], 30.0), [1, 1]);
    }

    #[test]
    fn a_pixel_tells_its_region() {
        let regions = Regions::of(&Mask::from_pixels(SIDE, SIDE, [0, 1, 13, 5, 40]));
        assert_eq!(regions.sizes(), [3, 1, 1]);
        let at = |pixel: usize| regions.region_at(pixel / SIDE, pixel % SIDE);
        assert_eq!([at(0), at(13), at(5), at(40)], [Some(0), Some(0), Some(1), Some(2)]);
        assert_eq!([at(2), at(12), at(39), at(41)], [None; 4]);
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
