//! `triage`: the pipeline on a folder.

use std::path::PathBuf;

use clap::Args;
use tableside::offline;
use tableside::telemetry::{self, LogFormat};

use super::{Outcome, configuration, exit_code, print_report};

#[derive(Args)]
pub struct TriageArgs {
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the case reports as JSON, one after the other
    #[arg(long)]
    json: bool,
    /// Draw the key slices with lung and lesion outlines as PNG files into this folder
    #[arg(long, value_name = "OUT")]
    overlay: Option<PathBuf>,
}

pub fn triage(args: &TriageArgs) -> Outcome {
    let config = configuration(args.config.as_deref())?;
    telemetry::log_to_stderr(LogFormat::Text, "warn");
    let triage = offline::triage(&args.folder, &config)?;
    if triage.skipped > 0 {
        eprintln!("{} files are no DICOM instances and were skipped", triage.skipped);
    }
    tell_refused(&triage.refused);
    for report in &triage.reports {
        print_report(report, args.json)?;
    }
    if let Some(out) = &args.overlay {
        for path in triage.draw(out)? {
            eprintln!("drew {}", path.display());
        }
    }
    Ok(exit_code(&triage.reports))
}

/// Files that are told one by one; the report has their number.
const MOST_TOLD: usize = 5;

fn tell_refused(refused: &[(String, String)]) {
    for (file, reason) in refused.iter().take(MOST_TOLD) {
        eprintln!("refused: {file}: {reason}");
    }
    if refused.len() > MOST_TOLD {
        eprintln!("refused: {} files more", refused.len() - MOST_TOLD);
    }
}
