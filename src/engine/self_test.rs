//! The self-test: what a package's model says of one window that lies in the package. An engine that says anything else on this
//! machine does not serve.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Engine, EngineError, Inference, ModelPackage};
use crate::preprocess::{InputGeometry, Window};

/// Blocks of a plane along each side.
const BLOCKS_ALONG: usize = 8;
/// Blocks of a plane.
pub(super) const BLOCKS: usize = BLOCKS_ALONG * BLOCKS_ALONG;

/// How far an engine may lie from a pinned probability: of a block on average, or of the slab. Half precision stays well within.
pub(super) const PROBABILITY_TOLERANCE: f32 = 0.01;
/// How far the attention may lie away: it weighs a slab by its exponential, so this is a twentieth of the weight.
pub(super) const ATTENTION_TOLERANCE: f32 = 0.05;

/// `[self_test]` of model.toml.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfTest {
    /// A grey PNG of 8 bits: the window's slabs below each other in ascending z, 0 to 255 for 0..=1.
    pub window: PathBuf,
    pub attention: f32,
    pub logit: f32,
    /// Mean lung probability of 8 x 8 blocks of the plane, row by row.
    pub lung: Vec<f32>,
    /// The same of the lesion probability.
    pub lesion: Vec<f32>,
}

impl SelfTest {
    /// What later inferences on the window in `window` are compared with.
    #[must_use]
    pub fn of(window: PathBuf, inference: &Inference, input: &InputGeometry) -> Self {
        Self {
            window,
            attention: inference.attention,
            logit: inference.logit,
            lung: block_means(&inference.lung, input),
            lesion: block_means(&inference.lesion, input),
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.lung.len() == BLOCKS && self.lesion.len() == BLOCKS
    }

    /// Why an inference is not the one that was pinned.
    fn difference(&self, found: &Self) -> Option<String> {
        let logistic = |logit: f32| 1.0 / (1.0 + (-logit).exp());
        let furthest = |pinned: &[f32], found: &[f32]| {
            let apart = pinned.iter().zip(found).map(|(a, b)| (a - b).abs());
            apart.fold(0.0_f32, f32::max)
        };
        let checks = [
            ("lung probability", furthest(&self.lung, &found.lung), PROBABILITY_TOLERANCE),
            ("lesion probability", furthest(&self.lesion, &found.lesion), PROBABILITY_TOLERANCE),
            ("slab probability", (logistic(self.logit) - logistic(found.logit)).abs(), PROBABILITY_TOLERANCE),
            ("attention", (self.attention - found.attention).abs(), ATTENTION_TOLERANCE),
        ];
        let (what, apart, allowed) = checks.into_iter().find(|(_, apart, allowed)| apart > allowed)?;
        Some(format!("{what} is {apart:.3} away from what the package names, {allowed} is allowed"))
    }
}

/// Compares an engine's inference with the one that its package names. Any engine passes a package that names none.
///
/// # Errors
/// If the engine fails, or says anything else.
pub fn self_test(engine: &mut dyn Engine, package: &ModelPackage) -> Result<(), EngineError> {
    let Some((pinned, window)) = package.self_test() else { return Ok(()) };
    let found = SelfTest::of(pinned.window.clone(), &engine.infer(&window)?, &package.manifest.input);
    match pinned.difference(&found) {
        Some(reason) => Err(EngineError::SelfTest { engine: engine.name(), reason }),
        None => Ok(()),
    }
}

/// Means over blocks of `rows / 8` by `columns / 8` pixels; what is left at the ends of sides that do not divide is not looked at.
fn block_means(plane: &[f32], input: &InputGeometry) -> Vec<f32> {
    let (rows, columns) = (input.rows / BLOCKS_ALONG, input.columns / BLOCKS_ALONG);
    let mean = |block: usize| {
        let (top, left) = (block / BLOCKS_ALONG * rows, block % BLOCKS_ALONG * columns);
        let pixels = (top..top + rows).flat_map(|row| &plane[row * input.columns + left..][..columns]);
        pixels.sum::<f32>() / (rows * columns).max(1) as f32
    };
    (0..BLOCKS).map(mean).collect()
}

/// Why a PNG is no window.
#[derive(Debug, thiserror::Error)]
pub enum WindowPictureError {
    #[error(transparent)]
    Decode(#[from] png::DecodingError),
    #[error(
        "it is a {colour:?} PNG of {} x {}, expected grey of 8 bits, {} x {}", size.0, size.1, expected.0, expected.1
    )]
    OtherKind { colour: png::ColorType, size: (u32, u32), expected: (u32, u32) },
}

/// The window in a PNG.
///
/// # Errors
/// If it is no grey PNG of 8 bits and of the window's size.
pub fn window_of(png: &[u8], input: &InputGeometry) -> Result<Window, WindowPictureError> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info()?;
    let (size, (colour, depth)) = (reader.info().size(), reader.output_color_type());
    let expected = (input.columns as u32, (input.slabs * input.rows) as u32);
    if (size, colour, depth) != (expected, png::ColorType::Grayscale, png::BitDepth::Eight) {
        return Err(WindowPictureError::OtherKind { colour, size, expected });
    }
    let mut pixels = vec![0; input.slabs * input.plane_len()];
    reader.next_frame(&mut pixels)?;
    let values: Vec<f32> = pixels.iter().map(|pixel| f32::from(*pixel) / 255.0).collect();
    let slabs: Vec<&[f32]> = values.chunks_exact(input.plane_len()).collect();
    Ok(Window::of_slabs(&slabs, input))
}

/// A window as the PNG that [`SelfTest::window`] names.
///
/// # Errors
/// If it cannot be encoded.
pub fn png_of(window: &Window) -> Result<Vec<u8>, png::EncodingError> {
    let [_, slabs, rows, columns] = window.shape();
    let pixels: Vec<u8> = window.values().iter().map(|value| (value * 255.0).round() as u8).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, columns as u32, (slabs * rows) as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(bytes)
}
