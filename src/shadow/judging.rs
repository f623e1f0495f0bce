//! One exam by the shadow model: the files of the spool, as the daemon takes them after a restart, through the same analysis.

use std::collections::{BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{ShadowError, ShadowParts, StopSignal};
use crate::analysis::{Replay, ReplayError, WindowEngine};
use crate::database::{Judgement, ModelName, ShadowResult, ShadowResults};
use crate::engine::{Engine, Manifest, ModelPackage};
use crate::exam::{Contents, ExamKey, Refusals};
use crate::inference::{Planes, QueuedWindow, WindowResult, infer_window};
use crate::telemetry;
use crate::triage::CaseReport;

/// What became of an exam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// Its result is kept, or why there is none.
    Kept,
    /// More has come of it, or its images are gone: there is nothing to compare.
    Changed,
    /// Something else has to be analysed.
    Interrupted,
    /// The daemon stops.
    Stopped,
}

/// Judges one exam after the other.
pub(super) struct Judge {
    pub(super) parts: ShadowParts,
    package: ModelPackage,
    package_sha256: String,
    engine: CpuEngine,
    results: ShadowResults,
}

/// What there is of an exam in the spool.
struct Spooled {
    instances: Vec<PathBuf>,
    refusals: Refusals,
}

impl Spooled {
    fn contents(&self) -> Contents {
        Contents { instances: self.instances.len(), refused: self.refusals.count() }
    }
}

impl Judge {
    pub(super) fn new(
        parts: ShadowParts,
        package: ModelPackage,
        engine: Box<dyn Engine>,
        results: ShadowResults,
    ) -> Self {
        let engine =
            CpuEngine { engine, planes: Planes::new(&package.manifest.input), manifest: package.manifest.clone() };
        Self { parts, package_sha256: package.sha256(), package, engine, results }
    }

    /// The exams that have a verdict and images and no result of this package, the oldest first.
    pub(super) fn waiting(&self) -> Result<VecDeque<ExamKey>, ShadowError> {
        let here: BTreeSet<ExamKey> = self.parts.spool.exams()?.into_iter().collect();
        let unjudged = self.results.unjudged(&self.package_sha256)?;
        Ok(unjudged.into_iter().filter(|exam| here.contains(exam)).collect())
    }

    /// Judges an exam and keeps the result.
    pub(super) fn judge(&mut self, exam: &ExamKey, stop: &StopSignal) -> Result<Judged, ShadowError> {
        let Some((revision, report)) = self.results.last_verdict(exam)? else { return Ok(Judged::Changed) };
        let spooled = self.spooled(exam)?;
        if spooled.contents() != report.slices.contents() {
            return Ok(Judged::Changed);
        }
        let mut budget = Budget::new(self.parts.options.cpu_share, self.parts.options.exam_limit);
        let mut ended = None;
        let shadow = self.replay(exam, spooled, &mut |this| {
            let pause = budget.step();
            ended = if stop.is_stopped_within(pause) {
                Some(Ended::Stopped)
            } else if !(this.is_idle)() {
                Some(Ended::Interrupted)
            } else {
                budget.is_spent().then_some(Ended::TookTooLong)
            };
            budget.resume();
            ended.is_some()
        });
        let shadow = match (ended, shadow) {
            (Some(Ended::Stopped), _) => return Ok(Judged::Stopped),
            (Some(Ended::Interrupted), _) => return Ok(Judged::Interrupted),
            (Some(Ended::TookTooLong), _) => Err("it took longer than shadow.exam_limit_s".to_owned()),
            (None, shadow) => shadow,
        };
        // Images may have been removed or corrected under its hands.
        let is_unchanged = self.spooled(exam)?.contents() == report.slices.contents()
            && self.results.last_verdict(exam)?.is_some_and(|(number, _)| number == revision);
        if !is_unchanged {
            return Ok(Judged::Changed);
        }
        let worked = budget.worked;
        self.keep(exam, revision, &report, shadow, worked)?;
        Ok(Judged::Kept)
    }

    fn spooled(&self, exam: &ExamKey) -> Result<Spooled, ShadowError> {
        let spool = &self.parts.spool;
        Ok(Spooled { instances: spool.instances(exam)?, refusals: spool.refusals(exam) })
    }

