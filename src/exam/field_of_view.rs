//! Whether the field of view cuts the lungs: where an image ends within the chest, lung lies at its border between walls of the
//! chest. What else measures like lung there has air at its sides, as a blanket has, or shells and brackets, as a table's core has.

use crate::preprocess::{InputGeometry, Plane};

/// What aerated lung measures once it is averaged with its neighbours, HU.
const LUNG_HU: std::ops::RangeInclusive<f32> = -970.0..=-400.0;

/// What is denser is tissue, HU.
const TISSUE_HU: f32 = -400.0;

/// A wall of the chest is part of a body: of tissue that is so thick, pixels, and whose inside has such an area, cm². A table's shells
/// are thinner, its brackets smaller.
const WALL_PIXELS: usize = 5;
const LEAST_BODY_CM2: f64 = 8.0;

/// So much lung lies behind its border, cm²; cloth between an arm and the chest is less.
const LEAST_LUNG_CM2: f64 = 25.0;

/// Air that nothing was measured in has one value, none above this, HU; the window's lower end counts as such anyway.
const EMPTY_HU: f32 = -900.0;

/// So many of the eight around a pixel have its value where nothing was measured, also beside what was.
const MOST_AROUND: usize = 5;

/// So far from an image's end pixels are mixed with what is beyond it.
const MIXED_PIXELS: usize = 2;

/// Values within so many steps of each other are one value, resampled.
const SAME_STEPS: u16 = 2;

/// Lung shorter than this at the border may be anything, pixels of the border.
const FEWEST_PIXELS: usize = 10;

/// Pixels from the border: the first one is mixed with what lies outside, the second and the third show what is there.
const LOOKED_AT: u8 = 2;
const BEHIND: u8 = 3;

/// What measures like lung at a slice's border, between walls. Whether it is lung the network says: a table that touches the
/// body has walls too.
#[derive(Debug, Clone, PartialEq)]
pub struct CutRegion {
    /// How much of the image's border, or of the plane's if that comes first, runs through it, mm.
    pub border_mm: f64,
    /// The pixels that hang together with the border there, 64 a word as in a mask.
    pub words: Vec<u64>,
}

/// What of the slice may be lung that the field of view cuts.
#[must_use]
pub fn cut_region(plane: &Plane, input: &InputGeometry) -> Option<CutRegion> {
    let grid = Grid { rows: input.rows, columns: input.columns };
    let depth = grid.depth_below_border(plane, input);
    let hounsfield: Vec<f32> = plane.values().map(|value| input.hounsfield(value)).collect();
    // Single pixels of lung are noisy.
    let smooth = |at: usize| {
        let near = grid.around(at).chain([at]).filter(|near| depth[*near] >= LOOKED_AT);
        let (sum, count) = near.fold((0.0, 0.0), |(sum, count), near| (sum + hounsfield[near], count + 1.0));
        sum / count
    };
    let border: Vec<usize> = (0..depth.len()).filter(|at| depth[*at] == LOOKED_AT).collect();
    let mut kind = vec![Kind::Elsewhere; depth.len()];
    for at in &border {
        let hu = smooth(*at);
        let is_tissue = |near: usize, of_depth: u8| depth[near] == of_depth && hounsfield[near] > TISSUE_HU;
        let has_lung_behind = grid.around(*at).any(|near| depth[near] == BEHIND && LUNG_HU.contains(&hounsfield[near]));
        let has_wall = grid.around(*at).any(|near| is_tissue(near, LOOKED_AT - 1));
        kind[*at] = match hu {
            hu if hu > TISSUE_HU => Kind::Tissue,
            hu if LUNG_HU.contains(&hu) && has_lung_behind && !has_wall => Kind::Lung,
            hu if LUNG_HU.contains(&hu) => Kind::Elsewhere,
            _ => Kind::Air,
        };
    }
    let mut pieces: Vec<Vec<usize>> = border.into_iter().map(|start| grid.take_piece(start, &mut kind)).collect();
    pieces.retain(|piece| piece.len() >= FEWEST_PIXELS);
    if pieces.is_empty() {
        return None;
    }
    let pixels_of = |cm2: f64| (cm2 / input.pixel_cm2()) as usize;
    let walls = grid.walls(&hounsfield, pixels_of(LEAST_BODY_CM2));
    let (mut pixels, mut words) = (0, vec![0_u64; depth.len().div_ceil(64)]);
    for piece in pieces.iter().filter(|piece| grid.lies_between_walls(piece, &kind, &walls)) {
        let region = grid.lung_behind(piece, &hounsfield);
        if region.len() >= pixels_of(LEAST_LUNG_CM2) {
            pixels += piece.len();
            for at in region {
                words[at / 64] |= 1 << (at % 64);
            }
        }
    }
    (pixels > 0).then_some(CutRegion { border_mm: pixels as f64 * input.pixel_mm, words })
}

