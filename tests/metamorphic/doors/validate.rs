//! `tableside model validate`: labelled cases.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::configuration;
use crate::answer::Validated;
use crate::daemon::TABLESIDE;

/// Runs folders as cases of one validation. The results bear the cases' names.
pub fn validate(cases: &[(String, PathBuf)], work: &Path) -> BTreeMap<String, Validated> {
    let (list, out) = (work.join("cases.csv"), work.join("validation"));
    let lines = cases.iter().map(|(name, folder)| format!("{name},{},0\n", folder.display()));
    std::fs::write(&list, lines.fold("name,folder,label\n".to_owned(), |text, line| text + &line)).unwrap();
    let output = Command::new(TABLESIDE)
        .args(["model", "validate", "reference", "--cases"])
        .arg(&list)
        .arg("--out")
        .arg(&out)
        .arg("--config")
        .arg(configuration(work))
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    assert!(output.status.success(), "validate: {}", String::from_utf8_lossy(&output.stderr));
    read(&out.join("results.csv"))
}

fn read(results: &Path) -> BTreeMap<String, Validated> {
    let mut reader = csv::Reader::from_path(results).unwrap();
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|column| column == name).expect("a column of results.csv");
    let [name, outcome, reason, score] = ["name", "outcome", "reason", "score"].map(column);
    let rows = reader.records().map(|record| {
        let record = record.unwrap();
        let validated = Validated {
            outcome: record[outcome].to_owned(),
            probability: record[score].parse().ok(),
            reason: record[reason].to_owned(),
        };
        (record[name].to_owned(), validated)
    });
    rows.collect()
}
