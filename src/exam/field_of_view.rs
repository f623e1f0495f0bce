//! Whether the field of view cuts the lungs: where an image ends within the chest, lung lies at its border between walls of the
//! chest. What else measures like lung there has air at its sides, as a blanket has, or shells and brackets, as a table's core has.

use crate::preprocess::{InputGeometry, Plane};
use crate::raster::{Mask, Neighbours};

/// What aerated lung measures once it is averaged with its neighbours, HU.
const LUNG_HU: std::ops::RangeInclusive<f32> = -970.0..=-400.0;

/// What is denser is tissue, HU.
const TISSUE_HU: f32 = -400.0;

/// A wall of the chest is part of a body: of tissue that is so thick, pixels, and whose inside has such an area, cm². A table's shells
/// are thinner, its brackets smaller.
const WALL_PIXELS: usize = 5;
const LEAST_BODY_CM2: f64 = 8.0;

/// Lung behind its border has at least this area, cm²; cloth between an arm and the chest has less.
const LEAST_LUNG_CM2: f64 = 25.0;

/// Air that nothing was measured in has one value, none above this, HU; the window's lower end counts as such anyway.
const EMPTY_HU: f32 = -900.0;

/// Where nothing was measured, at least this many of the eight pixels around one have its value, also beside what was measured.
const MOST_AROUND: u8 = 5;

/// Pixels nearer to an image's end than this are mixed with what is beyond it.
const MIXED_PIXELS: usize = 2;

/// Values that differ by no more levels than this are one value, resampled.
const SAME_LEVELS: u16 = 2;

/// Lung shorter than this at the border may be anything, pixels of the border.
const FEWEST_PIXELS: usize = 10;

/// Where a slice shows lung, or what measures like it, up to its image's border, or the plane's if that comes first.
#[derive(Debug, Clone, PartialEq)]
pub struct LungAtBorder {
    /// The border's pixels there.
    pub pixels: Vec<u32>,
    pub cut: Option<CutRegion>,
}

/// What measures like lung at the border between walls. The model decides whether it is lung: a table that touches the body
/// has walls too.
#[derive(Debug, Clone, PartialEq)]
pub struct CutRegion {
    /// How much of the border runs through it, mm.
    pub border_mm: f64,
    /// What hangs together with the border there.
    pub region: Mask,
}

impl LungAtBorder {
    /// The pixels within so many mm of the border there.
    #[must_use]
    pub fn surroundings(&self, mm: f64, input: &InputGeometry) -> Mask {
        let mut border = Mask::empty(input.rows, input.columns);
        self.pixels.iter().for_each(|at| border.insert(*at as usize));
        border.grown((mm / input.pixel_mm).ceil() as usize)
    }
}

/// Where the slice shows lung at its border, and whether the field of view may cut it there.
#[must_use]
pub fn lung_at_border(plane: &Plane, input: &InputGeometry) -> Option<LungAtBorder> {
    let hounsfield = |level: &u16| input.hounsfield(Plane::value_of(*level));
    let lung = Mask::of(plane.levels(), input.columns, |level| LUNG_HU.contains(&hounsfield(level)));
    let tissue = Mask::of(plane.levels(), input.columns, |level| hounsfield(level) > TISSUE_HU);
    let edge = Mask::border(input.rows, input.columns);
    let rings = Rings::below(&empty(plane, &edge, input), &edge);
    let border = Border::of(&rings, &lung, &tissue, plane, input);
    let pixels: Vec<u32> = border.lung.pixels().map(|at| at as u32).collect();
    (!pixels.is_empty()).then(|| LungAtBorder { pixels, cut: border.cut_region(&lung, &tissue, input) })
}

/// Where nothing was measured: what hangs together with the plane's edge and has one value, that of air or less.
fn empty(plane: &Plane, edge: &Mask, input: &InputGeometry) -> Mask {
    let levels = plane.levels();
    let [low, high] = input.hu_window;
    let most = ((EMPTY_HU - low) / (high - low) * f32::from(u16::MAX)).max(0.0) as u16;
    let at_most = |level: u16| Mask::of(levels, input.columns, |value| *value <= level);
    let nothing = at_most(SAME_LEVELS);
    // Where an image ends its outermost pixels are mixed with nothing at all.
    let mixed = nothing.clone().with(edge).grown(MIXED_PIXELS);
    let empty = at_most(most).common_with(&nothing.with(&mixed).with(&with_one_value(levels, input.columns)));
    empty.reached(edge, Neighbours::SidesAndCorners)
}

/// The pixels that have the value of [`MOST_AROUND`] around them or more.
fn with_one_value(levels: &[u16], columns: usize) -> Mask {
    let mut alike = vec![0_u8; levels.len()];
    let mut count = |one: std::ops::Range<usize>, other: std::ops::Range<usize>| {
        let pairs = levels[one.clone()].iter().zip(&levels[other]);
        alike[one]
            .iter_mut()
            .zip(pairs)
            .for_each(|(alike, (one, other))| *alike += u8::from(one.abs_diff(*other) <= SAME_LEVELS));
    };
    for row in 0..levels.len() / columns {
        for near in [row.checked_sub(1), Some(row), Some(row + 1)].into_iter().flatten() {
            let (here, there) = (row * columns, near * columns);
            if there + columns > levels.len() {
                continue;
            }
            if near != row {
                count(here..here + columns, there..there + columns);
            }
            count(here + 1..here + columns, there..there + columns - 1);
            count(here..here + columns - 1, there + 1..there + columns);
        }
    }
    Mask::of(&alike, columns, |alike| *alike >= MOST_AROUND)
}

