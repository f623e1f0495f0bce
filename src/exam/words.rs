//! Every sentence about an acquisition: what is wrong with it, why that may not be the scan's fault, and what to do. Reports and flags
//! are made of these words. Errors of single slices say their words where they are declared.

use super::doubt::Doubt;
use super::quality::{KeySlice, QualityIssue, QualityKind, Remedy};
use super::summed::Sum;
use crate::words::counted;

impl Remedy {
    /// What to do, as flags say it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Rescan => "rescan",
            Self::BreatheInAndRescan => "let the patient breathe in deeply and scan again",
            Self::SendAgainOrRescan => "send again, and rescan only if this stays",
            Self::SendAgain => "send again",
            Self::CheckSeries => "check the series",
            Self::ReconstructAgain => "reconstruct again",
            Self::CorrectAndSendAgain => "correct and send again",
        }
    }
}

impl std::fmt::Display for QualityIssue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// An issue in one sentence: what is wrong, where to look, and why it may not be the scan.
pub(super) fn of_issue(QualityIssue { kind, slice, doubt, sum, .. }: &QualityIssue) -> String {
    let what = match sum {
        Some(sum) => sum.words(kind),
        None => kind.to_string(),
    };
    let place = match slice {
        Some(KeySlice { instance_number: Some(number), frame_number: Some(frame), .. }) => {
            format!(" (image {number}, frame {frame})")
        }
        Some(KeySlice { instance_number: Some(number), .. }) => format!(" (image {number})"),
        Some(KeySlice { z_mm, .. }) => format!(" (z = {z_mm:.1} mm)"),
        None => String::new(),
    };
    let doubt = doubt.as_ref().map(|doubt| format!("; {doubt}")).unwrap_or_default();
    format!("{what}{place}{doubt}")
}

impl std::fmt::Display for QualityKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ApexCutOff { lung_cm2 } => {
                write!(f, "the lung apex is cut off: {lung_cm2:.0} cm² of lung on the uppermost slice")
            }
            Self::BaseCutOff { lung_cm2 } => {
                write!(f, "the lung base is cut off: {lung_cm2:.0} cm² of lung on the lowest slice")
            }
            Self::Gap { from_z_mm, to_z_mm } => {
                write!(f, "slices are missing between z = {from_z_mm:.1} mm and z = {to_z_mm:.1} mm")
            }
            Self::SpacingChange { from_z_mm, to_z_mm, spacing_mm, usual_mm } => write!(
                f,
                "slices are {spacing_mm:.1} mm apart from z = {from_z_mm:.1} mm to z = {to_z_mm:.1} mm and {usual_mm:.1} mm elsewhere: were two series mixed?"
            ),
            Self::DuplicatePosition => f.write_str("more than one slice at one position"),
            Self::FewPositions { images, positions: 1, at_z_mm } => {
                write!(f, "all {images} images claim one position, z = {at_z_mm:.1} mm: their positions are wrong")
            }
            Self::FewPositions { images, positions, at_z_mm } => write!(
                f,
                "{images} images claim only {positions} positions, the first z = {at_z_mm:.1} mm: their positions are wrong"
            ),
            Self::FarApart { spacing_mm, limit_mm } if spacing_mm > limit_mm => {
                write!(f, "too far apart for the model: slices every {spacing_mm:.1} mm, tried up to {limit_mm:.0} mm")
            }
            Self::FarApart { spacing_mm, .. } => {
                write!(f, "slices are {spacing_mm:.1} mm apart: lesions smaller than that can lie between them unseen")
            }
            Self::AnatomyStep { times_usual } => write!(
                f,
                "the anatomy jumps, {times_usual:.1} times the usual change between slabs: did the patient breathe or move?"
            ),
            Self::RepeatedImages { slices, from_z_mm, to_z_mm, .. } => {
                f.write_str(&repeated_words(*slices, *from_z_mm, *to_z_mm))
            }
            Self::DensityJump { jump_hu } => write!(
                f,
                "all tissue, or all lung and air, is {jump_hu:.0} HU denser or less dense from one slice to the next: the Hounsfield units of one part are wrong (Rescale Slope and Intercept)"
            ),
            Self::HardlyInflated { median_hu, gradient_hu, limit_hu } => {
                f.write_str(&inflation_words(*median_hu, *gradient_hu, *limit_hu))
            }
            Self::TooNoisy { noise_hu, limit_hu } => write!(
                f,
                "too noisy for the model, {noise_hu:.0} HU in soft tissue and tried up to {limit_hu:.0}: a smoother kernel or thicker slices help"
            ),
            Self::TooThick { thickness_mm, limit_mm } => {
                write!(f, "too thick for the model: slices of {thickness_mm:.1} mm, tried up to {limit_mm:.0} mm")
            }
            Self::UnfitSeries { count, reason } => {
                let verb = if *count == 1 { "is" } else { "are" };
                write!(f, "no axial slice came, only {} that {verb} not analysed: {reason}", counted(*count, "image"))
            }
            Self::OrientationMismatch { patient_position } => {
                f.write_str("the spine lies in front: the orientation is wrong")?;
                if patient_position.is_empty() { Ok(()) } else { write!(f, ", patient position {patient_position}") }
            }
            Self::DefectiveSlices { count, reason } => {
                write!(f, "{} cannot be analysed: {reason}", counted(*count, "slice"))
            }
            Self::BoneKernel { kernel } => {
                write!(f, "kernel {kernel} is one for bone: a series for lung or soft tissue suits the model better")
            }
            Self::UnusualPosture { posture } => {
                write!(f, "the patient lies {posture}: the model was tried on the back only")
            }
            Self::Contrast { agent } => write!(f, "contrast agent ({agent}): the model was not tried with it"),
            Self::FieldOfViewCut { border_cm2 } => {
                write!(f, "the field of view cuts the lungs: {border_cm2:.0} cm² of its border run through lung")
            }
            Self::MixedAcquisitions => f.write_str(
                "slices of several acquisitions lie between each other in one series, and nothing in it tells them apart",
            ),
            Self::OtherVolumes { count: 1 } => f.write_str("the series holds another volume, which was not judged"),
            Self::OtherVolumes { count } => write!(f, "the series holds {count} other volumes, which were not judged"),
            Self::SplitAcquisition { series } => {
                write!(f, "one acquisition came as {series} series: they were judged together")
            }
            Self::NoiseUnknown { share } => {
                write!(f, "no noise can be measured on {:.0} % of the chest: are its Hounsfield units right?", share * 100.0)
            }
            Self::GantryTilt { degrees } => {
                write!(f, "the gantry is tilted by {degrees:.0} degrees: the model was not tried with it")
            }
            Self::RefusedObjects { count: 1, reason } => write!(f, "1 object was refused: {reason}"),
            Self::RefusedObjects { count, reason } => write!(f, "{count} objects were refused: {reason}"),
            Self::SharedUid { count } => write!(
                f,
                "{count} images carry the same SOP Instance UID: each image needs one of its own, else the next one takes its place"
            ),
            Self::SharedStudy => f.write_str(
                "another exam has the same study and patient ID but another name, birth date or sex: check whose images these are",
            ),
            Self::Corrected { count, identity } => f.write_str(&corrected_words(*count, *identity)),
        }
    }
}

