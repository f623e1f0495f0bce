//! `serve`: the daemon.

use std::path::PathBuf;

use clap::Args;
use tableside::daemon::Daemon;
use tableside::telemetry;
use tableside::triage::INTENDED_USE;

use super::{DONE, Outcome, configuration, stop_requested};

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
