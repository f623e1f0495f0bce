//! The command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use tableside::config::{Config, ConfigError};
use tableside::daemon::Daemon;
use tableside::demo::Demo;
use tableside::folder;
use tableside::scanner::{self, PhantomKind, Progress, ScanOptions, ScanReport, Source, SourceArgs, Target};
use tableside::telemetry::{self, LogFormat};
use tableside::triage::{CaseReport, INTENDED_USE, Verdict, schema};

/// The exam was analysed, or what was asked for was done.
const DONE: u8 = 0;
/// Something could not be done; standard error says what and what to do about it.
const FAILED: u8 = 1;
/// The exam came to a report, and the report says "not analysed".
const NOT_ANALYSED: u8 = 3;
/// The receiver did not store every instance.
const NOT_ALL_STORED: u8 = 4;

const EXIT_CODES: &str = "Exit codes:
  0  done; the exam was analysed, whatever the verdict
  1  could not be done; standard error says why and what to do
  2  the command line is wrong
  3  the exam reads \"not analysed\"
  4  scan: the receiver did not store every instance

Research use only. Not a medical device.";

/// Analyses every chest-CT slice as the scanner sends it and tells the technician before the patient leaves the table.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon: receive slices, analyse them, show the console
    #[command(after_help = EXIT_CODES)]
    Serve {
        /// Configuration file; without one it listens on this machine alone, DICOM on port 11112, console on 8080
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Run daemon and simulated scanner together and print the case report
    #[command(after_help = EXIT_CODES)]
    Demo(DemoArgs),
    /// Send an exam to any DICOM node as a scanner does
    #[command(after_help = EXIT_CODES)]
    Scan(ScanArgs),
    /// Analyse a folder of DICOM files without a network
    #[command(after_help = EXIT_CODES)]
    Triage(TriageArgs),
    /// Check a configuration file and name every error with its line
    #[command(after_help = EXIT_CODES)]
    CheckConfig {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the JSON schema of the case report
    Schema,
}

#[derive(Args)]
struct DemoArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    options: ScanOptions,
    /// Configuration file; its ports are used where they are free, its data folder is not
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Do not open a browser, and end with the verdict
    #[arg(long)]
    no_browser: bool,
    /// Print the case report as JSON, and end with the verdict
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ScanArgs {
    /// Folder of DICOM files to send
    #[arg(value_name = "DIR", required_unless_present = "phantom", conflicts_with = "phantom")]
    folder: Option<PathBuf>,
    /// Send a synthetic patient
    #[arg(long, value_enum, value_name = "KIND")]
    phantom: Option<PhantomKind>,
    /// The receiver
    #[arg(long, value_name = "AE@HOST:PORT")]
    to: Target,
    #[command(flatten)]
    options: ScanOptions,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct TriageArgs {
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

type Outcome = Result<u8, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve { config } => on_runtime(serve(config.as_deref())),
        Command::Demo(args) => on_runtime(demo(args)),
        Command::Scan(args) => on_runtime(scan(args)),
        Command::Triage(args) => triage(&args),
        Command::CheckConfig { file } => check_config(&file),
        Command::Schema => print_json(&schema()),
    };
    outcome.map_or_else(
        |error| {
            eprintln!("tableside: {error}");
            ExitCode::from(FAILED)
        },
        ExitCode::from,
    )
}

fn on_runtime(work: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

async fn serve(file: Option<&Path>) -> Outcome {
    let config = configuration(file)?;
    telemetry::log_to_stderr(config.log_format, &config.log_level);
    tracing::info!("{INTENDED_USE}");
    let daemon = Daemon::start(config).await?;
    notify(&[sd_notify::NotifyState::Ready]);
    stop_requested().await?;
    tracing::info!("stopping");
    notify(&[sd_notify::NotifyState::Stopping]);
    daemon.stop().await;
    Ok(DONE)
}

/// Tells systemd, where it listens.
fn notify(states: &[sd_notify::NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}

async fn stop_requested() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}

async fn demo(args: DemoArgs) -> Outcome {
    let config = configuration(args.config.as_deref())?;
    telemetry::log_to_stderr(LogFormat::Text, "warn");
    let source = args.source.source().unwrap_or(Source::Phantom(PhantomKind::Pneumonia));
    let demo = Demo::start(config).await?;
    let console = demo.console_url();
    eprintln!("{INTENDED_USE}\nconsole: {console}");
    let watched = !args.no_browser && !args.json;
    if watched {
        open_browser(&console);
    }
    let options = args.options.clone();
    let instances = tokio::task::spawn_blocking(move || scanner::instances(&source, &options)).await??;
    let bar = progress_bar(instances.len());
    let outcome = demo.run(&instances, &args.options, |step| advance(&bar, step)).await;
    bar.finish_and_clear();
    let (scan, report) = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            demo.stop().await;
            return Err(error.into());
        }
    };
    print_report(&report, args.json)?;
    if watched && std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        eprintln!("the console stays at {console} until Ctrl-C");
        stop_requested().await?;
    }
    demo.stop().await;
    Ok(if scan.complete() { exit_code(&[report]) } else { NOT_ALL_STORED })
}

