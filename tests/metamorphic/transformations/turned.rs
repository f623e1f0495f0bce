//! Images that lie otherwise in their plane, with headers that say so.

use super::{Aspect, SAME, Transformation, slices};
use crate::grid::Grid;

pub fn turned() -> Vec<Transformation> {
    let by = |degrees: f64| {
        slices(format!("turned by {degrees} degrees"), Aspect::Turn, SAME, move |series| {
            series.regrid(|grid| grid.clone().turned(degrees));
        })
    };
    [7.0, 30.0, 44.0, 90.0, 180.0, 270.0, -12.5].map(by).into()
}

pub fn mirrored() -> Vec<Transformation> {
    let by = |name: &str, mirror: fn(Grid) -> Grid| {
        slices(name, Aspect::Mirror, SAME, move |series| series.regrid(|grid| mirror(grid.clone())))
    };
    vec![
        by("columns stored from the last to the first", Grid::with_columns_reversed),
        by("rows stored from the last to the first", Grid::with_rows_reversed),
    ]
}
