//! The ONNX Runtime, whose library is looked for at run time: the fast engine on the CPU.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::TensorRef;

use super::{Engine, EngineError, EngineKind, Inference, ModelPackage, OutputNames, checked};
use crate::preprocess::Window;

/// The variable that names the library where the configuration does not.
pub(super) const LIBRARY_VARIABLE: &str = "TABLESIDE_ONNXRUNTIME";

/// Folders that are searched when neither the configuration nor the environment names the library.
const LIBRARY_FOLDERS: [&str; 4] =
    ["/usr/lib/tableside", "/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];

const NAME: &str = EngineKind::OnnxRuntime.name();

/// Why there is no library of the ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LibraryError {
    #[error("there is no file {0}")]
    NoFile(PathBuf),
    #[error("libonnxruntime.so was not found; set engine.onnxruntime in the configuration or {LIBRARY_VARIABLE}")]
    NotFound,
}

/// Runs a model package with the ONNX Runtime on the CPU.
pub struct OnnxRuntimeEngine {
    session: Session,
    input: String,
    names: OutputNames,
}

impl OnnxRuntimeEngine {
    /// Opens the library (once in the life of the process) and loads the package for `threads` threads of the CPU.
    ///
    /// # Errors
    /// If no library is found, it cannot be opened, or it refuses the model.
    pub fn load(package: &ModelPackage, library: Option<&Path>, threads: usize) -> Result<Self, EngineError> {
        let session = session(NAME, package, library, |builder| {
            // Spinning threads would take the cores from decoding and the model between two windows.
            Ok(builder.with_intra_threads(threads)?.with_intra_op_spinning(false)?)
        })?;
        let (input, names) = (package.manifest.input.name.clone(), package.manifest.outputs.clone());
        Ok(Self { session, input, names })
    }
}

/// Opens the library (once in the life of the process) and loads a package's model for the engine of this name.
pub(crate) fn session(
    engine: &'static str,
    package: &ModelPackage,
    library: Option<&Path>,
    configure: impl FnOnce(SessionBuilder) -> Result<SessionBuilder, ort::Error>,
) -> Result<Session, EngineError> {
    let environment = environment(library).map_err(|reason| EngineError::Absent { engine, reason })?;
    let session = || {
        let builder = Session::builder(environment)?.with_optimization_level(GraphOptimizationLevel::All)?;
        configure(builder)?.commit_from_memory(package.weights())
    };
    session().map_err(|error: ort::Error| EngineError::Load {
        engine,
        model: package.title(),
        reason: error.to_string(),
    })
}

/// The process's one ONNX Runtime environment; the first library that was asked for stays.
fn environment(library: Option<&Path>) -> Result<&'static Environment, String> {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    static OPENING: parking_lot::Mutex<()> = parking_lot::Mutex::new(());
    let path = find_library(library).map_err(|error| error.to_string())?;
    let _one_at_a_time = OPENING.lock();
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let unusable = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let environment = ort::init_from(&path)
        .map_err(|error| unusable(&error))?
        .with_name("tableside")
        .with_telemetry(false)
        .build()
        .map_err(|error| unusable(&error))?;
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

/// The library that is used: the one that is configured, the one that `TABLESIDE_ONNXRUNTIME` names, or one in the usual folders.
///
/// # Errors
/// If there is none.
pub fn find_library(configured: Option<&Path>) -> Result<PathBuf, LibraryError> {
    let named = configured.map(Path::to_path_buf).or_else(|| std::env::var_os(LIBRARY_VARIABLE).map(PathBuf::from));
    if let Some(path) = named {
        return if path.is_file() { Ok(path) } else { Err(LibraryError::NoFile(path)) };
    }
    LIBRARY_FOLDERS.iter().find_map(|folder| library_in(Path::new(folder))).ok_or(LibraryError::NotFound)
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
