//! Made cases for tests.

use super::summary::Subject;
use super::{CaseResult, FlagTime, LesionAgreement, MaskAgreement, Observation, Outcome, PathPoint};
use crate::triage::Verdict;

/// A judged case that is suspected from a score of 0.5 on. Its running score rises to the final one in ten steps.
pub(super) fn judged(name: &str, positive: bool, score: f64, path_maximum: Option<f64>) -> CaseResult {
    let suspected = score >= 0.5;
    let path = (1..=10)
        .map(|i| PathPoint { slices: i * 20, lung_mm: i as f64 * 30.0, score: score * (i as f64 / 10.0).sqrt() })
        .collect();
    let seen = Observation {
        verdict: if suspected { Verdict::Suspected } else { Verdict::NotSuspected },
        reason: format!("probability {score:.2}"),
        score,
        slices: 200,
        lung_ml: 4000.0,
        lesion_ml: 100.0 * score,
        path,
        path_maximum,
        flag: suspected.then_some(FlagTime { early: false, share: 1.0, seconds: 10.0 }),
        masks: None,
        picture: None,
    };
    case(name, positive, Outcome::Judged(seen))
}

pub(super) fn not_analysed(name: &str, positive: bool) -> CaseResult {
    case(name, positive, Outcome::NotAnalysed { reason: "lung base cut off".to_owned() })
}

pub(super) fn failed(name: &str, positive: bool) -> CaseResult {
    case(name, positive, Outcome::Failed { reason: "no such folder".to_owned() })
}

/// The case as somebody changed what was seen of it.
pub(super) fn with(mut case: CaseResult, change: impl FnOnce(&mut Observation)) -> CaseResult {
    if let Outcome::Judged(seen) = &mut case.outcome {
        change(seen);
    }
    case
}

/// Masks of which the lesions' is empty unless there are lesions.
pub(super) fn masks(lesion_dice: Option<f64>, count: usize, found: usize, false_lesions: usize) -> MaskAgreement {
    MaskAgreement { lung_dice: Some(0.97), lesion_dice, lesions: Some(LesionAgreement { count, found, false_lesions }) }
}

pub(super) fn subject() -> Subject {
    Subject {
        model: "made".to_owned(),
        version: "1.2.3".to_owned(),
        sha256: "ab".repeat(32),
        intended_use: "Research use only. Not a medical device.".to_owned(),
        engine: "embedded".to_owned(),
        suspected: 0.5,
        early: 0.9,
        early_min_lung_mm: 120.0,
        slices_per_second: 20.0,
        at: jiff::Timestamp::UNIX_EPOCH,
    }
}

fn case(name: &str, positive: bool, outcome: Outcome) -> CaseResult {
    let group = if positive { "covid-19" } else { "normal" };
    CaseResult { name: name.to_owned(), positive, site: "A".to_owned(), group: group.to_owned(), outcome }
}