/// What a pixel beside the border shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lung,
    Tissue,
    Air,
    /// Lung that belongs to a piece that has been looked at.
    Seen,
    Elsewhere,
}

struct Grid {
    rows: usize,
    columns: usize,
}

impl Grid {
    /// The pixels around one, corners included.
    fn around(&self, at: usize) -> impl Iterator<Item = usize> + use<> {
        self.within(1, at)
    }

    /// The pixels so near to one, corners included.
    fn within(&self, reach: usize, at: usize) -> impl Iterator<Item = usize> + use<> {
        let (row, column, columns) = (at / self.columns, at % self.columns, self.columns);
        let (last_row, last_column) = (self.rows - 1, self.columns - 1);
        let rows = row.saturating_sub(reach)..=(row + reach).min(last_row);
        rows.flat_map(move |row| {
            (column.saturating_sub(reach)..=(column + reach).min(last_column)).map(move |column| row * columns + column)
        })
        .filter(move |near| *near != at)
    }

    /// The pixels that are taken, from these on over those around each. Whoever takes a pixel takes it once.
    fn reached(&self, mut to_visit: Vec<usize>, mut takes: impl FnMut(usize) -> bool) -> Vec<usize> {
        let mut piece = Vec::new();
        while let Some(at) = to_visit.pop() {
            if takes(at) {
                piece.push(at);
                to_visit.extend(self.around(at));
            }
        }
        piece
    }

    fn is_at_edge(&self, at: usize) -> bool {
        let (row, column) = (at / self.columns, at % self.columns);
        row == 0 || column == 0 || row + 1 == self.rows || column + 1 == self.columns
    }

