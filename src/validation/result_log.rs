//! `results.jsonl`: what a validation has observed so far, so that an interrupted one goes on where it was.
//!
//! ```text
//! {"tableside":"0.1.0","model":...}            what the results were made with: the first line
//! {"input":{"folder":...},"result":{...}}      one line a finished case, synced; of two for one case the later counts
//! ```

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::cases::{CaseInput, ListedCase};
use super::run::ValidationOptions;
use super::{CaseResult, Outcome};
use crate::engine::{CaseHead, ModelPackage, OperatingPoint};
use crate::exam::QualityLimits;
use crate::preprocess::InputGeometry;
use crate::triage::Densities;

/// Why results cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum ResultLogError {
    #[error("cannot use {path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("another run of Tableside writes to {0}: wait for its end or choose another folder with --out")]
    InUse(PathBuf),
    #[error("the results in {path} were made with another {differs}: choose another folder with --out")]
    OtherRun { path: PathBuf, differs: String },
    #[error("{path}, line {line} is damaged: {reason}; choose another folder with --out")]
    Damaged { path: PathBuf, line: usize, reason: String },
}

/// What decides the results of a case beside its files.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ValidationIdentity {
    /// Version of the program.
    tableside: &'static str,
    model: String,
    model_version: String,
    /// Of the weights.
    sha256: String,
    input: InputGeometry,
    case_head: CaseHead,
    operating_point: OperatingPoint,
    engine: &'static str,
    quality_limits: QualityLimits,
    densities: Densities,
    slices_per_s: f64,
}

impl ValidationIdentity {
    /// The identity of a run; `engine` is the engine's name.
    #[must_use]
    pub(super) fn new(package: &ModelPackage, engine: &'static str, options: &ValidationOptions) -> Self {
        let manifest = &package.manifest;
        Self {
            tableside: env!("CARGO_PKG_VERSION"),
            model: manifest.name.clone(),
            model_version: manifest.version.clone(),
            sha256: manifest.sha256.clone(),
            input: manifest.input.clone(),
            case_head: manifest.case,
            operating_point: manifest.operating_point,
            engine,
            quality_limits: options.limits,
            densities: options.densities,
            slices_per_s: options.slices_per_s,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    input: CaseInput,
    result: CaseResult,
}

/// The open file; locked, so that there is one writer.
#[derive(Debug)]
pub(super) struct ResultLog {
    path: PathBuf,
    file: File,
    entries: BTreeMap<String, Entry>,
}

impl ResultLog {
    /// Opens or begins the results in a folder. A last line that was not written whole is dropped.
    ///
    /// # Errors
    /// If the file cannot be read or written, another run holds it, it is damaged, or was begun by a run with another
    /// identity.
    pub(super) fn open(folder: &Path, identity: &ValidationIdentity) -> Result<Self, ResultLogError> {
        let path = folder.join("results.jsonl");
        let io = |source| ResultLogError::Io { path: path.clone(), source };
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ResultLogError::InUse(path)),
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        file.set_len(whole as u64).map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        let text = String::from_utf8_lossy(&bytes[..whole]);
        let damaged = |line: usize, error: serde_json::Error| ResultLogError::Damaged {
            path: path.clone(),
            line,
            reason: error.to_string(),
        };
        let own = to_line(identity).map_err(io)?;
        let mut lines = text.lines();
        let Some(first) = lines.next() else {
            let mut log = Self { path, file, entries: BTreeMap::new() };
            log.append(&own)?;
            return Ok(log);
        };
        let differs = first_difference(first, &own).map_err(|error| damaged(1, error))?;
        if let Some(differs) = differs {
            return Err(ResultLogError::OtherRun { path, differs });
        }
        let mut entries = BTreeMap::new();
        for (at, line) in lines.enumerate() {
            let entry: Entry = serde_json::from_str(line).map_err(|error| damaged(at + 2, error))?;
            entries.insert(entry.result.name.clone(), entry);
        }
        Ok(Self { path, file, entries })
    }

    /// The result of a case that was finished before on the same files, with what the list says of it now. Failed cases are
    /// to be tried again.
    #[must_use]
    pub(super) fn finished(&self, case: &ListedCase) -> Option<CaseResult> {
        let entry = self.entries.get(&case.name).filter(|entry| entry.input == case.input && case.fault.is_none())?;
        let finished = !matches!(entry.result.outcome, Outcome::Failed { .. });
        finished.then(|| CaseResult {
            positive: case.positive,
            site: case.site.clone(),
            group: case.group.clone(),
            ..entry.result.clone()
        })
    }

    /// Appends a result and syncs it. Returns it as it reads back, so that a run that is taken up again has the same bits.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn put(&mut self, input: &CaseInput, result: CaseResult) -> Result<CaseResult, ResultLogError> {
        let line = to_line(&Entry { input: input.clone(), result })
            .map_err(|source| ResultLogError::Io { path: self.path.clone(), source })?;
        self.append(&line)?;
        let entry: Entry = serde_json::from_str(&line).map_err(|error| ResultLogError::Damaged {
            path: self.path.clone(),
            line: self.entries.len() + 2,
            reason: error.to_string(),
        })?;
        Ok(entry.result)
    }

