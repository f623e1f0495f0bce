//! Whether the kernels give the bits that the CPU gives: one comparison, for the kernels on a GPU and for the kernels that were
//! compiled as C++. No difference is tolerated; the largest one is reported all the same.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::random;
use crate::engine::{Inference, Manifest, OperatingPoint};
use crate::preprocess::{InPlane, InputGeometry, Plane, SlabSum, StoredImage, Window};
use crate::raster::Mask;
use crate::triage::{Body, SlabEvidence, Tissue, change_hu, change_of_parts};

/// A slice for `add_slices`.
pub struct KernelSlice {
    pub image: StoredImage,
    pub in_plane: InPlane,
    /// The number of the sum that it belongs to.
    pub sum: usize,
    /// How many bytes off an aligned address its cells begin.
    pub offset: usize,
}

/// What `add_slices` gives: the sums, and the levels of each slice.
pub type SumsAndLevels = (Vec<Vec<u32>>, Vec<Vec<u16>>);

/// What the window kernels give, window by window.
pub struct KernelWindows<Value> {
    pub input: Vec<Vec<Value>>,
    pub tissue: Vec<Vec<u64>>,
    pub bone: Vec<Vec<u64>>,
    /// The sum over all blocks.
    pub change: Vec<u64>,
}

/// A window for `evidence`: what the engine said, and the words of the body's mask.
pub struct KernelOutputs<'a> {
    pub inference: &'a Inference,
    pub slabs: Vec<&'a SlabSum>,
    pub body: Vec<u64>,
}

/// What `evidence` gives for a window.
pub struct KernelEvidence {
    pub lung: Vec<u64>,
    pub lesion: Vec<u64>,
    /// Of the lesion's pixels.
    pub lesion_hu: Vec<f32>,
    /// In lung, lesion, attention, logit.
    pub not_finite: [u32; 4],
    pub lung_pixels: u32,
    pub attention: f32,
    pub logit: f32,
}

/// The kernels, wherever they run. An `offset` says how many values off an aligned address arrays begin.
#[allow(clippy::missing_errors_doc)]
pub trait Kernels {
    /// These sums once the slices have been added to them.
    fn add_slices(
        &self,
        input: &InputGeometry,
        sums: &[Vec<u32>],
        slices: &[KernelSlice],
    ) -> Result<SumsAndLevels, KernelError>;

    /// The windows of these slabs as 32-bit values.
    fn windows_f32(
        &self,
        input: &InputGeometry,
        windows: &[Vec<&SlabSum>],
        offset: usize,
    ) -> Result<KernelWindows<f32>, KernelError>;

    /// The windows of these slabs as 16-bit values.
    fn windows_f16(
        &self,
        input: &InputGeometry,
        windows: &[Vec<&SlabSum>],
        offset: usize,
    ) -> Result<KernelWindows<u16>, KernelError>;

    /// The evidence of windows at thresholds of the lung's and the lesion's probability.
    fn evidence(
        &self,
        input: &InputGeometry,
        thresholds: [f32; 2],
        windows: &[KernelOutputs<'_>],
        offset: usize,
    ) -> Result<Vec<KernelEvidence>, KernelError>;
}

/// Why kernels did not run, in the words of what runs them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KernelError(pub String);

/// How two implementations agree.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Agreement {
    /// How many values were compared.
    pub values: usize,
    /// How many of them had other bits.
    pub different: usize,
    /// The largest difference in the values' own unit: levels, units in the last place of 16-bit numbers, HU; 1 for masks.
    pub largest: f64,
}

impl Agreement {
    /// Whether there were values, and all had the same bits.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.values > 0 && self.different == 0
    }

    /// Adds what was found elsewhere.
    pub fn merge(&mut self, other: Self) {
        self.values += other.values;
        self.different += other.different;
        self.largest = self.largest.max(other.largest);
    }

    fn compare<T: Value>(&mut self, found: &[T], expected: &[T]) {
        self.values += expected.len();
        if found.len() != expected.len() {
            self.different += expected.len().max(found.len());
            self.largest = f64::INFINITY;
        }
        for (found, expected) in found.iter().zip(expected).filter(|(found, expected)| !found.is_same(**expected)) {
            self.different += 1;
            self.largest = self.largest.max(found.apart(*expected));
        }
    }
}

/// A value that can be compared with another one.
trait Value: Copy {
    fn is_same(self, other: Self) -> bool;
    fn apart(self, other: Self) -> f64;
}

impl Value for u16 {
    fn is_same(self, other: Self) -> bool {
        self == other
    }

