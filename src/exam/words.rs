//! Every phrase about an acquisition: what is wrong with it, why that may not be the scan's fault, and what to do. Reports and flags
//! are made of these. Errors of single slices say their words where they are declared, in English.

use super::doubt::Doubt;
use super::quality::{KeySlice, QualityIssue, QualityKind, Remedy};
use super::summed::Sum;
use crate::texts::Phrase;

impl Remedy {
    /// What to do, as flags say it.
    #[must_use]
    pub fn phrase(self) -> Phrase {
        Phrase::new(match self {
            Self::Rescan => "remedy.rescan",
            Self::BreatheInAndRescan => "remedy.breathe_in_and_rescan",
            Self::SendAgainOrRescan => "remedy.send_again_or_rescan",
            Self::SendAgain => "remedy.send_again",
            Self::CheckSeries => "remedy.check_series",
            Self::ReconstructAgain => "remedy.reconstruct_again",
            Self::CorrectAndSendAgain => "remedy.correct_and_send_again",
        })
    }
}

impl std::fmt::Display for QualityIssue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl QualityIssue {
    /// An issue in one sentence: what is wrong, where to look, and why it may not be the scan.
    #[must_use]
    pub fn phrase(&self) -> Phrase {
        let Self { kind, slice, doubt, sum, .. } = self;
        let what = match sum {
            Some(sum) => sum.phrase(kind),
            None => kind.phrase(),
        };
        let placed = match slice {
            Some(KeySlice { instance_number: Some(image), frame_number: Some(frame), .. }) => {
                let at = Phrase::new("issue.at_frame").with("image", image.to_string());
                at.with("frame", frame.to_string()).with("issue", what)
            }
            Some(KeySlice { instance_number: Some(image), .. }) => {
                Phrase::new("issue.at_image").with("image", image.to_string()).with("issue", what)
            }
            Some(KeySlice { z_mm, .. }) => Phrase::new("issue.at_z").figure("z", *z_mm, 1).with("issue", what),
            None => what,
        };
        Phrase::joined("join.semicolon", [placed].into_iter().chain(doubt.as_ref().map(Doubt::phrase)))
    }
}

impl QualityKind {
    /// What is wrong, of this one issue.
    #[must_use]
    pub fn phrase(&self) -> Phrase {
        let of = Phrase::new;
        match self {
            Self::ApexCutOff { lung_cm2 } => of("issue.apex_cut_off").figure("area", *lung_cm2, 0),
            Self::BaseCutOff { lung_cm2 } => of("issue.base_cut_off").figure("area", *lung_cm2, 0),
            Self::Gap { from_z_mm, to_z_mm } => between(of("issue.gap"), *from_z_mm, *to_z_mm),
            Self::SpacingChange { from_z_mm, to_z_mm, spacing_mm, usual_mm } => {
                let change = of("issue.spacing_change").figure("spacing", *spacing_mm, 1).figure("usual", *usual_mm, 1);
                between(change, *from_z_mm, *to_z_mm)
            }
            Self::DuplicatePosition => of("issue.duplicate_position"),
            Self::FewPositions { images, positions: 1, at_z_mm } => {
                of("issue.one_position").with("images", *images).figure("z", *at_z_mm, 1)
            }
            Self::FewPositions { images, positions, at_z_mm } => {
                let few = of("issue.few_positions").with("images", *images).with("positions", *positions);
                few.figure("z", *at_z_mm, 1)
            }
            Self::FarApart { spacing_mm, limit_mm } if spacing_mm > limit_mm => {
                of("issue.too_far_apart").figure("spacing", *spacing_mm, 1).figure("limit", *limit_mm, 0)
            }
            Self::FarApart { spacing_mm, .. } => of("issue.far_apart").figure("spacing", *spacing_mm, 1),
            Self::AnatomyStep { times_usual } => of("issue.anatomy_step").figure("times", *times_usual, 1),
            Self::RepeatedImages { slices: 1, from_z_mm, .. } => {
                of("issue.repeated_image").figure("from", *from_z_mm, 1)
            }
            Self::RepeatedImages { slices, from_z_mm, to_z_mm, .. } => {
                between(of("issue.repeated_images").with("count", *slices), *from_z_mm, *to_z_mm)
            }
            Self::DensityJump { jump_hu } => of("issue.density_jump").figure("jump", *jump_hu, 0),
            Self::HardlyInflated { median_hu, gradient_hu, limit_hu } => {
                hardly_inflated(*median_hu, *gradient_hu, *limit_hu)
            }
            Self::TooNoisy { noise_hu, limit_hu } => {
                of("issue.too_noisy").figure("noise", *noise_hu, 0).figure("limit", *limit_hu, 0)
            }
            Self::TooThick { thickness_mm, limit_mm } => {
                of("issue.too_thick").figure("thickness", *thickness_mm, 1).figure("limit", *limit_mm, 0)
            }
            Self::FieldOfViewCut { border_cm2 } => of("issue.field_of_view_cut").figure("border", *border_cm2, 0),
            Self::MixedAcquisitions => of("issue.mixed_acquisitions"),
            Self::NoiseUnknown { share } => of("issue.noise_unknown").figure("share", share * 100.0, 0),
            Self::OrientationMismatch { patient_position } if patient_position.is_empty() => {
                of("issue.orientation_mismatch")
            }
            Self::OrientationMismatch { patient_position } => {
                of("issue.orientation_mismatch_of").with("position", patient_position.clone())
            }
            Self::BoneKernel { kernel } => of("issue.bone_kernel").with("kernel", kernel.clone()),
            Self::UnusualPosture { posture } => of("issue.unusual_posture").with("posture", posture_phrase(posture)),
            Self::Contrast { agent } => of("issue.contrast").with("agent", agent.clone()),
            Self::GantryTilt { degrees } => of("issue.gantry_tilt").figure("degrees", *degrees, 0),
            Self::UnfitSeries { count, reason } => because(of("issue.unfit_series").with("count", *count), reason),
            Self::DefectiveSlices { count, reason } => {
                because(of("issue.defective_slices").with("count", *count), reason)
            }
            Self::RefusedObjects { count, reason } => {
                because(of("issue.refused_objects").with("count", *count), reason)
            }
            Self::OtherVolumes { count: 1 } => of("issue.other_volume"),
            Self::OtherVolumes { count } => of("issue.other_volumes").with("count", *count),
            Self::SplitAcquisition { series } => of("issue.split_acquisition").with("series", *series),
            Self::SharedUid { count } => of("issue.shared_uid").with("count", *count),
            Self::SharedStudy => of("issue.shared_study"),
            Self::Corrected { count, identity } => {
                let corrected = of("issue.corrected").with("count", *count);
                if *identity { of("issue.corrected_identity").with("corrected", corrected) } else { corrected }
            }
        }
    }
}

