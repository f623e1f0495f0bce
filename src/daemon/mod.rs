//! The daemon: everything is configured before anything listens, started in one place and stopped in one place.

mod disk;
mod health;
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

use crate::console::Hub;
use crate::outbox::Outbox;
use crate::pipeline::Pipeline;
use crate::spool::{Retention, Spool};
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
    /// Says until when connections may go on once the daemon stops.
    stop: watch::Sender<Option<Instant>>,
    ingest: JoinHandle<()>,
    console: JoinHandle<()>,
    /// `None` once it stops.
    pipeline: Arc<Mutex<Option<Pipeline>>>,
    retention: Retention,
    outbox: Arc<Outbox>,
    spool: Arc<Spool>,
}

impl Daemon {
    /// What hangs, or has ended though it should not, and would work again after a restart.
    #[must_use]
    pub fn needs_restart(&self) -> Option<String> {
        self.health.needs_restart()
    }
}
