//! The feed: what those who watch are told, in order. Each event has a number, and the newest are kept: who comes back after a loss of
//! the connection says which one it had last and gets those that it missed.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::broadcast;

use super::view::ShownExam;

/// Events that a watcher may lag behind before it is cut off.
const BACKLOG: usize = 1024;

/// What is kept for those who come back, bytes of JSON: some thousand slabs with their outlines.
const KEPT_BYTES: usize = 4 << 20;

/// An event, as all who watch get it.
#[derive(Debug)]
pub(super) struct Told {
    pub id: String,
    pub name: &'static str,
    /// Its data, with all names in full.
    pub json: String,
    /// The exam that it is about, for those who are not shown all of its names.
    pub exam: Option<ShownExam>,
}

/// What somebody who begins to watch gets.
#[derive(Debug)]
pub(super) struct Watch {
    /// The id of the event after which the missed ones and the later ones follow.
    pub from: String,
    /// Whether `missed` is all that came since the event that the watcher had last. If not, it has to ask for everything.
    pub is_resumed: bool,
    pub missed: Vec<Arc<Told>>,
    pub later: broadcast::Receiver<Arc<Told>>,
}

/// Cheap to call from any thread; nothing waits for a slow watcher.
#[derive(Debug)]
pub(super) struct Feed {
    /// Names this run of the daemon: another one counts anew.
    run: u64,
    kept: Mutex<Kept>,
    watchers: broadcast::Sender<Arc<Told>>,
}

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Arc<Told>>,
    bytes: usize,
    /// How many events there were.
    count: u64,
}

impl Default for Feed {
    fn default() -> Self {
        Self { run: rand::random(), kept: Mutex::default(), watchers: broadcast::Sender::new(BACKLOG) }
    }
}

impl Feed {
    pub(super) fn tell(&self, name: &'static str, data: &impl Serialize) {
        self.number(name, serde_json::to_string(data), None);
    }

    pub(super) fn tell_exam(&self, exam: ShownExam) {
        self.number("exam", serde_json::to_string(&exam), Some(exam));
    }

    fn number(&self, name: &'static str, json: serde_json::Result<String>, exam: Option<ShownExam>) {
        let json = match json {
            Ok(json) => json,
            Err(error) => {
                return tracing::error!(%error, event = name, "an event cannot be written as JSON: nobody is told");
            }
        };
        let mut kept = self.kept.lock();
        kept.count += 1;
        let told = Arc::new(Told { id: self.id(kept.count), name, json, exam });
        kept.bytes += told.json.len();
        kept.events.push_back(told.clone());
        while kept.bytes > KEPT_BYTES
            && let Some(oldest) = kept.events.pop_front()
        {
            kept.bytes -= oldest.json.len();
        }
        // Under the lock, so that all get them in the same order. No watcher is no error.
        let _ = self.watchers.send(told);
    }

    /// All events after the one with the id `last`, and all that follow.
    pub(super) fn watch(&self, last: Option<&str>) -> Watch {
        let kept = self.kept.lock();
        let later = self.watchers.subscribe();
        let missed = last.and_then(|last| {
            let number: u64 = last.strip_prefix(&format!("{:x}-", self.run))?.parse().ok()?;
            let missed = usize::try_from(kept.count.checked_sub(number)?).ok()?;
            let first = kept.events.len().checked_sub(missed)?;
            Some(kept.events.range(first..).cloned().collect())
        });
        let newest = self.id(kept.count);
        let from = last.filter(|_| missed.is_some()).map_or(newest, str::to_owned);
        Watch { from, is_resumed: missed.is_some(), missed: missed.unwrap_or_default(), later }
    }

    pub(super) fn watchers(&self) -> usize {
        self.watchers.receiver_count()
    }

    fn id(&self, number: u64) -> String {
        format!("{:x}-{number}", self.run)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn newest(feed: &Feed) -> String {
        feed.watch(None).from
    }

    fn ids(events: &[Arc<Told>]) -> Vec<String> {
        events.iter().map(|told| told.id.clone()).collect()
    }

    proptest! {
        #[test]
        fn who_comes_back_gets_what_it_missed_once_and_in_order(before in 0..40_usize, absent in 0..40_usize, after in 0..40_usize) {
            let feed = Feed::default();
            let tell = |count: usize| (0..count).for_each(|number| feed.tell("exam", &number));
            tell(before);
            let last = newest(&feed);
            tell(absent);
            let mut watch = feed.watch(Some(&last));
            tell(after);
            prop_assert!(watch.is_resumed);
            let mut got = ids(&watch.missed);
            got.extend(std::iter::from_fn(|| watch.later.try_recv().ok()).map(|told| told.id.clone()));
            prop_assert_eq!(got, (before + 1..=before + absent + after).map(|number| feed.id(number as u64)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_id_of_another_run_or_of_what_is_no_longer_kept_resumes_nothing() {
        let feed = Feed::default();
        let beginning = newest(&feed);
        feed.tell("slab", &"x".repeat(KEPT_BYTES / 2));
        let first = newest(&feed);
        assert!(feed.watch(Some(&beginning)).is_resumed);
        feed.tell("slab", &"x".repeat(KEPT_BYTES / 2));
        assert!(!feed.watch(Some(&beginning)).is_resumed);
        assert_eq!(feed.watch(Some(&first)).missed.len(), 1);
        let ahead = feed.id(3);
        for unknown in [None, Some(ahead.as_str()), Some("12"), Some(""), Some(&*newest(&Feed::default()))] {
            let watch = feed.watch(unknown);
            assert!(!watch.is_resumed && watch.missed.is_empty(), "{unknown:?}");
        }
    }
}
