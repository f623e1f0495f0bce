//! Estimates with their 95 % intervals, each with the number of cases that it rests on. All is deterministic.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::wilson::{self, Z};

/// Resamples of a bootstrap, and the seed that makes it repeatable.
const RESAMPLES: usize = 2000;
const SEED: u64 = 20_201_124;

/// A figure and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub value: f64,
    /// `None` where too few or too equal cases show no spread.
    pub interval: Option<Interval>,
    /// Cases that the figure rests on; for the recall of lesions the lesions.
    pub n: usize,
    /// How many of the `n`, where the figure is a share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
}

/// A 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
    pub method: Method,
}

/// How an interval was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Wilson's score interval of a share.
    Wilson,
    /// `DeLong`'s variance of the AUC, on the logit scale.
    Delong,
    /// Newcombe's score interval of the AUC.
    Newcombe,
    /// Percentiles of 2000 resamples of the cases.
    Bootstrap,
}

/// The share `count / n` with Wilson's interval; `None` of nothing.
#[must_use]
pub fn share(count: usize, n: usize) -> Option<Estimate> {
    (n > 0).then(|| Estimate {
        value: count as f64 / n as f64,
        interval: Some(wilson(count, n)),
        n,
        count: Some(count),
    })
}

/// Wilson's score interval of `count / n`, `n` above 0.
#[must_use]
pub fn wilson(count: usize, n: usize) -> Interval {
    let [low, high] = wilson::wilson(count, n);
    Interval { low, high, method: Method::Wilson }
}

/// The area under the ROC curve: the probability that a positive case scores above a negative one, ties half. `None`
/// without both classes.
///
/// The interval takes `DeLong`'s variance (`DeLong`, `DeLong` and Clarke-Pearson, Biometrics 44 (1988) 837-845) on the
/// logit scale, as Pohar Perme and Manevski advise (Statistical Methods in Medical Research 28 (2019) 3755-3768). Where
/// that variance is zero or undefined, as when the classes are fully separated, an interval `[1, 1]` would be a lie;
/// there it is Newcombe's score interval, method 5 (Statistics in Medicine 25 (2006) 559-573).
#[must_use]
pub fn auc(positives: &[f64], negatives: &[f64]) -> Option<Estimate> {
    if positives.is_empty() || negatives.is_empty() {
        return None;
    }
    let above = |score: f64, others: &[f64]| mean_of(others.iter().map(|&other| wins(score, other)), others.len());
    let of_positives: Vec<f64> = positives.iter().map(|&score| above(score, negatives)).collect();
    let of_negatives: Vec<f64> = negatives.iter().map(|&score| 1.0 - above(score, positives)).collect();
    let value = mean(&of_positives);
    let variance = sample_variance(&of_positives)
        .zip(sample_variance(&of_negatives))
        .map(|(s10, s01)| s10 / positives.len() as f64 + s01 / negatives.len() as f64)
        .filter(|variance| *variance > 1e-12);
    let interval = match variance {
        Some(variance) => delong_logit(value, variance),
        None => newcombe(value, positives.len(), negatives.len()),
    };
    Some(Estimate { value, interval: Some(interval), n: positives.len() + negatives.len(), count: None })
}

fn wins(positive: f64, negative: f64) -> f64 {
    match positive.total_cmp(&negative) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    }
}

/// `value` lies strictly between 0 and 1 whenever the variance is above 0.
fn delong_logit(value: f64, variance: f64) -> Interval {
    let logit = (value / (1.0 - value)).ln();
    let half = Z * variance.sqrt() / (value * (1.0 - value));
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    Interval { low: sigmoid(logit - half), high: sigmoid(logit + half), method: Method::Delong }
}

