//! How long a window takes on the card, and how long it is from a slice in the host's memory to the evidence that it changes.

use std::time::{Duration, Instant};

use super::exams::ExamSlices;
use super::table::Report;
use crate::gpu::{Device, DevicePipeline, Failure};
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
    let mut series = exam.upload(pipeline)?;
    let windows = exam.windows();
    let window = |at: usize| &windows[at % windows.len()];
    for at in 0..WARM_UP {
        pipeline.judge(&series, window(at))?;
    }
    let (mut whole, mut network, mut from_upload) = (Vec::new(), Vec::new(), Vec::new());
    for at in 0..WINDOWS {
        let start = device.moment()?;
        pipeline.judge(&series, window(at))?;
        whole.push(milliseconds(start.elapsed_ms(&device.moment()?)?));
    }
    for _ in 0..WINDOWS {
        let start = device.moment()?;
        pipeline.network().enqueue()?;
        network.push(milliseconds(start.elapsed_ms(&device.moment()?)?));
    }
    for at in 0..WINDOWS {
        let slice = &exam.slices[at % exam.slices.len()];
        let (slab, in_plane) = (slice.slab(&exam.input), &slice.slice.geometry.in_plane);
        let Some(of_slice) = windows.iter().find(|window| window[1] == slab) else { continue };
        let started = Instant::now();
        pipeline.add(&mut series, slab, &slice.image, in_plane)?;
        pipeline.judge(&series, of_slice)?;
        from_upload.push(started.elapsed());
        pipeline.take_away(&mut series, slab, &slice.image, in_plane)?;
    }
    let told = |times: Vec<Duration>| {
        let Quantiles { p50, p99, max, .. } = Quantiles::of(times);
        format!("p50 {p50:.3} ms, p99 {p99:.3} ms, at most {max:.3} ms")
    };
    report.told(&format!("{engine}: network alone, by events"), &told(network));
    report.told(&format!("{engine}: window from slabs to evidence, by events"), &told(whole));
    report.told(&format!("{engine}: one slice from the host's memory to evidence"), &told(from_upload));
    Ok(())
}

fn milliseconds(elapsed: f32) -> Duration {
    Duration::from_secs_f64(f64::from(elapsed.max(0.0)) / 1e3)
}
