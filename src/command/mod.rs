//! The commands, one a file, and what they share: configuration in, output and exit code out.

pub mod access;
pub mod allow_list;
pub mod audit;
pub mod backup;
pub mod check_config;
pub mod demo;
pub mod doctor;
pub mod generate;
#[cfg(feature = "cuda")]
pub mod gpu_check;
pub mod gpu_probe;
pub mod model;
pub mod outbox;
pub mod outcome;
pub mod report;
pub mod scan;
pub mod serve;
pub mod support_bundle;
pub mod tls;
pub mod triage;
pub mod wait_idle;

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use tableside::audit::{self as trail, Event};
use tableside::config::{Config, ConfigError};
use tableside::engine::GpuProbe;
use tableside::scanner::SendProgress;
use tableside::triage::{CaseReport, Verdict};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The exam was analysed, or what was asked for was done.
pub const DONE: u8 = 0;
/// Something could not be done; standard error says what and what to do about it.
pub const FAILED: u8 = 1;
/// The exam came to a report, and the report says "not analysed" or "abnormal, not assessed".
pub const NOT_ASSESSED: u8 = 3;
/// The receiver did not store every instance, or a file that may be one could not be sent.
pub const NOT_ALL_STORED: u8 = 4;
/// A limit that the command line states does not hold or cannot be computed.
pub const LIMIT_NOT_KEPT: u8 = 5;

pub const EXIT_CODES: &str = "Exit codes:
  0  done; the exam was analysed, whatever the verdict
  1  could not be done, or audit verify found a fault; standard error says why and what to do
  2  the command line is wrong
  3  the exam reads \"not analysed\" or \"abnormal, not assessed\"
  4  scan: the receiver did not store every instance, or a file could not be read
  5  model validate: a limit of --require does not hold or cannot be computed

Research use only. Not a medical device.";

/// A command's exit code, or why it could not be done.
pub type Outcome = Result<u8, Box<dyn std::error::Error>>;

/// The configuration of a file, or what holds without one; and that this program can look for a GPU.
pub fn configuration(file: Option<&Path>) -> Result<Config, String> {
    let mut config = match file {
        None => Config::default(),
        Some(file) => Config::load(file).map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(ConfigError::to_string).collect();
            format!("{} is not valid:\n  {}", file.display(), lines.join("\n  "))
        })?,
    };
    config.engine.gpu_probe = std::env::current_exe().ok().map(|program| GpuProbe { program });
    config.engine.plans = Some(config.data.join("plans"));
    Ok(config)
}

/// Leaves word for the audit trail of the data folder, if there is such a folder.
pub fn tell_audit(config: &Config, event: Event) -> Result<(), String> {
    if !config.data.is_dir() {
        return Ok(());
    }
    let folder = trail::folder(&config.data);
    trail::leave_note(&folder, event).map_err(|error| {
        format!(
            "it is done, but the audit trail in {} cannot be told: {error}; run it as the daemon's user",
            folder.display()
        )
    })
}

pub fn print_json(value: &impl serde::Serialize) -> Outcome {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(DONE)
}

pub fn print_report(report: &CaseReport, json: bool) -> Outcome {
    if json {
        return print_json(report);
    }
    println!("{report}");
    Ok(DONE)
}

/// The exit code of these reports.
pub fn exit_code(reports: &[CaseReport]) -> u8 {
    let assessed = reports.iter().all(|report| !matches!(report.verdict, Verdict::NotAnalysed | Verdict::Abnormal));
    if assessed { DONE } else { NOT_ASSESSED }
}

/// The signals that ask to stop: SIGTERM and SIGINT.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

pub fn progress_bar(instances: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} slices  {msg}");
    let bar = ProgressBar::new(instances as u64);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

pub fn advance(bar: &ProgressBar, progress: &SendProgress) {
    bar.inc(1);
    if let Some(failure) = &progress.failure {
        bar.println(format!("not stored: {}: {}", failure.origin, failure.reason));
    }
}
