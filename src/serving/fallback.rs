//! What serves: an accelerator as long as it works, else the engine on the CPU. Windows are handed over and their results come
//! as messages: whoever analyses waits for none of them. A window that an accelerator does not answer, or answers with an
//! error, goes to the CPU, and its number is given up: an answer that still comes is discarded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError};

use super::circuit_breaker::{CircuitBreaker, LoadAccelerator, Retry, Tried};
use super::engine_state::EngineState;
use super::engine_thread::EngineThread;
use super::pending_accelerator::PendingAccelerator;
use crate::engine::{Engine, EngineError, ModelPackage};
use crate::exam::ExamKey;
use crate::inference::{ANSWER_TIME, Accelerator, NumberedResult, Planes, QueuedWindow, WindowReply, WindowResult};
use crate::telemetry;

/// Windows that an accelerator has at once: while the CPU makes evidence of one, the model runs on the next.
const ON_ACCELERATOR_AT_ONCE: usize = 2;

/// The CPU needs a tenth of a second for a window, some seconds where many others want it too: an engine that has been at one
/// for so long hangs.
const STUCK_AFTER: Duration = Duration::from_mins(1);

/// The engine that serves, and the windows that were handed to it.
pub struct Serving {
    accelerator: Option<Box<dyn Accelerator>>,
    /// The accelerator that takes over once its model is built.
    pending: Option<PendingAccelerator>,
    breaker: CircuitBreaker,
    /// The engine that serves where there is no accelerator, or when it fails.
    cpu: EngineThread,
    planes: Planes,
    /// In the order in which they were handed over.
    in_flight: VecDeque<InFlight>,
    /// The number of the window that was handed over last.
    last_number: u64,
    /// When the accelerator answered last.
    last_answer: Option<Instant>,
    /// How long it has for the next one.
    answer_time: Duration,
    replies: Sender<NumberedResult>,
    results: Receiver<NumberedResult>,
    state: EngineState,
}

struct InFlight {
    window: Arc<QueuedWindow>,
    number: u64,
    is_on_accelerator: bool,
    since: Instant,
    /// Once it is there; it is given out after those of the windows before.
    result: Option<WindowResult>,
}

impl InFlight {
    fn waits_for_accelerator(&self) -> bool {
        self.is_on_accelerator && self.result.is_none()
    }
}

impl Serving {
    /// With an accelerator, one that is pending, or the engine on the CPU alone.
    ///
    /// # Errors
    /// If the system gives no thread for the engine on the CPU.
    pub fn new(
        package: &ModelPackage,
        accelerator: Option<Box<dyn Accelerator>>,
        pending: Option<PendingAccelerator>,
        cpu: Box<dyn Engine>,
    ) -> Result<Self, EngineError> {
        let name = accelerator.as_ref().map_or(cpu.name(), |accelerator| accelerator.name());
        let planes = Planes::new(&package.manifest.input);
        planes.set_accelerator(accelerator.as_ref().map(|accelerator| accelerator.slices()));
        let (replies, results) = crossbeam_channel::unbounded();
        Ok(Self {
            accelerator,
            pending,
            breaker: CircuitBreaker::new(None),
            cpu: EngineThread::start(cpu, package.manifest.clone(), ON_ACCELERATOR_AT_ONCE)?,
            planes,
            in_flight: VecDeque::new(),
            last_number: 0,
            last_answer: None,
            answer_time: ANSWER_TIME,
            replies,
            results,
            state: EngineState::new(name, &package.title()),
        })
    }

    /// The same, with what loads an accelerator again that has failed.
    #[must_use]
    pub fn with_retry(self, load: LoadAccelerator) -> Self {
        Self { breaker: CircuitBreaker::new(Some(load)), ..self }
    }

    #[cfg(test)]
    pub(crate) fn with_answer_time(self, answer_time: Duration) -> Self {
        Self { answer_time, ..self }
    }

