//! `serve`: the daemon.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use sd_notify::NotifyState;
use tableside::daemon::{Daemon, Listening};
use tableside::telemetry;
use tableside::triage::INTENDED_USE;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{DONE, Outcome, StopSignals, configuration};

#[derive(Args)]
pub struct ServeArgs {
    /// Configuration file; without one it listens on this machine alone, DICOM on port 11112, console on 8080
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub async fn serve(args: ServeArgs) -> Outcome {
    let config = configuration(args.config.as_deref())?;
    telemetry::log_to_stderr(config.log_format, &config.log_level);
    tracing::info!("{INTENDED_USE}");
    let listening = Listening::from_systemd(&config)?;
    let daemon = Daemon::start(config, listening).await?;
    let mut signals = StopSignals::new()?;
    let hang_up = signal(SignalKind::hangup())?;
    notify(&[NotifyState::Ready]);
    tokio::select! {
        () = signals.next() => {}
        () = feed_watchdog(&daemon) => {}
        () = reload_when_asked(&daemon, args.config.as_deref(), hang_up) => {}
    }
    tracing::info!("stopping");
    notify(&[NotifyState::Stopping]);
    tokio::select! {
        () = daemon.stop() => {}
        () = signals.next() => {
            tracing::warn!("asked to stop again: ended at once; what was acknowledged is in the spool");
            std::process::exit(i32::from(DONE));
        }
    }
    Ok(DONE)
}

/// Reads the configuration again at each SIGHUP: all of it holds, or nothing. It never ends.
async fn reload_when_asked(daemon: &Daemon, file: Option<&Path>, mut hang_up: Signal) {
    while hang_up.recv().await.is_some() {
        match configuration(file) {
            Ok(config) => {
                let left = daemon.reload(&config);
                tracing::info!(
                    "the configuration was read again: scanners, data.keep_days and its limits, log.level hold now"
                );
                if !left.is_empty() {
                    tracing::warn!(sections = left.join(", "), "what changed there holds from the next start on");
                }
            }
            Err(error) => tracing::error!(error, "the configuration stays as it is"),
        }
    }
    std::future::pending::<()>().await;
}

/// Tells systemd that all is well three times in the time that its watchdog waits, as long as there is progress. It never ends.
async fn feed_watchdog(daemon: &Daemon) {
    let Some(patience) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut clock = tokio::time::interval((patience / 3).max(Duration::from_millis(1)));
    loop {
        clock.tick().await;
        match daemon.needs_restart() {
            None => notify(&[NotifyState::Watchdog]),
            Some(problem) => tracing::error!(problem, "systemd's watchdog is not fed: it restarts the daemon"),
        }
    }
}

/// Tells systemd, where it listens.
fn notify(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}
