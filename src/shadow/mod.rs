//! The shadow model: a second package judges exams that have their verdict, to be compared with the one that serves. Its results go to
//! the database and to metrics. No person, no archive and no flag hears of them.
//!
//! It must cost patients nothing, so it works only while nobody waits for anything. One thread at the lowest priority, with an engine on
//! the CPU of its own, begins an exam once nothing has been going on for `SETTLED`. After each step (a turn of decoding, a window) it
//! looks around: where something has come, it throws away what it has of the exam and begins that exam again later. So its memory is
//! one exam's at most, and given back soon after something has come. Images that are removed from the spool meanwhile are not kept for it.

mod judging;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::database::{DatabaseError, ShadowResults};
use crate::engine::{EngineError, ModelPackage, PackageError};
use crate::exam::{ExamKey, QualityLimits};
use crate::serving::choice::{self, EngineOptions};
use crate::serving::lowest_priority;
use crate::spool::{Spool, SpoolError};
use crate::telemetry;
use crate::triage::Densities;
use judging::{Judge, Judged};

/// How often it looks whether it may begin.
const LOOK: Duration = Duration::from_millis(500);

/// Nothing must have been going on for so long: between two series of a patient the machine is left alone.
const SETTLED: Duration = Duration::from_secs(2);

/// The exams that wait are listed this often at most, and for a twentieth of the time at most.
const LIST_EVERY: Duration = Duration::from_secs(2);
const LIST_SHARE: u32 = 20;

/// After the database or the spool failed it is left alone for so long.
const AFTER_FAILURE: Duration = Duration::from_mins(1);

/// `[shadow]` of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowOptions {
    /// The folder of the package; without one there is no shadow model.
    pub model: Option<PathBuf>,
    /// Threads of one inference.
    pub threads: usize,
    /// The share of the time, 0 to 1, for which it may work while nothing else does; it pauses for the rest.
    pub cpu_share: f64,
    /// An exam that takes it longer than this, its pauses not counted, is given up for good.
    pub exam_limit: Duration,
}

impl Default for ShadowOptions {
    fn default() -> Self {
        Self { model: None, threads: 1, cpu_share: 0.5, exam_limit: Duration::from_mins(10) }
    }
}

/// Says whether no exam is open and nothing waits to be analysed. Asked after each step: it has to be cheap.
pub type IsIdle = Box<dyn Fn() -> bool + Send>;

/// What the shadow works with.
pub struct ShadowParts {
    pub options: ShadowOptions,
    /// How the engine that serves is chosen: the shadow has the engine on the CPU that this leads to.
    pub engine: EngineOptions,
    pub limits: QualityLimits,
    pub densities: Densities,
    pub database: PathBuf,
    pub spool: Arc<Spool>,
    pub is_idle: IsIdle,
}

/// Why there is no shadow model, or why it cannot go on at present.
#[derive(Debug, thiserror::Error)]
enum ShadowError {
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// The running thread; it ends when this is dropped.
#[derive(Debug)]
pub struct Shadow {
    stop: Arc<StopSignal>,
    thread: Option<JoinHandle<()>>,
}

impl Shadow {
    /// Starts the thread, if the options name a package. What is wrong with that package is logged: patients are judged without it.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(parts: ShadowParts) -> std::io::Result<Option<Self>> {
        let Some(folder) = parts.options.model.clone() else { return Ok(None) };
        let stop = Arc::new(StopSignal::default());
        let of_thread = stop.clone();
        let thread = std::thread::Builder::new().name("shadow".to_owned()).spawn(move || {
            lowest_priority();
            let _span = tracing::info_span!("shadow").entered();
            let ended = catch_unwind(AssertUnwindSafe(|| run(parts, &folder, &of_thread)));
            telemetry::shadow_ended(!matches!(ended, Ok(Ok(()))));
            of_thread.has_ended.store(true, Ordering::Relaxed);
            if let Err(error) = ended.unwrap_or_else(|panic| resume_unwind(panic)) {
                tracing::error!(%error, "there is no shadow model: correct shadow.model and restart tableside");
            }
        })?;
        Ok(Some(Self { stop, thread: Some(thread) }))
    }

    /// For whoever shows whether it goes on.
    #[must_use]
    pub fn life(&self) -> ShadowLife {
        ShadowLife(self.stop.clone())
    }
}

/// Says whether the thread goes on.
#[derive(Debug, Clone)]
pub struct ShadowLife(Arc<StopSignal>);

impl ShadowLife {
    /// It ends where the package cannot be used.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        !self.0.has_ended.load(Ordering::Relaxed)
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        self.stop.stop();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the shadow model's thread had stopped unexpectedly: it has judged no exam since");
        }
    }
}

/// Tells the thread to end, also while it pauses.
#[derive(Debug, Default)]
struct StopSignal {
    stopped: Mutex<bool>,
    changed: Condvar,
    has_ended: AtomicBool,
}

