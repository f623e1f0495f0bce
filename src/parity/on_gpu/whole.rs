//! Exams from files to reports over the GPU's thread, as the daemon takes them, and over the CPU.

use std::path::Path;
use std::time::{Duration, Instant};

use super::table::Report;
use super::{Holds, PROBABILITY_TOLERANCE, SLABS, on_cpu};
use crate::config::Config;
use crate::engine::{Engine as _, ModelPackage};
use crate::gpu::{AcceleratorEngine, AcceleratorThread, Failure};
use crate::inference::{Accelerator, accelerator_test};
use crate::offline::triage_by;
use crate::serving::Serving;
use crate::triage::CaseReport;

pub(super) fn measure(
    report: &mut Report<'_>,
    engine: AcceleratorEngine,
    package: &ModelPackage,
    config: &Config,
    folder: &Path,
) -> Result<(), Failure> {
    let mut gpu = AcceleratorThread::open(engine, package, SLABS)?;
    accelerator_test(&mut gpu, package)?;
    let name = gpu.name();
    let with_gpu = triage(Some(Box::new(gpu)), package, config, folder)?;
    let without = triage(None, package, config, folder)?;
    if with_gpu.reports.len() != without.reports.len() {
        return Err(format!("{} exams over the GPU, {} without", with_gpu.reports.len(), without.reports.len()).into());
    }
    for (gpu, cpu) in with_gpu.reports.iter().zip(&without.reports) {
        let apart = match (gpu.score, cpu.score) {
            (Some(gpu), Some(cpu)) => (gpu - cpu).abs(),
            (None, None) => 0.0,
            _ => f64::INFINITY,
        };
        let holds = gpu.verdict == cpu.verdict && apart <= PROBABILITY_TOLERANCE && with_gpu.gpu_failure.is_none();
        let found = format!(
            "{} in {:.2} s, CPU {} in {:.2} s: {apart:.1e} apart; GPU failure: {}",
            gpu.verdict.as_str(),
            with_gpu.took.as_secs_f64(),
            cpu.verdict.as_str(),
            without.took.as_secs_f64(),
            with_gpu.gpu_failure.as_deref().unwrap_or("none"),
        );
        let goal = format!("same verdict, within {PROBABILITY_TOLERANCE}, no failure");
        report.row(&format!("{name}: {} from files to report", folder.display()), &found, &goal, Holds::from(holds));
    }
    Ok(())
}

struct Triaged {
    reports: Vec<CaseReport>,
    took: Duration,
    gpu_failure: Option<String>,
}

fn triage(
    gpu: Option<Box<dyn Accelerator>>,
    package: &ModelPackage,
    config: &Config,
    folder: &Path,
) -> Result<Triaged, Failure> {
    let serving = Serving::new(package, gpu, None, on_cpu(config, package)?)?;
    let state = serving.state().clone();
    let started = Instant::now();
    let reports = triage_by(serving, package, folder, config)?.reports;
    Ok(Triaged { reports, took: started.elapsed(), gpu_failure: state.gpu_failure() })
}
