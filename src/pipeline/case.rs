//! One exam on its way to a verdict: what has come of it, its evidence, its flags.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::decode::{Decoded, plane_again};
use crate::engine::Manifest;
use crate::exam::{
    Content, ExamKey, InstanceHeader, LungArea, Patient, PreparedSlice, QualityIssue, QualityLimits, Rhythm, Series,
    WindowJob, issues,
};
use crate::preprocess::InputGeometry;
use crate::triage::{
    CaseReport, EarlyFlag, EvidenceTable, Facts, Findings, INTENDED_USE, Judgement, ModelIdentity, SCHEMA_VERSION,
    SlabEvidence, SliceCounts, TableRow, Thresholds, Timing, case_score, is_seen_beside_a_dense_lung, judge,
};

/// A slab with less lung than this does not count towards the lungs that an early flag wants to have seen, cm².
const LUNG_SLAB_CM2: f64 = 10.0;

/// How much lung these rows of a table show, mm along z.
pub fn lung_mm(rows: &[TableRow<'_>]) -> f64 {
    rows.iter().filter(|row| row.evidence.lung_cm2 >= LUNG_SLAB_CM2).map(|row| row.thickness_mm).sum()
}

/// Where an exam is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Receiving,
    Complete,
}

/// One series with its evidence.
#[derive(Debug, Default)]
pub struct JudgedSeries {
    pub series: Series,
    pub table: EvidenceTable,
}

impl JudgedSeries {
    fn findings(&self, input: &InputGeometry) -> Findings {
        let centre = self.series.slices().next().map(|slice| slice.header.geometry.centre).unwrap_or_default();
        Findings::of(&self.table.rows(&self.series), input, centre)
    }
}

/// An exam and everything known of it.
#[derive(Debug)]
pub struct Case {
    pub key: ExamKey,
    pub stage: Stage,
    pub rhythm: Rhythm,
    /// Acknowledged instances that wait to be decoded.
    pub waiting: VecDeque<PathBuf>,
    /// Instances that are being decoded.
    pub decoding: usize,
    early_flag: Option<EarlyFlag>,
    /// The opacities have been looked at since the last verdict and may isolate the patient.
    may_isolate: bool,
    pub patient: Patient,
    pub description: String,
    /// Calling AE title of the scanner.
    pub scanner: String,
    pub started: Timestamp,
    pub engine_failure: Option<String>,
    pub report: Option<CaseReport>,
    study_instance_uid: String,
    first_arrival: Instant,
    last_slice: Instant,
    known: BTreeSet<PathBuf>,
    received: usize,
    kept: usize,
    defects: Vec<String>,
    series: BTreeMap<String, JudgedSeries>,
    inferences: usize,
    inference_time: Duration,
}

impl Case {
    #[must_use]
    pub fn new(key: ExamKey, now: Instant) -> Self {
        Self {
            key,
            stage: Stage::Receiving,
            rhythm: Rhythm::new(now),
            waiting: VecDeque::new(),
            decoding: 0,
            early_flag: None,
            may_isolate: false,
            patient: Patient::default(),
            description: String::new(),
            scanner: String::new(),
            started: Timestamp::now(),
            engine_failure: None,
            report: None,
            study_instance_uid: String::new(),
            first_arrival: now,
            last_slice: now,
            known: BTreeSet::new(),
            received: 0,
            kept: 0,
            defects: Vec::new(),
            series: BTreeMap::new(),
            inferences: 0,
            inference_time: Duration::ZERO,
        }
    }

    /// Queues an instance for decoding. `false` if it has come before.
    pub fn take(&mut self, path: PathBuf) -> bool {
        let new = self.known.insert(path.clone());
        if new {
            self.received += 1;
            self.waiting.push_back(path);
        }
        new
    }

