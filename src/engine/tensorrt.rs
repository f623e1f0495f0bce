//! NVIDIA TensorRT: a plan that is built from the package's network for the very card that is there, and the engine that runs it.
//!
//! A plan is a cache: it is kept in a file whose name carries the network's checksum, TensorRT's version and the card, and is
//! built again where one of these differs or TensorRT refuses it. Networks are strongly typed in TensorRT 11: it computes in
//! the types that the ONNX file has.
//!
//! All of TensorRT's objects live in one thread, on whose stack they borrow from each other; windows go to it and come back
//! through channels. A GPU that no longer answers so costs one window's time, and then the engine on the CPU takes over.
#![expect(unsafe_code, reason = "TensorRT's and CUDA's addresses are raw")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use cudarc::driver::{CudaContext, CudaGraph, CudaSlice, CudaStream, DevicePtr, DevicePtrMut, PinnedHostSlice, sys};
use trtx::builder::MemoryPoolType;
use trtx::{Builder, ExecutionContext, LogHandler, Logger, OnnxParser, Runtime, Severity};

use super::{Engine, EngineError, EngineKind, Gpu, Inference, ModelPackage, OutputNames, checked};
use crate::preprocess::Window;

const NAME: &str = EngineKind::TensorRt.name();

/// Files under which TensorRT and its parser are installed: with the version that this program was built for, or without.
const LIBRARIES: [&str; 2] = ["libnvinfer.so.11", "libnvinfer.so"];
const PARSERS: [&str; 2] = ["libnvonnxparser.so.11", "libnvonnxparser.so"];

/// What a plan may take of the card's memory while it is built and run.
const WORKSPACE_BYTES: usize = 1 << 30;

/// A card that has not judged a window by then hangs.
const WINDOW_TIME: Duration = Duration::from_secs(5);
/// Loading a plan also loads TensorRT's kernels.
const LOADING_TIME: Duration = Duration::from_mins(2);

/// Runs a model package with TensorRT on the first GPU.
pub struct TensorRtEngine {
    windows: Sender<Window>,
    answers: Receiver<Result<Outputs, String>>,
    names: OutputNames,
}

/// Lung, lesion, attention, logit.
type Outputs = [Vec<f32>; 4];

impl TensorRtEngine {
    /// Loads the plan of this package for this card.
    ///
    /// # Errors
    /// [`EngineError::NoPlan`] where it has to be built first; else if there is no TensorRT or it fails.
    pub fn load(package: &ModelPackage, gpu: &Gpu, plans: &Path) -> Result<Self, EngineError> {
        open_libraries()?;
        let path = plan_path(package, gpu, plans);
        let plan = std::fs::read(&path).map_err(|_| EngineError::NoPlan)?;
        let (windows, windows_in) = crossbeam_channel::bounded(1);
        let (answers_out, answers) = crossbeam_channel::bounded(1);
        let (ready_out, ready) = crossbeam_channel::bounded(1);
        let (names, plane_len) = (package.manifest.outputs.clone(), package.manifest.input.plane_len());
        let tensors = Tensors {
            input: (package.manifest.input.name.clone(), package.manifest.input.slabs * plane_len),
            outputs: [
                (names.lung.clone(), plane_len),
                (names.lesion.clone(), plane_len),
                (names.attention.clone(), 1),
                (names.logit.clone(), 1),
            ],
        };
        std::thread::spawn(move || {
            let ended = serve(&plan, &tensors, &ready_out, &windows_in, &answers_out);
            if let Err(reason) = ended {
                // Whoever waits for one of the two gets it; the other one has nobody.
                let _ = ready_out.try_send(Err(reason.clone()));
                let _ = answers_out.try_send(Err(reason));
            }
        });
        let load = |reason: String| EngineError::Load { engine: NAME, model: package.title(), reason };
        match ready.recv_timeout(LOADING_TIME) {
            Ok(Ok(())) => Ok(Self { windows, answers, names }),
            Ok(Err(reason)) => {
                tracing::warn!(%reason, plan = %path.display(), "TensorRT refuses its plan: it is built again");
                std::fs::remove_file(&path).map_err(|error| load(error.to_string()))?;
                Err(EngineError::NoPlan)
            }
            Err(_) => Err(load("the GPU does not answer".to_owned())),
        }
    }
}

