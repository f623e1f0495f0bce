//! The daemon: everything is configured before anything listens, started in one place and stopped in one place.

mod health;
mod resume;
mod start;
mod stop;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::console::Hub;
use crate::pipeline::Pipeline;
use crate::spool::Retention;
pub use start::StartError;

/// A running daemon.
pub struct Daemon {
    /// Where scanners connect.
    pub dicom_address: SocketAddr,
    /// Where browsers connect.
    pub console_address: SocketAddr,
    pub hub: Arc<Hub>,
    stop: watch::Sender<bool>,
    ingest: JoinHandle<()>,
    console: JoinHandle<()>,
    pipeline: Arc<std::sync::Mutex<Option<Pipeline>>>,
    retention: Retention,
}
