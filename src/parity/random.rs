//! Random input on which two implementations of the preprocessing are compared: any size, spacing, content and
//! nonsense that a slice can have.

use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::dicom::CellLayout;
use crate::engine::{Inference, Manifest, OperatingPoint};
use crate::preprocess::{InPlane, InputGeometry, Padding, Plane, SlabSum, SourceAxis, StoredImage};

/// One of these values; there must be one.
fn one_of<T: Copy, const N: usize>(random: &mut StdRng, values: [T; N]) -> T {
    values[random.random_range(0..N)]
}

/// How many values off an aligned address an array may begin.
pub fn offset(random: &mut StdRng) -> usize {
    random.random_range(0..4)
}

/// A model's input of any size, spacing and window.
pub fn input(manifest: &Manifest, random: &mut StdRng) -> InputGeometry {
    // Few planes are large; some of these have more words than a block has threads.
    let sides = if random.random_bool(0.1) { 200..400 } else { 1..80 };
    InputGeometry {
        slabs: one_of(random, [1, 3, 3, 5]),
        rows: random.random_range(sides.clone()),
        columns: random.random_range(sides),
        pixel_mm: random.random_range(0.5..3.0),
        hu_window: one_of(random, [[-1150.0, 150.0], [-1000.0, 400.0], [-400.0, 130.0], [1000.0, 1001.0]]),
        ..manifest.input.clone()
    }
}

/// An image of any content: whole ranges of cells, padding, overlays above the stored bits, senseless slopes.
pub fn image(input: &InputGeometry, random: &mut StdRng) -> StoredImage {
    let side =
        |random: &mut StdRng| if random.random() { random.random_range(1..40) } else { random.random_range(1..=700) };
    let (rows, columns) = (side(random), side(random));
    let cell_bytes = random.random_range(1..=2);
    let bits_stored = random.random_range(1..=8 * cell_bytes as u16);
    let layout =
        CellLayout::new(bits_stored, random.random_range(bits_stored - 1..8 * cell_bytes as u16), random.random());
    let padding = one_of(random, [(-3024_i16).to_le_bytes(), [0; 2], [0xff; 2]]);
    let padded = one_of(random, [0.0, 0.0, 0.3, 1.0]);
    let cells = (0..rows * columns)
        .flat_map(|_| if random.random_bool(padded) { padding } else { random.random() }.into_iter().take(cell_bytes))
        .collect();
    // Most values within the window, where each bit shows, or anything.
    let [low, high] = input.hu_window;
    let (rescale_slope, rescale_intercept) = if random.random() {
        let slope = (high - low) / f32::from(bits_stored).exp2() * random.random_range(-1.5..1.5);
        (slope, if layout.signed || slope < 0.0 { f32::midpoint(low, high) } else { low })
    } else {
        let slope = one_of(random, [1.0, 1.0, 0.05, -0.3, 17.0, 1e-30, f32::MAX]);
        (slope, one_of(random, [-1024.0, -1024.0, 0.0, 0.21, 1e9, f32::MIN]))
    };
    let ends = [random.random::<u16>(), random.random()].map(|cell| layout.stored_value(cell));
    let padding_value = layout.stored_value(u16::from_le_bytes(padding));
    let padding = one_of(
        random,
        [
            None,
            Some(Padding { first: padding_value, last: padding_value }),
            Some(Padding { first: ends[0].min(ends[1]), last: ends[0].max(ends[1]) }),
        ],
    );
    StoredImage { rows, columns, cell_bytes, cells, layout, rescale_slope, rescale_intercept, padding }
}

/// An image that lies in its plane in any way.
pub fn in_plane(random: &mut StdRng) -> InPlane {
    let x_along_columns = random.random_bool(0.7);
    let mut axis = |along_columns| {
        let spacing_mm = one_of(random, [0.02, 0.3, 0.71, 0.9, 1.5, 4.0]) * random.random_range(1.0..1.3);
        let offset_mm = one_of(random, [0.0, 0.0, 12.3, -77.0, 900.0]);
        SourceAxis { along_columns, reversed: random.random(), spacing_mm, offset_mm }
    };
    InPlane { x: axis(x_along_columns), y: axis(!x_along_columns) }
}

/// Deviations of noise in a slab: none, much, and so much that it fills the window, HU.
pub fn noise_hu(random: &mut StdRng) -> f32 {
    one_of(random, [0.0, 300.0, 9000.0])
}

/// A slab of one to four slices of a round body with two lungs, with noise of this deviation at most.
pub fn slab(input: &InputGeometry, noise_hu: f32, random: &mut StdRng) -> SlabSum {
    let mut sum = SlabSum::default();
    let axis =
        |along_columns| SourceAxis { along_columns, reversed: false, spacing_mm: input.pixel_mm, offset_mm: 0.0 };
    let (middle_row, middle_column) = (input.rows as f32 / 2.0, input.columns as f32 / 2.0);
    for _ in 0..random.random_range(1..5) {
        let cells = (0..input.plane_len()).flat_map(|at| {
            let y = ((at / input.columns) as f32 - middle_row) / middle_row;
            let x = ((at % input.columns) as f32 - middle_column) / middle_column;
            let hu = match (x.hypot(y), (x.abs() - 0.45).hypot(y)) {
                (_, lung) if lung < 0.3 => -800.0,
                (body, _) if body < 0.9 => 40.0 + 200.0 * y.max(0.0),
                _ => -1000.0,
            };
            ((hu + random.random_range(-1.0..=1.0) * noise_hu) as i16).to_le_bytes()
        });
        let cells = cells.collect();
        let image = StoredImage {
            rows: input.rows,
            columns: input.columns,
            cell_bytes: 2,
            cells,
            layout: CellLayout::new(16, 15, true),
            rescale_slope: 1.0,
            rescale_intercept: 0.0,
            padding: None,
        };
        sum.add(&Plane::resample(&image.hounsfield(), &InPlane { x: axis(true), y: axis(false) }, input));
    }
    sum
}

/// An operating point whose thresholds lie anywhere, also at the ends.
pub fn operating_point(manifest: &Manifest, random: &mut StdRng) -> OperatingPoint {
    let [lung_probability, lesion_probability] = one_of(random, [[0.5, 0.5], [0.0, 0.7], [0.3, 0.0], [1.0, 1.0]]);
    OperatingPoint { lung_probability, lesion_probability, ..manifest.operating_point }
}

/// What engines say of this many windows: probabilities, many of them just at thresholds, some of them no numbers.
pub fn inferences(count: usize, input: &InputGeometry, random: &mut StdRng) -> Vec<Inference> {
    let wrong = one_of(random, [0.0, 0.0, 0.001]);
    let probability = |random: &mut StdRng| match random.random_range(0..4) {
        _ if random.random_bool(wrong) => one_of(random, [f32::NAN, f32::INFINITY, f32::NEG_INFINITY]),
        0 => one_of(random, [0.0, 0.3, 0.5, 0.7, 1.0]),
        _ => random.random(),
    };
    let number = |random: &mut StdRng| if random.random_bool(0.1) { f32::NAN } else { random.random() };
    let mut inference = || {
        let mut plane = || (0..input.plane_len()).map(|_| probability(random)).collect();
        let (lung, lesion) = (plane(), plane());
        Inference { lung, lesion, attention: number(random), logit: number(random) }
    };
    (0..count).map(|_| inference()).collect()
}