fn inflation_words(median_hu: f64, gradient_hu: f64, limit_hu: f64) -> String {
    let back = if gradient_hu >= 0.0 { format!("{gradient_hu:.0} HU denser") } else { "no denser".to_owned() };
    format!(
        "the lungs are hardly inflated, {median_hu:.0} HU where at most {limit_hu:.0} are expected, {back} at the back: in such lungs haze of \
         breathing out and of pneumonia look alike"
    )
}

fn corrected_words(count: usize, identity: bool) -> String {
    let counts = match count {
        1 => "1 image was sent again with other content: the newer one counts".to_owned(),
        count => format!("{count} images were sent again with other content: the newer ones count"),
    };
    if identity { counts + "; the patient's name, birth date or sex was corrected" } else { counts }
}

fn repeated_words(slices: usize, from_z_mm: f64, to_z_mm: f64) -> String {
    let not_sent = "what belongs there was not sent";
    if slices == 1 {
        return format!("the slice at z = {from_z_mm:.1} mm shows an image that lies elsewhere as well: {not_sent}");
    }
    format!(
        "{slices} slices from z = {from_z_mm:.1} mm to z = {to_z_mm:.1} mm show images that lie at other positions as well: {not_sent}"
    )
}

impl Sum {
    /// The sum in words, with the gravest of the kind.
    fn words(self, gravest: &QualityKind) -> String {
        let Self { count, lowest_z_mm, highest_z_mm, length_mm } = self;
        let range = format!("from z = {lowest_z_mm:.1} mm to z = {highest_z_mm:.1} mm");
        match gravest {
            QualityKind::Gap { from_z_mm, to_z_mm } => format!(
                "{count} gaps {range}, {length_mm:.0} mm in all, the widest of {:.1} mm between z = {from_z_mm:.1} mm and z = {to_z_mm:.1} mm: slices are missing",
                to_z_mm - from_z_mm
            ),
            QualityKind::RepeatedImages { .. } => format!(
                "images that lie at other positions as well, {count} times {range}: what belongs there was not sent"
            ),
            QualityKind::DuplicatePosition => format!("more than one slice at each of {count} positions {range}"),
            QualityKind::AnatomyStep { .. } | QualityKind::DensityJump { .. } => {
                format!("{count} jumps {range}, the largest: {gravest}")
            }
            _ => format!("{count} times {range}, the longest: {gravest}"),
        }
    }
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SlicesLost { count } => {
                write!(f, "{} of the exam cannot be analysed, and may show what is missing", counted(*count, "slice"))
            }
            Self::Announced { came, announced } => {
                write!(f, "{came} of the {announced} announced images came, and the others may show what is missing")
            }
            Self::NumbersBeginAt { number } => {
                write!(f, "the image numbers begin at {number}, and those before may not have been sent")
            }
            Self::StillSending => f.write_str("more images may still come"),
            Self::SeriesGoesFurther { .. } => f.write_str("another series of this exam goes further"),
            Self::Positions => f.write_str("slices are missing, double or unevenly spaced there"),
            Self::Mixed => {
                f.write_str("the images on either side were not made alike: was another acquisition mixed in?")
            }
            Self::MaybeNoLung => f.write_str("it may be gas or air and no lung"),
        }
    }
}
