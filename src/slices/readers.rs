//! The threads that read what somebody looks at.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use crossbeam_channel::Sender;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::SlicesError;
use super::known::{FoundSlice, KnownExam};
use super::list::{Judged, SliceList};
use crate::analysis::PlacedImage;
use crate::audit::Subject;
use crate::exam::{ExamKey, SlabIndex};
use crate::preprocess::InputGeometry;
use crate::serving::lower_priority;
use crate::spool::Spool;

/// Reading a slice and packing it takes 5 to 40 ms: two threads supply a person who scrolls, and leave the other cores to the analysis.
const READERS: usize = 2;

/// Exams whose headers are kept: 0.2 MB each, some ten times that where an object has ten thousand frames.
const KNOWN_EXAMS: usize = 8;

type Job = Box<dyn FnOnce(&Reader) + Send>;

/// Everything that can be read of exams' slices, by threads that end with it.
#[derive(Debug)]
pub struct Slices {
    jobs: Sender<Job>,
}

/// What the threads share: the way to the files.
#[derive(Debug)]
pub struct Reader {
    /// Who ends the spool waits for nobody who looks.
    spool: Weak<Spool>,
    plane: InputGeometry,
    /// The exam that was asked for last stands last.
    exams: Mutex<VecDeque<(ExamKey, Arc<Mutex<KnownExam>>)>>,
}

impl Slices {
    /// Starts to read from a spool, for a model's plane.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(spool: &Arc<Spool>, plane: InputGeometry) -> std::io::Result<Self> {
        let reader = Arc::new(Reader { spool: Arc::downgrade(spool), plane, exams: Mutex::default() });
        let (jobs, waiting) = crossbeam_channel::unbounded::<Job>();
        for number in 1..=READERS {
            let (reader, waiting) = (reader.clone(), waiting.clone());
            let read = move || {
                lower_priority();
                for job in waiting {
                    // A panic costs one answer.
                    let _ = catch_unwind(AssertUnwindSafe(|| job(&reader)));
                }
            };
            std::thread::Builder::new().name(format!("slices-{number}")).spawn(read)?;
        }
        Ok(Self { jobs })
    }

    /// Does work that reads, in its turn; not at all if nobody waits for it any more. `None` if it did not come to an end.
    pub async fn read<T: Send + 'static>(&self, work: impl FnOnce(&Reader) -> T + Send + 'static) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |reader| {
            if !answer.is_closed() {
                let _ = answer.send(work(reader));
            }
        });
        self.jobs.send(job).ok()?;
        answered.await.ok()
    }
}

impl Reader {
    /// The slices of an exam that are here. `slabs` are those that have been judged, and the image that stands for each.
    ///
    /// # Errors
    /// If its files are gone, or the spool cannot be read.
    pub fn list(&self, exam: &ExamKey, slabs: &BTreeMap<SlabIndex, PlacedImage>) -> Result<SliceList, SlicesError> {
        let known = self.known(exam);
        let mut known = known.lock();
        self.refresh(exam, &mut known)?;
        if !known.has_files() {
            return Err(SlicesError::Removed);
        }
        Ok(SliceList::of(known.slices().map(AsRef::as_ref), &Judged::new(slabs, &self.plane)))
    }

    /// A slice of an exam.
    ///
    /// # Errors
    /// If there is none of that name, or the exam's images have been removed.
    pub fn find(&self, exam: &ExamKey, id: &str) -> Result<FoundSlice, SlicesError> {
        let known = self.known(exam);
        let mut known = known.lock();
        if let Some(found) = known.find(id) {
            return Ok(found);
        }
        self.refresh(exam, &mut known)?;
        let missing = if known.has_files() { SlicesError::NoSuchSlice } else { SlicesError::Removed };
        known.find(id).ok_or(missing)
    }

    /// Whose exam it is: asked once, and remembered as long as its headers are.
    pub fn subject(&self, exam: &ExamKey, ask: impl FnOnce() -> Option<Subject>) -> Option<Subject> {
        let known = self.known(exam);
        let mut known = known.lock();
        if known.subject.is_none() {
            known.subject = ask();
        }
        known.subject.clone()
    }

    fn refresh(&self, exam: &ExamKey, known: &mut KnownExam) -> Result<(), SlicesError> {
        let spool = self.spool.upgrade().ok_or(SlicesError::Stopping)?;
        let files = spool.newest_instances(exam)?;
        drop(spool);
        known.refresh(files);
        Ok(())
    }

    fn known(&self, exam: &ExamKey) -> Arc<Mutex<KnownExam>> {
        let mut exams = self.exams.lock();
        let at = exams.iter().position(|(key, _)| key == exam);
        let found = at.and_then(|at| exams.remove(at)).unwrap_or_else(|| (exam.clone(), Arc::default()));
        let known = found.1.clone();
        exams.push_back(found);
        if exams.len() > KNOWN_EXAMS {
            exams.pop_front();
        }
        known
    }
}
