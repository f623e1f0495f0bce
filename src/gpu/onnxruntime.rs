//! The ONNX Runtime's CUDA execution provider on the kernels' stream, bound to tensors that stay where they are.
//!
//! The tensors are the session's own and the kernels are told where they lie: tensors that are made around other people's memory
//! are copied when they are bound as input, and the kernels would write beside the copy.
#![expect(unsafe_code, reason = "the session is handed the kernels' stream")]

use std::path::Path;
use std::sync::Arc;

use cudarc::driver::CudaStream;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, RunOptions, Session};
use ort::value::Tensor;

use super::{Address, DeviceNetwork, Failure};
use crate::engine::{EngineError, EngineKind, ModelPackage, onnxruntime_session};
use crate::preprocess::Window;

/// A session with all its inputs and outputs in place.
pub(super) struct BoundSession {
    binding: IoBinding,
    options: RunOptions,
    input: Tensor<f32>,
    outputs: [Tensor<f32>; 4],
    session: Session,
    /// Outlives the session, which is dropped before it.
    _stream: Arc<CudaStream>,
}

impl BoundSession {
    pub fn load(package: &ModelPackage, library: Option<&Path>, stream: &Arc<CudaStream>) -> Result<Self, Failure> {
        // SAFETY: `_stream` keeps the stream alive for as long as the session lives.
        let provider = unsafe { ort::ep::CUDA::default().with_compute_stream(stream.cu_stream().cast()) };
        // Without error_on_failure the CPU would serve under the GPU's name.
        let provider = provider.with_device_id(0).build().error_on_failure();
        let session = onnxruntime_session(EngineKind::Cuda.name(), package, library, |builder| {
            Ok(builder.with_execution_providers([provider])?)
        })?;
        let on_card = MemoryInfo::new(AllocationDevice::CUDA, 0, AllocatorType::Device, MemoryType::Default)?;
        let allocator = Allocator::new(&session, on_card)?;
        let input = Tensor::<f32>::new(&allocator, Window::empty(&package.manifest.input).shape())?;
        let names = &package.manifest.outputs;
        let plane_len = package.manifest.input.plane_len();
        let output = |name: &str, len: usize| -> Result<Tensor<f32>, Failure> {
            let shape = output_shape(&session, name, len)?;
            Ok(Tensor::<f32>::new(&allocator, shape)?)
        };
        let outputs = [
            output(&names.lung, plane_len)?,
            output(&names.lesion, plane_len)?,
            output(&names.attention, 1)?,
            output(&names.logit, 1)?,
        ];
        let mut binding = session.create_binding()?;
        binding.bind_input(package.manifest.input.name.as_str(), &input)?;
        let [mut lung, mut lesion, mut attention, mut logit] = outputs;
        binding.bind_output(names.lung.as_str(), &mut lung)?;
        binding.bind_output(names.lesion.as_str(), &mut lesion)?;
        binding.bind_output(names.attention.as_str(), &mut attention)?;
        binding.bind_output(names.logit.as_str(), &mut logit)?;
        let mut options = RunOptions::new()?;
        // What is queued behind the network waits for it on the stream; this thread has the body to find.
        options.disable_device_sync()?;
        let outputs = [lung, lesion, attention, logit];
        Ok(Self { binding, options, input, outputs, session, _stream: Arc::clone(stream) })
    }
}

impl DeviceNetwork for BoundSession {
    fn input(&self) -> Address {
        self.input.data_ptr() as Address
    }

    fn outputs(&self) -> [Address; 4] {
        self.outputs.each_ref().map(|output| output.data_ptr() as Address)
    }

    fn enqueue(&mut self) -> Result<(), Failure> {
        self.session.run_binding_with_options(&self.binding, &self.options)?;
        Ok(())
    }
}

/// The shape of an output of one window: where the file leaves a dimension open, the batch, it is 1.
fn output_shape(session: &Session, name: &str, expected: usize) -> Result<Vec<i64>, Failure> {
    let output = session.outputs().iter().find(|output| output.name() == name);
    let declared = output.and_then(|output| output.dtype().tensor_shape());
    let shape: Vec<i64> =
        declared.ok_or("an output is no tensor")?.iter().map(|n| if *n < 0 { 1 } else { *n }).collect();
    let found = shape.iter().product::<i64>() as usize;
    if found != expected {
        let output = name.to_owned();
        return Err(EngineError::Shape { engine: EngineKind::Cuda.name(), output, found, expected }.into());
    }
    Ok(shape)
}
