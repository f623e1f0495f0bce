//! NVIDIA TensorRT: a plan that is built from the package's network for the very card that is there, and the engine that runs it.
//!
//! A plan is a cache: it is kept in a file whose name carries the network's checksum, TensorRT's version and the card, and is
//! built again where one of these differs or TensorRT refuses it. Networks are strongly typed in TensorRT 11: it computes in
//! the types that the ONNX file has.
//!
//! All of TensorRT's objects live in one thread, on whose stack they borrow from each other ([`network`]); windows go to it and
//! come back through channels. A GPU that no longer answers so costs one window's time, and then the engine on the CPU takes over.

mod network;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use cudarc::driver::CudaStream;
use trtx::builder::MemoryPoolType;
use trtx::{Builder, Logger, OnnxParser};

use network::{Log, Network, Tensors, serve};

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

type Failure = Box<dyn std::error::Error>;

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
        let (names, tensors) = (package.manifest.outputs.clone(), Tensors::of(package));
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

/// Builds the plan of a package for this card and runs `work` with its network; all is queued on this stream. The plan is not kept.
pub(crate) fn with_network<R>(
    package: &ModelPackage,
    stream: &Arc<CudaStream>,
    work: impl FnOnce(&mut Network<'_>) -> Result<R, Failure>,
) -> Result<R, Failure> {
    open_libraries()?;
    network::with_network(&build(package)?, &Tensors::of(package), stream, work)
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
    let version = network::version();
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
