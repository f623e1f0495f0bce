//! An operating point from labelled cases: thresholds that a chosen share of negative exams may cross at most.
//!
//! Split conformal prediction (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005; Lei et al.,
//! JASA 113 (2018) 1094-1111): of `n` negative exams and a new one that is exchangeable with them, the new one's score
//! is as likely to take any of the `n + 1` ranks. So it lies above the `ceil((n + 1)(1 - rate))`-th smallest of the `n`
//! with a probability of at most `rate`. For the early threshold an exam's score is the largest along its path, so that
//! the bound holds for the whole scan and not for one look at it.

use super::statistics::{Estimate, share};
use super::{CaseResult, Observation};

/// Why there is no operating point.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CalibrationError {
    #[error("the false-flag rate is {0}, expected a share above 0 and below 1, such as 0.05")]
    Rate(f64),
    #[error(
        "{n} negative cases came to a result; a false-flag rate of {rate} needs at least {needed}: \
         add negative cases or allow a higher rate"
    )]
    TooFew { n: usize, needed: usize, rate: f64 },
    #[error(
        "a false-flag rate of {rate} would need a threshold above {score}, and probabilities end at 1: \
         the model is sure of negative cases; look at those, or allow a higher rate"
    )]
    Saturated { score: f64, rate: f64 },
}

/// What `calibrate` found.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The largest share of negative exams that each threshold may flag.
    pub rate: f64,
    /// Negative cases that the thresholds come from, and how many of them never showed enough lung for an early flag.
    pub negatives: usize,
    pub never_early: usize,
    /// A finished exam is suspected from this case probability on.
    pub suspected: f64,
    /// A running exam is flagged from this running probability on; never below `suspected`.
    pub early: f64,
    /// Positive cases that `suspected` flags, of all but those that could not be run; `None` without positive cases.
    pub sensitivity: Option<Estimate>,
    /// Positive cases that `early` flags while the scan runs; `None` without positive cases.
    pub early_sensitivity: Option<Estimate>,
    /// Cases left out: negatives that were not analysed, and all that could not be run.
    pub negatives_not_analysed: usize,
    pub failed: usize,
}

impl Calibration {
    /// What the thresholds promise, and under which conditions.
    #[must_use]
    pub fn guarantee(&self) -> String {
        let Self { rate, negatives: n, .. } = self;
        let percent = percent(*rate);
        let above = crossings(*n, *rate);
        let spread = beta_deviation(above, *n) * 100.0;
        format!(
            "of new negative exams exchangeable with these n = {n} (same scanners, protocols and patients; one exam a \
             patient), at most {percent} % cross the early threshold at any time of the scan and at most {percent} % \
             the final one, so at most twice that are flagged by either; on average over calibration sets: with one \
             set of this size the true rate of each deviates from that average with a standard deviation of up to \
             {spread:.1} percentage points. It holds for exams that come to a result."
        )
    }
}

fn percent(share: f64) -> f64 {
    (share * 1e6).round() / 1e4
}

/// Both thresholds for a false-flag rate, a share of the negative exams, each bounded by itself.
///
/// A negative case whose path never had enough lung counts as one that no early threshold flags. Negative cases that
/// were not analysed have no score and are left out. The early threshold is at least the final one: an early flag says
/// no less than a final one.
///
/// # Errors
/// If `rate` is no share, too few negative cases came to a result for it, or no probability is high enough.
pub fn calibrate(cases: &[CaseResult], rate: f64) -> Result<Calibration, CalibrationError> {
    let observations = |positive: bool| -> Vec<&Observation> {
        cases.iter().filter(|case| case.positive == positive).filter_map(CaseResult::judged).collect()
    };
    let negatives = observations(false);
    let final_scores: Vec<f64> = negatives.iter().map(|negative| negative.score).collect();
    let path_maxima: Vec<f64> = negatives.iter().map(|negative| negative.path_maximum.unwrap_or(0.0)).collect();
    let suspected = conformal_threshold(&final_scores, rate)?;
    let early = conformal_threshold(&path_maxima, rate)?.max(suspected);

    let positives = observations(true);
    let all_positives = cases.iter().filter(|case| case.positive && !case.failed()).count();
    let flagged = positives.iter().filter(|positive| positive.score >= suspected).count();
    let flagged_early = positives.iter().filter(|positive| positive.path_maximum.is_some_and(|p| p >= early)).count();
    Ok(Calibration {
        rate,
        negatives: negatives.len(),
        never_early: negatives.iter().filter(|negative| negative.path_maximum.is_none()).count(),
        suspected,
        early,
        sensitivity: share(flagged, all_positives),
        early_sensitivity: share(flagged_early, all_positives),
        negatives_not_analysed: cases
            .iter()
            .filter(|case| !case.positive && !case.failed() && case.judged().is_none())
            .count(),
        failed: cases.iter().filter(|case| case.failed()).count(),
    })
}

