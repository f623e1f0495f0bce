//! The verdict on a finished exam. Whatever is missing or broken makes it "not analysed: why", never clear.

use serde::{Deserialize, Serialize};

use super::report::LesionSummary;
use crate::exam::{QualityIssue, QualityLimits};

/// What the exam reads as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Suspected,
    NotSuspected,
    NotAnalysed,
}

impl Verdict {
    /// The verdict as reports, metrics and the console write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suspected => "suspected",
            Self::NotSuspected => "not_suspected",
            Self::NotAnalysed => "not_analysed",
        }
    }
}

/// A verdict and one sentence that says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    pub verdict: Verdict,
    pub reason: String,
}

/// What a verdict is made from.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Slices at positions of their own in the series that is judged.
    pub slices: usize,
    /// Slices of the exam that were received and cannot be analysed, and why the first of them cannot.
    pub defective: usize,
    pub defect: Option<&'a str>,
    pub engine_failure: Option<&'a str>,
    pub score: Option<f64>,
    /// The case probability from which an exam is suspected.
    pub suspected_from: f64,
    pub lung_ml: f64,
    pub lesions: LesionSummary,
    pub quality: &'a [QualityIssue],
    pub limits: &'a QualityLimits,
}

/// The share of defective slices from which the rest cannot stand for the exam.
const MAX_DEFECTIVE_SHARE: f64 = 0.1;

/// Judges a finished exam.
#[must_use]
pub fn judge(facts: &Facts<'_>) -> Judgement {
    if let Some(reason) = why_not_analysed(facts) {
        return Judgement { verdict: Verdict::NotAnalysed, reason };
    }
    let score = facts.score.unwrap_or_default();
    if score >= facts.suspected_from {
        let LesionSummary { count, volume_ml, lung_share } = facts.lesions;
        let reason = format!(
            "pneumonia-like opacities, COVID-19 possible: probability {score:.2}, {count} lesions, {volume_ml:.0} ml, {:.1} % of the lungs",
            lung_share * 100.0
        );
        return Judgement { verdict: Verdict::Suspected, reason };
    }
    // A positive finding stands whatever else is missing; a negative one needs the whole lungs.
    if let Some(reason) = why_not_clear(facts) {
        return Judgement { verdict: Verdict::NotAnalysed, reason };
    }
    let reason = format!("no pneumonia-like opacities found: probability {score:.2}");
    Judgement { verdict: Verdict::NotSuspected, reason }
}

fn why_not_analysed(facts: &Facts<'_>) -> Option<String> {
    if facts.slices == 0 {
        return Some(match facts.defect {
            Some(defect) => format!("none of the {} CT slices can be analysed: {defect}", facts.defective),
            None => "no axial CT slices were received".to_owned(),
        });
    }
    if let Some(failure) = facts.engine_failure {
        return Some(failure.to_owned());
    }
    if facts.slices < facts.limits.min_slices {
        return Some(format!(
            "only {} slices were received, a chest CT has at least {}",
            facts.slices, facts.limits.min_slices
        ));
    }
    if facts.score.is_none() {
        return Some("no slab was judged".to_owned());
    }
    if facts.lung_ml < facts.limits.min_lung_ml {
        return Some(format!(
            "no lungs found ({:.0} ml): is this a chest, and are its Hounsfield units and orientation right?",
            facts.lung_ml
        ));
    }
    None
}

fn why_not_clear(facts: &Facts<'_>) -> Option<String> {
    let defective_share = facts.defective as f64 / (facts.slices + facts.defective) as f64;
    if defective_share > MAX_DEFECTIVE_SHARE {
        let defect = facts.defect.unwrap_or("unreadable");
        return Some(format!(
            "{} of {} slices cannot be analysed: {defect}",
            facts.defective,
            facts.slices + facts.defective
        ));
    }
    facts.quality.iter().find_map(|issue| match issue {
        QualityIssue::Gap { from_z_mm, to_z_mm } if to_z_mm - from_z_mm > facts.limits.max_gap_mm => Some(format!(
            "{:.0} mm of the scan are missing between z = {from_z_mm:.0} mm and z = {to_z_mm:.0} mm",
            to_z_mm - from_z_mm
        )),
        QualityIssue::ApexCutOff { .. } | QualityIssue::BaseCutOff { .. } => {
            Some(format!("{issue}: the rest was not seen"))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: QualityLimits =
        QualityLimits { max_gap_mm: 10.0, cut_off_lung_cm2: 25.0, min_lung_ml: 800.0, min_slices: 10 };

    fn clear() -> Facts<'static> {
        Facts {
            slices: 100,
            defective: 0,
            defect: None,
            engine_failure: None,
            score: Some(0.1),
            suspected_from: 0.5,
            lung_ml: 4000.0,
            lesions: LesionSummary { count: 0, volume_ml: 0.0, lung_share: 0.0 },
            quality: &[],
            limits: &LIMITS,
        }
    }

    fn verdict(facts: &Facts<'_>) -> Verdict {
        judge(facts).verdict
    }

    #[test]
    fn a_whole_exam_below_the_threshold_is_not_suspected_and_above_it_is() {
        assert_eq!(verdict(&clear()), Verdict::NotSuspected);
        assert_eq!(verdict(&Facts { score: Some(0.5), ..clear() }), Verdict::Suspected);
    }

    #[test]
    fn nothing_that_is_missing_or_broken_reads_as_clear() {
        let hole = [QualityIssue::Gap { from_z_mm: 0.0, to_z_mm: 12.0 }];
        let cut_off = [QualityIssue::BaseCutOff { lung_cm2: 100.0, z_mm: 0.0 }];
        let broken = [
            Facts { slices: 0, ..clear() },
            Facts { slices: 9, ..clear() },
            Facts { score: None, ..clear() },
            Facts { engine_failure: Some("the engine failed"), ..clear() },
            Facts { lung_ml: 10.0, ..clear() },
            Facts { defective: 20, defect: Some("no position"), ..clear() },
            Facts { quality: &hole, ..clear() },
            Facts { quality: &cut_off, ..clear() },
        ];
        for facts in broken {
            assert_eq!(verdict(&facts), Verdict::NotAnalysed, "{facts:?}");
            assert!(!judge(&facts).reason.is_empty());
        }
    }

    #[test]
    fn a_positive_finding_stands_although_slices_are_missing() {
        let hole = [QualityIssue::Gap { from_z_mm: 0.0, to_z_mm: 12.0 }];
        assert_eq!(verdict(&Facts { score: Some(0.9), quality: &hole, ..clear() }), Verdict::Suspected);
    }

    #[test]
    fn a_small_gap_does_not_forbid_a_verdict() {
        let small = [QualityIssue::Gap { from_z_mm: 0.0, to_z_mm: 4.0 }];
        assert_eq!(verdict(&Facts { quality: &small, ..clear() }), Verdict::NotSuspected);
    }
}
