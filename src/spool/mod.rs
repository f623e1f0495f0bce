//! The spool: every instance that was acknowledged lies here as a Part 10 file (PS3.10 section 7).
//!
//! Once [`Spool::store`] returns, the instance must survive a power loss, whatever becomes of this program: the scanner
//! may delete its own. Files and folders are the index, so that there is no second record of what is here that could
//! disagree with it, and any DICOM tool can read an exam. A sync of each file and its folders would make the scanner
//! wait: instances go through a journal first (`journal`). A name belongs to one content for good (`versions`): nothing
//! that was acknowledged is overwritten.
//!
//! ```text
//! <root>/lock                                            held by the program that uses the spool
//! <root>/journal/<n>.segment                             what is acknowledged and not yet synced below exams/
//! <root>/exams/<exam key>/<series UID>/<SOP UID>.dcm     what was acknowledged
//! <root>/exams/<exam key>/<series UID>/<SOP UID>.dcm.N   what came under its UID later, with other bytes: the newest counts
//! <root>/exams/<exam key>/<other key>.corrected          its images were sent again with another name, birth date or sex
//! <root>/exams/<exam key>/refused.jsonl                  what belongs to it and was refused (`refused`)
//! <root>/exams/s.../                                    the synthetic patient, until it is over (`synthetic`)
//! <root>/procedure-steps/<SOP UID>.dcm                   what scanners have said of their exams (MPPS)
//! <root>/incoming/                                       large files that are being written
//! <root>/set-aside/                                      what a run that was cut short had half written: never acknowledged
//! ```

mod assignment;
mod checkpoint;
mod journal;
mod name_locks;
mod placing;
mod recovery;
mod refused;
mod released;
mod retention;
mod segment;
mod synthetic;
mod versions;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::Sender;
use dicom_dictionary_std::uids;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest, Sha256};

use crate::exam::{ExamKey, InstanceHeader, Refusal, Refusals, is_uid};
use crate::hex::hex;
use crate::texts::Phrase;
use assignment::Assignment;
use journal::Journal;
use name_locks::NameLocks;
use placing::Job;
pub(crate) use placing::make_folders;
use recovery::Folders;
pub use recovery::Recovery;
use refused::Refused;
pub use retention::{ImageUser, Retention, RetentionOptions, Room};
use segment::{Entry, SEGMENT_BYTES};

/// Larger instances are written and synced as files of their own: they would fill a segment of the journal.
const LARGEST_RECORD: u64 = 8 << 20;

/// One to write to and one to be emptied meanwhile.
const FEWEST_SEGMENTS: u64 = 2;

/// Why an instance is not on the disk.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("cannot prepare the spool folder {path}: {source}; it must be writable for the user that runs tableside")]
    Prepare { path: PathBuf, source: std::io::Error },
    #[error("another tableside uses the spool folder {0}: stop it, or set another data.folder")]
    InUse(PathBuf),
    #[error("cannot write to the spool: {0}")]
    Write(#[from] std::io::Error),
    #[error("cannot encode the file meta information: {0}")]
    Meta(String),
}

impl SpoolError {
    /// Why an object was refused, in words for a technician.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        if self.is_full() { "there was no room on the disk" } else { "the disk could not be written" }
    }

    /// Whether there is no room left.
    #[must_use]
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Write(error) if matches!(error.kind(), StorageFull | QuotaExceeded))
    }
}

/// What became of an instance. It is on the disk in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    New(PathBuf),
    /// The same bytes were there already.
    Again(PathBuf),
    /// Other bytes were there under the same SOP Instance UID; from now on these count.
    Corrects(PathBuf),
}

/// An instance on its way to the disk.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    pub header: &'a InstanceHeader,
    pub transfer_syntax_uid: &'a str,
    pub calling_ae_title: &'a str,
    /// The data set as it was received, in its transfer syntax.
    pub data_set: &'a [u8],
}

/// A folder of instances.
#[derive(Debug)]
pub struct Spool {
    incoming: PathBuf,
    exams: PathBuf,
    procedure_steps: PathBuf,
    next_file: AtomicU64,
    name_locks: Arc<NameLocks>,
    assignment: Assignment,
    refused: Refused,
    journal: Arc<Journal>,
    /// `None` once the spool closes.
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
    recovery: Recovery,
    /// Bytes that were stored since the start.
    stored_bytes: AtomicU64,
    /// Why there is too little room to store anything.
    shortage: Mutex<Option<Phrase>>,
    /// `None` until somebody has looked.
    room: Mutex<Option<Room>>,
    /// Locked while it is open.
    _lock: File,
}

