//! When an accelerator that failed is tried again: after a while, and after a longer one each time that it fails again. The
//! words are those of the pattern: the circuit is closed while an accelerator serves, open while it is left alone, and
//! half-open while it is loaded and tested.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::TryRecvError;

use super::pending_accelerator::{PendingAccelerator, pending_accelerator};
use crate::engine::EngineError;
use crate::inference::Accelerator;

/// A driver that restarts or a GPU that is reset needs some seconds: after a minute it may serve again.
pub(super) const FIRST_WAIT: Duration = Duration::from_mins(1);
/// A GPU that keeps failing is tried twice an hour: each try loads for some seconds beside the engine that serves. One that has
/// served for as long since counts as sound again.
pub(super) const LONGEST_WAIT: Duration = Duration::from_mins(30);

/// Loads an accelerator as at the start, its self-test included.
pub type LoadAccelerator = Arc<dyn Fn() -> Result<Box<dyn Accelerator>, EngineError> + Send + Sync>;

/// When an accelerator that failed is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    At(Instant),
    /// It is being loaded and tested.
    Now,
    /// Nothing is known that would load it again.
    Never,
}

enum Circuit {
    Closed { since: Instant },
    Open { failed: Option<Box<dyn Accelerator>>, until: Instant },
    HalfOpen(PendingAccelerator),
}

pub(super) struct CircuitBreaker {
    load: Option<LoadAccelerator>,
    circuit: Circuit,
    /// How long the circuit stays open next time.
    wait: Duration,
}

impl CircuitBreaker {
    pub(super) fn new(load: Option<LoadAccelerator>) -> Self {
        Self { load, circuit: Circuit::Closed { since: Instant::now() }, wait: FIRST_WAIT }
    }

    /// An accelerator serves.
    pub(super) fn close(&mut self, now: Instant) {
        self.circuit = Circuit::Closed { since: now };
    }

    /// The accelerator that served has failed. It is asked to end, not waited for.
    pub(super) fn open(&mut self, mut failed: Box<dyn Accelerator>, now: Instant) -> Retry {
        if matches!(self.circuit, Circuit::Closed { since } if now.saturating_duration_since(since) >= LONGEST_WAIT) {
            self.wait = FIRST_WAIT;
        }
        failed.end();
        self.leave_alone(Some(failed), now)
    }

    fn leave_alone(&mut self, failed: Option<Box<dyn Accelerator>>, now: Instant) -> Retry {
        let until = now + self.wait;
        self.circuit = Circuit::Open { failed, until };
        self.wait = LONGEST_WAIT.min(2 * self.wait);
        if self.load.is_some() { Retry::At(until) } else { Retry::Never }
    }

    /// Tries the accelerator again once it is time. What has changed, if anything.
    pub(super) fn look_after(&mut self, now: Instant) -> Option<Tried> {
        match &mut self.circuit {
            Circuit::Closed { .. } => None,
            Circuit::Open { failed, until } => {
                let load = self.load.clone().filter(|_| *until <= now)?;
                if let Some(hanging) = failed.take_if(|failed| !failed.end()) {
                    // It still has the GPU. A second one beside it would hang too, and each try would leave one more behind.
                    let reason = "the GPU still does not answer".to_owned();
                    let error = EngineError::Run { engine: hanging.name(), reason };
                    return Some(Tried::Failed(error, self.leave_alone(Some(hanging), now)));
                }
                let ended = failed.take();
                self.circuit = Circuit::HalfOpen(pending_accelerator(move || {
                    drop(ended);
                    load()
                }));
                Some(Tried::Begun)
            }
            Circuit::HalfOpen(pending) => match pending.try_recv() {
                Err(TryRecvError::Empty) => None,
                Ok(Ok(accelerator)) => Some(Tried::Serves(accelerator)),
                Ok(Err(reason)) => Some(Tried::Failed(reason, self.leave_alone(None, now))),
                Err(TryRecvError::Disconnected) => {
                    let reason = "the thread that loads it has stopped unexpectedly".to_owned();
                    let error = EngineError::Run { engine: "accelerator", reason };
                    Some(Tried::Failed(error, self.leave_alone(None, now)))
                }
            },
        }
    }
}

/// What became of another try.
pub(super) enum Tried {
    Begun,
    Serves(Box<dyn Accelerator>),
    Failed(EngineError, Retry),
}

#[cfg(test)]
mod tests {
    use super::super::fake_accelerator::FakeDevice;
    use super::*;

    #[test]
    fn waits_double_up_to_half_an_hour_and_begin_anew_once_the_accelerator_has_served_as_long() {
        let mut now = Instant::now();
        let device = FakeDevice::answering(0);
        let mut breaker = CircuitBreaker::new(Some(Arc::new(|| Err(EngineError::NoPlan))));
        for minutes in [1, 2, 4, 8, 16, 30, 30] {
            let retry = breaker.open(device.accelerator(), now);
            assert_eq!(retry, Retry::At(now + Duration::from_mins(minutes)));
            now += Duration::from_mins(minutes);
            breaker.close(now);
            now += Duration::from_mins(29);
        }
        now += Duration::from_mins(1);
        assert_eq!(breaker.open(device.accelerator(), now), Retry::At(now + FIRST_WAIT));
    }
}
