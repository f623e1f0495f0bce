//! The analyst: one thread that owns the exams. It takes what arrives, has it decoded, hands the windows that are due to the
//! engine, and concludes exams that are over. The patient on the table comes first. It waits for nothing but messages, and for
//! whichever comes first: while a window is inferred, slices, refusals and other exams' verdicts go on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, select};
use jiff::Timestamp;

use super::decoders::DecodeJob;
use super::priority::{Candidate, by_priority};
use super::{AnalysisMode, ExamMemory, PipelineOptions};
use crate::analysis::{Conclusion, DecodeEvent, ExamAnalysis, Listener, Stage};
use crate::engine::Manifest;
use crate::exam::{
    AssociationId, CompletionRule, ExamKey, PerformedStep, PerformedSteps, QualityIssue, QualityKind, ScannerPauses,
    SlabIndex,
};
use crate::inference::{QueuedWindow, WindowResult};
use crate::ingest::{RefusedInstance, StoredInstance};
use crate::serving::Serving;
use crate::telemetry::{self, Until, WorkProgress};
use crate::triage::{CaseReport, Timing};

/// What the analyst is told.
#[derive(Debug)]
pub(super) enum Message {
    Stored(StoredInstance),
    Refused(RefusedInstance),
    Mended {
        exam: ExamKey,
        sop_instance_uid: String,
        at: Instant,
    },
    AssociationClosed(AssociationId, Instant),
    StepEnded(PerformedStep),
    /// The synthetic patient's exam is over, or gives way.
    Abandon(ExamKey),
    Stop,
}

/// Finished exams whose slices stay in memory, for those that go on; later slices bring others back from the spool.
const FINISHED_IN_MEMORY: usize = 2;

/// So many exams without a verdict have slices in memory; those of others wait in the spool. While there is a backlog patients on
/// the table find room beside it.
const BEGUN_AT_ONCE: usize = 8;
const BEGUN_WITH_THE_TABLE: usize = 2 * BEGUN_AT_ONCE;

/// The analyst looks at the clock at least this often.
const TICK: Duration = Duration::from_secs(1);

/// What the analyst makes of its work, for those who watch it.
#[derive(Debug, Clone, Default)]
pub(super) struct AnalystProgress {
    pub work: WorkProgress,
    /// Slices that are not decoded yet.
    pub waiting: Arc<AtomicUsize>,
}

pub(super) struct Analyst {
    options: PipelineOptions,
    manifest: Manifest,
    serving: Serving,
    listener: Arc<dyn Listener>,
    jobs: Sender<DecodeJob>,
    memory: Box<dyn ExamMemory>,
    exams: BTreeMap<ExamKey, ExamAnalysis>,
    steps: PerformedSteps,
    pauses: ScannerPauses,
    /// Windows handed over so far: whose turn it is.
    turn: u64,
    progress: AnalystProgress,
    /// Exams whose turn has not come, the next one first, each with its images when that was told.
    not_begun: Vec<(ExamKey, usize)>,
    /// The exam that was abandoned last: what was on its way then does not begin it again.
    abandoned: Option<ExamKey>,
}

impl Analyst {
    pub(super) fn new(
        options: PipelineOptions,
        manifest: Manifest,
        serving: Serving,
        listener: Arc<dyn Listener>,
        jobs: Sender<DecodeJob>,
        memory: Box<dyn ExamMemory>,
        progress: AnalystProgress,
    ) -> Self {
        let (exams, steps, pauses) = (BTreeMap::new(), PerformedSteps::default(), ScannerPauses::default());
        Self {
            options,
            manifest,
            serving,
            listener,
            jobs,
            memory,
            exams,
            steps,
            pauses,
            turn: 0,
            progress,
            not_begun: Vec::new(),
            abandoned: None,
        }
    }

