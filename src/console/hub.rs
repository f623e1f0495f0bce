//! The hub: what the console shows, kept for those who come and spread to those who watch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use parking_lot::{Condvar, Mutex, MutexGuard};
use serde::Serialize;
use serde_json::json;

use super::feed::Feed;
use super::view::{ShownExam, ShownSlab, WaitingPlace};
use crate::alert::{AcknowledgeError, Flags, Outcomes, Seen};
use crate::analysis::{ExamState, ExamView, Listener, SlabView};
use crate::audit::Subject;
use crate::database::{Database, DatabaseError, ExamFilter, ExamSearch, ListedExam, Record, ScannerExams};
use crate::exam::{Contents, ExamKey, QualityIssue, QualityLimits};
use crate::report::ReportBasis;
use crate::telemetry::{self, Until};
use crate::triage::{CaseReport, EarlyFlag, Verdict};

/// Who waits for a verdict looks this often whether one can still come.
const CONCLUSION_POLL: Duration = Duration::from_millis(200);

/// Exams that are shown.
const SHOWN_EXAMS: usize = 50;

/// Exams before those that are shown too because they ask for something: so many of the newest, for so long. An order by urgency is none
/// where what has waited longest has left the list. A day later somebody else has the patient, and the filter still finds the exam.
const ASKING_EXAMS: usize = 100;
const ASKING_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Finished exams that are kept at hand with their slabs; the database keeps them all.
const FINISHED_AT_HAND: usize = 8;

/// A slab, as those who watch are told of it.
#[derive(Serialize)]
struct ToldSlab<'a> {
    exam: &'a ExamKey,
    slab: &'a ShownSlab,
}

/// The exams and their watchers. Cheap to call from any thread; nothing waits for a slow watcher.
#[derive(Debug)]
pub struct Hub {
    records: Mutex<BTreeMap<ExamKey, Record>>,
    /// Exams that wait for their turn, the next one first. Whoever holds the records may lock it, never the other way round.
    waiting: Mutex<Vec<ExamKey>>,
    feed: Feed,
    concluded: Condvar,
    /// `None` keeps all exams at hand, for as long as the process lives.
    database: Option<Arc<Database>>,
}

impl Hub {
    /// A hub with what the database remembers.
    #[must_use]
    pub fn new(database: Option<Arc<Database>>) -> Self {
        Self {
            records: Mutex::default(),
            waiting: Mutex::default(),
            feed: Feed::default(),
            concluded: Condvar::new(),
            database,
        }
    }

