//! When is an exam over? The patient lies on the table until the verdict is there, so the answer must come early; and
//! no verdict on a part of the slices may stand, so it must be right.
//!
//! Every signal may lie: procedure steps list images that are never sent, announcements count another reconstruction,
//! scanners open an association for each image, and pause in the middle of a series. So the rules are combined: the one
//! that decides first decides, and of those that decide together the surest gives the reason. All of them only guess at
//! time. Slices that come after the verdict reopen the exam and refute its rule ([`Rhythm::refute`]): a wrong signal
//! costs one revised verdict, never a wrong one. Quiet time always decides in the end, so that no exam waits for ever.
//! The rules read no clock: callers pass the time, so that each rule is a function that tests can ask.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::performed_step::PerformedStepSignal;
use super::scanner_pauses::Pauses;

/// Names one association within this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssociationId(pub u64);

/// How the end of an exam was known, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompletionRule {
    /// The scanner said that its procedure step has ended (MPPS), and the instances that it lists are here.
    ProcedureStep,
    /// As many images as Images in Acquisition announced.
    ExpectedCount,
    /// The scan has left the lungs behind: nothing that still comes can change the verdict.
    LungsPassed,
    /// The association that carried the exam was released.
    AssociationReleased,
    /// Nothing came for longer than this scanner's rhythm explains.
    QuietTime,
}

impl CompletionRule {
    /// The rule as reports and metrics write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProcedureStep => "procedure_step",
            Self::ExpectedCount => "expected_count",
            Self::LungsPassed => "lungs_passed",
            Self::AssociationReleased => "association_released",
            Self::QuietTime => "quiet_time",
        }
    }
}

/// How long to wait for more, by rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CompletionLimits {
    /// After the association that carried the exam was released.
    pub release_grace: Duration,
    /// After a procedure step that names no instances has ended.
    pub step_grace: Duration,
    /// After the last instance, where nothing is known of the scanner's rhythm; the most that its rhythm is believed to explain.
    pub quiet: Duration,
    /// The least silence that ends an exam, however quick its scanner.
    pub least_quiet: Duration,
    /// After this many millimetres without lung the lungs have passed. `None` where exams come whole.
    pub lungs_passed_mm: Option<f64>,
    /// Fewer images than this are no series: an association that carried fewer may be one of many that a scanner opens
    /// image by image, an announcement of fewer is none, and so few show no rhythm.
    pub series_sized: usize,
}

impl Default for CompletionLimits {
    fn default() -> Self {
        Self {
            release_grace: Duration::from_millis(100),
            step_grace: Duration::from_secs(1),
            quiet: Duration::from_secs(5),
            least_quiet: Duration::from_millis(500),
            lungs_passed_mm: Some(30.0),
            series_sized: 16,
        }
    }
}

impl CompletionLimits {
    /// For exams whose files are all there: their end is known, nothing needs to be waited for.
    #[must_use]
    pub fn of_whole_exams() -> Self {
        Self {
            release_grace: Duration::ZERO,
            quiet: Duration::from_hours(1),
            lungs_passed_mm: None,
            series_sized: 1,
            ..Self::default()
        }
    }
}

/// A silence is out of rhythm once it is this many times as long as the longest pause known.
const OUT_OF_RHYTHM: u32 = 3;

/// However long an exam has paused before, after this silence it is over.
const LONGEST_SILENCE: Duration = Duration::from_mins(1);

/// What is known of an exam when the rules decide whether it is over.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Slices of the judged series.
    pub slices: usize,
    /// How many the scanner announced; `None` too where the announcement cannot be of this series.
    pub expected: Option<usize>,
    /// What procedure steps say of the judged series.
    pub step: Option<PerformedStepSignal>,
    pub lungs_passed: bool,
    /// The longest pauses of this exam so far.
    pub pauses: Pauses,
    /// Those of the same scanner's earlier exams, once enough of these are known.
    pub usual: Option<Pauses>,
}

/// The rhythm in which an exam's instances come.
#[derive(Debug)]
pub struct Rhythm {
    last_arrival: Instant,
    open: BTreeMap<AssociationId, usize>,
    /// When the last open association was closed, and how many images it and those beside it had carried.
    released: Option<(Instant, usize)>,
    /// Rules after whose verdict more came of this exam.
    refuted: BTreeSet<CompletionRule>,
}

