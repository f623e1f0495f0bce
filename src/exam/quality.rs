//! Acquisition quality: what the technician can still mend while the patient lies on the table. What each issue means and
//! asks for stands in `docs/quality.md`.

use serde::{Deserialize, Serialize};

use super::doubt::Doubt;
use super::summed::Sum;
use crate::words::counted;

/// When an acquisition is found wanting.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct QualityLimits {
    /// A distance between neighbouring slices beyond this hides lesions that matter: no negative verdict over it, mm.
    pub max_gap_mm: f64,
    /// More lung than this on the outermost slab means that the scan begins or ends inside the lungs, cm².
    pub cut_off_lung_cm2: f64,
    /// Less lung than this is not a chest CT that can be judged, ml.
    pub min_lung_ml: f64,
    /// A lung with less than this share of the other's volume is dense, collapsed or gone: no negative verdict without it.
    /// A healthy left lung has about 0.85 of the right one.
    pub min_lung_ratio: f64,
    /// Lungs that fill less than this share of the chest, from their lowest to their uppermost slab, are largely dense or
    /// hardly inflated: no negative verdict on what is left.
    pub min_chest_share: f64,
    /// Fewer slices than this are not judged.
    pub min_slices: usize,
    /// Slabs of more noise than this are beyond what the model was tried with: no negative verdict on them, HU.
    pub max_noise_hu: f64,
    /// Slices thicker than this are beyond what the model was tried with: no negative verdict on them, mm.
    pub max_thickness_mm: f64,
    /// Where more of the field of view's border than this runs through lung, lung lies beyond it: no negative verdict, cm².
    pub max_cut_lung_cm2: f64,
    /// Anatomy that changes from a slab to the next by more than this multiple of what is usual around it is a step.
    pub max_step: f64,
    /// Healthy lung whose median density is above this is hardly inflated: no negative verdict on it, HU.
    pub max_lung_hu: f64,
}

impl Default for QualityLimits {
    fn default() -> Self {
        Self {
            max_gap_mm: 10.0,
            cut_off_lung_cm2: 25.0,
            min_lung_ml: 800.0,
            min_lung_ratio: 0.5,
            min_chest_share: 0.12,
            min_slices: 10,
            max_noise_hu: 60.0,
            max_thickness_mm: 10.0,
            max_cut_lung_cm2: 5.0,
            max_step: 1.5,
            max_lung_hu: -770.0,
        }
    }
}

/// The slice to look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct KeySlice {
    pub z_mm: f64,
    pub sop_instance_uid: String,
    /// Instance Number (0020,0013), as the scanner's console shows it.
    pub instance_number: Option<i32>,
    /// Which frame of the instance it is, from 1; absent where it has one image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_number: Option<u32>,
}

/// Something about the acquisition that a person should know of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct QualityIssue {
    #[serde(flatten)]
    pub kind: QualityKind,
    /// Absent where the whole series is meant.
    #[serde(flatten)]
    pub slice: Option<KeySlice>,
    /// Why not the scan but what became of its images may be at fault: no rescan is asked for then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
    /// All issues of the kind that this one, the gravest, stands for; absent where it stands for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<Sum>,
    /// One sentence for the technician.
    #[serde(default)]
    pub text: String,
}

/// What is wrong or worth knowing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum QualityKind {
    /// The uppermost slab shows lung: the apex was not scanned.
    ApexCutOff { lung_cm2: f64 },
    /// The lowest slab shows lung: the base was not scanned.
    BaseCutOff { lung_cm2: f64 },
    /// Slices are missing between two positions.
    Gap { from_z_mm: f64, to_z_mm: f64 },
    /// Slices stand closer or further apart than in the rest of the series.
    SpacingChange { from_z_mm: f64, to_z_mm: f64, spacing_mm: f64, usual_mm: f64 },
    /// More than one instance at a position.
    DuplicatePosition,
    /// All images claim one position, or a few.
    FewPositions { images: usize, positions: usize, at_z_mm: f64 },
    /// Slices further apart than the lesions that may lie between them are wide.
    FarApart { spacing_mm: f64, limit_mm: f64 },
    /// The anatomy changes from one slab to the next by this multiple of what is usual around it.
    AnatomyStep { times_usual: f64 },
    /// The same images lie at several positions: nobody knows which of them they show.
    RepeatedImages { slices: usize, from_z_mm: f64, to_z_mm: f64, unseen_mm: f64 },
    /// From one slice to the next all tissue changes its density: one of them is not in Hounsfield units.
    DensityJump { jump_hu: f64 },
    /// The lungs hold little air: the median density of healthy lung, and how much denser it is at the back than in front.
    HardlyInflated { median_hu: f64, gradient_hu: f64, limit_hu: f64 },
    /// Noise of a slab in soft tissue, at the model's pixels.
    TooNoisy { noise_hu: f64, limit_hu: f64 },
    /// Slices of this thickness.
    TooThick { thickness_mm: f64, limit_mm: f64 },
    /// No axial slice came, only images of kinds that are not analysed.
    UnfitSeries { count: usize, reason: String },
    /// The image contradicts its orientation.
    OrientationMismatch { patient_position: String },
    /// Slices that were received and cannot be analysed.
    DefectiveSlices { count: usize, reason: String },
    /// The kernel is one for bone.
    BoneKernel { kernel: String },
    /// The patient does not lie on the back.
    UnusualPosture { posture: String },
    /// Contrast agent was given.
    Contrast { agent: String },
    /// The gantry was tilted, not so far that the slices are refused.
    GantryTilt { degrees: f64 },
    /// The border of the field of view runs through lung over this area.
    FieldOfViewCut { border_cm2: f64 },
    /// Slices of several acquisitions lie between each other, and nothing tells them apart.
    MixedAcquisitions,
    /// The judged series holds further volumes, which were not judged.
    OtherVolumes { count: usize },
    /// One acquisition came as this many series.
    SplitAcquisition { series: usize },
    /// On this share of the chest no noise can be measured, 0 to 1.
    NoiseUnknown { share: f64 },
    /// Objects of the exam were refused: what they show nobody knows.
    RefusedObjects { count: usize, reason: String },
    /// Different images came under one SOP Instance UID, which is each image's own.
    SharedUid { count: usize },
    /// Another exam has the same study and Patient ID, but another name, birth date or sex.
    SharedStudy,
    /// Images came again with other content; the newer ones count.
    Corrected { count: usize, identity: bool },
}

