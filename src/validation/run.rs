//! A run over all listed cases: finished ones are taken over, every other one is observed and kept at once.

use std::path::{Path, PathBuf};

use super::CaseResult;
use super::cases::ListedCase;
use super::observe::{Observer, PICTURES};
use super::result_log::{ResultLog, ResultLogError, ValidationIdentity};
use crate::engine::{EngineError, ModelPackage};
use crate::exam::QualityLimits;
use crate::serving::choice::{self, EngineOptions};
use crate::triage::Densities;

/// How cases are run.
#[derive(Debug, Clone)]
pub struct ValidationOptions {
    pub engine: EngineOptions,
    pub limits: QualityLimits,
    pub densities: Densities,
    /// Slices that the scanner is taken to send in a second, for times.
    pub slices_per_s: f64,
}

/// All cases, observed.
#[derive(Debug)]
pub struct ValidationRun {
    /// In the order of the list.
    pub results: Vec<CaseResult>,
    /// Name of the engine that served.
    pub engine: &'static str,
    /// How many results are those of an earlier run.
    pub taken_over: usize,
}

/// Why a run cannot be made. What goes wrong with a case is its outcome and no error.
#[derive(Debug, thiserror::Error)]
pub enum ValidationError {
    #[error("cannot write to {path}: {source}")]
    Out { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    ResultLog(#[from] ResultLogError),
}

/// Runs the cases in the order of their list. Results and pictures go into `out`; `done` gets each case.
///
/// # Errors
/// If the engine cannot serve, or the folder cannot be used or holds results of another run.
pub fn run(
    package: &ModelPackage,
    cases: &[ListedCase],
    out: &Path,
    options: &ValidationOptions,
    mut done: impl FnMut(&CaseResult),
) -> Result<ValidationRun, ValidationError> {
    let pictures = out.join(PICTURES);
    std::fs::create_dir_all(&pictures).map_err(|source| ValidationError::Out { path: pictures, source })?;
    let serving = choice::serving(package, &options.engine)?;
    let engine_name = serving.name();
    let identity = ValidationIdentity::new(package, engine_name, options);
    let mut log = ResultLog::open(out, &identity)?;
    let ValidationOptions { limits, densities, slices_per_s, .. } = *options;
    let mut observer = Observer { manifest: &package.manifest, serving, limits, densities, slices_per_s, out };
    let mut run = ValidationRun { results: Vec::with_capacity(cases.len()), engine: engine_name, taken_over: 0 };
    for case in cases {
        let earlier = log.finished(case);
        run.taken_over += usize::from(earlier.is_some());
        let result = match earlier {
            Some(result) => result,
            None => log.put(&case.input, observer.observe(case))?,
        };
        done(&result);
        run.results.push(result);
    }
    Ok(run)
}