/// The least threshold that flags a new negative exam with a probability of at most `rate`, for a daemon that flags
/// scores *at or above* it: the next number above the `ceil((n + 1)(1 - rate))`-th smallest of the `n` scores. Write it
/// with all its digits, or rounded up.
///
/// # Errors
/// As [`calibrate`].
pub fn conformal_threshold(scores: &[f64], rate: f64) -> Result<f64, CalibrationError> {
    if !(rate > 0.0 && rate < 1.0) {
        return Err(CalibrationError::Rate(rate));
    }
    let n = scores.len();
    let above = crossings(n, rate);
    if above == 0 {
        return Err(CalibrationError::TooFew { n, needed: needed_negatives(rate), rate });
    }
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    let score = sorted[n - above];
    let threshold = score.next_up();
    if threshold < 1.0 { Ok(threshold) } else { Err(CalibrationError::Saturated { score, rate }) }
}

/// `floor((n + 1) rate)`, which is `n + 1 - ceil((n + 1)(1 - rate))`: the ranks of the `n + 1` that a flagged exam can
/// have. A share such as 0.07 is no binary fraction: the small addend keeps `100 * 0.07` at 7.
fn crossings(n: usize, rate: f64) -> usize {
    (((n + 1) as f64 * rate + 1e-9).floor() as usize).min(n)
}

/// The least number of negative cases from which a rate can be promised: `1 / rate - 1`, rounded up.
#[must_use]
pub fn needed_negatives(rate: f64) -> usize {
    ((1.0 / rate - 1e-9).ceil() as usize).saturating_sub(1)
}

