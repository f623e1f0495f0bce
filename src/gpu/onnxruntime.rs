//! The ONNX Runtime's CUDA execution provider on the kernels' stream, bound to tensors that stay where they are.
//!
//! The tensors are the session's own, and the kernels are given their addresses: the ONNX Runtime copies an input tensor that
//! is made around other memory when it is bound, and the kernels would write beside the copy.
#![expect(unsafe_code, reason = "the session is handed the kernels' stream")]

use std::path::Path;
use std::sync::Arc;

use cudarc::driver::CudaStream;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, RunOptions, Session};
use ort::value::Tensor;

use super::{Address, DeviceModel, Failure};
use crate::engine::{EngineError, EngineKind, ModelPackage, onnxruntime_session};
use crate::preprocess::Window;

/// A session with all its inputs and outputs in place.
struct Bound {
    binding: IoBinding,
    options: RunOptions,
    input: Tensor<f32>,
    outputs: [Tensor<f32>; 4],
    session: Session,
}

impl Bound {
    /// Binds a session of this package to tensors in this memory.
    fn new(session: Session, memory: MemoryInfo<'_>, package: &ModelPackage) -> Result<Self, Failure> {
        let allocator = Allocator::new(&session, memory)?;
        let (geometry, names) = (&package.manifest.input, &package.manifest.outputs);
        let input = Tensor::<f32>::new(&allocator, Window::empty(geometry).shape())?;
        let mut binding = session.create_binding()?;
        binding.bind_input(geometry.name.as_str(), &input)?;
        let mut output = |name: &str, len: usize| -> Result<Tensor<f32>, Failure> {
            let mut tensor = Tensor::<f32>::new(&allocator, output_shape(&session, name, len)?)?;
            binding.bind_output(name, &mut tensor)?;
            Ok(tensor)
        };
        let outputs = [
            output(&names.lung, geometry.plane_len())?,
            output(&names.lesion, geometry.plane_len())?,
            output(&names.attention, 1)?,
            output(&names.logit, 1)?,
        ];
        let mut options = RunOptions::new()?;
        // What is queued behind the model waits for it on the stream; this thread has the body to find.
        options.disable_device_sync()?;
        Ok(Self { binding, options, input, outputs, session })
    }

    fn run(&mut self) -> Result<(), Failure> {
        self.session.run_binding_with_options(&self.binding, &self.options)?;
        Ok(())
    }
}

/// A bound session on the kernels' stream.
pub(super) struct BoundSession {
    bound: Bound,
    /// Outlives the session, which is dropped before it.
    _stream: Arc<CudaStream>,
}

impl BoundSession {
    pub(super) fn load(
        package: &ModelPackage,
        library: Option<&Path>,
        stream: &Arc<CudaStream>,
    ) -> Result<Self, Failure> {
        // SAFETY: `_stream` keeps the stream alive for as long as the session lives.
        let provider = unsafe { ort::ep::CUDA::default().with_compute_stream(stream.cu_stream().cast()) };
        // Without error_on_failure the CPU would serve under the GPU's name.
        let provider = provider.with_device_id(0).build().error_on_failure();
        let session = onnxruntime_session(EngineKind::Cuda.name(), package, library, |builder| {
            Ok(builder.with_execution_providers([provider])?)
        })?;
        let on_gpu = MemoryInfo::new(AllocationDevice::CUDA, 0, AllocatorType::Device, MemoryType::Default)?;
        Ok(Self { bound: Bound::new(session, on_gpu, package)?, _stream: Arc::clone(stream) })
    }
}

// SAFETY: the tensors are the session's own, bound on the GPU; the input has the window's shape, and `output_shape` holds the
// outputs against the manifest's planes.
unsafe impl DeviceModel for BoundSession {
    fn input(&self) -> Address {
        self.bound.input.data_ptr() as Address
    }

    fn outputs(&self) -> [Address; 4] {
        self.bound.outputs.each_ref().map(|output| output.data_ptr() as Address)
    }

    fn enqueue(&mut self) -> Result<(), Failure> {
        self.bound.run()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine as _, Inference, OnnxRuntimeEngine, find_onnxruntime};
    use crate::parity::{phantom_exam, windows_of};

    #[test]
    fn what_is_written_where_the_input_lies_is_inferred_and_found_where_the_outputs_lie() {
        if let Err(reason) = find_onnxruntime(None) {
            eprintln!("SKIPPED: {reason}");
            return;
        }
        // In the host's memory, which can be looked at here.
        let package = ModelPackage::built_in().unwrap();
        let session = onnxruntime_session("onnxruntime", &package, None, Ok).unwrap();
        let memory = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default).unwrap();
        let mut bound = Bound::new(session, memory, &package).unwrap();
        let mut engine = OnnxRuntimeEngine::load(&package, None, 1).unwrap();
        let input = bound.input.data_ptr() as *mut f32;
        let outputs = bound.outputs.each_ref().map(|output| output.data_ptr().cast::<f32>());
        for one in windows_of(&phantom_exam().unwrap()[40..60], &package.manifest.input, 2).unwrap() {
            let values = one.window.values();
            // SAFETY: the input has the window's shape, and nothing else looks at it.
            unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), input, values.len()) };
            bound.run().unwrap();
            let Inference { lung, lesion, attention, logit } = engine.infer(&one.window).unwrap();
            for (expected, found) in [lung, lesion, vec![attention], vec![logit]].iter().zip(outputs) {
                // SAFETY: the output has as many values as the engine's.
                let found = unsafe { std::slice::from_raw_parts(found, expected.len()) };
                let furthest = expected.iter().zip(found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(furthest < 1e-5, "{furthest}");
            }
        }
    }
}