    /// Where nothing was measured: what hangs together with the plane's edge and has one value, that of air or less; and the pixels
    /// beside it.
    fn empty(&self, plane: &Plane, input: &InputGeometry) -> (Vec<bool>, Vec<usize>) {
        let steps = plane.steps();
        let [low, high] = input.hu_window;
        let most = ((EMPTY_HU - low) / (high - low) * f32::from(u16::MAX)).max(0.0) as u16;
        let has_one_value = |at: usize| {
            self.around(at).filter(|near| steps[*near].abs_diff(steps[at]) <= SAME_STEPS).count() >= MOST_AROUND
        };
        // Where an image ends its outermost pixels are mixed with nothing at all.
        let is_nothing = |at: usize| self.is_at_edge(at) || steps[at] <= SAME_STEPS;
        let is_mixed = |at: usize| self.within(MIXED_PIXELS, at).any(is_nothing);
        let is_empty = |at: usize| steps[at] <= most && (steps[at] <= SAME_STEPS || has_one_value(at) || is_mixed(at));
        let (mut empty, mut seen) = (vec![false; steps.len()], vec![false; steps.len()]);
        let mut beside = Vec::new();
        let mut to_visit: Vec<usize> = (0..steps.len()).filter(|at| self.is_at_edge(*at)).collect();
        while let Some(at) = to_visit.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            if is_empty(at) {
                empty[at] = true;
                to_visit.extend(self.around(at).filter(|near| !seen[*near]));
            } else {
                beside.push(at);
            }
        }
        (empty, beside)
    }

    /// How many pixels each lies from what is empty or outside the plane, 0 for what is empty, no more than one beyond [`BEHIND`].
    fn depth_below_border(&self, plane: &Plane, input: &InputGeometry) -> Vec<u8> {
        let (empty, mut front) = self.empty(plane, input);
        let mut depth: Vec<u8> = empty.iter().map(|empty| if *empty { 0 } else { BEHIND + 1 }).collect();
        for of_front in 1..=BEHIND {
            for at in &front {
                depth[*at] = of_front;
            }
            let mut next: Vec<usize> =
                front.iter().flat_map(|at| self.around(*at)).filter(|near| depth[*near] > BEHIND).collect();
            next.sort_unstable();
            next.dedup();
            front = next;
        }
        depth
    }

    /// The lung along the border that hangs together with this pixel; nothing where it is none or has been taken.
    fn take_piece(&self, start: usize, kind: &mut [Kind]) -> Vec<usize> {
        self.reached(vec![start], |at| {
            let is_lung = kind[at] == Kind::Lung;
            if is_lung {
                kind[at] = Kind::Seen;
            }
            is_lung
        })
    }

    /// The inside of what is large and thick enough for a body.
    fn walls(&self, hounsfield: &[f32], least: usize) -> Vec<bool> {
        let is_inside =
            |at: usize| self.within(WALL_PIXELS / 2, at).chain([at]).all(|near| hounsfield[near] > TISSUE_HU);
        let mut left: Vec<bool> = (0..hounsfield.len()).map(is_inside).collect();
        let mut walls = vec![false; left.len()];
        for start in 0..left.len() {
            let piece = self.reached(vec![start], |at| std::mem::replace(&mut left[at], false));
            if piece.len() >= least {
                for at in piece {
                    walls[at] = true;
                }
            }
        }
        walls
    }

    /// The lung that hangs together with the piece.
    fn lung_behind(&self, piece: &[usize], hounsfield: &[f32]) -> Vec<usize> {
        let mut is_left: Vec<bool> = hounsfield.iter().map(|hu| LUNG_HU.contains(hu)).collect();
        self.reached(piece.to_vec(), |at| std::mem::replace(&mut is_left[at], false))
    }

    /// Whether the border goes on with walls of the chest at the piece's ends, and nowhere with air.
    fn lies_between_walls(&self, piece: &[usize], kind: &[Kind], walls: &[bool]) -> bool {
        let beside = |wanted: Kind, reach: usize| {
            let mut found: Vec<usize> =
                piece.iter().flat_map(|at| self.within(reach, *at)).filter(|near| kind[*near] == wanted).collect();
            found.sort_unstable();
            found.dedup();
            found
        };
        let (mut tissue, air) = (beside(Kind::Tissue, WALL_PIXELS - 1), beside(Kind::Air, 1));
        tissue.retain(|at| self.within(WALL_PIXELS - 1, *at).any(|near| walls[near]));
        let apart = |one: &usize, other: &usize| {
            (one / self.columns).abs_diff(other / self.columns).max((one % self.columns).abs_diff(other % self.columns))
        };
        let has_two_ends = tissue.iter().any(|one| tissue.iter().any(|other| apart(one, other) >= FEWEST_PIXELS));
        has_two_ends && air.len() * 3 <= tissue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ModelPackage;
    use crate::preprocess::{HounsfieldImage, InPlane, SourceAxis};

    fn input() -> InputGeometry {
        ModelPackage::built_in().unwrap().manifest.input
    }

    /// A chest of 300 x 200 mm with two lungs on a mattress, in an image of 1 mm pixels that shows these columns and rows, mm from
    /// the chest's middle.
    fn chest(columns_mm: std::ops::Range<i32>, rows_mm: std::ops::Range<i32>, outside_hu: f32) -> f64 {
        let inside = |x: f64, y: f64, half: [f64; 2], middle: f64| {
            ((x - middle) / half[0]).powi(2) + (y / half[1]).powi(2) < 1.0
        };
        let hu = |x: f64, y: f64| match () {
            () if inside(x, y, [55.0, 75.0], -72.0) || inside(x, y, [55.0, 75.0], 72.0) => -850.0,
            () if inside(x, y, [150.0, 100.0], 0.0) => 40.0,
            () if (104.0..107.0).contains(&y) || (133.0..136.0).contains(&y) => 60.0,
            () if (104.0..136.0).contains(&y) && x.abs() % 60.0 < 15.0 => 60.0,
            () if (107.0..133.0).contains(&y) => -880.0,
            () => -1000.0 + ((x * 7.0 + y * 13.0) % 5.0) as f32 * 8.0,
        };
        let side = 380;
        let values = (0..side * side).map(|at| {
            let (x, y) = (at % side - 190, at / side - 190);
            if columns_mm.contains(&x) && rows_mm.contains(&y) { hu(f64::from(x), f64::from(y)) } else { outside_hu }
        });
        let image = HounsfieldImage { rows: side as usize, columns: side as usize, values: values.collect() };
        let axis = |along_columns| SourceAxis { along_columns, reversed: false, spacing_mm: 1.0, offset_mm: 0.0 };
        let plane = Plane::resample(&image, &InPlane { x: axis(true), y: axis(false) }, &input());
        cut_region(&plane, &input()).map_or(0.0, |region| region.border_mm)
    }

    #[test]
    fn a_field_that_holds_the_chest_cuts_nothing_whatever_lies_at_its_border() {
        for outside_hu in [-1024.0, -3024.0, -1000.0] {
            assert_eq!(chest(-190..190, -190..190, outside_hu), 0.0);
            assert_eq!(chest(-160..160, -115..118, outside_hu), 0.0, "the table reaches the border");
            assert_eq!(chest(-140..140, -96..96, outside_hu), 0.0, "skin and muscle do");
        }
    }

    #[test]
    fn a_field_that_ends_within_a_lung_is_found_on_each_side() {
        for outside_hu in [-1024.0, -3024.0, -1000.0] {
            for (columns, rows) in
                [(-190..190, -20..190), (-190..190, -190..30), (-80..190, -190..190), (-190..90, -190..190)]
            {
                let cut_mm = chest(columns.clone(), rows.clone(), outside_hu);
                assert!(cut_mm > 60.0, "{columns:?} {rows:?} beside {outside_hu} HU: {cut_mm}");
            }
        }
    }
}
