//! The analyst: one thread that owns the exams and the engine. It takes what arrives, has it decoded, runs the windows
//! that are due, and concludes exams that are over. The patient on the table comes first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, select};
use jiff::Timestamp;

use super::case::{Case, Conclusion, Stage};
use super::decode::{DecodeJob, Decoded};
use super::inference::judge_window;
use super::{EarlierInstances, PipelineOptions};
use crate::alert::{ExamState, ExamView, Hub, SlabView, outlines};
use crate::engine::{Engine, Manifest};
use crate::exam::{AssociationId, CompletionRule, ExamKey, SlabIndex, WindowJob};
use crate::ingest::StoredInstance;
use crate::telemetry;
use crate::triage::Thresholds;

/// What the analyst is told.
#[derive(Debug)]
pub enum Message {
    Stored(StoredInstance),
    AssociationClosed(AssociationId, Instant),
    Stop,
}

/// Finished exams whose slices stay in memory, for those that go on; later slices bring others back from the spool.
const FINISHED_IN_MEMORY: usize = 2;

/// Exams whose slices are decoded at the same time; those of others wait in the spool, not in memory.
const DECODED_AT_ONCE: usize = 8;

/// The analyst looks at the clock at least this often.
const TICK: Duration = Duration::from_secs(1);

pub struct Analyst {
    options: PipelineOptions,
    manifest: Manifest,
    engine: Box<dyn Engine>,
    hub: Arc<Hub>,
    jobs: Sender<DecodeJob>,
    earlier: EarlierInstances,
    cases: BTreeMap<ExamKey, Case>,
}

impl Analyst {
    pub fn new(
        options: PipelineOptions,
        manifest: Manifest,
        engine: Box<dyn Engine>,
        hub: Arc<Hub>,
        jobs: Sender<DecodeJob>,
        earlier: EarlierInstances,
    ) -> Self {
        Self { options, manifest, engine, hub, jobs, earlier, cases: BTreeMap::new() }
    }

    /// Works until told to stop.
    pub fn run(mut self, inbox: &Receiver<Message>, decoded: &Receiver<(DecodeJob, Decoded)>) {
        loop {
            while let Ok((job, result)) = decoded.try_recv() {
                self.take_decoded(&job, result);
            }
            while let Ok(message) = inbox.try_recv() {
                if !self.take(message) {
                    return;
                }
            }
            self.send_to_decoders();
            if self.infer_one() || self.conclude_one() {
                continue;
            }
            self.report_queues();
            let nap = crossbeam_channel::after(self.until_next_deadline());
            select! {
                recv(inbox) -> message => if !message.is_ok_and(|message| self.take(message)) { return },
                recv(decoded) -> result => match result {
                    Ok((job, result)) => self.take_decoded(&job, result),
                    Err(_) => return,
                },
                recv(nap) -> _ => {}
            }
        }
    }

    /// `false` if this was the last message.
    fn take(&mut self, message: Message) -> bool {
        match message {
            Message::Stored(instance) => self.take_stored(instance),
            Message::AssociationClosed(association, at) => {
                self.cases.values_mut().for_each(|case| case.rhythm.closed(association, at));
            }
            Message::Stop => return false,
        }
        true
    }

    fn take_stored(&mut self, instance: StoredInstance) {
        let key = instance.exam;
        if !self.cases.contains_key(&key) {
            let mut case = Case::new(key.clone(), instance.at);
            case.report = self.hub.record(&key).and_then(|record| record.report);
            for path in (self.earlier)(&key) {
                case.take(path);
            }
            self.cases.insert(key.clone(), case);
            self.forget_finished();
        }
        if let Some(case) = self.cases.get_mut(&key) {
            case.rhythm.arrived(instance.association, instance.at);
            case.take(instance.path);
        }
    }

    /// Lets go of the exams that were finished longest ago.
    fn forget_finished(&mut self) {
        loop {
            let finished = self.cases.values().filter(|case| case.stage == Stage::Complete && case.is_decoded());
            if finished.clone().count() <= FINISHED_IN_MEMORY {
                return;
            }
            let Some(oldest) = finished.min_by_key(|case| case.rhythm.last_arrival()).map(|case| case.key.clone())
            else {
                return;
            };
            self.cases.remove(&oldest);
        }
    }