    /// The serving engine's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.state.engine()
    }

    #[must_use]
    pub fn state(&self) -> &EngineState {
        &self.state
    }

    /// What makes planes of slices for this engine.
    #[must_use]
    pub fn planes(&self) -> &Planes {
        &self.planes
    }

    /// Whether a further window may be handed over before a result is taken.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.in_flight.len() < if self.accelerator.is_some() { ON_ACCELERATOR_AT_ONCE } else { 1 }
    }

    /// Hands a window over.
    pub fn queue(&mut self, window: QueuedWindow) {
        let now = Instant::now();
        self.look_after(now);
        let in_flight =
            InFlight { window: Arc::new(window), number: 0, is_on_accelerator: false, since: now, result: None };
        self.in_flight.push_back(in_flight);
        self.hand_over(self.in_flight.len() - 1, now);
    }

    /// Hands the window at this place over, to the accelerator where there is one.
    fn hand_over(&mut self, at: usize, now: Instant) {
        let Some(in_flight) = self.in_flight.get_mut(at) else { return };
        self.last_number += 1;
        (in_flight.number, in_flight.since) = (self.last_number, now);
        in_flight.is_on_accelerator = self.accelerator.is_some();
        let reply = |engine| WindowReply::new(self.last_number, engine, self.replies.clone());
        match &mut self.accelerator {
            Some(accelerator) => accelerator.queue(&in_flight.window, reply(accelerator.name())),
            None => self.cpu.queue(&in_flight.window, reply(self.cpu.name())),
        }
    }

    /// Where results arrive, to be handed to [`Self::note`].
    #[must_use]
    pub fn results(&self) -> Receiver<NumberedResult> {
        self.results.clone()
    }

    /// Notes a result that has arrived.
    pub fn note(&mut self, NumberedResult { number, result }: NumberedResult) {
        // A window that was given to the CPU since has another number.
        let Some(in_flight) = self.in_flight.iter_mut().find(|in_flight| in_flight.number == number) else { return };
        let now = Instant::now();
        match result {
            WindowResult { evidence: Err(error), .. } if in_flight.is_on_accelerator => {
                self.accelerator_failed(&error, now);
            }
            result => {
                if in_flight.is_on_accelerator {
                    self.last_answer = Some(now);
                }
                in_flight.result = Some(result);
            }
        }
    }

    /// What became of the window that was handed over first, once that is known.
    pub fn next_result(&mut self) -> Option<(Arc<QueuedWindow>, WindowResult)> {
        let first = self.in_flight.pop_front_if(|first| first.result.is_some())?;
        Some((first.window, first.result?))
    }

    /// Waits for what became of the window that was handed over first; `None` if none was.
    pub fn collect(&mut self) -> Option<(Arc<QueuedWindow>, WindowResult)> {
        while !self.in_flight.is_empty() {
            if let Some(first) = self.next_result() {
                return Some(first);
            }
            let result = match self.deadline() {
                Some(deadline) => self.results.recv_deadline(deadline).ok(),
                None => self.results.recv().ok(),
            };
            match result {
                Some(result) => self.note(result),
                None => self.look_after(Instant::now()),
            }
        }
        None
    }

    /// One window alone, with none in flight.
    pub fn infer(&mut self, window: QueuedWindow) -> WindowResult {
        debug_assert!(self.in_flight.is_empty());
        self.queue(window);
        if let Some((_, result)) = self.collect() {
            return result;
        }
        let reason = "no window was handed over".to_owned();
        WindowResult::failed(EngineError::Run { engine: self.name(), reason })
    }

    /// Lets go of what the accelerator has of an exam; what is needed again is uploaded again.
    pub fn forget(&mut self, exam: &ExamKey) {
        if let Some(accelerator) = &mut self.accelerator {
            accelerator.forget(exam);
        }
    }

    /// When the accelerator must have answered.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let waiting = self.in_flight.iter().find(|in_flight| in_flight.waits_for_accelerator())?;
        // While it answers others it is not the accelerator that hangs.
        let since = self.last_answer.map_or(waiting.since, |answered| answered.max(waiting.since));
        Some(since + self.answer_time)
    }

    /// Sees to what time brings: results, an accelerator that does not answer, one that is ready, one that is tried again.
    pub fn look_after(&mut self, now: Instant) {
        // An answer that lies there was given in time, however late it is looked at.
        while let Ok(result) = self.results.try_recv() {
            self.note(result);
        }
        if self.deadline().is_some_and(|deadline| deadline <= now)
            && let Some(accelerator) = &self.accelerator
        {
            let reason = format!("the GPU does not answer within {:?}", self.answer_time);
            let error = EngineError::Run { engine: accelerator.name(), reason };
            self.accelerator_failed(&error, now);
        }
        let waiting = self.in_flight.front().filter(|first| first.result.is_none());
        self.state.set_stuck(waiting.is_some_and(|first| now.saturating_duration_since(first.since) >= STUCK_AFTER));
        self.look_for_pending(now);
        match self.breaker.look_after(now) {
            None => {}
            Some(Tried::Begun) => {
                tracing::info!("the GPU that failed is tried again");
                self.state.retry(Retry::Now, None);
            }
            Some(Tried::Serves(accelerator)) => self.take_over(accelerator, now),
            Some(Tried::Failed(error, retry)) => {
                tracing::warn!(%error, "the GPU that failed cannot serve yet");
                self.state.retry(retry, Some(error.to_string()));
            }
        }
    }

    fn look_for_pending(&mut self, now: Instant) {
        let Some(pending) = &self.pending else { return };
        match pending.try_recv() {
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => tracing::error!("the engine that was being built will not come"),
            Ok(Err(reason)) => tracing::error!(%reason, "the engine that was being built cannot serve"),
            Ok(Ok(accelerator)) => self.take_over(accelerator, now),
        }
        self.pending = None;
    }

    /// Lets an accelerator serve from the next window on.
    fn take_over(&mut self, accelerator: Box<dyn Accelerator>, now: Instant) {
        tracing::info!(engine = accelerator.name(), "the accelerator is ready and serves from now on");
        self.state.accelerator_serves(accelerator.name());
        self.breaker.close(now);
        self.planes.set_accelerator(Some(accelerator.slices()));
        if let Some(replaced) = self.accelerator.take() {
            self.hand_over_to_cpu(now);
            end_in_its_own_thread(replaced);
        }
        self.accelerator = Some(accelerator);
    }

    fn accelerator_failed(&mut self, error: &EngineError, now: Instant) {
        let Some(failed) = self.accelerator.take() else { return };
        telemetry::gpu_failure();
        tracing::error!(%error, engine = self.cpu.name(), "the GPU failed: the engine on the CPU serves");
        self.planes.set_accelerator(None);
        let retry = self.breaker.open(failed, now);
        self.state.accelerator_failed(self.cpu.name(), error.to_string(), retry);
        self.hand_over_to_cpu(now);
    }

    /// Gives the CPU the windows that the accelerator has not answered.
    fn hand_over_to_cpu(&mut self, now: Instant) {
        for at in 0..self.in_flight.len() {
            if self.in_flight[at].waits_for_accelerator() {
                self.hand_over(at, now);
            }
        }
    }
}

/// Waits elsewhere until an accelerator that was replaced has given everything back.
fn end_in_its_own_thread(replaced: Box<dyn Accelerator>) {
    if let Err(error) = std::thread::Builder::new().name("end".to_owned()).spawn(move || drop(replaced)) {
        tracing::warn!(%error, "there was no thread to end the accelerator in");
    }
}

#[cfg(test)]
#[path = "fallback_tests.rs"]
mod tests;
