//! Which engine serves: the one that the configuration names, or the fastest that is here and passes the package's
//! self-test.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Serving;
use super::circuit_breaker::LoadAccelerator;
use super::pending_accelerator::{PendingAccelerator, pending_accelerator};
#[cfg(feature = "cuda")]
use crate::engine::Gpu;
#[cfg(feature = "tensorrt")]
use crate::engine::tensorrt::{self, KeptPlan};
use crate::engine::{
    EmbeddedEngine, Engine, EngineError, EngineKind, GpuProbe, ModelPackage, OnnxRuntimeEngine, fits, self_test,
};
#[cfg(feature = "cuda")]
use crate::gpu::{AcceleratorEngine, AcceleratorThread};
use crate::inference::{Accelerator, accelerator_test};
use crate::preprocess::Window;

/// Slabs on an accelerator that serves: sixteen exams of 384 mm in slabs of 3 mm, half a gigabyte.
const SLABS: usize = 2048;
/// Slabs on an accelerator that is asked for single windows: those of its test.
const FEW_SLABS: usize = 8;

/// Which engine the configuration asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub enum EngineChoice {
    /// The fastest that is here and passes the package's self-test.
    #[default]
    Auto,
    TensorRt,
    Cuda,
    OnnxRuntime,
    Embedded,
}

impl EngineChoice {
    /// The engine that is asked for by name.
    fn named(self) -> Option<EngineKind> {
        match self {
            Self::Auto => None,
            Self::TensorRt => Some(EngineKind::TensorRt),
            Self::Cuda => Some(EngineKind::Cuda),
            Self::OnnxRuntime => Some(EngineKind::OnnxRuntime),
            Self::Embedded => Some(EngineKind::Embedded),
        }
    }
}

/// How to choose and load an engine.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EngineOptions {
    pub choice: EngineChoice,
    /// The ONNX Runtime's library; where absent, the usual places are searched.
    pub onnxruntime_library: Option<PathBuf>,
    /// Threads of one inference; 0 takes one for each core.
    pub threads: usize,
    /// How to look for a GPU; without it no engine that needs one is tried.
    pub gpu_probe: Option<GpuProbe>,
    /// Where TensorRT's plans are kept; without it TensorRT does not serve.
    pub plans: Option<PathBuf>,
    /// Build a plan that is missing while another engine serves: for who runs on, since the engine changes in between.
    pub build_plans: bool,
}

impl EngineOptions {
    /// How many threads one inference has.
    #[must_use]
    pub fn inference_threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }
}

/// Finds the engine that serves: each candidate is loaded and held against the package's self-test.
///
/// # Errors
/// If the package's model is not what its manifest says, or the engine asked for by name cannot serve; with
/// [`EngineChoice::Auto`] only if no engine can.
pub fn serving(package: &ModelPackage, options: &EngineOptions) -> Result<Serving, EngineError> {
    let search = Search { package, options };
    match options.choice.named() {
        Some(kind) => search.serve(kind),
        None => search.fastest(),
    }
}

struct Search<'a> {
    package: &'a ModelPackage,
    options: &'a EngineOptions,
}

