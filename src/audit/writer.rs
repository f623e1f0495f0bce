//! The thread that writes the trail. While the disk takes nothing, what happens waits in memory and is written once it does.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{Timestamp, ToSpan as _};

use super::event::{Event, Noted};
use super::head::Head;
use super::notes;
use super::record::{self, Origin};
use super::shared::Shared;
use super::trail::{Trail, day_of};
use crate::telemetry;

/// What commands have left is looked for this often.
const LOOK: Duration = Duration::from_secs(1);

/// What happens within this is synced together: each sync of a growing file also waits for the file system's own journal.
const GATHER: Duration = Duration::from_millis(200);

/// A disk that took nothing is tried again after this.
const RETRY: Duration = Duration::from_secs(1);

/// The log is told the head this often, where it has changed.
const HEAD_EVERY: Duration = Duration::from_mins(1);

/// Old files are looked for this often.
const AGE_LOOK: Duration = Duration::from_hours(1);

/// The thread's own.
pub(super) struct Writer {
    shared: Arc<Shared>,
    folder: PathBuf,
    ae_title: String,
    /// Files go once all of their records are older than so many days; `None` keeps them.
    keep_days: Option<u32>,
    origin: Origin,
    /// `None` until it could be opened.
    trail: Option<Trail>,
    /// What was found when it was opened, until a record says so.
    found: Vec<Event>,
    head_told: Option<(Instant, Head)>,
    aged: Option<Instant>,
    /// Notes of commands that cannot be taken away.
    stuck: BTreeSet<PathBuf>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, folder: PathBuf, ae_title: String, keep_days: Option<u32>) -> Self {
        Self {
            shared,
            folder,
            ae_title,
            keep_days,
            origin: Origin::here(),
            trail: None,
            found: Vec::new(),
            head_told: None,
            aged: None,
            stuck: BTreeSet::new(),
        }
    }

    pub(super) fn run(mut self) {
        loop {
            let (batch, lost, is_stopping) = self.shared.next_batch(LOOK, GATHER);
            match self.write(&batch, lost) {
                Ok(head) => {
                    let is_done = self.shared.written(batch.len(), lost, head);
                    self.tell_head(head, is_done);
                    if is_done {
                        return;
                    }
                }
                Err(error) => {
                    self.shared.write_failed(&format!("{}: {error}", self.folder.display()));
                    telemetry::audit_failed("write");
                    if is_stopping {
                        tracing::error!(records = batch.len(), "the last audit records are not written");
                        self.shared.give_up();
                        return;
                    }
                    self.shared.pause(RETRY);
                }
            }
        }
    }

    /// Writes what has happened, what commands have left, and what the trail has to say of itself.
    fn write(&mut self, batch: &[Noted], lost: u64) -> io::Result<Head> {
        let mut trail = self.trail.take().map_or_else(|| self.open(), Ok)?;
        let now = Timestamp::now();
        let removed = self.aged(&trail, now)?;
        let of_itself = self.found.iter().cloned();
        let of_itself = of_itself.chain((lost > 0).then_some(Event::RecordsLost { count: lost }));
        let mut records: Vec<(Noted, Option<u64>)> = of_itself.map(|event| (Noted { at: now, event }, None)).collect();
        records.extend(removed.map(|through| (Noted { at: now, event: Event::TrailShortened { through } }, removed)));
        records.extend(batch.iter().map(|noted| (noted.clone(), None)));
        let left = self.left_by_commands()?;
        records.extend(left.iter().map(|(_, noted)| (noted.clone(), None)));

        let (mut lines, mut head) = (String::new(), trail.head());
        for (Noted { at, event }, removed) in &records {
            let xml = event.message(&self.ae_title).to_xml(*at, &self.ae_title);
            let (line, next) = record::write(head, *at, &self.origin, *removed, &xml);
            lines.push_str(&line);
            lines.push('\n');
            head = next;
        }
        if !records.is_empty() {
            trail.append(&lines, head, day_of(now))?;
        }
        self.found.clear();
        for (noted, _) in &records {
            telemetry::audit_recorded(noted.event.label());
        }
        // What is written is written: nothing from here on may have it written again.
        for (path, _) in left {
            self.done_with(path, |path| fs::remove_file(path));
        }
        match removed.map(|through| trail.remove(through)) {
            Some(Ok(())) => tracing::info!(through = removed, "audit records were removed for their age"),
            Some(Err(error)) => tracing::error!(%error, "audit records that are old cannot be removed"),
            None => {}
        }
        self.trail = Some(trail);
        Ok(head)
    }

    fn open(&mut self) -> io::Result<Trail> {
        let (trail, found) = Trail::open(&self.folder)?;
        self.found.extend(found);
        if trail.head() != Head::NONE {
            self.tell_head(trail.head(), true);
        }
        Ok(trail)
    }

    /// What is to be removed for its age, looked for now and then.
    fn aged(&mut self, trail: &Trail, now: Timestamp) -> io::Result<Option<u64>> {
        let Some(days) = self.keep_days else { return Ok(None) };
        if self.aged.is_some_and(|at| at.elapsed() < AGE_LOOK) {
            return Ok(None);
        }
        self.aged = Some(Instant::now());
        let Ok(before) = day_of(now).checked_sub(i64::from(days).days()) else { return Ok(None) };
        trail.removable(before, self.shared.last_arrived())
    }

    /// A note that cannot be read is put aside: it would come back for ever.
    fn left_by_commands(&mut self) -> io::Result<Vec<(PathBuf, Noted)>> {
        let mut left = Vec::new();
        let mut waiting = notes::waiting(&self.folder)?;
        waiting.retain(|path| !self.stuck.contains(path));
        for path in waiting {
            match notes::read(&path) {
                Ok(noted) => left.push((path, noted)),
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "what a command left for the audit trail cannot be read: put aside");
                    self.done_with(path, |path| fs::rename(path, path.with_extension("unreadable")));
                }
            }
        }
        Ok(left)
    }

    /// Takes a note away; one that stays is not looked at again.
    fn done_with(&mut self, path: PathBuf, take_away: impl FnOnce(&Path) -> io::Result<()>) {
        if let Err(error) = take_away(&path) {
            tracing::error!(path = %path.display(), %error, "what a command left for the audit trail cannot be taken away");
            self.stuck.insert(path);
        }
    }

    fn tell_head(&mut self, head: Head, is_now: bool) {
        let is_due = |(at, told): (Instant, Head)| told != head && (is_now || at.elapsed() >= HEAD_EVERY);
        if self.head_told.is_none_or(is_due) {
            self.head_told = Some((Instant::now(), head));
            head.log();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trail::files;
    use super::super::trail::tests::append;
    use super::super::verify;
    use super::*;

    #[test]
    fn files_go_for_their_age_once_a_record_says_so_and_the_server_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let (mut trail, _) = Trail::open(folder.path()).unwrap();
        let today = day_of(Timestamp::now());
        for days in [100, 20, 0] {
            append(&mut trail, 2, today - days.days(), None);
        }
        drop(trail);
        let write = |arrived: u64| {
            let shared = Arc::new(Shared::new(true));
            shared.arrived(arrived);
            let mut writer = Writer::new(shared, folder.path().to_owned(), "TABLESIDE".to_owned(), Some(30));
            writer.write(&[], 0).unwrap();
            verify(folder.path(), &[]).unwrap().first
        };
        assert_eq!(write(1), 1, "the server lacks the second record");
        assert_eq!(write(2), 3, "the second file is younger");
        let record = std::fs::read_to_string(&files(folder.path()).unwrap().last().unwrap().path).unwrap();
        assert!(record.contains(" removed=\"2\" ") && record.contains("records up to 2 are removed"), "{record}");
    }
}
