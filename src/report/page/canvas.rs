//! Pixels of a page.

use std::ops::Range;

use super::font::Style;
use super::{Area, Colour, Item, Point};
use crate::report::KeyPicture;

/// Samples of a pixel along x and along y, to tell how much of it a polygon covers.
const SAMPLES: usize = 4;

pub(super) struct Canvas {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize, colour: Colour) -> Self {
        Self { width, height, rgb: colour.repeat(width * height) }
    }

    pub(super) fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }

    pub(super) fn draw(&mut self, item: &Item<'_>) {
        match item {
            Item::Rectangle { area, radius, colour } => {
                self.cover(*area, *colour, |at| within(rectangle_distance(area, *radius, at)));
            }
            Item::Line { points, width, colour } => {
                self.cover(around(points, *width), *colour, |at| within(line_distance(points, at) - width / 2.0));
            }
            Item::Ring { centre, radius, width, colour } => {
                let area = around(&[*centre], 2.0 * radius + width);
                self.cover(area, *colour, |at| within((distance(*centre, at) - radius).abs() - width / 2.0));
            }
            Item::Polygon { points, colour } => self.polygon(points, *colour),
            Item::Text { at, style, colour, text } => self.text(*at, *style, *colour, text),
            Item::Picture { area, picture } => self.picture(area, picture),
        }
    }

    /// Paints the share of each pixel about an area that `share` says of its middle.
    fn cover(&mut self, area: Area, colour: Colour, share: impl Fn(Point) -> f64) {
        let [columns, rows] = self.about(area);
        for y in rows {
            for x in columns.clone() {
                self.blend([x, y], colour, share([x as f64 + 0.5, y as f64 + 0.5]));
            }
        }
    }

    /// The columns and rows of an area and of one pixel around it.
    fn about(&self, area: Area) -> [Range<usize>; 2] {
        let range = |from: f64, to: f64, len: usize| {
            ((from - 1.0).max(0.0) as usize).min(len)..((to + 2.0).max(0.0) as usize).min(len)
        };
        [range(area.left, area.right(), self.width), range(area.top, area.bottom(), self.height)]
    }

    /// Paints the share of each pixel's samples that lies within the polygon.
    fn polygon(&mut self, points: &[Point], colour: Colour) {
        let [columns, rows] = self.about(around(points, 0.0));
        let samples = columns.len() * SAMPLES;
        let first_from = |x: f64| (((x - columns.start as f64) * SAMPLES as f64 - 0.5).ceil() as usize).min(samples);
        for y in rows {
            let mut covered = vec![0; columns.len()];
            for sample in 0..SAMPLES {
                let crossings = crossings(points, y as f64 + (sample as f64 + 0.5) / SAMPLES as f64);
                for within in crossings.chunks_exact(2) {
                    for sample in first_from(within[0])..first_from(within[1]) {
                        covered[sample / SAMPLES] += 1;
                    }
                }
            }
            for (x, covered) in columns.clone().zip(covered) {
                self.blend([x, y], colour, f64::from(covered) / (SAMPLES * SAMPLES) as f64);
            }
        }
    }

    fn blend(&mut self, [x, y]: [usize; 2], colour: Colour, share: f64) {
        if share <= 0.0 || x >= self.width || y >= self.height {
            return;
        }
        let share = share.min(1.0);
        let at = (y * self.width + x) * 3;
        for (value, colour) in self.rgb[at..at + 3].iter_mut().zip(colour) {
            *value = (f64::from(*value) * (1.0 - share) + f64::from(colour) * share).round() as u8;
        }
    }

    fn text(&mut self, [left, top]: Point, style: Style, colour: Colour, text: &str) {
        for (place, letter) in text.chars().enumerate() {
            let Some(raster) = style.letter(letter) else { continue };
            let coverage = |x: i64, y: i64| {
                let place = (usize::try_from(x).ok(), usize::try_from(y).ok());
                let (Some(x), Some(y)) = place else { return 0.0 };
                raster.pixel(x, y).map_or(0.0, |value| f64::from(value) / 255.0)
            };
            let origin = [(left + place as f64 * style.advance()).round(), top.round()];
            let area = Area::new(origin[0], origin[1], style.advance(), style.height());
            let scale = style.scale();
            self.cover(area, colour, |at| {
                let within_letter = [(at[0] - origin[0]) / scale - 0.5, (at[1] - origin[1]) / scale - 0.5];
                // Enlarged edges are as wide as the enlargement: made steeper by as much they are sharp again.
                (cubic(within_letter, coverage) - 0.5) * scale + 0.5
            });
        }
    }

    /// Resamples along rows and then along columns: the weights of a column of the page are the same in each row.
    fn picture(&mut self, area: &Area, picture: &KeyPicture) {
        let [width, height] = [area.width as usize, area.height as usize];
        let columns = taps(width, picture.columns as f64 / area.width, picture.columns);
        let rows = taps(height, picture.rows as f64 / area.height, picture.rows);
        let source_row = |row: usize| {
            let rgb = &picture.rgb[row * picture.columns * 3..][..picture.columns * 3];
            let sum = |tap: &Tap, channel: usize| tap.sum(|column| f64::from(rgb[column * 3 + channel]));
            columns.iter().flat_map(|tap| [0, 1, 2].map(|channel| sum(tap, channel))).collect::<Vec<f64>>()
        };
        let along: Vec<Vec<f64>> = (0..picture.rows).map(source_row).collect();
        let [left, top] = [area.left as usize, area.top as usize];
        for (row, tap) in rows.iter().enumerate() {
            let at = ((top + row) * self.width + left) * 3;
            let mut sums = vec![0.0; width * 3];
            for (source, weight) in tap.at.iter().zip(tap.weights) {
                for (sum, value) in sums.iter_mut().zip(&along[*source]) {
                    *sum += weight * value;
                }
            }
            for (value, sum) in self.rgb[at..at + width * 3].iter_mut().zip(sums) {
                // Rounded, and kept between 0 and 255: `as` saturates.
                *value = (sum + 0.5) as u8;
            }
        }
    }
}

