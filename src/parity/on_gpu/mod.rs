//! What only a machine with a GPU can show, in one run: whether the kernels give the CPU's bits there and how fast, how long windows
//! take, whether exams come to the same verdict, and whether the GPU's memory stays as it is.

mod bandwidth;
mod exams;
mod kernels;
mod latency;
mod memory;
#[cfg(test)]
mod on_cpu_tests;
mod table;
mod whole;

use std::path::PathBuf;

use table::Report;
pub use table::{Holds, Row, TABLE_HEAD};

use super::kernels::{Agreement, KernelComparison, KernelError, evidence_agrees, slices_agree, windows_agree};
use super::phantom_exam;
use crate::config::Config;
use crate::engine::{self, Engine, EngineError, EngineKind, Gpu, ModelPackage};
use crate::gpu::{AcceleratorEngine, Device, DevicePipeline, Failure};
use crate::scanner::series::load_folder;
use crate::serving::choice;
use exams::{ExamSlices, compare};

/// Random inputs on which each kernel is compared with the CPU.
const SEEDS: u64 = 60;

/// Slabs on the GPU: those of any exam.
const SLABS: usize = 1024;

/// How far the case probability may lie from the CPU engine's.
const PROBABILITY_TOLERANCE: f64 = 0.01;

/// The check on the first of these GPUs. Exams are those in the folders, or the phantom. Reports each row as soon as it is known and
/// returns those that do not hold.
pub fn check(
    gpus: &[Gpu],
    config: &Config,
    package: &ModelPackage,
    folders: &[PathBuf],
    tell: &mut dyn FnMut(&Row),
) -> Vec<Row> {
    let mut report = Report::new(gpus, config, package, tell);
    run(&mut report, config, package, folders);
    report.into_faults()
}

fn run(report: &mut Report<'_>, config: &Config, package: &ModelPackage, folders: &[PathBuf]) {
    let device = match Device::open() {
        Ok(device) => device,
        Err(error) => {
            return report.failed("kernels loaded", &error);
        }
    };
    kernels_agree(report, &device, package);
    if let Err(error) = bandwidth::measure(report, &device, package) {
        report.failed("bandwidth", error.as_ref());
    }
    let exams = exams(report, package, folders);
    let cpu = on_cpu(config, package);
    let mut cpu = match cpu {
        Ok(cpu) => cpu,
        Err(error) => {
            return report.failed("engine on the CPU", &error);
        }
    };
    let mut any = false;
    for kind in EngineKind::ALL.into_iter().filter(|kind| kind.needs_gpu()) {
        let on_device = OnDevice { config, package, device: &device, name: kind.name(), exams: &exams };
        let ran = engine(kind, config, package).and_then(|engine| {
            engine.run(package, &device, |model| {
                let mut pipeline = DevicePipeline::new(&device, model, &package.manifest, SLABS)?;
                on_device.measure(report, &mut pipeline, cpu.as_mut());
                Ok(())
            })?;
            folders.iter().try_for_each(|folder| whole::measure(report, engine.clone(), package, config, folder))
        });
        match ran {
            Ok(()) => any = true,
            Err(error) if is_absent(error.as_ref()) => report.note(kind.name(), &error.to_string()),
            Err(error) => report.failed(kind.name(), error.as_ref()),
        }
    }
    report.row("an engine ran on the GPU", if any { "yes" } else { "no" }, "yes", Holds::from(any));
}

/// The engine that the GPU's are compared with.
fn on_cpu(config: &Config, package: &ModelPackage) -> Result<Box<dyn Engine>, EngineError> {
    let load = |kind| choice::load(package, kind, &config.engine);
    load(EngineKind::OnnxRuntime).or_else(|_| load(EngineKind::Embedded))
}

