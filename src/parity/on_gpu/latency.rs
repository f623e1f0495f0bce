//! How long a window takes on the GPU, and how long it is from a slice in the host's memory to the evidence that it changes.

use std::time::{Duration, Instant};

use super::exams::{self, ExamSlices};
use super::table::Report;
use crate::gpu::{Device, DevicePipeline, Failure};
use crate::inference::{QueuedWindow, StoredSlice};
use crate::scanner::Quantiles;

/// Windows that are timed.
const WINDOWS: usize = 200;
/// Windows before: the first ones are slower.
const WARM_UP: usize = 20;

pub(super) fn measure(
    report: &mut Report<'_>,
    engine: &str,
    device: &Device,
    pipeline: &mut DevicePipeline<'_>,
    exam: &ExamSlices,
) -> Result<(), Failure> {
    exam.upload(pipeline)?;
    let windows = exam.windows();
    let window = |at: usize| &windows[at % windows.len()];
    let infer =
        |pipeline: &mut DevicePipeline<'_>, window: &QueuedWindow| pipeline.infer_window(&window.series, &window.job);
    for at in 0..WARM_UP {
        infer(pipeline, window(at))?;
    }
    let (mut whole, mut model, mut from_upload) = (Vec::new(), Vec::new(), Vec::new());
    for at in 0..WINDOWS {
        let start = device.moment()?;
        infer(pipeline, window(at))?;
        whole.push(milliseconds(start.elapsed_ms(&device.moment()?)?));
    }
    for _ in 0..WINDOWS {
        let start = device.moment()?;
        pipeline.model().enqueue()?;
        model.push(milliseconds(start.elapsed_ms(&device.moment()?)?));
    }
    // Each slice comes to a window of which the GPU has all other slices.
    for at in 0..WINDOWS {
        let last = &exam.slices[at % exam.slices.len()].stored;
        let Some(of_slice) = windows.iter().find(|window| window.job.slab == last.slab) else { continue };
        pipeline.forget(&last.series.exam);
        let is_there = |slice: &StoredSlice| {
            slice.id != last.id && of_slice.job.inputs.iter().any(|(slab, _)| *slab == slice.slab)
        };
        for slice in exam.slices.iter().filter(|slice| is_there(&slice.stored)) {
            exams::upload(pipeline, &slice.stored)?;
        }
        let started = Instant::now();
        exams::upload(pipeline, last)?;
        infer(pipeline, of_slice)?;
        from_upload.push(started.elapsed());
    }
    pipeline.forget(&exam.series().exam);
    let quantiles = |times: Vec<Duration>| {
        let Quantiles { p50, p99, max, .. } = Quantiles::of(times);
        format!("p50 {p50:.3} ms, p99 {p99:.3} ms, at most {max:.3} ms")
    };
    report.note(&format!("{engine}: model alone, by events"), &quantiles(model));
    report.note(&format!("{engine}: window from slabs to evidence, by events"), &quantiles(whole));
    report.note(&format!("{engine}: one slice from the host's memory to evidence"), &quantiles(from_upload));
    Ok(())
}

fn milliseconds(elapsed: f32) -> Duration {
    Duration::from_secs_f64(f64::from(elapsed.max(0.0)) / 1e3)
}
