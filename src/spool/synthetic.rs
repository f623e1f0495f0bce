//! The synthetic patient in the spool. Its images are stored as everybody's are, so that storing is proven by them, and removed once
//! they are analysed. Its exam's folder has a name that no exam of a patient has ([`ExamKey::synthetic`]): that is the record of what
//! it is, as durable as the images themselves. Nothing that lists exams sees it.

use std::path::PathBuf;
use std::time::Duration;

use super::{Spool, SpoolError, entries};
use crate::exam::ExamKey;

/// How long the journal may take to be emptied: what is in it would come back at the next start.
const FLUSH_PATIENCE: Duration = Duration::from_secs(10);

impl Spool {
    /// Removes what there is of synthetic patients. `false` if the journal could not be emptied for that: they stay until the next call.
    ///
    /// # Errors
    /// If a folder cannot be read or removed.
    pub fn remove_synthetic(&self) -> Result<bool, SpoolError> {
        let key = |folder: &PathBuf| ExamKey::parse_synthetic(folder.file_name()?.to_str()?);
        let exams: Vec<ExamKey> = entries(&self.exams)?.iter().filter_map(key).collect();
        if exams.is_empty() {
            return Ok(true);
        }
        if !self.flush(FLUSH_PATIENCE) {
            return Ok(false);
        }
        for exam in &exams {
            self.remove(exam)?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{header, incoming, open, store};

    use super::*;

    #[test]
    fn it_is_stored_listed_nowhere_and_removed_alone_also_after_a_run_that_was_cut_short() {
        let root = tempfile::tempdir().unwrap();
        let spool = open(root.path());
        store(&spool, &header(), b"a patient");
        let synthetic = ExamKey::synthetic(&header().study_instance_uid);
        spool.store(&synthetic, &incoming(&header(), b"nobody"), |_| ()).unwrap();
        let folder = spool.exams.join(synthetic.to_string());
        let patients = [header().exam_key()];
        assert_eq!(spool.exams().unwrap(), patients);
        // The journal still has it.
        drop(spool);
        let spool = open(root.path());
        assert!(folder.exists());
        assert_eq!(spool.exams().unwrap(), patients);
        assert!(spool.remove_synthetic().unwrap());
        assert!(!folder.exists());
        drop(spool);
        let spool = open(root.path());
        assert!(!folder.exists(), "it does not come back");
        assert_eq!(spool.instances(&patients[0]).unwrap().len(), 1);
        assert!(spool.remove_synthetic().unwrap(), "there is nothing to remove");
    }
}
