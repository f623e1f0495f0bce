//! Whether the GPU's memory stays as it is, exam after exam.

use super::Holds;
use super::exams::ExamSlices;
use super::table::Report;
use crate::gpu::{Device, DevicePipeline, Failure};

const EXAMS: usize = 200;
/// Exams before the memory is first looked at: engines keep what their first windows needed.
const WARM_UP: usize = 3;
/// Free memory is measured after this many exams.
const STEP: usize = 20;
/// Of each exam every tenth window is inferred.
const WINDOW_STEP: usize = 10;

/// What may be missing at any time, bytes: far less than an exam's slabs.
const TOLERANCE_BYTES: usize = 4 << 20;

pub(super) fn measure(
    report: &mut Report<'_>,
    engine: &str,
    device: &Device,
    pipeline: &mut DevicePipeline<'_>,
    exam: &ExamSlices,
) -> Result<(), Failure> {
    let windows = exam.windows();
    let mut run = |count: usize| -> Result<usize, Failure> {
        for _ in 0..count {
            exam.upload(pipeline)?;
            for window in windows.iter().step_by(WINDOW_STEP) {
                pipeline.infer_window(&window.series, &window.job)?;
            }
            pipeline.forget(&exam.series().exam);
        }
        device.stream().synchronize()?;
        Ok(device.context().mem_get_info()?.0)
    };
    let before = run(WARM_UP)?;
    let mut least = before;
    for _ in 0..EXAMS / STEP {
        least = least.min(run(STEP)?);
    }
    let after = device.context().mem_get_info()?.0;
    let slabs = pipeline.slabs();
    let megabytes = |bytes: usize| bytes as f64 / 1e6;
    let found = format!(
        "{:.1} MB free before, {:.1} MB after, {:.1} MB at least; {slabs} slabs left behind",
        megabytes(before),
        megabytes(after),
        megabytes(least)
    );
    let goal = format!("never {:.1} MB less, no slab", megabytes(TOLERANCE_BYTES));
    let holds = before.saturating_sub(least) < TOLERANCE_BYTES && slabs == 0;
    report.row(&format!("{engine}: memory over {EXAMS} exams"), &found, &goal, Holds::from(holds));
    Ok(())
}
