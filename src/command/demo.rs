//! `demo`: daemon and simulated scanner in one, on ports and folders of their own.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use clap::Args;
use tableside::config::Config;
use tableside::console::access::{AccessMode, AccessOptions};
use tableside::daemon::{Daemon, Listening, StartError};
use tableside::dicom::Target;
use tableside::scanner::{
    self, Instance, PhantomKind, ScanOptions, ScanReport, ScannerError, SendProgress, Source, SourceArgs,
};
use tableside::telemetry::{self, LogFormat};
use tableside::triage::{CaseReport, INTENDED_USE};

use super::{NOT_ALL_STORED, Outcome, StopSignals, advance, configuration, exit_code, print_report, progress_bar};

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
        StopSignals::new()?.next().await;
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

/// Why a demonstration did not come to its end.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Scanner(#[from] ScannerError),
    #[error("the scanner had nothing to send")]
    NothingSent,
    #[error("the daemon stopped before its verdict")]
    Stopped,
    #[error("cannot listen on this machine: {0}")]
    Listen(std::io::Error),
    #[error("cannot use the folder {path}: {source}")]
    Folder { path: PathBuf, source: std::io::Error },
}

/// A daemon of its own, whose data are gone with it.
struct Demo {
    daemon: Daemon,
    data: PathBuf,
}

impl Demo {
    /// Starts the daemon on loopback: on its usual ports where these are free, on others elsewhere.
    ///
    /// # Errors
    /// If the daemon does not start.
    async fn start(config: Config) -> Result<Self, DemoError> {
        let data = std::env::temp_dir().join(format!("tableside-demo-{}", std::process::id()));
        std::fs::create_dir_all(&data).map_err(|source| DemoError::Folder { path: data.clone(), source })?;
        let listening = Listening {
            dicom: Some(on_usual_or_any(config.dicom_listen.port())?),
            console: Some(on_usual_or_any(config.console_listen.port())?),
            ..Listening::default()
        };
        // On loopback, for as long as it is looked at.
        let access = AccessOptions { mode: AccessMode::Open, ..AccessOptions::default() };
        let config = Config { data: data.clone(), journal_bytes: 0, access, ..config };
        Ok(Self { daemon: Daemon::start(config, listening).await?, data })
    }

    /// The console's address for a browser.
    fn console_url(&self) -> String {
        format!("http://{}/", self.daemon.console_address)
    }

    /// Sends the instances as a scanner does and waits for the verdict on their exam. Of several exams the last one's.
    ///
    /// # Errors
    /// If nothing could be sent or the daemon stopped.
    async fn run(
        &self,
        instances: &[Instance],
        options: &ScanOptions,
        on_progress: impl FnMut(&SendProgress),
    ) -> Result<(ScanReport, CaseReport), DemoError> {
        let last = instances.last().ok_or(DemoError::NothingSent)?;
        let exam = last.exam_key()?;
        let address = self.daemon.dicom_address;
        let target = Target { ae_title: "TABLESIDE".to_owned(), host: address.ip().to_string(), port: address.port() };
        let scan = scanner::send(&target, instances, &options.send_options(), on_progress).await?;
        let hub = self.daemon.hub.clone();
        let report = tokio::task::spawn_blocking(move || hub.wait_for_report(&exam, || true)).await;
        Ok((scan, report.ok().flatten().ok_or(DemoError::Stopped)?))
    }

    /// Stops the daemon and removes its data.
    async fn stop(self) {
        self.daemon.stop().await;
        if let Err(error) = std::fs::remove_dir_all(&self.data) {
            tracing::warn!(folder = %self.data.display(), %error, "the demonstration's data are left behind");
        }
    }
}

/// Listens on this port of loopback, or on another one where it is taken.
fn on_usual_or_any(port: u16) -> Result<TcpListener, DemoError> {
    let on = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    on(port).or_else(|_| on(0)).map_err(DemoError::Listen)
}
