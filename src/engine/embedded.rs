//! The embedded engine: `rten`, pure Rust, always there.

use std::sync::Arc;

use rten::{Model, NodeId, RunOptions, ThreadPool, ValueView};
use rten_tensor::AsView as _;

use super::{Engine, EngineError, Inference, ModelPackage, OutputNames, checked};
use crate::preprocess::Window;

const NAME: &str = "embedded";

/// Runs a model package with `rten` on the CPU.
pub struct EmbeddedEngine {
    model: Model,
    input: NodeId,
    outputs: [NodeId; 4],
    names: OutputNames,
    threads: Arc<ThreadPool>,
}

impl EmbeddedEngine {
    /// Loads the package for `threads` threads.
    ///
    /// # Errors
    /// If `rten` cannot read the ONNX file or it lacks the input or an output that the manifest names.
    pub fn load(package: &ModelPackage, threads: usize) -> Result<Self, EngineError> {
        let refuse = |reason: String| EngineError::Load { engine: NAME, model: package.title(), reason };
        let model = Model::load(package.weights().to_vec()).map_err(|error| refuse(error.to_string()))?;
        let node = |name: &str| model.find_node(name).ok_or_else(|| refuse(format!("it has no node {name}")));
        let names = package.manifest.outputs.clone();
        let input = node(&package.manifest.input.name)?;
        let outputs = [node(&names.lung)?, node(&names.lesion)?, node(&names.attention)?, node(&names.logit)?];
        Ok(Self { model, input, outputs, names, threads: Arc::new(ThreadPool::with_num_threads(threads)) })
    }
}

impl Engine for EmbeddedEngine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn infer(&mut self, window: &Window) -> Result<Inference, EngineError> {
        let failed = |reason: String| EngineError::Run { engine: NAME, reason };
        let input =
            ValueView::from_shape(window.shape(), window.values()).map_err(|error| failed(error.to_string()))?;
        let options = RunOptions::default().with_thread_pool(Some(self.threads.clone()));
        let values = self
            .model
            .run_n(vec![(self.input, input.into())], self.outputs, Some(options))
            .map_err(|error| failed(error.to_string()))?;
        let mut planes: [Vec<f32>; 4] = Default::default();
        for (plane, value) in planes.iter_mut().zip(values) {
            let tensor: rten_tensor::Tensor<f32> = value.try_into().map_err(|error| failed(format!("{error:?}")))?;
            *plane = tensor.to_vec();
        }
        let [_, _, rows, columns] = window.shape();
        checked(NAME, &self.names, rows * columns, planes.each_ref().map(Vec::as_slice))
    }
}
