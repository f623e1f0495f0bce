//! The decode pool: threads that turn files of the spool into planes.

use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};

use crate::analysis::{DecodeEvent, PlaneCentres, Waiting};
use crate::exam::ExamKey;
use crate::inference::Planes;
use crate::serving::lower_priority;
use crate::telemetry::{self, WorkProgress};

/// Images to decode.
#[derive(Debug)]
pub(super) struct DecodeJob {
    pub exam: ExamKey,
    pub waiting: Waiting,
    pub centres: PlaneCentres,
}

/// Starts a decoder for each `progress`. They end when `jobs` is closed.
///
/// # Errors
/// If the system gives no threads.
pub(super) fn start(
    progress: &[WorkProgress],
    jobs: &Receiver<DecodeJob>,
    results: &Sender<(ExamKey, DecodeEvent)>,
    planes: &Planes,
) -> std::io::Result<Vec<JoinHandle<()>>> {
    progress
        .iter()
        .enumerate()
        .map(|(number, progress)| {
            let (jobs, results, planes, progress) = (jobs.clone(), results.clone(), planes.clone(), progress.clone());
            std::thread::Builder::new().name(format!("decode-{number}")).spawn(move || {
                lower_priority();
                for DecodeJob { exam, waiting, centres } in jobs {
                    progress.working();
                    waiting.take_turn(&exam, &planes, &centres, |step| {
                        measure(&step);
                        // Nobody listens any more where the analyst has stopped: then the jobs end too.
                        drop(results.send((exam.clone(), step)));
                    });
                    progress.idle();
                }
            })
        })
        .collect()
}

fn measure(step: &DecodeEvent) {
    let DecodeEvent::Image(_, decoded) = step else { return };
    match &decoded.slice {
        Ok(Some(slice)) => {
            telemetry::stage("decode", slice.took.decode);
            telemetry::stage("preprocess", slice.took.preprocess);
            telemetry::slice_prepared();
        }
        Ok(None) => {}
        Err(_) => telemetry::slice_failed(),
    }
}
