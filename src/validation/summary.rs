//! What all cases say together: the figures of `summary.json`, overall and for each site and group.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::curves::{CalibrationBin, RocPoint, calibration_curve, roc};
use super::statistics::{Estimate, auc, mean_estimate, median_estimate, pooled_share, quantile, share};
use super::{CaseResult, FlagTime, LesionAgreement, MaskAgreement, Observation, Outcome};

/// Version of `summary.json`; it rises when a key changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// What was validated, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    pub model: String,
    pub version: String,
    /// SHA-256 of the weights, hexadecimal.
    pub sha256: String,
    /// As the model package states it.
    pub intended_use: String,
    /// The engine that ran the model.
    pub engine: String,
    /// A finished exam is suspected from this case probability on.
    pub suspected: f64,
    /// A running exam is flagged from this running probability on.
    pub early: f64,
    /// How much lung must have been judged before an early flag, mm along z.
    pub early_min_lung_mm: f64,
    /// The rate that turns slices into seconds.
    pub slices_per_second: f64,
    pub at: Timestamp,
}

/// `summary.json`.
///
/// Cases that could not be run (`failed`) are in no figure; they are counted and listed. A case that was not analysed
/// has no score: as a positive one it counts as not flagged, as a negative one it is in no figure but
/// `not_analysed_share` and `negatives_analysed`, for it is never clear.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub schema_version: u32,
    /// Version of the program.
    pub tableside: String,
    pub subject: Subject,
    pub overall: Figures,
    /// By where the case was scanned and by what the patient has; empty where no case states it.
    pub sites: BTreeMap<String, Figures>,
    pub groups: BTreeMap<String, Figures>,
    /// Empty with one class only.
    pub roc: Vec<RocPoint>,
    pub calibration: Vec<CalibrationBin>,
    /// Cases without a result, in the order of the list.
    pub without_result: Vec<WithoutResult>,
}

/// The figures of some cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub counts: Counts,
    /// Positive cases that the final verdict flags, of all positive ones, analysed or not.
    pub sensitivity: Figure,
    /// Negative cases that the final verdict does not flag, of those that came to a result.
    pub specificity: Figure,
    /// Over the final scores of the cases that came to a result.
    pub auc: Figure,
    /// Shares of the positive and of the negative cases that came to a result.
    pub positives_analysed: Figure,
    pub negatives_analysed: Figure,
    /// Cases without a result of all that could be run.
    pub not_analysed_share: Figure,
    /// Positive cases that an early flag marked and the verdict confirmed, of all positive ones.
    pub flagged_early: Figure,
    /// Negative cases with an early flag or a final one, of those that came to a result.
    pub false_flags_at_any_time: Figure,
    /// When the flagged positive cases were flagged: the share of the scan's slices that had come, and the time since
    /// the first slice, s. The figure is the median.
    pub time_to_flag_share: Spread,
    pub time_to_flag_s: Spread,
    /// Means over cases with masks.
    pub lung_dice: Figure,
    pub lesion_dice: Figure,
    /// Lesions of at least 0.5 ml that the model touched, of all such lesions of all cases.
    pub lesion_recall: Figure,
    /// Mean over the cases with masks.
    pub false_lesions_per_case: Figure,
}

/// How many cases there are and what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Cases that could be run.
    pub positives: usize,
    pub negatives: usize,
    /// Of these, cases that came to a result, and cases that the final verdict flags.
    pub positives_judged: usize,
    pub negatives_judged: usize,
    pub positives_flagged: usize,
    pub negatives_flagged: usize,
    /// Cases whose early flag the verdict withdrew.
    pub early_flags_withdrawn: usize,
    /// Cases that could not be run; in no other figure.
    pub failed: usize,
}

/// A figure, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Figure {
    Known(Estimate),
    Absent { absent: String },
}

impl Figure {
    fn or(estimate: Option<Estimate>, absent: &str) -> Self {
        estimate.map_or_else(|| Self::Absent { absent: absent.to_owned() }, Self::Known)
    }

    #[must_use]
    pub fn estimate(&self) -> Option<&Estimate> {
        match self {
            Self::Known(estimate) => Some(estimate),
            Self::Absent { .. } => None,
        }
    }
}

/// A median with the quartiles around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub median: Figure,
    /// First and third quartile; `None` without a case.
    pub quartiles: Option<(f64, f64)>,
}

/// A case without a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithoutResult {
    pub name: String,
    pub positive: bool,
    /// The case could not be run; otherwise it was not analysed.
    pub failed: bool,
    pub reason: String,
}

