//! TensorRT's objects and the addresses that they are given.
#![expect(unsafe_code, reason = "TensorRT's and CUDA's addresses are raw")]

use std::sync::Arc;

use cudarc::driver::{CudaGraph, CudaSlice, CudaStream, DevicePtr, DevicePtrMut, sys};
use trtx::{CudaEngine, DataType, ExecutionContext, LogHandler, Logger, Runtime, Severity};

use crate::engine::{Address, DeviceModel, Failure, ModelPackage};

/// TensorRT's own messages go to the log.
pub(super) struct Log;

impl LogHandler for Log {
    fn log(&self, severity: Severity, message: &str) {
        match severity {
            Severity::InternalError | Severity::Error => tracing::error!(message, "TensorRT"),
            Severity::Warning => tracing::warn!(message, "TensorRT"),
            Severity::Info | Severity::Verbose => tracing::debug!(message, "TensorRT"),
        }
    }
}

/// Names and lengths of the model's input and outputs.
pub(super) struct Tensors {
    input: (String, usize),
    outputs: [(String, usize); 4],
}

impl Tensors {
    pub(super) fn of(package: &ModelPackage) -> Self {
        let (input, names) = (&package.manifest.input, &package.manifest.outputs);
        let plane_len = input.plane_len();
        Self {
            input: (input.name.clone(), input.slabs * plane_len),
            outputs: [
                (names.lung.clone(), plane_len),
                (names.lesion.clone(), plane_len),
                (names.attention.clone(), 1),
                (names.logit.clone(), 1),
            ],
        }
    }

    /// TensorRT is given addresses alone: a plan whose tensors are larger would write beside them.
    fn fit(&self, engine: &CudaEngine<'_>) -> Result<(), Failure> {
        for (name, len) in self.outputs.iter().chain([&self.input]) {
            let (shape, kind) = (engine.tensor_shape(name)?, engine.tensor_data_type(name)?);
            if shape.iter().product::<i64>() != *len as i64 || kind != DataType::kFLOAT {
                return Err(
                    format!("the plan's {name} is {shape:?} of {kind:?}, expected {len} values of kFLOAT").into()
                );
            }
        }
        Ok(())
    }
}

/// Loads a plan and runs `work` with its model; all is queued on this stream.
pub(super) fn with_plan<R>(
    plan: &[u8],
    tensors: &Tensors,
    stream: &Arc<CudaStream>,
    work: impl FnOnce(&mut LoadedPlan<'_>) -> Result<R, Failure>,
) -> Result<R, Failure> {
    let logger = Logger::new(Log)?;
    let mut runtime = Runtime::new(&logger)?;
    let mut engine = runtime.deserialize_cuda_engine(plan)?;
    tensors.fit(&engine)?;
    let execution = engine.create_execution_context()?;
    work(&mut LoadedPlan::new(execution, stream, tensors)?)
}

/// The model with its input and outputs on the GPU, and its run as one launch where it can be captured.
pub(crate) struct LoadedPlan<'engine> {
    graph: Option<CudaGraph>,
    execution: ExecutionContext<'engine>,
    stream: Arc<CudaStream>,
    input: CudaSlice<f32>,
    outputs: [CudaSlice<f32>; 4],
}

impl<'engine> LoadedPlan<'engine> {
    fn new(execution: ExecutionContext<'engine>, stream: &Arc<CudaStream>, tensors: &Tensors) -> Result<Self, Failure> {
        let output = |at: usize| stream.alloc_zeros(tensors.outputs[at].1);
        let (input, outputs) = (stream.alloc_zeros(tensors.input.1)?, [output(0)?, output(1)?, output(2)?, output(3)?]);
        let mut model = Self { graph: None, execution, stream: Arc::clone(stream), input, outputs };
        model.bind(tensors)?;
        // The first run may still load kernels, which a capture does not allow.
        model.run()?;
        stream.synchronize()?;
        match model.capture() {
            Ok(graph) => model.graph = graph,
            Err(error) => {
                tracing::warn!(%error, "TensorRT's model cannot be captured: its kernels are launched one by one");
            }
        }
        Ok(model)
    }

    /// Tells TensorRT where its input and outputs lie.
    fn bind(&mut self, tensors: &Tensors) -> Result<(), Failure> {
        let input = self.input.device_ptr(&self.stream).0;
        // SAFETY: the buffers are as long as the plan's tensors ([`Tensors::fit`]) and live as long as the execution context.
        unsafe { self.execution.set_input_tensor_address(&tensors.input.0, input as *const _) }?;
        for (buffer, (name, _)) in self.outputs.iter_mut().zip(&tensors.outputs) {
            let output = buffer.device_ptr_mut(&self.stream).0;
            // SAFETY: as above.
            unsafe { self.execution.set_tensor_address(name, output as *mut _) }?;
        }
        Ok(())
    }

    fn run(&mut self) -> Result<(), Failure> {
        // SAFETY: the stream is alive, and all tensors are bound to buffers that are.
        unsafe { self.execution.enqueue_v3(self.stream.cu_stream().cast()) }?;
        Ok(())
    }

    /// The run alone: where the window comes from and where the outputs go is others' business.
    fn capture(&mut self) -> Result<Option<CudaGraph>, Failure> {
        self.stream.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)?;
        let ran = self.run();
        let flags = sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
        let graph = self.stream.end_capture(flags);
        ran?;
        Ok(graph?)
    }
}

// SAFETY: the buffers are the model's own, of the lengths that [`Tensors`] has from the manifest.
unsafe impl DeviceModel for LoadedPlan<'_> {
    fn input(&self) -> Address {
        self.input.device_ptr(&self.stream).0
    }

    fn outputs(&self) -> [Address; 4] {
        self.outputs.each_ref().map(|output| output.device_ptr(&self.stream).0)
    }

    fn enqueue(&mut self) -> Result<(), Failure> {
        match &self.graph {
            Some(graph) => Ok(graph.launch()?),
            None => self.run(),
        }
    }
}