impl Search<'_> {
    fn fastest(&self) -> Result<Serving, EngineError> {
        let [faster @ .., last] = EngineKind::ALL;
        for kind in faster.into_iter().filter(|kind| kind.is_built()) {
            match self.serve(kind) {
                Ok(serving) => return Ok(serving),
                Err(reason) => tracing::info!(engine = kind.name(), %reason, "a faster engine does not serve"),
            }
        }
        self.serve(last)
    }

    fn serve(&self, kind: EngineKind) -> Result<Serving, EngineError> {
        if !kind.needs_gpu() {
            return Serving::new(self.package, None, None, self.on_cpu(kind)?);
        }
        let (accelerator, pending) = match load_accelerator(self.package, kind, self.options, SLABS) {
            Ok(accelerator) => (Some(accelerator), None),
            Err(EngineError::NoPlan) if self.options.build_plans => {
                let meanwhile = load_accelerator(self.package, EngineKind::Cuda, self.options, SLABS);
                if let Err(reason) = &meanwhile {
                    tracing::info!(engine = EngineKind::Cuda.name(), %reason, "a faster engine does not serve");
                }
                (meanwhile.ok(), Some(self.build()))
            }
            Err(error) => return Err(error),
        };
        let cpu = self.on_cpu(EngineKind::OnnxRuntime).or_else(|_| self.on_cpu(EngineKind::Embedded))?;
        Ok(Serving::new(self.package, accelerator, pending, cpu)?.with_retry(self.load_again()))
    }

    fn on_cpu(&self, kind: EngineKind) -> Result<Box<dyn Engine>, EngineError> {
        load(self.package, kind, self.options)
    }

    /// Builds TensorRT's plan in a thread of its own.
    fn build(&self) -> PendingAccelerator {
        let (package, options) = (self.package.clone(), self.options.clone());
        tracing::info!("TensorRT builds its plan for this accelerator; another engine serves meanwhile");
        pending_accelerator(move || {
            build_plan(&package, &options)?;
            load_accelerator(&package, EngineKind::TensorRt, &options, SLABS)
        })
    }

    /// Loads an accelerator again as at the start: the fastest that passes the self-test, from the one asked for by name on.
    fn load_again(&self) -> LoadAccelerator {
        let (package, options) = (self.package.clone(), self.options.clone());
        Arc::new(move || {
            let named = options.choice.named();
            let candidates = EngineKind::ALL.into_iter().filter(|kind| kind.needs_gpu() && kind.is_built());
            let mut last = EngineError::NoPlan;
            for kind in candidates.skip_while(|kind| named.is_some_and(|named| named != *kind)) {
                match load_accelerator(&package, kind, &options, SLABS) {
                    Ok(accelerator) => return Ok(accelerator),
                    Err(error) => last = error,
                }
            }
            Err(last)
        })
    }
}

/// Loads one engine and holds it against the package's self-test.
///
/// # Errors
/// If it is not on this machine, cannot load the package, fails, or says anything but what the package names.
pub fn load(package: &ModelPackage, kind: EngineKind, options: &EngineOptions) -> Result<Box<dyn Engine>, EngineError> {
    fits(package)?;
    let (threads, library) = (options.inference_threads(), options.onnxruntime_library.as_deref());
    let mut engine: Box<dyn Engine> = match kind {
        EngineKind::TensorRt | EngineKind::Cuda => {
            let accelerator = load_accelerator(package, kind, options, FEW_SLABS)?;
            return Ok(accelerator);
        }
        EngineKind::OnnxRuntime => Box::new(OnnxRuntimeEngine::load(package, library, threads)?),
        EngineKind::Embedded => Box::new(EmbeddedEngine::load(package, threads)?),
    };
    engine.infer(&Window::empty(&package.manifest.input))?;
    self_test(engine.as_mut(), package)?;
    Ok(engine)
}

/// Loads the fastest engine on the CPU that is here and passes the package's self-test, or the one that is asked for by name.
///
/// # Errors
/// If there is none.
pub fn on_cpu(package: &ModelPackage, options: &EngineOptions) -> Result<Box<dyn Engine>, EngineError> {
    match options.choice.named().filter(|kind| !kind.needs_gpu()) {
        Some(kind) => load(package, kind, options),
        None => {
            load(package, EngineKind::OnnxRuntime, options).or_else(|_| load(package, EngineKind::Embedded, options))
        }
    }
}

/// Opens the first accelerator, loads a package's model there, and checks both with the self-test.
fn load_accelerator(
    package: &ModelPackage,
    kind: EngineKind,
    options: &EngineOptions,
    slabs: usize,
) -> Result<Box<dyn Accelerator>, EngineError> {
    let mut accelerator = open_accelerator(package, kind, options, slabs)?;
    accelerator_test(accelerator.as_mut(), package)?;
    Ok(accelerator)
}