impl StopSignal {
    fn stop(&self) {
        *self.stopped.lock() = true;
        self.changed.notify_all();
    }

    /// Waits for so long. `true` if the thread has to end.
    fn is_stopped_within(&self, pause: Duration) -> bool {
        let mut stopped = self.stopped.lock();
        self.changed.wait_while_for(&mut stopped, |stopped| !*stopped, pause);
        *stopped
    }
}

/// Judges until it is told to end. An error where there is no model to judge with.
fn run(parts: ShadowParts, folder: &Path, stop: &StopSignal) -> Result<(), ShadowError> {
    let mut idle = IdleTime::default();
    while !idle.is_settled((parts.is_idle)(), Instant::now()) {
        if stop.is_stopped_within(LOOK) {
            return Ok(());
        }
    }
    let mut judge = load(parts, folder)?;
    telemetry::shadow_runs();
    let mut list = WaitingList::default();
    while !stop.is_stopped_within(LOOK) {
        if !idle.is_settled((judge.parts.is_idle)(), Instant::now()) {
            continue;
        }
        if let Err(error) = work(&mut judge, &mut list, stop) {
            tracing::warn!(%error, "the shadow model judges nothing for a minute");
            if stop.is_stopped_within(AFTER_FAILURE) {
                return Ok(());
            }
        }
        idle = IdleTime::default();
    }
    Ok(())
}

fn load(parts: ShadowParts, folder: &Path) -> Result<Judge, ShadowError> {
    let package = ModelPackage::load(folder)?;
    let options = EngineOptions { threads: parts.options.threads, ..parts.engine.clone() };
    let engine = choice::on_cpu(&package, &options)?;
    let results = ShadowResults::open(&parts.database)?;
    tracing::info!(
        model = package.title(),
        package = package.sha256(),
        engine = engine.name(),
        "the shadow model is ready"
    );
    Ok(Judge::new(parts, package, engine, results))
}

/// Judges the exams that wait until there are none, or somebody else needs the machine.
fn work(judge: &mut Judge, list: &mut WaitingList, stop: &StopSignal) -> Result<(), ShadowError> {
    list.renew(judge)?;
    while let Some(exam) = list.exams.front() {
        tracing::debug!(%exam, "the shadow model begins an exam");
        match judge.judge(exam, stop)? {
            Judged::Interrupted => {
                telemetry::shadow_interrupted();
                return Ok(());
            }
            Judged::Stopped => return Ok(()),
            // What has changed is listed again.
            Judged::Kept | Judged::Changed => drop(list.exams.pop_front()),
        }
        telemetry::shadow_waiting(list.exams.len());
    }
    Ok(())
}

/// The exams that wait to be judged, the oldest first.
#[derive(Debug, Default)]
struct WaitingList {
    exams: VecDeque<ExamKey>,
    /// When it may be made anew.
    next: Option<Instant>,
}

impl WaitingList {
    /// Lists the exams anew once none is left, but not all the time.
    fn renew(&mut self, judge: &Judge) -> Result<(), ShadowError> {
        let started = Instant::now();
        if !self.exams.is_empty() || self.next.is_some_and(|next| started < next) {
            return Ok(());
        }
        self.exams = judge.waiting()?;
        telemetry::shadow_waiting(self.exams.len());
        self.next = Some(Instant::now() + LIST_EVERY.max(started.elapsed() * LIST_SHARE));
        Ok(())
    }
}

/// Since when nothing has been going on.
#[derive(Debug, Default)]
struct IdleTime(Option<Instant>);

impl IdleTime {
    fn is_settled(&mut self, is_idle: bool, now: Instant) -> bool {
        let since = if is_idle { Some(*self.0.get_or_insert(now)) } else { None };
        self.0 = since;
        since.is_some_and(|since| now.saturating_duration_since(since) >= SETTLED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_left_alone_until_nothing_has_been_going_on_for_a_while() {
        let (mut idle, start) = (IdleTime::default(), Instant::now());
        assert!(!idle.is_settled(true, start));
        assert!(!idle.is_settled(true, start + SETTLED / 2));
        assert!(!idle.is_settled(false, start + SETTLED));
        assert!(!idle.is_settled(true, start + SETTLED * 2), "counted anew");
        assert!(idle.is_settled(true, start + SETTLED * 3));
    }

    #[test]
    fn a_pause_ends_when_the_thread_has_to() {
        let stop = Arc::new(StopSignal::default());
        let of_thread = stop.clone();
        let thread = std::thread::spawn(move || of_thread.is_stopped_within(Duration::from_hours(1)));
        assert!(!stop.is_stopped_within(Duration::ZERO));
        stop.stop();
        assert!(thread.join().unwrap());
    }
}
