//! What the console shows of exams, and what is kept of an exam.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::flag::{Flag, Flags};
use crate::analysis::{ExamState, ExamView, PlacedImage, SlabView, edition};
use crate::exam::{ExamKey, SlabIndex};
use crate::triage::CaseReport;

/// An exam with its flags.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownExam {
    #[serde(flatten)]
    pub exam: ExamView,
    pub flags: Vec<Flag>,
}

/// A slab with the address of its picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownSlab {
    #[serde(flatten)]
    pub slab: SlabView,
    pub picture: String,
}

impl ShownSlab {
    /// The address has no leading slash, so that it holds below whatever path a proxy puts the console. The console keeps a picture
    /// for as long as its address stays.
    #[must_use]
    pub fn new(exam: &ExamKey, slab: SlabView, image: Option<&PlacedImage>) -> Self {
        let edition = image.map(edition).unwrap_or_default();
        Self { picture: format!("api/exams/{exam}/slabs/{}.png?v={edition}", slab.index.0), slab }
    }
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
    #[must_use]
    pub fn shown(&self) -> ShownExam {
        ShownExam { exam: self.exam.clone(), flags: self.flags.all().to_vec() }
    }

    /// The slabs in ascending z.
    #[must_use]
    pub fn shown_slabs(&self) -> Vec<ShownSlab> {
        let shown = |slab: &SlabView| ShownSlab::new(&self.exam.key, slab.clone(), self.pictures.get(&slab.index));
        self.slabs.values().map(shown).collect()
    }

    /// The case report, unless slices have come since that it does not know of.
    #[must_use]
    pub fn final_report(&self) -> Option<&CaseReport> {
        self.report.as_ref().filter(|_| self.exam.state == ExamState::Complete)
    }
}
