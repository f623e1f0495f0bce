//! The audit trail: who sent, saw, acknowledged, exported and changed what. It is kept apart from logs, as it has patients' IDs.
//!
//! Each event is a DICOM audit message (PS3.15 section A.5) in a syslog message (RFC 5424) that also carries its number and the hash of
//! the one before (`record`). These lie in files of the data folder (`trail`), and go to a syslog server where one is configured
//! (`sender`). The head of the chain is told to the log, so that [`verify()`] finds out what was changed later.
//!
//! Nobody who notes an event waits: events queue for one thread (`writer`). While the disk takes nothing they wait in memory, up to
//! a limit (`shared`); what is lost beyond that is counted, and a record says so.

mod codes;
mod event;
mod event_message;
mod follower;
mod head;
mod message;
mod notes;
mod record;
mod repeats;
mod sender;
mod shared;
mod trail;
mod verify;
mod writer;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use jiff::Timestamp;
use parking_lot::Mutex;

pub use event::{Decision, Event, ExportKind, Instances, Outcome, Peer, Person, Subject};
pub use head::{Hash, Head, NoHead};
pub use notes::{leave_note, person_at_shell};
pub use sender::SyslogOptions;
pub use verify::{Place, Verified, VerifyError, verify};

use crate::exam::ExamKey;
use crate::texts::Phrase;
use event::Noted;
use repeats::Repeats;
use sender::Sender;
use shared::{Shared, Trouble};
use writer::Writer;

/// Exams whose study is remembered: those on the tables, and those before them.
const MOST_STUDIES: usize = 64;

/// How the trail is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditOptions {
    /// Files whose records are all older are removed; `None` keeps them.
    pub keep_days: Option<u32>,
    /// The server that gets the trail too.
    pub syslog: Option<SyslogOptions>,
}

impl Default for AuditOptions {
    /// Six years (45 CFR 164.316 (b)(2)), on this machine alone.
    fn default() -> Self {
        Self { keep_days: Some(2190), syslog: None }
    }
}

/// The folder of the trail in a data folder.
#[must_use]
pub fn folder(data: &Path) -> PathBuf {
    data.join("audit")
}

