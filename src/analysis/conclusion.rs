//! From an exam's evidence to its report.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::exam_analysis::{ExamAnalysis, Stage};
use super::series_analysis::{SeriesAnalysis, VolumeId};
use crate::engine::Manifest;
use crate::exam::{CompletionRule, QualityIssue, QualityKind, QualityLimits};
use crate::preprocess::InputGeometry;
use crate::report::ReportBasis;
use crate::triage::{
    CaseReport, CutField, Densities, Facts, Findings, INTENDED_USE, Lungs, ModelIdentity, SCHEMA_VERSION, SliceCounts,
    Thresholds, Timing, Transfer, acquisition_issues, judge,
};

/// What a conclusion is drawn with.
#[derive(Debug, Clone, Copy)]
pub struct Conclusion<'a> {
    pub manifest: &'a Manifest,
    pub engine: &'a str,
    pub limits: &'a QualityLimits,
    pub densities: Densities,
    pub rule: CompletionRule,
    /// When the rule says that the exam was over.
    pub over: Instant,
    pub now: Instant,
}

impl ExamAnalysis {
    /// Judges the exam and keeps the report. A verdict that stood while the scan went on, and still stands, keeps the time and
    /// the rule by which people were told.
    pub fn conclude(&mut self, context: &Conclusion<'_>) -> &CaseReport {
        let mut report = self.report_now(context);
        if let Some(earlier) = &self.report {
            report.revised = self.is_revision(earlier, &report);
            if self.stage == Stage::Trailing && earlier.verdict == report.verdict {
                let Timing { inferences, inference_ms, .. } = report.timing;
                report.timing = Timing { inferences, inference_ms, ..earlier.timing };
            }
        }
        self.stage = match context.rule {
            CompletionRule::LungsPassed => Stage::Trailing,
            _ => Stage::Complete,
        };
        self.may_isolate = false;
        self.report.insert(report)
    }

    /// What the report was drawn from. It costs as much as a report: people are told first.
    #[must_use]
    pub fn report_basis(&self, manifest: &Manifest, densities: Densities) -> ReportBasis {
        let drawn = self.judged().map(|(_, judged)| {
            let findings = judged.findings(&manifest.input, densities);
            judged.segmentation(&findings, &manifest.input)
        });
        let (segmentation, images) = drawn.unzip();
        ReportBasis {
            concluded: Timestamp::now(),
            images: images.unwrap_or_default(),
            segmentation,
            described_by: self.described_by(),
        }
    }

    fn is_revision(&self, earlier: &CaseReport, report: &CaseReport) -> bool {
        let slices = |report: &CaseReport| {
            let SliceCounts { analysed, failed, refused, replaced, .. } = report.slices;
            (report.series_instance_uid.clone(), [analysed, failed, refused, replaced])
        };
        let stood = self.stage == Stage::Trailing || slices(earlier) == slices(report);
        earlier.revised || earlier.verdict != report.verdict || !stood
    }

    fn report_now(&self, context: &Conclusion<'_>) -> CaseReport {
        let judged = self.judged();
        let point = &context.manifest.operating_point;
        let findings = judged.map(|(_, judged)| judged.findings(&context.manifest.input, context.densities));
        let Findings { lungs, lesions, lesion_summary, zone_score, pattern, .. } = findings.unwrap_or_default();
        let cut_field = judged.and_then(|(_, judged)| judged.cut_field(&context.manifest.input, context.limits));
        let quality = self.quality(&lungs, cut_field.as_ref(), &context.manifest.input, context.limits);
        let score = self.running_score(context.manifest);
        let counts = self.counts();
        let facts = Facts {
            slices: counts.analysed,
            defective: counts.failed,
            defect: self.defects().next(),
            engine_failure: self.engine_failure.as_deref(),
            score,
            suspected_from: point.suspected,
            lungs: lungs.summary,
            lesions: lesion_summary,
            zones: zone_score.as_ref(),
            pattern,
            listed: &lesions,
            cut_field: cut_field.as_ref(),
            quality: &quality,
            limits: context.limits,
        };
        let reason = self.nothing_left().unwrap_or_else(|| judge(&facts));
        CaseReport {
            schema_version: SCHEMA_VERSION,
            tableside: env!("CARGO_PKG_VERSION").to_owned(),
            intended_use: INTENDED_USE.to_owned(),
            exam: self.key.clone(),
            study_instance_uid: self.study_instance_uid.clone(),
            series_instance_uid: judged.map(|(id, _)| id.series_instance_uid.clone()),
            verdict: reason.verdict(),
            reason: reason.to_string(),
            reason_phrase: Some(reason.phrase()),
            revised: false,
            score,
            driving_slabs: self.driving_slabs(context.manifest),
            thresholds: Thresholds { early: point.early, suspected: point.suspected },
            early_flag: self.early_flag.clone(),
            slices: counts,
            lung_ml: lungs.volume_ml,
            lungs: lungs.summary,
            lesion_summary,
            zone_score,
            densities: context.densities,
            pattern,
            lesions,
            quality,
            engine: context.engine.to_owned(),
            model: ModelIdentity {
                name: context.manifest.name.clone(),
                version: context.manifest.version.clone(),
                sha256: context.manifest.sha256.clone(),
            },
            timing: self.timing(context),
        }
    }

