//! `report.html`: one file with everything in it, for a radiologist and for whoever decides on the update. No script,
//! no network; maud escapes all text.

mod charts;
mod figures;
mod worst;

use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::figures::{interval_in_percent, percent};
use super::CaseResult;
use super::limits::{LimitOutcome, LimitState};
use super::summary::{Figure, Figures, Subject, Summary, WithoutResult};
use crate::triage::INTENDED_USE;

const STYLE: &str = include_str!("report.css");

/// The whole page; `pictures` is the folder in which the pictures lie that the cases name.
pub(super) fn report(summary: &Summary, cases: &[CaseResult], limits: &[LimitOutcome], pictures: &Path) -> String {
    let subject = &summary.subject;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Validation of " (subject.model) " " (subject.version) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(summary))
                (limits_section(limits))
                (in_words(&summary.overall))
                (figures::table(&summary.overall))
                (charts_section(summary, cases))
                (figures::parts("By site", &summary.sites))
                (figures::parts("By group", &summary.groups))
                (cases_section(cases, subject, pictures))
                (without_result_section(&summary.without_result))
                (how_to_read(subject))
            }
        }
    };
    page.into_string()
}

fn header(summary: &Summary) -> Markup {
    let subject = &summary.subject;
    html! {
        header {
            h1 { "Validation of " (subject.model) " " (subject.version) }
            p.intended { (INTENDED_USE) }
            @if subject.intended_use != INTENDED_USE {
                p.intended-long { "The model package says: " (subject.intended_use) }
            }
            dl {
                dt { "Cases" }
                dd {
                    (summary.overall.counts.positives) " positive, " (summary.overall.counts.negatives) " negative, "
                    (summary.overall.counts.failed) " could not be run"
                }
                dt { "Operating point" }
                dd {
                    "suspected from " (format!("{:.4}", subject.suspected)) "; early flag from "
                    (format!("{:.4}", subject.early)) " once " (subject.early_min_lung_mm) " mm of lung are judged"
                }
                dt { "Weights" }
                dd.hash { "SHA-256 " (subject.sha256) }
                dt { "Run" }
                dd {
                    (subject.at.strftime("%Y-%m-%d %H:%M UTC")) ", Tableside " (summary.tableside) ", engine "
                    (subject.engine) ", " (subject.slices_per_second) " slices a second assumed"
                }
            }
        }
    }
}

