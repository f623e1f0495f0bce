//! The scanner's field of view: its size, its place, its matrix; and fields that the chest does not fit into.

use super::{Aspect, Expected, SAME, Transformation, slices};
use crate::answer::Tolerance;
use crate::grid::{Across, Grid};
use crate::series::Series;

/// A field that is wide enough for the patient to lie far off its centre, mm.
const WIDE_MM: f64 = 700.0;

pub fn moved_and_sized() -> Vec<Transformation> {
    let sized = |name: &str, field_mm: f64, matrix: usize| {
        slices(name, Aspect::Field, SAME, move |series| seen_through(series, [0.0, 0.0], field_mm, [matrix; 2]))
    };
    let aside = |name: &str, by_mm: Across| {
        slices(name, Aspect::Field, SAME, move |series| seen_through(series, by_mm, WIDE_MM, [448; 2]))
    };
    vec![
        sized("field of 340 mm in 256 x 256", 340.0, 256),
        sized("field of 500 mm in 640 x 640", 500.0, 640),
        slices("field of 300 x 400 mm in 240 x 320", Aspect::Field, SAME, |series| {
            seen_through(series, [0.0, 0.0], 400.0, [240, 320]);
        }),
        slices("pixels that are wider than high", Aspect::Field, SAME, |series| {
            series.regrid(|grid| {
                let closer_rows =
                    Grid { rows: grid.rows * 5 / 4, between_rows_mm: grid.between_rows_mm * 0.8, ..grid.clone() };
                let [from, to] = [closer_rows.centre(), grid.centre()];
                closer_rows.moved([to[0] - from[0], to[1] - from[1]])
            });
        }),
        aside("patient 120 mm to the right", [120.0, 0.0]),
        aside("patient 120 mm to the left", [-120.0, 0.0]),
        aside("patient 120 mm up", [0.0, 120.0]),
        aside("patient 100 mm down and 80 mm to the left", [-80.0, -100.0]),
        slices("centre of the field jumps by 45 mm in the middle", Aspect::Field, SAME, |series| {
            let middle = series.slices.len() / 2;
            each_centred(series, 500.0, |at| [if at >= middle { 45.0 } else { 0.0 }, 0.0]);
        }),
        slices("centre of the field wanders", Aspect::Field, SAME, |series| {
            let count = series.slices.len() as f64;
            each_centred(series, 500.0, |at| [60.0 * at as f64 / count - 30.0, 20.0 - 40.0 * at as f64 / count]);
        }),
        moved_by("origin moved across", SAME, [312.5, -187.25, 0.0]),
        moved_by("origin moved along by slabs", SAME, [0.0, 0.0, 321.0]),
        moved_by("origin moved along by anything", Expected::Same(Tolerance::OTHER_SLABS, &[]), [0.0, 0.0, -1234.567]),
    ]
}

/// A square or other field of the same centre, `field_mm` wide.
fn seen_through(series: &mut Series, by_mm: Across, field_mm: f64, matrix: [usize; 2]) {
    let pixel_mm = field_mm / matrix[1] as f64;
    series.regrid(|grid| Grid::upright(grid.centre(), matrix, pixel_mm).moved(by_mm));
}

/// Each slice with a centre of its own, and the right position.
fn each_centred(series: &mut Series, field_mm: f64, by_mm: impl Fn(usize) -> Across) {
    for (at, slice) in series.slices.iter_mut().enumerate() {
        slice.grid = Grid::upright(slice.grid.centre(), [384; 2], field_mm / 384.0).moved(by_mm(at));
    }
}

fn moved_by(name: &str, expected: Expected, by_mm: [f64; 3]) -> Transformation {
    slices(name, Aspect::Origin, expected, move |series| {
        series.origin_mm = [0, 1, 2].map(|axis: usize| series.origin_mm[axis] + by_mm[axis]);
    })
}

/// How much of the lungs' extent is left out of the field.
const CUT_SHARE: f64 = 0.3;

pub fn cut() -> Vec<Transformation> {
    let sides: [(&str, usize, bool); 4] =
        [("right side", 0, false), ("left side", 0, true), ("front", 1, false), ("back", 1, true)];
    let mut cuts: Vec<Transformation> =
        sides
            .into_iter()
            .map(|(side, axis, at_the_end)| {
                slices(format!("field cuts the {side}"), Aspect::Cut, Expected::NothingNew, move |series| {
                    let (first, last) = lung_span(series, axis);
                    let cut = (last - first) * CUT_SHARE;
                    series.regrid(|grid| {
                        grid.clone().cut_to(|point| {
                            if at_the_end { point[axis] < last - cut } else { point[axis] > first + cut }
                        })
                    });
                })
            })
            .collect();
    cuts.push(slices("field cuts all around", Aspect::Cut, Expected::NothingNew, |series| {
        let (first, last) = lung_span(series, 0);
        let field_mm = (last - first) * (1.0 - CUT_SHARE);
        series.regrid(|grid| {
            let matrix = (field_mm / grid.between_columns_mm) as usize;
            Grid::upright(grid.centre(), [matrix; 2], grid.between_columns_mm)
        });
    }));
    cuts
}

/// From where to where the lungs reach along x (0) or y (1) where they are widest, mm; what lies far out is left out.
fn lung_span(series: &Series, axis: usize) -> (f64, f64) {
    let widest = series.slices.iter().max_by(|a, b| a.lung_cm2().total_cmp(&b.lung_cm2())).expect("slices");
    let mut along: Vec<f64> = widest.lung_points().map(|point| point[axis]).collect();
    along.sort_by(f64::total_cmp);
    (along[along.len() / 100], along[along.len() - 1 - along.len() / 100])
}
