//! One slice of a patient, as finely as it is known: what scanned images of any grid are made from.

use std::borrow::Cow;
use std::sync::OnceLock;

use crate::grid::Grid;

/// CT number where nothing is known of, HU.
pub const AIR: f32 = -1000.0;

/// Hounsfield units on a grid of their own.
#[derive(Debug)]
pub struct Plane {
    pub grid: Grid,
    pub hu: Vec<f32>,
    /// The first other grid that it was seen on, which is that of most scans, and the image there.
    seen: OnceLock<(Grid, Vec<f32>)>,
}

impl Plane {
    pub fn new(grid: Grid, hu: Vec<f32>) -> Self {
        Self { grid, hu, seen: OnceLock::new() }
    }

    /// The image that a scanner would make of it on another grid: means over the pixels where these are coarser.
    pub fn seen_on(&self, grid: &Grid) -> Cow<'_, [f32]> {
        if *grid == self.grid {
            return Cow::from(&self.hu);
        }
        let (first, image) = self.seen.get_or_init(|| (grid.clone(), self.sampled(grid)));
        if first == grid { Cow::from(image) } else { Cow::from(self.sampled(grid)) }
    }

    fn sampled(&self, grid: &Grid) -> Vec<f32> {
        let samples = Samples::new(&self.grid, grid);
        let mut hu = Vec::with_capacity(grid.rows * grid.columns);
        for row in 0..grid.rows {
            hu.extend((0..grid.columns).map(|column| samples.mean(self, row as f64, column as f64)));
        }
        hu
    }

    /// Between two columns and two rows; air outside.
    fn at(&self, [row, column]: [f64; 2]) -> f32 {
        let (rows, columns) = (self.grid.rows, self.grid.columns);
        let is_inside = |at: f64, count: usize| at >= -0.5 && at <= count as f64 - 0.5;
        if !is_inside(row, rows) || !is_inside(column, columns) {
            return AIR;
        }
        let (row, column) = (row.clamp(0.0, rows as f64 - 1.0), column.clamp(0.0, columns as f64 - 1.0));
        let (top, left) = ((row as usize).min(rows - 2), (column as usize).min(columns - 2));
        let (down, right) = ((row - top as f64) as f32, (column - left as f64) as f32);
        let at = top * columns + left;
        let across = |at: usize| self.hu[at] + (self.hu[at + 1] - self.hu[at]) * right;
        let (upper, lower) = (across(at), across(at + columns));
        upper + (lower - upper) * down
    }
}

/// Where the samples of a new pixel lie in the old rows and columns.
struct Samples {
    first: [f64; 2],
    /// Steps in old rows and columns for each new row, and for each new column.
    by_row: [f64; 2],
    by_column: [f64; 2],
    /// From the centre of a pixel to each of its samples.
    around: Vec<[f64; 2]>,
}

impl Samples {
    fn new(old: &Grid, new: &Grid) -> Self {
        let first = old.pixel_at(new.point(0.0, 0.0));
        let step = |to: [f64; 2]| [to[0] - first[0], to[1] - first[1]];
        let (by_row, by_column) = (step(old.pixel_at(new.point(1.0, 0.0))), step(old.pixel_at(new.point(0.0, 1.0))));
        // An oblique pixel that is as large as the old ones is one sample all the same.
        let offsets = |step: [f64; 2]| {
            let count = (step[0].hypot(step[1]) - 1e-3).ceil().max(1.0) as usize;
            (0..count).map(move |sample| (sample as f64 + 0.5) / count as f64 - 0.5)
        };
        let around = offsets(by_row).flat_map(|down| {
            offsets(by_column).map(move |right| [0, 1].map(|axis: usize| down * by_row[axis] + right * by_column[axis]))
        });
        Self { first, by_row, by_column, around: around.collect() }
    }

    fn mean(&self, plane: &Plane, row: f64, column: f64) -> f32 {
        let centre =
            [0, 1].map(|axis: usize| self.first[axis] + row * self.by_row[axis] + column * self.by_column[axis]);
        let sum: f32 = self.around.iter().map(|by| plane.at([centre[0] + by[0], centre[1] + by[1]])).sum();
        sum / self.around.len() as f32
    }
}

/// The mean of planes, such as those of a thick slice.
pub fn mean(planes: &[&Plane]) -> Plane {
    mixed(&planes.iter().map(|plane| (*plane, 1.0 / planes.len() as f32)).collect::<Vec<_>>())
}

/// Planes with their weights, on the first one's grid: a second change may have moved some.
pub fn mixed(planes: &[(&Plane, f32)]) -> Plane {
    let grid = planes[0].0.grid.clone();
    let seen: Vec<Cow<'_, [f32]>> = planes.iter().map(|(plane, _)| plane.seen_on(&grid)).collect();
    let hu = (0..planes[0].0.hu.len()).map(|at| seen.iter().zip(planes).map(|(hu, (_, weight))| hu[at] * weight).sum());
    Plane::new(grid, hu.collect())
}

#[test]
fn each_point_of_the_patient_is_seen_where_the_grid_puts_it() {
    let grid = Grid::upright([10.0, -20.0], [64, 64], 1.0);
    let value = |[x, y]: [f64; 2]| (3.0 * x - 2.0 * y) as f32;
    let at = |grid: &Grid, at: usize| grid.point((at / grid.columns) as f64, (at % grid.columns) as f64);
    let plane = Plane::new(grid.clone(), (0..64 * 64).map(|pixel| value(at(&grid, pixel))).collect());
    let small = Grid::upright([10.0, -20.0], [20, 24], 1.5);
    let others = [
        small.clone(),
        small.clone().turned(30.0).moved([3.0, -2.0]),
        small.clone().turned(90.0).with_rows_reversed(),
        small.clone().with_columns_reversed().turned(-12.5),
        small.cut_to(|[x, _]| x > 12.0),
    ];
    for other in others {
        for (pixel, seen) in plane.seen_on(&other).iter().enumerate() {
            let there = value(at(&other, pixel));
            assert!((seen - there).abs() < 0.01, "{seen} instead of {there} on {other:?}");
        }
    }
    assert_eq!(*plane.seen_on(&grid.moved([500.0, 0.0])), [AIR; 64 * 64]);
}
