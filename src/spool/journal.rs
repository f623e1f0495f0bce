//! The journal: what is acknowledged lies here first, in segments. It must keep each record until the record's file is
//! synced in its exam's folder: a scanner may delete what was acknowledged.
//!
//! A record passes through three hands. A store appends it to the active segment and waits for a sync, which all stores
//! of that moment share. `placing` writes it as the file it is, unsynced. `checkpoint` syncs the file system and gives
//! the segment back. So a store waits for one sync of data that others share, and not for the directories.
//!
//! A segment is active, sealed (full, or a write to it failed), being recycled, or free. A segment that failed takes no
//! more records: after a failed sync the system may have thrown away what was written before. While records cannot be
//! placed or segments not be emptied, stores are refused: what is acknowledged then would pile up in a journal that
//! nothing empties.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::segment::{BLOCK, Entry, Record, SEGMENT_BYTES, Segment};

/// While more segments than this are free, and something is being stored, none is emptied: a checkpoint and the stores would
/// wait for each other's writes.
const RESERVE: usize = 2;

/// How long a store waits for a free segment before it gives up.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Journal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    active: Option<Active>,
    sealed: Vec<Arc<Segment>>,
    free: Vec<Arc<Segment>>,
    last_append: Option<Instant>,
    flushing: bool,
    being_recycled: usize,
    problems: BTreeMap<Work, Problem>,
    stopping: bool,
}

#[derive(Debug)]
struct Active {
    segment: Arc<Segment>,
    next: u64,
}

/// What is done with the journal behind the stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Work {
    Placing,
    Emptying,
}

/// Why records cannot be placed or segments not be emptied; stores are refused as long as it lasts.
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

impl Journal {
    /// A journal in these segments, which are empty.
    pub(super) fn new(segments: Vec<Segment>) -> Self {
        let free = segments.into_iter().map(Arc::new).collect();
        Self { state: Mutex::new(State { free, ..State::default() }), changed: Condvar::new() }
    }

    /// Writes a record and returns once it is on the disk. The caller has it placed, then calls [`Segment::release`] and
    /// [`Journal::record_placed`].
    ///
    /// # Errors
    /// If it cannot be written or synced, or no segment gets free; then it counts as not written.
    pub(super) fn append(&self, entry: &Entry, data: &[u8], bytes: u64) -> io::Result<(Arc<Segment>, Record)> {
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
            if let Some(problem) = state.problems.values().next() {
                return Err(io::Error::new(problem.kind, problem.message.clone()));
            }
            if let Some(active) = &mut state.active {
                let offset = active.next;
                if offset + bytes <= SEGMENT_BYTES {
                    active.next += bytes;
                    active.segment.reserve();
                    let segment = active.segment.clone();
                    state.last_append = Some(Instant::now());
                    return Ok((segment, offset));
                }
                state.seal_active();
                self.changed.notify_all();
            }
            if let Some(segment) = state.free.pop() {
                state.active = Some(Active { segment, next: BLOCK });
                self.changed.notify_all();
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the journal is full: the disk does not keep up"));
            }
            self.changed.wait_for(&mut state, left);
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
    pub(super) fn record_placed(&self) {
        let _state = self.state();
        self.changed.notify_all();
    }

    /// Waits for the next segment to be emptied: when few are left, and when nothing was stored for `idle`, so that a quiet
    /// spool has an empty journal. `None` once the journal stops.
    pub(super) fn next_to_recycle(&self, idle: Duration) -> Option<Arc<Segment>> {
        let mut state = self.state();
        loop {
            if state.stopping {
                return None;
            }
            let quiet = state.last_append.map(|last| last.elapsed());
            let is_quiet = quiet.is_none_or(|quiet| quiet >= idle);
            if is_quiet && state.active.as_ref().is_some_and(|active| active.next > BLOCK) {
                state.seal_active();
            }
            if is_quiet || state.flushing || state.free.len() < RESERVE {
                let placed = state.sealed.iter().position(|segment| segment.is_placed());
                if let Some(index) = placed {
                    state.being_recycled += 1;
                    return Some(state.sealed.swap_remove(index));
                }
            }
            let nap = quiet.filter(|quiet| *quiet < idle).map_or(PATIENCE, |quiet| idle.saturating_sub(quiet));
            self.changed.wait_for(&mut state, nap);
        }
    }

    /// A segment whose records are placed and synced, and void now.
    pub(super) fn give_back(&self, segment: Arc<Segment>) {
        let mut state = self.state();
        state.being_recycled -= 1;
        state.free.push(segment);
        self.changed.notify_all();
    }

    /// A segment that could not be recycled yet.
    pub(super) fn keep(&self, segment: Arc<Segment>) {
        let mut state = self.state();
        state.being_recycled -= 1;
        state.sealed.push(segment);
    }

    /// Seals what is being written and waits until every record is placed and synced and no longer in the journal.
    /// `false` if that takes longer than `patience`.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.state();
        state.seal_active();
        state.flushing = true;
        self.changed.notify_all();
        loop {
            let is_empty = state.being_recycled == 0 && state.sealed.is_empty();
            let left = deadline.saturating_duration_since(Instant::now());
            if is_empty || left.is_zero() {
                state.flushing = false;
                return is_empty;
            }
            self.changed.wait_for(&mut state, left);
        }
    }

    pub(super) fn problem(&self) -> Option<Problem> {
        self.state().problems.values().next().cloned()
    }

    /// What keeps this work from being done at present.
    pub(super) fn set_problem(&self, work: Work, problem: Option<Problem>) {
        let mut state = self.state();
        match problem {
            Some(problem) => drop(state.problems.insert(work, problem)),
            None => drop(state.problems.remove(&work)),
        }
        self.changed.notify_all();
    }

    pub(super) fn stop(&self) {
        self.state().stopping = true;
        self.changed.notify_all();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.state().stopping
    }

    /// Waits for a while, or until the journal is stopped.
    pub(super) fn wait(&self, nap: Duration) {
        self.changed.wait_while_for(&mut self.state(), |state| !state.stopping, nap);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn seal_active(&mut self) {
        self.sealed.extend(self.active.take().map(|active| active.segment));
    }
}

/// The file of a segment; they count from 1.
pub(super) fn segment_path(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number}.segment"))
}

/// Whether a file is a segment.
pub(super) fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "segment")
}
