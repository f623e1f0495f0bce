//! How long somebody who failed is left alone.

use std::time::Duration;

use rand::RngExt as _;

/// The shortest and the longest pause.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryLimits {
    pub first: Duration,
    pub longest: Duration,
}

impl Default for RetryLimits {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_mins(5) }
    }
}

/// Each pause is twice as long as the one before, up to the longest.
#[derive(Debug)]
pub(crate) struct Backoff {
    limits: RetryLimits,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(limits: RetryLimits) -> Self {
        Self { limits, next: limits.first }
    }

    /// The next pause: three quarters of its length and a random share of the rest, so that what failed together does not come back
    /// together; at least `asked`, where the destination said how long.
    pub(crate) fn pause(&mut self, asked: Option<Duration>) -> Duration {
        let pause = self.next.min(self.limits.longest);
        self.next = (pause * 2).min(self.limits.longest);
        let pause = pause.mul_f64(rand::rng().random_range(0.75..=1.0));
        pause.max(asked.unwrap_or_default().min(self.limits.longest))
    }

    /// It answers again.
    pub(crate) fn reset(&mut self) {
        self.next = self.limits.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_begin_anew_after_an_answer() {
        let mut backoff = Backoff::new(RetryLimits::default());
        let pauses: Vec<f64> = (0..12).map(|_| backoff.pause(None).as_secs_f64()).collect();
        for (at, pause) in pauses.iter().enumerate() {
            let whole = 2.0_f64.powi(at as i32).min(300.0);
            assert!((0.75 * whole..=whole).contains(pause), "{pauses:?}");
        }
        backoff.reset();
        assert!(backoff.pause(None) <= Duration::from_secs(1));
        assert_eq!(backoff.pause(Some(Duration::from_secs(77))), Duration::from_secs(77));
        assert!(backoff.pause(Some(Duration::from_hours(9))) <= Duration::from_mins(5));
    }
}