    fn apart(self, other: Self) -> f64 {
        f64::from(self.abs_diff(other))
    }
}

impl Value for u32 {
    fn is_same(self, other: Self) -> bool {
        self == other
    }

    fn apart(self, other: Self) -> f64 {
        f64::from(self.abs_diff(other))
    }
}

/// 64 pixels of a mask.
impl Value for u64 {
    fn is_same(self, other: Self) -> bool {
        self == other
    }

    fn apart(self, _: Self) -> f64 {
        1.0
    }
}

impl Value for f32 {
    fn is_same(self, other: Self) -> bool {
        self.to_bits() == other.to_bits() || self.is_nan() && other.is_nan()
    }

    fn apart(self, other: Self) -> f64 {
        let apart = f64::from((self - other).abs());
        if apart.is_nan() { f64::INFINITY } else { apart }
    }
}

/// One of the comparisons below, on input that is made from a seed.
pub type KernelComparison = fn(&dyn Kernels, &Manifest, u64) -> Result<Agreement, KernelError>;

/// Slices of two slabs in one launch, each by itself and in the sums; then one of them once more.
///
/// # Errors
/// If the kernels do not run.
pub fn slices_agree(kernels: &dyn Kernels, manifest: &Manifest, seed: u64) -> Result<Agreement, KernelError> {
    let random = &mut StdRng::seed_from_u64(seed);
    let input = random::input(manifest, random);
    let slice = |sum: usize, random: &mut StdRng| {
        let image = random::image(&input, random);
        let in_plane = random::in_plane(random);
        let offset = random.random_range(0..8) * image.cell_bytes;
        KernelSlice { image, in_plane, sum, offset }
    };
    let slices = [slice(0, random), slice(1, random), slice(0, random)];
    let planes: Vec<Plane> = slices.iter().map(|slice| plane_of(slice, &input)).collect();
    let empty = vec![0; input.plane_len()];
    let (sums, levels) = kernels.add_slices(&input, &[empty.clone(), empty], &slices)?;
    let mut agreement = Agreement::default();
    let mut expected = [SlabSum::default(), SlabSum::default()];
    for ((slice, plane), levels) in slices.iter().zip(&planes).zip(&levels) {
        agreement.compare(levels, plane.levels());
        expected[slice.sum].add(plane);
    }
    compare_sums(&mut agreement, &sums, &expected);
    expected[0].add(&planes[2]);
    let (sums, _) = kernels.add_slices(&input, &sums, &slices[2..])?;
    compare_sums(&mut agreement, &sums, &expected);
    Ok(agreement)
}

fn compare_sums(agreement: &mut Agreement, found: &[Vec<u32>], expected: &[SlabSum]) {
    found.iter().zip(expected).for_each(|(found, expected)| agreement.compare(found, expected.levels()));
}

/// The slice's plane as the CPU makes it.
#[must_use]
pub fn plane_of(slice: &KernelSlice, input: &InputGeometry) -> Plane {
    Plane::resample(&slice.image.hounsfield(), &slice.in_plane, input)
}

/// Two windows of random slabs.
///
/// # Errors
/// If the kernels do not run.
pub fn windows_agree(kernels: &dyn Kernels, manifest: &Manifest, seed: u64) -> Result<Agreement, KernelError> {
    let random = &mut StdRng::seed_from_u64(seed);
    let input = random::input(manifest, random);
    let sums: Vec<SlabSum> = (0..6)
        .map(|_| {
            let noise_hu = random::noise_hu(random);
            random::slab(&input, noise_hu, random)
        })
        .collect();
    let windows: Vec<Vec<&SlabSum>> = (0..2).map(|first| sums[first..first + input.slabs].iter().collect()).collect();
    compare_windows(kernels, &input, &windows, random::offset(random))
}

