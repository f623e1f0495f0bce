//! The analyst: one thread that owns the exams. It takes what arrives, has it decoded, hands the windows that are due to the
//! engine, and concludes exams that are over. The patient on the table comes first. It waits for nothing but messages, and for
//! whichever comes first: while a window is inferred, slices, refusals and other exams' verdicts go on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, select};

use super::decoders::DecodeJob;
use super::priority::{Candidate, by_priority};
use super::{AnalysisMode, EarlierOf, PipelineOptions};
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
    Mended { exam: ExamKey, sop_instance_uid: String, at: Instant },
    AssociationClosed(AssociationId, Instant),
    StepEnded(PerformedStep),
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
    earlier: EarlierOf,
    cases: BTreeMap<ExamKey, ExamAnalysis>,
    steps: PerformedSteps,
    pauses: ScannerPauses,
    /// Windows handed over so far: whose turn it is.
    turn: u64,
    progress: AnalystProgress,
    /// Exams whose turn has not come, the next one first, each with its images when that was told.
    not_begun: Vec<(ExamKey, usize)>,
}

impl Analyst {
    pub(super) fn new(
        options: PipelineOptions,
        manifest: Manifest,
        serving: Serving,
        listener: Arc<dyn Listener>,
        jobs: Sender<DecodeJob>,
        earlier: EarlierOf,
        progress: AnalystProgress,
    ) -> Self {
        let (cases, steps, pauses) = (BTreeMap::new(), PerformedSteps::default(), ScannerPauses::default());
        let not_begun = Vec::new();
        Self { options, manifest, serving, listener, jobs, earlier, cases, steps, pauses, turn: 0, progress, not_begun }
    }

    /// Works until told to stop.
    pub(super) fn run(mut self, inbox: &Receiver<Message>, decoded: &Receiver<(ExamKey, DecodeEvent)>) {
        let results = self.serving.results();
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
            if self.conclude_one(&order, now) {
                self.progress.work.done();
                continue;
            }
            self.hand_over_windows(order, now);
            if !self.has_work() {
                self.progress.work.idle();
            }
            let nap = crossbeam_channel::at(self.next_deadline(now));
            select! {
                recv(inbox) -> message => if !message.is_ok_and(|message| self.take(message)) { return },
                recv(decoded) -> event => match event {
                    Ok((exam, step)) => self.take_decoded(&exam, step),
                    Err(_) => return,
                },
                recv(results) -> result => if let Ok(result) = result { self.serving.note(result) },
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
            Message::AssociationClosed(association, at) => {
                self.cases.values_mut().for_each(|case| case.association_closed(association, at));
            }
            Message::StepEnded(step) => self.steps.note(step),
            Message::Stop => return false,
        }
        true
    }

    fn take_stored(&mut self, instance: StoredInstance) {
        self.begin(&instance.exam, instance.at);
        if let Some(case) = self.cases.get_mut(&instance.exam) {
            let after_release = case.rhythm.arrived(instance.association, instance.images, instance.at);
            case.take(instance.path, instance.at, after_release);
            if !case.has_begun() && case.report.is_none() && case.introduce() {
                self.publish(&instance.exam);
            }
        }
    }

    /// A refused object is no slice, but the exam is not over as long as such come.
    fn take_refused(&mut self, instance: RefusedInstance) {
        let RefusedInstance { exam, refusal, association, at } = instance;
        self.begin(&exam, at);
        if let Some(case) = self.cases.get_mut(&exam) {
            case.rhythm.arrived(association, 1, at);
            case.refuse(refusal, at);
            self.publish(&exam);
        }
    }

    fn take_mended(&mut self, exam: &ExamKey, sop_instance_uid: &str, at: Instant) {
        self.begin(exam, at);
        if let Some(case) = self.cases.get_mut(exam) {
            case.mend(sop_instance_uid, at);
            self.publish(exam);
        }
    }

    /// Has an exam in memory, with all that came of it before.
    fn begin(&mut self, key: &ExamKey, at: Instant) {
        if self.cases.contains_key(key) {
            return;
        }
        let mut case = ExamAnalysis::new(key.clone(), at);
        case.report = self.listener.known_report(key);
        let earlier = (self.earlier)(key);
        case.take_refusals(earlier.refusals);
        for path in earlier.instances {
            case.take(path, at, None);
        }
        case.shares_study = self.tell_siblings(key);
        self.cases.insert(key.clone(), case);
        self.forget_finished();
    }

