//! The objects in which an exam comes: what is missing because it was refused, and what takes the place of what came before.

use std::time::Instant;

use super::super::decode::Arrival;
use super::super::versions::Standing;
use super::{ExamAnalysis, Refutes};
use crate::exam::{InstanceHeader, Refusal, Refusals};
use crate::triage::Reason;

impl ExamAnalysis {
    /// Notes that an object of the exam was refused. A verdict that knows nothing of it is open again.
    pub fn refuse(&mut self, refusal: Refusal, at: Instant) {
        if self.identified_by.is_none() {
            self.study_instance_uid.clone_from(&refusal.identity.study_instance_uid);
            self.patient = refusal.identity.patient.clone();
        }
        if self.scanner.is_empty() {
            self.scanner.clone_from(&refusal.scanner);
        }
        if self.refusals.add(refusal) {
            self.reopen(at, Refutes::Rule);
        }
    }

    /// Takes up what is known of refused objects from before.
    pub fn take_refusals(&mut self, refusals: Refusals) {
        self.refusals = refusals;
    }

    /// Notes that an object that was refused has been stored since.
    pub fn mend(&mut self, sop_instance_uid: &str, at: Instant) {
        if self.refusals.mend(sop_instance_uid) {
            self.reopen(at, Refutes::Nothing);
        }
    }

    /// Whether an image counts now. One that takes the place of another one in the same slab does so there and then; else its
    /// series is laid out anew at the exam's end: sums of slices are kept, not slices, and which others had given way to the one
    /// that goes nobody knows any more.
    pub(super) fn counts_now(&mut self, header: &InstanceHeader, arrival: &Arrival) -> bool {
        match self.versions.note(header, arrival) {
            Standing::Counts => true,
            Standing::Outdated => {
                self.tally.forget(arrival.number);
                false
            }
            Standing::Replaces { number, path } => {
                self.tally.forget(number);
                self.layouts.replace(header, &path);
                true
            }
        }
    }

    /// Whether images were replaced and their series have not been laid out anew.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.layouts.is_stale()
    }

    /// Where nothing is left of an exam: its objects were refused and have been stored since, in the exams that they name.
    pub(crate) fn nothing_left(&self) -> Option<Reason> {
        let is_empty = self.known.is_empty() && self.refusals.count() == 0;
        let count = self.refusals.mended();
        (is_empty && count > 0).then_some(Reason::RefusedAndStoredSince { count })
    }
}
