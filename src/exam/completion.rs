//! When is an exam over? Rules are combined; a wrong one costs at most a revised verdict.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tells the associations of this process apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssociationId(pub u64);

/// How the end of an exam was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompletionRule {
    /// As many images as Images in Acquisition announced.
    ExpectedCount,
    /// The association that carried the exam was released.
    AssociationReleased,
    /// Nothing came for the configured quiet time.
    QuietTime,
}

impl CompletionRule {
    /// The rule as reports and metrics write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExpectedCount => "expected_count",
            Self::AssociationReleased => "association_released",
            Self::QuietTime => "quiet_time",
        }
    }
}

/// How long to wait for more, by rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletionTimes {
    /// After the association that carried the exam was released.
    pub release_grace: Duration,
    /// After the last instance, whatever the associations do.
    pub quiet: Duration,
    /// An association that carried fewer instances than this may be one of many that a scanner opens image by image:
    /// its release says nothing.
    pub series_sized: usize,
}

impl Default for CompletionTimes {
    fn default() -> Self {
        Self { release_grace: Duration::from_millis(100), quiet: Duration::from_secs(5), series_sized: 16 }
    }
}

/// The rhythm in which an exam's instances come.
#[derive(Debug)]
pub struct Rhythm {
    last_arrival: Instant,
    open: BTreeMap<AssociationId, usize>,
    /// When the last open association was closed, and how many instances it and those beside it had carried.
    released: Option<(Instant, usize)>,
}

impl Rhythm {
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { last_arrival: now, open: BTreeMap::new(), released: None }
    }

    /// An instance came over this association.
    pub fn arrived(&mut self, association: AssociationId, now: Instant) {
        self.last_arrival = now;
        if self.open.is_empty() {
            self.released = None;
        }
        *self.open.entry(association).or_default() += 1;
    }

    /// The association was released, aborted or lost. Those that close while others go on count for the last one.
    pub fn closed(&mut self, association: AssociationId, now: Instant) {
        let Some(carried) = self.open.remove(&association) else { return };
        let before = self.released.map_or(0, |(_, carried)| carried);
        self.released = Some((now, before + carried));
    }

    #[must_use]
    pub fn last_arrival(&self) -> Instant {
        self.last_arrival
    }

    /// The rule that decides first and when it does, as things stand. `slices` and `expected` count the judged series.
    #[must_use]
    pub fn completion(
        &self,
        slices: usize,
        expected: Option<usize>,
        times: &CompletionTimes,
    ) -> (CompletionRule, Instant) {
        if expected.is_some_and(|expected| slices >= expected) {
            return (CompletionRule::ExpectedCount, self.last_arrival);
        }
        let quiet = self.last_arrival + times.quiet;
        match self.released {
            Some((at, carried)) if self.open.is_empty() && carried >= times.series_sized => {
                let released = at + times.release_grace;
                if released <= quiet {
                    (CompletionRule::AssociationReleased, released)
                } else {
                    (CompletionRule::QuietTime, quiet)
                }
            }
            _ => (CompletionRule::QuietTime, quiet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: CompletionTimes =
        CompletionTimes { release_grace: Duration::from_millis(100), quiet: Duration::from_secs(5), series_sized: 16 };
    const A: AssociationId = AssociationId(1);
    const B: AssociationId = AssociationId(2);

    fn after(rhythm: &Rhythm, start: Instant) -> (CompletionRule, u128) {
        let (rule, at) = rhythm.completion(0, None, &TIMES);
        (rule, (at - start).as_millis())
    }

    #[test]
    fn a_released_series_is_over_after_the_grace() {
        let start = Instant::now();
        let mut rhythm = Rhythm::new(start);
        (0..20).for_each(|_| rhythm.arrived(A, start));
        assert_eq!(after(&rhythm, start), (CompletionRule::QuietTime, 5000));
        rhythm.closed(A, start);
        assert_eq!(after(&rhythm, start), (CompletionRule::AssociationReleased, 100));
    }

    #[test]
    fn while_another_association_is_open_a_release_says_nothing() {
        let start = Instant::now();
        let mut rhythm = Rhythm::new(start);
        (0..20).for_each(|_| rhythm.arrived(A, start));
        rhythm.arrived(B, start);
        rhythm.closed(A, start);
        assert_eq!(after(&rhythm, start).0, CompletionRule::QuietTime);
        rhythm.closed(B, start);
        assert_eq!(after(&rhythm, start).0, CompletionRule::AssociationReleased);
    }

    #[test]
    fn an_association_for_each_image_waits_for_quiet() {
        let start = Instant::now();
        let mut rhythm = Rhythm::new(start);
        for number in 0..40 {
            rhythm.arrived(AssociationId(number), start);
            rhythm.closed(AssociationId(number), start);
        }
        assert_eq!(after(&rhythm, start).0, CompletionRule::QuietTime);
    }

    #[test]
    fn the_announced_number_of_images_needs_no_waiting() {
        let start = Instant::now();
        let mut rhythm = Rhythm::new(start);
        rhythm.arrived(A, start);
        assert_eq!(rhythm.completion(30, Some(30), &TIMES), (CompletionRule::ExpectedCount, start));
        assert_eq!(rhythm.completion(29, Some(30), &TIMES).0, CompletionRule::QuietTime);
    }
}
