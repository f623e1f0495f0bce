//! `model check`: a package in every engine on this machine.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tableside::engine::{self, ModelFolders};
use tableside::parity::{
    CheckReport, EngineRun, EngineState, HALF_PRECISION, WindowEvidence, phantom_exam, windows_of,
};
use tableside::scanner::{self, ScanOptions, Source};
use tableside::serving::choice::EngineOptions;

use crate::command::{DONE, FAILED, Outcome, print_json};

#[derive(Args)]
pub struct CheckArgs {
    #[arg(value_name = "NAME")]
    name: String,
    /// Folder of a DICOM series to take the windows from, instead of the synthetic patient with pneumonia
    #[arg(long, value_name = "DIR")]
    series: Option<PathBuf>,
    /// How many windows, spread evenly over the series
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    windows: u16,
    /// Write what the first engine finds in each window to this JSON file
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// What an engine found, to be compared with later.
#[derive(Serialize)]
struct Evidence<'a> {
    model: &'a str,
    version: &'a str,
    sha256: &'a str,
    case_probability: f64,
    windows: &'a [WindowEvidence],
}

pub fn check(args: &CheckArgs, folders: &ModelFolders, options: &EngineOptions) -> Outcome {
    let package = folders.find(&args.name)?;
    engine::fits(&package)?;
    let exam = match &args.series {
        Some(folder) => scanner::instances(&Source::Folder(folder.clone()), &ScanOptions::default())?,
        None => phantom_exam()?,
    };
    let windows = windows_of(&exam, &package.manifest.input, usize::from(args.windows))?;
    let report = tableside::parity::check(&package, options, &windows);
    if let Some(file) = &args.evidence {
        write_evidence(&report, file)?;
    }
    if args.json {
        print_json(&report)?;
    } else {
        print(&report);
    }
    Ok(if report.holds { DONE } else { FAILED })
}

fn ran(report: &CheckReport) -> impl Iterator<Item = (&'static str, &EngineRun)> {
    report.engines.iter().filter_map(|check| match &check.state {
        EngineState::Ran(run) => Some((check.engine, run)),
        EngineState::Absent { .. } | EngineState::Failed { .. } => None,
    })
}

fn write_evidence(report: &CheckReport, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let Some((_, run)) = ran(report).next() else { return Err("no engine ran: there is no evidence to write".into()) };
    let evidence = Evidence {
        model: &report.model,
        version: &report.version,
        sha256: &report.sha256,
        case_probability: run.case_probability,
        windows: &run.evidence,
    };
    let text = serde_json::to_string_pretty(&evidence)? + "\n";
    std::fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()).into())
}

fn print(report: &CheckReport) {
    let CheckReport { model, version, windows, threads, .. } = report;
    println!("{model} {version}: {windows} windows, {threads} threads\n");
    println!("ENGINE       MEDIAN MS  P90 MS  CASE PROBABILITY");
    for check in &report.engines {
        match &check.state {
            EngineState::Absent { reason } => println!("{:11}  absent: {reason}", check.engine),
            EngineState::Failed { reason } => println!("{:11}  failed: {reason}", check.engine),
            EngineState::Ran(run) => println!(
                "{:11}  {:9.1}  {:6.1}  {:16.4}",
                check.engine, run.window_ms.p50, run.window_ms.p90, run.case_probability
            ),
        }
    }
    if ran(report).any(|(engine, _)| engine == HALF_PRECISION) {
        println!("\n{HALF_PRECISION}: the model of TensorRT's plan, in the ONNX Runtime");
    }
    for (engine, run) in ran(report) {
        for problem in &run.problems {
            println!("{engine}: {problem}");
        }
    }
    for two in &report.comparisons {
        println!(
            "\n{} against {}, largest differences (probabilities may differ by {}):",
            two.engine, two.with, two.tolerance
        );
        println!(
            "  probability of a pixel {:.1e} (mean {:.1e}), of a slab {:.1e}, of the case {:.1e}",
            two.pixel_probability, two.mean_pixel_probability, two.slab_probability, two.case_probability
        );
        println!("  pixels of lung and lesion masks that only one of them draws: {}", two.mask_pixels);
        println!(
            "  attention {:.1e} (mean {:.1e}), logit {:.1e} (mean {:.1e}): they {}",
            two.attention,
            two.mean_attention,
            two.logit,
            two.mean_logit,
            if two.agree { "agree" } else { "do not agree" }
        );
    }
    println!("\n{}", if report.holds { "all holds" } else { "NOT everything holds" });
}
