//! `gpu-check`: what only a machine with a GPU can show, as one table.

use std::path::PathBuf;

use clap::Args;
use tableside::engine::{GpuProbe, gpus_here};
use tableside::parity::on_gpu::{TABLE_HEAD, check};
use tableside::telemetry::{self, LogFormat};

use super::{DONE, FAILED, Outcome, configuration};

#[derive(Args)]
pub struct GpuCheckArgs {
    /// A folder with an exam, which has to come to the same verdict on the GPU as on the CPU; without one a phantom is taken
    #[arg(long, value_name = "DIR")]
    series: Vec<PathBuf>,
    /// Configuration file; its [engine] section names the ONNX Runtime's library and the model package
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub fn gpu_check(args: &GpuCheckArgs) -> Outcome {
    telemetry::log_to_stderr(LogFormat::Text, "warn");
    let config = configuration(args.config.as_deref())?;
    let probe = config.engine.gpu_probe.as_ref().map_or_else(gpus_here, GpuProbe::gpus);
    let gpus = probe.map_err(|reason| format!("there is no GPU to check: {reason}"))?;
    let package = config.model_package()?;
    println!("{TABLE_HEAD}");
    let faults = check(&gpus, &config, &package, &args.series, &mut |row| println!("{row}"));
    for fault in &faults {
        eprintln!("tableside: {} does not hold: {}", fault.what, fault.found);
    }
    Ok(if faults.is_empty() { DONE } else { FAILED })
}
