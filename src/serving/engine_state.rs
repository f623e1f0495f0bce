//! Which engine serves at present, for those who show it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Zoned;
use parking_lot::{Mutex, MutexGuard};

use super::circuit_breaker::Retry;
use crate::telemetry;
use crate::texts::Phrase;

/// Which engine serves at present; cheap to clone.
#[derive(Debug, Clone)]
pub struct EngineState(Arc<Mutex<Now>>);

#[derive(Debug)]
struct Now {
    engine: &'static str,
    model: String,
    gpu_failure: Option<GpuFailure>,
    is_stuck: bool,
}

/// Why the GPU does not serve, though it did.
#[derive(Debug)]
struct GpuFailure {
    at: Zoned,
    /// Of the failure, or of the last try to load it again.
    reason: String,
    retry: Retry,
}

impl EngineState {
    pub(super) fn new(engine: &'static str, model: &str) -> Self {
        telemetry::engine(engine, model);
        telemetry::gpu_out(false);
        Self(Arc::new(Mutex::new(Now { engine, model: model.to_owned(), gpu_failure: None, is_stuck: false })))
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock()
    }

    /// The serving engine's name.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        self.now().engine
    }

    /// Why the GPU does not serve at present, though it did.
    #[must_use]
    pub fn gpu_failure(&self) -> Option<String> {
        self.now().gpu_failure.as_ref().map(|failure| failure.reason.clone())
    }

    /// What people are told while the GPU that failed is out.
    #[must_use]
    pub fn notice(&self) -> Option<Phrase> {
        let now = self.now();
        let GpuFailure { at, reason, retry } = now.gpu_failure.as_ref()?;
        let next = match retry {
            Retry::At(at) => {
                let minutes = minutes(at.saturating_duration_since(Instant::now()));
                Phrase::new("daemon.gpu_is_tried_in").with("minutes", minutes.to_string())
            }
            Retry::Now => Phrase::new("daemon.gpu_is_being_tried"),
            Retry::Never => Phrase::new("daemon.gpu_is_not_tried"),
        };
        let failed = Phrase::new("daemon.gpu_failed").with("at", at.strftime("%Y-%m-%d %H:%M").to_string());
        Some(failed.with("engine", now.engine.to_owned()).with("next", next).with("reason", Phrase::english(reason)))
    }

    /// Why no exam comes to a verdict, if the engine hangs.
    #[must_use]
    pub fn problem(&self) -> Option<Phrase> {
        let now = self.now();
        now.is_stuck.then(|| Phrase::new("daemon.engine_is_stuck").with("engine", now.engine.to_owned()))
    }

    /// Whether the engine hangs.
    pub(super) fn set_stuck(&self, is_stuck: bool) {
        self.now().is_stuck = is_stuck;
    }

    /// An accelerator serves, or serves again.
    pub(super) fn accelerator_serves(&self, engine: &'static str) {
        let mut now = self.now();
        now.serve_by(engine);
        now.gpu_failure = None;
        telemetry::gpu_out(false);
    }

    /// The accelerator failed, and the engine on the CPU takes its place.
    pub(super) fn accelerator_failed(&self, cpu: &'static str, reason: String, retry: Retry) {
        let mut now = self.now();
        now.serve_by(cpu);
        now.gpu_failure = Some(GpuFailure { at: Zoned::now(), reason, retry });
        telemetry::gpu_out(true);
    }

    /// When the accelerator that is out is tried next, and why the last try failed.
    pub(super) fn retry(&self, retry: Retry, reason: Option<String>) {
        if let Some(failure) = &mut self.now().gpu_failure {
            failure.retry = retry;
            if let Some(reason) = reason {
                failure.reason = reason;
            }
        }
    }
}

impl Now {
    fn serve_by(&mut self, engine: &'static str) {
        telemetry::engine_replaced(self.engine, engine, &self.model);
        self.engine = engine;
    }
}

/// Rounded up, so that nothing is announced for "in 0 min".
fn minutes(duration: Duration) -> u64 {
    duration.as_secs().div_ceil(60).max(1)
}
