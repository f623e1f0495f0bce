//! The report's charts, as SVG. Every one can be told apart without colours.

use maud::{Markup, html};

use crate::validation::curves::{CalibrationBin, RocPoint};
use crate::validation::summary::{Counts, Subject};
use crate::validation::{CaseResult, Observation};

/// A chart's area for data, in the picture's units; both axes go from 0 to 1.
struct Area {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

/// A square chart, and one as wide as the page.
const SQUARE: Area = Area { left: 58.0, top: 14.0, width: 320.0, height: 320.0 };
const SQUARE_SIZE: (f64, f64) = (400.0, 386.0);
const WIDE: Area = Area { left: 66.0, top: 14.0, width: 740.0, height: 280.0 };
const WIDE_SIZE: (f64, f64) = (980.0, 346.0);

impl Area {
    fn x(&self, share: f64) -> f64 {
        round(self.left + share * self.width)
    }

    fn y(&self, share: f64) -> f64 {
        round(self.top + (1.0 - share) * self.height)
    }

    fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// `M x,y L x,y ...` through points of the unit square.
    fn line(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let places: Vec<String> = points.map(|(x, y)| format!("{},{}", self.x(x), self.y(y))).collect();
        format!("M{}", places.join(" L"))
    }

    fn axes(&self, x_title: &str, y_title: &str) -> Markup {
        let ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
        html! {
            @for tick in ticks {
                line.grid x1=(self.x(tick)) x2=(self.x(tick)) y1=(self.top) y2=(self.bottom()) {}
                line.grid x1=(self.left) x2=(self.left + self.width) y1=(self.y(tick)) y2=(self.y(tick)) {}
                text.tick x=(self.x(tick)) y=(self.bottom() + 18.0) text-anchor="middle" { (percent(tick)) }
            }
            @for tick in ticks {
                text.tick x=(self.left - 8.0) y=(self.y(tick) + 4.0) text-anchor="end" { (percent(tick)) }
            }
            text.axis x=(self.left + self.width / 2.0) y=(self.bottom() + 40.0) text-anchor="middle" { (x_title) }
            (self.y_title(y_title))
        }
    }