    /// Works until told to stop.
    pub(super) fn run(mut self, inbox: &Receiver<Message>, decoded: &Receiver<(ExamKey, DecodeEvent)>) {
        let results = self.serving.results();
        // When it was woken with something to do.
        let mut turn: Option<Instant> = None;
        loop {
            self.progress.work.working();
            while let Ok((exam, step)) = decoded.try_recv() {
                self.take_decoded(&exam, step);
            }
            while let Ok(message) = inbox.try_recv() {
                if !self.take(message) {
                    return;
                }
            }
            // One moment for all that follows: what is over by then is not waited for.
            let now = Instant::now();
            self.serving.look_after(now);
            while let Some((window, result)) = self.serving.next_result() {
                self.progress.work.done();
                self.take_result(&window, result);
            }
            let order = self.by_priority();
            self.finalize_layouts(&order, now);
            self.send_to_decoders(&order);
            self.tell_who_waits();
            self.report_queues();
            // Verdicts do not wait for other exams' windows.
            let has_concluded = self.conclude_one(&order, now);
            if !has_concluded {
                self.hand_over_windows(order, now);
            }
            // A look at the clock is no turn.
            if let Some(since) = turn.take().or(has_concluded.then_some(now)) {
                telemetry::stage("analysis", since.elapsed());
            }
            if has_concluded {
                self.progress.work.done();
                continue;
            }
            if !self.has_work() {
                self.progress.work.idle();
            }
            let nap = crossbeam_channel::at(self.next_deadline(now));
            select! {
                recv(inbox) -> message => {
                    turn = Some(Instant::now());
                    if !message.is_ok_and(|message| self.take(message)) { return }
                },
                recv(decoded) -> event => {
                    turn = Some(Instant::now());
                    let Ok((exam, step)) = event else { return };
                    self.take_decoded(&exam, step);
                },
                recv(results) -> result => {
                    turn = Some(Instant::now());
                    if let Ok(result) = result { self.serving.note(result) }
                },
                recv(nap) -> _ => {}
            }
        }
    }

    /// `false` if this was the last message.
    fn take(&mut self, message: Message) -> bool {
        self.progress.work.done();
        match message {
            Message::Stored(instance) => self.take_stored(instance),
            Message::Refused(instance) => self.take_refused(instance),
            Message::Mended { exam, sop_instance_uid, at } => self.take_mended(&exam, &sop_instance_uid, at),
            Message::AssociationClosed(association, at) => self.take_closed(association, at),
            Message::StepEnded(step) => self.steps.note(step),
            Message::Abandon(exam) => self.abandon(exam),
            Message::Stop => return false,
        }
        true
    }

    fn take_stored(&mut self, instance: StoredInstance) {
        self.begin(&instance.exam, instance.at);
        if let Some(analysis) = self.exams.get_mut(&instance.exam) {
            let after_release = analysis.rhythm.arrived(instance.association, instance.images, instance.at);
            if after_release.is_some() {
                self.memory.note_closed(&instance.exam, None);
            }
            analysis.take(instance.path, instance.at, after_release);
            if !analysis.has_begun() && analysis.report.is_none() && analysis.introduce() {
                self.publish(&instance.exam);
            }
        }
    }

    fn take_closed(&mut self, association: AssociationId, at: Instant) {
        for (key, analysis) in &mut self.exams {
            let before = analysis.rhythm.carried();
            analysis.association_closed(association, at);
            let carried = analysis.rhythm.carried();
            if carried.is_some() && carried != before {
                self.memory.note_closed(key, carried);
            }
        }
    }

    /// A refused object is no slice, but the exam is not over as long as such come.
    fn take_refused(&mut self, instance: RefusedInstance) {
        let RefusedInstance { exam, refusal, association, at } = instance;
        self.begin(&exam, at);
        if let Some(analysis) = self.exams.get_mut(&exam) {
            if analysis.rhythm.arrived(association, 1, at).is_some() {
                self.memory.note_closed(&exam, None);
            }
            analysis.refuse(refusal, at);
            self.publish(&exam);
        }
    }

