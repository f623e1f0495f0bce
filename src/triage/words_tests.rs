//! Every phrase that this file can make is there in every language.

use super::*;
use crate::texts::tests::assert_known;

/// The variant that follows in the list below; the compiler names the place where one is missing.
fn next(reason: &Reason) -> Option<Reason> {
    let text = || "of the header".to_owned();
    let issue = || QualityIssue::of_series(QualityKind::DuplicatePosition);
    Some(match reason {
        Reason::Opacities { .. } => Reason::Mass { volume_ml: 40.0, side: Side::Left },
        Reason::Mass { .. } => Reason::DenseLung { side: Side::Right, aerated_ml: 300.0, other_ml: 900.0 },
        Reason::DenseLung { .. } => Reason::DenseLungs { lung_ml: 900.0, chest_share: 0.1 },
        Reason::DenseLungs { .. } => Reason::DenseThird { zone: Zone::LeftLower, aerated_ml: 30.0, other_ml: 900.0 },
        Reason::DenseThird { .. } => Reason::NoOpacities { score: 0.1, is_rim: true },
        Reason::NoOpacities { .. } => Reason::AllObjectsRefused { count: 2, refusal: text() },
        Reason::AllObjectsRefused { .. } => Reason::RefusedAndStoredSince { count: 2 },
        Reason::RefusedAndStoredSince { .. } => Reason::NoUsableSlice { count: 2, defect: text() },
        Reason::NoUsableSlice { .. } => Reason::NoAxialSlice,
        Reason::NoAxialSlice => Reason::EngineFailure { failure: text() },
        Reason::EngineFailure { .. } => Reason::FewPositions { issue: issue() },
        Reason::FewPositions { .. } => Reason::TooFewSlices { usable: 2, at_least: 10 },
        Reason::TooFewSlices { .. } => Reason::TooFewSlicesLeft { usable: 2, refused: issue() },
        Reason::TooFewSlicesLeft { .. } => Reason::NoSlabJudged,
        Reason::NoSlabJudged => Reason::SpineInFront,
        Reason::SpineInFront => Reason::NoLung { lung_ml: 20.0 },
        Reason::NoLung { .. } => Reason::TooManyDefective { defective: 3, slices: 9, defect: text() },
        Reason::TooManyDefective { .. } => Reason::MisleadingField { issue: issue(), is_above: true },
        Reason::MisleadingField { .. } => Reason::Quality { issue: issue() },
        Reason::Quality { .. } => Reason::UnknownChestShare,
        Reason::UnknownChestShare => Reason::NoSpine,
        Reason::NoSpine => return None,
    })
}

fn opacities_in(pattern: Pattern) -> Reason {
    Reason::Opacities { pattern, lesions: LesionSummary::default(), score: 0.9 }
}

/// Those that say something else than their kind usually does.
fn others() -> Vec<Reason> {
    let text = || "of the header".to_owned();
    let of = |kind| QualityIssue::of_series(kind);
    let everywhere = Pattern { kind: PatternKind::PneumoniaLike, bilateral: true, ..Pattern::default() };
    vec![
        opacities_in(everywhere),
        opacities_in(Pattern { peripheral_share: 0.9, basal_share: 0.9, consolidation_share: 0.9, ..everywhere }),
        opacities_in(Pattern {
            apical_share: 0.9,
            consolidation_share: 0.5,
            right_share: 0.9,
            bilateral: false,
            ..everywhere
        }),
        opacities_in(Pattern { bilateral: false, ..everywhere }),
        Reason::NoOpacities { score: 0.1, is_rim: false },
        Reason::AllObjectsRefused { count: 1, refusal: text() },
        Reason::RefusedAndStoredSince { count: 1 },
        Reason::NoUsableSlice { count: 1, defect: text() },
        Reason::MisleadingField { issue: of(QualityKind::FieldOfViewCut { border_cm2: 9.0 }), is_above: false },
        Reason::Quality { issue: of(QualityKind::Gap { from_z_mm: 1.0, to_z_mm: 20.0 }) },
        Reason::Quality { issue: of(QualityKind::ApexCutOff { lung_cm2: 40.0 }) },
    ]
}

#[test]
fn every_reason_is_said_in_every_language() {
    let first = opacities_in(Pattern::default());
    for reason in std::iter::successors(Some(first), next).chain(others()) {
        assert_known(&reason.phrase());
    }
}

#[test]
fn every_side_and_zone_is_said_in_every_language() {
    for side in [Side::Left, Side::Right] {
        assert_known(&side.phrase());
        for zone in Zone::of_side(side) {
            assert_known(&zone.phrase());
        }
    }
}
