//! The ways to an answer that people have: a folder, a scanner, a list of labelled cases.

pub mod network;
pub mod triage;
pub mod validate;

use std::path::{Path, PathBuf};

/// The engine that is fastest here, on one thread: doors stand open side by side.
pub const ENGINE: &str = "kind = \"auto\"\nthreads = 1";

/// Writes the configuration of doors that need nothing else.
fn configuration(folder: &Path) -> PathBuf {
    let file = folder.join("tableside.toml");
    std::fs::write(&file, format!("[engine]\n{ENGINE}\n")).unwrap();
    file
}