impl Rhythm {
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { last_arrival: now, open: BTreeMap::new(), released: None, refuted: BTreeSet::new() }
    }

    /// An instance of this many images came over this association. Gives the time since the last association was released, if this
    /// is the first instance after it.
    pub fn arrived(&mut self, association: AssociationId, images: usize, now: Instant) -> Option<Duration> {
        self.last_arrival = now;
        let released = if self.open.is_empty() { self.released.take() } else { None };
        *self.open.entry(association).or_default() += images;
        released.map(|(at, _)| now.saturating_duration_since(at))
    }

    /// The association was released, aborted or lost. Those that close while others go on count for the last one.
    pub fn closed(&mut self, association: AssociationId, now: Instant) {
        let Some(carried) = self.open.remove(&association) else { return };
        let before = self.released.map_or(0, |(_, carried)| carried);
        self.released = Some((now, before + carried));
    }

    /// An association that carried it has not been closed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// How many images its associations had carried when the last one was closed; `None` while one is open or none has been.
    #[must_use]
    pub fn carried(&self) -> Option<usize> {
        self.released.filter(|_| self.open.is_empty()).map(|(_, carried)| carried)
    }

    /// A rule had ended the exam, and more came that matters. A signal is not believed again in this exam; a rule that waits
    /// will wait for longer than the pause that deceived it.
    pub fn refute(&mut self, rule: CompletionRule) {
        self.refuted.insert(rule);
    }

    #[must_use]
    pub fn last_arrival(&self) -> Instant {
        self.last_arrival
    }

    /// When the association that carried the exam was released, if none is open: the scan seems to be over.
    #[must_use]
    pub fn released(&self, limits: &CompletionLimits) -> Option<Instant> {
        let carried_it = |(_, carried): &(Instant, usize)| self.open.is_empty() && *carried >= limits.series_sized;
        self.released.filter(carried_it).map(|(at, _)| at)
    }

    /// The rule that decides first and when it does, as things stand; of rules that decide at the same time the surest.
    #[must_use]
    pub fn completion(&self, progress: &Progress, limits: &CompletionLimits) -> (CompletionRule, Instant) {
        let is_series = progress.slices >= limits.series_sized;
        let step = progress.step.and_then(|word| match word {
            PerformedStepSignal::AllReceived(ended) => Some(ended.max(self.last_arrival)),
            PerformedStepSignal::Ended(ended) => is_series.then(|| ended.max(self.last_arrival) + limits.step_grace),
        });
        // More than were announced: the announcement was wrong.
        let is_counted = is_series && progress.expected == Some(progress.slices);
        let signals = [
            (CompletionRule::ProcedureStep, step),
            (CompletionRule::ExpectedCount, is_counted.then_some(self.last_arrival)),
            (CompletionRule::LungsPassed, progress.lungs_passed.then_some(self.last_arrival)),
        ];
        let released =
            self.released(limits).map(|at| (CompletionRule::AssociationReleased, at + Self::grace(progress, limits)));
        let quiet = (CompletionRule::QuietTime, self.last_arrival + self.silence(progress, limits));
        let signals = signals.into_iter().filter(|(rule, _)| !self.refuted.contains(rule));
        let decided = signals.filter_map(|(rule, at)| Some((rule, at?))).chain(released);
        decided.fold(quiet, |first, other| {
            // Quiet time comes first here and is the last to be asked.
            let is_before = other.1 < first.1 || other.1 == first.1 && other.0 < first.0;
            if is_before { other } else { first }
        })
    }

    /// How long a release is waited out: scanners that limit an association's time open another one soon.
    fn grace(progress: &Progress, limits: &CompletionLimits) -> Duration {
        let usual = progress.usual.map(|usual| usual.after_release).unwrap_or_default().min(limits.quiet);
        limits.release_grace.max(usual.max(progress.pauses.after_release) * OUT_OF_RHYTHM).min(LONGEST_SILENCE)
    }

    /// How long a silence ends the exam.
    fn silence(&self, progress: &Progress, limits: &CompletionLimits) -> Duration {
        let own = progress.pauses.in_series * OUT_OF_RHYTHM;
        let explained = match progress.usual {
            Some(usual) if progress.slices >= limits.series_sized => own.max(usual.in_series * OUT_OF_RHYTHM),
            _ => limits.quiet,
        };
        let bounded = explained.max(limits.least_quiet).min(limits.quiet);
        if self.refuted.contains(&CompletionRule::QuietTime) { bounded.max(own.min(LONGEST_SILENCE)) } else { bounded }
    }
}

#[cfg(test)]
#[path = "completion_tests.rs"]
mod tests;
