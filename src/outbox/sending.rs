//! The thread that sends to one destination.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::backoff::Backoff;
use super::destination::{Destination, NodeFault, Step, Way};
use super::{POLL, Shared};
use crate::database::{Delivery, DeliveryCounts, DeliveryState, Gets};
use crate::telemetry;

/// What is not settled is counted this often.
const COUNT: Duration = Duration::from_secs(1);

/// A destination, as it shows to others.
#[derive(Debug)]
pub(super) struct Node {
    pub name: String,
    state: Mutex<(DeliveryCounts, Option<Trouble>)>,
}

/// Why nothing reaches a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub since: Timestamp,
    pub reason: String,
}

impl Node {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), state: Mutex::default() }
    }

    pub(super) fn state(&self) -> (DeliveryCounts, Option<Trouble>) {
        self.state.lock().clone()
    }

    fn fail(&self, reason: &str) {
        let mut state = self.state.lock();
        match &mut state.1 {
            Some(trouble) => reason.clone_into(&mut trouble.reason),
            none => {
                tracing::warn!(destination = self.name, reason, "nothing can be delivered at present");
                *none = Some(Trouble { since: Timestamp::now(), reason: reason.to_owned() });
            }
        }
    }

    fn recover(&self) {
        if let Some(trouble) = self.state.lock().1.take() {
            tracing::info!(destination = self.name, since = %trouble.since, "deliveries reach it again");
        }
    }
}

pub(super) struct Sender {
    shared: Arc<Shared>,
    node: Arc<Node>,
    way: Way,
    backoff: Backoff,
    gets: Gets,
    counted: Option<Instant>,
}

impl Sender {
    /// # Errors
    /// If the system gives nothing to send with.
    pub(super) fn new(shared: Arc<Shared>, node: Arc<Node>, destination: Destination) -> std::io::Result<Self> {
        let backoff = Backoff::new(destination.retry);
        let gets = destination.gets();
        Ok(Self { shared, node, way: Way::to(destination.route)?, backoff, gets, counted: None })
    }

    pub(super) fn run(mut self) {
        loop {
            let outcome = self.send_next();
            self.count();
            let goes_on = match outcome {
                Ok(true) => self.shared.wait(Duration::ZERO),
                Ok(false) => self.shared.wait(POLL),
                Err(NodeFault { reason, retry_after }) => {
                    self.node.fail(&reason);
                    telemetry::delivery_pause(&self.node.name);
                    let pause = self.backoff.pause(retry_after);
                    self.pause(pause)
                }
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Waits, and goes on counting: others enter what waits as well.
    fn pause(&mut self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if !self.shared.pause(left.min(COUNT)) {
                return false;
            }
            if left <= COUNT {
                return true;
            }
            self.count();
        }
    }

    /// Sends what is next; `false` if nothing is.
    fn send_next(&mut self) -> Result<bool, NodeFault> {
        let batch = match self.gets {
            Gets::Objects { .. } => self.shared.deliveries.next_batch(&self.node.name)?,
            Gets::Notifications { .. } => {
                self.shared.deliveries.next_notification(&self.node.name)?.into_iter().collect()
            }
        };
        if batch.is_empty() {
            return Ok(false);
        }
        let Self { shared, node, way, backoff, .. } = self;
        way.deliver(&batch, &mut |delivery, step| {
            if matches!(step, Step::Done(_) | Step::Dead(_)) {
                backoff.reset();
                node.recover();
            }
            note(shared, node, delivery, step)
        })?;
        Ok(true)
    }

    fn count(&mut self) {
        if self.counted.is_some_and(|at| at.elapsed() < COUNT) {
            return;
        }
        self.counted = Some(Instant::now());
        match self.shared.deliveries.counts(&self.node.name) {
            Ok(counts) => {
                let age = counts.oldest_open.map(|oldest| Timestamp::now().duration_since(oldest));
                let age = age.and_then(|age| age.try_into().ok()).unwrap_or_default();
                let by_state = DeliveryState::UNSETTLED.map(|state| (state.as_str(), counts.of(state)));
                telemetry::deliveries_unsettled(&self.node.name, &by_state, age);
                self.node.state.lock().0 = counts;
            }
            Err(error) => tracing::error!(destination = self.node.name, %error, "deliveries cannot be counted"),
        }
    }
}

fn note(shared: &Shared, node: &Node, delivery: &Delivery, step: Step) -> Result<(), NodeFault> {
    let (state, reason, has_failed) = match step {
        Step::Sending => (DeliveryState::Sending, None, false),
        Step::Done(remark) => (DeliveryState::Done, remark, false),
        Step::Dead(reason) => (DeliveryState::Dead, Some(reason), false),
        Step::Back(reason) => (DeliveryState::Queued, Some(reason), true),
        Step::Unsure(reason) => (DeliveryState::Unsure, Some(reason), true),
    };
    match state {
        DeliveryState::Dead => {
            let reason = reason.as_deref();
            tracing::error!(destination = node.name, exam = %delivery.exam, kind = ?delivery.kind, reason, "an object cannot be delivered: see tableside outbox list");
        }
        DeliveryState::Done => {
            telemetry::delivered(&node.name);
        }
        _ => {}
    }
    Ok(shared.deliveries.mark(delivery.id, state, reason.as_deref(), has_failed)?)
}
