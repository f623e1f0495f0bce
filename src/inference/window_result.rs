//! A due window through an engine: the same for exams that stream in and for cases of a validation.

use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::engine::{Engine, EngineError, Manifest};
use crate::exam::{SeriesKey, WindowJob};
use crate::triage::{SlabEvidence, change_hu};

/// A window that is due, and whose it is.
#[derive(Debug, Clone)]
pub struct QueuedWindow {
    pub series: SeriesKey,
    pub job: WindowJob,
}

/// What became of a window.
#[derive(Debug)]
pub struct WindowResult {
    pub evidence: Result<SlabEvidence, EngineError>,
    /// How long the engine was at it.
    pub took: Duration,
}

impl WindowResult {
    /// There is no evidence, for this reason.
    #[must_use]
    pub fn failed(error: EngineError) -> Self {
        Self { evidence: Err(error), took: Duration::ZERO }
    }
}

/// The result of the window that was handed over under this number.
#[derive(Debug)]
pub struct NumberedResult {
    pub number: u64,
    pub result: WindowResult,
}

/// Where the result of one window goes. Every window is answered: a reply that is dropped says that its engine has ended.
#[derive(Debug)]
pub struct WindowReply {
    number: u64,
    engine: &'static str,
    /// Absent once the result has been sent.
    results: Option<Sender<NumberedResult>>,
}

impl WindowReply {
    #[must_use]
    pub fn new(number: u64, engine: &'static str, results: Sender<NumberedResult>) -> Self {
        Self { number, engine, results: Some(results) }
    }

    pub fn send(mut self, result: WindowResult) {
        self.answer(result);
    }

    fn answer(&mut self, result: WindowResult) {
        if let Some(results) = self.results.take() {
            // Nobody waits for it any more where the analysis has stopped.
            let _ = results.send(NumberedResult { number: self.number, result });
        }
    }
}

impl Drop for WindowReply {
    fn drop(&mut self) {
        let reason = "its thread has ended".to_owned();
        self.answer(WindowResult::failed(EngineError::Run { engine: self.engine, reason }));
    }
}

/// Runs the engine on a window and applies the operating point to what it says.
pub fn infer_window(engine: &mut dyn Engine, job: &WindowJob, manifest: &Manifest) -> WindowResult {
    let (input, window) = (&manifest.input, job.window(&manifest.input));
    let started = Instant::now();
    let inference = engine.infer(&window);
    let took = started.elapsed();
    let centre = input.slabs / 2 * input.plane_len();
    let slab_plane = &window.values()[centre..centre + input.plane_len()];
    let evidence = inference.map(|inference| {
        let evidence = SlabEvidence::new(&inference, slab_plane, input, &manifest.operating_point);
        SlabEvidence { change_hu: change_hu(&window, input), ..evidence }
    });
    WindowResult { evidence, took }
}