impl Engine for TensorRtEngine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn infer(&mut self, window: &Window) -> Result<Inference, EngineError> {
        let failed = |reason: String| EngineError::Run { engine: NAME, reason };
        self.windows.send(window.clone()).map_err(|_| failed("its thread has ended".to_owned()))?;
        let answer =
            self.answers.recv_timeout(WINDOW_TIME).map_err(|_| failed("the GPU does not answer".to_owned()))?;
        let outputs = answer.map_err(failed)?;
        let [_, _, rows, columns] = window.shape();
        checked(NAME, &self.names, rows * columns, outputs.each_ref().map(Vec::as_slice))
    }
}

/// Builds the plan of a package for a card and keeps it; returns its file.
///
/// # Errors
/// If there is no TensorRT, it refuses the network, or the file cannot be written.
pub fn build_plan(package: &ModelPackage, gpu: &Gpu, plans: &Path) -> Result<PathBuf, EngineError> {
    open_libraries()?;
    let load = |reason: String| EngineError::Load { engine: NAME, model: package.title(), reason };
    let plan = build(package).map_err(|error| load(error.to_string()))?;
    let path = plan_path(package, gpu, plans);
    let part = path.with_extension("part");
    let written = std::fs::create_dir_all(plans)
        .and_then(|()| std::fs::write(&part, &plan))
        .and_then(|()| std::fs::rename(&part, &path));
    written.map_err(|error| load(format!("{}: {error}", path.display())))?;
    Ok(path)
}

fn build(package: &ModelPackage) -> trtx::Result<Vec<u8>> {
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

fn plan_path(package: &ModelPackage, gpu: &Gpu, plans: &Path) -> PathBuf {
    let card: String = gpu.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let (major, minor) = gpu.compute_capability;
    // SAFETY: it returns a number that was compiled in.
    let version = unsafe { trtx::trtx_sys::get_tensorrt_version() };
    let network = &package.manifest.sha256[..16];
    plans.join(format!("{network}-tensorrt-{version}-{card}-sm{major}{minor}.plan"))
}

/// Opens TensorRT and its parser, once in the life of the process.
fn open_libraries() -> Result<(), EngineError> {
    let open = |files: [&str; 2], open: fn(Option<String>) -> trtx::Result<()>| {
        let mut tried = files.iter().map(|file| open(Some((*file).to_owned())));
        let first = tried.next().unwrap_or(Ok(()));
        first.or_else(|error| tried.find_map(Result::ok).ok_or(error))
    };
    let opened = open(LIBRARIES, trtx::dynamically_load_tensorrt)
        .and_then(|()| open(PARSERS, trtx::dynamically_load_tensorrt_onnxparser));
    opened.map_err(|error| EngineError::Absent { engine: NAME, reason: error.to_string() })
}

/// TensorRT's own messages go to the log.
struct Log;

impl LogHandler for Log {
    fn log(&self, severity: Severity, message: &str) {
        match severity {
            Severity::InternalError | Severity::Error => tracing::error!(message, "TensorRT"),
            Severity::Warning => tracing::warn!(message, "TensorRT"),
            Severity::Info | Severity::Verbose => tracing::debug!(message, "TensorRT"),
        }
    }
}

/// Names and lengths of the network's input and outputs.
struct Tensors {
    input: (String, usize),
    outputs: [(String, usize); 4],
}

type Failure = Box<dyn std::error::Error>;

/// The thread's work: loads the plan, says that it is ready, and answers windows until nobody sends any.
fn serve(
    plan: &[u8],
    tensors: &Tensors,
    ready: &Sender<Result<(), String>>,
    windows: &Receiver<Window>,
    answers: &Sender<Result<Outputs, String>>,
) -> Result<(), String> {
    let serve = || -> Result<(), Failure> {
        let context = CudaContext::new(0)?;
        // SAFETY: all work is on one stream, so that there is nothing for events to keep in order; they would break the capture.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream()?;
        let logger = Logger::new(Log)?;
        let mut runtime = Runtime::new(&logger)?;
        let mut engine = runtime.deserialize_cuda_engine(plan)?;
        let mut execution = engine.create_execution_context()?;
        let mut buffers = Buffers::new(&context, &stream, tensors)?;
        buffers.bind(&mut execution, &stream, tensors)?;
        // The first run may still load kernels, which a capture does not allow.
        buffers.run(&mut execution, &stream)?;
        stream.synchronize()?;
        let graph = capture(&mut buffers, &mut execution, &stream)?;
        // Whoever loads the engine may have given up.
        let _ = ready.send(Ok(()));
        for window in windows {
            let answer = buffers.judge(&window, &graph, &stream).map_err(|error| error.to_string());
            let failed = answer.is_err();
            if answers.send(answer).is_err() || failed {
                break;
            }
        }
        Ok(())
    };
    serve().map_err(|error| error.to_string())
}

/// One window's work as one launch: copy in, the network, copies out.
fn capture(
    buffers: &mut Buffers,
    execution: &mut ExecutionContext<'_>,
    stream: &Arc<CudaStream>,
) -> Result<CudaGraph, Failure> {
    stream.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)?;
    let ran = buffers.run(execution, stream);
    let graph = stream.end_capture(sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH)?;
    ran?;
    graph.ok_or_else(|| "the GPU captured nothing".into())
}