/// The first GPU that there is, on which engines run.
#[cfg(feature = "cuda")]
fn gpu(kind: EngineKind, package: &ModelPackage, options: &EngineOptions) -> Result<Gpu, EngineError> {
    let absent = |reason: String| EngineError::Absent { engine: kind.name(), reason };
    if package.manifest.self_test.is_none() {
        return Err(absent("the package has no self-test to hold a GPU against: see tableside model pin".to_owned()));
    }
    let probe = options.gpu_probe.as_ref().ok_or_else(|| absent("no GPU was looked for".to_owned()))?;
    probe
        .gpus()
        .map_err(|reason| absent(reason.to_string()))?
        .into_iter()
        .next()
        .ok_or_else(|| absent("there is no GPU".to_owned()))
}

/// Builds TensorRT's plan of a package for the accelerator that is here, and returns its file.
///
/// # Errors
/// If there is no GPU or no TensorRT, it refuses the model, or the plan cannot be kept.
#[cfg(feature = "tensorrt")]
pub fn build_plan(package: &ModelPackage, options: &EngineOptions) -> Result<PathBuf, EngineError> {
    let gpu = gpu(EngineKind::TensorRt, package, options)?;
    tensorrt::build_plan(package, &gpu, plans(options)?)
}

#[cfg(feature = "tensorrt")]
fn plans(options: &EngineOptions) -> Result<&std::path::Path, EngineError> {
    let missing = || EngineError::Absent { engine: "tensorrt", reason: "there is no folder for its plans".to_owned() };
    options.plans.as_deref().ok_or_else(missing)
}

/// Builds TensorRT's plan of a package for the accelerator that is here, and returns its file.
///
/// # Errors
/// This program was built without TensorRT.
#[cfg(not(feature = "tensorrt"))]
pub fn build_plan(_: &ModelPackage, _: &EngineOptions) -> Result<PathBuf, EngineError> {
    Err(built_without("tensorrt"))
}

#[cfg(feature = "cuda")]
fn open_accelerator(
    package: &ModelPackage,
    kind: EngineKind,
    options: &EngineOptions,
    slabs: usize,
) -> Result<Box<dyn Accelerator>, EngineError> {
    let gpu = gpu(kind, package, options)?;
    if kind == EngineKind::TensorRt {
        return tensorrt(package, &gpu, options, slabs);
    }
    let engine = AcceleratorEngine::OnnxRuntime { library: options.onnxruntime_library.clone() };
    Ok(Box::new(AcceleratorThread::open(engine, package, slabs)?))
}

#[cfg(feature = "tensorrt")]
fn tensorrt(
    package: &ModelPackage,
    gpu: &Gpu,
    options: &EngineOptions,
    slabs: usize,
) -> Result<Box<dyn Accelerator>, EngineError> {
    let (kept, plan) = KeptPlan::read(package, gpu, plans(options)?)?;
    match AcceleratorThread::open(AcceleratorEngine::TensorRt { plan }, package, slabs) {
        Ok(accelerator) => Ok(Box::new(accelerator)),
        Err(reason @ EngineError::Load { .. }) => Err(kept.refused(&reason)),
        Err(error) => Err(error),
    }
}

#[cfg(all(feature = "cuda", not(feature = "tensorrt")))]
fn tensorrt(_: &ModelPackage, _: &Gpu, _: &EngineOptions, _: usize) -> Result<Box<dyn Accelerator>, EngineError> {
    Err(built_without("tensorrt"))
}

#[cfg(not(feature = "cuda"))]
fn open_accelerator(
    _: &ModelPackage,
    kind: EngineKind,
    _: &EngineOptions,
    _: usize,
) -> Result<Box<dyn Accelerator>, EngineError> {
    Err(built_without(kind.name()))
}

/// An engine has the name of the feature that it needs.
#[cfg(not(all(feature = "cuda", feature = "tensorrt")))]
fn built_without(engine: &'static str) -> EngineError {
    EngineError::Absent { engine, reason: format!("this program was built without the feature {engine}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_serves_without_the_onnx_runtime() {
        let package = ModelPackage::built_in().unwrap();
        let options =
            EngineOptions { onnxruntime_library: Some("/nonexistent/libonnxruntime.so".into()), ..Default::default() };
        assert_eq!(serving(&package, &options).unwrap().name(), "embedded");
        let by_name = EngineOptions { choice: EngineChoice::OnnxRuntime, ..options };
        assert!(serving(&package, &by_name).is_err());
    }
}