    /// Tells the exams with the same study and Patient ID that there is another one. Whether there are any.
    fn tell_siblings(&mut self, key: &ExamKey) -> bool {
        let mut siblings = self.listener.siblings(key);
        for (sibling, case) in self.cases.iter_mut().filter(|(sibling, _)| sibling.is_sibling_of(key)) {
            case.shares_study = true;
            siblings.insert(sibling.clone());
        }
        for sibling in &siblings {
            self.listener.add_issue(sibling, &QualityIssue::of_series(QualityKind::SharedStudy));
        }
        !siblings.is_empty()
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

    /// Whose turn it is.
    fn by_priority(&self) -> Vec<ExamKey> {
        by_priority(self.candidates(), self.turn)
    }

    fn candidates(&self) -> Vec<Candidate> {
        let now = Instant::now();
        let candidates = self.cases.values().map(|case| Candidate {
            exam: case.key.clone(),
            is_on_table: case.is_on_table(now),
            over: case.rhythm.released(&self.options.completion).map(|at| now.saturating_duration_since(at)),
            waited: now.saturating_duration_since(case.last_served),
            score: case.running_score(&self.manifest),
        });
        candidates.collect()
    }

    /// Tells which exams wait for their turn, in the order of an ordinary one: every fourth turn's would change places to and fro.
    fn tell_who_waits(&mut self) {
        let is_waiting = |case: &&ExamAnalysis| !case.waiting.is_empty() && !case.has_begun();
        let mut not_begun = Vec::new();
        if self.cases.values().any(|case| is_waiting(&case)) {
            let order = by_priority(self.candidates(), 0);
            let waiting = order.iter().filter_map(|key| self.cases.get(key)).filter(is_waiting);
            not_begun = waiting.map(|case| (case.key.clone(), case.counts().received)).collect();
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
            if self.cases.get(key).is_some_and(|case| case.report.is_none()) {
                self.publish(key);
            }
        }
    }

    /// Whether decoders or the engine have something in hand. Exams that wait for their turn are none of it: others may hold their
    /// places for as long as the configuration's quiet time.
    fn has_work(&self) -> bool {
        let is_at_work = |case: &ExamAnalysis| case.has_begun() && !case.is_decoded() || case.has_windows_under_way();
        self.cases.values().any(is_at_work)
    }

    /// Keeps the decoders busy without waiting for them.
    fn send_to_decoders(&mut self, order: &[ExamKey]) {
        let now = Instant::now();
        let mut begun = self.cases.values().filter(|case| case.stage != Stage::Complete && case.has_begun()).count();
        for key in order {
            let Some(case) = self.cases.get_mut(key).filter(|case| !case.waiting.is_empty()) else { continue };
            if !case.has_begun() {
                let most = if case.is_on_table(now) { BEGUN_WITH_THE_TABLE } else { BEGUN_AT_ONCE };
                if begun >= most {
                    continue;
                }
                begun += 1;
            }
            while let Some(waiting) = case.waiting.pop_front() {
                match self.jobs.try_send(DecodeJob { exam: key.clone(), waiting, centres: case.plane_centres() }) {
                    Ok(()) => case.decoding += 1,
                    Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                        case.waiting.push_front(job.waiting);
                        return;
                    }
                }
            }
        }
    }

    fn take_decoded(&mut self, exam: &ExamKey, step: DecodeEvent) {
        self.progress.work.done();
        let Some(case) = self.cases.get_mut(exam) else { return };
        match step {
            // What was begun goes on before what has not been: its file is open.
            DecodeEvent::Left(waiting) => case.waiting.push_front(waiting),
            DecodeEvent::Done => case.decoding -= 1,
            DecodeEvent::Image(arrival, decoded) => {
                case.add(decoded, &arrival, &self.manifest.input);
                self.pauses.note(&case.scanner, &case.key, case.pauses());
                self.publish(exam);
            }
        }
    }

    fn publish(&self, key: &ExamKey) {
        if let Some(case) = self.cases.get(key) {
            self.listener.update(case.view(&self.manifest));
        }
    }

    /// Which rule ends the exam and when, once everything is decoded.
    fn completion(&self, case: &ExamAnalysis) -> Option<(CompletionRule, Instant)> {
        if case.stage == Stage::Complete || !case.is_decoded() {
            return None;
        }
        let progress = case.completion_progress(&self.steps, self.pauses.usual(&case.scanner, &case.key));
        Some(case.rhythm.completion(&progress, &self.options.completion))
    }

    /// The rule by which the exam is over, and since when.
    fn is_over(&self, case: &ExamAnalysis, now: Instant) -> Option<(CompletionRule, Instant)> {
        self.completion(case).filter(|(_, at)| *at <= now)
    }