    /// How many watch.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.feed.watchers()
    }

    /// What those who watch are told.
    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The newest exams, newest first, and all that have no verdict yet or ask for something.
    #[must_use]
    pub fn exams(&self) -> Vec<ShownExam> {
        // What is on the disk is asked for first: an exam that is written in between stands in both, and the one at hand counts.
        let mut kept = self.database.as_ref().map(|database| database.newest(SHOWN_EXAMS)).unwrap_or_default();
        kept.extend(self.database.as_ref().map(|database| asking(database)).unwrap_or_default());
        let of_kept = |kept: ListedExam| (kept.exam.key.clone(), self.shown_kept(kept));
        let mut shown: BTreeMap<ExamKey, ShownExam> = kept.into_iter().map(of_kept).collect();
        shown.extend(self.records().values().map(|record| (record.exam.key.clone(), self.shown(record))));
        let mut shown: Vec<ShownExam> = shown.into_values().collect();
        shown.sort_by_key(|shown| std::cmp::Reverse(shown.exam.started));
        let mut newest = 0..SHOWN_EXAMS;
        shown
            .retain(|shown| newest.next().is_some() || shown.exam.state != ExamState::Complete || shown.urgency.asks());
        shown
    }

    /// The exams that are looked for, newest first, as the database has them: `SHOWN_EXAMS` at most, and whether there are more.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn search(&self, search: &ExamSearch) -> Result<(Vec<ShownExam>, bool), DatabaseError> {
        let Some(database) = &self.database else { return Ok((Vec::new(), false)) };
        let mut found = database.search(search, SHOWN_EXAMS + 1)?;
        let has_more = found.len() > SHOWN_EXAMS;
        found.truncate(SHOWN_EXAMS);
        Ok((found.into_iter().map(|kept| self.shown_kept(kept)).collect(), has_more))
    }

    /// The scanners whose exams are on the disk, with the number of exams that began at `since` or later.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn scanners(&self, since: Timestamp) -> Result<Vec<ScannerExams>, DatabaseError> {
        self.database.as_ref().map_or_else(|| Ok(Vec::new()), |database| database.scanners(since))
    }

    /// Whose exam it is, for the audit trail.
    pub(super) fn subject(&self, key: &ExamKey) -> Subject {
        self.record(key).map_or_else(|| Subject::of_exam(key), |record| record.subject())
    }

    #[must_use]
    pub fn record(&self, key: &ExamKey) -> Option<Record> {
        let at_hand = self.records().get(key).cloned();
        at_hand.or_else(|| self.kept(key))
    }

    /// An exam as it is shown.
    #[must_use]
    pub fn shown(&self, record: &Record) -> ShownExam {
        ShownExam::of(record, self.waiting_place(&record.exam.key))
    }

    /// Lets go of a finished exam, so that what the database has of it counts.
    pub fn let_go(&self, key: &ExamKey) {
        let mut records = self.records();
        if records.get(key).is_some_and(|record| record.exam.state == ExamState::Complete) {
            records.remove(key);
        }
    }

    /// Tells those who watch the verdict on the synthetic patient.
    pub fn tell_synthetic(&self, key: &ExamKey, verdict: Verdict) {
        self.feed.tell("synthetic", &json!({ "exam": key, "verdict": verdict }));
    }

    fn waiting_place(&self, key: &ExamKey) -> Option<WaitingPlace> {
        let before = self.in_turn().iter().position(|waiting| waiting == key)?;
        Some(WaitingPlace { place: before + 1 })
    }

    fn kept(&self, key: &ExamKey) -> Option<Record> {
        self.database.as_ref()?.record(key)
    }

    /// What the exam's kept verdict was made from; `None` for an exam without one.
    #[must_use]
    pub fn judged_contents(&self, key: &ExamKey) -> Option<Contents> {
        self.database.as_ref()?.judged_contents(key)
    }

    /// How many exams have no verdict, and how long ago the last slice came of the one that has waited longest.
    #[must_use]
    pub fn open_exams(&self) -> (usize, Duration) {
        let records = self.records();
        let open = records.values().map(|record| &record.exam).filter(|exam| exam.state == ExamState::Receiving);
        let last = open.clone().map(|exam| exam.last_slice.unwrap_or(exam.started)).min();
        let since = last.and_then(|last| Timestamp::now().duration_since(last).try_into().ok());
        (open.count(), since.unwrap_or_default())
    }

    /// How many exams have a verdict of which more comes.
    #[must_use]
    pub fn trailing_exams(&self) -> usize {
        self.records().values().filter(|record| record.exam.state == ExamState::Trailing).count()
    }

    /// Whether some exam may still change: it has no verdict, or more of it comes.
    #[must_use]
    pub fn has_open_exams(&self) -> bool {
        self.records().values().any(|record| record.exam.state != ExamState::Complete)
    }

    /// Whether the database cannot be written at present.
    #[must_use]
    pub fn database_is_failing(&self) -> bool {
        self.database.as_ref().is_some_and(|database| database.is_failing())
    }

    /// How long the database has been busy with what it is to keep, if that is `limit` or longer.
    #[must_use]
    pub fn database_stalled(&self, limit: Duration) -> Option<Duration> {
        self.database.as_ref()?.stalled(limit)
    }

    /// Writes what is to be kept, until `until` at the longest. The exams of which something is not kept.
    #[must_use]
    pub fn close(&self, until: Instant) -> BTreeSet<ExamKey> {
        self.database.as_ref().map(|database| database.close(until)).unwrap_or_default()
    }

    /// Waits for an exam's verdict. `None` if `is_alive` ceases to hold before.
    pub fn wait_for_report(&self, key: &ExamKey, is_alive: impl Fn() -> bool) -> Option<CaseReport> {
        let mut records = self.records();
        loop {
            let report = match records.get(key) {
                Some(record) => record.final_report().cloned(),
                None => self.kept(key).and_then(|record| record.final_report().cloned()),
            };
            if report.is_some() {
                return report;
            }
            if !is_alive() {
                return None;
            }
            self.concluded.wait_for(&mut records, CONCLUSION_POLL);
        }
    }

    /// Notes who has seen a flag.
    ///
    /// # Errors
    /// If there is no such exam or flag, nobody is named, or it cannot be kept.
    pub fn acknowledge(&self, key: &ExamKey, flag: &str, by: &str) -> Result<ShownExam, AcknowledgeError> {
        let now = Timestamp::now();
        let known = self.record(key).ok_or(AcknowledgeError::NoSuchFlag)?.exam;
        let seen = Seen { at: now, score: known.score, ..Seen::of(&known.slices, now) };
        let mut outcome = Err(AcknowledgeError::NoSuchFlag);
        let record = self.change(key, |record| outcome = record.flags.acknowledge(flag, by, seen));
        let is_first = outcome?;
        let record = record.ok_or(AcknowledgeError::NoSuchFlag)?;
        let exam = self.shown(&record);
        if !self.save_now(record) {
            return Err(AcknowledgeError::NotKept);
        }
        if is_first {
            tell_acknowledgement(&exam, flag, now);
        }
        Ok(exam)
    }

    /// Puts an exam in its record, an earlier one where the database has it; flags and the time of the first slice stay.
    fn put<'a>(&self, records: &'a mut BTreeMap<ExamKey, Record>, exam: ExamView) -> &'a mut Record {
        let record = records.entry(exam.key.clone()).or_insert_with(|| {
            self.kept(&exam.key).unwrap_or_else(|| Record {
                exam: exam.clone(),
                flags: Flags::default(),
                outcomes: Outcomes::default(),
                slabs: BTreeMap::new(),
                report: None,
                basis: None,
            })
        });
        record.exam = ExamView { started: record.exam.started, ..exam };
        record
    }

    /// Changes an exam, one that the database alone has as well. The record as it is then: it may leave memory at any time, so what is to
    /// be kept of the change is kept from that.
    pub(super) fn change(&self, key: &ExamKey, change: impl FnOnce(&mut Record)) -> Option<Record> {
        let mut records = self.records();
        if !records.contains_key(key) {
            records.insert(key.clone(), self.kept(key)?);
        }
        let record = records.get_mut(key)?;
        change(record);
        self.feed.tell_exam(self.shown(record));
        Some(record.clone())
    }

    fn save(&self, key: &ExamKey) {
        if let Some((database, record)) = self.database.as_ref().zip(self.record(key)) {
            database.save(record);
        }
    }

    /// Keeps an exam; it is on the disk when this returns `true`.
    #[must_use]
    pub(super) fn save_now(&self, record: Record) -> bool {
        self.database.as_ref().is_none_or(|database| database.save_now(record))
    }

    /// The database; `None` where all exams are at hand alone.
    pub(super) fn database(&self) -> Option<&Database> {
        self.database.as_deref()
    }

    /// Lets the longest finished exams go, which the database has; those that have no verdict yet stay.
    fn forget_oldest(&self, records: &mut BTreeMap<ExamKey, Record>) {
        if self.database.is_none() {
            return;
        }
        loop {
            let finished = records.values().filter(|record| record.exam.state == ExamState::Complete);
            if finished.clone().count() <= FINISHED_AT_HAND {
                return;
            }
            let Some(oldest) = finished.min_by_key(|record| record.exam.updated).map(|record| record.exam.key.clone())
            else {
                return;
            };
            records.remove(&oldest);
        }
    }

    /// An exam as the database has it.
    fn shown_kept(&self, kept: ListedExam) -> ShownExam {
        let waiting = self.waiting_place(&kept.exam.key);
        ShownExam::new(kept, waiting)
    }

    fn in_turn(&self) -> MutexGuard<'_, Vec<ExamKey>> {
        self.waiting.lock()
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<ExamKey, Record>> {
        self.records.lock()
    }
}

