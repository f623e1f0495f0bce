//! `model list`: the packages that are found by name.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tableside::engine::{EngineKind, ListedPackage, ModelFolders};
use tableside::serving::choice::{self, EngineOptions};

use crate::command::{DONE, FAILED, Outcome, print_json};

#[derive(Args)]
pub struct ListArgs {
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

/// One package, as printed.
#[derive(Serialize)]
struct Line {
    name: String,
    /// `null` for the one in the program.
    folder: Option<PathBuf>,
    version: Option<String>,
    weights_bytes: Option<usize>,
    sha256: Option<String>,
    engines: Vec<&'static str>,
    /// Why the package cannot serve.
    error: Option<String>,
}

pub fn list(args: &ListArgs, folders: &ModelFolders, options: &EngineOptions) -> Outcome {
    let lines: Vec<Line> = folders.list()?.into_iter().map(|listed| line(listed, options)).collect();
    if args.json {
        print_json(&lines)?;
    } else {
        print(&lines);
    }
    let whole = lines.iter().all(|line| line.error.is_none());
    Ok(if whole { DONE } else { FAILED })
}

fn line(listed: ListedPackage, options: &EngineOptions) -> Line {
    let ListedPackage { name, folder, package } = listed;
    let package = match package {
        Ok(package) => package,
        Err(error) => {
            let error = Some(error.to_string());
            return Line { name, folder, version: None, weights_bytes: None, sha256: None, engines: Vec::new(), error };
        }
    };
    let loaded = EngineKind::ALL.map(|kind| choice::load(&package, kind, options));
    let engines: Vec<&'static str> = loaded.iter().rev().flatten().map(|engine| engine.name()).collect();
    // The embedded engine is always there: what it says is what is wrong with the package.
    let refused = loaded.iter().rev().find_map(|engine| engine.as_ref().err()).filter(|_| engines.is_empty());
    Line {
        name,
        folder,
        version: Some(package.manifest.version.clone()),
        weights_bytes: Some(package.weights().len()),
        sha256: Some(package.manifest.sha256.clone()),
        error: refused.map(ToString::to_string),
        engines,
    }
}

fn print(lines: &[Line]) {
    let width = lines.iter().map(|line| line.name.len()).max().unwrap_or(0).max(4);
    println!("{:width$}  VERSION   WEIGHTS   CHECKSUM  ENGINES                WHERE", "NAME");
    for line in lines {
        let size = line.weights_bytes.map(|bytes| format!("{:.2} MB", bytes as f64 / 1e6)).unwrap_or_default();
        let checksum = if line.sha256.is_some() { "holds" } else { "" };
        let engines = if line.engines.is_empty() { "none".to_owned() } else { line.engines.join(", ") };
        let place = line.folder.as_ref().map_or("in the program".to_owned(), |folder| folder.display().to_string());
        let version = line.version.as_deref().unwrap_or_default();
        println!("{:width$}  {version:8}  {size:8}  {checksum:8}  {engines:21}  {place}", line.name);
        if let Some(error) = &line.error {
            println!("{:width$}  cannot serve: {error}", "");
        }
    }
}
