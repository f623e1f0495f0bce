//! The two curves of a validation: ROC and calibration.

use serde::{Deserialize, Serialize};

use super::statistics::{Estimate, share};

/// What the model would do with another threshold on the final score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// A case is flagged from this score on; `None` for a threshold that nothing reaches.
    pub threshold: Option<f64>,
    /// Flagged share of the positive cases that have a score.
    pub sensitivity: f64,
    /// Share of the negative cases with a score that is not flagged.
    pub specificity: f64,
}

/// The ROC curve, one point for each score that occurs, from the strictest threshold to the laxest. Empty without both
/// classes.
#[must_use]
pub fn roc(positives: &[f64], negatives: &[f64]) -> Vec<RocPoint> {
    if positives.is_empty() || negatives.is_empty() {
        return Vec::new();
    }
    let mut thresholds: Vec<f64> = positives.iter().chain(negatives).copied().collect();
    thresholds.sort_by(|a, b| b.total_cmp(a));
    thresholds.dedup();
    let from = |scores: &[f64], threshold: f64| {
        scores.iter().filter(|score| **score >= threshold).count() as f64 / scores.len() as f64
    };
    let nothing = RocPoint { threshold: None, sensitivity: 0.0, specificity: 1.0 };
    let points = thresholds.into_iter().map(|threshold| RocPoint {
        threshold: Some(threshold),
        sensitivity: from(positives, threshold),
        specificity: 1.0 - from(negatives, threshold),
    });
    std::iter::once(nothing).chain(points).collect()
}

/// Scores that lie together, and how many of their cases are positive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Scores from here, up to the next bin's.
    pub from: f64,
    pub to: f64,
    pub mean_score: f64,
    /// The positive share of the bin's cases.
    pub observed: Estimate,
}

/// Bins of the calibration curve, each a tenth of the scores' range 0..=1.
const BINS: usize = 10;

/// The calibration curve from scores and labels; bins without a case are left out.
#[must_use]
pub fn calibration_curve(cases: &[(f64, bool)]) -> Vec<CalibrationBin> {
    let bin_of = |score: f64| ((score * BINS as f64) as usize).min(BINS - 1);
    let of_bin = |bin: usize| {
        let inside: Vec<_> = cases.iter().filter(|(score, _)| bin_of(*score) == bin).collect();
        let observed = share(inside.iter().filter(|(_, positive)| *positive).count(), inside.len())?;
        Some(CalibrationBin {
            from: bin as f64 / BINS as f64,
            to: (bin + 1) as f64 / BINS as f64,
            mean_score: inside.iter().map(|(score, _)| score).sum::<f64>() / inside.len() as f64,
            observed,
        })
    };
    (0..BINS).filter_map(of_bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_goes_from_flagging_nothing_to_flagging_all_through_every_score() {
        let points = roc(&[0.9, 0.4], &[0.4, 0.1]);
        let coordinates: Vec<_> = points.iter().map(|p| (p.threshold, p.sensitivity, p.specificity)).collect();
        assert_eq!(
            coordinates,
            [(None, 0.0, 1.0), (Some(0.9), 0.5, 1.0), (Some(0.4), 1.0, 0.5), (Some(0.1), 1.0, 0.0)]
        );
        assert!(roc(&[0.9], &[]).is_empty());
    }

    #[test]
    fn bins_hold_every_case_once_and_a_certain_score_falls_into_the_last() {
        let bins = calibration_curve(&[(0.0, false), (0.05, true), (0.95, true), (1.0, true)]);
        assert_eq!(bins.len(), 2);
        assert_eq!((bins[0].observed.count, bins[0].observed.n), (Some(1), 2));
        assert_eq!((bins[1].from, bins[1].to, bins[1].observed.n), (0.9, 1.0, 2));
        assert!((bins[1].mean_score - 0.975).abs() < 1e-12);
    }
}
