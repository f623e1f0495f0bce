//! What the console shows of exams, and what is kept of an exam.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::flag::{Flag, Flags};
use crate::analysis::PlacedImage;
use crate::exam::{ExamKey, Patient, SlabIndex};
use crate::raster::Outline;
use crate::triage::{CaseReport, LesionSummary, SliceCounts, Thresholds, Verdict};

/// An exam as the console shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExamView {
    pub key: ExamKey,
    pub state: ExamState,
    pub patient: Patient,
    /// Calling AE title.
    pub scanner: String,
    pub description: String,
    pub started: Timestamp,
    /// When the last slice was on the disk.
    #[serde(default)]
    pub last_slice: Option<Timestamp>,
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
    pub flags: Vec<Flag>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExamState {
    Receiving,
    /// The verdict stands although more comes: it lies beyond the lungs, or in a series that is not judged.
    Trailing,
    Complete,
}

/// A slab's evidence as the console shows it. Outlines are in plane pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlabView {
    pub index: SlabIndex,
    pub z_mm: f64,
    pub lung_cm2: f64,
    pub lesion_cm2: f64,
    pub attention: f32,
    pub logit: f32,
    /// The running score once this slab was judged.
    pub score: Option<f64>,
    pub picture: String,
    pub lung: Vec<Outline>,
    pub lesion: Vec<Outline>,
}

/// One exam as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub exam: ExamView,
    pub slabs: BTreeMap<SlabIndex, SlabView>,
    pub report: Option<CaseReport>,
    /// The slice that stands for a slab.
    pub pictures: BTreeMap<SlabIndex, PlacedImage>,
    pub flags: Flags,
}

impl Record {
    /// The case report, unless slices have come since that it does not know of.
    #[must_use]
    pub fn final_report(&self) -> Option<&CaseReport> {
        self.report.as_ref().filter(|_| self.exam.state == ExamState::Complete)
    }
}