    fn y_title(&self, title: &str) -> Markup {
        let (x, y) = (14.0, self.top + self.height / 2.0);
        html! { text.axis x=(x) y=(y) text-anchor="middle" transform=(format!("rotate(-90 {x} {y})")) { (title) } }
    }
}

fn round(place: f64) -> f64 {
    (place * 10.0).round() / 10.0
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn svg(size: (f64, f64), title: &str, content: &Markup) -> Markup {
    html! {
        svg.wide[size == WIDE_SIZE] viewBox=(format!("0 0 {} {}", size.0, size.1)) role="img" aria-label=(title) { (content) }
    }
}

/// The ROC curve with the operating point, which is where the cases with a result lie.
pub(super) fn roc(curve: &[RocPoint], counts: &Counts, subject: &Subject) -> Markup {
    let area = SQUARE;
    let sensitivity = counts.positives_flagged as f64 / counts.positives_judged as f64;
    let false_flags = counts.negatives_flagged as f64 / counts.negatives_judged as f64;
    let label_left = false_flags > 0.5;
    let content = html! {
        (area.axes("negative cases flagged (1 - specificity)", "positive cases flagged (sensitivity)"))
        path.chance d=(area.line([(0.0, 0.0), (1.0, 1.0)].into_iter())) {}
        path.curve d=(area.line(curve.iter().map(|point| (1.0 - point.specificity, point.sensitivity)))) {}
        circle.point cx=(area.x(false_flags)) cy=(area.y(sensitivity)) r="6" {}
        text.label x=(area.x(false_flags) + if label_left { -11.0 } else { 11.0 })
            y=((area.y(sensitivity) + 18.0).min(area.bottom() - 6.0)) text-anchor=(if label_left { "end" } else { "start" }) {
            "operating point: from " (format!("{:.3}", subject.suspected))
        }
    };
    svg(SQUARE_SIZE, "ROC curve", &content)
}

/// How many of the cases with like scores are positive.
pub(super) fn calibration(bins: &[CalibrationBin]) -> Markup {
    let area = SQUARE;
    let content = html! {
        (area.axes("mean score of the cases", "positive share of the cases"))
        path.chance d=(area.line([(0.0, 0.0), (1.0, 1.0)].into_iter())) {}
        @for bin in bins {
            @let (x, y) = (area.x(bin.mean_score), area.y(bin.observed.value));
            @if let Some(interval) = bin.observed.interval {
                line.whisker x1=(x) x2=(x) y1=(area.y(interval.low)) y2=(area.y(interval.high)) {}
            }
            circle.point cx=(x) cy=(y) r="5" {}
            @let above = bin.observed.value < 0.5;
            text.small x=(x + if bin.mean_score > 0.5 { -8.0 } else { 8.0 }) y=(if above { y - 8.0 } else { y + 16.0 })
                text-anchor=(if bin.mean_score > 0.5 { "end" } else { "start" }) { (bin.observed.n) }
        }
    };
    svg(SQUARE_SIZE, "Calibration", &content)
}

/// The running score of all judged cases over the share of their slices that had come.
pub(super) fn paths(cases: &[CaseResult], subject: &Subject) -> Markup {
    let area = WIDE;
    let judged = |positive: bool| {
        cases
            .iter()
            .filter(move |case| case.positive == positive)
            .filter_map(|case| Some((case, case.judged().filter(|seen| !seen.path.is_empty())?)))
    };
    let right = area.left + area.width;
    let early_is_upper = subject.early >= subject.suspected;
    let content = html! {
        (area.axes("slices received", "running score"))
        @for (case, seen) in judged(false).chain(judged(true)) {
            path class=(if case.positive { "positive" } else { "negative" }) d=(path(&area, seen)) {
                title { (case.name) }
            }
        }
        @for (threshold, name, is_upper) in
            [(subject.early, "early flag", early_is_upper), (subject.suspected, "suspected", !early_is_upper)] {
            line.threshold x1=(area.left) x2=(right) y1=(area.y(threshold)) y2=(area.y(threshold)) {}
            text.label x=(right + 6.0) y=(area.y(threshold) + if is_upper { -1.0 } else { 14.0 }) {
                (name) " from " (format!("{threshold:.3}"))
            }
        }
    };
    svg(WIDE_SIZE, "Score along the scan", &content)
}

fn path(area: &Area, seen: &Observation) -> String {
    let slices = seen.path.iter().map(|point| point.slices).max().unwrap_or(0).max(seen.slices).max(1);
    area.line(seen.path.iter().map(|point| (point.slices as f64 / slices as f64, point.score)))
}

/// When positive cases were flagged: early by tenths of the scan, with the verdict, or not at all.
pub(super) fn time_to_flag(cases: &[CaseResult]) -> Markup {
    let area = WIDE;
    let positives: Vec<&CaseResult> = cases.iter().filter(|case| case.positive && !case.failed()).collect();
    let columns = flag_columns(&positives);
    let most = columns.iter().map(|column| column.count).max().unwrap_or(0).max(1);
    let step = area.width / columns.len() as f64;
    let content = html! {
        line.grid x1=(area.left) x2=(area.left + area.width) y1=(area.bottom()) y2=(area.bottom()) {}
        @for (index, Column { name, class, count }) in columns.iter().enumerate() {
            @let x = area.left + index as f64 * step;
            @let height = *count as f64 / most as f64 * (area.height - 24.0);
            @if *count > 0 {
                rect class=(class)
                    x=(round(x + 3.0)) y=(round(area.bottom() - height)) width=(round(step - 6.0)) height=(round(height)) {}
                text.label x=(round(x + step / 2.0)) y=(round(area.bottom() - height - 6.0)) text-anchor="middle" {
                    (count)
                }
            }
            @for (row, word) in name.split(' ').enumerate() {
                text.tick x=(round(x + step / 2.0)) y=(area.bottom() + 18.0 + 14.0 * row as f64) text-anchor="middle" {
                    (word)
                }
            }
        }
        text.axis x=(area.left + step * TENTHS as f64 / 2.0) y=(area.bottom() + 40.0) text-anchor="middle" {
            "slices received when flagged early, %"
        }
        (area.y_title("positive cases"))
    };
    svg(WIDE_SIZE, "Time to flag", &content)
}

const TENTHS: usize = 10;

struct Column {
    name: String,
    class: &'static str,
    count: usize,
}

fn flag_columns(positives: &[&CaseResult]) -> Vec<Column> {
    let early_share = |case: &CaseResult| {
        case.judged().filter(|_| case.flagged()).and_then(|seen| seen.flag).filter(|flag| flag.early).map(|f| f.share)
    };
    let tenth = |share: f64| ((share * TENTHS as f64) as usize).min(TENTHS - 1);
    let column = |name: String, class, which: &dyn Fn(&CaseResult) -> bool| {
        let count = positives.iter().filter(|case| which(case)).count();
        Column { name, class, count }
    };
    let mut columns: Vec<Column> = (0..TENTHS)
        .map(|index| {
            let name = format!("{}-{}", index * 10, (index + 1) * 10);
            column(name, "early", &|case| early_share(case).is_some_and(|share| tenth(share) == index))
        })
        .collect();
    let late = |case: &CaseResult| case.flagged() && early_share(case).is_none();
    columns.push(column("with verdict".to_owned(), "late", &late));
    columns.push(column("not flagged".to_owned(), "never", &|case| !case.flagged()));
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::{FlagTime, made};

    #[test]
    fn every_positive_case_stands_in_one_column_of_the_times() {
        let early = |name, share| {
            made::with(made::judged(name, true, 0.9, None), |seen| {
                seen.flag = Some(FlagTime { early: true, share, seconds: 1.0 });
            })
        };
        let cases = [
            early("a", 0.35),
            early("b", 1.0),
            made::judged("c", true, 0.9, None),
            made::judged("d", true, 0.1, None),
            made::not_analysed("e", true),
        ];
        let columns = flag_columns(&cases.iter().collect::<Vec<_>>());
        let filled: Vec<_> = columns
            .iter()
            .filter(|column| column.count > 0)
            .map(|column| (column.name.as_str(), column.count))
            .collect();
        assert_eq!(filled, [("30-40", 1), ("90-100", 1), ("with verdict", 1), ("not flagged", 2)]);
    }
}
