//! Engines: what turns a window into the evidence of its centre slab. One trait, one engine a file; the caller does not
//! know which one serves.

mod embedded;
mod folders;
mod network;
mod onnxruntime;
mod package;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use embedded::EmbeddedEngine;
pub use folders::{BUILT_IN, ListedPackage, ModelFolders};
pub use network::{fits, operations_per_window};
pub use onnxruntime::OnnxRuntimeEngine;
pub use package::{CaseHead, Manifest, ModelPackage, OperatingPoint, OutputNames, PackageError};

use crate::preprocess::Window;

/// What the network says of a window's centre slab, before any threshold.
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
    #[error("the network of {model} cannot serve: {reason}")]
    Network { model: String, reason: String },
    #[error("the ONNX Runtime cannot be used: {0}")]
    Library(String),
    #[error("the {engine} engine failed on a window: {reason}")]
    Run { engine: &'static str, reason: String },
    #[error("the {engine} engine's output {output} has {found} values, expected {expected}")]
    Shape { engine: &'static str, output: String, found: usize, expected: usize },
    #[error("the {engine} engine's output {output} is not a number: the evidence is worthless")]
    NotFinite { engine: &'static str, output: String },
}

/// One window in, the evidence of its centre slab out. The same window gives the same bits every time.
pub trait Engine: Send {
    /// The engine's name in reports, metrics and the configuration.
    fn name(&self) -> &'static str;

    /// Runs the network on one window.
    ///
    /// # Errors
    /// If the engine fails or an output has the wrong size or is not finite.
    fn infer(&mut self, window: &Window) -> Result<Inference, EngineError>;
}

/// Which engine the configuration asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub enum EngineChoice {
    /// The ONNX Runtime where its library is found, the embedded engine elsewhere.
    #[default]
    Auto,
    Embedded,
    OnnxRuntime,
}

/// How to choose and load an engine.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    pub choice: EngineChoice,
    /// The ONNX Runtime's library; where absent, the usual places are searched.
    pub onnxruntime_library: Option<PathBuf>,
    /// Threads of one inference; 0 takes one for each core.
    pub threads: usize,
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

/// Loads the engine that `options` asks for and lets it judge one empty window.
///
/// # Errors
/// If the package's network is not what its manifest says, or the engine asked for by name cannot serve; with
/// [`EngineChoice::Auto`] only if no engine can.
pub fn load(package: &ModelPackage, options: &EngineOptions) -> Result<Box<dyn Engine>, EngineError> {
    network::fits(package)?;
    let threads = options.inference_threads();
    let mut engine: Box<dyn Engine> = match options.choice {
        EngineChoice::Embedded => Box::new(EmbeddedEngine::load(package, threads)?),
        EngineChoice::OnnxRuntime => {
            Box::new(OnnxRuntimeEngine::load(package, options.onnxruntime_library.as_deref(), threads)?)
        }
        EngineChoice::Auto => match OnnxRuntimeEngine::load(package, options.onnxruntime_library.as_deref(), threads) {
            Ok(engine) => Box::new(engine),
            Err(reason) => {
                tracing::info!(%reason, "the embedded engine serves");
                Box::new(EmbeddedEngine::load(package, threads)?)
            }
        },
    };
    engine.infer(&Window::empty(&package.manifest.input))?;
    Ok(engine)
}

/// Puts the raw outputs together once their sizes and values are right. `outputs` in the order lung, lesion, attention, logit.
fn checked(
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

    #[test]
    fn auto_serves_without_the_onnx_runtime() {
        let package = ModelPackage::built_in().unwrap();
        let options =
            EngineOptions { onnxruntime_library: Some("/nonexistent/libonnxruntime.so".into()), ..Default::default() };
        assert_eq!(load(&package, &options).unwrap().name(), "embedded");
        let by_name = EngineOptions { choice: EngineChoice::OnnxRuntime, ..options };
        assert!(load(&package, &by_name).is_err());
    }
}
