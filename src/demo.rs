//! Daemon and simulated scanner in one, on ports and folders of their own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::config::Config;
use crate::daemon::{Daemon, StartError};
use crate::scanner::{self, Instance, Progress, ScanOptions, ScanReport, ScannerError, Target};
use crate::triage::CaseReport;

/// Why a demonstration did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Scanner(#[from] ScannerError),
    #[error("the scanner had nothing to send")]
    NothingSent,
    #[error("the daemon stopped before its verdict")]
    Stopped,
    #[error("cannot use the folder {path}: {source}")]
    Folder { path: PathBuf, source: std::io::Error },
}

/// A daemon of its own, whose data are gone with it.
pub struct Demo {
    daemon: Daemon,
    data: PathBuf,
}

impl Demo {
    /// Starts the daemon on loopback: on its usual ports where these are free, on others elsewhere.
    ///
    /// # Errors
    /// If the daemon does not start.
    pub async fn start(config: Config) -> Result<Self, DemoError> {
        let data = std::env::temp_dir().join(format!("tableside-demo-{}", std::process::id()));
        std::fs::create_dir_all(&data).map_err(|source| DemoError::Folder { path: data.clone(), source })?;
        let config = Config {
            dicom_listen: free_or_any(config.dicom_listen.port()),
            console_listen: free_or_any(config.console_listen.port()),
            data: data.clone(),
            journal_bytes: 0,
            ..config
        };
        Ok(Self { daemon: Daemon::start(config).await?, data })
    }

    /// The console's address for a browser.
    #[must_use]
    pub fn console_url(&self) -> String {
        format!("http://{}/", self.daemon.console_address)
    }

    /// Sends the instances as a scanner does and waits for the verdict on their exam. Of several exams the last one's.
    ///
    /// # Errors
    /// If nothing could be sent or the daemon stopped.
    pub async fn run(
        &self,
        instances: &[Instance],
        options: &ScanOptions,
        on_progress: impl FnMut(&Progress),
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
    pub async fn stop(self) {
        self.daemon.stop().await;
        if let Err(error) = std::fs::remove_dir_all(&self.data) {
            tracing::warn!(folder = %self.data.display(), %error, "the demonstration's data are left behind");
        }
    }
}

fn free_or_any(port: u16) -> SocketAddr {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match std::net::TcpListener::bind(usual) {
        Ok(_) => usual,
        Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}