impl Spool {
    /// Makes the folders, for this user alone, and a journal of this size if there is none yet, and finishes what an earlier
    /// run had not: what was acknowledged is placed, what was half written is set aside.
    ///
    /// # Errors
    /// If the folders cannot be made, read or written, or another program uses them.
    pub fn open(root: &Path, journal_bytes: u64) -> Result<Self, SpoolError> {
        let prepare = |path: &Path, source| SpoolError::Prepare { path: path.to_owned(), source };
        let lock = lock(root)?;
        let [incoming, exams, journal, set_aside, procedure_steps] =
            ["incoming", "exams", "journal", "set-aside", "procedure-steps"].map(|name| root.join(name));
        for folder in [&incoming, &exams, &journal, &set_aside, &procedure_steps] {
            make_folder(folder).map_err(|source| prepare(folder, source))?;
        }
        let handle = File::open(&exams).map_err(|source| prepare(&exams, source))?;
        let folders = Folders { journal: &journal, incoming: &incoming, exams: &exams, set_aside: &set_aside };
        let segments_wanted = (journal_bytes / SEGMENT_BYTES).max(FEWEST_SEGMENTS) as usize;
        let (segments, recovery) =
            recovery::recover(&folders, &handle, segments_wanted).map_err(|source| prepare(&journal, source))?;
        let journal = Arc::new(Journal::new(segments));
        let name_locks = Arc::new(NameLocks::default());
        let keys = keys_below(&exams)?;
        let assignment = Assignment::open(&exams, &keys).map_err(|source| prepare(&exams, source))?;
        let refused = Refused::open(&exams, &keys).map_err(|source| prepare(&exams, source))?;
        let (jobs, jobs_out) = crossbeam_channel::unbounded();
        let placing = {
            let (exams, journal, name_locks) = (exams.clone(), journal.clone(), name_locks.clone());
            std::thread::Builder::new()
                .name("placing".to_owned())
                .spawn(move || placing::run(&exams, &jobs_out, &journal, &name_locks))?
        };
        let checkpoint = {
            let (exams, journal) = (exams.clone(), journal.clone());
            std::thread::Builder::new()
                .name("checkpoint".to_owned())
                .spawn(move || checkpoint::run(&exams, &handle, &journal))?
        };
        Ok(Self {
            incoming,
            exams,
            procedure_steps,
            next_file: AtomicU64::new(0),
            name_locks,
            assignment,
            refused,
            journal,
            jobs: Some(jobs),
            threads: vec![placing, checkpoint],
            recovery,
            stored_bytes: AtomicU64::new(0),
            shortage: Mutex::default(),
            room: Mutex::default(),
            _lock: lock,
        })
    }

    /// What was found half done at the start.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// Why nothing can be stored at present, if so.
    #[must_use]
    pub fn problem(&self) -> Option<Phrase> {
        self.journal.problem().map(|problem| Phrase::english(problem.message)).or_else(|| self.shortage().clone())
    }

    /// The room that there is; `None` until somebody has looked.
    #[must_use]
    pub fn room(&self) -> Option<Room> {
        *self.room.lock()
    }

