//! NVIDIA TensorRT: builds a plan of the package's model for the very GPU that is there, and runs the model by it.
//!
//! A plan is a cache: it is kept in a file whose name carries the model's checksum, the version that TensorRT's library says it is of, and the GPU, and is
//! built again where one of these differs or TensorRT refuses it. Models are strongly typed in TensorRT 11: it computes in
//! the types that the ONNX file has. So a plan is built from the package's model in half precision where it has one.
//!
//! TensorRT's objects borrow from each other on the stack of whoever runs the model ([`with_plan`]).

mod library;
mod loaded_plan;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cudarc::driver::CudaStream;
use trtx::builder::MemoryPoolType;
use trtx::{Builder, Logger, OnnxParser};

use library::Version;
use loaded_plan::{LoadedPlan, Log, Tensors};

use super::{EngineError, EngineKind, Failure, Gpu, ModelPackage};
use crate::preprocess::Window;

const NAME: &str = EngineKind::TensorRt.name();

/// What a plan may take of the GPU's memory while it is built and run.
const WORKSPACE_BYTES: usize = 1 << 30;

/// The version of the TensorRT that is here.
///
/// # Errors
/// If there is none, or only one of another major version than this program was built for.
pub fn version() -> Result<String, EngineError> {
    library::version().map(|version| version.to_string())
}

/// A plan that was kept.
pub(crate) struct KeptPlan {
    path: PathBuf,
}

impl KeptPlan {
    /// The plan of this package for this GPU, and its bytes.
    ///
    /// # Errors
    /// [`EngineError::NoPlan`] where it has to be built first; else if there is no TensorRT.
    pub(crate) fn read(package: &ModelPackage, gpu: &Gpu, plans: &Path) -> Result<(Self, Vec<u8>), EngineError> {
        let path = plan_path(package, gpu, library::open()?, plans);
        let bytes = std::fs::read(&path).map_err(|_| EngineError::NoPlan)?;
        Ok((Self { path }, bytes))
    }

    /// TensorRT does not take it: it has to be built again.
    pub(crate) fn refused(self, reason: &EngineError) -> EngineError {
        tracing::warn!(%reason, plan = %self.path.display(), "TensorRT refuses its plan: it is built again");
        match std::fs::remove_file(&self.path) {
            Ok(()) => EngineError::NoPlan,
            Err(error) => EngineError::Absent { engine: NAME, reason: format!("{}: {error}", self.path.display()) },
        }
    }
}

/// Builds the plan of a package for a GPU and keeps it; returns its file.
///
/// # Errors
/// If there is no TensorRT, it refuses the model, or the file cannot be written.
pub(crate) fn build_plan(package: &ModelPackage, gpu: &Gpu, plans: &Path) -> Result<PathBuf, EngineError> {
    let plan = plan(package)?;
    let path = plan_path(package, gpu, library::open()?, plans);
    let part = path.with_extension("part");
    let written = std::fs::create_dir_all(plans)
        .and_then(|()| std::fs::write(&part, &plan))
        .and_then(|()| std::fs::rename(&part, &path));
    let load = |reason: String| EngineError::Load { engine: NAME, model: package.title(), reason };
    written.map_err(|error| load(format!("{}: {error}", path.display())))?;
    Ok(path)
}

/// Runs `work` with the model of a plan; all is queued on this stream.
pub(crate) fn with_plan<R>(
    plan: &[u8],
    package: &ModelPackage,
    stream: &Arc<CudaStream>,
    work: impl FnOnce(&mut LoadedPlan<'_>) -> Result<R, Failure>,
) -> Result<R, Failure> {
    library::open()?;
    loaded_plan::with_plan(plan, &Tensors::of(package), stream, work)
}

/// Builds the plan of a package for the GPU that is here.
///
/// # Errors
/// If there is no TensorRT or it refuses the model.
pub(crate) fn plan(package: &ModelPackage) -> Result<Vec<u8>, EngineError> {
    library::open()?;
    let load =
        |error: trtx::Error| EngineError::Load { engine: NAME, model: package.title(), reason: error.to_string() };
    build(package).map_err(load)
}

fn build(package: &ModelPackage) -> trtx::Result<Vec<u8>> {
    let half = package.in_half_precision();
    let package = half.as_ref().unwrap_or(package);
    let logger = Logger::new(Log)?;
    let mut builder = Builder::new(&logger)?;
    let mut parser = OnnxParser::new(builder.create_network(0)?, &logger)?;
    parser.parse(package.weights())?;
    // The file may leave the batch open, a plan does not.
    let shape = Window::empty(&package.manifest.input).shape().map(|n| n as i64);
    let network = parser.network_mut();
    network.input(0)?.set_dimensions(network, &shape);
    let mut config = builder.create_config()?;
    config.set_memory_pool_limit(MemoryPoolType::kWORKSPACE, WORKSPACE_BYTES);
    Ok(builder.build_serialized_network(network, &mut config)?.to_vec())
}

/// The version is that of the library that is here: each refuses plans of another one.
fn plan_path(package: &ModelPackage, gpu: &Gpu, Version(version): Version, plans: &Path) -> PathBuf {
    let name: String = gpu.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let (major, minor) = gpu.compute_capability;
    let half = package.manifest.half_precision.as_ref();
    let model = &half.map_or(&package.manifest.sha256, |half| &half.sha256)[..16];
    plans.join(format!("{model}-tensorrt-{version}-{name}-sm{major}{minor}.plan"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_has_the_name_of_the_model_that_it_is_built_from() {
        let gpu = Gpu { name: "A Card".to_owned(), compute_capability: (8, 9), memory_bytes: 0, driver_cuda: 13000 };
        let name = |package: &ModelPackage| {
            plan_path(package, &gpu, Version(110_402), Path::new("plans")).display().to_string()
        };
        let mut package = ModelPackage::built_in().unwrap();
        let (single, half) = (package.manifest.sha256.clone(), package.in_half_precision().unwrap().manifest.sha256);
        assert!(name(&package).starts_with(&format!("plans/{}-tensorrt-110402-", &half[..16])), "{}", name(&package));
        assert!(name(&package).ends_with("-A-Card-sm89.plan"), "{}", name(&package));
        package.manifest.half_precision = None;
        assert!(name(&package).starts_with(&format!("plans/{}-", &single[..16])), "{}", name(&package));
    }
}