/// What the technician can do about an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Only another scan helps.
    Rescan,
    /// Only another scan helps, with the patient's help.
    BreatheInAndRescan,
    /// Sending again is tried first: another scan is another dose.
    SendAgainOrRescan,
    SendAgain,
    /// Somebody must look at the scanner's console whether the scan or the sending is at fault.
    CheckSeries,
    /// The raw data give a better series.
    ReconstructAgain,
    /// The header is wrong.
    CorrectAndSendAgain,
}

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

    /// Whether the patient must stay on the table for it.
    #[must_use]
    pub fn needs_the_patient(self) -> bool {
        matches!(self, Self::Rescan | Self::BreatheInAndRescan | Self::SendAgainOrRescan)
    }
}

impl QualityIssue {
    /// An issue with the slice that shows it.
    #[must_use]
    pub fn new(kind: QualityKind, slice: Option<KeySlice>) -> Self {
        Self { kind, slice, doubt: None, sum: None, text: String::new() }.said()
    }

    /// The issue where the scan itself may be right.
    #[must_use]
    pub fn doubted(self, doubt: Option<Doubt>) -> Self {
        Self { doubt: self.doubt.or(doubt), ..self }.said()
    }

    /// The issue as the gravest of all these.
    #[must_use]
    pub fn standing_for(self, sum: Sum) -> Self {
        Self { sum: Some(sum), ..self }.said()
    }

    fn said(self) -> Self {
        let kind = match self.sum {
            Some(sum) => sum.words(&self.kind),
            None => self.kind.to_string(),
        };
        let place = match &self.slice {
            Some(KeySlice { instance_number: Some(number), frame_number: Some(frame), .. }) => {
                format!(" (image {number}, frame {frame})")
            }
            Some(KeySlice { instance_number: Some(number), .. }) => format!(" (image {number})"),
            Some(KeySlice { z_mm, .. }) => format!(" (z = {z_mm:.1} mm)"),
            None => String::new(),
        };
        let doubt = self.doubt.as_ref().map(|doubt| format!("; {doubt}")).unwrap_or_default();
        Self { text: format!("{kind}{place}{doubt}"), ..self }
    }

    /// An issue of the whole series.
    #[must_use]
    pub fn of_series(kind: QualityKind) -> Self {
        Self::new(kind, None)
    }

    /// What can be done about it; `None` for what is only worth knowing.
    #[must_use]
    pub fn remedy(&self, limits: &QualityLimits) -> Option<Remedy> {
        let remedy = self.remedy_of_kind(limits)?;
        Some(if remedy.needs_the_patient() { self.doubt.as_ref().map_or(remedy, Doubt::remedy) } else { remedy })
    }

