//! The fast CPU engine: the ONNX Runtime, whose library is looked for at run time.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;

use super::{Engine, EngineError, Inference, ModelPackage, OutputNames, checked};
use crate::preprocess::Window;

const NAME: &str = "onnxruntime";

/// The variable that names the library where the configuration does not.
pub const LIBRARY_VARIABLE: &str = "TABLESIDE_ONNXRUNTIME";

/// Folders that are searched when neither the configuration nor the environment names the library.
const LIBRARY_FOLDERS: [&str; 4] =
    ["/usr/lib/tableside", "/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];

/// Runs a model package with the ONNX Runtime's CPU execution provider.
pub struct OnnxRuntimeEngine {
    session: Session,
    input: String,
    names: OutputNames,
}

impl OnnxRuntimeEngine {
    /// Opens the library (once in the life of the process) and loads the package for `threads` threads.
    ///
    /// # Errors
    /// If no library is found, it cannot be opened, or it refuses the model.
    pub fn load(package: &ModelPackage, library: Option<&Path>, threads: usize) -> Result<Self, EngineError> {
        let environment = environment(library)?;
        let session = session(environment, package, threads).map_err(|error| EngineError::Load {
            engine: NAME,
            model: package.title(),
            reason: error.to_string(),
        })?;
        Ok(Self { session, input: package.manifest.input.name.clone(), names: package.manifest.outputs.clone() })
    }
}

fn session(environment: &Environment, package: &ModelPackage, threads: usize) -> Result<Session, ort::Error> {
    // Spinning threads would take the cores from decoding and the network between two windows.
    Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads)?
        .with_intra_op_spinning(false)?
        .commit_from_memory(package.weights())
}

/// The process's one ONNX Runtime environment; the first library that was asked for stays.
fn environment(library: Option<&Path>) -> Result<&'static Environment, EngineError> {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    static OPENING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let path = find_library(library)?;
    let _one_at_a_time = OPENING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let unusable = |reason: String| EngineError::Library(format!("{}: {reason}", path.display()));
    let environment = ort::init_from(&path)
        .map_err(|error| unusable(error.to_string()))?
        .with_name("tableside")
        .with_telemetry(false)
        .build()
        .map_err(|error| unusable(error.to_string()))?;
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

fn find_library(configured: Option<&Path>) -> Result<PathBuf, EngineError> {
    let named = configured.map(Path::to_path_buf).or_else(|| std::env::var_os(LIBRARY_VARIABLE).map(PathBuf::from));
    if let Some(path) = named {
        return if path.is_file() {
            Ok(path)
        } else {
            Err(EngineError::Library(format!("there is no file {}", path.display())))
        };
    }
    LIBRARY_FOLDERS.iter().find_map(|folder| library_in(Path::new(folder))).ok_or_else(|| {
        EngineError::Library(format!(
            "libonnxruntime.so was not found; set engine.onnxruntime in the configuration or {LIBRARY_VARIABLE}"
        ))
    })
}

/// `libonnxruntime.so` or, as the `PyPI` wheel names it, `libonnxruntime.so.<version>`.
fn library_in(folder: &Path) -> Option<PathBuf> {
    std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("libonnxruntime.so"))
        })
        .min()
}

impl Engine for OnnxRuntimeEngine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn infer(&mut self, window: &Window) -> Result<Inference, EngineError> {
        let failed = |error: ort::Error| EngineError::Run { engine: NAME, reason: error.to_string() };
        let input = TensorRef::from_array_view((window.shape(), window.values())).map_err(failed)?;
        let outputs = self.session.run(ort::inputs![self.input.as_str() => input]).map_err(failed)?;
        let output = |name: &str| -> Result<&[f32], EngineError> {
            let value = outputs
                .get(name)
                .ok_or_else(|| EngineError::Run { engine: NAME, reason: format!("the model gave no output {name}") })?;
            value.try_extract_tensor::<f32>().map(|(_, values)| values).map_err(failed)
        };
        let planes = [
            output(&self.names.lung)?,
            output(&self.names.lesion)?,
            output(&self.names.attention)?,
            output(&self.names.logit)?,
        ];
        let [_, _, rows, columns] = window.shape();
        checked(NAME, &self.names, rows * columns, planes)
    }
}
