//! What `model validate` and `model calibrate` share: the observation of all listed cases.

use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tableside::config::Config;
use tableside::engine::ModelPackage;
use tableside::serving::choice::{EngineChoice, EngineOptions};
use tableside::validation::cases::{self, ListedCase};
use tableside::validation::{CaseResult, Outcome, ValidationOptions, ValidationRun, run};

const CASES_HELP: &str = "CSV file that lists the cases: columns name,folder,label (0 or 1) and, where wanted,
site,group,lung_mask,lesion_mask. Paths are relative to it; masks are NIfTI or DICOM segmentations (FILE#2: only label 2)";

#[derive(Args)]
pub struct CaseArgs {
    /// CSV file that lists the cases
    #[arg(long, value_name = "FILE", long_help = CASES_HELP)]
    cases: PathBuf,
    /// Folder for the results; a run that was interrupted goes on in the same folder
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The engine, instead of the configuration's
    #[arg(long, value_enum, value_name = "KIND")]
    engine: Option<EngineChoice>,
    /// Slices that the scanner is taken to send in a second; turns the share of a scan into time
    #[arg(long, value_name = "SLICES/S", default_value_t = 20.0, value_parser = rate)]
    pub rate: f64,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: Option<f64> = text.parse().ok();
    rate.filter(|rate| (0.01..=10_000.0).contains(rate))
        .ok_or_else(|| "expected a number from 0.01 to 10000".to_owned())
}

impl CaseArgs {
    pub fn listed(&self) -> Result<Vec<ListedCase>, Box<dyn std::error::Error>> {
        Ok(cases::read(&self.cases)?)
    }

    /// Observes the cases and reports each on the way.
    pub fn observe(
        &self,
        listed: &[ListedCase],
        package: &ModelPackage,
        config: &Config,
    ) -> Result<ValidationRun, Box<dyn std::error::Error>> {
        let choice = self.engine.unwrap_or(config.engine.choice);
        let options = ValidationOptions {
            engine: EngineOptions { choice, ..config.engine.clone() },
            limits: config.quality,
            densities: config.densities,
            slices_per_s: self.rate,
        };
        let bar = progress_bar(listed.len());
        let run = run(package, listed, &self.out, &options, |result| {
            bar.suspend(|| eprintln!("{}", line(result)));
            bar.inc(1);
        })?;
        bar.finish_and_clear();
        if run.taken_over > 0 {
            eprintln!("{} cases are taken over from an earlier run in {}", run.taken_over, self.out.display());
        }
        Ok(run)
    }
}

fn line(result: &CaseResult) -> String {
    let name = &result.name;
    match &result.outcome {
        Outcome::Judged(seen) => {
            let flag =
                seen.flag.filter(|flag| flag.early).map(|flag| format!(", flagged after {:.0} %", flag.share * 100.0));
            format!("{name}: {}, probability {:.3}{}", seen.verdict.as_str(), seen.score, flag.unwrap_or_default())
        }
        Outcome::NotAnalysed { reason } => format!("{name}: not analysed: {reason}"),
        Outcome::Failed { reason } => format!("{name}: FAILED: {reason}"),
    }
}

fn progress_bar(cases: usize) -> ProgressBar {
    let bar = ProgressBar::new(cases as u64);
    match ProgressStyle::with_template("{bar:40} {pos}/{len} cases  {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
