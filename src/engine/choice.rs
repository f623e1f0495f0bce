//! Which engine serves: the one that the configuration names, or the fastest that is here and passes the package's self-test.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::gpu::{Gpu, GpuProbe};
use super::standby::{Coming, EngineState, Standby};
use super::{EmbeddedEngine, Engine, EngineError, ModelPackage, OnnxRuntimeEngine, network, self_test};
use crate::preprocess::Window;

/// An engine that a program can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// NVIDIA TensorRT.
    TensorRt,
    /// The ONNX Runtime on an NVIDIA GPU.
    Cuda,
    /// The ONNX Runtime on the CPU.
    OnnxRuntime,
    /// `rten`, part of the program.
    Embedded,
}

impl EngineKind {
    /// Fastest first.
    pub const ALL: [Self; 4] = [Self::TensorRt, Self::Cuda, Self::OnnxRuntime, Self::Embedded];

    /// Its name in reports, metrics and the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TensorRt => "tensorrt",
            Self::Cuda => "cuda",
            Self::OnnxRuntime => "onnxruntime",
            Self::Embedded => "embedded",
        }
    }

    #[must_use]
    pub fn needs_gpu(self) -> bool {
        matches!(self, Self::TensorRt | Self::Cuda)
    }

    /// Whether this program was built with it.
    #[must_use]
    pub fn is_built(self) -> bool {
        match self {
            Self::TensorRt => cfg!(feature = "tensorrt"),
            Self::Cuda => cfg!(feature = "cuda"),
            Self::OnnxRuntime | Self::Embedded => true,
        }
    }
}

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
#[derive(Debug, Clone, Default)]
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

/// The engine that serves.
pub struct Serving {
    pub engine: Box<dyn Engine>,
    /// Which engine that is at present.
    pub state: EngineState,
}

/// Finds the engine that serves: each candidate is loaded and held against the package's self-test.
///
/// # Errors
/// If the package's network is not what its manifest says, or the engine asked for by name cannot serve; with
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
        match self.load(kind) {
            Ok(engine) if kind.needs_gpu() => self.with_standby(Some(engine), None),
            Ok(engine) => {
                let state = EngineState::new(engine.name(), &self.package.title());
                Ok(Serving { engine, state })
            }
            Err(EngineError::NoPlan) if self.options.build_plans => {
                self.with_standby(self.load(EngineKind::Cuda).ok(), Some(self.build()))
            }
            Err(error) => Err(error),
        }
    }

    fn with_standby(&self, first: Option<Box<dyn Engine>>, coming: Option<Coming>) -> Result<Serving, EngineError> {
        let cpu = self.load(EngineKind::OnnxRuntime).or_else(|_| self.load(EngineKind::Embedded))?;
        let name = first.as_ref().map_or(cpu.name(), |engine| engine.name());
        let state = EngineState::new(name, &self.package.title());
        let engine = Box::new(Standby::new(first, coming, cpu, state.clone()));
        Ok(Serving { engine, state })
    }

    fn load(&self, kind: EngineKind) -> Result<Box<dyn Engine>, EngineError> {
        load(self.package, kind, self.options)
    }

    /// Builds TensorRT's plan in a thread of its own.
    fn build(&self) -> Coming {
        let (built, coming) = crossbeam_channel::bounded(1);
        let (package, options) = (self.package.clone(), self.options.clone());
        tracing::info!("TensorRT builds its plan for this card; another engine serves meanwhile");
        std::thread::spawn(move || {
            let engine = build_plan(&package, &options).and_then(|_| load(&package, EngineKind::TensorRt, &options));
            // Nobody waits for it any more where the daemon has stopped.
            let _ = built.send(engine);
        });
        coming
    }
}

