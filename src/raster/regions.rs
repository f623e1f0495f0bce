//! Connected components, slab by slab: the pieces of one mask, whose pixels touch by side or corner, and the components
//! of a stack of masks, whose pieces touch by lying above each other. A slab that changes costs its own pieces and its
//! contacts with the slabs below and above; the components are then a fold over pieces, in slab order.

use std::ops::Range;

use super::Mask;

/// Slabs further apart than this are not connected: what lies between them was not seen, mm.
const MAX_CONNECTION_MM: f64 = 10.0;

/// Pixels of one row of a mask that stand together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub row: usize,
    pub columns: Range<usize>,
    /// The piece that they belong to.
    pub piece: usize,
}

/// The connected pieces of one mask, numbered in the order of their first pixels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pieces {
    runs: Vec<Run>,
    sizes: Vec<usize>,
}

impl Pieces {
    /// The pieces of a mask.
    #[must_use]
    pub fn of(mask: &Mask) -> Self {
        let mut runs = runs_of(mask);
        let mut sets = DisjointSets::new(runs.len());
        find_contacts(&runs, &runs, Neighbours::InPlane, |above, below| sets.join(above, below));
        let mut sizes: Vec<usize> = Vec::new();
        for at in 0..runs.len() {
            // A root comes before all others of its set.
            let root = sets.root(at);
            let piece = if root == at { sizes.len() } else { runs[root].piece };
            if piece == sizes.len() {
                sizes.push(0);
            }
            sizes[piece] += runs[at].columns.len();
            runs[at].piece = piece;
        }
        Self { runs, sizes }
    }

    /// All runs in order of row and column.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// How many pixels each piece has.
    #[must_use]
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// The piece that a pixel belongs to.
    #[must_use]
    pub fn piece_at(&self, row: usize, column: usize) -> Option<usize> {
        let after = self.runs.partition_point(|run| (run.row, run.columns.start) <= (row, column));
        let run = self.runs.get(after.checked_sub(1)?)?;
        (run.row == row && run.columns.contains(&column)).then_some(run.piece)
    }

    /// Which pieces of the slab below touch which of this one, each pair once.
    #[must_use]
    pub fn contacts_with(&self, below: &Self) -> Vec<Contact> {
        let mut contacts = Vec::new();
        find_contacts(&below.runs, &self.runs, Neighbours::Above, |lower, upper| {
            contacts.push(Contact { below: below.runs[lower].piece, above: self.runs[upper].piece });
        });
        contacts.sort_unstable();
        contacts.dedup();
        contacts
    }
}

/// Two pieces of neighbouring slabs that touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contact {
    pub below: usize,
    pub above: usize,
}

/// One slab of a stack.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    pub z_mm: f64,
    /// How many pieces it has.
    pub pieces: usize,
    /// With the layer below it in the stack.
    pub contacts: &'a [Contact],
}

/// A piece in a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PieceAt {
    /// Number of its slab in the stack.
    pub slab: usize,
    pub piece: usize,
}

/// The components of a stack in ascending z, each as its pieces in order of slab and number.
#[must_use]
pub fn components(stack: &[Layer<'_>]) -> Vec<Vec<PieceAt>> {
    let mut firsts = Vec::with_capacity(stack.len());
    let mut pieces = 0;
    for layer in stack {
        firsts.push(pieces);
        pieces += layer.pieces;
    }
    let mut sets = DisjointSets::new(pieces);
    for (slab, pair) in stack.windows(2).enumerate() {
        if pair[1].z_mm - pair[0].z_mm <= MAX_CONNECTION_MM {
            pair[1].contacts.iter().for_each(|contact| {
                sets.join(firsts[slab] + contact.below, firsts[slab + 1] + contact.above);
            });
        }
    }
    let mut components: Vec<Vec<PieceAt>> = Vec::new();
    let mut component_of = vec![0; pieces];
    let all =
        stack.iter().enumerate().flat_map(|(slab, layer)| (0..layer.pieces).map(move |piece| PieceAt { slab, piece }));
    for (at, piece) in all.enumerate() {
        let root = sets.root(at);
        if root == at {
            component_of[at] = components.len();
            components.push(Vec::new());
        }
        components[component_of[root]].push(piece);
    }
    components
}

/// The pieces of each of these masks, in ascending z, and the components that they make.
#[must_use]
pub fn label(masks: &[Mask], z_mm: &[f64]) -> (Vec<Pieces>, Vec<Vec<PieceAt>>) {
    let pieces: Vec<Pieces> = masks.iter().map(Pieces::of).collect();
    let contacts = pieces.windows(2).map(|pair| pair[1].contacts_with(&pair[0]));
    let contacts: Vec<Vec<Contact>> = std::iter::once(Vec::new()).chain(contacts).collect();
    let layers = pieces.iter().zip(&contacts).zip(z_mm);
    let stack: Vec<Layer<'_>> =
        layers.map(|((pieces, contacts), z_mm)| Layer { z_mm: *z_mm, pieces: pieces.sizes.len(), contacts }).collect();
    let components = components(&stack);
    (pieces, components)
}

fn runs_of(mask: &Mask) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for at in mask.pixels() {
        let (row, column) = (at / mask.columns(), at % mask.columns());
        match runs.last_mut() {
            Some(run) if run.row == row && run.columns.end == column => run.columns.end += 1,
            _ => runs.push(Run { row, columns: column..column + 1, piece: 0 }),
        }
    }
    runs
}

/// Which runs can touch.
#[derive(Clone, Copy)]
enum Neighbours {
    /// Those of one row and the next, by side or corner.
    InPlane,
    /// Those of the same row of two slabs.
    Above,
}

/// Finds all pairs of runs that touch, in one walk along both lists.
fn find_contacts(first: &[Run], second: &[Run], neighbours: Neighbours, mut found: impl FnMut(usize, usize)) {
    let (down, reach) = match neighbours {
        Neighbours::InPlane => (1, 1),
        Neighbours::Above => (0, 0),
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
        let (pieces, found) = label(&masks, &z_mm);
        let size = |at: &PieceAt| pieces[at.slab].sizes()[at.piece];
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
    fn a_pixel_tells_its_piece() {
        let pieces = Pieces::of(&Mask::from_pixels(SIDE, SIDE, [0, 1, 13, 5, 40]));
        assert_eq!(pieces.sizes(), [3, 1, 1]);
        let at = |pixel: usize| pieces.piece_at(pixel / SIDE, pixel % SIDE);
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
