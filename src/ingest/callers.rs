//! Who has called since the start, and what came of it: for whoever sets scanners up and looks after them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;

/// Callers that are remembered: where nobody says who may send, anybody can make more.
const MOST_CALLERS: usize = 256;

/// A calling AE title at an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CallerSeen {
    #[serde(skip)]
    pub ae_title: String,
    pub address: String,
    /// Associations that were accepted, and those that were refused.
    pub associations: u64,
    pub associations_refused: u64,
    /// When it called last, whatever came of it.
    #[schemars(with = "Option<String>")]
    pub last_called: Option<Timestamp>,
    /// Objects that were stored and acknowledged, and those that were refused.
    pub stored: u64,
    pub refused: u64,
    /// When an object was stored last, and refused.
    #[schemars(with = "Option<String>")]
    pub last_stored: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    pub last_refused: Option<Timestamp>,
}

impl CallerSeen {
    /// One that has not called yet.
    #[must_use]
    pub fn new(ae_title: &str, address: &str) -> Self {
        Self {
            ae_title: ae_title.to_owned(),
            address: address.to_owned(),
            associations: 0,
            associations_refused: 0,
            last_called: None,
            stored: 0,
            refused: 0,
            last_stored: None,
            last_refused: None,
        }
    }
}

/// All callers. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Callers(Arc<Mutex<BTreeMap<(String, String), CallerSeen>>>);

impl Callers {
    /// All of them, by AE title and address.
    #[must_use]
    pub fn seen(&self) -> Vec<CallerSeen> {
        self.0.lock().values().cloned().collect()
    }

    pub(super) fn called(&self, ae_title: &str, address: &str, is_accepted: bool) {
        self.note(ae_title, address, |caller, now| {
            caller.last_called = Some(now);
            let counted = if is_accepted { &mut caller.associations } else { &mut caller.associations_refused };
            *counted += 1;
        });
    }

    pub(super) fn stored(&self, ae_title: &str, address: &str) {
        self.note(ae_title, address, |caller, now| {
            caller.last_stored = Some(now);
            caller.stored += 1;
        });
    }

    pub(super) fn refused(&self, ae_title: &str, address: &str) {
        self.note(ae_title, address, |caller, now| {
            caller.last_refused = Some(now);
            caller.refused += 1;
        });
    }

    fn note(&self, ae_title: &str, address: &str, note: impl FnOnce(&mut CallerSeen, Timestamp)) {
        let mut callers = self.0.lock();
        let key = (ae_title.to_owned(), address.to_owned());
        if callers.len() >= MOST_CALLERS && !callers.contains_key(&key) {
            // Whoever tries many names pushes out no scanner that has sent something.
            let least = callers.values().min_by_key(|caller| (caller.last_stored, caller.last_called));
            let least = least.map(|caller| (caller.ae_title.clone(), caller.address.clone()));
            least.and_then(|key| callers.remove(&key));
        }
        note(callers.entry(key).or_insert_with(|| CallerSeen::new(ae_title, address)), Timestamp::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_does_is_counted_and_a_crowd_pushes_out_no_scanner() {
        let callers = Callers::default();
        callers.called("CT1", "10.0.0.7", true);
        callers.stored("CT1", "10.0.0.7");
        callers.refused("CT1", "10.0.0.7");
        callers.called("CT1", "10.0.0.8", false);
        let seen = callers.seen();
        let counts =
            |caller: &CallerSeen| (caller.associations, caller.associations_refused, caller.stored, caller.refused);
        assert_eq!((counts(&seen[0]), counts(&seen[1])), ((1, 0, 1, 1), (0, 1, 0, 0)));
        for number in 0..1000 {
            callers.called(&format!("X{number}"), "10.0.0.9", false);
        }
        let seen = callers.seen();
        assert_eq!(seen.len(), MOST_CALLERS);
        assert!(seen.iter().any(|caller| caller.ae_title == "CT1" && caller.stored == 1));
    }
}
