//! Pictures of slices in the model's plane, plain or with outlines drawn in.

use crate::analysis::PlacedImage;
use crate::exam::{PlaneError, plane_of};
use crate::preprocess::InputGeometry;
use crate::raster::Outline;

/// Rows and columns of a picture: as fine as the CT itself over the model's field of view.
pub const SIDE: usize = 512;

/// The lung window that radiologists read by: level -600, width 1500.
const LUNG_WINDOW_HU: [f32; 2] = [-1350.0, 150.0];

/// Colours, red-green-blue: told apart also by those who do not see red or green.
const LUNG_COLOUR: [u8; 3] = [86, 180, 233];
const LESION_COLOUR: [u8; 3] = [240, 110, 0];

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[error("no picture of {path}: {reason}")]
pub struct PictureError {
    path: String,
    reason: String,
}

impl PictureError {
    fn of(placed: &PlacedImage, reason: &impl ToString) -> Self {
        Self { path: placed.image.path.display().to_string(), reason: reason.to_string() }
    }
}

/// A grey PNG of a slice, covering the same square as the model's plane.
///
/// # Errors
/// If there is no slice that decodes.
pub fn picture(placed: &PlacedImage, plane: &InputGeometry) -> Result<Vec<u8>, PictureError> {
    let grey = grey(placed, plane).map_err(|error| PictureError::of(placed, &error))?;
    encode(&grey, png::ColorType::Grayscale).map_err(|error| PictureError::of(placed, &error))
}

/// The same in colour, with outlines (in plane pixels) drawn in.
///
/// # Errors
/// If there is no slice that decodes.
pub fn picture_with_outlines(
    placed: &PlacedImage,
    plane: &InputGeometry,
    lung: &[Outline],
    lesion: &[Outline],
) -> Result<Vec<u8>, PictureError> {
    let colour = outlined(placed, plane, lung, lesion)?;
    encode(&colour, png::ColorType::Rgb).map_err(|error| PictureError::of(placed, &error))
}

/// The same as red, green and blue of each pixel, row by row: [`SIDE`] rows and columns.
///
/// # Errors
/// If there is no slice that decodes.
pub fn outlined(
    placed: &PlacedImage,
    plane: &InputGeometry,
    lung: &[Outline],
    lesion: &[Outline],
) -> Result<Vec<u8>, PictureError> {
    let grey = grey(placed, plane).map_err(|error| PictureError::of(placed, &error))?;
    let mut colour: Vec<u8> = grey.iter().flat_map(|value| [*value; 3]).collect();
    let scale = SIDE as f64 / plane.columns as f64;
    for outline in lung {
        draw(&mut colour, outline, scale, LUNG_COLOUR);
    }
    for outline in lesion {
        draw(&mut colour, outline, scale, LESION_COLOUR);
    }
    Ok(colour)
}

fn grey(PlacedImage { image, centre }: &PlacedImage, plane: &InputGeometry) -> Result<Vec<u8>, PlaneError> {
    let target = InputGeometry {
        rows: SIDE,
        columns: SIDE,
        pixel_mm: plane.pixel_mm * plane.columns as f64 / SIDE as f64,
        hu_window: LUNG_WINDOW_HU,
        ..plane.clone()
    };
    let shown = plane_of(image, *centre, &target)?;
    Ok(shown.values().map(|value| (value * 255.0).round() as u8).collect())
}

/// Outlines run along rows and columns only: every step between two corners is a straight stroke.
fn draw(colour: &mut [u8], outline: &Outline, scale: f64, with: [u8; 3]) {
    let at = |corner: &[u16; 2]| corner.map(|value| ((f64::from(value) * scale) as usize).min(SIDE - 1));
    for (from, to) in outline.iter().zip(outline.iter().cycle().skip(1)) {
        let ([x0, y0], [x1, y1]) = (at(from), at(to));
        for y in y0.min(y1)..=y0.max(y1) {
            for x in x0.min(x1)..=x0.max(x1) {
                colour[(y * SIDE + x) * 3..][..3].copy_from_slice(&with);
            }
        }
    }
}

fn encode(pixels: &[u8], colour: png::ColorType) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIDE as u32, SIDE as u32);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(bytes)
}
