//! The page that sums a report up.

use super::font::{Style, Weight, fitted, wrapped};
use super::shapes::lung_third;
use super::words::{self, Figure, Notice};
use super::{Area, Colour, MARGIN, Page, colours};
use crate::report::Exam;
use crate::triage::{CaseReport, Side, Verdict, Zone, ZoneScore};
use crate::words::counted;

const TITLE: Style = Style::new(Weight::Bold, 20);
const SMALL: Style = Style::new(Weight::Regular, 20);
const BODY: Style = Style::new(Weight::Regular, 24);
const BODY_BOLD: Style = Style::new(Weight::Bold, 24);
const LARGE: Style = Style::new(Weight::Regular, 32);
const LARGE_BOLD: Style = Style::new(Weight::Bold, 32);

/// Rows and columns of the page.
const SIDE: usize = 1024;

/// Width of what lies between the margins.
const WIDTH: f64 = SIDE as f64 - 2.0 * MARGIN;

/// Between parts of the page.
const GAP: f64 = 14.0;

/// Height of what stands at the foot.
const FOOT: f64 = 86.0;

/// The page of an exam, whatever its verdict.
pub(in crate::report) fn summary<'a>(exam: &Exam<'_>) -> Page<'a> {
    let report = exam.report;
    let mut page = Page::new(SIDE, SIDE);
    let mut top = page.banner();
    top = verdict(&mut page, report, top);
    for notice in words::notices(exam) {
        top = show_notice(&mut page, &notice, top);
    }
    top = reason(&mut page, report, top + GAP);
    if words::is_measured(report) {
        top = figures(&mut page, report, top + GAP);
    }
    let left_over = Area::new(MARGIN, top + GAP, WIDTH, SIDE as f64 - FOOT - top - 2.0 * GAP);
    findings(&mut page, report, left_over);
    foot(&mut page, exam);
    page
}

/// Ground and letters of a verdict, as the console has them.
pub(super) fn verdict_colours(verdict: Verdict) -> [Colour; 2] {
    match verdict {
        Verdict::Suspected => [[179, 18, 47], colours::WHITE],
        Verdict::Abnormal => [[240, 140, 122], [31, 7, 3]],
        Verdict::NotAnalysed => [[220, 207, 242], [29, 15, 54]],
        Verdict::NotSuspected => [[43, 51, 59], colours::INK],
    }
}

fn verdict(page: &mut Page<'_>, report: &CaseReport, top: f64) -> f64 {
    const HEIGHT: f64 = 164.0;
    const SIGN: f64 = 112.0;
    const LEFT: f64 = MARGIN + SIGN + 28.0;
    let [ground, ink] = verdict_colours(report.verdict);
    let area = Area::new(0.0, top, SIDE as f64, HEIGHT);
    if report.verdict == Verdict::Suspected {
        // An alarm has an edge: on a grey monitor its colour is no lighter than that of a verdict that asks for nothing.
        page.rectangle(area, 0.0, colours::WHITE);
        page.rectangle(Area::new(8.0, top + 8.0, SIDE as f64 - 16.0, HEIGHT - 16.0), 0.0, ground);
    } else {
        page.rectangle(area, 0.0, ground);
    }
    page.sign(report.verdict, MARGIN, top + (HEIGHT - SIGN) / 2.0, SIGN, ink);
    let word = words::verdict(report.verdict);
    let width = SIDE as f64 - MARGIN / 2.0 - LEFT;
    let style = if Style::new(Weight::Bold, 96).width_of(word) <= width { 96 } else { 80 };
    let style = Style::new(Weight::Bold, style);
    page.text([LEFT, top + 58.0 - style.height() / 2.0], style, ink, word);
    page.text([LEFT, top + 108.0], LARGE_BOLD, ink, words::advice(report));
    area.bottom()
}

fn show_notice(page: &mut Page<'_>, notice: &Notice, top: f64) -> f64 {
    let (text, ground, ink) = match notice {
        Notice::Warning(text) => (text, colours::WARNING, colours::WARNING_INK),
        Notice::Changed(text) => (text, colours::CHANGED, colours::WHITE),
    };
    let lines = wrapped(text, BODY_BOLD.letters_in(WIDTH));
    let height = lines.len() as f64 * BODY_BOLD.height() + 12.0;
    page.rectangle(Area::new(0.0, top + 3.0, SIDE as f64, height), 0.0, ground);
    let end = paragraph(page, &lines, [MARGIN, top + 9.0], BODY_BOLD, ink);
    end + 6.0
}

/// Lines one below the other; answers where they end.
fn paragraph(page: &mut Page<'_>, lines: &[String], [left, top]: [f64; 2], style: Style, colour: Colour) -> f64 {
    for (place, line) in lines.iter().enumerate() {
        page.text([left, top + place as f64 * style.height()], style, colour, line);
    }
    top + lines.len() as f64 * style.height()
}

