//! A due window through the engine: the same for exams that stream in and for cases of a validation.

use std::time::{Duration, Instant};

use crate::engine::{Engine, EngineError, Manifest};
use crate::exam::WindowJob;
use crate::triage::{SlabEvidence, change_hu};

/// Runs the engine on a window and applies the operating point to what it says, with how long the engine took.
pub fn judge_window(
    engine: &mut dyn Engine,
    job: &WindowJob,
    manifest: &Manifest,
) -> (Result<SlabEvidence, EngineError>, Duration) {
    let started = Instant::now();
    let inference = engine.infer(&job.window);
    let took = started.elapsed();
    let input = &manifest.input;
    let centre = input.slabs / 2 * input.plane_len();
    let slab_plane = &job.window.values()[centre..centre + input.plane_len()];
    let evidence = inference.map(|inference| {
        let evidence = SlabEvidence::new(&inference, slab_plane, input, &manifest.operating_point);
        SlabEvidence { change_hu: change_hu(&job.window, input), ..evidence }
    });
    (evidence, took)
}