/// Which four source pixels a pixel of a resampled row is made from.
struct Tap {
    at: [usize; 4],
    weights: [f64; 4],
}

impl Tap {
    fn sum(&self, value: impl Fn(usize) -> f64) -> f64 {
        self.at.iter().zip(self.weights).map(|(at, weight)| weight * value(*at)).sum()
    }
}

/// The taps of so many pixels, each `scale` source pixels wide, of which there are `source`.
fn taps(pixels: usize, scale: f64, source: usize) -> Vec<Tap> {
    let last = source as f64 - 1.0;
    let tap = |pixel: usize| {
        let middle = ((pixel as f64 + 0.5) * scale - 0.5).clamp(0.0, last);
        let first = middle.floor();
        let at = [0.0, 1.0, 2.0, 3.0].map(|offset| (first + offset - 1.0).clamp(0.0, last) as usize);
        Tap { at, weights: spline(middle - first) }
    };
    (0..pixels).map(tap).collect()
}

/// How much of a pixel lies within a shape whose edge is so far from its middle, inside below nought.
fn within(distance: f64) -> f64 {
    (0.5 - distance).clamp(0.0, 1.0)
}

fn distance([x0, y0]: Point, [x1, y1]: Point) -> f64 {
    ((x1 - x0) * (x1 - x0) + (y1 - y0) * (y1 - y0)).sqrt()
}

fn rectangle_distance(area: &Area, radius: f64, at: Point) -> f64 {
    let [x, y] = area.centre();
    let beyond_x = (at[0] - x).abs() - (area.width / 2.0 - radius);
    let beyond_y = (at[1] - y).abs() - (area.height / 2.0 - radius);
    let outside = distance([0.0, 0.0], [beyond_x.max(0.0), beyond_y.max(0.0)]);
    outside + beyond_x.max(beyond_y).min(0.0) - radius
}

fn line_distance(points: &[Point], at: Point) -> f64 {
    let to_stroke = |[x0, y0]: Point, [x1, y1]: Point| {
        let (along_x, along_y) = (x1 - x0, y1 - y0);
        let length = along_x * along_x + along_y * along_y;
        let part = ((at[0] - x0) * along_x + (at[1] - y0) * along_y) / length;
        let part = if length > 0.0 { part.clamp(0.0, 1.0) } else { 0.0 };
        distance([x0 + part * along_x, y0 + part * along_y], at)
    };
    let last = points.last().copied().into_iter();
    let strokes = points.iter().zip(points.iter().skip(1)).map(|(from, to)| to_stroke(*from, *to));
    strokes.chain(last.map(|point| distance(point, at))).fold(f64::INFINITY, f64::min)
}

/// Where a polygon's edges cross this height, from left to right: an even number of times.
fn crossings(points: &[Point], y: f64) -> Vec<f64> {
    let crossing = |([x0, y0], [x1, y1]): (&Point, &Point)| {
        let crosses = (*y0 > y) != (*y1 > y);
        crosses.then(|| (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    };
    let edges = points.iter().zip(points.iter().cycle().skip(1));
    let mut crossings: Vec<f64> = edges.filter_map(crossing).collect();
    crossings.sort_unstable_by(f64::total_cmp);
    crossings
}

/// What these points span with strokes so wide about them.
fn around(points: &[Point], width: f64) -> Area {
    let least = |axis: usize| points.iter().map(|point| point[axis]).fold(f64::INFINITY, f64::min) - width / 2.0;
    let most = |axis: usize| points.iter().map(|point| point[axis]).fold(f64::NEG_INFINITY, f64::max) + width / 2.0;
    Area::new(least(0), least(1), most(0) - least(0), most(1) - least(1))
}

/// The value between sixteen pixels, by Catmull-Rom splines: outlines stay as thin as they are, letters as round.
fn cubic([x, y]: Point, value: impl Fn(i64, i64) -> f64) -> f64 {
    let (left, top) = (x.floor(), y.floor());
    let (across, down) = (spline(x - left), spline(y - top));
    let (left, top) = (left as i64, top as i64);
    let along = |row: i64| -> f64 { (0..4).map(|tap| across[tap] * value(left + tap as i64 - 1, row)).sum() };
    (0..4).map(|tap| down[tap] * along(top + tap as i64 - 1)).sum()
}

/// What four values in a row weigh at this share of the way from the second to the third.
pub(super) fn spline(t: f64) -> [f64; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [0.5 * (-t3 + 2.0 * t2 - t), 0.5 * (3.0 * t3 - 5.0 * t2 + 2.0), 0.5 * (-3.0 * t3 + 4.0 * t2 + t), 0.5 * (t3 - t2)]
}