    /// Lays out anew what an exam that ends has not been laid out as all its slices say.
    fn finalize_layouts(&mut self, order: &[ExamKey], now: Instant) {
        for key in order {
            let Some(case) = self.cases.get(key) else { continue };
            let ends = self.completion(case).is_some_and(|(rule, at)| {
                rule == CompletionRule::AssociationReleased
                    || at <= now && (needs_every_window(rule) || case.is_stale())
            });
            if ends && self.cases.get_mut(key).is_some_and(|case| !case.finalize_layout()) {
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
            if let Some(case) = self.cases.get_mut(&window.series.exam) {
                case.last_served = Instant::now();
                case.hand_over(&window);
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
        order.iter().filter_map(|key| self.cases.get(key)).find_map(|case| {
            let finishing = match self.completion(case) {
                Some((rule, at)) if at <= now => needs_every_window(rule),
                // Whether more comes after a release is waited out with the last windows, not before them.
                Some((rule, _)) => streaming && rule == CompletionRule::AssociationReleased,
                None => false,
            };
            if streaming || finishing { case.next_window(&self.manifest.input, finishing) } else { None }
        })
    }

    fn take_result(&mut self, window: &QueuedWindow, result: WindowResult) {
        telemetry::stage("inference", result.took);
        let key = &window.series.exam;
        let Some(case) = self.cases.get_mut(key) else { return };
        if let Err(error) = case.take_result(window, result, &self.manifest) {
            telemetry::engine_failure();
            tracing::error!(exam = %key, %error, "the engine failed");
            return;
        }
        let PipelineOptions { limits, densities, .. } = &self.options;
        case.look_for_the_end(&self.manifest.input, &self.options.completion, limits.min_lung_ml);
        let raised = case.early_flag(&self.manifest, limits, *densities, Instant::now());
        if let Some(early) = raised {
            self.publish(key);
            if self.listener.raise_early(key, &early) {
                tracing::warn!(exam = %key, score = early.score, slices = early.after_slices, "early flag: COVID-19 pneumonia suspected");
                self.tell_early_flag(key);
            }
        }
        let apex =
            self.cases.get_mut(key).and_then(|case| case.apex_cut_off(&self.manifest.input, &self.options.limits));
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
        let Some(case) = self.cases.get(key) else { return };
        let now = Instant::now();
        let (since_first, since_last) = (case.since_first(now), case.since_last_slice(now));
        telemetry::notified(Until::EarlyFlag, since_first, since_last);
        telemetry::notification_parts(Until::EarlyFlag, since_first.saturating_sub(since_last), None, since_last);
    }

    fn publish_slab(&self, key: &ExamKey, slab: SlabIndex) {
        if let Some(slab) = self.cases.get(key).and_then(|case| case.slab_view(slab, &self.manifest)) {
            self.listener.put_slab(key, slab);
        }
    }

    /// Concludes the first exam that is over. `false` if none is.
    fn conclude_one(&mut self, order: &[ExamKey], now: Instant) -> bool {
        let over = order.iter().find_map(|key| {
            let case = self.cases.get(key)?;
            let (rule, since) = self.is_over(case, now)?;
            let finishing = needs_every_window(rule);
            let is_inferred =
                !case.has_windows_under_way() && case.next_window(&self.manifest.input, finishing).is_none();
            (is_inferred && !case.is_stale()).then(|| (key.clone(), rule, since))
        });
        let Some((key, rule, over)) = over else { return false };
        let Some(case) = self.cases.get_mut(&key) else { return false };
        let context = Conclusion {
            manifest: &self.manifest,
            engine: self.serving.name(),
            limits: &self.options.limits,
            densities: self.options.densities,
            rule,
            over,
            now: Instant::now(),
        };
        let standing = case.report.as_ref().filter(|_| case.stage == Stage::Trailing).map(|report| report.verdict);
        let report = case.conclude(&context).clone();
        if standing == Some(report.verdict) {
            tracing::info!(exam = %key, slices = report.slices.received, rule = rule.as_str(), "the verdict stands");
        } else {
            tell_verdict(&report);
        }
        if case.stage == Stage::Complete {
            self.serving.forget(&key);
        }
        let view = self.cases.get(&key).map(|case| case.view(&self.manifest));
        if let Some(view) = view {
            self.listener.conclude(view, &report, &self.options.limits);
        }
        self.forget_finished();
        true
    }

    fn report_queues(&self) {
        let waiting = self.cases.values().map(|case| case.waiting.len() + case.decoding).sum();
        self.progress.waiting.store(waiting, Ordering::Relaxed);
        telemetry::queue_depth("decode", waiting);
        telemetry::exams_open(self.cases.values().filter(|case| case.stage == Stage::Receiving).count());
    }

    /// When there is something to do though no message comes. An exam that is over already waits for results, which are messages.
    fn next_deadline(&self, now: Instant) -> Instant {
        let ends =
            self.cases.values().filter_map(|case| self.completion(case)).map(|(_, at)| at).filter(|at| *at > now);
        ends.chain(self.serving.deadline()).fold(now + TICK, Instant::min)
    }
}

/// While the scan goes on below the lungs its foremost slabs are never complete: they are left for its end.
fn needs_every_window(rule: CompletionRule) -> bool {
    rule != CompletionRule::LungsPassed
}

fn tell_verdict(report: &CaseReport) {
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
    let of_ms = |ms: f64| Duration::from_secs_f64(ms / 1000.0);
    let (receive, wait, compute) = (of_ms(receive_ms), of_ms(wait_ms), of_ms(compute_ms));
    telemetry::notified(Until::Verdict, receive + wait + compute, wait + compute);
    telemetry::notification_parts(Until::Verdict, receive, Some(wait), compute);
}
