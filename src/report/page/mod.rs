//! Pages for people: text, shapes and pictures in their places, and how they become pixels.
//!
//! A page is a list of items until it is drawn, so that tests read what it says. Only additions, products and square roots make its
//! pixels: those give the same bits on every machine.

mod canvas;
mod font;
mod key_slice;
mod shapes;
mod summary;
mod words;

pub(super) use key_slice::key_slice;
pub(super) use summary::summary;

use canvas::Canvas;
use font::{Style, Weight};

use super::KeyPicture;
use words::NOT_FOR_DIAGNOSIS;

/// Left and right of the text, pixels.
const MARGIN: f64 = 40.0;

/// A place on the page: x and y from its upper left corner, pixels.
type Point = [f64; 2];

/// Red, green and blue.
type Colour = [u8; 3];

/// Where something lies on the page, pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Area {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Area {
    const fn new(left: f64, top: f64, width: f64, height: f64) -> Self {
        Self { left, top, width, height }
    }

    fn bottom(&self) -> f64 {
        self.top + self.height
    }

    fn right(&self) -> f64 {
        self.left + self.width
    }

    fn centre(&self) -> Point {
        [self.left + self.width / 2.0, self.top + self.height / 2.0]
    }
}

/// Colours of the console: they differ in lightness as well as in hue.
mod colours {
    use super::Colour;

    pub(super) const PAGE: Colour = [12, 16, 20];
    pub(super) const PANEL: Colour = [27, 34, 41];
    pub(super) const LINE: Colour = [70, 85, 100];
    pub(super) const INK: Colour = [232, 237, 242];
    pub(super) const FAINT: Colour = [176, 188, 200];
    pub(super) const BLACK: Colour = [0, 0, 0];
    pub(super) const WHITE: Colour = [255, 255, 255];
    pub(super) const WARNING: Colour = [255, 179, 0];
    pub(super) const WARNING_INK: Colour = [23, 16, 0];
    pub(super) const CHANGED: Colour = [29, 95, 174];
    pub(super) const LUNG: Colour = [86, 180, 233];
    pub(super) const LESION: Colour = [240, 110, 0];
}

/// Something on a page.
#[derive(Debug)]
enum Item<'a> {
    /// A filled rectangle with round corners.
    Rectangle {
        area: Area,
        radius: f64,
        colour: Colour,
    },
    /// Straight strokes from point to point with round ends and corners; a single point is a disc.
    Line {
        points: Vec<Point>,
        width: f64,
        colour: Colour,
    },
    Ring {
        centre: Point,
        radius: f64,
        width: f64,
        colour: Colour,
    },
    Polygon {
        points: Vec<Point>,
        colour: Colour,
    },
    /// A line of text and where its upper left corner is.
    Text {
        at: Point,
        style: Style,
        colour: Colour,
        text: String,
    },
    Picture {
        area: Area,
        picture: &'a KeyPicture,
    },
}

/// What is on a page, in the order in which it is drawn.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub(super) columns: usize,
    pub(super) rows: usize,
    items: Vec<Item<'a>>,
}

impl Page<'_> {
    fn new(columns: usize, rows: usize) -> Self {
        Self { columns, rows, items: Vec::new() }
    }

    fn width(&self) -> f64 {
        self.columns as f64
    }

    fn rectangle(&mut self, area: Area, radius: f64, colour: Colour) {
        self.items.push(Item::Rectangle { area, radius, colour });
    }

    fn line(&mut self, points: &[Point], width: f64, colour: Colour) {
        self.items.push(Item::Line { points: points.to_vec(), width, colour });
    }

    fn polygon(&mut self, points: Vec<Point>, colour: Colour) {
        self.items.push(Item::Polygon { points, colour });
    }

    fn text(&mut self, at: Point, style: Style, colour: Colour, text: impl Into<String>) {
        self.items.push(Item::Text { at, style, colour, text: text.into() });
    }

    /// A text with its middle at `middle_x`.
    fn centred(&mut self, middle_x: f64, top: f64, style: Style, colour: Colour, text: &str) {
        self.text([middle_x - style.width_of(text) / 2.0, top], style, colour, text);
    }

    /// The notice that stands at the top of every page; answers where it ends.
    fn banner(&mut self) -> f64 {
        const HEIGHT: f64 = 46.0;
        // On a grey monitor what follows may be as light.
        const EDGE: f64 = 4.0;
        const STYLE: Style = Style::new(Weight::Bold, 32);
        self.rectangle(Area::new(0.0, 0.0, self.width(), HEIGHT), 0.0, colours::FAINT);
        self.centred(self.width() / 2.0, 7.0, STYLE, colours::PAGE, NOT_FOR_DIAGNOSIS);
        HEIGHT + EDGE
    }

    /// The lines of text, in the order in which they are drawn.
    #[cfg(test)]
    pub(super) fn texts(&self) -> Vec<&str> {
        let mut texts = Vec::new();
        for item in &self.items {
            if let Item::Text { text, .. } = item {
                texts.push(text.as_str());
            }
        }
        texts
    }

    /// Lines of text that do not lie on the page as a whole.
    #[cfg(test)]
    pub(super) fn texts_off_the_page(&self) -> Vec<&str> {
        let is_off = |[left, top]: Point, style: Style, text: &str| {
            left < 0.0
                || top < 0.0
                || left + style.width_of(text) > self.width()
                || top + style.height() > self.rows as f64
        };
        let mut off = Vec::new();
        for item in &self.items {
            if let Item::Text { at, style, text, .. } = item
                && is_off(*at, *style, text)
            {
                off.push(text.as_str());
            }
        }
        off
    }

    /// Lines of text without a pixel of about their colour where they lie: thin strokes cover no pixel as a whole.
    #[cfg(test)]
    pub(super) fn texts_without_traces(&self) -> Vec<&str> {
        let rgb = self.draw();
        let mut without = Vec::new();
        for item in &self.items {
            let Item::Text { at: [left, top], style, colour, text } = item else { continue };
            let columns = *left as usize..(left + style.width_of(text)) as usize;
            let mut pixels = (*top as usize..(top + style.height()) as usize)
                .flat_map(|row| columns.clone().map(move |column| (row * self.columns + column) * 3));
            if !pixels.any(|at| rgb[at..at + 3].iter().zip(colour).all(|(value, colour)| value.abs_diff(*colour) <= 16))
            {
                without.push(text.as_str());
            }
        }
        without
    }

    /// Red, green and blue of each pixel, row by row.
    pub(super) fn draw(&self) -> Vec<u8> {
        let mut canvas = Canvas::new(self.columns, self.rows, colours::PAGE);
        for item in &self.items {
            canvas.draw(item);
        }
        canvas.into_rgb()
    }
}