/// The running trail.
#[derive(Debug)]
pub struct Audit {
    shared: Arc<Shared>,
    viewed: Repeats<(Person, Option<ExamKey>)>,
    refused: Repeats<String>,
    failed: Repeats<Person>,
    /// The studies of exams that have no report yet.
    studies: Mutex<VecDeque<(ExamKey, String)>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Audit {
    /// Starts to write the trail in a folder, under the name of our AE title. A folder that cannot be used is tried again and again.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(options: AuditOptions, folder: PathBuf, ae_title: &str) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new(options.syslog.is_some()));
        let writer = Writer::new(shared.clone(), folder.clone(), ae_title.to_owned(), options.keep_days);
        let audit = Self {
            shared: shared.clone(),
            viewed: Repeats::default(),
            refused: Repeats::default(),
            failed: Repeats::default(),
            studies: Mutex::default(),
            threads: Mutex::default(),
        };
        audit.spawn("audit", move || writer.run())?;
        if let Some(syslog) = options.syslog {
            let sender = Sender::new(shared, folder, syslog);
            audit.spawn("syslog", move || sender.run())?;
        }
        audit.note(Event::Started);
        Ok(audit)
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// Notes what has happened now. Never waits.
    pub fn note(&self, event: Event) {
        if let Event::ReceivingBegan { subject: Subject { study_instance_uid, exam: Some(exam), .. }, .. } = &event {
            let mut studies = self.studies.lock();
            studies.retain(|(known, _)| known != exam);
            studies.push_back((exam.clone(), study_instance_uid.clone()));
            if studies.len() > MOST_STUDIES {
                studies.pop_front();
            }
        }
        self.shared.push(Noted { at: Timestamp::now(), event });
    }

    /// Notes that an exam was shown to somebody, once in a while for the same exam and person.
    pub fn viewed(&self, who: Person, subject: Subject) {
        if self.viewed.is_due((who.clone(), subject.exam.clone()), Instant::now()) {
            self.note(Event::Viewed { who, subject: self.completed(subject) });
        }
    }

    /// Notes that somebody acknowledged a flag.
    pub fn acknowledged(&self, who: Person, subject: Subject, flag: &str) {
        self.note(Event::Acknowledged { who, subject: self.completed(subject), flag: flag.to_owned() });
    }

    /// Notes that somebody recorded what became of a verdict.
    pub fn outcome_recorded(&self, who: Person, subject: Subject, outcome: &str) {
        self.note(Event::OutcomeRecorded { who, subject: self.completed(subject), outcome: outcome.to_owned() });
    }

    /// Notes that somebody could not log in, once in a while for the same account and address.
    pub fn log_in_failed(&self, who: Person, reason: String) {
        if self.failed.is_due(who.clone(), Instant::now()) {
            self.note(Event::LoggedIn { who, outcome: Outcome::Failed(reason) });
        }
    }

    /// Notes that a caller was refused, once in a while for the same address.
    pub fn caller_refused(&self, peer: Peer, reason: String) {
        if self.refused.is_due(peer.address.clone(), Instant::now()) {
            self.note(Event::CallerRefused { peer, reason });
        }
    }

    /// With the study, where it came during this run.
    fn completed(&self, mut subject: Subject) -> Subject {
        if subject.study_instance_uid.is_empty() {
            let studies = self.studies.lock();
            let known = studies.iter().find(|(exam, _)| Some(exam) == subject.exam.as_ref());
            if let Some((_, study)) = known {
                subject.study_instance_uid.clone_from(study);
            }
        }
        subject
    }

    /// What whoever looks should know: that the trail is not written or not sent.
    #[must_use]
    pub fn notices(&self) -> Vec<Phrase> {
        let is_dead = self.threads.lock().iter().any(JoinHandle::is_finished) && !self.shared.is_stopping();
        let dead = is_dead.then(|| Phrase::new("daemon.audit_has_stopped"));
        let told = |text: &'static str, trouble: Option<Trouble>| {
            let Trouble { since, reason } = trouble?;
            let since = since.strftime("%Y-%m-%d %H:%M UTC").to_string();
            Some(Phrase::new(text).with("since", since).with("reason", Phrase::english(reason)))
        };
        let [writing, sending] = self.shared.troubles();
        let writing = told("daemon.audit_is_not_written", writing);
        let sending = told("daemon.audit_is_not_sent", sending);
        dead.into_iter().chain(writing).chain(sending).collect()
    }

    /// Notes the stop, and waits until all is written and, where the server is there, sent.
    pub fn stop(&self) {
        self.note(Event::Stopped);
        self.shared.stop();
        // Who asks for notices meanwhile is not kept waiting.
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the audit trail had stopped unexpectedly");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < deadline, "in vain");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn what_happens_while_the_disk_takes_nothing_is_written_once_it_does() {
        let data = tempfile::tempdir().unwrap();
        let folder = folder(data.path());
        // Nothing can be written where a file stands in the way.
        std::fs::write(&folder, "").unwrap();
        let audit = Audit::start(AuditOptions::default(), folder.clone(), "TABLESIDE").unwrap();
        let notice = wait_for(|| audit.notices().pop()).to_string();
        assert!(notice.starts_with("The audit trail cannot be written since "), "{notice}");
        std::fs::remove_file(&folder).unwrap();
        wait_for(|| audit.notices().is_empty().then_some(()));
        audit.stop();
        assert_eq!(verify(&folder, &[]).unwrap().head.sequence, 2);
    }

    #[test]
    fn what_a_command_did_is_recorded_by_the_daemon() {
        let data = tempfile::tempdir().unwrap();
        let folder = folder(data.path());
        leave_note(&folder, Event::Restored { who: person_at_shell(), file: "/mnt/copy.db".to_owned() }).unwrap();
        let audit = Audit::start(AuditOptions::default(), folder.clone(), "TABLESIDE").unwrap();
        audit.stop();
        let first = trail::files(&folder).unwrap().swap_remove(0).path;
        assert!(std::fs::read_to_string(first).unwrap().contains("/mnt/copy.db"));
        assert!(notes::waiting(&folder).unwrap().is_empty());
    }
}