/// Draws the figures from the cases.
#[must_use]
pub fn summarise(cases: &[CaseResult], subject: Subject) -> Summary {
    let scores = |positive: bool| -> Vec<f64> {
        judged(cases).filter(|(case, _)| case.positive == positive).map(|(_, seen)| seen.score).collect()
    };
    let labelled: Vec<(f64, bool)> = judged(cases).map(|(case, seen)| (seen.score, case.positive)).collect();
    Summary {
        schema_version: SCHEMA_VERSION,
        tableside: env!("CARGO_PKG_VERSION").to_owned(),
        subject,
        overall: figures(cases),
        sites: by(cases, |case| &case.site),
        groups: by(cases, |case| &case.group),
        roc: roc(&scores(true), &scores(false)),
        calibration: calibration_curve(&labelled),
        without_result: cases.iter().filter_map(without_result).collect(),
    }
}

fn judged<'a>(
    cases: impl IntoIterator<Item = &'a CaseResult>,
) -> impl Iterator<Item = (&'a CaseResult, &'a Observation)> {
    cases.into_iter().filter_map(|case| Some((case, case.judged()?)))
}

/// The figures of each part of the cases; of none if no case states to which part it belongs.
fn by(cases: &[CaseResult], part: impl Fn(&CaseResult) -> &str) -> BTreeMap<String, Figures> {
    let mut parts: BTreeMap<String, Vec<CaseResult>> = BTreeMap::new();
    for case in cases {
        let name = if part(case).is_empty() { "not stated" } else { part(case) };
        parts.entry(name.to_owned()).or_default().push(case.clone());
    }
    if cases.iter().all(|case| part(case).is_empty()) {
        parts.clear();
    }
    parts.into_iter().map(|(name, cases)| (name, figures(&cases))).collect()
}

fn without_result(case: &CaseResult) -> Option<WithoutResult> {
    let reason = match &case.outcome {
        Outcome::NotAnalysed { reason } | Outcome::Failed { reason } => reason.clone(),
        Outcome::Judged(seen) if case.judged().is_none() => seen.reason.clone(),
        Outcome::Judged(_) => return None,
    };
    Some(WithoutResult { name: case.name.clone(), positive: case.positive, failed: case.failed(), reason })
}

fn counts(cases: &[CaseResult]) -> Counts {
    let count = |which: &dyn Fn(&CaseResult) -> bool| cases.iter().filter(|case| which(case)).count();
    Counts {
        positives: count(&|case| case.positive && !case.failed()),
        negatives: count(&|case| !case.positive && !case.failed()),
        positives_judged: count(&|case| case.positive && case.judged().is_some()),
        negatives_judged: count(&|case| !case.positive && case.judged().is_some()),
        positives_flagged: count(&|case| case.positive && case.flagged()),
        negatives_flagged: count(&|case| !case.positive && case.flagged()),
        early_flags_withdrawn: count(&|case| flagged_early(case) && !case.flagged()),
        failed: count(&CaseResult::failed),
    }
}

fn flagged_early(case: &CaseResult) -> bool {
    case.judged().and_then(|seen| seen.flag).is_some_and(|flag| flag.early)
}

const NO_POSITIVE: &str = "no positive case";
const NO_NEGATIVE: &str = "no negative case";