/// Compares the window kernels with [`Window::of_slabs`], [`Tissue::on`] and [`change_hu`].
///
/// # Errors
/// If the kernels do not run.
pub fn compare_windows(
    kernels: &dyn Kernels,
    input: &InputGeometry,
    windows: &[Vec<&SlabSum>],
    offset: usize,
) -> Result<Agreement, KernelError> {
    let found = kernels.windows_f32(input, windows, offset)?;
    let found_f16 = kernels.windows_f16(input, windows, offset)?;
    let mut agreement = Agreement::default();
    for (at, slabs) in windows.iter().enumerate() {
        let means: Vec<Vec<f32>> = slabs.iter().map(|slab| slab.mean()).collect();
        let window = Window::of_slabs(&means.iter().map(Vec::as_slice).collect::<Vec<_>>(), input);
        agreement.compare(&found.input[at], window.values());
        let nearest: Vec<u16> = window.values().iter().map(|value| nearest_half(*value)).collect();
        agreement.compare(&found_f16.input[at], &nearest);
        let tissue = Tissue::on(&means[input.slabs / 2], input);
        for (found_tissue, found_bone) in [(&found.tissue, &found.bone), (&found_f16.tissue, &found_f16.bone)] {
            agreement.compare(&found_tissue[at], &tissue.tissue.words());
            agreement.compare(&found_bone[at], &tissue.bone.words());
        }
        for change in [found.change[at], found_f16.change[at]] {
            agreement.compare(&[change_of_parts(change, input)], &[change_hu(&window, input)]);
        }
    }
    Ok(agreement)
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

/// Two windows with random outputs of an engine.
///
/// # Errors
/// If the kernel does not run.
pub fn evidence_agrees(kernels: &dyn Kernels, manifest: &Manifest, seed: u64) -> Result<Agreement, KernelError> {
    let random = &mut StdRng::seed_from_u64(seed);
    let input = random::input(manifest, random);
    let sums: Vec<SlabSum> = (0..6).map(|_| random::slab(&input, 300.0, random)).collect();
    let point = random::operating_point(manifest, random);
    let inferences = random::inferences(2, &input, random);
    let slabs = |first: usize| sums[first..first + input.slabs].iter().collect();
    let windows = [(&inferences[0], slabs(0)), (&inferences[1], slabs(1))];
    compare_evidence(kernels, &input, &point, &windows, random::offset(random))
}

/// Compares the evidence kernel with [`SlabEvidence::new`], on an engine's outputs of windows and on their slabs.
///
/// # Errors
/// If the kernel does not run.
pub fn compare_evidence(
    kernels: &dyn Kernels,
    input: &InputGeometry,
    point: &OperatingPoint,
    windows: &[(&Inference, Vec<&SlabSum>)],
    offset: usize,
) -> Result<Agreement, KernelError> {
    let planes: Vec<Vec<f32>> = windows.iter().map(|(_, slabs)| slabs[input.slabs / 2].mean()).collect();
    let bodies: Vec<Option<Body>> = planes.iter().map(|plane| Body::find(&Tissue::on(plane, input), input)).collect();
    let words = input.plane_len().div_ceil(64);
    let outputs = windows.iter().zip(&bodies).map(|((inference, slabs), body)| KernelOutputs {
        inference,
        slabs: slabs.clone(),
        body: body.as_ref().map_or_else(|| vec![u64::MAX; words], |body| body.mask().words().into_owned()),
    });
    let thresholds = [point.lung_probability, point.lesion_probability];
    let found = kernels.evidence(input, thresholds, &outputs.collect::<Vec<_>>(), offset)?;
    let mut agreement = Agreement::default();
    for (((found, (inference, _)), plane), body) in found.into_iter().zip(windows).zip(&planes).zip(bodies) {
        let not_finite = |values: &[f32]| values.iter().filter(|value| !value.is_finite()).count() as u32;
        let numbers = [[inference.attention], [inference.logit]];
        let expected = [&inference.lung[..], &inference.lesion, &numbers[0], &numbers[1]].map(not_finite);
        agreement.compare(&found.not_finite, &expected);
        agreement.compare(&[found.attention, found.logit], &[inference.attention, inference.logit]);
        let expected = SlabEvidence::new(inference, plane, input, point);
        agreement.compare(&[found.lung_pixels], &[expected.lung.count() as u32]);
        agreement.compare(&found.lung, &expected.lung.words());
        agreement.compare(&found.lesion, &expected.lesion.words());
        let expected_hu: Vec<f32> = expected.lesion.pixels().map(|at| input.hounsfield(plane[at])).collect();
        agreement.compare(&found.lesion_hu, &expected_hu);
        // What the CPU makes of it all, which nothing that differs above would survive.
        let mask = |words| Mask::from_words(input.rows, input.columns, words);
        if found.lesion_hu.len() == expected_hu.len() {
            let (lung, lesion) = (mask(found.lung), mask(found.lesion));
            let section = body.map(|body| body.section);
            let made = SlabEvidence::of_masks(lung, lesion, &found.lesion_hu, [0.0; 2], section, input);
            let is_same = made == SlabEvidence { attention: 0.0, logit: 0.0, ..expected };
            agreement.compare(&[u32::from(is_same)], &[1]);
        }
    }
    Ok(agreement)
}
