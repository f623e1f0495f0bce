//! What scanners are doing, for those who must not be in their way: the synthetic patient.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// A procedure step that has been in progress for longer was never ended: no scan takes as long.
const LONGEST_STEP: Duration = Duration::from_hours(1);

/// The associations and procedure steps of scanners. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Traffic(Arc<watch::Sender<Seen>>);

#[derive(Debug, Clone)]
struct Seen {
    open: usize,
    /// When an object or a message about a procedure step came last, or when the process began.
    last: Instant,
    /// Procedure steps in progress, and since when.
    steps: BTreeMap<String, Instant>,
}

/// An association of a scanner, for as long as this lives.
#[derive(Debug)]
pub(super) struct OpenAssociation(Traffic);

impl Default for Traffic {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Seen { open: 0, last: Instant::now(), steps: BTreeMap::new() })))
    }
}

impl Traffic {
    pub(super) fn opened(&self) -> OpenAssociation {
        self.0.send_modify(|seen| seen.open += 1);
        OpenAssociation(self.clone())
    }

    /// An object came, stored or not.
    pub(super) fn object_came(&self, now: Instant) {
        self.0.send_modify(|seen| seen.last = now);
    }

    /// A scanner has said that a procedure step is in progress, or that it has ended.
    pub(super) fn step(&self, sop_instance_uid: &str, is_in_progress: bool, now: Instant) {
        self.0.send_modify(|seen| {
            seen.last = now;
            seen.steps.retain(|uid, since| uid != sop_instance_uid && now.duration_since(*since) < LONGEST_STEP);
            if is_in_progress {
                seen.steps.insert(sop_instance_uid.to_owned(), now);
            }
        });
    }

    /// Whether no scanner has an association or a procedure step in progress, and nothing has come for this long.
    #[must_use]
    pub fn is_quiet_for(&self, quiet: Duration, now: Instant) -> bool {
        let seen = self.0.borrow();
        !seen.is_scanning(now) && now.saturating_duration_since(seen.last) >= quiet
    }

    /// Waits until a scanner opens an association or begins a procedure step, or something has come since `since`.
    pub async fn comes(&self, since: Instant) {
        let mut watch = self.0.subscribe();
        // It ends with the sender, which this keeps.
        let _ = watch.wait_for(|seen| seen.is_scanning(Instant::now()) || seen.last > since).await;
    }
}

impl Seen {
    fn is_scanning(&self, now: Instant) -> bool {
        let is_recent = |since: &Instant| now.saturating_duration_since(*since) < LONGEST_STEP;
        self.open > 0 || self.steps.values().any(is_recent)
    }
}

impl Drop for OpenAssociation {
    fn drop(&mut self) {
        self.0.0.send_modify(|seen| seen.open -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn it_is_quiet_once_no_association_is_open_and_nothing_has_come_for_long_enough() {
        let (traffic, now) = (Traffic::default(), Instant::now() + MINUTE);
        assert!(traffic.is_quiet_for(MINUTE, now));
        let open = traffic.opened();
        assert!(!traffic.is_quiet_for(MINUTE, now));
        traffic.object_came(now);
        drop(open);
        assert!(!traffic.is_quiet_for(MINUTE, now + MINUTE / 2) && traffic.is_quiet_for(MINUTE, now + MINUTE));
    }

    #[test]
    fn a_procedure_step_in_progress_is_a_patient_on_the_table_for_an_hour_at_most() {
        let (traffic, now) = (Traffic::default(), Instant::now());
        traffic.step("1.2", true, now);
        traffic.step("1.3", true, now);
        traffic.step("1.2", false, now);
        assert!(!traffic.is_quiet_for(MINUTE, now + 10 * MINUTE), "the other one goes on");
        assert!(traffic.is_quiet_for(MINUTE, now + LONGEST_STEP), "forgotten by its scanner");
        traffic.step("1.3", false, now);
        assert!(traffic.is_quiet_for(MINUTE, now + MINUTE));
    }

    #[tokio::test]
    async fn who_waits_for_scanners_hears_of_an_association_and_of_one_that_has_come_and_gone() {
        let (traffic, began) = (Traffic::default(), Instant::now());
        let waiting = tokio::spawn({
            let traffic = traffic.clone();
            async move { traffic.comes(began).await }
        });
        let open = traffic.opened();
        waiting.await.unwrap();
        drop(open);
        assert!(tokio::time::timeout(Duration::ZERO, traffic.comes(began)).await.is_err());
        traffic.object_came(Instant::now());
        traffic.comes(began).await;
    }
}