/// The sentence as large as lets it stand in so many lines.
fn reason(page: &mut Page<'_>, report: &CaseReport, top: f64) -> f64 {
    const MOST_LINES: [(Style, usize); 3] = [(LARGE, 3), (BODY, 5), (SMALL, 7)];
    const ALONE: [(Style, usize); 3] = [(LARGE, 8), (BODY, 12), (SMALL, 18)];
    let most_lines = if words::is_measured(report) { MOST_LINES } else { ALONE };
    let reason = words::reason(report);
    let fits = |(style, most): &&(Style, usize)| wrapped(&reason, style.letters_in(WIDTH)).len() <= *most;
    let (style, most) = most_lines.iter().find(fits).copied().unwrap_or(most_lines[2]);
    paragraph(page, &fitted(&reason, style.letters_in(WIDTH), most), [MARGIN, top], style, colours::INK)
}

fn title(page: &mut Page<'_>, text: &str, left: f64, top: f64) -> f64 {
    page.text([left, top], TITLE, colours::FAINT, text);
    top + TITLE.height() + 4.0
}

fn figures(page: &mut Page<'_>, report: &CaseReport, top: f64) -> f64 {
    const BETWEEN: f64 = 10.0;
    const TILE: Area = Area::new(MARGIN, 0.0, 296.0, 80.0);
    let top = title(page, words::figures_title(report.verdict), MARGIN, top);
    for (place, figure) in words::figures(report).iter().enumerate() {
        let left = TILE.left + (place % 2) as f64 * (TILE.width + BETWEEN);
        let top = top + (place / 2) as f64 * (TILE.height + BETWEEN);
        tile(page, figure, Area { left, top, ..TILE });
    }
    let height = 3.0 * TILE.height + 2.0 * BETWEEN;
    let left = TILE.left + 2.0 * (TILE.width + BETWEEN);
    zones(page, words::zone_score(report), Area::new(left, top, MARGIN + WIDTH - left, height));
    top + height
}

fn tile(page: &mut Page<'_>, figure: &Figure, area: Area) {
    const VALUE: Style = Style::new(Weight::Bold, 48);
    let Area { left, top, .. } = area;
    page.rectangle(area, 8.0, colours::PANEL);
    page.text([left + 14.0, top + 5.0], SMALL, colours::FAINT, figure.name);
    if let Some(values) = figure.gauge {
        gauge(page, values, Area::new(left + 128.0, top + 12.0, area.width - 142.0, 8.0));
    }
    page.text([left + 14.0, top + 30.0], VALUE, colours::INK, &figure.value);
    let colour = if figure.warns { colours::WARNING } else { colours::FAINT };
    let beside = area.width - 28.0 - VALUE.width_of(&figure.value) - 12.0;
    let lines = fitted(&figure.note, SMALL.letters_in(beside), 2);
    let note_top = area.bottom() - 9.0 - lines.len() as f64 * SMALL.height();
    paragraph(page, &lines, [area.right() - 14.0 - beside, note_top], SMALL, colour);
}

fn gauge(page: &mut Page<'_>, [value, limit]: [f64; 2], area: Area) {
    let x = |share: f64| area.width * share.clamp(0.0, 1.0);
    page.rectangle(area, area.height / 2.0, colours::LINE);
    page.rectangle(Area { width: x(value).max(area.height), ..area }, area.height / 2.0, colours::INK);
    page.rectangle(
        Area::new(area.left + x(limit) - 2.0, area.top - 5.0, 4.0, area.height + 10.0),
        1.0,
        colours::WARNING,
    );
}

/// The lungs from the patient's front: the right one to the left.
fn zones(page: &mut Page<'_>, score: Option<&ZoneScore>, area: Area) {
    page.rectangle(area, 8.0, colours::PANEL);
    let [middle, _] = area.centre();
    let Some(score) = score else {
        page.centred(middle, area.top + area.height / 2.0 - 12.0, BODY, colours::FAINT, "No zone score");
        return;
    };
    page.centred(middle, area.top + 6.0, BODY_BOLD, colours::INK, &format!("Zone score {} of 24", score.total));
    let lung = Area::new(0.0, area.top + 38.0, 112.0, area.height - 50.0);
    let sides = [(Side::Right, "R", middle - 8.0 - lung.width), (Side::Left, "L", middle + 8.0)];
    for (side, letter, left) in sides {
        let lung = Area { left, ..lung };
        for (third, zone) in Zone::of_side(side).into_iter().enumerate() {
            let involved = &score.zones[zone as usize];
            let value = (involved.lung_ml > 0.0).then_some((involved.score, involved.share));
            show_zone(page, value, lung_third(side, third, lung), third_centre(side, third, lung));
        }
        let beside = if side == Side::Right { lung.left - 26.0 } else { lung.right() + 12.0 };
        page.text([beside, lung.top], LARGE_BOLD, colours::FAINT, letter);
    }
}