fn limits_section(limits: &[LimitOutcome]) -> Markup {
    let kept = limits.iter().filter(|limit| limit.holds()).count();
    html! {
        section {
            h2 { "Limits" }
            @if limits.is_empty() {
                p.banner { "No limits were stated: this page gives figures, not a decision." }
            } @else if kept == limits.len() {
                p.banner.good { "✔ All " (limits.len()) " stated limits hold." }
            } @else {
                p.banner.bad { "✘ " (limits.len() - kept) " of " (limits.len()) " stated limits do not hold." }
            }
            @if !limits.is_empty() {
                table {
                    thead { tr { th { "limit" } th { "holds" } th.number { "found" } th.number { "n" } } }
                    tbody {
                        @for outcome in limits {
                            tr {
                                td { (outcome.limit) }
                                @match &outcome.state {
                                    LimitState::Holds { found } => {
                                        td { "✔ yes" } td.number { (format!("{found:.3}")) }
                                    }
                                    LimitState::DoesNotHold { found } => {
                                        td.bad { "✘ no" } td.number { (format!("{found:.3}")) }
                                    }
                                    LimitState::CannotBeComputed { why } => {
                                        td.bad { "✘ cannot be computed: " (why) } td.number { "-" }
                                    }
                                }
                                td.number { (outcome.n) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn in_words(figures: &Figures) -> Markup {
    let counts = &figures.counts;
    let interval = |figure: &Figure| figure.estimate().and_then(interval_in_percent).unwrap_or_default();
    html! {
        section {
            h2 { "In words" }
            ul.words {
                @if counts.positives > 0 {
                    li {
                        b { "Of " (counts.positives) " cases that must be flagged, " (counts.positives_flagged) " were" }
                        " (95 % interval " (interval(&figures.sensitivity)) "). "
                        @let missed = counts.positives_judged - counts.positives_flagged;
                        @let open = counts.positives - counts.positives_judged;
                        "Missed: " (missed) "; not analysed: " (open) "."
                    }
                }
                @if counts.negatives_judged > 0 {
                    li {
                        b {
                            "Of " (counts.negatives_judged) " cases that must not be flagged and came to a result, "
                            (counts.negatives_judged - counts.negatives_flagged) " were not"
                        }
                        " (95 % interval " (interval(&figures.specificity)) "). Not analysed: "
                        (counts.negatives - counts.negatives_judged) "."
                    }
                }
                @if let Some(share) = figures.time_to_flag_share.median.estimate() {
                    li {
                        b { "Half of the flagged positive cases were flagged with " (percent(share.value))
                            " of the scan received" }
                        " or less; " (figures.flagged_early.estimate().and_then(|early| early.count).unwrap_or(0))
                        " of " (counts.positives) " while the scan ran."
                    }
                }
            }
        }
    }
}

fn charts_section(summary: &Summary, cases: &[CaseResult]) -> Markup {
    html! {
        section {
            h2 { "Curves" }
            div.pair {
                figure {
                    h3 { "ROC" }
                    @if summary.roc.is_empty() {
                        p.absent { "not drawn: needs positive and negative cases with a result" }
                    } @else {
                        (charts::roc(&summary.roc, &summary.overall.counts, &summary.subject))
                        figcaption {
                            "Over the cases that came to a result. The dot is where the verdicts lie; the dashed line is chance."
                        }
                    }
                }
                figure {
                    h3 { "Calibration" }
                    @if summary.calibration.is_empty() {
                        p.absent { "not drawn: no case came to a result" }
                    } @else {
                        (charts::calibration(&summary.calibration))
                        figcaption {
                            "Cases by tenths of the score, with Wilson's 95 % intervals and the number of cases. On the dashed \
                             line a score of 70 % means 70 % positive, among cases mixed as these are."
                        }
                    }
                }
            }
            figure {
                h3 { "Score along the scan" }
                (charts::paths(cases, &summary.subject))
                figcaption {
                    (swatch("positive")) " positive cases  " (swatch("negative")) " negative cases, slices in the order of \
                    acquisition. An early flag also needs " (summary.subject.early_min_lung_mm) " mm of lung."
                }
            }
            @if summary.overall.counts.positives > 0 {
                figure {
                    h3 { "Time to flag" }
                    (charts::time_to_flag(cases))
                    figcaption { "All positive cases; those that were not analysed count as not flagged." }
                }
            }
        }
    }
}

fn swatch(class: &str) -> Markup {
    html! { svg.swatch viewBox="0 0 36 8" aria-hidden="true" { path class=(class) d="M0,4 L36,4" {} } }
}

fn cases_section(cases: &[CaseResult], subject: &Subject, pictures: &Path) -> Markup {
    let shown = worst::choose(cases, subject);
    html! {
        @if !shown.is_empty() {
            section {
                h2 { "Cases to look at" }
                p.note {
                    "Wrong ones first, the most wrong at the front; then right ones nearest to the threshold; then those whose \
                     lesions agree least with the masks. All cases stand in results.csv."
                }
                div.cases {
                    @for shown in &shown { (worst::card(shown, pictures)) }
                }
            }
        }
    }
}

fn without_result_section(cases: &[WithoutResult]) -> Markup {
    html! {
        @if !cases.is_empty() {
            section {
                h2 { "Cases without a result" }
                table {
                    thead { tr { th { "case" } th { "label" } th { "what" } th { "why" } } }
                    tbody {
                        @for case in cases {
                            tr {
                                td { (case.name) }
                                td { (if case.positive { "positive" } else { "negative" }) }
                                td { (if case.failed { "could not be run" } else { "not analysed" }) }
                                td { (case.reason) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn how_to_read(subject: &Subject) -> Markup {
    html! {
        section {
            h2 { "How to read this" }
            ul {
                li { "A positive case that was not analysed counts as not flagged. A negative one that was not analysed is \
                      never clear: it is left out of the specificity and counted in \"not analysed\"." }
                li { "Cases that could not be run are in no figure; they are listed above." }
                li { "A 95 % interval says what chance alone could do with so few cases. It says nothing of scanners and \
                      patients that are not among them, and takes every case for a patient of its own." }
                li { "Lesions count from 0.5 ml. A lesion is found if the model touched it." }
                li { "Seconds assume " (subject.slices_per_second) " slices a second." }
            }
        }
    }
}

#[cfg(test)]
mod tests;
