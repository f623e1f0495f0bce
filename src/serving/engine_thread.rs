//! The engine on the CPU as the analysis knows it: one thread that owns it, and a channel to it. Whoever hands a window over
//! goes on at once; the result comes as a message.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};

use super::lower_priority;
use crate::engine::{Engine, EngineError, Manifest};
use crate::inference::{QueuedWindow, WindowReply, WindowResult, infer_window};

type Job = (Arc<QueuedWindow>, WindowReply);

pub(super) struct EngineThread {
    name: &'static str,
    /// Absent once the thread has been told to end.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl EngineThread {
    /// Starts the thread, whose channel has room for this many windows.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(super) fn start(engine: Box<dyn Engine>, manifest: Manifest, room: usize) -> Result<Self, EngineError> {
        let name = engine.name();
        let (jobs, inbox) = crossbeam_channel::bounded(room);
        let thread = std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || {
                lower_priority();
                serve(engine, &manifest, &inbox);
            })
            .map_err(|error| EngineError::Run { engine: name, reason: format!("it gets no thread: {error}") })?;
        Ok(Self { name, jobs: Some(jobs), thread: Some(thread) })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Hands a window over; waits only where the channel is full.
    pub(super) fn queue(&self, window: &Arc<QueuedWindow>, reply: WindowReply) {
        if let Some(jobs) = &self.jobs {
            // A thread that has ended drops the reply, which says so.
            let _ = jobs.send((Arc::clone(window), reply));
        }
    }
}

impl Drop for EngineThread {
    /// Waits for the windows that were handed over: the program may end next, and libraries must not be taken from under them.
    fn drop(&mut self) {
        self.jobs = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(engine = self.name, "the engine's thread had stopped unexpectedly");
        }
    }
}

/// Infers windows until the channel is closed. A panic costs its window: what the engine keeps between windows, the model's
/// weights, is never written to.
fn serve(mut engine: Box<dyn Engine>, manifest: &Manifest, jobs: &Receiver<Job>) {
    for (window, reply) in jobs {
        let inferred = catch_unwind(AssertUnwindSafe(|| infer_window(engine.as_mut(), &window.job, manifest)));
        let panicked = || EngineError::Run { engine: engine.name(), reason: "it panicked".to_owned() };
        reply.send(inferred.unwrap_or_else(|_| WindowResult::failed(panicked())));
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake_accelerator::{embedded, package};
    use super::*;
    use crate::engine::Inference;
    use crate::exam::{Part, Patient, SeriesKey, SlabIndex, SlabSlices, WindowJob};
    use crate::inference::NumberedResult;
    use crate::preprocess::{Plane, SlabSum, Window};

    /// Panics at its first window.
    struct PanicsOnce(bool);

    impl Engine for PanicsOnce {
        fn name(&self) -> &'static str {
            "test"
        }

        fn infer(&mut self, window: &Window) -> Result<Inference, EngineError> {
            assert!(std::mem::replace(&mut self.0, true), "a test's panic");
            embedded().infer(window)
        }
    }

    #[test]
    fn a_panic_of_the_engine_costs_its_window_and_no_other() {
        let mut sum = SlabSum::default();
        sum.add(&Plane::from_levels(vec![1000; package().manifest.input.plane_len()]));
        let inputs = [(SlabIndex(0), SlabSlices::default()); 3];
        let exam = crate::exam::ExamKey::new("1.2", &Patient::default());
        let window = Arc::new(QueuedWindow {
            series: SeriesKey { exam, series_instance_uid: "1.3".into(), part: Part::WHOLE },
            job: WindowJob { slab: SlabIndex(0), inputs, sums: [(); 3].map(|()| Arc::new(sum.clone())) },
        });
        let engine = EngineThread::start(Box::new(PanicsOnce(false)), package().manifest.clone(), 2).unwrap();
        let (replies, results) = crossbeam_channel::unbounded();
        for number in 1..=2 {
            engine.queue(&window, WindowReply::new(number, engine.name(), replies.clone()));
        }
        let answers: Vec<NumberedResult> = results.iter().take(2).collect();
        assert_eq!(answers.iter().map(|answer| answer.number).collect::<Vec<_>>(), [1, 2]);
        assert!(answers[0].result.evidence.as_ref().unwrap_err().to_string().contains("panicked"));
        assert!(answers[1].result.evidence.is_ok());
    }
}
