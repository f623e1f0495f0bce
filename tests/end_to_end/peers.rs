//! Peers that are programs: dcmtk's, and Tableside's own command line.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::daemon::{Daemon, TABLESIDE};

/// Runs a program to its end.
pub fn run(program: &str, args: &[&str]) -> Output {
    let output = Command::new(program).args(args).output();
    output.unwrap_or_else(|error| panic!("{program}: {error}; it is in the Debian package dcmtk"))
}

/// Runs a program that must succeed, and gives its standard output.
pub fn succeed(program: &str, args: &[&str]) -> String {
    let output = run(program, args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// `tableside ...`
pub fn tableside(args: &[&str]) -> Output {
    run(TABLESIDE, args)
}

/// dcmtk's C-ECHO.
pub fn echoscu(daemon: &Daemon) {
    succeed("echoscu", &["-aec", "TABLESIDE", "127.0.0.1", daemon.port()]);
}

/// Sends the files below a folder with dcmtk's `storescu`; `options` such as `-xs` say which transfer syntaxes it proposes.
pub fn storescu(daemon: &Daemon, options: &[&str], folder: &Path) {
    let address = ["-aec", "TABLESIDE", "127.0.0.1", daemon.port(), "+sd", "+r", text(folder)];
    succeed("storescu", &[options, &address].concat());
}

/// Sends a folder with `tableside scan`, which keeps each file's transfer syntax.
pub fn scan(daemon: &Daemon, folder: &Path, options: &[&str]) -> Value {
    let to = format!("TABLESIDE@{}", daemon.dicom());
    let report = succeed(TABLESIDE, &[&["scan", text(folder), "--to", &to, "--json"], options].concat());
    serde_json::from_str(&report).unwrap()
}

/// `tableside triage` on a folder that holds one exam, with the embedded engine.
pub fn triage(folder: &Path) -> Value {
    let own = tempfile::tempdir().unwrap();
    let file = own.path().join("tableside.toml");
    std::fs::write(&file, "[engine]\nkind = \"embedded\"\n").unwrap();
    let output = run(TABLESIDE, &["triage", "--json", "--config", text(&file), text(folder)]);
    // 3: a report like any other, that reads "not analysed" or "abnormal".
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a report says of the lungs. Numbers are compared as JSON writes them: shortest form, so bit by bit.
pub fn found(report: &Value) -> Value {
    json!({
        "verdict": report["verdict"],
        "score": report["score"],
        "lesions": report["lesions"],
        "summary": report["lesion_summary"],
        "zone_score": report["zone_score"],
        "pattern": report["pattern"],
        "lung_ml": report["lung_ml"],
    })
}

/// All files of a folder, in the order of their names.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// All files below a folder, however deep.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
