//! An exam and its slabs in plain types, as things stand while it is analysed.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::exam_analysis::{ExamAnalysis, Stage};
use super::placed_image::PlacedImage;
use crate::engine::Manifest;
use crate::exam::{ExamKey, Patient, SlabIndex};
use crate::raster::PackedMask;
use crate::triage::{LesionSummary, SliceCounts, Thresholds, Verdict};

/// An exam as things stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExamView {
    pub key: ExamKey,
    pub state: ExamState,
    pub patient: Patient,
    /// Calling AE title.
    pub scanner: String,
    pub description: String,
    #[schemars(with = "String")]
    pub started: Timestamp,
    /// When the last slice was on the disk.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub last_slice: Option<Timestamp>,
    #[schemars(with = "String")]
    pub updated: Timestamp,
    pub slices: SliceCounts,
    /// Lowest and highest slice of the judged series.
    pub z_mm: Option<[f64; 2]>,
    pub slabs: usize,
    /// Running case probability, final once complete.
    pub score: Option<f64>,
    pub threshold: Thresholds,
    pub verdict: Option<Verdict>,
    pub reason: String,
    pub revised: bool,
    /// What was found so far, final once complete; absent as long as nothing is judged.
    pub lesions: Option<LesionSummary>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExamState {
    Receiving,
    /// The verdict stands although more comes: it lies beyond the lungs, or in a series that is not judged.
    Trailing,
    Complete,
}

/// A slab's evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct SlabView {
    pub index: SlabIndex,
    pub z_mm: f64,
    pub lung_cm2: f64,
    pub lesion_cm2: f64,
    pub attention: f32,
    pub logit: f32,
    /// The running score once this slab was judged.
    pub score: Option<f64>,
    pub lung: PackedMask,
    pub lesion: PackedMask,
    /// The image that stands for it.
    pub image: Option<PlacedImage>,
}

impl ExamAnalysis {
    /// The exam as things stand.
    #[must_use]
    pub fn view(&self, manifest: &Manifest) -> ExamView {
        let judged = self.judged().map(|(_, judged)| judged);
        let positions = judged.map(|judged| judged.series.positions_mm()).unwrap_or_default();
        let has_verdict = self.stage != Stage::Receiving;
        let report = self.report.as_ref();
        let point = &manifest.operating_point;
        ExamView {
            key: self.key.clone(),
            state: match self.stage {
                Stage::Receiving => ExamState::Receiving,
                Stage::Trailing => ExamState::Trailing,
                Stage::Complete => ExamState::Complete,
            },
            patient: self.patient.clone(),
            scanner: self.scanner.clone(),
            description: self.description.clone(),
            started: self.started,
            last_slice: Some(self.last_slice_time()),
            updated: Timestamp::now(),
            slices: self.counts(),
            z_mm: positions.first().zip(positions.last()).map(|(low, high)| [*low, *high]),
            slabs: judged.map_or(0, |judged| judged.series.slab_count()),
            score: self.running_score(manifest),
            threshold: Thresholds { early: point.early, suspected: point.suspected },
            verdict: report.filter(|_| has_verdict).map(|report| report.verdict),
            reason: report.filter(|_| has_verdict).map(|report| report.reason.clone()).unwrap_or_default(),
            revised: report.is_some_and(|report| report.revised || !has_verdict),
            lesions: match report.filter(|_| has_verdict) {
                Some(report) => Some(report.lesion_summary),
                None => self.running_lesions(&manifest.input),
            },
        }
    }

    /// A slab that was analysed; `None` if there is no such slab.
    #[must_use]
    pub fn slab_view(&self, slab: SlabIndex, manifest: &Manifest) -> Option<SlabView> {
        let (_, judged) = self.judged()?;
        let (z_mm, evidence) = judged.series.slab_z_mm(slab).zip(judged.table.row(slab))?;
        Some(SlabView {
            index: slab,
            z_mm,
            lung_cm2: evidence.lung_cm2,
            lesion_cm2: evidence.lesion_cm2,
            attention: evidence.attention,
            logit: evidence.logit,
            score: self.running_score(manifest),
            lung: PackedMask::of(&evidence.lung),
            lesion: PackedMask::of(&evidence.lesion),
            image: judged.series.middle_slice(slab).map(PlacedImage::of),
        })
    }
}
