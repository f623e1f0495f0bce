//! `doctor`: what this machine has, which engine will serve, and why not a faster one.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tableside::engine::{self, Gpu, GpuProbe, ModelPackage};
use tableside::parity::{EngineCheck, EngineState, check, phantom_exam, windows_of};
use tableside::serving::choice::{self, EngineOptions};
use tableside::telemetry::{self, LogFormat};

use super::{DONE, FAILED, Outcome, configuration, print_json};

/// Windows on which every engine is timed.
const WINDOWS: usize = 4;

#[derive(Args)]
pub struct DoctorArgs {
    /// Configuration file; without one the defaults hold
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// What was found. Why a faster engine does not serve stands with it.
#[derive(Serialize)]
struct Diagnosis {
    gpus: Found<Vec<Gpu>>,
    /// The driver's own words.
    driver: Option<String>,
    /// The oldest of NVIDIA's drivers with which the kernels run.
    needed_driver: u32,
    /// Its version; absent also if it is of another major version than this program was built for.
    tensorrt: Found<String>,
    onnxruntime_library: Found<PathBuf>,
    model: String,
    /// Which package that is: the configured, the promoted or the one in the program.
    model_source: String,
    /// `null` where there is to be none.
    shadow_model: Option<Found<String>>,
    engines: Vec<EngineCheck>,
    /// The engine that the configuration asks for.
    configured: choice::EngineChoice,
    serves: Found<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Found<T> {
    Here(T),
    Absent { reason: String },
}

impl<T, E: std::fmt::Display> From<Result<T, E>> for Found<T> {
    fn from(result: Result<T, E>) -> Self {
        result.map_or_else(|error| Self::Absent { reason: error.to_string() }, Self::Here)
    }
}

pub fn doctor(args: &DoctorArgs) -> Outcome {
    telemetry::log_to_stderr(LogFormat::Text, "error");
    let config = configuration(args.config.as_deref())?;
    let source = config.model_source()?;
    let package = source.load()?;
    let windows = windows_of(&phantom_exam()?, &package.manifest.input, WINDOWS)?;
    let report = check(&package, &config.engine, &windows);
    let serves = choice::serving(&package, &config.engine);
    let probe = config.engine.gpu_probe.as_ref().map(GpuProbe::gpus);
    let findings = Diagnosis {
        gpus: probe.unwrap_or_else(engine::gpus_here).into(),
        driver: engine::nvidia_driver(),
        needed_driver: engine::NEEDED_DRIVER,
        tensorrt: engine::tensorrt_version().into(),
        onnxruntime_library: library(config.engine.onnxruntime_library.as_deref()).into(),
        model: package.title(),
        model_source: source.to_string(),
        shadow_model: config.shadow.model.as_deref().map(|folder| shadow_model(folder, &config.engine).into()),
        engines: report.engines,
        configured: config.engine.choice,
        serves: serves.map(|serving| serving.name()).into(),
    };
    if args.json {
        print_json(&findings)?;
    } else {
        print(&findings);
    }
    Ok(if matches!(findings.serves, Found::Here(_)) { DONE } else { FAILED })
}

/// Whether the package of the shadow model passes its self-test.
fn shadow_model(folder: &Path, options: &EngineOptions) -> Result<String, Box<dyn std::error::Error>> {
    let package = ModelPackage::load(folder)?;
    let engine = choice::on_cpu(&package, options)?;
    Ok(format!("{} on the {} engine, {}", package.title(), engine.name(), folder.display()))
}

/// The file itself: its name carries the version.
fn library(configured: Option<&Path>) -> Result<PathBuf, engine::LibraryError> {
    engine::find_onnxruntime(configured).map(|path| path.canonicalize().unwrap_or(path))
}

fn print(findings: &Diagnosis) {
    match &findings.gpus {
        Found::Absent { reason } => println!("GPU           none: {reason}"),
        Found::Here(gpus) => gpus.iter().for_each(print_gpu),
    }
    let (driver, needed) = (findings.driver.as_deref().unwrap_or("none"), findings.needed_driver);
    println!("driver        {driver}; a GPU needs {needed} or newer");
    match &findings.tensorrt {
        Found::Absent { reason } => println!("TensorRT      none: {reason}"),
        Found::Here(version) => println!("TensorRT      {version}"),
    }
    match &findings.onnxruntime_library {
        Found::Absent { reason } => println!("ONNX Runtime  none: {reason}"),
        Found::Here(path) => println!("ONNX Runtime  {}", path.display()),
    }
    println!("model         {}: {}", findings.model, findings.model_source);
    match &findings.shadow_model {
        None => {}
        Some(Found::Absent { reason }) => println!("shadow model  none: {reason}"),
        Some(Found::Here(model)) => println!("shadow model  {model}"),
    }
    println!();
    for check in &findings.engines {
        match &check.state {
            EngineState::Absent { reason } => println!("{:12}  absent: {reason}", check.engine),
            EngineState::Failed { reason } => println!("{:12}  failed: {reason}", check.engine),
            EngineState::Ran(run) => println!("{:12}  runs, {:.1} ms a window", check.engine, run.window_ms.p50),
        }
    }
    match &findings.serves {
        Found::Here(engine) => println!("\nThe {engine} engine serves."),
        Found::Absent { reason } => println!("\nNo engine serves: {reason}"),
    }
}

fn print_gpu(gpu: &Gpu) {
    let (major, minor) = gpu.compute_capability;
    println!(
        "GPU           {}, {:.1} GB, compute capability {major}.{minor}; its driver knows CUDA {}",
        gpu.name,
        gpu.memory_bytes as f64 / 1e9,
        engine::cuda_version(gpu.driver_cuda)
    );
}
