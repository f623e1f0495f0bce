//! The report's tables of figures.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::validation::statistics::{Estimate, Method};
use crate::validation::summary::{Figure, Figures, Spread};

/// How a figure is written.
#[derive(Clone, Copy)]
enum Unit {
    Percent,
    Number,
    Seconds,
}

/// All figures of all cases.
pub fn table(figures: &Figures) -> Markup {
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
                    Some(interval) => { (written(interval.low, unit)) " to " (written(interval.high, unit)) }
                    None => { "none: too few or too equal" }
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

fn written(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Percent => percent(value),
        Unit::Number => format!("{value:.3}"),
        Unit::Seconds => format!("{value:.1} s"),
    }
}

pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

pub fn interval_in_percent(estimate: &Estimate) -> Option<String> {
    estimate.interval.map(|interval| format!("{} to {}", percent(interval.low), percent(interval.high)))
}

fn quartiles(spread: &Spread, unit: Unit) -> String {
    spread.quartiles.map_or_else(
        || "none".to_owned(),
        |(first, third)| format!("{} to {}", written(first, unit), written(third, unit)),
    )
}

/// The figures of each site or group.
pub fn parts(title: &str, parts: &BTreeMap<String, Figures>) -> Markup {
    html! {
        @if !parts.is_empty() {
            section {
                h2 { (title) }
                table {
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
            }
        }
    }
}

fn short(figure: &Figure, unit: Unit) -> Markup {
    match figure {
        Figure::Absent { absent } => html! { span.absent title=(absent) { "-" } },
        Figure::Known(estimate) => html! {
            (written(estimate.value, unit))
            " (" @if let Some(count) = estimate.count { (count) " of " } @else { "n = " } (estimate.n) ")"
            @if let Some(interval) = estimate.interval {
                br; small { (written(interval.low, unit)) " to " (written(interval.high, unit)) }
            }
        },
    }
}
