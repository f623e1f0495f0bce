//! What the audit trail is told of deliveries: once for all that a destination got of an exam at a time.

use std::sync::Arc;

use super::destination::Step;
use crate::audit::{Audit, Event, Instances, Outcome, Subject};
use crate::database::{Database, Delivery, DeliveryKind, Record};

/// A destination, as the trail names it.
#[derive(Debug)]
pub(super) struct Audited {
    pub audit: Arc<Audit>,
    /// Says whose exam it was.
    pub database: Arc<Database>,
    pub destination: String,
    pub address: String,
}

/// What came of the deliveries of one exam.
#[derive(Debug, Default)]
pub(super) struct Settled {
    taken: Instances,
    refused: Instances,
    /// Why the last one was refused.
    reason: String,
    notifications: Vec<Outcome>,
}

impl Settled {
    /// Counts what is settled; what is tried again is not.
    pub(super) fn count(&mut self, delivery: &Delivery, step: &Step) {
        let outcome = match step {
            Step::Done(_) => Outcome::Done,
            Step::Dead(reason) => Outcome::Failed(reason.clone()),
            Step::Sending | Step::NotSent(_) | Step::Back(_) | Step::Unsure(_) => return,
        };
        if delivery.kind == DeliveryKind::Notification {
            self.notifications.push(outcome);
            return;
        }
        let counts = match outcome {
            Outcome::Done => &mut self.taken,
            Outcome::Failed(reason) => {
                self.reason = reason;
                &mut self.refused
            }
        };
        let class = delivery.object.as_ref().map(|object| object.sop_class_uid.clone());
        *counts.entry(class.unwrap_or_default()).or_default() += 1;
    }
}

impl Audited {
    /// Tells what is settled of the deliveries of one exam.
    pub(super) fn tell(&self, batch: &[Delivery], settled: Settled) {
        let Settled { taken, refused, reason, notifications } = settled;
        let Some(exam) = batch.first().map(|delivery| &delivery.exam) else { return };
        if taken.is_empty() && refused.is_empty() && notifications.is_empty() {
            return;
        }
        let subject = self.database.record(exam).as_ref().map(Record::subject);
        let subject = subject.unwrap_or_else(|| Subject::of_exam(exam));
        let named = || (self.destination.clone(), self.address.clone(), subject.clone());
        for (instances, outcome) in [(taken, Outcome::Done), (refused, Outcome::Failed(reason))] {
            if !instances.is_empty() {
                let (destination, address, subject) = named();
                self.audit.note(Event::Delivered { destination, address, subject, instances, outcome });
            }
        }
        for outcome in notifications {
            let (destination, address, subject) = named();
            self.audit.note(Event::Notified { destination, address, subject, outcome });
        }
    }
}
