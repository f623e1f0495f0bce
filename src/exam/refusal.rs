//! What belongs to an exam and is not here because it was refused: nobody knows what it shows, so the exam is not clear.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Identity;

/// An object that was refused, with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Its SOP Instance UID, or the name of its file where that cannot be read.
    pub sop_instance_uid: String,
    /// Why, in words for a technician.
    pub reason: String,
    #[serde(flatten)]
    pub identity: Identity,
    /// Calling AE title of its sender.
    pub scanner: String,
    pub at: Timestamp,
}

/// What there is of an exam: a verdict on less is not the last word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contents {
    /// Instances that are here, earlier versions of them included.
    pub instances: usize,
    /// Objects that were refused and are missing.
    pub refused: usize,
}

/// An exam's refused objects. One that is stored later is no longer missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals {
    missing: BTreeMap<String, Refusal>,
    /// Refusals that are counted and not remembered one by one.
    beyond: usize,
    mended: usize,
}

impl Refusals {
    /// Of more objects than these only the number is known: a sender that goes wrong must not fill memory or disk.
    pub const MOST_REMEMBERED: usize = 10_000;

    /// Notes a refusal. `false` if the object is known to be missing.
    pub fn add(&mut self, refusal: Refusal) -> bool {
        if let Some(known) = self.missing.get_mut(&refusal.sop_instance_uid) {
            *known = refusal;
            return false;
        }
        if self.missing.len() < Self::MOST_REMEMBERED {
            self.missing.insert(refusal.sop_instance_uid.clone(), refusal);
        } else {
            self.beyond += 1;
        }
        true
    }

    /// Notes that an object was stored. `true` if it was missing.
    pub fn mend(&mut self, sop_instance_uid: &str) -> bool {
        let was_missing = self.missing.remove(sop_instance_uid).is_some();
        self.mended += usize::from(was_missing);
        was_missing
    }

    #[must_use]
    pub fn is_missing(&self, sop_instance_uid: &str) -> bool {
        self.missing.contains_key(sop_instance_uid)
    }

    /// Objects that are missing.
    #[must_use]
    pub fn count(&self) -> usize {
        self.missing.len() + self.beyond
    }

    /// Objects that were refused and have been stored since.
    #[must_use]
    pub fn mended(&self) -> usize {
        self.mended
    }

    /// The commonest reason; whatever the order of arrival.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for refusal in self.missing.values() {
            *counts.entry(&refusal.reason).or_default() += 1;
        }
        // Of equal counts the last one is the maximum: the first in the alphabet is wanted.
        counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(reason, _)| reason)
    }

    /// The missing objects, in the order of their UIDs.
    pub fn iter(&self) -> impl Iterator<Item = &Refusal> {
        self.missing.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(uid: usize, reason: &str) -> Refusal {
        Refusal {
            sop_instance_uid: uid.to_string(),
            reason: reason.to_owned(),
            identity: Identity::default(),
            scanner: "CT1".to_owned(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn an_object_that_is_refused_again_counts_once_and_one_that_is_stored_no_longer() {
        let mut refusals = Refusals::default();
        assert!(refusals.add(refusal(1, "cut off")));
        assert!(!refusals.add(refusal(1, "cut off")));
        assert!(refusals.add(refusal(2, "cut off")));
        assert_eq!((refusals.count(), refusals.mended()), (2, 0));
        assert!(refusals.mend("1") && !refusals.mend("1") && !refusals.mend("3"));
        assert_eq!((refusals.count(), refusals.mended(), refusals.is_missing("1")), (1, 1, false));
    }

    #[test]
    fn the_commonest_reason_is_told() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.reason(), None);
        for (uid, reason) in ["no room", "cut off", "cut off", "a", "a"].into_iter().enumerate() {
            refusals.add(refusal(uid, reason));
        }
        assert_eq!(refusals.reason(), Some("a"));
        refusals.add(refusal(9, "cut off"));
        assert_eq!(refusals.reason(), Some("cut off"));
    }

    #[test]
    fn beyond_a_limit_only_the_number_is_kept() {
        let mut refusals = Refusals::default();
        for uid in 0..Refusals::MOST_REMEMBERED + 5 {
            refusals.add(refusal(uid, "no room"));
        }
        assert_eq!(
            (refusals.count(), refusals.iter().count()),
            (Refusals::MOST_REMEMBERED + 5, Refusals::MOST_REMEMBERED)
        );
    }

    #[test]
    fn a_refusal_is_one_flat_object_and_reads_back() {
        let written = serde_json::to_string(&refusal(1, "cut off")).unwrap();
        assert!(written.contains("\"study_instance_uid\"") && !written.contains('\n'), "{written}");
        assert_eq!(serde_json::from_str::<Refusal>(&written).unwrap(), refusal(1, "cut off"));
    }
}