fn figures(cases: &[CaseResult]) -> Figures {
    let counts = counts(cases);
    let Counts { positives, negatives, positives_judged, negatives_judged, .. } = counts;
    let scores = |positive: bool| -> Vec<f64> {
        judged(cases).filter(|(case, _)| case.positive == positive).map(|(_, seen)| seen.score).collect()
    };
    let early = cases.iter().filter(|case| case.positive && case.flagged() && flagged_early(case)).count();
    let ever = cases.iter().filter(|case| !case.positive && (case.flagged() || flagged_early(case))).count();
    let masks: Vec<MaskAgreement> = judged(cases).filter_map(|(_, seen)| seen.masks).collect();
    let lung_dice: Vec<f64> = masks.iter().filter_map(|masks| masks.lung_dice).collect();
    let lesion_dice: Vec<f64> = masks.iter().filter_map(|masks| masks.lesion_dice).collect();
    let lesions: Vec<LesionAgreement> = masks.iter().filter_map(|masks| masks.lesions).collect();
    let recall: Vec<(usize, usize)> = lesions.iter().map(|lesions| (lesions.found, lesions.count)).collect();
    let false_lesions: Vec<f64> = lesions.iter().map(|lesions| lesions.false_lesions as f64).collect();
    let flags: Vec<FlagTime> =
        judged(cases).filter(|(case, _)| case.positive && case.flagged()).filter_map(|(_, seen)| seen.flag).collect();
    let no_result = if negatives == 0 { NO_NEGATIVE } else { "no negative case came to a result" };
    Figures {
        counts,
        sensitivity: Figure::or(share(counts.positives_flagged, positives), NO_POSITIVE),
        specificity: Figure::or(share(negatives_judged - counts.negatives_flagged, negatives_judged), no_result),
        auc: Figure::or(auc(&scores(true), &scores(false)), "needs positive and negative cases with a result"),
        positives_analysed: Figure::or(share(positives_judged, positives), NO_POSITIVE),
        negatives_analysed: Figure::or(share(negatives_judged, negatives), NO_NEGATIVE),
        not_analysed_share: Figure::or(
            share(positives + negatives - positives_judged - negatives_judged, positives + negatives),
            "no case could be run",
        ),
        flagged_early: Figure::or(share(early, positives), NO_POSITIVE),
        false_flags_at_any_time: Figure::or(share(ever, negatives_judged), no_result),
        time_to_flag_share: spread(&flags.iter().map(|flag| flag.share).collect::<Vec<_>>()),
        time_to_flag_s: spread(&flags.iter().map(|flag| flag.seconds).collect::<Vec<_>>()),
        lung_dice: Figure::or(mean_estimate(&lung_dice), "no case has a lung mask"),
        lesion_dice: Figure::or(mean_estimate(&lesion_dice), "no case has a lesion mask"),
        lesion_recall: Figure::or(pooled_share(&recall), "no lesion mask has a lesion of 0.5 ml"),
        false_lesions_per_case: Figure::or(mean_estimate(&false_lesions), "no case has a lesion mask"),
    }
}

