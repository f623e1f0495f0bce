//! The pipeline behind ingest: the decode pool and the one analyst thread, which owns the exams.
//!
//! Instances come in as paths into the spool, so that any backlog waits on the disk. Verdicts and flags go out to the listener.

mod analyst;
mod decoders;
mod priority;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::analysis::Listener;
use crate::engine::ModelPackage;
use crate::exam::{AssociationId, CompletionLimits, ExamKey, PerformedStep, QualityLimits, Refusals};
use crate::ingest::{InstanceSink, RefusedInstance, StoredInstance};
use crate::serving::{Serving, lower_priority};
use crate::telemetry::{self, WorkProgress};
use crate::triage::Densities;
use analyst::{Analyst, AnalystProgress, Message};

/// When an exam's slices are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnalysisMode {
    /// As they come.
    #[default]
    Streaming,
    /// Once the exam is over, as other receivers do: to measure what looking at once is worth.
    Batch,
}

/// How exams are analysed.
#[derive(Debug, Clone, Copy)]
pub struct PipelineOptions {
    pub mode: AnalysisMode,
    pub completion: CompletionLimits,
    pub limits: QualityLimits,
    pub densities: Densities,
    /// Threads that decode slices.
    pub decoders: usize,
}

/// What is there of an exam that was begun before.
#[derive(Debug, Default)]
pub struct Earlier {
    /// In the order in which they came; of each instance the newest version last.
    pub instances: Vec<std::path::PathBuf>,
    pub refusals: Refusals,
}

/// What stays of exams while nobody analyses them.
pub trait ExamMemory: Send {
    /// What is there of an exam: after a restart, or when a late slice of a finished exam comes.
    fn earlier(&self, exam: &ExamKey) -> Earlier;

    /// The associations that carried an exam are closed, after so many images; `None` once another one carries more.
    fn note_closed(&self, exam: &ExamKey, images: Option<usize>);
}

/// Nothing stays.
impl ExamMemory for () {
    fn earlier(&self, _: &ExamKey) -> Earlier {
        Earlier::default()
    }

    fn note_closed(&self, _: &ExamKey, _: Option<usize>) {}
}

/// The running pipeline.
#[derive(Debug)]
pub struct Pipeline {
    messages: Sender<Message>,
    threads: Vec<JoinHandle<()>>,
    analyst: AnalystProgress,
    decoders: Vec<WorkProgress>,
}

/// The pipeline has work and does not get on with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    pub since: Duration,
    /// Slices that wait.
    pub waiting: usize,
}

/// The way into the pipeline; cheap to clone.
#[derive(Debug, Clone)]
pub struct PipelineInput {
    messages: Sender<Message>,
    analyst: WorkProgress,
}

impl Pipeline {
    /// Starts all threads.
    ///
    /// # Errors
    /// If the system gives no threads.
    pub fn start(
        options: PipelineOptions,
        package: &ModelPackage,
        serving: Serving,
        listener: Arc<dyn Listener>,
        memory: Box<dyn ExamMemory>,
    ) -> std::io::Result<Self> {
        // Messages are small; what they speak of waits in the spool. So this channel needs no bound.
        let (messages, inbox) = crossbeam_channel::unbounded();
        let (jobs, jobs_out) = crossbeam_channel::bounded(options.decoders * 2);
        let (results, results_out) = crossbeam_channel::unbounded();
        let decoders = (0..options.decoders).map(|_| WorkProgress::default()).collect::<Vec<_>>();
        telemetry::stage_threads("decode", options.decoders);
        telemetry::stage_threads("analysis", 1);
        let mut threads = decoders::start(&decoders, &jobs_out, &results, serving.planes())?;
        let progress = AnalystProgress::default();
        let analyst =
            Analyst::new(options, package.manifest.clone(), serving, listener, jobs, memory, progress.clone());
        let spawned = std::thread::Builder::new().name("analyst".to_owned()).spawn(move || {
            lower_priority();
            analyst.run(&inbox, &results_out);
        });
        threads.push(spawned?);
        Ok(Self { messages, threads, analyst: progress, decoders })
    }

    #[must_use]
    pub fn input(&self) -> PipelineInput {
        PipelineInput { messages: self.messages.clone(), analyst: self.analyst.work.clone() }
    }

    /// Messages that the analyst has not taken.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.messages.len()
    }

    /// Whether nothing that has arrived waits to be decoded.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.messages.is_empty() && self.analyst.waiting.load(Ordering::Relaxed) == 0
    }

    /// Whether every thread still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished())
    }

    /// Whether a thread has had work for `limit` or longer without finishing any of it: it hangs.
    #[must_use]
    pub fn stall(&self, limit: Duration) -> Option<Stall> {
        let threads = self.decoders.iter().chain([&self.analyst.work]);
        let since = threads.filter_map(|progress| progress.stalled(limit)).max()?;
        Some(Stall { since, waiting: self.analyst.waiting.load(Ordering::Relaxed) + self.messages.len() })
    }

    /// Stops the threads and waits for them. Exams without a verdict go on from the spool at the next start.
    pub fn stop(self) {
        // A closed channel means that the analyst has stopped already.
        let _ = self.messages.send(Message::Stop);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the pipeline had stopped unexpectedly");
            }
        }
    }
}

impl PipelineInput {
    /// Has nothing of the synthetic patient's exam analysed any more, whatever still comes of it.
    pub fn abandon(&self, exam: &ExamKey) {
        self.send(Message::Abandon(exam.clone()));
    }

    fn send(&self, message: Message) {
        // From now on, and not only once the analyst takes it: it may hang.
        self.analyst.working();
        if self.messages.send(message).is_err() {
            tracing::error!("the pipeline has stopped: what arrives is kept in the spool and not analysed");
        }
    }
}

impl InstanceSink for PipelineInput {
    fn stored(&self, instance: StoredInstance) {
        self.send(Message::Stored(instance));
    }

    fn refused(&self, instance: RefusedInstance) {
        self.send(Message::Refused(instance));
    }

    fn mended(&self, exam: &ExamKey, sop_instance_uid: &str, at: Instant) {
        self.send(Message::Mended { exam: exam.clone(), sop_instance_uid: sop_instance_uid.to_owned(), at });
    }

    fn association_closed(&self, association: AssociationId, at: Instant) {
        self.send(Message::AssociationClosed(association, at));
    }

    fn procedure_step_ended(&self, step: PerformedStep) {
        self.send(Message::StepEnded(step));
    }
}