/// Newcombe's method 5: all areas that lie within `Z` of their own standard deviations from the one that was found.
fn newcombe(value: f64, positives: usize, negatives: usize) -> Interval {
    let (m, n) = (positives as f64, negatives as f64);
    let star = f64::midpoint(m, n) - 1.0;
    let deviation = |theta: f64| {
        let spread = 1.0 + star * ((1.0 - theta) / (2.0 - theta) + theta / (1.0 + theta));
        (theta * (1.0 - theta) * spread / (m * n)).sqrt()
    };
    let within = |theta: f64| (value - theta).abs() <= Z * deviation(theta);
    Interval {
        low: if value == 0.0 { 0.0 } else { edge(0.0, value, within) },
        high: if value == 1.0 { 1.0 } else { edge(1.0, value, within) },
        method: Method::Newcombe,
    }
}

/// Bisects between `outside` and `inside` for where `within` begins; 60 halvings exhaust the precision.
fn edge(mut outside: f64, mut inside: f64, within: impl Fn(f64) -> bool) -> f64 {
    // At 0 and 1 the deviation is zero, so the ends themselves never lie within.
    if inside == 0.0 || inside == 1.0 {
        let step = (outside - inside) * 1e-12;
        inside += step;
    }
    for _ in 0..60 {
        let middle = f64::midpoint(outside, inside);
        if within(middle) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    inside
}

/// The mean of one value a case with its bootstrap interval; `None` of nothing.
#[must_use]
pub fn mean_estimate(values: &[f64]) -> Option<Estimate> {
    bootstrapped(values, mean)
}

/// The median of one value a case with its bootstrap interval; `None` of nothing.
#[must_use]
pub fn median_estimate(values: &[f64]) -> Option<Estimate> {
    bootstrapped(values, |sample| quantile(sample, 0.5))
}

/// A pooled share, such as lesions found over lesions, one pair `(count, of)` a case. The bootstrap draws whole cases,
/// since the lesions of one case are alike. `None` if all `of` are 0.
#[must_use]
pub fn pooled_share(cases: &[(usize, usize)]) -> Option<Estimate> {
    let pooled = |sample: &[(usize, usize)]| {
        let (count, of) = sample.iter().fold((0, 0), |sum, case| (sum.0 + case.0, sum.1 + case.1));
        count as f64 / of as f64
    };
    let cases: Vec<(usize, usize)> = cases.iter().copied().filter(|(_, of)| *of > 0).collect();
    let estimate = bootstrapped(&cases, pooled)?;
    Some(Estimate {
        n: cases.iter().map(|(_, of)| of).sum(),
        count: Some(cases.iter().map(|(count, _)| count).sum()),
        ..estimate
    })
}

/// The percentile bootstrap over cases (Efron, Annals of Statistics 7 (1979) 1-26). Resamples that do not differ say
/// nothing of the spread: no interval then. Under some 20 cases such intervals are too narrow.
fn bootstrapped<T: Copy>(cases: &[T], statistic: impl Fn(&[T]) -> f64) -> Option<Estimate> {
    if cases.is_empty() {
        return None;
    }
    let mut rng = StdRng::seed_from_u64(SEED);
    let mut sample = cases.to_vec();
    let statistics: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            sample.fill_with(|| cases[rng.random_range(0..cases.len())]);
            statistic(&sample)
        })
        .collect();
    let (low, high) = (quantile(&statistics, 0.025), quantile(&statistics, 0.975));
    let interval = (low < high).then_some(Interval { low, high, method: Method::Bootstrap });
    Some(Estimate { value: statistic(cases), interval, n: cases.len(), count: None })
}

/// The quantile `q`, 0 to 1, with linear interpolation (type 7 of Hyndman and Fan, The American Statistician 50 (1996)
/// 361-365); 0 of nothing.
#[must_use]
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = q * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

fn mean(values: &[f64]) -> f64 {
    mean_of(values.iter().copied(), values.len())
}

fn mean_of(values: impl Iterator<Item = f64>, n: usize) -> f64 {
    values.sum::<f64>() / n as f64
}