    fn shortage(&self) -> MutexGuard<'_, Option<Phrase>> {
        self.shortage.lock()
    }

    fn set_shortage(&self, reason: Option<Phrase>) {
        let mut shortage = self.shortage();
        match (&*shortage, &reason) {
            (None, Some(reason)) => tracing::error!(%reason, "nothing is stored until there is room"),
            (Some(_), None) => tracing::info!("there is room again"),
            _ => {}
        }
        *shortage = reason;
    }

    /// The exam that an instance belongs to.
    ///
    /// # Errors
    /// If it corrects another exam's name, birth date or sex, and that cannot be noted.
    pub fn exam_of(&self, instance: &Incoming<'_>) -> Result<ExamKey, SpoolError> {
        self.assignment.exam_of(instance, &self.exams, &self.name_locks)
    }

    /// Stores an instance of an exam and returns once it is on the disk. `placed` is called once its file can be read, unless
    /// the same bytes were there already.
    ///
    /// # Errors
    /// If anything on the way fails; nothing must be acknowledged then.
    pub fn store(
        &self,
        exam: &ExamKey,
        instance: &Incoming<'_>,
        placed: impl FnOnce(&Path) + Send + 'static,
    ) -> Result<Stored, SpoolError> {
        if let Some(reason) = &*self.shortage() {
            return Err(std::io::Error::new(std::io::ErrorKind::StorageFull, reason.to_string()).into());
        }
        let prefix = file_prefix(instance)?;
        let first = versions::first_name(exam, instance.header);
        let is_there = |version| self.exams.join(versions::name_of(&first, version)).exists();
        let mut version = versions::newest(is_there).unwrap_or(0);
        let name = loop {
            let name = versions::name_of(&first, version);
            if self.name_locks.take(&name, || is_there(version)) {
                break name;
            }
            version += 1;
            let path = self.exams.join(name);
            if ends_with(&path, instance.data_set)? && !self.name_locks.is_taken(&versions::name_of(&first, version)) {
                return Ok(Stored::Again(path));
            }
        };
        self.assignment.insert(exam);
        let path = self.exams.join(&name);
        let when_placed = {
            let path = path.clone();
            move || placed(&path)
        };
        self.write(&Entry { name, prefix }, instance.data_set, Box::new(when_placed))?;
        // What is removed again at once takes no room.
        if !exam.is_synthetic() {
            self.stored_bytes.fetch_add(instance.data_set.len() as u64, Ordering::Relaxed);
        }
        Ok(if version == 0 { Stored::New(path) } else { Stored::Corrects(path) })
    }

    /// Notes that an object of an exam was refused; it is on the disk when this returns.
    ///
    /// # Errors
    /// If it cannot be written; until the next start it counts nevertheless.
    pub fn refuse(&self, exam: &ExamKey, refusal: &Refusal) -> Result<(), SpoolError> {
        self.assignment.insert(exam);
        Ok(self.refused.add(exam, refusal)?)
    }

    /// Notes that an object was stored. Gives the exams that had missed it since it was refused.
    pub fn mend(&self, sop_instance_uid: &str) -> Vec<ExamKey> {
        self.refused.mend(sop_instance_uid)
    }

    /// What was refused of an exam.
    #[must_use]
    pub fn refusals(&self, exam: &ExamKey) -> Refusals {
        self.refused.of(exam)
    }

    /// Notes that the associations which carried an exam are released, after so many images, or that another one carries more.
    pub fn note_released(&self, exam: &ExamKey, images: Option<usize>) {
        if let Err(error) = released::note(&self.exams.join(exam.to_string()), images) {
            tracing::debug!(%exam, %error, "after a restart the exam would end by its silence alone");
        }
    }

    /// After how many images the associations which carried an exam were released; `None` if they were not, or nobody knows.
    #[must_use]
    pub fn released(&self, exam: &ExamKey) -> Option<usize> {
        released::images(&self.exams.join(exam.to_string()))
    }

    /// Removes all of an exam.
    fn remove(&self, exam: &ExamKey) -> std::io::Result<()> {
        fs::remove_dir_all(self.exams.join(exam.to_string()))?;
        self.assignment.forget(exam);
        self.refused.forget(exam);
        Ok(())
    }

    /// Writes under a name that is locked.
    fn write(&self, entry: &Entry, data_set: &[u8], placed: placing::Placed) -> Result<(), SpoolError> {
        let bytes = entry.record_bytes(data_set).filter(|bytes| *bytes <= LARGEST_RECORD);
        let Some(bytes) = bytes else {
            let written = self.write_file(entry, data_set);
            // A later version is taken once this one is handed on.
            if written.is_ok() {
                placed();
            }
            self.name_locks.release(&entry.name);
            return written;
        };
        let appended = self.journal.append(entry, data_set, bytes);
        let (segment, record) = appended.inspect_err(|_| self.name_locks.release(&entry.name))?;
        let job = Job { segment, record, placed };
        // The thread that places stops after this spool is dropped, or with an open job that the next start takes up.
        if self.jobs.as_ref().is_none_or(|jobs| jobs.send(job).is_err()) {
            tracing::error!("the spool has stopped: an acknowledged instance waits in the journal for the next start");
        }
        Ok(())
    }

    fn write_file(&self, entry: &Entry, data_set: &[u8]) -> Result<(), SpoolError> {
        let path = self.exams.join(&entry.name);
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        let number = self.next_file.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.incoming.join(format!("{number}.part"));
        // The first error is the one to report; what is left over is set aside at the next start.
        let written = write_durably(&unfinished, &path, &[&entry.prefix, data_set]);
        written.inspect_err(|_| {
            drop(fs::remove_file(&unfinished));
            // What is not synced is not acknowledged, so it must not be found either when it is sent again.
            drop(fs::remove_file(&path));
        })?;
        Ok(())
    }

    /// The folder of procedure steps.
    #[must_use]
    pub fn procedure_steps(&self) -> PathBuf {
        self.procedure_steps.clone()
    }

    /// Waits until the journal is empty: every file is synced in its place. `false` if that takes too long.
    pub fn flush(&self, patience: Duration) -> bool {
        self.journal.flush(patience)
    }

    /// The exams in the spool.
    ///
    /// # Errors
    /// If the spool cannot be read.
    pub fn exams(&self) -> Result<Vec<ExamKey>, SpoolError> {
        keys_below(&self.exams)
    }

    /// The files of one exam's instances: all first versions, then all second ones and so on, each in the order in which they
    /// came. So whoever takes them in this order has the newest version of each last. Empty for an exam that is not here.
    ///
    /// # Errors
    /// If the exam's folder cannot be read.
    pub fn instances(&self, exam: &ExamKey) -> Result<Vec<PathBuf>, SpoolError> {
        let folder = self.exams.join(exam.to_string());
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut files: Vec<_> = files_of(&folder)?
            .into_iter()
            .filter_map(|file| Some((versions::version_of(&file)?, file.metadata().ok()?.modified().ok()?, file)))
            .collect();
        files.sort();
        Ok(files.into_iter().map(|(_, _, file)| file).collect())
    }

    /// The newest version of each of an exam's instances, in the order of their names; empty for an exam that is not here.
    ///
    /// # Errors
    /// If the exam's folder cannot be read.
    pub fn newest_instances(&self, exam: &ExamKey) -> Result<Vec<PathBuf>, SpoolError> {
        let versions = self.instances(exam)?.into_iter().map(|file| (versions::first_of(&file), file));
        Ok(versions.collect::<BTreeMap<_, _>>().into_values().collect())
    }
}