    fn take_mended(&mut self, exam: &ExamKey, sop_instance_uid: &str, at: Instant) {
        self.begin(exam, at);
        if let Some(analysis) = self.exams.get_mut(exam) {
            analysis.mend(sop_instance_uid, at);
            self.publish(exam);
        }
    }

    /// What decoders and the engine still have of it comes to nobody.
    fn abandon(&mut self, exam: ExamKey) {
        self.exams.remove(&exam);
        self.serving.forget(&exam);
        self.abandoned = Some(exam);
    }

    /// Has an exam in memory, with all that came of it before.
    fn begin(&mut self, key: &ExamKey, at: Instant) {
        if self.exams.contains_key(key) || self.abandoned.as_ref() == Some(key) {
            return;
        }
        let mut analysis = ExamAnalysis::new(key.clone(), at);
        analysis.report = self.listener.known_report(key);
        let earlier = self.memory.earlier(key);
        // What an earlier run began did not begin with this one.
        if let Some(began) = earlier.instances.first().and_then(|first| came(first)) {
            analysis.started = began.min(analysis.started);
        }
        analysis.take_refusals(earlier.refusals);
        for path in earlier.instances {
            analysis.take(path, at, None);
        }
        analysis.shares_study = self.tell_siblings(key);
        self.exams.insert(key.clone(), analysis);
        self.forget_finished();
    }

    /// Tells the exams with the same study and Patient ID that there is another one. Whether there are any.
    fn tell_siblings(&mut self, key: &ExamKey) -> bool {
        let mut siblings = self.listener.siblings(key);
        for (sibling, analysis) in self.exams.iter_mut().filter(|(sibling, _)| sibling.is_sibling_of(key)) {
            analysis.shares_study = true;
            siblings.insert(sibling.clone());
        }
        for sibling in &siblings {
            self.listener.add_issue(sibling, &QualityIssue::of_series(QualityKind::SharedStudy));
        }
        !siblings.is_empty()
    }

    /// Lets go of the exams that were finished longest ago. The synthetic patient takes no place from them: who sends it abandons it.
    fn forget_finished(&mut self) {
        let may_go = |analysis: &&ExamAnalysis| {
            analysis.stage == Stage::Complete && analysis.is_decoded() && !analysis.key.is_synthetic()
        };
        loop {
            let finished = self.exams.values().filter(may_go);
            if finished.clone().count() <= FINISHED_IN_MEMORY {
                return;
            }
            let Some(oldest) =
                finished.min_by_key(|analysis| analysis.rhythm.last_arrival()).map(|analysis| analysis.key.clone())
            else {
                return;
            };
            self.exams.remove(&oldest);
        }
    }

    /// Whose turn it is.
    fn by_priority(&self) -> Vec<ExamKey> {
        by_priority(self.candidates(), self.turn)
    }

    fn candidates(&self) -> Vec<Candidate> {
        let now = Instant::now();
        let candidates = self.exams.values().map(|analysis| Candidate {
            exam: analysis.key.clone(),
            is_on_table: analysis.is_on_table(now),
            over: analysis.rhythm.released(&self.options.completion).map(|at| now.saturating_duration_since(at)),
            waited: now.saturating_duration_since(analysis.last_served),
            score: analysis.running_score(&self.manifest),
        });
        candidates.collect()
    }

