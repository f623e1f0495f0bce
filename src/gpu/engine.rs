//! A package's model on the GPU, whichever engine runs it.

use std::path::PathBuf;

use super::{Device, onnxruntime};
use crate::engine::{DeviceModel, EngineKind, Failure, ModelPackage};

/// The engine that runs a package's model on the GPU.
#[derive(Debug, Clone)]
pub enum AcceleratorEngine {
    /// With a plan that TensorRT built for this GPU.
    #[cfg(feature = "tensorrt")]
    TensorRt { plan: Vec<u8> },
    /// By the library that is configured, or one in the usual places.
    OnnxRuntime { library: Option<PathBuf> },
}

impl AcceleratorEngine {
    #[must_use]
    pub fn kind(&self) -> EngineKind {
        match self {
            #[cfg(feature = "tensorrt")]
            Self::TensorRt { .. } => EngineKind::TensorRt,
            Self::OnnxRuntime { .. } => EngineKind::Cuda,
        }
    }

    /// Runs `work` with a package's model on this device. TensorRT's objects borrow from each other on the stack, so that they
    /// live as long as the work does.
    ///
    /// # Errors
    /// If the engine is not here, refuses the package, or the work fails.
    pub fn run<R>(
        &self,
        package: &ModelPackage,
        device: &Device,
        work: impl FnOnce(&mut dyn DeviceModel) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        match self {
            #[cfg(feature = "tensorrt")]
            Self::TensorRt { plan } => {
                crate::engine::tensorrt::with_plan(plan, package, device.stream(), |model| work(model))
            }
            Self::OnnxRuntime { library } => {
                work(&mut onnxruntime::BoundSession::load(package, library.as_deref(), device.stream())?)
            }
        }
    }
}