impl Listener for Hub {
    fn known_report(&self, key: &ExamKey) -> Option<CaseReport> {
        self.record(key)?.report
    }

    fn siblings(&self, key: &ExamKey) -> BTreeSet<ExamKey> {
        let mut siblings = self.database.as_ref().map(|database| database.keys_of_study(key)).unwrap_or_default();
        siblings.extend(self.records().keys().cloned());
        siblings.retain(|other| other.is_sibling_of(key));
        siblings
    }

    fn add_issue(&self, key: &ExamKey, issue: &QualityIssue) {
        let Some(mut known) = self.record(key) else { return };
        // The report changes; what it was made from does not.
        let basis = known.basis.clone().or_else(|| self.database.as_ref()?.basis(key));
        let Some(report) = known.report.as_mut().filter(|report| !report.quality.contains(issue)) else { return };
        report.quality.push(issue.clone());
        let report = report.clone();
        {
            let mut records = self.records();
            let record = records.entry(key.clone()).or_insert(known);
            record.report = Some(report);
            record.basis = basis;
            record.exam.updated = Timestamp::now();
            self.feed.tell_exam(self.shown(record));
            self.forget_oldest(&mut records);
        }
        self.save(key);
    }

    fn forget_slabs(&self, key: &ExamKey) {
        if let Some(record) = self.records().get_mut(key) {
            record.slabs.clear();
        }
    }

    fn waiting(&self, exams: &[ExamKey]) {
        let before = std::mem::replace(&mut *self.in_turn(), exams.to_vec());
        let place = |order: &[ExamKey], key: &ExamKey| order.iter().position(|waiting| waiting == key);
        let all: BTreeSet<&ExamKey> = before.iter().chain(exams).collect();
        for key in all.into_iter().filter(|key| place(&before, key) != place(exams, key)) {
            if let Some(record) = self.record(key) {
                self.feed.tell_exam(self.shown(&record));
            }
        }
    }

