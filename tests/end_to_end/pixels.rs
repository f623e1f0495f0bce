//! What a screen shows, pixel by pixel.

use std::collections::BTreeMap;

/// Red, green and blue of a pixel.
pub type Colour = [u8; 3];

/// Colours that lie closer than this are one, with the noise of antialiasing.
const SAME: f64 = 24.0;

pub struct Pixels {
    pub width: usize,
    pub height: usize,
    colours: Vec<Colour>,
}

impl Pixels {
    pub fn of_png(png: &[u8]) -> Self {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        let samples = info.color_type.samples();
        let colours = bytes[..info.buffer_size()].chunks(samples).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        Self { width: info.width as usize, height: info.height as usize, colours }
    }

    /// The colours, the one of most pixels first.
    pub fn most_frequent(&self) -> Vec<Colour> {
        let mut counts: BTreeMap<Colour, usize> = BTreeMap::new();
        for colour in &self.colours {
            *counts.entry(*colour).or_default() += 1;
        }
        let mut counts: Vec<(usize, Colour)> = counts.into_iter().map(|(colour, count)| (count, colour)).collect();
        counts.sort_unstable_by(|one, other| other.cmp(one));
        counts.into_iter().map(|(_, colour)| colour).collect()
    }

    /// The ground, and the colour of what is written on it.
    pub fn ground_and_ink(&self) -> [Colour; 2] {
        let colours = self.most_frequent();
        let ink = colours.iter().find(|colour| distance(**colour, colours[0]) > 3.0 * SAME);
        [colours[0], *ink.expect("something is written")]
    }

    /// Which pixels are not of the ground.
    pub fn shape(&self) -> Vec<bool> {
        let [ground, ink] = self.ground_and_ink();
        self.colours.iter().map(|colour| distance(*colour, ink) < distance(*colour, ground)).collect()
    }

    /// The mean luminance, 0 to 1.
    pub fn luminance(&self) -> f64 {
        self.colours.iter().map(|colour| luminance(*colour)).sum::<f64>() / self.colours.len() as f64
    }
}

/// How far apart two colours are, 0 to 442.
pub fn distance(one: Colour, other: Colour) -> f64 {
    let squares = one.iter().zip(other).map(|(one, other)| (f64::from(*one) - f64::from(other)).powi(2));
    squares.sum::<f64>().sqrt()
}

/// Relative luminance (WCAG 2.2).
fn luminance(colour: Colour) -> f64 {
    let linear = |part: u8| {
        let share = f64::from(part) / 255.0;
        if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    };
    let [red, green, blue] = colour.map(linear);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// The contrast of two colours (WCAG 2.2), 1 to 21.
pub fn contrast(one: Colour, other: Colour) -> f64 {
    let [one, other] = [one, other].map(luminance);
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}
