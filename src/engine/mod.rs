//! Engines run a model on windows. On the CPU there is one trait and one engine a file; on a GPU the model alone
//! ([`DeviceModel`]), which reads and writes where the kernels do.

#[cfg(feature = "cuda")]
mod device_model;
mod embedded;
mod folders;
mod gpu;
mod kind;
mod model;
mod onnxruntime;
mod package;
mod self_test;
#[cfg(feature = "tensorrt")]
pub(crate) mod tensorrt;

#[cfg(feature = "cuda")]
pub use device_model::{Address, DeviceModel, Failure};
pub use embedded::EmbeddedEngine;
pub use folders::{BUILT_IN, ListedPackage, ModelFolders};
pub use gpu::{Gpu, GpuProbe, NEEDED_DRIVER, NoGpu, PROBE_COMMAND, cuda_version, gpus_here, nvidia_driver};
pub use kind::EngineKind;
pub use model::{fits, operations_per_window};
#[cfg(feature = "cuda")]
pub(crate) use onnxruntime::session as onnxruntime_session;
pub use onnxruntime::{LibraryError, OnnxRuntimeEngine, find_library as find_onnxruntime};
pub use package::{
    CaseHead, HalfPrecision, LesionHead, Manifest, ModelPackage, OperatingPoint, OutputNames, PackageError,
};
pub use self_test::{SelfTest, WindowPictureError, png_of, self_test, window_of};
#[cfg(feature = "tensorrt")]
pub use tensorrt::version as tensorrt_version;

use crate::preprocess::Window;

/// What the model says of a window's centre slab, before any threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Inference {
    /// Lung probability, row by row in the window's plane.
    pub lung: Vec<f32>,
    /// Lesion probability, row by row in the window's plane.
    pub lesion: Vec<f32>,
    pub attention: f32,
    pub logit: f32,
}

/// Why an engine cannot serve or gave no evidence.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the {engine} engine cannot load {model}: {reason}")]
    Load { engine: &'static str, model: String, reason: String },
    #[error("the model {model} cannot serve: {reason}")]
    Model { model: String, reason: String },
    #[error("the {engine} engine is not here: {reason}")]
    Absent { engine: &'static str, reason: String },
    #[error("TensorRT has no plan of this package for this GPU and version yet: tableside model build makes it")]
    NoPlan,
    #[error("the {engine} engine does not pass the package's self-test: {reason}")]
    SelfTest { engine: &'static str, reason: String },
    #[error("the {engine} engine failed: {reason}")]
    Run { engine: &'static str, reason: String },
    #[error("the {engine} engine's output {output} has {found} values, expected {expected}")]
    Shape { engine: &'static str, output: String, found: usize, expected: usize },
    #[error("the {engine} engine's output {output} is not a number: the evidence is worthless")]
    NotFinite { engine: &'static str, output: String },
}

/// The version of the TensorRT that is here.
///
/// # Errors
/// This program was built without TensorRT.
#[cfg(not(feature = "tensorrt"))]
pub fn tensorrt_version() -> Result<String, EngineError> {
    let reason = "this program was built without the feature tensorrt".to_owned();
    Err(EngineError::Absent { engine: EngineKind::TensorRt.name(), reason })
}

/// One window in, the evidence of its centre slab out. The same window gives the same bits every time.
pub trait Engine: Send {
    /// The engine's name in reports, metrics and the configuration.
    fn name(&self) -> &'static str;

    /// Runs the model on one window.
    ///
    /// # Errors
    /// If the engine fails or an output has the wrong size or is not finite.
    fn infer(&mut self, window: &Window) -> Result<Inference, EngineError>;
}

/// Puts the raw outputs together once their sizes and values are right. `outputs` in the order lung, lesion, attention, logit.
pub(crate) fn checked(
    engine: &'static str,
    names: &OutputNames,
    plane_len: usize,
    outputs: [&[f32]; 4],
) -> Result<Inference, EngineError> {
    let [lung, lesion, attention, logit] = outputs;
    let expected_lengths = [
        (&names.lung, lung, plane_len),
        (&names.lesion, lesion, plane_len),
        (&names.attention, attention, 1),
        (&names.logit, logit, 1),
    ];
    for (output, values, expected) in expected_lengths {
        if values.len() != expected {
            return Err(EngineError::Shape { engine, output: output.clone(), found: values.len(), expected });
        }
        if !values.iter().all(|value| value.is_finite()) {
            return Err(EngineError::NotFinite { engine, output: output.clone() });
        }
    }
    Ok(Inference { lung: lung.to_vec(), lesion: lesion.to_vec(), attention: attention[0], logit: logit[0] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> OutputNames {
        ModelPackage::built_in().unwrap().manifest.outputs
    }

    #[test]
    fn an_output_that_is_not_a_number_is_an_error_and_not_evidence() {
        let plane = [0.5_f32; 4];
        let error = checked("test", &names(), 4, [&plane, &[0.0, f32::NAN, 0.0, 0.0], &[1.0], &[1.0]]).unwrap_err();
        assert!(matches!(error, EngineError::NotFinite { output, .. } if output == "lesion"));
    }

    #[test]
    fn an_output_of_the_wrong_size_is_an_error() {
        let plane = [0.5_f32; 4];
        let error = checked("test", &names(), 4, [&plane, &plane[..3], &[1.0], &[1.0]]).unwrap_err();
        assert!(matches!(error, EngineError::Shape { found: 3, expected: 4, .. }));
    }
}