    fn remedy_of_kind(&self, limits: &QualityLimits) -> Option<Remedy> {
        Some(match self.kind {
            QualityKind::ApexCutOff { .. } | QualityKind::BaseCutOff { .. } | QualityKind::AnatomyStep { .. } => {
                Remedy::Rescan
            }
            QualityKind::HardlyInflated { .. } => Remedy::BreatheInAndRescan,
            QualityKind::Gap { .. } if self.hides_lung(limits) => Remedy::SendAgainOrRescan,
            QualityKind::Gap { .. }
            | QualityKind::SpacingChange { .. }
            | QualityKind::RepeatedImages { .. }
            | QualityKind::RefusedObjects { .. }
            | QualityKind::DefectiveSlices { .. }
            | QualityKind::UnfitSeries { .. } => Remedy::SendAgain,
            QualityKind::TooNoisy { .. } | QualityKind::TooThick { .. } | QualityKind::FieldOfViewCut { .. } => {
                Remedy::ReconstructAgain
            }
            QualityKind::FarApart { .. } if self.hides_lung(limits) => Remedy::ReconstructAgain,
            QualityKind::MixedAcquisitions => Remedy::CheckSeries,
            QualityKind::NoiseUnknown { .. }
            | QualityKind::DensityJump { .. }
            | QualityKind::OrientationMismatch { .. }
            | QualityKind::FewPositions { .. }
            | QualityKind::SharedUid { .. } => Remedy::CorrectAndSendAgain,
            QualityKind::FarApart { .. }
            | QualityKind::DuplicatePosition
            | QualityKind::BoneKernel { .. }
            | QualityKind::UnusualPosture { .. }
            | QualityKind::Contrast { .. }
            | QualityKind::OtherVolumes { .. }
            | QualityKind::SplitAcquisition { .. }
            | QualityKind::SharedStudy
            | QualityKind::Corrected { .. }
            | QualityKind::GantryTilt { .. } => return None,
        })
    }

    /// Whether lesions may lie in what was not seen, or not be seen in what was: no negative verdict then. Defective slices
    /// are judged by their share, a mismatch of the orientation whatever was found.
    #[must_use]
    pub fn hides_lung(&self, limits: &QualityLimits) -> bool {
        match self.kind {
            QualityKind::ApexCutOff { .. }
            | QualityKind::BaseCutOff { .. }
            | QualityKind::HardlyInflated { .. }
            | QualityKind::TooNoisy { .. }
            | QualityKind::TooThick { .. }
            | QualityKind::FieldOfViewCut { .. }
            | QualityKind::MixedAcquisitions
            | QualityKind::DensityJump { .. }
            | QualityKind::NoiseUnknown { .. }
            | QualityKind::UnfitSeries { .. }
            | QualityKind::FewPositions { .. }
            | QualityKind::RefusedObjects { .. }
            | QualityKind::SharedUid { .. }
            | QualityKind::OrientationMismatch { .. } => true,
            QualityKind::Gap { from_z_mm, to_z_mm } => to_z_mm - from_z_mm > limits.max_gap_mm,
            QualityKind::RepeatedImages { unseen_mm, .. } => unseen_mm > limits.max_gap_mm,
            QualityKind::FarApart { spacing_mm, .. } => spacing_mm > limits.max_thickness_mm,
            QualityKind::SpacingChange { .. }
            | QualityKind::DuplicatePosition
            | QualityKind::AnatomyStep { .. }
            | QualityKind::DefectiveSlices { .. }
            | QualityKind::BoneKernel { .. }
            | QualityKind::UnusualPosture { .. }
            | QualityKind::Contrast { .. }
            | QualityKind::OtherVolumes { .. }
            | QualityKind::SplitAcquisition { .. }
            | QualityKind::SharedStudy
            | QualityKind::Corrected { .. }
            | QualityKind::GantryTilt { .. } => false,
        }
    }
}

impl std::fmt::Display for QualityIssue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn apex() -> QualityIssue {
        let slice =
            KeySlice { z_mm: 12.5, sop_instance_uid: "1.2".to_owned(), instance_number: Some(3), frame_number: None };
        QualityIssue::new(QualityKind::ApexCutOff { lung_cm2: 44.6 }, Some(slice))
    }

    #[test]
    fn an_issue_is_one_flat_object_and_reads_back() {
        let written = serde_json::to_value(apex()).unwrap();
        let expected = serde_json::json!({
            "kind": "apex_cut_off", "lung_cm2": 44.6, "z_mm": 12.5, "sop_instance_uid": "1.2", "instance_number": 3,
            "text": "the lung apex is cut off: 45 cm² of lung on the uppermost slice (image 3)",
        });
        assert_eq!(written, expected);
        assert_eq!(serde_json::from_value::<QualityIssue>(written).unwrap(), apex());
        let series = QualityIssue::of_series(QualityKind::TooNoisy { noise_hu: 80.0, limit_hu: 60.0 });
        let written = serde_json::to_value(&series).unwrap();
        assert_eq!(serde_json::from_value::<QualityIssue>(written).unwrap(), series);
    }

    #[test]
    fn the_words_name_the_image_to_look_at_and_else_the_position() {
        let slice = apex().slice.map(|slice| KeySlice { instance_number: None, ..slice });
        let unnumbered = QualityIssue::new(apex().kind, slice);
        assert!(unnumbered.to_string().ends_with("on the uppermost slice (z = 12.5 mm)"));
    }

    #[test]
    fn only_a_wide_gap_hides_lung_and_needs_the_patient() {
        let limits = QualityLimits::default();
        let gap = |to_z_mm| QualityIssue::of_series(QualityKind::Gap { from_z_mm: 0.0, to_z_mm });
        assert_eq!((gap(4.0).hides_lung(&limits), gap(4.0).remedy(&limits)), (false, Some(Remedy::SendAgain)));
        assert!(gap(12.0).hides_lung(&limits) && gap(12.0).remedy(&limits).unwrap().needs_the_patient());
    }
}
