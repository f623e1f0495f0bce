//! Exams and slabs as the console shows them.

use serde::Serialize;

use crate::alert::{Flag, Flags};
use crate::analysis::{ExamView, SlabView, edition};
use crate::database::Record;
use crate::exam::{ExamKey, SlabIndex};
use crate::raster::{Outline, PackedMask, outlines};

/// An exam with its flags.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownExam {
    #[serde(flatten)]
    pub exam: ExamView,
    pub flags: Vec<Flag>,
    /// Its slices are received and none of them is on its way to the engine; absent once its turn has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<WaitingPlace>,
}

/// Where an exam that waits for its turn stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WaitingPlace {
    /// 1 for the exam that is next.
    pub place: usize,
}

impl ShownExam {
    #[must_use]
    pub fn new(exam: ExamView, flags: &Flags, waiting: Option<WaitingPlace>) -> Self {
        Self { exam, flags: flags.all().to_vec(), waiting }
    }

    #[must_use]
    pub fn of(record: &Record, waiting: Option<WaitingPlace>) -> Self {
        Self::new(record.exam.clone(), &record.flags, waiting)
    }
}

/// A slab's evidence. Outlines are in plane pixels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownSlab {
    pub index: SlabIndex,
    pub z_mm: f64,
    pub lung_cm2: f64,
    pub lesion_cm2: f64,
    pub attention: f32,
    pub logit: f32,
    /// The running score once this slab was judged.
    pub score: Option<f64>,
    /// The address of its picture, without a leading slash, so that it holds below whatever path a proxy puts the console. The
    /// console keeps a picture for as long as its address stays.
    pub picture: String,
    pub lung: Vec<Outline>,
    pub lesion: Vec<Outline>,
}

impl ShownSlab {
    #[must_use]
    pub fn new(exam: &ExamKey, slab: &SlabView) -> Self {
        let edition = slab.image.as_ref().map(edition).unwrap_or_default();
        Self {
            index: slab.index,
            z_mm: slab.z_mm,
            lung_cm2: slab.lung_cm2,
            lesion_cm2: slab.lesion_cm2,
            attention: slab.attention,
            logit: slab.logit,
            score: slab.score,
            picture: format!("api/exams/{exam}/slabs/{}.png?v={edition}", slab.index.0),
            lung: outlines_of(&slab.lung),
            lesion: outlines_of(&slab.lesion),
        }
    }
}

/// The outlines of a mask that was kept; none of one that is damaged, with a log line.
pub fn outlines_of(mask: &PackedMask) -> Vec<Outline> {
    let unpacked = mask.unpack().inspect_err(|error| tracing::error!(%error, "a mask cannot be drawn: it is damaged"));
    unpacked.map(|mask| outlines(&mask)).unwrap_or_default()
}
