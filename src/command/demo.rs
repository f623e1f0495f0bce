//! `demo`: daemon and simulated scanner in one.

use std::path::PathBuf;

use clap::Args;
use tableside::demo::Demo;
use tableside::scanner::{self, PhantomKind, ScanOptions, Source, SourceArgs};
use tableside::telemetry::{self, LogFormat};
use tableside::triage::INTENDED_USE;

use super::{NOT_ALL_STORED, Outcome, advance, configuration, exit_code, print_report, progress_bar, stop_requested};

#[derive(Args)]
pub struct DemoArgs {
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

pub async fn demo(args: DemoArgs) -> Outcome {
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
