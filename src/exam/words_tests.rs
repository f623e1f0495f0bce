//! Every phrase that this file can make is there in every language.

use super::*;
use crate::texts::tests::assert_known;

/// The variant that follows in the list below; the compiler names the place where one is missing.
fn next(kind: &QualityKind) -> Option<QualityKind> {
    let text = || "of the header".to_owned();
    Some(match kind {
        QualityKind::ApexCutOff { .. } => QualityKind::BaseCutOff { lung_cm2: 40.0 },
        QualityKind::BaseCutOff { .. } => QualityKind::Gap { from_z_mm: 1.0, to_z_mm: 20.0 },
        QualityKind::Gap { .. } => {
            QualityKind::SpacingChange { from_z_mm: 1.0, to_z_mm: 9.0, spacing_mm: 2.0, usual_mm: 1.0 }
        }
        QualityKind::SpacingChange { .. } => QualityKind::DuplicatePosition,
        QualityKind::DuplicatePosition => QualityKind::FewPositions { images: 9, positions: 2, at_z_mm: 1.0 },
        QualityKind::FewPositions { .. } => QualityKind::FarApart { spacing_mm: 12.0, limit_mm: 10.0 },
        QualityKind::FarApart { .. } => QualityKind::AnatomyStep { times_usual: 3.0 },
        QualityKind::AnatomyStep { .. } => {
            QualityKind::RepeatedImages { slices: 2, from_z_mm: 1.0, to_z_mm: 3.0, unseen_mm: 2.0 }
        }
        QualityKind::RepeatedImages { .. } => QualityKind::DensityJump { jump_hu: 300.0 },
        QualityKind::DensityJump { .. } => {
            QualityKind::HardlyInflated { median_hu: -650.0, gradient_hu: 30.0, limit_hu: -770.0 }
        }
        QualityKind::HardlyInflated { .. } => QualityKind::TooNoisy { noise_hu: 80.0, limit_hu: 60.0 },
        QualityKind::TooNoisy { .. } => QualityKind::TooThick { thickness_mm: 12.0, limit_mm: 10.0 },
        QualityKind::TooThick { .. } => QualityKind::UnfitSeries { count: 2, reason: text() },
        QualityKind::UnfitSeries { .. } => QualityKind::OrientationMismatch { patient_position: text() },
        QualityKind::OrientationMismatch { .. } => QualityKind::DefectiveSlices { count: 2, reason: text() },
        QualityKind::DefectiveSlices { .. } => QualityKind::BoneKernel { kernel: text() },
        QualityKind::BoneKernel { .. } => QualityKind::UnusualPosture { posture: "prone".to_owned() },
        QualityKind::UnusualPosture { .. } => QualityKind::Contrast { agent: text() },
        QualityKind::Contrast { .. } => QualityKind::GantryTilt { degrees: 12.0 },
        QualityKind::GantryTilt { .. } => QualityKind::FieldOfViewCut { border_cm2: 12.0 },
        QualityKind::FieldOfViewCut { .. } => QualityKind::MixedAcquisitions,
        QualityKind::MixedAcquisitions => QualityKind::OtherVolumes { count: 2 },
        QualityKind::OtherVolumes { .. } => QualityKind::SplitAcquisition { series: 2 },
        QualityKind::SplitAcquisition { .. } => QualityKind::NoiseUnknown { share: 0.4 },
        QualityKind::NoiseUnknown { .. } => QualityKind::RefusedObjects { count: 2, reason: text() },
        QualityKind::RefusedObjects { .. } => QualityKind::SharedUid { count: 2 },
        QualityKind::SharedUid { .. } => QualityKind::SharedStudy,
        QualityKind::SharedStudy => QualityKind::Corrected { count: 2, identity: true },
        QualityKind::Corrected { .. } => return None,
    })
}

/// Those that say something else than their kind usually does.
fn others() -> Vec<QualityKind> {
    vec![
        QualityKind::FewPositions { images: 9, positions: 1, at_z_mm: 1.0 },
        QualityKind::FarApart { spacing_mm: 4.0, limit_mm: 10.0 },
        QualityKind::RepeatedImages { slices: 1, from_z_mm: 1.0, to_z_mm: 1.0, unseen_mm: 2.0 },
        QualityKind::HardlyInflated { median_hu: -650.0, gradient_hu: -3.0, limit_hu: -770.0 },
        QualityKind::OrientationMismatch { patient_position: String::new() },
        QualityKind::UnusualPosture { posture: "on the right side".to_owned() },
        QualityKind::UnusualPosture { posture: "on the left side".to_owned() },
        QualityKind::OtherVolumes { count: 1 },
        QualityKind::Corrected { count: 1, identity: false },
    ]
}

const DOUBTS: [Doubt; 8] = [
    Doubt::SlicesLost { count: 2 },
    Doubt::Announced { came: 1, announced: 3 },
    Doubt::NumbersBeginAt { number: 4 },
    Doubt::StillSending,
    Doubt::SeriesGoesFurther { series_instance_uid: String::new() },
    Doubt::Positions,
    Doubt::Mixed,
    Doubt::MaybeNoLung,
];

#[test]
fn every_issue_is_said_in_every_language_alone_and_summed_up() {
    let first = QualityKind::ApexCutOff { lung_cm2: 40.0 };
    let kinds = std::iter::successors(Some(first), next).chain(others());
    let sum = Sum { count: 7, lowest_z_mm: 1.0, highest_z_mm: 90.0, length_mm: 12.0 };
    let image = |instance_number, frame_number| {
        Some(KeySlice { z_mm: 3.0, sop_instance_uid: String::new(), instance_number, frame_number })
    };
    for kind in kinds {
        assert_known(&QualityIssue::of_series(kind.clone()).phrase());
        for slice in [image(None, None), image(Some(3), None), image(Some(3), Some(2))] {
            assert_known(&QualityIssue::new(kind.clone(), slice).standing_for(sum).phrase());
        }
    }
    for doubt in DOUBTS {
        assert_known(&QualityIssue::of_series(QualityKind::DuplicatePosition).doubted(Some(doubt)).phrase());
    }
}

#[test]
fn every_remedy_is_said_in_every_language() {
    let remedies = [
        Remedy::Rescan,
        Remedy::BreatheInAndRescan,
        Remedy::SendAgainOrRescan,
        Remedy::SendAgain,
        Remedy::CheckSeries,
        Remedy::ReconstructAgain,
        Remedy::CorrectAndSendAgain,
    ];
    for remedy in remedies {
        assert_known(&remedy.phrase());
    }
}