impl Drop for Spool {
    /// Everything acknowledged is placed before the threads end, unless the disk does not let it: then it stays in the journal.
    fn drop(&mut self) {
        drop(self.jobs.take());
        self.journal.stop();
        let ended: Vec<_> = self.threads.drain(..).map(JoinHandle::join).collect();
        if ended.iter().any(Result::is_err) {
            tracing::error!(
                "a thread of the spool had stopped unexpectedly: acknowledged instances stay in the journal for the next start"
            );
        }
    }
}

/// The name of a UID's folder or file: the UID itself, or for what is no valid UID (too long, a slash, dots alone) its hash.
fn path_component(uid: &str) -> Cow<'_, str> {
    if is_uid(uid) {
        return Cow::Borrowed(uid);
    }
    Cow::Owned(format!("uid-{}", hex(&Sha256::digest(uid)[..16])))
}

/// The folder with the images of an exam, in the spool at `root`; they may have been removed.
#[must_use]
pub fn exam_folder(root: &Path, exam: &ExamKey) -> PathBuf {
    root.join("exams").join(exam.to_string())
}

/// Makes the spool's folder, and keeps every other program from it for as long as the file is open.
///
/// # Errors
/// If another program uses it, or the file cannot be made.
pub fn lock(root: &Path) -> Result<File, SpoolError> {
    make_folder(root).map_err(|source| SpoolError::Prepare { path: root.to_owned(), source })?;
    let path = root.join("lock");
    let file = File::options().create(true).write(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(|source| SpoolError::Prepare { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SpoolError::InUse(root.to_owned())),
        Err(TryLockError::Error(source)) => Err(SpoolError::Prepare { path, source }),
    }
}

fn entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

/// All files of an exam's series.
fn files_of(exam: &Path) -> std::io::Result<Vec<PathBuf>> {
    let series: Vec<PathBuf> = entries(exam)?.into_iter().filter(|path| path.is_dir()).collect();
    let files: std::io::Result<Vec<Vec<PathBuf>>> = series.iter().map(|folder| entries(folder)).collect();
    Ok(files?.into_iter().flatten().collect())
}

fn keys_below(exams: &Path) -> Result<Vec<ExamKey>, SpoolError> {
    let names = entries(exams)?;
    Ok(names.iter().filter_map(|path| ExamKey::parse(path.file_name()?.to_str()?)).collect())
}

/// Writes a small object as a file, in place of the one that is there; the old one stays until the new one is synced.
///
/// # Errors
/// If it cannot be encoded or written.
pub fn replace_object(
    path: &Path,
    object: InMemDicomObject,
    sop_class_uid: &str,
    sop_instance_uid: &str,
) -> Result<(), SpoolError> {
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(sop_class_uid)
        .media_storage_sop_instance_uid(sop_instance_uid)
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let object = object.with_meta(meta).map_err(|error| SpoolError::Meta(error.to_string()))?;
    let mut bytes = Vec::new();
    object.write_all(&mut bytes).map_err(|error| SpoolError::Meta(error.to_string()))?;
    Ok(write_durably(&path.with_extension("part"), path, &[&bytes])?)
}

/// Writes a file under a name of its own, syncs it, gives it its name, in place of what has it, and syncs that too.
///
/// # Errors
/// If the disk does not take it.
pub(crate) fn write_durably(unfinished: &Path, path: &Path, parts: &[&[u8]]) -> std::io::Result<()> {
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(unfinished)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()?;
    fs::rename(unfinished, path)?;
    sync_parent(path)
}

/// Preamble and file meta information (PS3.10 section 7.1).
fn file_prefix(instance: &Incoming<'_>) -> Result<Vec<u8>, SpoolError> {
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(&instance.header.sop_class_uid)
        .media_storage_sop_instance_uid(&instance.header.sop_instance_uid)
        .transfer_syntax(instance.transfer_syntax_uid)
        .source_application_entity_title(instance.calling_ae_title)
        .build()
        .map_err(|error| SpoolError::Meta(error.to_string()))?;
    let mut prefix = vec![0_u8; 128];
    prefix.extend_from_slice(b"DICM");
    meta.write(&mut prefix).map_err(|error| SpoolError::Meta(error.to_string()))?;
    Ok(prefix)
}

/// Whether a file ends with these bytes.
fn ends_with(path: &Path, bytes: &[u8]) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let Some(start) = length.checked_sub(bytes.len() as u64) else { return Ok(false) };
    file.seek(SeekFrom::Start(start))?;
    let mut end = Vec::with_capacity(bytes.len());
    file.read_to_end(&mut end)?;
    Ok(end == bytes)
}

