//! What an earlier run left undone goes on.

use std::sync::Arc;
use std::time::Duration;

use crate::console::Hub;
use crate::exam::{AssociationId, Contents, ExamKey};
use crate::ingest::{self, InstanceSink, RefusedInstance, StoredInstance};
use crate::pipeline::{Earlier, ExamMemory};
use crate::spool::{Spool, SpoolError};

/// What the spool has of exams.
impl ExamMemory for Arc<Spool> {
    fn earlier(&self, key: &ExamKey) -> Earlier {
        let instances = self.instances(key).unwrap_or_else(|error| {
            tracing::error!(exam = %key, %error, "earlier instances of the exam cannot be listed");
            Vec::new()
        });
        Earlier { instances, refusals: self.refusals(key) }
    }

    fn note_closed(&self, key: &ExamKey, images: Option<usize>) {
        self.note_released(key, images);
    }
}

/// Procedure steps that ended within this time before a start may be those of exams that go on.
const RECENT_STEPS: Duration = Duration::from_hours(24);

/// Exams in the spool that have no verdict, or one that knows nothing of some of their instances or of what was refused of
/// them, go on where they were.
pub(super) fn resume(spool: &Arc<Spool>, hub: &Hub, input: &dyn InstanceSink) -> Result<(), SpoolError> {
    let mut goes_on = false;
    for exam in spool.exams()? {
        let Earlier { instances, refusals } = spool.earlier(&exam);
        let contents = Contents { instances: instances.len(), refused: refusals.count() };
        if hub.judged_contents(&exam) == Some(contents) {
            continue;
        }
        goes_on = true;
        let (association, at) = (AssociationId(0), std::time::Instant::now());
        // The first of what is there brings all of it.
        if let Some(path) = instances.into_iter().next() {
            tracing::info!(%exam, "the exam goes on from the spool");
            // What its scanner had done with before is over now; what was cut off comes again.
            let images = spool.released(&exam).unwrap_or(1);
            input.stored(StoredInstance { exam, path, images, association, at });
        } else if let Some(refusal) = refusals.iter().next().cloned() {
            tracing::info!(%exam, "the exam goes on, of which all was refused");
            input.refused(RefusedInstance { exam, refusal, association, at });
        }
    }
    if goes_on {
        input.association_closed(AssociationId(0), std::time::Instant::now());
    }
    for step in ingest::ended_steps(&spool.procedure_steps(), RECENT_STEPS) {
        input.procedure_step_ended(step);
    }
    Ok(())
}
