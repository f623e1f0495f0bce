//! `scan`: the simulated scanner, against any DICOM node.

use std::path::PathBuf;

use clap::Args;
use tableside::dicom::Target;
use tableside::scanner::{self, PhantomKind, Prepared, ScanOptions, ScanReport, Source};
use tableside::telemetry::{self, LogFormat};

use super::{DONE, NOT_ALL_STORED, Outcome, advance, print_json, progress_bar};

#[derive(Args)]
pub struct ScanArgs {
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

pub async fn scan(args: ScanArgs) -> Outcome {
    telemetry::log_to_stderr(LogFormat::Text, "warn");
    let source = match (args.folder, args.phantom) {
        (Some(folder), _) => Source::Folder(folder),
        (None, phantom) => Source::Phantom(phantom.unwrap_or(PhantomKind::Normal)),
    };
    let options = args.options.clone();
    let Prepared { instances, unreadable } =
        tokio::task::spawn_blocking(move || scanner::prepare(&source, &options)).await??;
    let bar = progress_bar(instances.len());
    let mut report =
        scanner::send(&args.to, &instances, &args.options.send_options(), |step| advance(&bar, step)).await?;
    bar.finish_and_clear();
    report.unreadable = unreadable;
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
    for file in &report.unreadable {
        println!("not sent: {}: {}", file.path.display(), file.reason);
    }
    if report.new_associations > 0 {
        println!("lost associations that new ones took the place of: {}", report.new_associations);
    }
    for error in &report.release_errors {
        println!("not released: {error}");
    }
}