/// `None` of fewer than two values.
fn sample_variance(values: &[f64]) -> Option<f64> {
    let centre = mean(values);
    (values.len() > 1)
        .then(|| values.iter().map(|value| (value - centre).powi(2)).sum::<f64>() / (values.len() - 1) as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POSITIVES: [f64; 10] = [0.95, 0.91, 0.88, 0.80, 0.77, 0.70, 0.62, 0.55, 0.41, 0.30];
    const NEGATIVES: [f64; 12] = [0.72, 0.55, 0.50, 0.44, 0.41, 0.35, 0.33, 0.28, 0.20, 0.15, 0.11, 0.05];

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-9
    }

    fn ends(estimate: Option<Estimate>) -> (f64, f64, Method) {
        let interval = estimate.and_then(|estimate| estimate.interval).unwrap();
        (interval.low, interval.high, interval.method)
    }

    /// `statsmodels` 0.15.0, `proportion_confint(count, n, 0.05, "wilson")`.
    #[test]
    fn wilsons_interval_is_that_of_statsmodels() {
        let reference = [
            (0, 10, 0.0, 0.277_532_799_862_889_3),
            (1, 1, 0.206_549_314_377_237_4, 1.0),
            (19, 20, 0.763_868_806_553_257_7, 0.991_118_551_199_204_4),
            (81, 263, 0.255_288_519_878_274_2, 0.366_209_576_982_800_04),
            (10, 10, 0.722_467_200_137_110_6, 1.0),
            (5, 1000, 0.002_137_535_527_324_460_4, 0.011_650_955_373_375_117),
        ];
        for (count, n, low, high) in reference {
            let (found_low, found_high, _) = ends(share(count, n));
            assert!(close(found_low, low) && close(found_high, high), "{count}/{n}: {found_low}, {found_high}");
        }
        assert_eq!(share(0, 0), None);
    }

    /// pROC 1.18.0 on R 4.2.2: `auc` and `var(roc, method = "delong")` are 0.875 and 0.005810185185185185, the interval
    /// is `plogis(qlogis(auc) + c(-1, 1) * qnorm(0.975) * sqrt(var) / (auc * (1 - auc)))`; scikit-learn 1.9.1 and
    /// `confidenceinterval` 1.0.5 give the same area and variance. The scores hold ties within and between the classes.
    #[test]
    fn the_area_and_its_interval_are_those_of_proc() {
        let found = auc(&POSITIVES, &NEGATIVES);
        assert!(close(found.unwrap().value, 0.875));
        let (low, high, method) = ends(found);
        assert!(close(low, 0.641_065_321_824_352_8) && close(high, 0.964_832_405_223_019_8), "{low}, {high}");
        assert_eq!(method, Method::Delong);
    }

    /// The roots of Newcombe's equation by `SciPy` 1.17.1, `scipy.optimize.brentq`.
    #[test]
    fn where_the_classes_are_separated_or_too_small_the_interval_is_newcombes() {
        let scores = |n: usize, score: f64| vec![score; n];
        let reference = [
            (scores(10, 0.9), scores(12, 0.1), 0.815_917_010_683_565_5, 1.0),
            (scores(2, 0.9), scores(2, 0.1), 0.385_635_704_497_166_33, 1.0),
            (scores(1, 0.9), scores(1, 0.1), 0.206_549_314_377_237_2, 1.0),
            (scores(50, 0.9), scores(80, 0.1), 0.967_960_677_213_601_4, 1.0),
            (scores(10, 0.1), scores(12, 0.9), 0.0, 0.184_082_989_316_434_58),
            (scores(5, 0.5), scores(5, 0.5), 0.205_613_057_289_471_55, 0.794_386_942_710_528_1),
        ];
        for (positives, negatives, low, high) in reference {
            let (found_low, found_high, method) = ends(auc(&positives, &negatives));
            assert!(close(found_low, low) && close(found_high, high), "{found_low}, {found_high}");
            assert_eq!(method, Method::Newcombe);
        }
        assert_eq!(auc(&[0.5], &[]), None);
    }

    /// `NumPy` 2.4.6, `numpy.quantile([3, 1, 4, 1, 5, 9], q)`.
    #[test]
    fn quantiles_are_those_of_numpy() {
        let values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0];
        for (q, expected) in [(0.0, 1.0), (0.25, 1.5), (0.5, 3.5), (0.75, 4.75), (0.9, 7.0), (1.0, 9.0)] {
            assert!(close(quantile(&values, q), expected), "{q}");
        }
    }

    #[test]
    fn the_bootstrap_of_a_mean_agrees_with_theory_where_there_are_many_cases() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 20) / 20.0).collect();
        let error = Z * (sample_variance(&values).unwrap() / 400.0).sqrt();
        let (low, high, _) = ends(mean_estimate(&values));
        assert!((high - low - 2.0 * error).abs() < 0.1 * error, "{low}, {high}, {error}");
    }

    #[test]
    fn the_same_cases_give_the_same_interval_at_every_run() {
        assert_eq!(mean_estimate(&POSITIVES), mean_estimate(&POSITIVES));
    }

    #[test]
    fn values_that_do_not_differ_have_no_interval() {
        assert_eq!(mean_estimate(&[0.8]), Some(Estimate { value: 0.8, interval: None, n: 1, count: None }));
        assert_eq!(pooled_share(&[(2, 2), (1, 1), (0, 0)]).map(|e| (e.value, e.interval, e.n)), Some((1.0, None, 3)));
        assert_eq!(pooled_share(&[(0, 0)]), None);
    }

    fn scores() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec((0_u8..=30).prop_map(|score| f64::from(score) / 30.0), 1..25)
    }

    proptest! {
        #[test]
        fn intervals_hold_their_estimate_and_stay_within_0_and_1(positives in scores(), negatives in scores()) {
            let count = positives.iter().filter(|score| **score > 0.5).count();
            for estimate in [auc(&positives, &negatives), share(count, positives.len())].into_iter().flatten() {
                let Interval { low, high, .. } = estimate.interval.unwrap();
                prop_assert!(0.0 <= low && low <= estimate.value && estimate.value <= high && high <= 1.0);
                prop_assert!(low < high);
            }
        }

        #[test]
        fn the_area_is_the_share_of_pairs_in_right_order(positives in scores(), negatives in scores()) {
            let pairs = positives.iter().flat_map(|p| negatives.iter().map(move |n| (p, n)));
            let won: f64 = pairs.map(|(p, n)| if p > n { 2.0 } else if p == n { 1.0 } else { 0.0 }).sum();
            let expected = won / 2.0 / (positives.len() * negatives.len()) as f64;
            prop_assert!(close(auc(&positives, &negatives).unwrap().value, expected));
        }

        #[test]
        fn only_the_order_of_scores_counts_for_the_area(positives in scores(), negatives in scores()) {
            let monotone = |scores: &[f64]| -> Vec<f64> { scores.iter().map(|s| (3.0 * s - 1.0).exp()).collect() };
            prop_assert_eq!(auc(&positives, &negatives), auc(&monotone(&positives), &monotone(&negatives)));
        }

        #[test]
        fn turning_the_scores_round_turns_the_area_and_its_interval_round(positives in scores(), negatives in scores()) {
            let turned = |scores: &[f64]| -> Vec<f64> { scores.iter().map(|s| -s).collect() };
            let (one, other) = (auc(&positives, &negatives), auc(&turned(&positives), &turned(&negatives)));
            prop_assert!(close(one.unwrap().value, 1.0 - other.unwrap().value));
            let ((low, high, _), (other_low, other_high, _)) = (ends(one), ends(other));
            prop_assert!(close(low, 1.0 - other_high) && close(high, 1.0 - other_low));
        }

        #[test]
        fn the_mean_lies_in_its_interval(values in prop::collection::vec(0.0..1.0_f64, 4..30)) {
            let estimate = mean_estimate(&values).unwrap();
            if let Some(interval) = estimate.interval {
                prop_assert!(interval.low <= estimate.value && estimate.value <= interval.high);
            }
        }
    }
}