    /// Tells which exams wait for their turn, in the order of an ordinary one: every fourth turn's would change places to and fro.
    fn tell_who_waits(&mut self) {
        let is_waiting = |analysis: &&ExamAnalysis| !analysis.waiting.is_empty() && !analysis.has_begun();
        let mut not_begun = Vec::new();
        if self.exams.values().any(|analysis| is_waiting(&analysis)) {
            let order = by_priority(self.candidates(), 0);
            let waiting = order.iter().filter_map(|key| self.exams.get(key)).filter(is_waiting);
            not_begun = waiting.map(|analysis| (analysis.key.clone(), analysis.counts().received)).collect();
        }
        if not_begun == self.not_begun {
            return;
        }
        let told = std::mem::replace(&mut self.not_begun, not_begun);
        let in_order = |waiting: &[(ExamKey, usize)]| waiting.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
        if in_order(&told) != in_order(&self.not_begun) {
            self.listener.waiting(&in_order(&self.not_begun));
        }
        for (key, _) in self.not_begun.iter().filter(|waiting| !told.contains(waiting)) {
            if self.exams.get(key).is_some_and(|analysis| analysis.report.is_none()) {
                self.publish(key);
            }
        }
    }

    /// Whether decoders or the engine have something in hand. Exams that wait for their turn are none of it: others may hold their
    /// places for as long as the configuration's quiet time.
    fn has_work(&self) -> bool {
        let is_at_work = |analysis: &ExamAnalysis| {
            analysis.has_begun() && !analysis.is_decoded() || analysis.has_windows_under_way()
        };
        self.exams.values().any(is_at_work)
    }

