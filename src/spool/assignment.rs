//! Which exam an instance is stored in; the rule stands in [`crate::exam::Siblings`]. That an exam was sent again under another
//! name, birth date or sex is noted in its folder: `<key of the corrected particulars>.corrected`, an empty file.

use std::fs::File;
use std::io;
use std::path::Path;

use parking_lot::{Mutex, MutexGuard};

use super::name_locks::NameLocks;
use super::{Incoming, SpoolError, entries, file_prefix, sync_parent, versions};
use crate::dicom::InstanceFile;
use crate::exam::{ExamKey, Holdings, Siblings};

const ENDING: &str = "corrected";

#[derive(Debug)]
pub(super) struct Assignment {
    siblings: Mutex<Siblings>,
}

impl Assignment {
    /// Knows the exams in a folder.
    ///
    /// # Errors
    /// If an exam's folder cannot be read.
    pub(super) fn open(exams: &Path, keys: &[ExamKey]) -> io::Result<Self> {
        let mut siblings = Siblings::default();
        for key in keys {
            siblings.insert(key.clone());
            for file in entries(&exams.join(key.to_string()))? {
                if file.extension().is_some_and(|end| end == ENDING)
                    && let Some(own) = file.file_stem().and_then(|stem| ExamKey::parse(stem.to_str()?))
                {
                    siblings.note_correction(own, key.clone());
                }
            }
        }
        Ok(Self { siblings: Mutex::new(siblings) })
    }

    /// The exam of an instance.
    ///
    /// # Errors
    /// If a correction cannot be noted.
    pub(super) fn exam_of(
        &self,
        instance: &Incoming<'_>,
        exams: &Path,
        name_locks: &NameLocks,
    ) -> Result<ExamKey, SpoolError> {
        let own = instance.header.exam_key();
        let assigned = self.siblings().assign(own.clone(), &Stored { instance, exams, name_locks });
        if assigned.is_first_correction {
            let note = exams.join(assigned.exam.to_string()).join(format!("{own}.{ENDING}"));
            File::create(&note)?.sync_all()?;
            sync_parent(&note)?;
        }
        Ok(assigned.exam)
    }

    pub(super) fn insert(&self, exam: &ExamKey) {
        self.siblings().insert(exam.clone());
    }

    pub(super) fn forget(&self, exam: &ExamKey) {
        self.siblings().remove(exam);
    }

    fn siblings(&self) -> MutexGuard<'_, Siblings> {
        self.siblings.lock()
    }
}

/// What is on the disk of an instance, in any exam.
struct Stored<'a> {
    instance: &'a Incoming<'a>,
    exams: &'a Path,
    name_locks: &'a NameLocks,
}

impl Holdings for Stored<'_> {
    fn has(&self, exam: &ExamKey) -> bool {
        let first = versions::first_name(exam, self.instance.header);
        self.name_locks.is_taken(&first) || self.exams.join(first).exists()
    }

    fn has_the_image(&self, exam: &ExamKey) -> bool {
        let first = versions::first_name(exam, self.instance.header);
        self.name_locks.wait_for(&first);
        let path = |version| self.exams.join(versions::name_of(&first, version));
        let Some(newest) = versions::newest(|version| path(version).exists()) else { return false };
        let Ok(mut file) = file_prefix(self.instance) else { return false };
        file.extend_from_slice(self.instance.data_set);
        let images = InstanceFile::open(&path(newest)).and_then(|there| Ok((there, InstanceFile::of_bytes(file)?)));
        images.is_ok_and(|(there, here)| there.shows_the_same(&here))
    }
}
