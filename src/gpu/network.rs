//! A package's network on the card, whichever engine runs it.

use super::{Device, onnxruntime};
use crate::engine::{DeviceNetwork, EngineError, EngineKind, EngineOptions, Failure, ModelPackage, network_fits};

/// Runs `work` with a package's network on this device. TensorRT's objects borrow from each other on the stack, so that they live as
/// long as the work does.
///
/// # Errors
/// If the engine is not here, refuses the package, or the work fails.
pub fn with_network<R>(
    kind: EngineKind,
    package: &ModelPackage,
    options: &EngineOptions,
    device: &Device,
    work: impl FnOnce(&mut dyn DeviceNetwork) -> Result<R, Failure>,
) -> Result<R, Failure> {
    network_fits(package)?;
    match kind {
        EngineKind::TensorRt => on_tensorrt(package, device, work),
        EngineKind::Cuda => {
            let library = options.onnxruntime_library.as_deref();
            work(&mut onnxruntime::BoundSession::load(package, library, device.stream())?)
        }
        EngineKind::OnnxRuntime | EngineKind::Embedded => {
            Err(EngineError::Absent { engine: kind.name(), reason: "it runs on the CPU".to_owned() }.into())
        }
    }
}

#[cfg(feature = "tensorrt")]
fn on_tensorrt<R>(
    package: &ModelPackage,
    device: &Device,
    work: impl FnOnce(&mut dyn DeviceNetwork) -> Result<R, Failure>,
) -> Result<R, Failure> {
    crate::engine::with_tensorrt(package, device.stream(), |network| work(network))
}

#[cfg(not(feature = "tensorrt"))]
fn on_tensorrt<R>(
    _: &ModelPackage,
    _: &Device,
    _: impl FnOnce(&mut dyn DeviceNetwork) -> Result<R, Failure>,
) -> Result<R, Failure> {
    let reason = "this program was built without the feature tensorrt".to_owned();
    Err(EngineError::Absent { engine: EngineKind::TensorRt.name(), reason }.into())
}