/// Loads one engine and holds it against the package's self-test.
///
/// # Errors
/// If it is not on this machine, cannot load the package, fails, or says anything but what the package names.
pub fn load(package: &ModelPackage, kind: EngineKind, options: &EngineOptions) -> Result<Box<dyn Engine>, EngineError> {
    network::fits(package)?;
    let (threads, library) = (options.inference_threads(), options.onnxruntime_library.as_deref());
    let mut engine: Box<dyn Engine> = match kind {
        EngineKind::TensorRt => tensorrt(package, &gpu(kind, package, options)?, options)?,
        EngineKind::Cuda => {
            gpu(kind, package, options)?;
            cuda(package, options)?
        }
        EngineKind::OnnxRuntime => Box::new(OnnxRuntimeEngine::load(package, library, threads)?),
        EngineKind::Embedded => Box::new(EmbeddedEngine::load(package, threads)?),
    };
    engine.infer(&Window::empty(&package.manifest.input))?;
    self_test(engine.as_mut(), package)?;
    Ok(engine)
}

/// The first GPU that there is, on which engines run.
fn gpu(kind: EngineKind, package: &ModelPackage, options: &EngineOptions) -> Result<Gpu, EngineError> {
    let absent = |reason: String| EngineError::Absent { engine: kind.name(), reason };
    if package.manifest.self_test.is_none() {
        return Err(absent("the package has no self-test to hold a GPU against: see tableside model pin".to_owned()));
    }
    let probe = options.gpu_probe.as_ref().ok_or_else(|| absent("no GPU was looked for".to_owned()))?;
    probe.gpus().map_err(absent)?.into_iter().next().ok_or_else(|| absent("there is no GPU".to_owned()))
}

/// Builds TensorRT's plan of a package for the card that is here, and returns its file.
///
/// # Errors
/// If there is no GPU or no TensorRT, it refuses the network, or the plan cannot be kept.
#[cfg(feature = "tensorrt")]
pub fn build_plan(package: &ModelPackage, options: &EngineOptions) -> Result<PathBuf, EngineError> {
    let gpu = gpu(EngineKind::TensorRt, package, options)?;
    super::tensorrt::build_plan(package, &gpu, plans(options)?)
}

#[cfg(feature = "tensorrt")]
fn tensorrt(package: &ModelPackage, gpu: &Gpu, options: &EngineOptions) -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(super::tensorrt::TensorRtEngine::load(package, gpu, plans(options)?)?))
}

#[cfg(feature = "tensorrt")]
fn plans(options: &EngineOptions) -> Result<&std::path::Path, EngineError> {
    let missing = || EngineError::Absent { engine: "tensorrt", reason: "there is no folder for its plans".to_owned() };
    options.plans.as_deref().ok_or_else(missing)
}

/// Builds TensorRT's plan of a package for the card that is here, and returns its file.
///
/// # Errors
/// This program was built without TensorRT.
#[cfg(not(feature = "tensorrt"))]
pub fn build_plan(_: &ModelPackage, _: &EngineOptions) -> Result<PathBuf, EngineError> {
    Err(built_without("tensorrt"))
}

#[cfg(not(feature = "tensorrt"))]
fn tensorrt(_: &ModelPackage, _: &Gpu, _: &EngineOptions) -> Result<Box<dyn Engine>, EngineError> {
    Err(built_without("tensorrt"))
}

#[cfg(feature = "cuda")]
fn cuda(package: &ModelPackage, options: &EngineOptions) -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(OnnxRuntimeEngine::load_on_gpu(package, options.onnxruntime_library.as_deref())?))
}

#[cfg(not(feature = "cuda"))]
fn cuda(_: &ModelPackage, _: &EngineOptions) -> Result<Box<dyn Engine>, EngineError> {
    Err(built_without("cuda"))
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
        assert_eq!(serving(&package, &options).unwrap().engine.name(), "embedded");
        let by_name = EngineOptions { choice: EngineChoice::OnnxRuntime, ..options };
        assert!(serving(&package, &by_name).is_err());
    }
}