fn third_centre(side: Side, third: usize, lung: Area) -> [f64; 2] {
    let from_middle = [0.42, 0.52, 0.58][third] * lung.width;
    let x = if side == Side::Right { lung.right() - from_middle } else { lung.left + from_middle };
    [x, lung.top + (third as f64 + [0.58, 0.5, 0.48][third]) * lung.height / 3.0]
}

fn show_zone(page: &mut Page<'_>, value: Option<(u8, f64)>, outline: Vec<[f64; 2]>, [x, y]: [f64; 2]) {
    const GROUNDS: [Colour; 5] = [[52, 64, 76], [112, 64, 12], [158, 88, 10], [214, 122, 20], [255, 176, 74]];
    let (ground, ink) = match value {
        Some((score @ 0..=2, _)) => (GROUNDS[usize::from(score)], colours::WHITE),
        Some((score, _)) => (GROUNDS[usize::from(score).min(4)], colours::BLACK),
        None => (colours::PAGE, colours::FAINT),
    };
    page.polygon(outline, ground);
    match value {
        Some((score, share)) => {
            page.centred(x, y - 30.0, LARGE_BOLD, ink, &score.to_string());
            page.centred(x, y + 2.0, SMALL, ink, &format!("{:.0} %", share * 100.0));
        }
        None => page.centred(x, y - 16.0, LARGE_BOLD, ink, "-"),
    }
}

/// Lesions beside what there is to say of the scan; the latter alone without any.
fn findings(page: &mut Page<'_>, report: &CaseReport, area: Area) {
    const LESIONS: f64 = 484.0;
    const BETWEEN: f64 = 24.0;
    if report.lesions.is_empty() {
        acquisition(page, report, area, if words::is_measured(report) { BODY } else { LARGE });
        return;
    }
    lesions(page, report, Area { width: LESIONS, ..area });
    let left = area.left + LESIONS + BETWEEN;
    acquisition(page, report, Area { left, width: area.width - LESIONS - BETWEEN, ..area }, SMALL);
}

fn lesions(page: &mut Page<'_>, report: &CaseReport, area: Area) {
    let top = title(page, words::LESION_TITLE, area.left, area.top);
    let rows = ((area.bottom() - top) / BODY.height()) as usize;
    let listed = if report.lesions.len() > rows { rows.saturating_sub(1) } else { rows };
    let (listed, others) = report.lesions.split_at(listed.min(report.lesions.len()));
    let mut lines: Vec<String> =
        listed.iter().enumerate().map(|(place, lesion)| words::lesion_row(place + 1, lesion)).collect();
    if !others.is_empty() {
        let volume_ml: f64 = others.iter().map(|lesion| lesion.volume_ml).sum();
        lines.push(format!("{} more, {volume_ml:.1} ml in all", others.len()));
    }
    paragraph(page, &lines, [area.left, top], BODY, colours::INK);
}

/// What became of the images, and as many of the issues as there is room for.
fn acquisition(page: &mut Page<'_>, report: &CaseReport, area: Area, style: Style) {
    const INDENT: f64 = 18.0;
    let letters = style.letters_in(area.width - INDENT);
    let top = title(page, "The scan", area.left, area.top);
    let counts = wrapped(&words::slices(&report.slices), style.letters_in(area.width));
    let mut top = paragraph(page, &counts, [area.left, top], style, colours::FAINT) + 4.0;
    for (place, issue) in report.quality.iter().enumerate() {
        let lines = wrapped(&words::issue(issue), letters);
        let left = report.quality.len() - place;
        let needed = lines.len() + usize::from(left > 1);
        let room = ((area.bottom() - top) / style.height()) as usize;
        if needed > room {
            let more = format!("and {} more", counted(left, "issue"));
            page.text([area.left + INDENT, top], style, colours::WARNING, more);
            return;
        }
        page.line(&[[area.left + 5.0, top + style.height() / 2.0]], 8.0, colours::WARNING);
        top = paragraph(page, &lines, [area.left + INDENT, top], style, colours::INK) + 2.0;
    }
}

fn foot(page: &mut Page<'_>, exam: &Exam<'_>) {
    let top = SIDE as f64 - FOOT;
    page.rectangle(Area::new(MARGIN, top, WIDTH, 2.0), 0.0, colours::LINE);
    let letters = SMALL.letters_in(WIDTH);
    let [when, what] = words::made_by(exam);
    let lines = [fitted(words::LIMITS, letters, 1), fitted(&when, letters, 1), fitted(&what, letters, 2)].concat();
    paragraph(page, &lines, [MARGIN, top + 6.0], SMALL, colours::FAINT);
}
