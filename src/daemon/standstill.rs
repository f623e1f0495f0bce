//! Work that stood still, so that a restart was called for: counted, and kept over that restart, after which all looks well.

use std::fs;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::telemetry;

const FILE_NAME: &str = "standstill";

/// Whether work stands still at present.
#[derive(Debug)]
pub(super) struct Standstill {
    file: PathBuf,
    is_on: Mutex<bool>,
}

impl Standstill {
    /// Tells of the one that an earlier run on this data folder ended with, if it did.
    pub(super) fn after(data: &Path) -> Self {
        let file = data.join(FILE_NAME);
        if let Ok(what) = fs::read_to_string(&file) {
            tracing::error!(what, "work stood still in the run before, which was ended for it");
            telemetry::standstill();
            drop(fs::remove_file(&file));
        }
        Self { file, is_on: Mutex::new(false) }
    }

    /// Notes what stands still, or that nothing does.
    pub(super) fn note(&self, what: Option<&str>) {
        let mut is_on = self.is_on.lock();
        match what {
            Some(what) if !*is_on => {
                telemetry::standstill();
                // Where the disk does not take it, the next run does not know.
                drop(fs::write(&self.file, what));
            }
            None if *is_on => drop(fs::remove_file(&self.file)),
            _ => {}
        }
        *is_on = what.is_some();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_a_run_ended_with_is_told_at_the_next_start_and_one_that_is_over_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE_NAME);
        let run = Standstill::after(folder.path());
        run.note(Some("the analysis"));
        run.note(Some("the analysis"));
        assert_eq!(fs::read_to_string(&file).unwrap(), "the analysis");
        run.note(None);
        assert!(!file.exists());
        run.note(Some("the port"));
        Standstill::after(folder.path());
        assert!(!file.exists(), "it is told once");
    }
}