    /// Keeps the decoders busy without waiting for them.
    fn send_to_decoders(&mut self, order: &[ExamKey]) {
        let now = Instant::now();
        let mut begun =
            self.exams.values().filter(|analysis| analysis.stage != Stage::Complete && analysis.has_begun()).count();
        for key in order {
            let Some(analysis) = self.exams.get_mut(key).filter(|analysis| !analysis.waiting.is_empty()) else {
                continue;
            };
            if !analysis.has_begun() {
                let most = if analysis.is_on_table(now) { BEGUN_WITH_THE_TABLE } else { BEGUN_AT_ONCE };
                if begun >= most {
                    continue;
                }
                begun += 1;
            }
            while let Some(waiting) = analysis.waiting.pop_front() {
                match self.jobs.try_send(DecodeJob { exam: key.clone(), waiting, centres: analysis.plane_centres() }) {
                    Ok(()) => analysis.decoding += 1,
                    Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                        analysis.waiting.push_front(job.waiting);
                        return;
                    }
                }
            }
        }
    }

    fn take_decoded(&mut self, exam: &ExamKey, step: DecodeEvent) {
        self.progress.work.done();
        let Some(analysis) = self.exams.get_mut(exam) else { return };
        match step {
            // What was begun goes on before what has not been: its file is open.
            DecodeEvent::Left(waiting) => analysis.waiting.push_front(waiting),
            DecodeEvent::Done => analysis.decoding -= 1,
            DecodeEvent::Image(arrival, decoded) => {
                analysis.add(decoded, &arrival, &self.manifest.input);
                // No scanner has its rhythm.
                if !exam.is_synthetic() {
                    self.pauses.note(&analysis.scanner, &analysis.key, analysis.pauses());
                }
                self.publish(exam);
            }
        }
    }

    fn publish(&self, key: &ExamKey) {
        if let Some(analysis) = self.exams.get(key) {
            self.listener.update(analysis.view(&self.manifest));
        }
    }

    /// Which rule ends the exam and when, once everything is decoded.
    fn completion(&self, analysis: &ExamAnalysis) -> Option<(CompletionRule, Instant)> {
        if analysis.stage == Stage::Complete || !analysis.is_decoded() {
            return None;
        }
        let progress = analysis.completion_progress(&self.steps, self.pauses.usual(&analysis.scanner, &analysis.key));
        Some(analysis.rhythm.completion(&progress, &self.options.completion))
    }

    /// The rule by which the exam is over, and since when.
    fn is_over(&self, analysis: &ExamAnalysis, now: Instant) -> Option<(CompletionRule, Instant)> {
        self.completion(analysis).filter(|(_, at)| *at <= now)
    }

    /// Lays out anew what an exam that ends has not been laid out as all its slices say.
    fn finalize_layouts(&mut self, order: &[ExamKey], now: Instant) {
        for key in order {
            let Some(analysis) = self.exams.get(key) else { continue };
            let ends = self.completion(analysis).is_some_and(|(rule, at)| {
                rule == CompletionRule::AssociationReleased
                    || at <= now && (needs_every_window(rule) || analysis.is_stale())
            });
            if ends && self.exams.get_mut(key).is_some_and(|analysis| !analysis.finalize_layout()) {
                self.serving.forget(key);
                self.listener.forget_slabs(key);
            }
        }
    }

    /// Hands over as many windows as the engine has room for.
    fn hand_over_windows(&mut self, mut order: Vec<ExamKey>, now: Instant) {
        while self.serving.has_room()
            && let Some(window) = self.next_window(&order, now)
        {
            self.turn += 1;
            if let Some(analysis) = self.exams.get_mut(&window.series.exam) {
                analysis.last_served = Instant::now();
                analysis.hand_over(&window);
            }
            self.serving.queue(window);
            if self.serving.has_room() {
                order = self.by_priority();
            }
        }
    }

    /// The first window that is due.
    fn next_window(&self, order: &[ExamKey], now: Instant) -> Option<QueuedWindow> {
        let streaming = self.options.mode == AnalysisMode::Streaming;
        order.iter().filter_map(|key| self.exams.get(key)).find_map(|analysis| {
            let finishing = match self.completion(analysis) {
                Some((rule, at)) if at <= now => needs_every_window(rule),
                // Whether more comes after a release is waited out with the last windows, not before them.
                Some((rule, _)) => streaming && rule == CompletionRule::AssociationReleased,
                None => false,
            };
            if streaming || finishing { analysis.next_window(&self.manifest.input, finishing) } else { None }
        })
    }

    fn take_result(&mut self, window: &QueuedWindow, result: WindowResult) {
        telemetry::stage("inference", result.took);
        let key = &window.series.exam;
        let Some(analysis) = self.exams.get_mut(key) else { return };
        if let Err(error) = analysis.take_result(window, result, &self.manifest) {
            telemetry::engine_failure();
            tracing::error!(exam = %key, %error, "the engine failed");
            return;
        }
        let PipelineOptions { limits, densities, .. } = &self.options;
        analysis.look_for_the_end(&self.manifest.input, &self.options.completion, limits.min_lung_ml);
        let raised = analysis.early_flag(&self.manifest, limits, *densities, Instant::now());
        if let Some(early) = raised {
            self.publish(key);
            if self.listener.raise_early(key, &early) {
                tracing::warn!(exam = %key, score = early.score, slices = early.after_slices, "early flag: COVID-19 pneumonia suspected");
                self.tell_early_flag(key);
            }
        }
        let apex = self
            .exams
            .get_mut(key)
            .and_then(|analysis| analysis.apex_cut_off(&self.manifest.input, &self.options.limits));
        if let Some(issue) = apex {
            self.publish(key);
            self.listener.raise_rescan(key, &issue, &self.options.limits);
            tracing::warn!(exam = %key, %issue, "early flag: rescan");
        }
        let published = Instant::now();
        self.publish_slab(key, window.job.slab);
        telemetry::stage("publish", published.elapsed());
    }

    fn tell_early_flag(&self, key: &ExamKey) {
        let Some(analysis) = self.exams.get(key) else { return };
        let now = Instant::now();
        let (since_first, since_last) = (analysis.since_first(now), analysis.since_last_slice(now));
        telemetry::notified(Until::EarlyFlag, since_first, since_last);
        telemetry::notification_parts(Until::EarlyFlag, since_first.saturating_sub(since_last), None, since_last);
    }

    fn publish_slab(&self, key: &ExamKey, slab: SlabIndex) {
        if let Some(slab) = self.exams.get(key).and_then(|analysis| analysis.slab_view(slab, &self.manifest)) {
            self.listener.put_slab(key, slab);
        }
    }

    /// Concludes the first exam that is over. `false` if none is.
    fn conclude_one(&mut self, order: &[ExamKey], now: Instant) -> bool {
        let over = order.iter().find_map(|key| {
            let analysis = self.exams.get(key)?;
            let (rule, since) = self.is_over(analysis, now)?;
            let finishing = needs_every_window(rule);
            let is_inferred =
                !analysis.has_windows_under_way() && analysis.next_window(&self.manifest.input, finishing).is_none();
            (is_inferred && !analysis.is_stale()).then(|| (key.clone(), rule, since))
        });
        let Some((key, rule, over)) = over else { return false };
        let Some(analysis) = self.exams.get_mut(&key) else { return false };
        let context = Conclusion {
            manifest: &self.manifest,
            engine: self.serving.name(),
            limits: &self.options.limits,
            densities: self.options.densities,
            rule,
            over,
            now: Instant::now(),
        };
        let standing =
            analysis.report.as_ref().filter(|_| analysis.stage == Stage::Trailing).map(|report| report.verdict);
        let report = analysis.conclude(&context).clone();
        if standing == Some(report.verdict) {
            tracing::info!(exam = %key, slices = report.slices.received, rule = rule.as_str(), "the verdict stands");
        } else if !key.is_synthetic() {
            tell_verdict(&report, &analysis.scanner);
        }
        if analysis.stage == Stage::Complete {
            self.serving.forget(&key);
        }
        let view = self.exams.get(&key).map(|analysis| analysis.view(&self.manifest));
        if let Some(view) = view {
            self.listener.conclude(view, &report, &self.options.limits);
            let complete = self.exams.get(&key).filter(|analysis| analysis.stage == Stage::Complete);
            let basis = complete.map(|analysis| analysis.report_basis(&self.manifest, self.options.densities));
            self.listener.keep(&key, basis);
        }
        self.forget_finished();
        true
    }

    fn report_queues(&self) {
        let waiting = self.exams.values().map(|analysis| analysis.waiting.len() + analysis.decoding).sum();
        self.progress.waiting.store(waiting, Ordering::Relaxed);
        telemetry::queue_depth("decode", waiting);
    }

    /// When there is something to do though no message comes. An exam that is over already waits for results, which are messages.
    fn next_deadline(&self, now: Instant) -> Instant {
        let ends = self
            .exams
            .values()
            .filter_map(|analysis| self.completion(analysis))
            .map(|(_, at)| at)
            .filter(|at| *at > now);
        ends.chain(self.serving.deadline()).fold(now + TICK, Instant::min)
    }
}