    fn quality(
        &self,
        lungs: &Lungs<'_>,
        cut_field: Option<&CutField>,
        input: &InputGeometry,
        limits: &QualityLimits,
    ) -> Vec<QualityIssue> {
        let unfit = || {
            let (count, reason) = (self.tally.all_unfit().count(), self.tally.all_unfit().next()?);
            Some(QualityIssue::of_series(QualityKind::UnfitSeries { count, reason: reason.to_owned() }))
        };
        let mut quality = match self.judged() {
            Some((uid, judged @ SeriesAnalysis { series, table, .. })) => {
                let transfer = self.transfer(uid, judged);
                acquisition_issues(series, &table.rows(series), lungs, &transfer, cut_field, input, limits)
            }
            None => unfit().into_iter().collect(),
        };
        if let count @ 1.. = self.other_volumes() {
            quality.push(QualityIssue::of_series(QualityKind::OtherVolumes { count }));
        }
        if let series @ 2.. = self.joined_series() {
            quality.push(QualityIssue::of_series(QualityKind::SplitAcquisition { series }));
        }
        if let Some(reason) = self.defects().next() {
            let (count, reason) = (self.defects().count(), reason.to_owned());
            quality.push(QualityIssue::of_series(QualityKind::DefectiveSlices { count, reason }));
        }
        quality.extend(self.objects().into_iter().map(QualityIssue::of_series));
        quality
    }

    /// How the images of the judged series came.
    fn transfer<'a>(&'a self, id: &VolumeId, judged: &SeriesAnalysis) -> Transfer<'a> {
        Transfer {
            lost: self.defects().count() + self.refusals.count(),
            announced: judged.series.expected(),
            is_open: self.rhythm.is_open(),
            direction: judged.direction(),
            others: self.others(id),
        }
    }

    /// What there is to say of the objects in which the exam came.
    fn objects(&self) -> Vec<QualityKind> {
        let shared = self.versions.sharing_a_uid();
        let replaced = self.versions.replaced();
        let refused = self
            .refusals
            .reason()
            .map(|reason| QualityKind::RefusedObjects { count: self.refusals.count(), reason: reason.to_owned() });
        let corrected = QualityKind::Corrected { count: replaced, identity: self.versions.identity_changed() };
        let said = [
            refused,
            (shared > 0).then_some(QualityKind::SharedUid { count: shared }),
            (replaced > 0 && shared == 0).then_some(corrected),
            self.shares_study.then_some(QualityKind::SharedStudy),
        ];
        said.into_iter().flatten().collect()
    }

    /// The way from the first slice to the verdict, in parts that add up.
    fn timing(&self, context: &Conclusion<'_>) -> Timing {
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let since_last = self.since_last_slice(context.now);
        let wait = context.over.saturating_duration_since(self.last_slice).min(since_last);
        Timing {
            first_slice_to_verdict_ms: ms(self.since_first(context.now)),
            last_slice_to_verdict_ms: ms(since_last),
            receive_ms: ms(self.last_slice.saturating_duration_since(self.first_arrival)),
            wait_ms: ms(wait),
            compute_ms: ms(since_last.saturating_sub(wait)),
            completed_by: context.rule,
            inferences: self.inferences,
            inference_ms: ms(self.inference_time) / (self.inferences.max(1) as f64),
        }
    }
}
