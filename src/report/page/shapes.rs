//! Shapes that mean something: the signs of the verdicts, as the console has them, and the lungs in zones.

use super::canvas::spline;
use super::{Area, Colour, Item, Page, Point};
use crate::triage::{Side, Verdict};

/// Side of the square in which the signs are given.
const SIGN_SIDE: f64 = 48.0;

/// Strokes of a curve.
const STROKES: usize = 16;

impl Page<'_> {
    /// The sign of a verdict in a square.
    pub(super) fn sign(&mut self, verdict: Verdict, left: f64, top: f64, side: f64, colour: Colour) {
        let scale = side / SIGN_SIDE;
        let place = |[x, y]: Point| [left + x * scale, top + y * scale];
        let line = |points: &[Point], width: f64| Item::Line {
            points: points.iter().map(|point| place(*point)).collect(),
            width: width * scale,
            colour,
        };
        let middle = [24.0, 24.0];
        let ring =
            |width: f64| Item::Ring { centre: place(middle), radius: 19.0 * scale, width: width * scale, colour };
        let shapes = match verdict {
            Verdict::Suspected => {
                vec![line(&OCTAGON, 4.0), line(&[[24.0, 12.0], [24.0, 27.0]], 6.0), line(&[[24.0, 36.0]], 7.0)]
            }
            Verdict::Abnormal => vec![line(&eye(), 4.0), line(&[middle], 14.0)],
            Verdict::NotAnalysed => vec![ring(5.0), line(&[[11.0, 37.0], [37.0, 11.0]], 5.0)],
            Verdict::NotSuspected => vec![ring(4.0), line(&[[14.0, 24.0], [34.0, 24.0]], 5.0)],
        };
        self.items.extend(shapes);
    }
}

const OCTAGON: [Point; 9] = [
    [15.0, 3.0],
    [33.0, 3.0],
    [45.0, 15.0],
    [45.0, 33.0],
    [33.0, 45.0],
    [15.0, 45.0],
    [3.0, 33.0],
    [3.0, 15.0],
    [15.0, 3.0],
];

/// The outline of an eye.
fn eye() -> Vec<Point> {
    let lid = |y: f64| {
        let [from, a, b, to] = [[3.0, 24.0], [10.0, (24.0 + 3.0 * y) / 4.0], [17.0, y], [24.0, y]];
        let mirrored = |[x, y]: Point| [SIGN_SIDE - x, y];
        curve(from, a, b, to).into_iter().chain(curve(mirrored(to), mirrored(b), mirrored(a), mirrored(from)))
    };
    let lower: Vec<Point> = lid(39.0).collect();
    lid(9.0).chain(lower.into_iter().rev()).collect()
}

/// A cubic Bezier curve.
fn curve(from: Point, a: Point, b: Point, to: Point) -> Vec<Point> {
    let at = |stroke: usize| -> Point {
        let t = stroke as f64 / STROKES as f64;
        let s = 1.0 - t;
        let weights = [s * s * s, 3.0 * s * s * t, 3.0 * s * t * t, t * t * t];
        std::array::from_fn(|axis| {
            [from, a, b, to].iter().zip(weights).map(|(point, weight)| point[axis] * weight).sum()
        })
    };
    (0..=STROKES).map(at).collect()
}

/// Where a lung's outline runs, as shares of its greatest width from the body's middle, from its apex to its base: along the chest's
/// wall, and along the middle.
const WALL: [f64; 7] = [0.36, 0.68, 0.83, 0.92, 0.98, 1.0, 0.96];
const MIDDLE: [f64; 7] = [0.20, 0.06, 0.04, 0.05, 0.05, 0.06, 0.12];
/// The heart lies before the left one.
const BESIDE_HEART: [f64; 7] = [0.20, 0.06, 0.05, 0.10, 0.22, 0.28, 0.30];

/// A third of one lung in a picture of the lung that fills `area`, as it is seen from the patient's front. `third` counts from above.
pub(super) fn lung_third(side: Side, third: usize, area: Area) -> Vec<Point> {
    const ROWS: usize = 24;
    let between = area.height * 0.012;
    let (from, to) = (third as f64 / 3.0, (third as f64 + 1.0) / 3.0);
    let top = if third > 0 { from * area.height + between } else { 0.0 };
    let bottom = if third < 2 { to * area.height - between } else { area.height };
    let inner = if side == Side::Left { &BESIDE_HEART } else { &MIDDLE };
    let edge = |table: &[f64; 7], row: usize| {
        let down = top + (bottom - top) * row as f64 / ROWS as f64;
        let across = along(table, down / area.height) * area.width;
        [if side == Side::Right { area.right() - across } else { area.left + across }, area.top + down]
    };
    (0..=ROWS).map(|row| edge(&WALL, row)).chain((0..=ROWS).rev().map(|row| edge(inner, row))).collect()
}

/// The value at this place of a table, 0 for its first row and 1 for its last.
fn along(table: &[f64; 7], place: f64) -> f64 {
    let at = place * 6.0;
    let row = (at as usize).min(5);
    let value = |row: usize| table[row.saturating_sub(1).min(6)];
    spline(at - row as f64).iter().enumerate().map(|(tap, weight)| weight * value(row + tap)).sum()
}
