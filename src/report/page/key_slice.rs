//! A page for one slice with lungs and lesions outlined.

use super::font::{Style, Weight, fitted};
use super::summary::verdict_colours;
use super::{Area, Colour, Item, MARGIN, Page, colours, words};
use crate::report::{Exam, KeyPicture};
use crate::triage::{Segmentation, Verdict};

const SMALL: Style = Style::new(Weight::Regular, 20);
const BODY: Style = Style::new(Weight::Regular, 24);
const SMALL_BOLD: Style = Style::new(Weight::Bold, 20);
const LARGE_BOLD: Style = Style::new(Weight::Bold, 32);
const LETTER: Style = Style::new(Weight::Bold, 64);

/// Of the page: a picture pixel for pixel with its sides, and the text. An archive takes a page in proportion to its pixels.
const COLUMNS: usize = 768;
const ROWS: usize = 864;

/// Longer side of the picture on the page: as large as the pictures are made.
const PICTURE: f64 = 512.0;

/// Above the picture and below it, for the letters of its sides.
const EDGE: f64 = 34.0;

/// Width of the text between the margins.
const WIDTH: f64 = COLUMNS as f64 - 2.0 * MARGIN;

/// Of the sign that says the verdict.
const VERDICT_HEIGHT: f64 = 48.0;

/// The page of a picture; `number` says which one it is of `of`.
pub(in crate::report) fn key_slice<'a>(exam: &Exam<'_>, picture: &'a KeyPicture, [number, of]: [usize; 2]) -> Page<'a> {
    let mut page = Page::new(COLUMNS, ROWS);
    let top = page.banner() + EDGE;
    let longer = picture.rows.max(picture.columns) as f64;
    let [width, height] = [picture.columns, picture.rows].map(|len| (len as f64 / longer * PICTURE).round());
    let area = Area::new((page.width() - width) / 2.0, top + ((PICTURE - height) / 2.0).floor(), width, height);
    page.items.push(Item::Picture { area, picture });
    sides(&mut page, area);
    legend(&mut page, area);
    if let Some(mm) = exam.basis.segmentation.as_ref().and_then(|plane| pixel_mm(plane, picture, area)) {
        scale_bar(&mut page, area, mm);
    }
    caption(&mut page, exam, picture, [number, of], top + PICTURE + EDGE);
    page
}

/// Which way the patient lies: the picture's rows run to the left, its columns to the back.
fn sides(page: &mut Page<'_>, area: Area) {
    let [x, y] = area.centre();
    page.centred(x, area.top - 33.0, LARGE_BOLD, colours::INK, "A");
    page.centred(x, area.bottom() + 2.0, LARGE_BOLD, colours::INK, "P");
    let top = y - LETTER.height() / 2.0;
    page.centred(area.left / 2.0, top, LETTER, colours::INK, "R");
    page.centred(f64::midpoint(area.right(), page.width()), top, LETTER, colours::INK, "L");
}

fn legend(page: &mut Page<'_>, area: Area) {
    let kinds: [(&str, Colour); 2] = [("lungs", colours::LUNG), ("lesions", colours::LESION)];
    for (place, (name, colour)) in kinds.into_iter().enumerate() {
        let top = area.bottom() - 120.0 + place as f64 * 60.0;
        page.line(&[[20.0, top + 8.0], [100.0, top + 8.0]], 6.0, colour);
        page.centred(60.0, top + 16.0, BODY, colours::INK, name);
    }
}

/// Distance of the page's pixels, mm; `None` where the picture is not of the plane's shape.
fn pixel_mm(plane: &Segmentation, picture: &KeyPicture, area: Area) -> Option<f64> {
    let is_same_shape = plane.columns * picture.rows == plane.rows * picture.columns;
    let mm = plane.columns as f64 * plane.pixel_mm / area.width;
    (is_same_shape && mm.is_finite() && mm > 0.0).then_some(mm)
}

/// Ten centimetres with a mark at each.
fn scale_bar(page: &mut Page<'_>, area: Area, pixel_mm: f64) {
    const CENTIMETRES: u32 = 10;
    let length = f64::from(CENTIMETRES) * 10.0 / pixel_mm;
    if !(50.0..=PICTURE / 2.0).contains(&length) {
        return;
    }
    let (x, bottom) = (area.right() + 28.0, area.bottom() - 8.0);
    page.line(&[[x, bottom], [x, bottom - length]], 2.0, colours::INK);
    for mark in 0..=CENTIMETRES {
        let y = bottom - length * f64::from(mark) / f64::from(CENTIMETRES);
        let mark = if mark % 5 == 0 { 16.0 } else { 8.0 };
        page.line(&[[x, y], [x + mark, y]], 2.0, colours::INK);
    }
    page.text([x + 22.0, bottom - length / 2.0 - 12.0], BODY, colours::INK, "10 cm");
}

fn caption(page: &mut Page<'_>, exam: &Exam<'_>, picture: &KeyPicture, [number, of]: [usize; 2], top: f64) {
    let report = exam.report;
    page.text([MARGIN, top + 14.0], SMALL_BOLD, colours::FAINT, format!("Key slice {number} of {of}"));
    verdict(page, report.verdict, top + 3.0);
    let images = &exam.basis.images;
    let place = images.get(picture.image).map(|image| words::place_of(image, picture.image + 1, images.len()));
    let [when, what] = words::made_by(exam);
    let lines = [
        (BODY, colours::INK, place.unwrap_or_default()),
        (BODY, colours::INK, words::shown(&report.lesions, picture.lesion)),
        (SMALL, colours::FAINT, when),
        (SMALL, colours::FAINT, what),
    ];
    let mut top = top + VERDICT_HEIGHT + 10.0;
    for (style, colour, text) in lines {
        for line in fitted(&text, style.letters_in(WIDTH), 2) {
            page.text([MARGIN, top], style, colour, line);
            top += style.height() + 2.0;
        }
    }
}

/// The verdict of the exam: outlines alone say nothing of it.
fn verdict(page: &mut Page<'_>, verdict: Verdict, top: f64) {
    let [ground, ink] = verdict_colours(verdict);
    let word = words::verdict(verdict);
    let width = LARGE_BOLD.width_of(word) + 76.0;
    let left = page.width() - MARGIN - width;
    page.rectangle(Area::new(left - 3.0, top - 3.0, width + 6.0, VERDICT_HEIGHT + 6.0), 11.0, colours::INK);
    page.rectangle(Area::new(left, top, width, VERDICT_HEIGHT), 8.0, ground);
    page.sign(verdict, left + 12.0, top + 7.0, 34.0, ink);
    page.text([left + 60.0, top + 8.0], LARGE_BOLD, ink, word);
}