    fn update(&self, exam: ExamView) {
        let key = exam.key.clone();
        let mut is_reopened = false;
        {
            let mut records = self.records();
            let record = self.put(&mut records, exam);
            if record.exam.state == ExamState::Receiving {
                let seen = Seen::of(&record.exam.slices, Timestamp::now());
                is_reopened = record.flags.reopen(&seen);
            }
            let shown = self.shown(record);
            self.forget_oldest(&mut records);
            self.feed.tell_exam(shown);
        }
        if is_reopened {
            telemetry::flag("rescan", "pending");
            self.save(&key);
        }
    }

    fn put_slab(&self, key: &ExamKey, slab: SlabView) {
        let shown = ShownSlab::new(key, &slab);
        if let Some(record) = self.records().get_mut(key) {
            record.slabs.insert(slab.index, slab);
            self.feed.tell("slab", &ToldSlab { exam: key, slab: &shown });
        }
    }

    fn raise_early(&self, key: &ExamKey, early: &EarlyFlag) -> bool {
        let mut raised = false;
        self.change(key, |record| raised = record.flags.raise_early(early, Timestamp::now()));
        if raised {
            telemetry::flag("suspected", "early");
            self.save(key);
        }
        raised
    }

    fn raise_rescan(&self, key: &ExamKey, issue: &QualityIssue, limits: &QualityLimits) {
        let mut raised = false;
        let slices = self.record(key).map(|record| record.exam.slices).unwrap_or_default();
        let seen = Seen::of(&slices, Timestamp::now());
        self.change(key, |record| raised = record.flags.raise_rescan(issue, limits, &seen));
        if raised {
            telemetry::flag("rescan", "early");
            self.save(key);
        }
    }

    fn conclude(&self, exam: ExamView, report: &CaseReport, limits: &QualityLimits) {
        {
            let mut records = self.records();
            let record = self.put(&mut records, exam);
            let before = record.flags.clone();
            record.flags.conclude(report, limits, Timestamp::now());
            record.report = Some(report.clone());
            record.basis = None;
            for flag in record.flags.changed_since(&before) {
                telemetry::flag(flag.kind.as_str(), flag.state.as_str());
            }
            self.feed.tell_exam(self.shown(record));
        }
        self.concluded.notify_all();
    }

    fn keep(&self, key: &ExamKey, basis: Option<ReportBasis>) {
        if let Some(record) = self.records().get_mut(key) {
            record.basis = basis.map(Arc::new);
        }
        self.save(key);
    }
}

/// Exams of the last while that ask for something.
fn asking(database: &Database) -> Vec<ListedExam> {
    let since = Timestamp::now().checked_sub(ASKING_FOR).ok();
    let search = ExamSearch { filter: Some(ExamFilter::ToDo), since, ..ExamSearch::default() };
    database.search(&search, ASKING_EXAMS).unwrap_or_else(|error| {
        tracing::error!(%error, "exams that ask for something cannot be read from the database");
        Vec::new()
    })
}

/// How long it took until somebody knew.
fn tell_acknowledgement(ShownExam { exam, flags, .. }: &ShownExam, flag: &str, now: Timestamp) {
    // A clock that was set back makes no time negative.
    let since = |then: Timestamp| now.duration_since(then).try_into().unwrap_or_default();
    telemetry::notified(Until::Acknowledgement, since(exam.started), since(exam.last_slice.unwrap_or(exam.started)));
    if let Some(flag) = flags.iter().find(|known| known.id == flag) {
        telemetry::acknowledged(since(flag.raised));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::tests::{earlier_database, key};

    #[test]
    fn a_flag_of_an_exam_that_only_the_database_has_is_acknowledged_and_stays_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = earlier_database(&folder, 3);
        let hub = Hub::new(Some(Arc::new(Database::open(&path).unwrap())));
        let before = hub.record(&key(1)).unwrap();
        let shown = hub.acknowledge(&key(1), "rescan", "B. Nurse").unwrap();
        assert!(shown.flags.iter().all(|flag| flag.acknowledged.is_some()));
        drop(hub);
        let after = Hub::new(Some(Arc::new(Database::open(&path).unwrap()))).record(&key(1)).unwrap();
        assert_eq!(ShownExam::of(&after, None).flags[1].acknowledged.as_ref().unwrap().by, "B. Nurse");
        assert_eq!((after.slabs, after.report), (before.slabs, before.report));
        assert!(matches!(Hub::new(None).acknowledge(&key(1), "rescan", "B. Nurse"), Err(AcknowledgeError::NoSuchFlag)));
    }
}
