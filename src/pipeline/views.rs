//! What the console is shown of an exam while it is analysed.

use jiff::Timestamp;

use crate::alert::{ExamState, ExamView, SlabView};
use crate::analysis::{ExamAnalysis, PlacedImage, Stage, edition};
use crate::engine::Manifest;
use crate::exam::SlabIndex;
use crate::raster::outlines;
use crate::triage::Thresholds;

/// The exam as things stand. Its flags are the hub's.
pub fn exam_view(case: &ExamAnalysis, manifest: &Manifest) -> ExamView {
    let judged = case.judged().map(|(_, judged)| judged);
    let positions = judged.map(|judged| judged.series.positions_mm()).unwrap_or_default();
    let has_verdict = case.stage != Stage::Receiving;
    let report = case.report.as_ref();
    let point = &manifest.operating_point;
    ExamView {
        key: case.key.clone(),
        state: match case.stage {
            Stage::Receiving => ExamState::Receiving,
            Stage::Trailing => ExamState::Trailing,
            Stage::Complete => ExamState::Complete,
        },
        patient: case.patient.clone(),
        scanner: case.scanner.clone(),
        description: case.description.clone(),
        started: case.started,
        last_slice: Some(case.last_slice_time()),
        updated: Timestamp::now(),
        slices: case.counts(),
        z_mm: positions.first().zip(positions.last()).map(|(low, high)| [*low, *high]),
        slabs: judged.map_or(0, |judged| judged.series.slab_count()),
        score: case.running_score(manifest),
        threshold: Thresholds { early: point.early, suspected: point.suspected },
        verdict: report.filter(|_| has_verdict).map(|report| report.verdict),
        reason: report.filter(|_| has_verdict).map(|report| report.reason.clone()).unwrap_or_default(),
        revised: report.is_some_and(|report| report.revised || !has_verdict),
        lesions: match report.filter(|_| has_verdict) {
            Some(report) => Some(report.lesion_summary),
            None => case.running_lesions(&manifest.input),
        },
        flags: Vec::new(),
    }
}

/// A judged slab with the file of its picture; `None` if there is no such slab.
pub fn slab_view(case: &ExamAnalysis, slab: SlabIndex, manifest: &Manifest) -> Option<(SlabView, Option<PlacedImage>)> {
    let (_, judged) = case.judged()?;
    let (z_mm, evidence) = judged.series.slab_z_mm(slab).zip(judged.table.row(slab))?;
    let file = judged.series.middle_slice(slab).map(PlacedImage::of);
    let view = SlabView {
        index: slab,
        z_mm,
        lung_cm2: evidence.lung_cm2,
        lesion_cm2: evidence.lesion_cm2,
        attention: evidence.attention,
        logit: evidence.logit,
        score: case.running_score(manifest),
        // Without a leading slash, so that it holds below whatever path a proxy puts the console. The console keeps a picture for as
        // long as its address stays.
        picture: format!(
            "api/exams/{}/slabs/{}.png?v={}",
            case.key,
            slab.0,
            file.as_ref().map(edition).unwrap_or_default()
        ),
        lung: outlines(&evidence.lung),
        lesion: outlines(&evidence.lesion),
    };
    Some((view, file))
}