    /// Adds what decoding made of an instance. `true` if it was a slice, so that an earlier verdict no longer stands.
    pub fn add(&mut self, decoded: Decoded, arrived: Instant, input: &InputGeometry) -> bool {
        let header = match decoded.header {
            Ok(header) => header,
            Err(reason) => {
                self.defects.push(reason);
                return self.reopen(arrived);
            }
        };
        self.identify(&header, decoded.calling_ae_title);
        match (header.content, decoded.plane) {
            (Content::Slice(slice), Ok(Some(plane))) => {
                let series = self.series.entry(header.series_instance_uid).or_default();
                header.series_description.clone_into(&mut series.series.description);
                let prepared = PreparedSlice {
                    sop_instance_uid: header.sop_instance_uid,
                    header: slice,
                    path: decoded.path,
                };
                let read_again = |present: &PreparedSlice| plane_again(&present.path, input);
                if let Err(reason) = series.series.add(prepared, &plane, input, read_again) {
                    self.defects.push(reason);
                }
            }
            (_, Err(reason)) | (Content::Defective(reason), _) => self.defects.push(reason),
            (Content::Kept(_) | Content::Slice(_), Ok(_)) => {
                self.kept += 1;
                return false;
            }
        }
        self.reopen(arrived)
    }

    fn reopen(&mut self, arrived: Instant) -> bool {
        self.last_slice = self.last_slice.max(arrived);
        self.stage = Stage::Receiving;
        self.engine_failure = None;
        true
    }

    fn identify(&mut self, header: &InstanceHeader, calling_ae_title: String) {
        if self.study_instance_uid.is_empty() {
            self.study_instance_uid.clone_from(&header.study_instance_uid);
            self.patient = header.patient.clone();
            self.description.clone_from(&header.study_description);
            self.scanner = calling_ae_title;
        }
    }

    /// The series that is judged: the one with the most slices; of equals the one whose UID comes first.
    #[must_use]
    pub fn judged(&self) -> Option<(&str, &JudgedSeries)> {
        let best = self.series.iter().rev().max_by_key(|(_, series)| series.series.len())?;
        Some((best.0, best.1))
    }

    /// Slices in the judged series, and how many the scanner announced.
    #[must_use]
    pub fn progress(&self) -> (usize, Option<usize>) {
        self.judged().map_or((0, None), |(_, judged)| (judged.series.len(), judged.series.expected()))
    }

    #[must_use]
    pub fn counts(&self) -> SliceCounts {
        let (analysed, expected) = self.progress();
        let other_slices: usize = self.series.values().map(|series| series.series.len()).sum::<usize>() - analysed;
        SliceCounts {
            received: self.received,
            analysed,
            kept: self.kept + other_slices,
            failed: self.defects.len(),
            expected,
        }
    }

    /// Nothing waits to be decoded.
    #[must_use]
    pub fn is_decoded(&self) -> bool {
        self.waiting.is_empty() && self.decoding == 0
    }

    /// The next window of the judged series that is due; see [`Series::next_window`].
    #[must_use]
    pub fn next_window(&self, input: &InputGeometry, finishing: bool) -> Option<(String, WindowJob)> {
        if self.engine_failure.is_some() {
            return None;
        }
        let (uid, judged) = self.judged()?;
        let job = judged.series.next_window(input, finishing, |slab, inputs| judged.table.is_done(slab, inputs))?;
        Some((uid.to_owned(), job))
    }

    pub fn put_evidence(&mut self, series_uid: &str, job: &WindowJob, evidence: SlabEvidence, took: Duration) {
        self.inferences += 1;
        self.inference_time += took;
        if let Some(judged) = self.series.get_mut(series_uid) {
            judged.table.put(job, evidence);
        }
    }

    /// The case score as things stand.
    #[must_use]
    pub fn running_score(&self, manifest: &Manifest) -> Option<f64> {
        case_score(self.judged()?.1.table.evidence(), &manifest.case)
    }

    /// How much lung has been judged so far, mm along z.
    #[must_use]
    pub fn judged_lung_mm(&self) -> f64 {
        self.judged().map_or(0.0, |(_, judged)| lung_mm(&judged.table.rows(&judged.series)))
    }

