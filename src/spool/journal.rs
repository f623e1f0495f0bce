//! The journal: what is acknowledged lies here first, in segments, synced in groups. Its records are placed as files in the
//! exams' folders (`placing`), and a segment is used again once these files are synced (`checkpoint`). So a store waits for
//! one sync of data that others share, and not for the directories.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::segment::{BLOCK, Entry, Record, SEGMENT_BYTES, Segment};
use crate::telemetry;

/// Segments in all: so far may placing and checkpoints lag behind the network.
const MOST_SEGMENTS: usize = 8;

/// How long a store waits for a free segment before it gives up.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    active: Option<Active>,
    sealed: Vec<Arc<Segment>>,
    free: Vec<Arc<Segment>>,
    next_number: u64,
    being_made: usize,
    being_recycled: usize,
    problem: Option<Problem>,
    stopping: bool,
}

#[derive(Debug)]
struct Active {
    segment: Arc<Segment>,
    next: u64,
    last_append: Instant,
}

/// Why records cannot be placed or segments not be made; stores are refused as long as it lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub kind: io::ErrorKind,
    pub message: String,
}

impl From<&io::Error> for Problem {
    fn from(error: &io::Error) -> Self {
        Self { kind: error.kind(), message: error.to_string() }
    }
}

/// What the checkpoint does next.
#[derive(Debug)]
pub(super) enum Chore {
    /// All records of this segment are placed: sync them, then use it again.
    Recycle(Arc<Segment>),
    MakeSegment,
    Stop,
}

impl Journal {
    /// A journal in this folder. `used` are segments whose records are all placed and synced.
    pub fn new(folder: &Path, used: BTreeMap<u64, Segment>) -> Self {
        telemetry::spool_blocked(false);
        let next_number = used.keys().next_back().map_or(1, |last| last + 1);
        let free = used.into_values().map(Arc::new).collect();
        Self {
            folder: folder.to_owned(),
            state: Mutex::new(State { free, next_number, ..State::default() }),
            changed: Condvar::new(),
        }
    }

    /// Writes a record and returns once it is on the disk. The caller has it placed, then calls [`Segment::release`] and
    /// [`Journal::look`].
    ///
    /// # Errors
    /// If it cannot be written or synced, or no segment gets free; then it counts as not written.
    pub fn append(&self, entry: &Entry, data: &[u8], bytes: u64) -> io::Result<(Arc<Segment>, Record)> {
        let (segment, offset) = self.reserve(bytes)?;
        let written = segment.write(offset, entry, data).and_then(|record| segment.commit().map(|()| record));
        match written {
            Ok(record) => Ok((segment, record)),
            Err(error) => {
                segment.release();
                self.seal(&segment);
                Err(error)
            }
        }
    }

    fn reserve(&self, bytes: u64) -> io::Result<(Arc<Segment>, u64)> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state();
        loop {
            if let Some(problem) = &state.problem {
                return Err(io::Error::new(problem.kind, problem.message.clone()));
            }
            if let Some(active) = &mut state.active {
                let offset = active.next;
                if offset + bytes <= SEGMENT_BYTES {
                    active.next += bytes;
                    active.last_append = Instant::now();
                    active.segment.reserve();
                    return Ok((active.segment.clone(), offset));
                }
                state.seal_active();
                self.changed.notify_all();
            }
            if let Some(segment) = state.free.pop() {
                state.active = Some(Active { segment, next: BLOCK, last_append: Instant::now() });
                self.changed.notify_all();
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the journal is full: the disk does not keep up"));
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Lets a segment that failed be used no further.
    fn seal(&self, segment: &Arc<Segment>) {
        let mut state = self.state();
        if state.active.as_ref().is_some_and(|active| Arc::ptr_eq(&active.segment, segment)) {
            state.seal_active();
        }
        self.changed.notify_all();
    }

    /// A record was placed: perhaps there is something to do for the checkpoint.
    pub fn look(&self) {
        let _state = self.state();
        self.changed.notify_all();
    }

    /// Waits for the next thing to do. A segment to which nothing was added for `idle` is sealed, so that a quiet spool has
    /// an empty journal.
    pub fn next_chore(&self, idle: Duration) -> Chore {
        let mut state = self.state();
        loop {
            if state.stopping {
                return Chore::Stop;
            }
            if let Some(index) = state.sealed.iter().position(|segment| segment.is_settled()) {
                state.being_recycled += 1;
                return Chore::Recycle(state.sealed.swap_remove(index));
            }
            if state.free.is_empty() && state.being_made == 0 && state.segments() < MOST_SEGMENTS {
                state.being_made += 1;
                return Chore::MakeSegment;
            }
            let quiet = state.active.as_ref().map(|active| (active.last_append.elapsed(), active.next > BLOCK));
            let nap = match quiet {
                Some((since, true)) if since >= idle => {
                    state.seal_active();
                    continue;
                }
                Some((since, true)) => idle.saturating_sub(since),
                _ => PATIENCE,
            };
            state = self.changed.wait_timeout(state, nap).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Makes a segment; what fails is told to all who store.
    pub fn make_segment(&self) -> io::Result<()> {
        let number = {
            let mut state = self.state();
            state.next_number += 1;
            state.next_number - 1
        };
        let made = Segment::create(&segment_path(&self.folder, number));
        let mut state = self.state();
        state.being_made -= 1;
        self.changed.notify_all();
        state.free.push(Arc::new(made?));
        Ok(())
    }

    /// The first segment of all, before anything is stored.
    pub fn make_first_segment(&self) -> io::Result<()> {
        self.state().being_made += 1;
        self.make_segment()
    }

    /// A segment whose records are placed and synced, and void now.
    pub fn give_back(&self, segment: Arc<Segment>) {
        let mut state = self.state();
        state.being_recycled -= 1;
        state.free.push(segment);
        self.changed.notify_all();
    }

    /// A segment that could not be recycled yet.
    pub fn keep(&self, segment: Arc<Segment>) {
        let mut state = self.state();
        state.being_recycled -= 1;
        state.sealed.push(segment);
    }

    /// Seals what is being written and waits until every record is placed and synced and no longer in the journal.
    /// `false` if that takes longer than `patience`.
    pub fn settle(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.state();
        state.seal_active();
        self.changed.notify_all();
        while state.being_recycled > 0 || !state.sealed.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    pub fn problem(&self) -> Option<Problem> {
        self.state().problem.clone()
    }

    pub fn set_problem(&self, problem: Option<Problem>) {
        telemetry::spool_blocked(problem.is_some());
        self.state().problem = problem;
        self.changed.notify_all();
    }

    pub fn stop(&self) {
        self.state().stopping = true;
        self.changed.notify_all();
    }

    pub fn is_stopping(&self) -> bool {
        self.state().stopping
    }

    /// Waits for a while, or until the journal is stopped.
    pub fn wait(&self, nap: Duration) {
        let state = self.state();
        if !state.stopping {
            drop(self.changed.wait_timeout_while(state, nap, |state| !state.stopping));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn segments(&self) -> usize {
        self.sealed.len() + self.free.len() + self.being_made + self.being_recycled + usize::from(self.active.is_some())
    }

    fn seal_active(&mut self) {
        self.sealed.extend(self.active.take().map(|active| active.segment));
    }
}

pub(super) fn segment_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number}.segment"))
}

/// The number of a segment's file.
pub(super) fn segment_number(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".segment")?.parse().ok()
}