fn spread(values: &[f64]) -> Spread {
    Spread {
        median: Figure::or(median_estimate(values), "no positive case was flagged"),
        quartiles: (!values.is_empty()).then(|| (quantile(values, 0.25), quantile(values, 0.75))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::Verdict;
    use crate::validation::made;

    fn counted(figure: &Figure) -> (Option<usize>, usize) {
        figure.estimate().map(|estimate| (estimate.count, estimate.n)).unwrap()
    }

    fn value(figure: &Figure) -> f64 {
        figure.estimate().unwrap().value
    }

    fn absent(figure: &Figure) -> bool {
        matches!(figure, Figure::Absent { absent } if !absent.is_empty())
    }

    /// Four positives (two flagged, one missed, one not analysed), three negatives (one flagged, one clear, one not
    /// analysed), and one that could not be run of each.
    fn mixed() -> Vec<CaseResult> {
        vec![
            made::judged("p1", true, 0.9, Some(0.95)),
            made::judged("p2", true, 0.6, Some(0.7)),
            made::judged("p3", true, 0.2, Some(0.3)),
            made::not_analysed("p4", true),
            made::failed("p5", true),
            made::judged("n1", false, 0.7, Some(0.7)),
            made::judged("n2", false, 0.1, Some(0.2)),
            made::not_analysed("n3", false),
            made::failed("n4", false),
        ]
    }

    #[test]
    fn a_positive_case_without_a_result_counts_as_missed_and_a_negative_one_never_as_clear() {
        let figures = summarise(&mixed(), made::subject()).overall;
        assert_eq!(counted(&figures.sensitivity), (Some(2), 4));
        assert_eq!(counted(&figures.specificity), (Some(1), 2));
        assert_eq!(counted(&figures.positives_analysed), (Some(3), 4));
        assert_eq!(counted(&figures.negatives_analysed), (Some(2), 3));
        assert_eq!(counted(&figures.not_analysed_share), (Some(2), 7));
        // Of six pairs the positive one wins 0.9 > 0.7, 0.9 > 0.1, 0.6 > 0.1, 0.2 > 0.1.
        assert_eq!(counted(&figures.auc), (None, 5));
        assert!((value(&figures.auc) - 4.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn cases_that_could_not_be_run_are_in_no_figure_but_listed_with_their_reason() {
        let all = summarise(&mixed(), made::subject());
        let runnable: Vec<CaseResult> = mixed().into_iter().filter(|case| !case.failed()).collect();
        let mut without = summarise(&runnable, made::subject()).overall;
        without.counts.failed = 2;
        assert_eq!(all.overall, without);
        let listed: Vec<_> = all.without_result.iter().map(|case| (case.name.as_str(), case.failed)).collect();
        assert_eq!(listed, [("p4", false), ("p5", true), ("n3", false), ("n4", true)]);
        assert_eq!(all.without_result[1].reason, "no such folder");
    }

    #[test]
    fn a_verdict_of_not_analysed_is_no_result_whatever_score_stands_beside_it() {
        let case = made::with(made::judged("p", true, 0.9, None), |seen| seen.verdict = Verdict::NotAnalysed);
        let summary = summarise(&[case], made::subject());
        assert_eq!(counted(&summary.overall.sensitivity), (Some(0), 1));
        assert_eq!(summary.without_result.len(), 1);
    }

    #[test]
    fn with_one_class_only_what_needs_both_is_absent_and_says_why() {
        let positives = [made::judged("p1", true, 0.9, None), made::judged("p2", true, 0.1, None)];
        let summary = summarise(&positives, made::subject());
        assert!(absent(&summary.overall.auc) && absent(&summary.overall.specificity));
        assert_eq!(counted(&summary.overall.sensitivity), (Some(1), 2));
        assert!(summary.roc.is_empty());
        let nothing = summarise(&[], made::subject());
        assert!(absent(&nothing.overall.sensitivity) && absent(&nothing.overall.not_analysed_share));
    }

    #[test]
    fn early_flags_count_when_confirmed_and_against_negatives_always() {
        let early = FlagTime { early: true, share: 0.4, seconds: 4.0 };
        let flagged = |case| made::with(case, |seen| seen.flag = Some(early));
        let cases = [
            flagged(made::judged("p1", true, 0.9, Some(0.95))),
            made::judged("p2", true, 0.9, Some(0.95)),
            flagged(made::judged("p3", true, 0.1, Some(0.95))),
            flagged(made::judged("n1", false, 0.1, Some(0.95))),
            made::judged("n2", false, 0.1, Some(0.1)),
        ];
        let figures = summarise(&cases, made::subject()).overall;
        assert_eq!(counted(&figures.flagged_early), (Some(1), 3));
        assert_eq!(counted(&figures.false_flags_at_any_time), (Some(1), 2));
        assert_eq!(counted(&figures.specificity), (Some(2), 2));
        assert_eq!(figures.counts.early_flags_withdrawn, 2);
        // 0.4 early and 1.0 with the verdict.
        assert!((value(&figures.time_to_flag_share.median) - 0.7).abs() < 1e-12);
        assert_eq!(figures.time_to_flag_s.quartiles, Some((5.5, 8.5)));
    }

    #[test]
    fn lesions_are_pooled_and_a_case_without_a_lesion_mask_says_nothing_of_them() {
        let masked = |name, masks| made::with(made::judged(name, true, 0.9, None), |seen| seen.masks = Some(masks));
        let lung_only = MaskAgreement { lung_dice: Some(0.95), lesion_dice: None, lesions: None };
        let cases = [
            masked("a", made::masks(Some(0.8), 4, 3, 1)),
            masked("b", made::masks(Some(0.6), 1, 1, 0)),
            masked("c", made::masks(None, 0, 0, 0)),
            masked("d", lung_only),
            made::judged("e", true, 0.9, None),
        ];
        let figures = summarise(&cases, made::subject()).overall;
        assert_eq!(counted(&figures.lesion_recall), (Some(4), 5));
        assert_eq!((value(&figures.lesion_dice), counted(&figures.lesion_dice).1), (0.7, 2));
        assert_eq!(counted(&figures.lung_dice).1, 4);
        assert!((value(&figures.false_lesions_per_case) - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn sites_and_groups_have_their_own_figures_and_those_without_a_name_a_row() {
        let mut cases = mixed();
        cases[0].site = "B".to_owned();
        cases[1].site = String::new();
        let summary = summarise(&cases, made::subject());
        let names: Vec<&str> = summary.sites.keys().map(String::as_str).collect();
        assert_eq!(names, ["A", "B", "not stated"]);
        assert_eq!(counted(&summary.sites["B"].sensitivity), (Some(1), 1));
        assert!(absent(&summary.groups["normal"].sensitivity));
        for case in &mut cases {
            case.site.clear();
        }
        assert!(summarise(&cases, made::subject()).sites.is_empty());
    }

    #[test]
    fn a_summary_survives_json() {
        let summary = summarise(&mixed(), made::subject());
        let json = serde_json::to_string(&summary).unwrap();
        assert_eq!(serde_json::from_str::<Summary>(&json).unwrap(), summary);
        assert!(json.contains(r#""absent":"#), "{json}");
    }
}
