//! `tableside triage`: the pipeline on a folder.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Deserializer, Value};

use super::configuration;
use crate::answer::Answer;
use crate::daemon::TABLESIDE;

/// A triage under way.
pub struct Triage(Child);

/// Starts on the exams below a folder.
pub fn start(exams: &Path, work: &Path) -> Triage {
    let child = Command::new(TABLESIDE)
        .args(["triage", "--json", "--config"])
        .args([&configuration(work), exams])
        .env_remove("RUST_LOG")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    Triage(child.unwrap())
}

impl Triage {
    /// Study Instance UID and answer of each exam, or why there is none.
    pub fn answers(self) -> Result<Vec<(String, Answer)>, String> {
        let output = self.0.wait_with_output().unwrap();
        let reports: Result<Vec<Value>, _> = Deserializer::from_slice(&output.stdout).into_iter().collect();
        let reports = reports.unwrap_or_else(|error| panic!("triage printed no JSON: {error}"));
        // 3: a report like any other, that reads "not analysed" or "abnormal".
        if reports.is_empty() || !matches!(output.status.code(), Some(0 | 3)) {
            return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()));
        }
        let study_of = |report: &Value| report["study_instance_uid"].as_str().expect("a study").to_owned();
        Ok(reports.iter().map(|report| (study_of(report), Answer::of_report(report))).collect())
    }
}
