//! The checkpoint: a thread that makes placed files durable, so that their segment can be used again.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::journal::{Journal, Problem, Work};
use super::placing::place_all;
use super::segment::Segment;

/// After this long without a store the journal is emptied.
const IDLE: Duration = Duration::from_secs(5);

/// What failed is tried again after this.
const RETRY: Duration = Duration::from_secs(1);

/// Works until the journal stops. `handle` is one of the exams' folder that was open before anything was placed, so that
/// it reports every failure to write since then.
pub(super) fn run(exams: &Path, handle: &File, journal: &Journal) {
    let mut failing = false;
    while let Some(segment) = journal.next_to_recycle(IDLE) {
        match recycle(exams, handle, journal, segment) {
            Ok(()) if failing => {
                tracing::info!("the journal can be emptied again");
                journal.set_problem(Work::Emptying, None);
                failing = false;
            }
            Ok(()) => {}
            Err(error) => {
                if !failing {
                    tracing::error!(%error, "the journal cannot be emptied: acknowledged instances stay in it, and images are refused until the disk takes them");
                }
                failing = true;
                journal.set_problem(Work::Emptying, Some(Problem::from(&error)));
                journal.wait(RETRY);
            }
        }
    }
}

fn recycle(exams: &Path, handle: &File, journal: &Journal, segment: Arc<Segment>) -> io::Result<()> {
    match sync(handle).and_then(|()| segment.renew()) {
        Ok(()) => {
            journal.give_back(segment);
            Ok(())
        }
        Err(error) => {
            // What could not be written may be gone from memory too: only the journal still has it.
            let placed = place_all(&segment, exams, |_, _, _| Ok(()));
            journal.keep(segment);
            placed.and(Err(error))
        }
    }
}

/// One sync of the whole file system costs less than one of each file and its folders.
pub(super) fn sync(handle: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(handle)?)
}
