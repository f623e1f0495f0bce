//! One case as the appliance would have seen it: slice by slice in the order of acquisition, every window as soon as it is
//! due, by the same code that serves the scanner.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use super::acquisition::Acquisition;
use super::agreement::{DrawnMasks, agreement};
use super::cases::{CaseInput, ListedCase};
use super::{CaseResult, FlagTime, MaskAgreement, Observation, Outcome, PathPoint};
use crate::analysis::{ExamAnalysis, PlacedImage, Replay, ReplayStep, lung_mm};
use crate::engine::Manifest;
use crate::exam::{QualityLimits, Series};
use crate::picture;
use crate::raster::outlines;
use crate::serving::Serving;
use crate::triage::{CaseReport, Densities, Lungs, TableRow, Verdict, case_score};

/// The folder of the pictures inside the output folder.
pub(super) const PICTURES: &str = "pictures";

/// What cases are observed with.
pub(super) struct Observer<'a> {
    pub manifest: &'a Manifest,
    pub serving: Serving,
    pub limits: QualityLimits,
    pub densities: Densities,
    /// Slices that the scanner is taken to send in a second.
    pub slices_per_s: f64,
    /// The output folder.
    pub out: &'a Path,
}

impl Observer<'_> {
    /// Runs a case to its verdict. Whatever goes wrong is the case's outcome.
    pub(super) fn observe(&mut self, case: &ListedCase) -> CaseResult {
        let outcome = match &case.fault {
            Some(fault) => Outcome::Failed { reason: fault.clone() },
            None => self.run(&case.name, &case.input).unwrap_or_else(|reason| Outcome::Failed { reason }),
        };
        CaseResult {
            name: case.name.clone(),
            positive: case.positive,
            site: case.site.clone(),
            group: case.group.clone(),
            outcome,
        }
    }

    fn run(&mut self, name: &str, input: &CaseInput) -> Result<Outcome, String> {
        let acquisition = Acquisition::read(&input.folder).map_err(|error| error.to_string())?;
        let Self { manifest, limits, densities, .. } = *self;
        let mut replay = Replay::new(acquisition.exam, manifest);
        let started = replay.started();
        acquisition.refused.into_iter().for_each(|refusal| replay.analysis.refuse(refusal, started));
        let mut noted = Noted::default();
        let replayed = replay.run(acquisition.files, &mut self.serving, &mut |analysis, step| {
            if step == ReplayStep::Inferred {
                noted.note(analysis, manifest, &limits, densities, started);
            }
            ControlFlow::Continue(())
        });
        replayed.map_err(|error| error.to_string())?;
        let report = replay.conclude(self.serving.name(), &limits, densities);
        let scan = Scan { analysis: replay.analysis, noted };
        self.serving.forget(&scan.analysis.key);
        // A verdict on the patient, or none.
        let judged = matches!(report.verdict, Verdict::Suspected | Verdict::NotSuspected);
        let Some(score) = report.score.filter(|_| judged) else {
            return Ok(Outcome::NotAnalysed { reason: report.reason });
        };
        let slices = report.slices.analysed;
        let (path_maximum, masks, picture) = self.look_at_the_table(name, input, &scan, &report)?;
        Ok(Outcome::Judged(Observation {
            verdict: report.verdict,
            reason: report.reason,
            score,
            slices,
            lung_ml: report.lung_ml,
            lesion_ml: report.lesion_summary.volume_ml,
            flag: self.flag(&scan, report.verdict, slices),
            path: scan.noted.path,
            path_maximum,
            masks,
            picture,
        }))
    }

    fn flag(&self, scan: &Scan, verdict: Verdict, slices: usize) -> Option<FlagTime> {
        let final_flag = (verdict == Verdict::Suspected).then_some(slices);
        let after = scan.noted.flagged_after.or(final_flag)?;
        Some(FlagTime {
            early: scan.noted.flagged_after.is_some(),
            share: after as f64 / slices.max(1) as f64,
            seconds: after as f64 / self.slices_per_s,
        })
    }

    /// What the final table says beyond the verdict: the largest running score, the agreement with masks, the picture.
    #[allow(clippy::type_complexity)]
    fn look_at_the_table(
        &self,
        name: &str,
        input: &CaseInput,
        scan: &Scan,
        report: &CaseReport,
    ) -> Result<(Option<f64>, Option<MaskAgreement>, Option<String>), String> {
        let Some((_, judged)) = scan.analysis.judged() else { return Ok((None, None, None)) };
        let rows = judged.table.rows(&judged.series);
        let picture = self.draw(name, &judged.series, &rows, report)?;
        Ok((scan.path_maximum(&rows, self.manifest), self.masks(input, &judged.series, &rows)?, picture))
    }

    fn masks(&self, case: &CaseInput, series: &Series, rows: &[TableRow<'_>]) -> Result<Option<MaskAgreement>, String> {
        let input = &self.manifest.input;
        let on_slabs = |file: &Option<super::masks::MaskFile>| {
            let planes = file.as_ref().map(|file| file.on_slabs(series, rows.iter().map(|row| row.slab), input));
            planes.transpose().map_err(|error| error.to_string())
        };
        let drawn = DrawnMasks { lung: on_slabs(&case.lung_mask)?, lesion: on_slabs(&case.lesion_mask)? };
        let any = drawn.lung.is_some() || drawn.lesion.is_some();
        Ok(any.then(|| agreement(rows, &Lungs::find(rows, input), input, &drawn)))
    }

    /// Draws the slab where the largest lesion is largest; without lesions the one with most lung.
    fn draw(
        &self,
        name: &str,
        series: &Series,
        rows: &[TableRow<'_>],
        report: &CaseReport,
    ) -> Result<Option<String>, String> {
        let most_lung = rows.iter().max_by(|a, b| a.evidence.lung_cm2.total_cmp(&b.evidence.lung_cm2));
        let key = report.lesions.first().and_then(|lesion| rows.iter().find(|row| row.slab == lesion.key_slab));
        let Some(row) = key.or(most_lung) else { return Ok(None) };
        let Some(slice) = series.middle_slice(row.slab) else { return Ok(None) };
        let (lung, lesion) = (outlines(&row.evidence.lung), outlines(&row.evidence.lesion));
        let png = picture::picture_with_outlines(&PlacedImage::of(slice), &self.manifest.input, &lung, &lesion)
            .map_err(|error| error.to_string())?;
        let picture = format!("{PICTURES}/{name}.png");
        let path = self.out.join(&picture);
        std::fs::write(&path, png).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(Some(picture))
    }
}

/// What is noted on the way to the verdict.
#[derive(Debug, Default)]
struct Noted {
    path: Vec<PathPoint>,
    /// Slices that had come when the early flag was raised.
    flagged_after: Option<usize>,
}

impl Noted {
    fn note(
        &mut self,
        analysis: &mut ExamAnalysis,
        manifest: &Manifest,
        limits: &QualityLimits,
        densities: Densities,
        started: Instant,
    ) {
        let (slices, _) = analysis.progress();
        if analysis.early_flag(manifest, limits, densities, started).is_some() {
            self.flagged_after.get_or_insert(slices);
        }
        if let Some(score) = analysis.running_score(manifest) {
            self.path.push(PathPoint { slices, lung_mm: analysis.judged_lung_mm(), score });
        }
    }
}

/// A case that came to its verdict.
struct Scan {
    analysis: ExamAnalysis,
    noted: Noted,
}

impl Scan {
    /// The largest running score among points with enough lung: on the path that was run, and on those that the final table
    /// gives from either end. The scanner may run either way.
    fn path_maximum(&self, rows: &[TableRow<'_>], manifest: &Manifest) -> Option<f64> {
        let least_mm = manifest.operating_point.early_min_lung_mm;
        let score_of = |rows: &[TableRow<'_>]| {
            let enough = lung_mm(rows) >= least_mm;
            enough.then(|| case_score(rows.iter().map(|row| row.evidence), &manifest.case)).flatten()
        };
        let upwards = (1..=rows.len()).filter_map(|count| score_of(&rows[..count]));
        let downwards = (0..rows.len()).filter_map(|first| score_of(&rows[first..]));
        let run = self.noted.path.iter().filter(|point| point.lung_mm >= least_mm).map(|point| point.score);
        upwards.chain(downwards).chain(run).reduce(f64::max)
    }
}