/// Over calibration sets the true rate of continuous scores is distributed as Beta(above, n + 1 - above) (Vovk, ACML
/// 2012): its standard deviation.
fn beta_deviation(above: usize, n: usize) -> f64 {
    let (a, total) = (above as f64, n as f64 + 1.0);
    (a * (total - a) / (total * total * (total + 1.0))).sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::validation::made;

    /// The definition by counting: the least score among `scores` that at least `ceil((n + 1)(1 - rate))` do not exceed.
    fn by_counting(scores: &[f64], rank: usize) -> f64 {
        let reached = |score: f64| scores.iter().filter(|other| **other <= score).count() >= rank;
        scores.iter().copied().filter(|score| reached(*score)).fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn twenty_cases_and_a_rate_of_a_tenth_take_the_nineteenth_smallest() {
        // ceil(21 * 0.9) = 19.
        let scores: Vec<f64> = (1..=20).rev().map(|i| f64::from(i) / 100.0).collect();
        assert_eq!(conformal_threshold(&scores, 0.1).unwrap(), 0.19_f64.next_up());
    }

    #[test]
    fn one_case_fewer_than_needed_is_refused_with_the_number_that_is_needed() {
        for (rate, needed) in [(0.05, 19), (0.1, 9), (0.01, 99), (0.5, 1), (0.07, 14), (0.3, 3)] {
            assert_eq!(needed_negatives(rate), needed);
            let scores = vec![0.3; needed];
            assert!(conformal_threshold(&scores, rate).is_ok(), "{rate}");
            let refused = conformal_threshold(&scores[1..], rate);
            assert_eq!(refused, Err(CalibrationError::TooFew { n: needed - 1, needed, rate }));
        }
    }

    #[test]
    fn a_rate_that_is_no_share_is_refused() {
        for rate in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(matches!(conformal_threshold(&[0.5; 100], rate), Err(CalibrationError::Rate(_))), "{rate}");
        }
    }

    #[test]
    fn a_model_that_is_sure_of_its_negatives_has_no_threshold() {
        let error = conformal_threshold(&[1.0; 19], 0.05).unwrap_err();
        assert!(error.to_string().contains("probabilities end at 1"), "{error}");
    }

    #[test]
    fn decimal_rates_are_not_lost_to_binary_fractions() {
        for (n, rate, above) in [(99, 0.07, 7), (99, 0.29, 29), (19, 0.05, 1), (38, 0.05, 1), (39, 0.05, 2)] {
            assert_eq!(crossings(n, rate), above, "{n} {rate}");
        }
    }

    #[test]
    fn new_negatives_cross_the_threshold_no_more_often_than_promised() {
        let mut rng = StdRng::seed_from_u64(3);
        let (n, rate, rounds) = (24, 0.1, 40_000);
        let crossed = (0..rounds)
            .filter(|_| {
                // Coarse scores, so that ties occur.
                let mut draw = || (rng.random_range(0.0..1.0_f64).powi(2) * 50.0).floor() / 51.0;
                let scores: Vec<f64> = (0..n).map(|_| draw()).collect();
                draw() >= conformal_threshold(&scores, rate).unwrap()
            })
            .count();
        // Four standard errors of noise.
        let noise = 4.0 * (rate * (1.0 - rate) / f64::from(rounds)).sqrt();
        assert!((crossed as f64 / f64::from(rounds)) < rate + noise, "{crossed}");
        assert!(crossed as f64 / f64::from(rounds) > rate / 2.0, "needlessly strict: {crossed}");
    }

    #[test]
    fn thresholds_come_from_final_scores_and_path_maxima_of_the_negatives_alone() {
        let mut cases: Vec<CaseResult> = (0..19_u32)
            .map(|i| {
                let score = f64::from(i) / 100.0;
                made::judged(&format!("n{i}"), false, score, Some(score + 0.3))
            })
            .collect();
        cases.push(made::judged("p1", true, 0.9, Some(0.95)));
        cases.push(made::judged("p2", true, 0.3, Some(0.4)));
        cases.push(made::not_analysed("p3", true));
        cases.push(made::not_analysed("n", false));
        cases.push(made::failed("f", false));
        let found = calibrate(&cases, 0.05).unwrap();
        assert_eq!((found.suspected, found.early), (0.18_f64.next_up(), 0.48_f64.next_up()));
        assert_eq!((found.negatives, found.negatives_not_analysed, found.failed), (19, 1, 1));
        assert_eq!(found.sensitivity.map(|s| (s.count, s.n)), Some((Some(2), 3)));
        assert_eq!(found.early_sensitivity.map(|s| (s.count, s.n)), Some((Some(1), 3)));
        assert!(found.guarantee().contains("n = 19") && found.guarantee().contains("at most 5 %"));
    }

    #[test]
    fn negatives_that_never_showed_enough_lung_count_as_never_flagged() {
        let mut cases: Vec<CaseResult> = (0..19).map(|i| made::judged(&format!("n{i}"), false, 0.1, None)).collect();
        let found = calibrate(&cases, 0.05).unwrap();
        assert_eq!((found.never_early, found.early), (19, found.suspected));
        assert_eq!(found.sensitivity, None);
        cases.pop();
        assert!(matches!(calibrate(&cases, 0.05), Err(CalibrationError::TooFew { n: 18, needed: 19, .. })));
    }

    proptest! {
        #[test]
        fn the_threshold_lies_just_above_the_score_that_counting_finds(
            scores in prop::collection::vec((0_u8..40).prop_map(|s| f64::from(s) / 40.0), 1..60),
            percent in 1_usize..100,
        ) {
            let rank = ((scores.len() + 1) * (100 - percent)).div_ceil(100);
            let threshold = conformal_threshold(&scores, percent as f64 / 100.0);
            if rank > scores.len() {
                let refused = matches!(threshold, Err(CalibrationError::TooFew { .. }));
                prop_assert!(refused);
            } else {
                let expected = if rank == 0 { 0.0 } else { by_counting(&scores, rank) };
                prop_assert_eq!(threshold, Ok(expected.next_up()));
            }
        }
    }
}
