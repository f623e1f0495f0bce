//! The report's tables of figures.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::validation::statistics::{Estimate, Interval, Method};
use crate::validation::summary::{Figure, Figures, Spread};

/// How a figure is written.
#[derive(Clone, Copy)]
enum Unit {
    Percent,
    Number,
    Seconds,
}

/// All figures of all cases.
pub(super) fn table(figures: &Figures) -> Markup {
    let rows: [(&str, &Figure, Unit); 14] = [
        ("Sensitivity", &figures.sensitivity, Unit::Percent),
        ("Specificity", &figures.specificity, Unit::Percent),
        ("AUC", &figures.auc, Unit::Number),
        ("Positive cases analysed", &figures.positives_analysed, Unit::Percent),
        ("Negative cases analysed", &figures.negatives_analysed, Unit::Percent),
        ("Not analysed, of all cases", &figures.not_analysed_share, Unit::Percent),
        ("Positive cases flagged early", &figures.flagged_early, Unit::Percent),
        ("Negative cases flagged at any time", &figures.false_flags_at_any_time, Unit::Percent),
        ("Time to flag, share of the scan, median", &figures.time_to_flag_share.median, Unit::Percent),
        ("Time to flag, median", &figures.time_to_flag_s.median, Unit::Seconds),
        ("Lung Dice, mean", &figures.lung_dice, Unit::Number),
        ("Lesion Dice, mean", &figures.lesion_dice, Unit::Number),
        ("Lesions found (0.5 ml or more)", &figures.lesion_recall, Unit::Percent),
        ("False lesions per case", &figures.false_lesions_per_case, Unit::Number),
    ];
    html! {
        section {
            h2 { "Figures" }
            table {
                thead {
                    tr {
                        th { "figure" } th.number { "value" } th.number { "95 % interval" } th.number { "n" }
                        th { "interval by" }
                    }
                }
                tbody {
                    @for (name, figure, unit) in rows {
                        tr { td { (name) } (figure_cells(figure, unit)) }
                    }
                }
            }
            p.note {
                "Time to flag, middle half of the flagged positive cases: "
                (quartiles(&figures.time_to_flag_share, Unit::Percent)) " of the scan, "
                (quartiles(&figures.time_to_flag_s, Unit::Seconds)) "."
                @if figures.counts.early_flags_withdrawn > 0 {
                    " Early flags that the verdict withdrew: " (figures.counts.early_flags_withdrawn) "."
                }
            }
        }
    }
}

fn figure_cells(figure: &Figure, unit: Unit) -> Markup {
    match figure {
        Figure::Absent { absent } => html! { td.absent colspan="4" { "not computed: " (absent) } },
        Figure::Known(estimate) => html! {
            td.number { (written(estimate.value, unit)) }
            td.number {
                @match estimate.interval {
                    Some(Interval { low, high, .. }) => (range(low, high, unit)),
                    None => { span.absent { "none: values do not differ" } }
                }
            }
            td.number {
                @if let Some(count) = estimate.count { (count) " of " }
                (estimate.n)
            }
            td { (estimate.interval.map_or("", |interval| method(interval.method))) }
        },
    }
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Wilson => "Wilson",
        Method::Delong => "DeLong, logit",
        Method::Newcombe => "Newcombe (classes separated or too small for DeLong)",
        Method::Bootstrap => "bootstrap over cases",
    }
}

/// Numbers and their units are joined by a space that does not break.
fn written(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Percent => format!("{:.1}\u{a0}%", value * 100.0),
        Unit::Number => format!("{value:.3}"),
        Unit::Seconds => format!("{value:.1}\u{a0}s"),
    }
}

/// The unit stands once, behind the upper end.
fn range(low: f64, high: f64, unit: Unit) -> String {
    let low = written(low, unit);
    format!("{} to {}", low.split('\u{a0}').next().unwrap_or(&low), written(high, unit))
}

pub(super) fn percent(share: f64) -> String {
    written(share, Unit::Percent)
}

pub(super) fn interval_in_percent(estimate: &Estimate) -> Option<String> {
    estimate.interval.map(|interval| range(interval.low, interval.high, Unit::Percent))
}

fn quartiles(spread: &Spread, unit: Unit) -> String {
    spread.quartiles.map_or_else(|| "none".to_owned(), |(first, third)| range(first, third, unit))
}

/// The figures of each site or group.
pub(super) fn parts(title: &str, parts: &BTreeMap<String, Figures>) -> Markup {
    html! {
        @if !parts.is_empty() {
            section {
                h2 { (title) }
                table.parts {
                    thead {
                        tr {
                            th { } th { "sensitivity" } th { "specificity" } th { "AUC" } th { "lesion Dice" }
                            th.number { "not analysed" } th.number { "could not be run" }
                        }
                    }
                    tbody {
                        @for (name, figures) in parts {
                            tr {
                                td { (name) }
                                td { (short(&figures.sensitivity, Unit::Percent)) }
                                td { (short(&figures.specificity, Unit::Percent)) }
                                td { (short(&figures.auc, Unit::Number)) }
                                td { (short(&figures.lesion_dice, Unit::Number)) }
                                td.number {
                                    (figures.not_analysed_share.estimate().and_then(|share| share.count).unwrap_or(0))
                                }
                                td.number { (figures.counts.failed) }
                            }
                        }
                    }
                }
                p.note { "Value, 95 % interval, n. -: no cases for it." }
            }
        }
    }
}

fn short(figure: &Figure, unit: Unit) -> Markup {
    match figure {
        Figure::Absent { absent } => html! { span.absent title=(absent) { "-" } },
        Figure::Known(estimate) => html! {
            (written(estimate.value, unit))
            br;
            small {
                @if let Some(interval) = estimate.interval {
                    (range(interval.low, interval.high, unit)) br;
                }
                @if let Some(count) = estimate.count { (count) " of " } @else { "n = " }
                (estimate.n)
            }
        },
    }
}
