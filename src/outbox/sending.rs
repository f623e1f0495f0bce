//! The thread that sends to one destination.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::audited::{Audited, Settled};
use super::destination::{Destination, NodeFault, Step, Way};
use super::{POLL, Shared, note_commitment};
use crate::backoff::{Backoff, RetryLimits};
use crate::database::{Delivery, DeliveryCounts, DeliveryState, Gets, Outcome};
use crate::dicom::UidSource;
use crate::telemetry;

/// What is not settled is counted this often.
const COUNT: Duration = Duration::from_secs(1);

/// A destination, as it shows to others.
#[derive(Debug)]
pub(super) struct Node {
    pub name: String,
    state: Mutex<NodeState>,
}

/// What is known of a destination.
#[derive(Debug, Clone, Default)]
pub(super) struct NodeState {
    pub counts: DeliveryCounts,
    /// Nothing reaches it.
    pub trouble: Option<Trouble>,
    /// It takes results, and cannot be asked whether it has them for good.
    pub commitment_trouble: Option<Trouble>,
}

/// Since when something does not work, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub since: Timestamp,
    pub reason: String,
    /// It came up with one object: others may arrive.
    pub is_at_an_object: bool,
}

impl Trouble {
    /// Notes that something does not work (still); `true` if it worked before.
    fn begin(known: &mut Option<Self>, reason: &str, is_at_an_object: bool) -> bool {
        let since = known.as_ref().map(|trouble| trouble.since);
        let trouble = Self { since: since.unwrap_or_else(Timestamp::now), reason: reason.to_owned(), is_at_an_object };
        *known = Some(trouble);
        since.is_none()
    }
}

impl Node {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), state: Mutex::default() }
    }

    pub(super) fn state(&self) -> NodeState {
        self.state.lock().clone()
    }

    fn fail(&self, reason: &str, is_at_an_object: bool) {
        if Trouble::begin(&mut self.state.lock().trouble, reason, is_at_an_object) {
            tracing::warn!(destination = self.name, reason, "nothing can be delivered at present");
        }
    }

    fn recover(&self) {
        if let Some(trouble) = self.state.lock().trouble.take() {
            tracing::info!(destination = self.name, since = %trouble.since, "deliveries reach it again");
        }
    }

    fn fail_to_ask(&self, reason: &str) {
        if Trouble::begin(&mut self.state.lock().commitment_trouble, reason, false) {
            tracing::warn!(destination = self.name, reason, "it cannot be asked for storage commitment at present");
        }
    }
}

pub(super) struct Sender {
    shared: Arc<Shared>,
    node: Arc<Node>,
    way: Way,
    retry: RetryLimits,
    backoff: Backoff,
    ask_backoff: Backoff,
    /// It is not asked for storage commitment before.
    ask_after: Instant,
    gets: Gets,
    counted: Option<Instant>,
    audited: Audited,
}

impl Sender {
    /// # Errors
    /// If the system gives nothing to send with.
    pub(super) fn new(
        shared: Arc<Shared>,
        node: Arc<Node>,
        destination: Destination,
        audited: Audited,
    ) -> std::io::Result<Self> {
        let backoff = Backoff::new(destination.retry);
        let gets = destination.gets();
        let (ask_backoff, ask_after) = (Backoff::new(destination.retry), Instant::now());
        let (retry, way) = (destination.retry, Way::to(destination.route)?);
        Ok(Self { shared, node, way, retry, backoff, ask_backoff, ask_after, gets, counted: None, audited })
    }

    pub(super) fn run(mut self) {
        loop {
            let outcome = self.send_next();
            self.count();
            let goes_on = match outcome {
                Ok(true) => self.shared.wait(Duration::ZERO),
                Ok(false) => self.shared.wait(POLL),
                Err(NodeFault { reason, retry_after, is_at_an_object }) => {
                    self.node.fail(&reason, is_at_an_object);
                    telemetry::delivery_pause(&self.node.name);
                    // What came up with one object is that object's to wait for: others are tried soon.
                    if is_at_an_object {
                        self.backoff.reset();
                    }
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
            return self.ask_next();
        }
        let Self { shared, node, way, backoff, retry, .. } = self;
        let commits = way.commitment_patience().is_some();
        let mut settled = Settled::default();
        let delivered = way.deliver(&batch, &mut |delivery, step| {
            settled.count(delivery, &step);
            if matches!(step, Step::Done(_) | Step::Dead(_)) {
                backoff.reset();
                node.recover();
            }
            note(shared, node, delivery, step, commits, *retry)
        });
        self.audited.tell(&batch, settled);
        delivered.map(|()| true)
    }

    /// Asks whether the destination has for good what it stored; `false` if there is nothing to ask. That it cannot be asked keeps
    /// nothing from being sent.
    fn ask_next(&mut self) -> Result<bool, NodeFault> {
        let Some(patience) = self.way.commitment_patience() else { return Ok(false) };
        if Instant::now() < self.ask_after {
            return Ok(false);
        }
        let transaction_uid = UidSource::fresh().next_uid();
        let batch = self.shared.deliveries.ask_next(&self.node.name, &transaction_uid, patience)?;
        if batch.is_empty() {
            return Ok(false);
        }
        let shared = &self.shared;
        match self.way.ask(&batch, &transaction_uid, &|report| note_commitment(shared, report).is_ok()) {
            Ok(()) => {
                self.ask_backoff.reset();
                self.node.state.lock().commitment_trouble = None;
                Ok(true)
            }
            Err(NodeFault { reason, retry_after, .. }) => {
                self.node.fail_to_ask(&reason);
                self.ask_after = Instant::now() + self.ask_backoff.pause(retry_after);
                self.shared.deliveries.take_back_question(&transaction_uid)?;
                Ok(false)
            }
        }
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
                self.node.state.lock().counts = counts;
            }
            Err(error) => tracing::error!(destination = self.node.name, %error, "deliveries cannot be counted"),
        }
    }
}

/// Notes a step; `false` if the delivery is not to be sent any more. What is stored is asked about where `commits`.
fn note(
    shared: &Shared,
    node: &Node,
    delivery: &Delivery,
    step: Step,
    commits: bool,
    retry: RetryLimits,
) -> Result<bool, NodeFault> {
    let failed = Some([retry.first, retry.longest]);
    let (state, reason, pause) = match step {
        Step::Sending => return Ok(shared.deliveries.claim(delivery.id)?),
        Step::Done(remark) => (if commits { DeliveryState::Stored } else { DeliveryState::Done }, remark, None),
        Step::Dead(reason) => (DeliveryState::Dead, Some(reason), None),
        Step::NotSent(reason) => (DeliveryState::Queued, Some(reason), None),
        Step::Back(reason) => (DeliveryState::Queued, Some(reason), failed),
        Step::Unsure(reason) => (DeliveryState::Unsure, Some(reason), failed),
    };
    let reason = reason.as_deref();
    match state {
        DeliveryState::Dead => {
            tracing::error!(destination = node.name, exam = %delivery.exam, kind = delivery.kind.as_str(), reason, "an object cannot be delivered: see tableside outbox list");
        }
        DeliveryState::Done | DeliveryState::Stored => telemetry::delivered(&node.name),
        _ => {}
    }
    shared.deliveries.mark(delivery.id, &Outcome { state, reason, pause })?;
    Ok(true)
}