/// The desktop's way to open an address, where there is a desktop.
fn open_browser(address: &str) {
    let desktop = std::env::var_os("DISPLAY").is_some() || std::env::var_os("WAYLAND_DISPLAY").is_some();
    let quiet = std::process::Stdio::null;
    if desktop {
        // The address is printed as well: a browser that does not open is no error.
        let _ = std::process::Command::new("xdg-open").arg(address).stdout(quiet()).stderr(quiet()).spawn();
    }
}

async fn scan(args: ScanArgs) -> Outcome {
    telemetry::log_to_stderr(LogFormat::Text, "warn");
    let source = match (args.folder, args.phantom) {
        (Some(folder), _) => Source::Folder(folder),
        (None, phantom) => Source::Phantom(phantom.unwrap_or(PhantomKind::Normal)),
    };
    let options = args.options.clone();
    let instances = tokio::task::spawn_blocking(move || scanner::instances(&source, &options)).await??;
    let bar = progress_bar(instances.len());
    let report = scanner::send(&args.to, &instances, &args.options.send_options(), |step| advance(&bar, step)).await?;
    bar.finish_and_clear();
    if args.json {
        print_json(&report)?;
    } else {
        print_scan(&report);
    }
    Ok(if report.complete() { DONE } else { NOT_ALL_STORED })
}

fn print_scan(report: &ScanReport) {
    let ScanReport { instances, sent, warnings, duration_s, achieved_rate, latency_ms, .. } = report;
    println!(
        "{sent} of {instances} instances stored, {warnings} with a warning, in {duration_s:.1} s ({achieved_rate:.1}/s)"
    );
    println!(
        "store latency ms: p50 {:.1}, p90 {:.1}, p99 {:.1}, max {:.1}",
        latency_ms.p50, latency_ms.p90, latency_ms.p99, latency_ms.max
    );
    for failure in &report.failures {
        println!("not stored: {}: {}", failure.origin, failure.reason);
    }
    for error in &report.release_errors {
        println!("not released: {error}");
    }
}

fn progress_bar(instances: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} slices  {msg}");
    let bar = ProgressBar::new(instances as u64);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn advance(bar: &ProgressBar, step: &Progress) {
    bar.inc(1);
    if let Some(failure) = &step.failure {
        bar.println(format!("not stored: {}: {}", failure.origin, failure.reason));
    }
}

fn triage(args: &TriageArgs) -> Outcome {
    let config = configuration(args.config.as_deref())?;
    telemetry::log_to_stderr(LogFormat::Text, "warn");
    let triage = folder::triage(&args.folder, &config)?;
    if triage.skipped > 0 {
        eprintln!("{} files are no DICOM instances and were skipped", triage.skipped);
    }
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

fn exit_code(reports: &[CaseReport]) -> u8 {
    let analysed = reports.iter().all(|report| report.verdict != Verdict::NotAnalysed);
    if analysed { DONE } else { NOT_ANALYSED }
}

fn print_report(report: &CaseReport, json: bool) -> Outcome {
    if json {
        return print_json(report);
    }
    println!("{report}");
    Ok(DONE)
}

fn print_json(value: &impl serde::Serialize) -> Outcome {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(DONE)
}

fn check_config(file: &Path) -> Outcome {
    configuration(Some(file))?;
    println!("{}: valid", file.display());
    Ok(DONE)
}

/// The configuration of a file, or what holds without one.
fn configuration(file: Option<&Path>) -> Result<Config, String> {
    let Some(file) = file else { return Ok(Config::default()) };
    Config::load(file).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ConfigError::to_string).collect();
        format!("{} is not valid:\n  {}", file.display(), lines.join("\n  "))
    })
}
