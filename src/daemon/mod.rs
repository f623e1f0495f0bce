//! The daemon: everything is configured before anything listens, started in one place and stopped in one place.

mod disk;
mod health;
mod kept_exams;
mod machine;
mod resume;
mod standstill;
mod start;
mod stop;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::audit::{Audit, Event};
use crate::config::Config;
use crate::console::Hub;
use crate::ingest::Scanner;
use crate::outbox::Outbox;
use crate::pipeline::Pipeline;
use crate::shadow::Shadow;
use crate::spool::{Retention, Spool};
use crate::telemetry;
use health::Health;
pub use start::{Listening, StartError};

/// A running daemon.
pub struct Daemon {
    /// Where scanners connect.
    pub dicom_address: SocketAddr,
    /// Where browsers connect.
    pub console_address: SocketAddr,
    pub hub: Arc<Hub>,
    health: Arc<Health>,
    /// Keeps the metric of readiness true.
    watch: JoinHandle<()>,
    /// What holds at present.
    config: Mutex<Config>,
    scanners: watch::Sender<Vec<Scanner>>,
    /// Says until when connections may go on once the daemon stops.
    stop: watch::Sender<Option<Instant>>,
    /// Sends the synthetic patient, where one is sent.
    synthetic: Option<JoinHandle<()>>,
    ingest: JoinHandle<()>,
    console: JoinHandle<()>,
    /// `None` once it stops.
    pipeline: Arc<Mutex<Option<Pipeline>>>,
    retention: Retention,
    shadow: Option<Shadow>,
    outbox: Arc<Outbox>,
    audit: Arc<Audit>,
    spool: Arc<Spool>,
}

impl Daemon {
    /// Takes over what a running daemon can of a new configuration. Answers the sections that differ and hold from the next start on.
    pub fn reload(&self, new: &Config) -> Vec<&'static str> {
        let mut config = self.config.lock();
        let left = config.needing_a_restart(new);
        telemetry::scanners_listed(listed(&new.ingest.scanners));
        self.scanners.send_replace(new.ingest.scanners.clone());
        self.retention.set(new.retention);
        telemetry::log_level(&new.log_level);
        config.ingest.scanners.clone_from(&new.ingest.scanners);
        config.retention = new.retention;
        config.log_level.clone_from(&new.log_level);
        let waiting = left.iter().copied().map(str::to_owned).collect();
        self.audit.note(Event::ConfigurationChanged { waiting });
        left
    }

    /// What hangs, or has ended though it should not, and would work again after a restart.
    #[must_use]
    pub fn needs_restart(&self) -> Option<String> {
        self.health.needs_restart().map(|what| what.to_string())
    }
}

/// The AE titles of scanners, as they are counted.
fn listed(scanners: &[Scanner]) -> impl Iterator<Item = String> {
    scanners.iter().map(|scanner| scanner.ae_title.trim().to_owned())
}
