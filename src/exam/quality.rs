//! Acquisition quality: what the technician can still mend while the patient lies on the table. What each issue means and
//! asks for stands in `docs/quality.md`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::doubt::Doubt;
use super::summed::Sum;
use super::words;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
        Self { text: words::of_issue(&self), ..self }
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