/// Makes a folder and those above it for this user alone; each new entry is synced.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folder(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_parent(folder),
    }
}

pub(crate) fn sync_parent(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::exam::{Content, Patient};

    /// A small journal.
    pub(super) fn open(root: &Path) -> Spool {
        Spool::open(root, 0).unwrap()
    }

    pub(super) fn header() -> InstanceHeader {
        InstanceHeader {
            sop_class_uid: "1.2.840.10008.5.1.4.1.1.2".into(),
            sop_instance_uid: "1.2.3".into(),
            study_instance_uid: "1.2".into(),
            series_instance_uid: "1.2.4".into(),
            patient: Patient::default(),
            study_description: String::new(),
            series_description: String::new(),
            images: vec![Content::Kept("a test")],
        }
    }

    pub(super) fn incoming<'a>(header: &'a InstanceHeader, data_set: &'a [u8]) -> Incoming<'a> {
        Incoming { header, transfer_syntax_uid: "1.2.840.10008.1.2.1", calling_ae_title: "CT1", data_set }
    }

    pub(super) fn store(spool: &Spool, header: &InstanceHeader, data_set: &[u8]) -> Stored {
        spool.store(&header.exam_key(), &incoming(header, data_set), |_| {}).unwrap()
    }

    #[test]
    fn the_same_bytes_are_stored_once_and_other_bytes_as_a_newer_version() {
        let root = tempfile::tempdir().unwrap();
        let spool = open(root.path());
        let header = header();
        let Stored::New(path) = store(&spool, &header, b"first!") else { panic!() };
        assert_eq!(store(&spool, &header, b"first!"), Stored::Again(path.clone()));
        let Stored::Corrects(second) = store(&spool, &header, b"second") else { panic!() };
        assert_eq!(store(&spool, &header, b"second"), Stored::Again(second.clone()));
        let Stored::Corrects(third) = store(&spool, &header, b"first!") else { panic!("the newest word counts") };
        assert!(spool.flush(Duration::from_mins(1)));
        assert_eq!(spool.exams().unwrap(), [header.exam_key()]);
        assert_eq!(spool.instances(&header.exam_key()).unwrap(), [path.clone(), second, third]);
        assert!(fs::read(&path).unwrap().ends_with(b"first!"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_uid_that_is_none_names_a_file_in_its_exams_folder_all_the_same() {
        let root = tempfile::tempdir().unwrap();
        let spool = open(root.path());
        let long = "1".repeat(300);
        let odd = ["..", "/etc/passwd", "../../1.2.3", "1.2.3.", "1.2.3.A", &long];
        for uid in odd {
            let header = InstanceHeader { sop_instance_uid: uid.into(), series_instance_uid: uid.into(), ..header() };
            let Stored::New(path) = store(&spool, &header, b"image!") else { panic!("{uid}") };
            assert_eq!(path.parent().unwrap().parent().unwrap(), spool.exams.join(header.exam_key().to_string()));
            assert!(path.file_name().unwrap().len() < 64, "{path:?}");
            assert_eq!(store(&spool, &header, b"image!"), Stored::Again(path));
        }
        assert!(spool.flush(Duration::from_mins(1)));
        assert_eq!(spool.instances(&header().exam_key()).unwrap().len(), odd.len());
    }

    #[test]
    fn many_who_store_one_uid_at_once_lose_none_of_it() {
        let root = tempfile::tempdir().unwrap();
        let spool = open(root.path());
        let header = header();
        std::thread::scope(|scope| {
            for thread in 0..8_u8 {
                let (spool, header) = (&spool, &header);
                scope.spawn(move || store(spool, header, &[thread % 2; 5000]));
            }
        });
        let folder = spool.instances(&header.exam_key()).unwrap()[0].parent().unwrap().to_owned();
        let kept = fs::read_dir(folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap().last().copied());
        assert_eq!(kept.flatten().collect::<std::collections::BTreeSet<u8>>(), [0, 1].into());
    }

    #[test]
    fn what_was_stored_is_called_placed_once_it_can_be_read_whatever_its_size() {
        let root = tempfile::tempdir().unwrap();
        let spool = open(root.path());
        for (number, bytes) in [0, 1, 4096, 500_000, LARGEST_RECORD as usize + 1].into_iter().enumerate() {
            let header = InstanceHeader { sop_instance_uid: format!("1.2.3.{number}"), ..header() };
            let data_set = vec![7; bytes];
            let (tell, told) = std::sync::mpsc::channel();
            let tell = move |path: &Path| tell.send(fs::read(path).unwrap()).unwrap();
            spool.store(&header.exam_key(), &incoming(&header, &data_set), tell).unwrap();
            assert!(told.recv().unwrap().ends_with(&data_set), "{bytes} bytes");
        }
        assert!(spool.flush(Duration::from_mins(1)));
    }

    #[test]
    fn more_than_the_journal_holds_can_be_stored() {
        let root = tempfile::tempdir().unwrap();
        let spool = open(root.path());
        let data_set = vec![7; 4 << 20];
        for number in 0..80 {
            store(&spool, &InstanceHeader { sop_instance_uid: format!("1.2.3.{number}"), ..header() }, &data_set);
        }
        drop(spool);
        let spool = open(root.path());
        assert_eq!(spool.instances(&header().exam_key()).unwrap().len(), 80);
    }

    #[test]
    fn a_spool_that_is_in_use_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let first = open(root.path());
        assert!(matches!(Spool::open(root.path(), 0), Err(SpoolError::InUse(_))));
        drop(first);
        open(root.path());
    }

    #[test]
    fn what_was_half_written_is_set_aside_at_the_next_start() {
        let root = tempfile::tempdir().unwrap();
        drop(open(root.path()));
        fs::write(root.path().join("incoming/7.part"), b"half").unwrap();
        let spool = open(root.path());
        assert_eq!(spool.recovery(), Recovery { placed: 0, set_aside: 1 });
        assert_eq!(fs::read_dir(root.path().join("incoming")).unwrap().count(), 0);
        assert_eq!(fs::read(root.path().join("set-aside/incoming-1.part")).unwrap(), b"half");
    }

    #[test]
    fn what_was_acknowledged_is_placed_at_the_next_start_and_a_torn_file_is_written_again() {
        let root = tempfile::tempdir().unwrap();
        let spool = open(root.path());
        let header = header();
        let Stored::New(path) = store(&spool, &header, b"whole") else { panic!() };
        drop(spool);
        // As after a power cut that came before the checkpoint.
        fs::write(&path, b"").unwrap();
        let spool = open(root.path());
        assert_eq!(spool.recovery(), Recovery { placed: 1, set_aside: 0 });
        assert!(fs::read(&path).unwrap().ends_with(b"whole"));
        drop(spool);
        assert_eq!(open(root.path()).recovery(), Recovery::default());
    }
}
