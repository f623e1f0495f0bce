//! Whether who has work gets on with it: a thread that lives may hang.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

/// Since when somebody has had work without finishing any of it. Shared between who works and who watches; cheap to clone.
///
/// Who works says `working` before and `done` after each piece of work, and `idle` when nothing is left: then no time counts, however
/// long nobody asks for anything.
#[derive(Debug, Clone, Default)]
pub struct WorkProgress(Arc<Mutex<Option<Instant>>>);

impl WorkProgress {
    /// There is work; time counts from now on, unless it does already.
    pub fn working(&self) {
        self.since().get_or_insert_with(Instant::now);
    }

    /// A piece of work is finished and there may be more: time counts anew.
    pub fn done(&self) {
        *self.since() = Some(Instant::now());
    }

    /// There is nothing to do.
    pub fn idle(&self) {
        *self.since() = None;
    }

    /// How long there has been work and nothing was finished, if that is `limit` or longer.
    #[must_use]
    pub fn stalled(&self, limit: Duration) -> Option<Duration> {
        (*self.since()).map(|since| since.elapsed()).filter(|stalled| *stalled >= limit)
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_from_the_work_that_is_not_finished_and_not_while_there_is_none() {
        let progress = WorkProgress::default();
        assert_eq!(progress.stalled(Duration::ZERO), None, "nothing to do");
        progress.working();
        let first = progress.stalled(Duration::ZERO).unwrap();
        progress.working();
        assert!(progress.clone().stalled(Duration::ZERO).unwrap() >= first, "more work excuses nothing");
        assert_eq!(progress.stalled(Duration::from_hours(1)), None, "not for long");
        let before = progress.0.lock().unwrap();
        progress.done();
        assert!(progress.0.lock().unwrap() > before);
        progress.idle();
        assert_eq!(progress.stalled(Duration::ZERO), None);
    }
}