    fn append(&mut self, line: &str) -> Result<(), ResultLogError> {
        let written = self.file.write_all(format!("{line}\n").as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|source| ResultLogError::Io { path: self.path.clone(), source })
    }
}

fn to_line(value: &impl Serialize) -> Result<String, std::io::Error> {
    serde_json::to_string(value).map_err(std::io::Error::from)
}

/// The first field in which two identities differ, in words.
fn first_difference(found: &str, own: &str) -> Result<Option<String>, serde_json::Error> {
    let fields = |line: &str| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line);
    let (found, own) = (fields(found)?, fields(own)?);
    let differing = own.keys().chain(found.keys()).find(|key| own.get(*key) != found.get(*key));
    let shown = |value: Option<&serde_json::Value>| value.map_or("none".to_owned(), ToString::to_string);
    Ok(differing.map(|key| format!("{key} ({}, now {})", shown(found.get(key)), shown(own.get(key)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(slices_per_s: f64) -> ValidationIdentity {
        let (engine, limits, densities) = Default::default();
        let options = ValidationOptions { engine, limits, densities, slices_per_s };
        ValidationIdentity::new(&ModelPackage::built_in().unwrap(), "embedded", &options)
    }

    fn case(name: &str) -> ListedCase {
        ListedCase {
            name: name.to_owned(),
            positive: true,
            site: String::new(),
            group: "covid-19".to_owned(),
            input: CaseInput { folder: name.into(), lung_mask: None, lesion_mask: None },
            fault: None,
        }
    }

    fn result(name: &str, outcome: Outcome) -> CaseResult {
        CaseResult { name: name.to_owned(), positive: false, site: String::new(), group: String::new(), outcome }
    }

    fn not_analysed() -> Outcome {
        Outcome::NotAnalysed { reason: "no lungs".to_owned() }
    }

    #[test]
    fn finished_cases_are_there_again_with_the_lists_words_and_failed_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = ResultLog::open(folder.path(), &identity(20.0)).unwrap();
        log.put(&case("a").input, result("a", not_analysed())).unwrap();
        log.put(&case("b").input, result("b", Outcome::Failed { reason: "gone".to_owned() })).unwrap();
        drop(log);
        let log = ResultLog::open(folder.path(), &identity(20.0)).unwrap();
        let again = log.finished(&case("a")).unwrap();
        assert_eq!((again.positive, again.group.as_str(), again.outcome), (true, "covid-19", not_analysed()));
        assert_eq!(log.finished(&case("b")), None);
        let mut elsewhere = case("a");
        elsewhere.input.folder = "other".into();
        assert_eq!(log.finished(&elsewhere), None);
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_a_broken_one_before_it_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = ResultLog::open(folder.path(), &identity(20.0)).unwrap();
        log.put(&case("a").input, result("a", not_analysed())).unwrap();
        drop(log);
        let path = folder.path().join("results.jsonl");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], b"{\"input\":{\"fol"].concat()).unwrap();
        let mut log = ResultLog::open(folder.path(), &identity(20.0)).unwrap();
        assert!(log.finished(&case("a")).is_some());
        log.put(&case("b").input, result("b", not_analysed())).unwrap();
        drop(log);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 3, "{text}");
        std::fs::write(&path, text.replace("{\"input\":{\"folder\":\"a\"", "{\"in")).unwrap();
        let error = ResultLog::open(folder.path(), &identity(20.0)).unwrap_err();
        assert!(matches!(error, ResultLogError::Damaged { line: 2, .. }), "{error}");
    }

    #[test]
    fn results_of_another_run_are_refused_and_what_differs_is_named() {
        let folder = tempfile::tempdir().unwrap();
        drop(ResultLog::open(folder.path(), &identity(20.0)).unwrap());
        let error = ResultLog::open(folder.path(), &identity(10.0)).unwrap_err().to_string();
        assert!(error.contains("another slices_per_s (20.0, now 10.0)"), "{error}");
    }

    #[test]
    fn a_second_run_at_the_same_time_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let _first = ResultLog::open(folder.path(), &identity(20.0)).unwrap();
        let error = ResultLog::open(folder.path(), &identity(20.0)).unwrap_err();
        assert!(matches!(error, ResultLogError::InUse(_)), "{error}");
    }
}
