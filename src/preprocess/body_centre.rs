//! Where on a slice the body lies, before there is a plane: coarse, and of tissue alone.

use super::{HounsfieldImage, InPlane};

/// Side of the cells that the image is looked at in, mm: finer shells of tables and tubes do not fill one.
const CELL_MM: f64 = 6.0;

/// A cell of a higher mean is tissue: half way between soft tissue and lung or air, HU.
const TISSUE_HU: f32 = -400.0;

/// Values are clamped to this before their mean is taken, HU: neither padding nor metal shall outweigh the rest of a cell.
const CLAMPED_HU: [f32; 2] = [-1000.0, 200.0];

/// Less tissue than this in one piece is no body: the slimmest neck has more, cm².
const LEAST_TISSUE_CM2: f64 = 50.0;

/// Where the largest piece of tissue has its middle, mm from the image's centre along x and y of the plane; `None` where there
/// is too little of it.
#[must_use]
pub fn body_centre_mm(image: &HounsfieldImage, in_plane: &InPlane) -> Option<[f64; 2]> {
    let (across, down) = if in_plane.x.along_columns { (in_plane.x, in_plane.y) } else { (in_plane.y, in_plane.x) };
    let side = |spacing_mm: f64, len: usize| ((CELL_MM / spacing_mm).round().max(1.0) as usize).min(len);
    let (wide, high) = (side(across.spacing_mm, image.columns), side(down.spacing_mm, image.rows));
    let (columns, rows) = (image.columns / wide, image.rows / high);
    let tissue = tissue_cells(image, wide, high);
    let piece = largest_piece(&tissue, columns);
    let cell_cm2 = (wide as f64 * across.spacing_mm) * (high as f64 * down.spacing_mm) / 100.0;
    if piece.len() as f64 * cell_cm2 < LEAST_TISSUE_CM2 {
        return None;
    }
    let mean =
        |place: &dyn Fn(usize) -> usize| piece.iter().map(|at| place(*at)).sum::<usize>() as f64 / piece.len() as f64;
    let (column, row) = (mean(&|at| at % columns), mean(&|at| at / columns));
    debug_assert!(row < rows as f64);
    // Cells lie beside each other from the first pixel on.
    let from_centre = |cell: f64, side: usize, len: usize| (cell + 0.5) * side as f64 - len as f64 / 2.0;
    let signed = |pixels: f64, axis: super::SourceAxis| {
        if axis.reversed { -pixels * axis.spacing_mm } else { pixels * axis.spacing_mm }
    };
    let along_columns = signed(from_centre(column, wide, image.columns), across);
    let along_rows = signed(from_centre(row, high, image.rows), down);
    Some(if in_plane.x.along_columns { [along_columns, along_rows] } else { [along_rows, along_columns] })
}

fn tissue_cells(image: &HounsfieldImage, wide: usize, high: usize) -> Vec<bool> {
    let (columns, rows) = (image.columns / wide, image.rows / high);
    let [low, most] = CLAMPED_HU;
    let mut sums = vec![0.0_f32; rows * columns];
    for (row, values) in image.values.chunks_exact(image.columns).take(rows * high).enumerate() {
        let first = row / high * columns;
        for (sum, pixels) in sums[first..first + columns].iter_mut().zip(values.chunks_exact(wide)) {
            *sum += pixels.iter().map(|hu| hu.clamp(low, most)).sum::<f32>();
        }
    }
    let limit = TISSUE_HU * (wide * high) as f32;
    sums.into_iter().map(|sum| sum > limit).collect()
}

/// The cells of the largest piece, of equals the first; cells that share a side hang together.
fn largest_piece(cells: &[bool], columns: usize) -> Vec<usize> {
    let mut left = cells.to_vec();
    let mut largest = Vec::new();
    for start in 0..cells.len() {
        let (mut piece, mut to_visit) = (Vec::new(), vec![start]);
        while let Some(at) = to_visit.pop() {
            if !std::mem::replace(&mut left[at], false) {
                continue;
            }
            piece.push(at);
            let beside =
                [(!at.is_multiple_of(columns)).then(|| at - 1), Some(at + 1).filter(|at| !at.is_multiple_of(columns))];
            let above_and_below = [at.checked_sub(columns), Some(at + columns)];
            to_visit.extend(beside.into_iter().chain(above_and_below).flatten().filter(|at| *at < cells.len()));
        }
        if piece.len() > largest.len() {
            largest = piece;
        }
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::SourceAxis;

    fn axes(reversed: bool, x_along_columns: bool) -> InPlane {
        let axis = |along_columns| SourceAxis { along_columns, reversed, spacing_mm: 2.0, offset_mm: 0.0 };
        InPlane { x: axis(x_along_columns), y: axis(!x_along_columns) }
    }

    /// A body of 200 x 100 mm whose middle lies there from the image's, columns and rows, mm, over a thin table.
    fn image(columns_mm: f64, rows_mm: f64) -> HounsfieldImage {
        let side = 250;
        let hu = |at: usize| {
            let mm = |place: usize| (place as f64 - 124.5) * 2.0;
            let (x, y) = (mm(at % side) - columns_mm, mm(at / side) - rows_mm);
            let table = (64.0..66.0).contains(&y);
            if (x.abs() < 100.0 && y.abs() < 50.0) || table { 40.0 } else { -1000.0 }
        };
        HounsfieldImage { rows: side, columns: side, values: (0..side * side).map(hu).collect() }
    }

    #[test]
    fn the_bodys_middle_is_found_however_the_image_lies() {
        let near = |found: Option<[f64; 2]>, expected: [f64; 2]| {
            let found = found.unwrap();
            assert!((found[0] - expected[0]).abs() < 4.0 && (found[1] - expected[1]).abs() < 4.0, "{found:?}");
        };
        near(body_centre_mm(&image(90.0, -30.0), &axes(false, true)), [90.0, -30.0]);
        near(body_centre_mm(&image(90.0, -30.0), &axes(true, true)), [-90.0, 30.0]);
        near(body_centre_mm(&image(90.0, -30.0), &axes(false, false)), [-30.0, 90.0]);
    }

    #[test]
    fn air_has_no_body() {
        let air = HounsfieldImage { rows: 40, columns: 40, values: vec![-1000.0; 1600] };
        assert_eq!(body_centre_mm(&air, &axes(false, true)), None);
        let tiny = HounsfieldImage { rows: 2, columns: 2, values: vec![0.0; 4] };
        assert_eq!(body_centre_mm(&tiny, &axes(false, true)), None);
    }
}
