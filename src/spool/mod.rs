//! The spool: every instance that was acknowledged lies here as a Part 10 file (PS3.10 section 7), synced to the disk.
//!
//! ```text
//! <root>/lock                                            held by the program that uses the spool
//! <root>/incoming/                                       files that are being written
//! <root>/exams/<exam key>/<series UID>/<SOP UID>.dcm     what was acknowledged
//! <root>/exams/<exam key>/<series UID>/<SOP UID>.dcm.N   other bytes under a UID that was taken: kept, not analysed
//! ```

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use dicom_object::FileMetaTableBuilder;

use crate::exam::{ExamKey, InstanceHeader};

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
    /// Whether there is no room left.
    #[must_use]
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Write(error) if matches!(error.kind(), StorageFull | QuotaExceeded))
    }
}

/// Where an instance lies now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    New(PathBuf),
    /// The same bytes were there already.
    Again(PathBuf),
    /// Other bytes were there under the same SOP Instance UID; these are kept beside them.
    Differs(PathBuf),
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
    next_file: AtomicU64,
    /// Locked while it is open.
    _lock: File,
}

impl Spool {
    /// Makes the folders, for this user alone, and removes what an earlier run had not finished: it was never acknowledged.
    ///
    /// # Errors
    /// If the folders cannot be made or read, or another program uses them.
    pub fn open(root: &Path) -> Result<Self, SpoolError> {
        make_folder(root).map_err(|source| SpoolError::Prepare { path: root.to_owned(), source })?;
        let spool = Self {
            incoming: root.join("incoming"),
            exams: root.join("exams"),
            next_file: AtomicU64::new(0),
            _lock: lock(root)?,
        };
        for folder in [&spool.incoming, &spool.exams] {
            make_folder(folder).map_err(|source| SpoolError::Prepare { path: folder.clone(), source })?;
        }
        let prepare = |source| SpoolError::Prepare { path: spool.incoming.clone(), source };
        for leftover in fs::read_dir(&spool.incoming).map_err(prepare)? {
            fs::remove_file(leftover.map_err(prepare)?.path()).map_err(prepare)?;
        }
        Ok(spool)
    }

    /// Writes an instance and returns once file and directory entry are on the disk.
    ///
    /// # Errors
    /// If anything on the way fails; nothing must be acknowledged then.
    pub fn store(&self, instance: &Incoming<'_>) -> Result<Stored, SpoolError> {
        let header = instance.header;
        let folder = self.exams.join(header.exam_key().to_string()).join(&header.series_instance_uid);
        let path = folder.join(format!("{}.dcm", header.sop_instance_uid));
        if let Some(present) = read_if_there(&path)? {
            if present.ends_with(instance.data_set) {
                return Ok(Stored::Again(path));
            }
            return self.store_beside(&path, instance);
        }
        make_folder(&folder)?;
        match self.write(&path, instance) {
            Ok(()) => Ok(Stored::New(path)),
            Err(SpoolError::Write(error)) if error.kind() == std::io::ErrorKind::AlreadyExists => self.store(instance),
            Err(error) => Err(error),
        }
    }

    fn store_beside(&self, taken: &Path, instance: &Incoming<'_>) -> Result<Stored, SpoolError> {
        for number in 1_u32.. {
            let path = taken.with_extension(format!("dcm.{number}"));
            match read_if_there(&path)? {
                Some(present) if present.ends_with(instance.data_set) => return Ok(Stored::Again(path)),
                Some(_) => {}
                None => {
                    self.write(&path, instance)?;
                    return Ok(Stored::Differs(path));
                }
            }
        }
        Err(std::io::Error::from(std::io::ErrorKind::AlreadyExists).into())
    }

