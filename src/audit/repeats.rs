//! What happens again and again is recorded once in a while: a page asks for a hundred pictures of one exam.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The same by the same is recorded again after this.
pub(super) const ONCE_IN: Duration = Duration::from_mins(10);

/// More are not remembered: who makes up addresses is recorded more often, not less.
const MOST_REMEMBERED: usize = 10_000;

/// When each of these was last recorded.
#[derive(Debug)]
pub(super) struct Repeats<T>(Mutex<BTreeMap<T, Instant>>);

impl<T> Default for Repeats<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Ord> Repeats<T> {
    /// Whether this is to be recorded now.
    pub(super) fn is_due(&self, what: T, now: Instant) -> bool {
        let mut last = self.0.lock();
        let is_recent = |at: &Instant| now.saturating_duration_since(*at) < ONCE_IN;
        if last.get(&what).is_some_and(is_recent) {
            return false;
        }
        if last.len() >= MOST_REMEMBERED {
            last.retain(|_, at| is_recent(at));
        }
        if last.len() >= MOST_REMEMBERED {
            last.clear();
        }
        last.insert(what, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_due_again_after_a_while_and_something_else_at_once() {
        let (repeats, now) = (Repeats::default(), Instant::now());
        assert!(repeats.is_due(1, now) && repeats.is_due(2, now));
        assert!(!repeats.is_due(1, now + ONCE_IN / 2));
        assert!(repeats.is_due(1, now + ONCE_IN));
    }
}
