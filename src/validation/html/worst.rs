//! The cases that are worth a look, as pictures.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{Markup, html};

use crate::validation::summary::Subject;
use crate::validation::{CaseResult, Observation};

/// How many cases are shown: wrong ones, right ones near the threshold, and the least agreement with masks.
const WRONG: usize = 12;
const NEAREST: usize = 4;
const LOWEST_DICE: usize = 4;

/// A case and why it is shown.
pub(super) struct Shown<'a> {
    pub case: &'a CaseResult,
    pub seen: &'a Observation,
    pub why: &'static str,
}

/// Missed positives and flagged negatives first, the most wrong of them first; then the right ones nearest to the
/// threshold; then the lowest lesion Dice.
pub(super) fn choose<'a>(cases: &'a [CaseResult], subject: &Subject) -> Vec<Shown<'a>> {
    let judged: Vec<(&CaseResult, &Observation)> =
        cases.iter().filter_map(|case| Some((case, case.judged()?))).collect();
    let distance = |seen: &Observation| (seen.score - subject.suspected).abs();

    let mut wrong: Vec<Shown> =
        judged.iter().filter_map(|&(case, seen)| Some(Shown { case, seen, why: what_is_wrong(case, seen)? })).collect();
    wrong.sort_by(|a, b| distance(b.seen).total_cmp(&distance(a.seen)));
    let mut shown: Vec<Shown> = wrong.into_iter().take(WRONG).collect();

    let mut right: Vec<Shown> = judged
        .iter()
        .filter(|(case, seen)| what_is_wrong(case, seen).is_none())
        .map(|&(case, seen)| Shown { case, seen, why: "right, near the threshold" })
        .collect();
    right.sort_by(|a, b| distance(a.seen).total_cmp(&distance(b.seen)));
    shown.extend(right.into_iter().take(NEAREST));

    let mut masked: Vec<(f64, Shown)> = judged
        .iter()
        .filter(|(case, _)| !shown.iter().any(|shown| shown.case.name == case.name))
        .filter_map(|&(case, seen)| Some((seen.masks?.lesion_dice?, Shown { case, seen, why: "low lesion Dice" })))
        .collect();
    masked.sort_by(|a, b| a.0.total_cmp(&b.0));
    shown.extend(masked.into_iter().take(LOWEST_DICE).map(|(_, shown)| shown));
    shown
}

fn what_is_wrong(case: &CaseResult, seen: &Observation) -> Option<&'static str> {
    match (case.positive, case.flagged()) {
        (true, false) => Some("positive, missed"),
        (false, true) => Some("negative, flagged"),
        (false, false) if seen.flag.is_some() => Some("negative, flagged early, withdrawn"),
        _ => None,
    }
}

/// One case with its picture from the folder `pictures`.
pub(super) fn card(shown: &Shown<'_>, pictures: &Path) -> Markup {
    let Shown { case, seen, why } = shown;
    let png = seen.picture.as_ref().map(|name| std::fs::read(pictures.join(name)));
    html! {
        figure.case {
            @match png {
                Some(Ok(png)) => {
                    img alt=(format!("key slice of {}", case.name))
                        src=(format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png)));
                }
                Some(Err(_)) => { div.no-picture { "the picture cannot be read" } }
                None => { div.no-picture { "no picture" } }
            }
            figcaption {
                b { (case.name) } br;
                span.wrong[what_is_wrong(case, seen).is_some()] { (why) } br;
                @if !case.group.is_empty() { (case.group) ", " }
                "score " (format!("{:.3}", seen.score))
                @if let Some(dice) = seen.masks.and_then(|masks| masks.lesion_dice) {
                    ", lesion Dice " (format!("{dice:.2}"))
                }
                br;
                small { (seen.reason) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::{FlagTime, made};

    #[test]
    fn wrong_cases_come_first_then_the_nearest_then_the_lowest_dice_and_none_twice() {
        let dice = |name, score, dice| {
            made::with(made::judged(name, true, score, None), |seen| {
                seen.masks = Some(made::masks(Some(dice), 1, 1, 0));
            })
        };
        let withdrawn = made::with(made::judged("withdrawn", false, 0.3, Some(0.95)), |seen| {
            seen.flag = Some(FlagTime { early: true, share: 0.5, seconds: 5.0 });
        });
        let cases = [
            dice("worst dice", 0.99, 0.2),
            dice("good dice", 0.98, 0.9),
            dice("near 1", 0.55, 0.1),
            dice("near 2", 0.6, 0.1),
            made::judged("near 3", false, 0.4, None),
            made::judged("near 4", false, 0.35, None),
            made::judged("missed", true, 0.1, None),
            made::judged("false flag", false, 0.95, None),
            withdrawn,
            made::not_analysed("not analysed", true),
        ];
        let names: Vec<&str> = choose(&cases, &made::subject()).iter().map(|shown| shown.case.name.as_str()).collect();
        assert_eq!(
            names,
            ["false flag", "missed", "withdrawn", "near 1", "near 2", "near 3", "near 4", "worst dice", "good dice"]
        );
    }
}