/// While the scan goes on below the lungs its foremost slabs are never complete: they are left for its end.
fn needs_every_window(rule: CompletionRule) -> bool {
    rule != CompletionRule::LungsPassed
}

/// When an instance was put into its place.
fn came(instance: &Path) -> Option<Timestamp> {
    instance.metadata().and_then(|file| file.modified()).ok()?.try_into().ok()
}

fn tell_verdict(report: &CaseReport, scanner: &str) {
    let Timing { completed_by, receive_ms, wait_ms, compute_ms, .. } = report.timing;
    let (verdict, rule) = (report.verdict.as_str(), completed_by.as_str());
    tracing::info!(
        exam = %report.exam,
        verdict,
        score = report.score,
        slices = report.slices.received,
        rule,
        ms = report.timing.last_slice_to_verdict_ms,
        "verdict"
    );
    telemetry::verdict(verdict, rule);
    telemetry::scanner_verdict(scanner, Duration::from_secs_f64(report.timing.last_slice_to_verdict_ms / 1000.0));
    let of_ms = |ms: f64| Duration::from_secs_f64(ms / 1000.0);
    let (receive, wait, compute) = (of_ms(receive_ms), of_ms(wait_ms), of_ms(compute_ms));
    telemetry::notified(Until::Verdict, receive + wait + compute, wait + compute);
    telemetry::notification_parts(Until::Verdict, receive, Some(wait), compute);
}