    /// Runs the exam; `ends` is asked after each step. A panic costs the exam.
    fn replay(
        &mut self,
        exam: &ExamKey,
        spooled: Spooled,
        ends: &mut dyn FnMut(&ShadowParts) -> bool,
    ) -> Result<CaseReport, String> {
        let Self { parts, package, engine, .. } = self;
        let run = || -> Result<CaseReport, ReplayError> {
            let mut replay = Replay::new(exam.clone(), &package.manifest);
            replay.analysis.take_refusals(spooled.refusals);
            replay.run(spooled.instances, engine, &mut |_, _| {
                if ends(parts) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            Ok(replay.conclude(engine.name(), &parts.limits, parts.densities))
        };
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(replayed) => replayed.map_err(|error| error.to_string()),
            Err(_) => Err("the analysis panicked".to_owned()),
        }
    }

    fn keep(
        &self,
        exam: &ExamKey,
        revision: u32,
        report: &CaseReport,
        shadow: Result<CaseReport, String>,
        worked: Duration,
    ) -> Result<(), ShadowError> {
        let result = ShadowResult {
            exam: exam.clone(),
            revision,
            package_sha256: self.package_sha256.clone(),
            model: ModelName { title: self.package.title(), weights_sha256: self.package.manifest.sha256.clone() },
            judged: Timestamp::now(),
            worked_s: worked.as_secs_f64(),
            shadow: shadow.map(|report| Judgement::of(&report)),
            production_model: ModelName {
                title: format!("{} {}", report.model.name, report.model.version),
                weights_sha256: report.model.sha256.clone(),
            },
            production: Judgement::of(report),
        };
        self.results.put(&result)?;
        let outcome = result.outcome();
        telemetry::shadow_judged(outcome.as_str(), worked);
        tracing::debug!(%exam, outcome = outcome.as_str(), "the shadow model is done with an exam");
        if let Err(reason) = &result.shadow {
            tracing::warn!(%exam, reason, "the shadow model cannot judge an exam");
        }
        Ok(())
    }
}

/// Why a replay was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Interrupted,
    Stopped,
    TookTooLong,
}

/// How long the shadow may work on an exam, and for how long it has to pause meanwhile.
#[derive(Debug)]
struct Budget {
    share: f64,
    limit: Duration,
    worked: Duration,
    since: Instant,
}

impl Budget {
    fn new(share: f64, limit: Duration) -> Self {
        Self { share, limit, worked: Duration::ZERO, since: Instant::now() }
    }

    /// Counts a step that has just ended. How long the pause after it has to be.
    fn step(&mut self) -> Duration {
        let step = self.since.elapsed();
        self.worked += step;
        step.mul_f64(self.share.recip() - 1.0)
    }

    /// The next step begins.
    fn resume(&mut self) {
        self.since = Instant::now();
    }

    fn is_spent(&self) -> bool {
        self.worked > self.limit
    }
}

/// An engine on the CPU that runs in the shadow's own thread.
struct CpuEngine {
    engine: Box<dyn Engine>,
    planes: Planes,
    manifest: Manifest,
}

impl WindowEngine for CpuEngine {
    fn name(&self) -> &'static str {
        self.engine.name()
    }

    fn planes(&self) -> &Planes {
        &self.planes
    }

    fn infer(&mut self, window: QueuedWindow) -> WindowResult {
        infer_window(self.engine.as_mut(), &window.job, &self.manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_a_share_of_a_quarter_a_pause_is_three_times_the_step_before_it_and_counts_as_no_work() {
        let ago = |duration: Duration| Instant::now().checked_sub(duration).unwrap();
        let mut budget = Budget::new(0.25, Duration::from_millis(1500));
        budget.since = ago(Duration::from_secs(1));
        let pause = budget.step();
        assert!((3.0..3.5).contains(&pause.as_secs_f64()), "{pause:?}");
        assert!(!budget.is_spent());
        budget.resume();
        assert!(budget.step() < Duration::from_millis(500));
        budget.since = ago(Duration::from_secs(1));
        budget.step();
        assert!(budget.is_spent());
        let mut greedy = Budget::new(1.0, Duration::MAX);
        greedy.since = ago(Duration::from_secs(1));
        assert_eq!(greedy.step(), Duration::ZERO);
    }
}
