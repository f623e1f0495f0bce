//! A due window through an engine: the same for exams that stream in and for cases of a validation.

use std::time::{Duration, Instant};

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
