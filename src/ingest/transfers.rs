//! What the audit trail is told of an association: for each study that a peer begins to send, and, once the association is over, what
//! came of it and what was refused. Each object is counted for its caller.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::callers::Callers;
use crate::audit::{Audit, Event, Instances, Outcome, Peer, Subject};

/// Studies of one association that are counted at a time. A scanner sends one; who sends more has the earlier ones told before the
/// association is over.
const MOST_STUDIES: usize = 64;

/// The studies of one association. They are told when this is dropped, so also where the association is cut off.
pub(super) struct Transfers {
    audit: Arc<Audit>,
    callers: Callers,
    from: Peer,
    studies: BTreeMap<Subject, Study>,
}

/// What came of a study.
#[derive(Default)]
struct Study {
    stored: Instances,
    refused: Instances,
    /// Why the last one was refused.
    reason: String,
}

impl Transfers {
    pub(super) fn new(audit: Arc<Audit>, callers: Callers, from: Peer) -> Self {
        Self { audit, callers, from, studies: BTreeMap::new() }
    }

    /// An instance is on the disk.
    pub(super) fn stored(&mut self, subject: Subject, sop_class_uid: &str) {
        self.callers.stored(&self.from.ae_title, &self.from.address);
        let study = self.study(subject);
        *study.stored.entry(sop_class_uid.to_owned()).or_default() += 1;
    }

    /// An object was refused.
    pub(super) fn refused(&mut self, subject: Subject, sop_class_uid: &str, reason: &str) {
        self.callers.refused(&self.from.ae_title, &self.from.address);
        let study = self.study(subject);
        *study.refused.entry(sop_class_uid.to_owned()).or_default() += 1;
        reason.clone_into(&mut study.reason);
    }

    fn study(&mut self, subject: Subject) -> &mut Study {
        if !self.studies.contains_key(&subject) {
            if self.studies.len() >= MOST_STUDIES {
                self.tell();
            }
            self.audit.note(Event::ReceivingBegan { from: self.from.clone(), subject: subject.clone() });
        }
        self.studies.entry(subject).or_default()
    }

    fn tell(&mut self) {
        for (subject, Study { stored, refused, reason }) in std::mem::take(&mut self.studies) {
            for (instances, outcome) in [(stored, Outcome::Done), (refused, Outcome::Failed(reason))] {
                if !instances.is_empty() {
                    let (from, subject) = (self.from.clone(), subject.clone());
                    self.audit.note(Event::Received { from, subject, instances, outcome });
                }
            }
        }
    }
}

impl Drop for Transfers {
    fn drop(&mut self) {
        self.tell();
    }
}
