//! What the scanner itself adds to the picture: the table below the patient, and noise.

use super::field::{Point, SplitMix, ease, mix};
use super::render::{AIR, Grid, Painting};

/// The patient table below: a shell curved up at its sides, light foam inside, a mattress on it.
pub(super) fn table(p: Point) -> f32 {
    const HALF_WIDTH: f32 = 205.0;
    let top = 133.0 - p.x * p.x / 620.0;
    let bottom = top + 30.0 - p.x * p.x / 1900.0;
    if p.x.abs() > HALF_WIDTH || p.y < top - 12.0 || p.y > bottom + 1.5 {
        return AIR;
    }
    let shell = |edge: f32| (1.6 - (p.y - edge).abs()).clamp(0.0, 1.0);
    let filling = if p.y < top { -968.0 } else { -925.0 };
    mix(filling, -180.0, shell(top).max(shell(bottom)))
}

/// Adds the noise of a lung reconstruction: correlated over about a pixel, stronger in the middle of the body and between
/// the shoulders, where it streaks sideways.
pub(super) fn add_noise(painting: &mut Painting, grid: Grid, z: f32, mut generator: SplitMix) {
    const SIGMA: f32 = 22.0;
    let Grid { rows, columns, .. } = grid;
    let white: Vec<f32> = (0..rows * columns).map(|_| generator.gaussian()).collect();
    let shoulders = ease(80.0, 128.0, z);
    let mut streak = vec![0.0_f32; columns];
    let bell = |at: f32, weight: f32| (-weight * at * at / 19_000.0).exp();
    let across: Vec<f32> = (0..columns).map(|column| bell(grid.x(column), 1.0)).collect();
    for row in 0..rows {
        let above = row.saturating_sub(1) * columns;
        let below = (row + 1).min(rows - 1) * columns;
        let here = row * columns;
        let along = bell(grid.y(row), 1.6);
        let mut running = 0.0;
        for value in streak.iter_mut().zip(&white[here..here + columns]) {
            running = 0.94 * running + 0.34 * value.1;
            *value.0 = running;
        }
        for column in 0..columns {
            let left = column.saturating_sub(1);
            let right = (column + 1).min(columns - 1);
            let side = |line: usize| white[line + left] + white[line + right];
            // The weights' squares sum to one: the spread stays that of the white noise.
            let fine = 0.76 * white[here + column]
                + 0.29 * (white[above + column] + white[below + column] + side(here))
                + 0.14 * (side(above) + side(below));
            let middle = across[column] * along;
            let sigma = SIGMA * (0.55 + 0.65 * middle + 0.35 * shoulders * middle);
            let noise = fine + 0.6 * shoulders * middle * streak[column];
            painting.hounsfield[here + column] += sigma * noise;
        }
    }
}
