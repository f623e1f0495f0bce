//! What those who note events, the writer and the sender have in common: events that wait, and how far the trail has come.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Condvar, Mutex};

use super::event::Noted;
use super::head::Head;
use crate::telemetry;

/// Events that may wait while the disk takes nothing: a day of a busy site, some megabytes.
pub(super) const MOST_WAITING: usize = 10_000;

/// Events that are written at once.
pub(super) const MOST_AT_ONCE: usize = 500;

/// Since when something does not work, and why.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub since: Timestamp,
    pub reason: String,
}

impl Trouble {
    /// Notes that something does not work (still); `true` if it worked before.
    fn begin(known: &mut Option<Self>, reason: &str) -> bool {
        let since = known.as_ref().map(|trouble| trouble.since);
        *known = Some(Self { since: since.unwrap_or_else(Timestamp::now), reason: reason.to_owned() });
        since.is_none()
    }
}

/// What those who note, the writer and the sender have in common.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Something happened, was written, or is to stop.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Noted>,
    /// Events for which there was no room, and which no record tells of yet.
    lost: u64,
    is_stopping: bool,
    /// The writer has written what there was to write, or has given up.
    is_closed: bool,
    /// On the disk; `None` until the trail is open.
    head: Option<Head>,
    /// The last record that the server has for sure, as far as anybody knows.
    arrived: u64,
    write_trouble: Option<Trouble>,
    send_trouble: Option<Trouble>,
}

impl Shared {
    pub(super) fn new(is_sent: bool) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            lost: 0,
            is_stopping: false,
            is_closed: false,
            head: None,
            // Where nobody is sent anything, nothing waits for that.
            arrived: if is_sent { 0 } else { u64::MAX - 1 },
            write_trouble: None,
            send_trouble: None,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(super) fn push(&self, noted: Noted) {
        let mut state = self.state.lock();
        if state.waiting.len() < MOST_WAITING {
            state.waiting.push_back(noted);
        } else {
            state.lost += 1;
            telemetry::audit_failed("lost");
        }
        self.changed.notify_all();
    }

    /// Why it cannot be written, and why it does not reach the server.
    pub(super) fn troubles(&self) -> [Option<Trouble>; 2] {
        let state = self.state.lock();
        [state.write_trouble.clone(), state.send_trouble.clone()]
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.state.lock().is_stopping
    }

    pub(super) fn stop(&self) {
        self.state.lock().is_stopping = true;
        self.changed.notify_all();
    }

    /// For the writer: what has happened, after `patience` also if nothing has; how much was lost; whether it is the end.
    pub(super) fn next_batch(&self, patience: Duration, gather: Duration) -> (Vec<Noted>, u64, bool) {
        let mut state = self.state.lock();
        if state.waiting.is_empty() && !state.is_stopping {
            self.changed.wait_for(&mut state, patience);
        }
        if !state.waiting.is_empty() && !state.is_stopping {
            self.changed.wait_while_for(&mut state, |state| !state.is_stopping, gather);
        }
        (state.waiting.iter().take(MOST_AT_ONCE).cloned().collect(), state.lost, state.is_stopping)
    }

    /// So much of it is on the disk. `true` if that was the end.
    pub(super) fn written(&self, count: usize, lost: u64, head: Head) -> bool {
        let mut state = self.state.lock();
        state.waiting.drain(..count);
        state.lost -= lost;
        state.head = Some(head);
        state.is_closed = state.is_stopping && state.waiting.is_empty();
        if let Some(trouble) = state.write_trouble.take() {
            tracing::info!(since = %trouble.since, "the audit trail is written again");
        }
        self.changed.notify_all();
        state.is_closed
    }

    pub(super) fn write_failed(&self, reason: &str) {
        if Trouble::begin(&mut self.state.lock().write_trouble, reason) {
            tracing::error!(reason, "the audit trail cannot be written: what happens is kept in memory");
        }
    }

    /// The writer ends although not all is written.
    pub(super) fn give_up(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Waits for so long unless the trail is to stop. `false` in that case.
    pub(super) fn pause(&self, patience: Duration) -> bool {
        let mut state = self.state.lock();
        self.changed.wait_while_for(&mut state, |state| !state.is_stopping, patience);
        !state.is_stopping
    }

    /// For the sender: waits until the trail is open; `false` if it never will be.
    pub(super) fn wait_until_open(&self) -> bool {
        let mut state = self.state.lock();
        self.changed.wait_while(&mut state, |state| state.head.is_none() && !state.is_closed);
        state.head.is_some()
    }

    /// Waits until there is more than `sent`, at most for so long. `false` once there never will be.
    pub(super) fn wait_for_more(&self, sent: u64, patience: Duration) -> bool {
        let mut state = self.state.lock();
        let has_more = |state: &State| state.head.is_some_and(|head| head.sequence > sent);
        self.changed.wait_while_for(&mut state, |state| !has_more(state) && !state.is_closed, patience);
        has_more(&state) || !state.is_closed
    }

    pub(super) fn head(&self) -> Head {
        self.state.lock().head.unwrap_or(Head::NONE)
    }

    pub(super) fn arrived(&self, sequence: u64) {
        self.state.lock().arrived = sequence;
    }

    pub(super) fn last_arrived(&self) -> u64 {
        self.state.lock().arrived
    }

    /// The server got all up to this record, as far as it looks.
    pub(super) fn sent(&self, sequence: u64) {
        let mut state = self.state.lock();
        telemetry::audit_unsent(state.head.map_or(0, |head| head.sequence.saturating_sub(sequence)));
        if let Some(trouble) = state.send_trouble.take() {
            tracing::info!(since = %trouble.since, "the audit trail reaches the syslog server again");
        }
    }

    pub(super) fn send_failed(&self, arrived: u64, reason: &str) {
        let mut state = self.state.lock();
        telemetry::audit_unsent(state.head.map_or(0, |head| head.sequence.saturating_sub(arrived)));
        if Trouble::begin(&mut state.send_trouble, reason) {
            tracing::warn!(reason, "the audit trail does not reach the syslog server: it is sent once it does");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::event::Event;
    use super::super::trail::files;
    use super::super::writer::Writer;
    use super::*;

    #[test]
    fn what_there_is_no_room_for_is_counted_and_a_record_says_so() {
        let shared = Shared::new(false);
        for through in 0..MOST_WAITING as u64 + 3 {
            shared.push(Noted { at: Timestamp::UNIX_EPOCH, event: Event::TrailShortened { through } });
        }
        let (batch, lost, _) = shared.next_batch(Duration::ZERO, Duration::ZERO);
        assert_eq!((batch.len(), lost), (MOST_AT_ONCE, 3));
        shared.written(batch.len(), lost, Head::NONE);
        let (batch, lost, _) = shared.next_batch(Duration::ZERO, Duration::ZERO);
        assert_eq!((&batch[0].event, lost), (&Event::TrailShortened { through: MOST_AT_ONCE as u64 }, 0));
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("audit");
        let shared = Arc::new(shared);
        shared.state.lock().lost = 7;
        shared.stop();
        Writer::new(shared, folder.clone(), "TABLESIDE".to_owned(), None).run();
        let first = files(&folder).unwrap().swap_remove(0).path;
        let text = std::fs::read_to_string(first).unwrap();
        assert!(text.contains("7 records were lost") && text.contains("Audit Recording Stopped"), "{text}");
        assert_eq!(text.lines().count(), MOST_WAITING - MOST_AT_ONCE + 1);
    }
}