/// The window and the outputs, on the card and in memory that the card reads and writes itself.
struct Buffers {
    window: PinnedHostSlice<f32>,
    input: CudaSlice<f32>,
    outputs: [(CudaSlice<f32>, PinnedHostSlice<f32>); 4],
}

impl Buffers {
    fn new(context: &Arc<CudaContext>, stream: &Arc<CudaStream>, tensors: &Tensors) -> Result<Self, Failure> {
        // Write-combined memory would be slow to read back.
        const READABLE: std::ffi::c_uint = 0;
        // SAFETY: every value is written before it is read: the window by `judge`, the outputs by the first run.
        let window = unsafe { context.alloc_pinned(tensors.input.1) }?;
        let output = |at: usize| -> Result<_, Failure> {
            let length = tensors.outputs[at].1;
            // SAFETY: as above.
            Ok((stream.alloc_zeros(length)?, unsafe { context.alloc_pinned_with_flags(length, READABLE) }?))
        };
        let outputs = [output(0)?, output(1)?, output(2)?, output(3)?];
        Ok(Self { window, input: stream.alloc_zeros(tensors.input.1)?, outputs })
    }

    /// Tells TensorRT where its input and outputs lie.
    fn bind(
        &mut self,
        execution: &mut ExecutionContext<'_>,
        stream: &Arc<CudaStream>,
        tensors: &Tensors,
    ) -> Result<(), Failure> {
        let input = self.input.device_ptr(stream).0;
        // SAFETY: the buffers are as long as the manifest's planes, against which the network was held, and live in `serve`
        // as long as the execution context.
        unsafe { execution.set_input_tensor_address(&tensors.input.0, input as *const _) }?;
        for ((buffer, _), (name, _)) in self.outputs.iter_mut().zip(&tensors.outputs) {
            let output = buffer.device_ptr_mut(stream).0;
            // SAFETY: as above.
            unsafe { execution.set_tensor_address(name, output as *mut _) }?;
        }
        Ok(())
    }

    /// Queues one window's work.
    fn run(&mut self, execution: &mut ExecutionContext<'_>, stream: &Arc<CudaStream>) -> Result<(), Failure> {
        stream.memcpy_htod(&self.window, &mut self.input)?;
        // SAFETY: the stream is alive, and all tensors are bound to buffers that are.
        unsafe { execution.enqueue_v3(stream.cu_stream().cast()) }?;
        for (buffer, host) in &mut self.outputs {
            stream.memcpy_dtoh(buffer, host)?;
        }
        Ok(())
    }

    fn judge(&mut self, window: &Window, graph: &CudaGraph, stream: &Arc<CudaStream>) -> Result<Outputs, Failure> {
        self.window.as_mut_slice()?.copy_from_slice(window.values());
        graph.launch()?;
        stream.synchronize()?;
        let mut outputs = Outputs::default();
        for (values, (_, host)) in outputs.iter_mut().zip(&self.outputs) {
            *values = host.as_slice()?.to_vec();
        }
        Ok(outputs)
    }
}
