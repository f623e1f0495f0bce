//! What was refused, below the folder of the exam that it belongs to: `refused.jsonl`, one line an event in the order of time.
//!
//! ```text
//! {"refused": {"sop_instance_uid": ..., "reason": ..., "study_instance_uid": ..., "patient": {...}, ...}}
//! {"stored": "<SOP Instance UID>"}      it was sent again since, and stored
//! ```
//!
//! A line is synced before the refusal is answered. A line that is cut off is the last one and was never answered. Of an exam
//! at most [`Refusals::MOST_REMEMBERED`] refusals are written; who reads so many needs no more.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

use super::make_folder;
use crate::exam::{ExamKey, Refusal, Refusals};

pub(super) const FILE_NAME: &str = "refused.jsonl";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Event {
    Refused(Box<Refusal>),
    Stored(String),
}

/// All that is missing, by exam.
#[derive(Debug)]
pub(super) struct Refused {
    exams: PathBuf,
    by_exam: Mutex<BTreeMap<ExamKey, Refusals>>,
}

impl Refused {
    /// Reads what was refused before of the exams in this folder.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(super) fn open(exams: &Path, keys: &[ExamKey]) -> io::Result<Self> {
        let mut by_exam = BTreeMap::new();
        for key in keys {
            match std::fs::read(file_of(exams, key)) {
                Ok(lines) => {
                    if lines.last().is_some_and(|last| *last != b'\n') {
                        end_line(&file_of(exams, key))?;
                    }
                    by_exam.insert(key.clone(), read(&lines));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { exams: exams.to_owned(), by_exam: Mutex::new(by_exam) })
    }

    pub(super) fn of(&self, exam: &ExamKey) -> Refusals {
        self.by_exam().get(exam).cloned().unwrap_or_default()
    }

    /// Notes a refusal; it is on the disk when this returns.
    ///
    /// # Errors
    /// If it cannot be written; it counts until the next start nevertheless.
    pub(super) fn add(&self, exam: &ExamKey, refusal: &Refusal) -> io::Result<()> {
        let mut by_exam = self.by_exam();
        let refusals = by_exam.entry(exam.clone()).or_default();
        let is_new = refusals.add(refusal.clone());
        if is_new && refusals.is_missing(&refusal.sop_instance_uid) {
            self.append(exam, &Event::Refused(Box::new(refusal.clone())))?;
        }
        Ok(())
    }

    /// Notes that an object was stored. Gives the exams in which it was missing.
    pub(super) fn mend(&self, sop_instance_uid: &str) -> Vec<ExamKey> {
        let mut by_exam = self.by_exam();
        let missed = by_exam.iter_mut().filter_map(|(exam, refusals)| refusals.mend(sop_instance_uid).then_some(exam));
        let missed: Vec<ExamKey> = missed.cloned().collect();
        for exam in &missed {
            if let Err(error) = self.append(exam, &Event::Stored(sop_instance_uid.to_owned())) {
                tracing::warn!(%exam, %error, "an object that was refused and stored since will be missed again after a restart");
            }
        }
        missed
    }

    /// Forgets an exam whose folder is gone.
    pub(super) fn forget(&self, exam: &ExamKey) {
        self.by_exam().remove(exam);
    }

    fn append(&self, exam: &ExamKey, event: &Event) -> io::Result<()> {
        let path = file_of(&self.exams, exam);
        let is_new = !path.exists();
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        let mut file = File::options().append(true).create(true).mode(0o600).open(&path)?;
        file.write_all(&line)?;
        file.sync_all()?;
        if is_new { super::sync_parent(&path) } else { Ok(()) }
    }

    fn by_exam(&self) -> MutexGuard<'_, BTreeMap<ExamKey, Refusals>> {
        self.by_exam.lock()
    }
}

fn file_of(exams: &Path, exam: &ExamKey) -> PathBuf {
    exams.join(exam.to_string()).join(FILE_NAME)
}

/// What was cut off must not take the next line with it.
fn end_line(path: &Path) -> io::Result<()> {
    File::options().append(true).open(path)?.write_all(b"\n")
}

fn read(lines: &[u8]) -> Refusals {
    let mut refusals = Refusals::default();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(Event::Refused(refusal)) => {
                refusals.add(*refusal);
            }
            Ok(Event::Stored(sop_instance_uid)) => {
                refusals.mend(&sop_instance_uid);
            }
            Err(error) => tracing::warn!(%error, "a refusal of an earlier run was half written"),
        }
    }
    refusals
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::exam::{Identity, Patient};

    fn refusal(uid: &str) -> Refusal {
        Refusal {
            sop_instance_uid: uid.to_owned(),
            reason: "cut off".to_owned(),
            identity: Identity::default(),
            scanner: "CT1".to_owned(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn refusals_and_what_became_of_them_are_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (ExamKey::new("1.2", &Patient::default()), ExamKey::new("1.3", &Patient::default()));
        let refused = Refused::open(folder.path(), &[]).unwrap();
        for uid in ["1", "2", "2"] {
            refused.add(&one, &refusal(uid)).unwrap();
        }
        refused.add(&other, &refusal("1")).unwrap();
        assert_eq!(refused.mend("1"), {
            let mut both = [one.clone(), other.clone()];
            both.sort();
            both
        });
        assert!(refused.mend("1").is_empty());
        let again = Refused::open(folder.path(), &[one.clone(), other.clone()]).unwrap();
        for exam in [&one, &other] {
            assert_eq!(again.of(exam), refused.of(exam));
        }
        assert_eq!((again.of(&one).count(), again.of(&other).count(), again.of(&other).mended()), (1, 0, 1));
        let lines = std::fs::read_to_string(file_of(folder.path(), &one)).unwrap();
        assert_eq!(lines.lines().count(), 3, "{lines}");
    }

    #[test]
    fn a_line_that_was_cut_off_costs_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let exam = ExamKey::new("1.2", &Patient::default());
        let refused = Refused::open(folder.path(), &[]).unwrap();
        refused.add(&exam, &refusal("1")).unwrap();
        let mut file = File::options().append(true).open(file_of(folder.path(), &exam)).unwrap();
        file.write_all(b"{\"refused\": {\"sop").unwrap();
        let again = Refused::open(folder.path(), std::slice::from_ref(&exam)).unwrap();
        again.add(&exam, &refusal("2")).unwrap();
        assert_eq!(Refused::open(folder.path(), std::slice::from_ref(&exam)).unwrap().of(&exam).count(), 2);
    }
}
