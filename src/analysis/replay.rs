//! One exam from files that are all there, on the caller's thread: instance by instance, each window as soon as it is due, by the code
//! that serves the scanner. The cases of a validation take this way, and the exams that a shadow model judges once more.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use super::conclusion::Conclusion;
use super::decode::DecodeEvent;
use super::exam_analysis::ExamAnalysis;
use crate::engine::{EngineError, Manifest};
use crate::exam::{CompletionRule, ExamKey, QualityLimits};
use crate::inference::{Planes, QueuedWindow, WindowResult};
use crate::serving::Serving;
use crate::triage::{CaseReport, Densities};

/// What makes planes of slices, and evidence of one window after the other.
pub trait WindowEngine {
    /// The engine's name in reports.
    fn name(&self) -> &'static str;

    fn planes(&self) -> &Planes;

    /// Runs one window to its end.
    fn infer(&mut self, window: QueuedWindow) -> WindowResult;
}

impl WindowEngine for Serving {
    fn name(&self) -> &'static str {
        Self::name(self)
    }

    fn planes(&self) -> &Planes {
        Self::planes(self)
    }

    fn infer(&mut self, window: QueuedWindow) -> WindowResult {
        Self::infer(self, window)
    }
}

/// What a replay has just done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayStep {
    /// One turn of decoding: at most four images.
    Decoded,
    /// One window.
    Inferred,
}

/// Why a replay did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("it was interrupted")]
    Interrupted,
}

/// An exam that is replayed.
pub struct Replay<'a> {
    pub analysis: ExamAnalysis,
    manifest: &'a Manifest,
    started: Instant,
}

impl<'a> Replay<'a> {
    /// An exam of which nothing has been taken yet.
    #[must_use]
    pub fn new(exam: ExamKey, manifest: &'a Manifest) -> Self {
        let started = Instant::now();
        Self { analysis: ExamAnalysis::new(exam, started), manifest, started }
    }

    /// When the replay began: every instance counts as having come then.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Takes the exam's files in this order, the newest version of each instance last, and infers every window. `after` hears of each
    /// step and may end the replay.
    ///
    /// # Errors
    /// If the engine fails, or `after` breaks.
    pub fn run(
        &mut self,
        files: Vec<PathBuf>,
        engine: &mut dyn WindowEngine,
        after: &mut dyn FnMut(&mut ExamAnalysis, ReplayStep) -> ControlFlow<()>,
    ) -> Result<(), ReplayError> {
        for file in files {
            self.analysis.take(file, self.started, None);
            self.decode(engine, after)?;
        }
        // What lies elsewhere now that all slices are there is decoded again.
        while !self.analysis.finalize_layout() {
            self.decode(engine, after)?;
        }
        self.infer_due_windows(engine, after, true)
    }

    /// Judges the exam.
    pub fn conclude(&mut self, engine: &str, limits: &QualityLimits, densities: Densities) -> CaseReport {
        let now = Instant::now();
        let rule = CompletionRule::AssociationReleased;
        let context = Conclusion { manifest: self.manifest, engine, limits, densities, rule, over: now, now };
        self.analysis.conclude(&context).clone()
    }

    fn decode(
        &mut self,
        engine: &mut dyn WindowEngine,
        after: &mut dyn FnMut(&mut ExamAnalysis, ReplayStep) -> ControlFlow<()>,
    ) -> Result<(), ReplayError> {
        while let Some(waiting) = self.analysis.waiting.pop_front() {
            let mut images = Vec::new();
            let (exam, centres) = (self.analysis.key.clone(), self.analysis.plane_centres());
            waiting.take_turn(&exam, engine.planes(), &centres, |event| match event {
                DecodeEvent::Left(waiting) => self.analysis.waiting.push_front(waiting),
                DecodeEvent::Image(arrival, decoded) => images.push((arrival, decoded)),
                DecodeEvent::Done => {}
            });
            goes_on(after(&mut self.analysis, ReplayStep::Decoded))?;
            for (arrival, decoded) in images {
                self.analysis.add(decoded, &arrival, &self.manifest.input);
                self.infer_due_windows(engine, after, false)?;
            }
        }
        Ok(())
    }

    fn infer_due_windows(
        &mut self,
        engine: &mut dyn WindowEngine,
        after: &mut dyn FnMut(&mut ExamAnalysis, ReplayStep) -> ControlFlow<()>,
        finishing: bool,
    ) -> Result<(), ReplayError> {
        while let Some(window) = self.analysis.next_window(&self.manifest.input, finishing) {
            let result = engine.infer(window.clone());
            self.analysis.take_result(&window, result, self.manifest)?;
            goes_on(after(&mut self.analysis, ReplayStep::Inferred))?;
        }
        Ok(())
    }
}

fn goes_on(flow: ControlFlow<()>) -> Result<(), ReplayError> {
    if flow.is_break() { Err(ReplayError::Interrupted) } else { Ok(()) }
}