    /// Fails with [`std::io::ErrorKind::AlreadyExists`] if something lies there already.
    fn write(&self, path: &Path, instance: &Incoming<'_>) -> Result<(), SpoolError> {
        let meta = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(&instance.header.sop_class_uid)
            .media_storage_sop_instance_uid(&instance.header.sop_instance_uid)
            .transfer_syntax(instance.transfer_syntax_uid)
            .source_application_entity_title(instance.calling_ae_title)
            .build()
            .map_err(|error| SpoolError::Meta(error.to_string()))?;
        let mut head = vec![0_u8; 128];
        head.extend_from_slice(b"DICM");
        meta.write(&mut head).map_err(|error| SpoolError::Meta(error.to_string()))?;

        let number = self.next_file.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.incoming.join(format!("{number}.part"));
        let written = (|| {
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&unfinished)?;
            file.write_all(&head)?;
            file.write_all(instance.data_set)?;
            file.sync_all()?;
            // Unlike a rename, a link never replaces what another association has stored under this name meanwhile.
            fs::hard_link(&unfinished, path)?;
            // What is not synced is not acknowledged, so it must not be found either when it is sent again.
            sync_parent(path).inspect_err(|_| drop(fs::remove_file(path)))
        })();
        // The first error is the one to report; what is left over is removed at the next start at the latest.
        let _ = fs::remove_file(&unfinished);
        Ok(written?)
    }

    /// The exams in the spool.
    ///
    /// # Errors
    /// If the spool cannot be read.
    pub fn exams(&self) -> Result<Vec<ExamKey>, SpoolError> {
        let names = entries(&self.exams)?;
        Ok(names.iter().filter_map(|path| ExamKey::parse(path.file_name()?.to_str()?)).collect())
    }

    /// The files of one exam's instances, in the order of their names. Empty for an exam that is not here.
    ///
    /// # Errors
    /// If the exam's folder cannot be read.
    pub fn instances(&self, exam: &ExamKey) -> Result<Vec<PathBuf>, SpoolError> {
        let folder = self.exams.join(exam.to_string());
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut files = Vec::new();
        for series in entries(&folder)?.into_iter().filter(|path| path.is_dir()) {
            files.extend(entries(&series)?.into_iter().filter(|path| path.extension().is_some_and(|end| end == "dcm")));
        }
        files.sort();
        Ok(files)
    }
}

/// What is in `incoming/` belongs to whoever holds this lock.
fn lock(root: &Path) -> Result<File, SpoolError> {
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

fn read_if_there(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
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

fn sync_parent(path: &Path) -> std::io::Result<()> {
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

    fn header() -> InstanceHeader {
        InstanceHeader {
            sop_class_uid: "1.2.840.10008.5.1.4.1.1.2".into(),
            sop_instance_uid: "1.2.3".into(),
            study_instance_uid: "1.2".into(),
            series_instance_uid: "1.2.4".into(),
            patient: Patient::default(),
            study_description: String::new(),
            series_description: String::new(),
            content: Content::Kept("a test"),
        }
    }

    fn incoming<'a>(header: &'a InstanceHeader, data_set: &'a [u8]) -> Incoming<'a> {
        Incoming { header, transfer_syntax_uid: "1.2.840.10008.1.2.1", calling_ae_title: "CT1", data_set }
    }

    #[test]
    fn the_same_bytes_are_stored_once_and_other_bytes_beside_them() {
        let root = tempfile::tempdir().unwrap();
        let spool = Spool::open(root.path()).unwrap();
        let header = header();
        let Stored::New(path) = spool.store(&incoming(&header, b"first!")).unwrap() else { panic!() };
        assert_eq!(spool.store(&incoming(&header, b"first!")).unwrap(), Stored::Again(path.clone()));
        assert!(matches!(spool.store(&incoming(&header, b"second")).unwrap(), Stored::Differs(_)));
        assert!(matches!(spool.store(&incoming(&header, b"second")).unwrap(), Stored::Again(_)));
        assert_eq!(spool.exams().unwrap(), [header.exam_key()]);
        assert_eq!(spool.instances(&header.exam_key()).unwrap(), std::slice::from_ref(&path));
        assert!(fs::read(&path).unwrap().ends_with(b"first!"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_spool_that_is_in_use_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let first = Spool::open(root.path()).unwrap();
        assert!(matches!(Spool::open(root.path()), Err(SpoolError::InUse(_))));
        drop(first);
        Spool::open(root.path()).unwrap();
    }

    #[test]
    fn what_was_half_written_is_gone_after_the_next_start() {
        let root = tempfile::tempdir().unwrap();
        Spool::open(root.path()).unwrap();
        fs::write(root.path().join("incoming/7.part"), b"half").unwrap();
        Spool::open(root.path()).unwrap();
        assert_eq!(fs::read_dir(root.path().join("incoming")).unwrap().count(), 0);
    }
}