    /// Exams by how recently something came: the patient on the table first.
    fn by_priority(&self) -> Vec<ExamKey> {
        let mut cases: Vec<&Case> = self.cases.values().collect();
        cases.sort_by_key(|case| std::cmp::Reverse(case.rhythm.last_arrival()));
        cases.into_iter().map(|case| case.key.clone()).collect()
    }

    /// Keeps the decoders busy without waiting for them.
    fn send_to_decoders(&mut self) {
        let unfinished = |key: &ExamKey| {
            self.cases.get(key).is_some_and(|case| case.stage == Stage::Receiving || !case.waiting.is_empty())
        };
        let first: Vec<ExamKey> = self.by_priority().into_iter().filter(unfinished).take(DECODED_AT_ONCE).collect();
        for key in first {
            let Some(case) = self.cases.get_mut(&key) else { continue };
            let arrived = case.rhythm.last_arrival();
            while let Some(path) = case.waiting.pop_front() {
                match self.jobs.try_send(DecodeJob { exam: key.clone(), path, arrived }) {
                    Ok(()) => case.decoding += 1,
                    Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                        case.waiting.push_front(job.path);
                        return;
                    }
                }
            }
        }
    }

    fn take_decoded(&mut self, job: &DecodeJob, decoded: Decoded) {
        let Some(case) = self.cases.get_mut(&job.exam) else { return };
        case.decoding -= 1;
        case.add(decoded, job.arrived, &self.manifest.input);
        self.publish(&job.exam);
    }

    fn publish(&self, key: &ExamKey) {
        if let Some(case) = self.cases.get(key) {
            self.hub.update(self.view(case));
        }
    }

    fn view(&self, case: &Case) -> ExamView {
        let judged = case.judged().map(|(_, judged)| judged);
        let positions = judged.map(|judged| judged.series.positions_mm()).unwrap_or_default();
        let complete = case.stage == Stage::Complete;
        let report = case.report.as_ref();
        let point = &self.manifest.operating_point;
        ExamView {
            key: case.key.clone(),
            state: if complete { ExamState::Complete } else { ExamState::Receiving },
            patient: case.patient.clone(),
            scanner: case.scanner.clone(),
            description: case.description.clone(),
            started: case.started,
            updated: Timestamp::now(),
            slices: case.counts(),
            z_mm: positions.first().zip(positions.last()).map(|(low, high)| [*low, *high]),
            slabs: judged.map_or(0, |judged| judged.series.slab_count()),
            score: case.running_score(&self.manifest),
            threshold: Thresholds { early: point.early, suspected: point.suspected },
            verdict: report.filter(|_| complete).map(|report| report.verdict),
            reason: report.filter(|_| complete).map(|report| report.reason.clone()).unwrap_or_default(),
            revised: report.is_some_and(|report| report.revised || !complete),
            lesions: report.filter(|_| complete).map(|report| report.lesion_summary),
            flags: Vec::new(),
        }
    }

    /// Which rule ends the exam and when, once everything is decoded.
    fn completion(&self, case: &Case) -> Option<(CompletionRule, Instant)> {
        let (slices, expected) = case.progress();
        let open = case.stage == Stage::Receiving && case.is_decoded();
        open.then(|| case.rhythm.completion(slices, expected, &self.options.times))
    }

    fn is_over(&self, case: &Case, now: Instant) -> Option<CompletionRule> {
        self.completion(case).filter(|(_, at)| *at <= now).map(|(rule, _)| rule)
    }

    /// Runs the first window that is due. `false` if none is.
    fn infer_one(&mut self) -> bool {
        let now = Instant::now();
        for key in self.by_priority() {
            let Some(case) = self.cases.get(&key) else { continue };
            let finishing = self.is_over(case, now).is_some();
            if let Some((series_uid, job)) = case.next_window(&self.manifest.input, finishing) {
                self.infer(&key, &series_uid, &job);
                return true;
            }
        }
        false
    }

    fn infer(&mut self, key: &ExamKey, series_uid: &str, job: &WindowJob) {
        let (evidence, took) = judge_window(self.engine.as_mut(), job, &self.manifest);
        telemetry::stage("inference", took);
        let Some(case) = self.cases.get_mut(key) else { return };
        let evidence = match evidence {
            Ok(evidence) => evidence,
            Err(error) => {
                telemetry::engine_failure();
                tracing::error!(exam = %key, %error, "the engine failed");
                case.engine_failure = Some(error.to_string());
                return;
            }
        };
        case.put_evidence(series_uid, job, evidence, took);
        let raised = case.early_flag(&self.manifest, &self.options.limits, Instant::now());
        let since_first = case.since_first(Instant::now());
        if let Some(early) = raised {
            self.publish(key);
            if self.hub.raise_early(key, &early) {
                tracing::warn!(exam = %key, score = early.score, slices = early.after_slices, "early flag: COVID-19 pneumonia suspected");
                telemetry::early_flag(since_first);
            }
        }
        let published = Instant::now();
        self.publish_slab(key, job.slab);
        telemetry::stage("publish", published.elapsed());
    }

    fn publish_slab(&self, key: &ExamKey, slab: SlabIndex) {
        let Some(case) = self.cases.get(key) else { return };
        let Some((_, judged)) = case.judged() else { return };
        let Some((z_mm, evidence)) = judged.series.slab_z_mm(slab).zip(judged.table.row(slab)) else { return };
        let file = judged.series.middle_slice(slab).map(|slice| slice.path.clone());
        let view = SlabView {
            index: slab,
            z_mm,
            lung_cm2: evidence.lung_cm2,
            lesion_cm2: evidence.lesion_cm2,
            attention: evidence.attention,
            logit: evidence.logit,
            score: case.running_score(&self.manifest),
            picture: format!("/api/exams/{key}/slabs/{}.png?v={}", slab.0, case.counts().received),
            lung: outlines(&evidence.lung),
            lesion: outlines(&evidence.lesion),
        };
        self.hub.put_slab(key, view, file);
    }

    /// Concludes the first exam that is over. `false` if none is.
    fn conclude_one(&mut self) -> bool {
        let now = Instant::now();
        let over = self.by_priority().into_iter().find_map(|key| {
            let case = self.cases.get(&key)?;
            let rule = self.is_over(case, now)?;
            // The deadline may have passed since the last look for windows: those that are due come first.
            case.next_window(&self.manifest.input, true).is_none().then_some((key, rule))
        });
        let Some((key, rule)) = over else { return false };
        let Some(case) = self.cases.get_mut(&key) else { return false };
        let context = Conclusion {
            manifest: &self.manifest,
            engine: self.engine.name(),
            limits: &self.options.limits,
            rule,
            now,
        };
        let report = case.conclude(&context).clone();
        let since_last_slice = case.since_last_slice(now);
        tracing::info!(
            exam = %key,
            verdict = report.verdict.as_str(),
            score = report.score,
            slices = report.slices.received,
            rule = rule.as_str(),
            ms = report.timing.last_slice_to_verdict_ms,
            "verdict"
        );
        telemetry::verdict(report.verdict.as_str(), rule.as_str(), since_last_slice);
        let view = self.cases.get(&key).map(|case| self.view(case));
        if let Some(view) = view {
            self.hub.conclude(view, &report, &self.options.limits);
        }
        self.forget_finished();
        true
    }

    fn report_queues(&self) {
        telemetry::queue_depth("decode", self.cases.values().map(|case| case.waiting.len() + case.decoding).sum());
        telemetry::exams_open(self.cases.values().filter(|case| case.stage == Stage::Receiving).count());
    }

    fn until_next_deadline(&self) -> Duration {
        let now = Instant::now();
        let next = self
            .cases
            .values()
            .filter_map(|case| self.completion(case))
            .map(|(_, at)| at.saturating_duration_since(now))
            .min();
        next.unwrap_or(TICK).min(TICK)
    }
}