impl std::fmt::Display for QualityKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.phrase().fmt(f)
    }
}

/// Errors of single slices and objects are in English.
fn because(phrase: Phrase, reason: &str) -> Phrase {
    phrase.with("reason", Phrase::english(reason))
}

fn between(phrase: Phrase, from_z_mm: f64, to_z_mm: f64) -> Phrase {
    phrase.figure("from", from_z_mm, 1).figure("to", to_z_mm, 1)
}

fn hardly_inflated(median_hu: f64, gradient_hu: f64, limit_hu: f64) -> Phrase {
    let phrase = if gradient_hu >= 0.0 {
        Phrase::new("issue.hardly_inflated").figure("gradient", gradient_hu, 0)
    } else {
        Phrase::new("issue.hardly_inflated_evenly")
    };
    phrase.figure("median", median_hu, 0).figure("limit", limit_hu, 0)
}

/// The words of `AcquisitionParameters::unusual_posture`.
fn posture_phrase(posture: &str) -> Phrase {
    match posture {
        "prone" => Phrase::new("posture.prone"),
        "on the right side" => Phrase::new("posture.on_the_right_side"),
        "on the left side" => Phrase::new("posture.on_the_left_side"),
        other => Phrase::english(other),
    }
}

impl Sum {
    /// The sum in words, with the gravest of the kind.
    fn phrase(self, gravest: &QualityKind) -> Phrase {
        let Self { count, lowest_z_mm, highest_z_mm, length_mm } = self;
        let all = |text| {
            let summed = Phrase::new(text).with("count", count);
            summed.figure("lowest", lowest_z_mm, 1).figure("highest", highest_z_mm, 1)
        };
        match gravest {
            QualityKind::Gap { from_z_mm, to_z_mm } => {
                let gaps = all("issue.gaps").figure("length", length_mm, 0).figure("width", to_z_mm - from_z_mm, 1);
                between(gaps, *from_z_mm, *to_z_mm)
            }
            QualityKind::RepeatedImages { .. } => all("issue.repeated_often"),
            QualityKind::DuplicatePosition => all("issue.duplicate_positions"),
            QualityKind::AnatomyStep { .. } | QualityKind::DensityJump { .. } => {
                all("issue.jumps").with("gravest", gravest.phrase())
            }
            _ => all("issue.often").with("gravest", gravest.phrase()),
        }
    }
}

impl Doubt {
    #[must_use]
    pub fn phrase(&self) -> Phrase {
        let of = Phrase::new;
        match self {
            Self::SlicesLost { count } => of("doubt.slices_lost").with("count", *count),
            Self::Announced { came, announced } => {
                of("doubt.announced").with("came", *came).with("announced", *announced)
            }
            Self::NumbersBeginAt { number } => of("doubt.numbers_begin_at").with("number", number.to_string()),
            Self::StillSending => of("doubt.still_sending"),
            Self::SeriesGoesFurther { .. } => of("doubt.series_goes_further"),
            Self::Positions => of("doubt.positions"),
            Self::Mixed => of("doubt.mixed"),
            Self::MaybeNoLung => of("doubt.maybe_no_lung"),
        }
    }
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.phrase().fmt(f)
    }
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