/// TensorRT's plan is built here: its time is no part of the check, and none need be kept.
fn engine(kind: EngineKind, config: &Config, package: &ModelPackage) -> Result<AcceleratorEngine, Failure> {
    engine::fits(package)?;
    match kind {
        #[cfg(feature = "tensorrt")]
        EngineKind::TensorRt => Ok(AcceleratorEngine::TensorRt { plan: engine::tensorrt::plan(package)? }),
        EngineKind::Cuda => Ok(AcceleratorEngine::OnnxRuntime { library: config.engine.onnxruntime_library.clone() }),
        _ => {
            let reason = format!("this program was built without the feature {}", kind.name());
            Err(EngineError::Absent { engine: kind.name(), reason }.into())
        }
    }
}

fn is_absent(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(EngineError::Absent { .. }))
}

fn kernels_agree(report: &mut Report<'_>, device: &Device, package: &ModelPackage) {
    let comparisons: [(&str, KernelComparison); 3] =
        [("add_slices", slices_agree), ("windows_f32, windows_f16", windows_agree), ("evidence", evidence_agrees)];
    for (kernel, comparison) in comparisons {
        let what = format!("{kernel} against the CPU, bit by bit");
        let all = (0..SEEDS).try_fold(Agreement::default(), |mut all, seed| {
            all.merge(comparison(device, &package.manifest, seed)?);
            Ok::<_, KernelError>(all)
        });
        match all {
            Ok(all) => {
                let found = format!("{} of {} differ, by {} at most", all.different, all.values, all.largest);
                report.row(&what, &found, "none", Holds::from(all.is_exact()));
            }
            Err(error) => report.row(&what, &error.to_string(), "none", Holds::No),
        }
    }
}

/// The exams that can be read; those that cannot are rows.
fn exams(report: &mut Report<'_>, package: &ModelPackage, folders: &[PathBuf]) -> Vec<ExamSlices> {
    let input = &package.manifest.input;
    let mut exams = Vec::new();
    let mut take = |name: String, slices: Result<ExamSlices, Failure>| match slices {
        Ok(slices) => exams.push(slices),
        Err(error) => report.failed(&name, error.as_ref()),
    };
    if folders.is_empty() {
        let phantom = phantom_exam().map_err(Failure::from);
        take("phantom".to_owned(), phantom.and_then(|all| ExamSlices::of("phantom".to_owned(), &all, input)));
    }
    for folder in folders {
        let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
        let slices = load_folder(folder).map_err(Failure::from);
        let slices = slices.and_then(|found| ExamSlices::of(name.clone(), &found.instances, input));
        take(name, slices);
    }
    exams
}

/// One engine on the GPU.
struct OnDevice<'a> {
    config: &'a Config,
    package: &'a ModelPackage,
    device: &'a Device,
    name: &'static str,
    exams: &'a [ExamSlices],
}

impl OnDevice<'_> {
    fn measure(&self, report: &mut Report<'_>, pipeline: &mut DevicePipeline<'_>, cpu: &mut dyn Engine) {
        for exam in self.exams {
            let what = format!("{}: {} against the CPU's {}", self.name, exam.name, cpu.name());
            match compare(pipeline, cpu, self.package, self.config, exam) {
                Ok(found) => {
                    let apart = found.probability_apart();
                    let same = found.verdicts.0 == found.verdicts.1 && apart <= PROBABILITY_TOLERANCE;
                    let holds = same && found.uploaded == 0;
                    let goal = format!("same verdict, within {PROBABILITY_TOLERANCE}, no sum uploaded");
                    report.row(&what, &found.to_string(), &goal, Holds::from(holds));
                }
                Err(error) => report.failed(&what, error.as_ref()),
            }
        }
        let Some(exam) = self.exams.first() else { return };
        if let Err(error) = latency::measure(report, self.name, self.device, pipeline, exam) {
            report.failed(&format!("{}: latency", self.name), error.as_ref());
        }
        if let Err(error) = memory::measure(report, self.name, self.device, pipeline, exam) {
            report.failed(&format!("{}: memory", self.name), error.as_ref());
        }
    }
}
