//! The objects in which an exam comes: what is missing because it was refused, and what takes the place of what came before.

use std::time::Instant;

use super::super::decode::{Arrival, Waiting};
use super::super::versions::Standing;
use super::{Case, Refutes};
use crate::exam::{InstanceHeader, Refusal, Refusals};

impl Case {
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

    /// Whether an image counts now. Where it takes the place of another one, its series is made anew later: sums of slices
    /// are kept, not slices, and which others had given way to the one that goes nobody knows any more.
    pub(super) fn takes_the_place(&mut self, header: &InstanceHeader, arrival: &Arrival) -> bool {
        match self.versions.note(header, arrival) {
            Standing::Counts => true,
            Standing::Outdated => {
                self.tally.forget(arrival.number);
                false
            }
            Standing::Replaces(before) => {
                self.tally.forget(before);
                self.tally.has_images(arrival.number, header.images.len());
                let has_slices = self.series.contains_key(&header.series_instance_uid);
                if has_slices {
                    self.stale.insert(header.series_instance_uid.clone());
                }
                !has_slices
            }
        }
    }

    /// Whether images were replaced and their series have not been made anew.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        !self.stale.is_empty()
    }

    /// Makes the series anew of which images were replaced: all that counts of them is decoded again.
    pub fn rebuild(&mut self) {
        for uid in std::mem::take(&mut self.stale) {
            self.series.remove(&uid);
            for arrival in self.versions.arrivals(&uid) {
                self.tally.count_again(arrival.number);
                self.waiting.push_back(Waiting::new(arrival));
            }
        }
    }

    /// Where nothing is left of an exam: its objects were refused and have been stored since, in the exams that they name.
    pub(crate) fn nothing_left(&self) -> Option<String> {
        let is_empty = self.known.is_empty() && self.refusals.count() == 0;
        match self.refusals.mended() {
            0 => None,
            1 => is_empty.then(|| "the object that was refused has been stored since, in its own exam".to_owned()),
            mended => is_empty
                .then(|| format!("the {mended} objects that were refused have been stored since, in their own exams")),
        }
    }
}