    /// The early flag, if the running score calls for one now and the opacities are not of a kind that isolates nobody.
    pub fn early_flag(&mut self, manifest: &Manifest, limits: &QualityLimits, now: Instant) -> Option<EarlyFlag> {
        if self.stage == Stage::Complete || self.judged_lung_mm() < manifest.operating_point.early_min_lung_mm {
            return None;
        }
        let score = self.running_score(manifest).filter(|score| *score >= manifest.operating_point.early)?;
        let (_, judged) = self.judged()?;
        if !self.may_isolate {
            let Findings { lungs, lesions, pattern, .. } = judged.findings(&manifest.input);
            let is_sound =
                !lungs.summary.spine_in_front && is_seen_beside_a_dense_lung(lungs.summary, &lesions, limits);
            if !pattern.may_isolate() || !is_sound {
                return None;
            }
        }
        self.may_isolate = true;
        let flag = EarlyFlag { after_slices: self.received, after_s: self.since_first(now).as_secs_f64(), score };
        self.early_flag.get_or_insert(flag);
        Some(flag)
    }

    #[must_use]
    pub fn since_first(&self, now: Instant) -> Duration {
        now - self.first_arrival
    }

    #[must_use]
    pub fn since_last_slice(&self, now: Instant) -> Duration {
        now - self.last_slice
    }

    /// Judges the exam and keeps the report.
    pub fn conclude(&mut self, context: &Conclusion<'_>) -> &CaseReport {
        let judged = self.judged();
        let point = &context.manifest.operating_point;
        let findings = judged.map(|(_, judged)| judged.findings(&context.manifest.input)).unwrap_or_default();
        let Findings { lungs, lesions, lesion_summary, pattern } = findings;
        let quality = self.quality(&lungs.areas, context.limits);
        let score = self.running_score(context.manifest);
        let counts = self.counts();
        let judgement = judge(&Facts {
            slices: counts.analysed,
            defective: self.defects.len(),
            defect: self.defects.first().map(String::as_str),
            engine_failure: self.engine_failure.as_deref(),
            score,
            suspected_from: point.suspected,
            lungs: lungs.summary,
            lesions: lesion_summary,
            pattern,
            listed: &lesions,
            quality: &quality,
            limits: context.limits,
        });
        let Judgement { verdict, reason } = judgement;
        let report = CaseReport {
            schema_version: SCHEMA_VERSION,
            tableside: env!("CARGO_PKG_VERSION").to_owned(),
            intended_use: INTENDED_USE.to_owned(),
            exam: self.key.clone(),
            study_instance_uid: self.study_instance_uid.clone(),
            series_instance_uid: judged.map(|(uid, _)| uid.to_owned()),
            verdict,
            reason,
            revised: self.report.is_some(),
            score,
            thresholds: Thresholds { early: point.early, suspected: point.suspected },
            early_flag: self.early_flag,
            slices: counts,
            lung_ml: lungs.volume_ml,
            lungs: lungs.summary,
            lesion_summary,
            pattern,
            lesions,
            quality,
            engine: context.engine.to_owned(),
            model: ModelIdentity { name: context.manifest.name.clone(), version: context.manifest.version.clone() },
            timing: self.timing(context),
        };
        self.stage = Stage::Complete;
        self.may_isolate = false;
        self.report.insert(report)
    }

    fn quality(&self, lung: &[LungArea], limits: &QualityLimits) -> Vec<QualityIssue> {
        let mut quality = self
            .judged()
            .map(|(_, judged)| {
                issues(&judged.series.positions_mm(), &judged.series.double_positions_mm(), lung, limits)
            })
            .unwrap_or_default();
        if let Some(reason) = self.defects.first() {
            quality.push(QualityIssue::DefectiveSlices { count: self.defects.len(), reason: reason.clone() });
        }
        quality
    }

    fn timing(&self, context: &Conclusion<'_>) -> Timing {
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        Timing {
            first_slice_to_verdict_ms: ms(self.since_first(context.now)),
            last_slice_to_verdict_ms: ms(self.since_last_slice(context.now)),
            completed_by: context.rule,
            inferences: self.inferences,
            inference_ms: ms(self.inference_time) / (self.inferences.max(1) as f64),
        }
    }
}

/// What a conclusion is drawn with.
#[derive(Debug, Clone, Copy)]
pub struct Conclusion<'a> {
    pub manifest: &'a Manifest,
    pub engine: &'a str,
    pub limits: &'a QualityLimits,
    pub rule: crate::exam::CompletionRule,
    pub now: Instant,
}