/// Pixels by how far they lie from what is empty or outside the plane: the first is mixed with it, the second and the third show
/// what is there.
struct Rings {
    first: Mask,
    second: Mask,
    third: Mask,
    /// What lies deeper than the first.
    shown: Mask,
}

impl Rings {
    fn below(empty: &Mask, edge: &Mask) -> Self {
        let first = empty.grown(1).with(edge).without(empty);
        let not_shown = empty.clone().with(&first);
        let second = first.grown(1).without(&not_shown);
        let third = second.grown(1).without(&not_shown).without(&second);
        Self { first, second, third, shown: not_shown.complement() }
    }
}

/// What the second pixels from the border show.
struct Border {
    lung: Mask,
    tissue: Mask,
    air: Mask,
}

impl Border {
    fn of(rings: &Rings, lung: &Mask, tissue: &Mask, plane: &Plane, input: &InputGeometry) -> Self {
        let before_lung = rings.third.clone().common_with(lung).grown(1);
        let beside_wall = rings.first.clone().common_with(tissue).grown(1);
        let none = Mask::empty(input.rows, input.columns);
        let mut border = Self { lung: none.clone(), tissue: none.clone(), air: none };
        for at in rings.second.pixels() {
            // Single pixels of lung are noisy.
            let near = around(at, input).filter(|near| rings.shown.contains(*near));
            let values = near.map(|near| input.hounsfield(Plane::value_of(plane.levels()[near])));
            let (sum, count) = values.fold((0.0, 0.0), |(sum, count), hu| (sum + hu, count + 1.0));
            match sum / count {
                hu if hu > TISSUE_HU => border.tissue.insert(at),
                hu if LUNG_HU.contains(&hu) => {
                    if before_lung.contains(at) && !beside_wall.contains(at) {
                        border.lung.insert(at);
                    }
                }
                _ => border.air.insert(at),
            }
        }
        border
    }

    fn cut_region(&self, lung: &Mask, tissue: &Mask, input: &InputGeometry) -> Option<CutRegion> {
        let mut regions = self.lung.regions(Neighbours::SidesAndCorners);
        regions.retain(|region| region.count() >= FEWEST_PIXELS);
        if regions.is_empty() {
            return None;
        }
        let pixels_of = |cm2: f64| (cm2 / input.pixel_cm2()) as usize;
        let near_walls = walls(tissue, pixels_of(LEAST_BODY_CM2)).grown(WALL_PIXELS - 1);
        let (mut pixels, mut behind) = (0, Mask::empty(input.rows, input.columns));
        for seed in regions.iter().filter(|region| self.lies_between_walls(region, &near_walls)) {
            let region = lung.reached(seed, Neighbours::SidesAndCorners);
            if region.count() >= pixels_of(LEAST_LUNG_CM2) {
                pixels += region.count();
                behind = behind.with(&region);
            }
        }
        (pixels > 0).then_some(CutRegion { border_mm: pixels as f64 * input.pixel_mm, region: behind })
    }

    /// Whether the border goes on with walls of the chest at the region's ends, and nowhere with air.
    fn lies_between_walls(&self, region: &Mask, near_walls: &Mask) -> bool {
        let columns = region.columns();
        let tissue = self.tissue.clone().common_with(&region.grown(WALL_PIXELS - 1)).common_with(near_walls);
        let air = self.air.clone().common_with(&region.grown(1));
        let reach = |place: &dyn Fn(usize) -> usize| {
            let (least, most) =
                tissue.pixels().map(place).fold((usize::MAX, 0), |(least, most), at| (least.min(at), most.max(at)));
            most.saturating_sub(least)
        };
        let has_two_ends = reach(&|at| at / columns).max(reach(&|at| at % columns)) >= FEWEST_PIXELS;
        has_two_ends && air.count() * 3 <= tissue.count()
    }
}

/// A pixel and those around it.
fn around(at: usize, input: &InputGeometry) -> impl Iterator<Item = usize> {
    let (row, column, columns) = (at / input.columns, at % input.columns, input.columns);
    let rows = row.saturating_sub(1)..=(row + 1).min(input.rows - 1);
    rows.flat_map(move |row| {
        (column.saturating_sub(1)..=(column + 1).min(columns - 1)).map(move |column| row * columns + column)
    })
}

/// The inside of what is large and thick enough for a body.
fn walls(tissue: &Mask, least: usize) -> Mask {
    let inside = tissue.clone().shrunk(WALL_PIXELS / 2);
    let none = Mask::empty(tissue.rows(), tissue.columns());
    let regions = inside.regions(Neighbours::SidesAndCorners).into_iter();
    regions.filter(|region| region.count() >= least).fold(none, |walls, region| walls.with(&region))
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
        lung_at_border(&plane, &input()).and_then(|lung| lung.cut).map_or(0.0, |region| region.border_mm)
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
