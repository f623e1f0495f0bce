//! Room: what the spool takes, what the disk has left, and which exams are removed when there is too little. Only exams
//! with a final verdict on all their instances are removed, the oldest first; what is not analysed or not delivered always stays.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use parking_lot::{Condvar, Mutex};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Spool, entries, files_of, refused, versions};
use crate::exam::{Contents, ExamKey};
use crate::telemetry;
use crate::texts::Phrase;

/// How much room the spool may take and must leave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetentionOptions {
    /// Exams whose last instance is older go; `None` keeps them.
    pub keep: Option<Duration>,
    /// What the exams may take in all, bytes; `None` for no limit.
    pub quota_bytes: Option<u64>,
    /// What must stay free on the disk, bytes.
    pub min_free_bytes: u64,
}

/// The room that there is, as it was when the disk was looked at last: a second ago.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Room {
    /// What the exams take, bytes.
    pub used_bytes: u64,
    /// What the disk has left for this user, bytes.
    pub free_bytes: u64,
    /// Exams whose last instance is older go, days; `None` keeps them.
    pub keep_days: Option<f64>,
    /// What the exams may take in all, bytes; `None` for no limit.
    pub quota_bytes: Option<u64>,
    /// What must stay free on the disk, bytes.
    pub min_free_bytes: u64,
}

/// Whoever knows what was made of the images.
pub trait ImageUser: Send {
    /// Whether an exam has its final verdict on all of this, and nothing of it is to be delivered.
    fn may_go(&self, exam: &ExamKey, contents: Contents) -> bool;

    /// Exams of which more is kept than is of use without their images, each with the time when it was judged.
    fn judged(&self) -> BTreeMap<ExamKey, Timestamp>;

    /// These, as [`Self::judged`] gave them, have no image any more.
    fn images_are_gone(&self, exams: &BTreeMap<ExamKey, Timestamp>);
}

/// The disk is looked at this often: at 300 MB/s a floor of 1 GiB is not passed in between.
const LOOK: Duration = Duration::from_secs(1);
/// The exams are measured this often while there is room, and while there is not.
const MEASURE: Duration = Duration::from_mins(1);
const MEASURE_IN_NEED: Duration = Duration::from_secs(5);
/// How long the journal may take to be emptied before an exam is removed: what is in it would come back at the next start.
const FLUSH_PATIENCE: Duration = Duration::from_secs(30);

/// The running thread; it ends when this is dropped.
#[derive(Debug)]
pub struct Retention {
    options: Arc<Mutex<RetentionOptions>>,
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Retention {
    /// Starts looking after the spool's room.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(spool: Arc<Spool>, options: RetentionOptions, user: Box<dyn ImageUser>) -> io::Result<Self> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let options = Arc::new(Mutex::new(options));
        let keeper = Keeper { spool, options: options.clone(), user, failing: false };
        let thread = std::thread::Builder::new().name("retention".to_owned()).spawn({
            let stop = stop.clone();
            move || keeper.run(&stop)
        })?;
        Ok(Self { options, stop, thread: Some(thread) })
    }

    /// These hold from now on.
    pub fn set(&self, options: RetentionOptions) {
        *self.options.lock() = options;
    }
}

impl Drop for Retention {
    fn drop(&mut self) {
        *self.stop.0.lock() = true;
        self.stop.1.notify_all();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(
                "the thread that looks after the spool's room had stopped unexpectedly: no exam was removed since"
            );
        }
    }
}

/// An exam in the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    key: ExamKey,
    bytes: u64,
    contents: Contents,
    /// When its last file was written.
    last: SystemTime,
}

/// Why there is too little room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shortage {
    Quota,
    Free,
}

/// What the exams took when they were measured.
struct Measured {
    at: Instant,
    bytes: u64,
    stored_before: u64,
}

impl Measured {
    /// What they take now: what came since is added.
    fn now(&self, spool: &Spool) -> u64 {
        self.bytes + spool.stored_bytes.load(Ordering::Relaxed).saturating_sub(self.stored_before)
    }
}

struct Keeper {
    spool: Arc<Spool>,
    options: Arc<Mutex<RetentionOptions>>,
    user: Box<dyn ImageUser>,
    failing: bool,
}

impl Keeper {
    fn run(mut self, stop: &(Mutex<bool>, Condvar)) {
        let mut measured = None;
        loop {
            match self.look(&mut measured) {
                Ok(()) => self.failing = false,
                Err(error) if self.failing => tracing::debug!(%error, "the spool's room cannot be measured"),
                Err(error) => {
                    self.failing = true;
                    tracing::error!(%error, "the spool's room cannot be measured");
                }
            }
            let mut stopped = stop.0.lock();
            stop.1.wait_while_for(&mut stopped, |stopped| !*stopped, LOOK);
            if *stopped {
                return;
            }
        }
    }

    fn look(&self, measured: &mut Option<Measured>) -> io::Result<()> {
        let free = free_bytes(&self.spool.exams)?;
        let used = measured.as_ref().map_or(0, |measured| measured.now(&self.spool));
        let every = if self.shortage(used, free).is_some() { MEASURE_IN_NEED } else { MEASURE };
        if measured.as_ref().is_none_or(|measured| measured.at.elapsed() >= every) {
            let (at, stored_before) = (Instant::now(), self.spool.stored_bytes.load(Ordering::Relaxed));
            // Asked first: what is judged from now on has images that may not be among those that are measured.
            let mut without_images = self.user.judged();
            let mut exams = measure(&self.spool)?;
            self.make_room(&mut exams)?;
            for exam in &exams {
                without_images.remove(&exam.key);
            }
            if !without_images.is_empty() {
                self.user.images_are_gone(&without_images);
            }
            *measured = Some(Measured { at, bytes: exams.iter().map(|exam| exam.bytes).sum(), stored_before });
        }
        let used = measured.as_ref().map_or(0, |measured| measured.now(&self.spool));
        let free = free_bytes(&self.spool.exams)?;
        telemetry::room(used, free);
        let RetentionOptions { keep, quota_bytes, min_free_bytes } = *self.options.lock();
        let keep_days = keep.map(|keep| keep.as_secs_f64() / 86_400.0);
        let room = Room { used_bytes: used, free_bytes: free, keep_days, quota_bytes, min_free_bytes };
        *self.spool.room.lock() = Some(room);
        self.spool.set_shortage(self.shortage(used, free).map(|shortage| match shortage {
            Shortage::Quota => Phrase::new("daemon.quota_is_reached"),
            Shortage::Free => Phrase::new("daemon.disk_is_full").with("free", (free >> 20).to_string()),
        }));
        Ok(())
    }

    fn shortage(&self, used: u64, free: u64) -> Option<Shortage> {
        let options = *self.options.lock();
        if options.quota_bytes.is_some_and(|quota| used >= quota) {
            return Some(Shortage::Quota);
        }
        (free < options.min_free_bytes).then_some(Shortage::Free)
    }

    /// Removes exams that are too old, then the oldest ones while there is too little room.
    fn make_room(&self, exams: &mut Vec<Kept>) -> io::Result<()> {
        exams.sort_by_key(|exam| exam.last);
        let now = SystemTime::now();
        let mut flushed = false;
        let mut index = 0;
        while let Some(exam) = exams.get(index) {
            let is_old =
                self.options.lock().keep.is_some_and(|keep| now.duration_since(exam.last).is_ok_and(|age| age > keep));
            let used = exams.iter().map(|exam| exam.bytes).sum();
            let shortage = self.shortage(used, free_bytes(&self.spool.exams)?);
            let reason = match (is_old, shortage) {
                (true, _) => "age",
                (false, Some(Shortage::Quota)) => "quota",
                (false, Some(Shortage::Free)) => "free_space",
                (false, None) => return Ok(()),
            };
            if !self.user.may_go(&exam.key, exam.contents) {
                index += 1;
                continue;
            }
            flushed = flushed || self.spool.flush(FLUSH_PATIENCE);
            if !flushed {
                return Ok(());
            }
            self.spool.remove(&exam.key)?;
            tracing::info!(exam = %exam.key, bytes = exam.bytes, reason, "the exam's images were removed from the spool");
            telemetry::exam_removed(reason);
            exams.remove(index);
        }
        Ok(())
    }
}

fn free_bytes(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail * disk.f_frsize)
}

fn measure(spool: &Spool) -> io::Result<Vec<Kept>> {
    let mut exams = Vec::new();
    for folder in entries(&spool.exams)? {
        let Some(key) = folder.file_name().and_then(|name| ExamKey::parse(name.to_str()?)) else { continue };
        let contents = Contents { instances: 0, refused: spool.refusals(&key).count() };
        let mut exam = Kept { key, bytes: 0, contents, last: SystemTime::UNIX_EPOCH };
        for file in files_of(&folder)?.into_iter().chain([folder.join(refused::FILE_NAME)]) {
            // A file that is gone meanwhile takes no room.
            let Ok(about) = file.metadata() else { continue };
            exam.bytes += about.len();
            exam.contents.instances += usize::from(versions::version_of(&file).is_some());
            exam.last = exam.last.max(about.modified()?);
        }
        exams.push(exam);
    }
    Ok(exams)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::tests::{header, open, store};
    use crate::texts::tests::assert_known;

    const NONE: RetentionOptions = RetentionOptions { keep: None, quota_bytes: None, min_free_bytes: 0 };

    fn exams(spool: &Spool) -> Vec<Kept> {
        let mut exams = measure(spool).unwrap();
        exams.sort_by_key(|exam| exam.last);
        exams
    }

    /// Three exams of one instance each, the oldest first.
    fn spool_of_three(root: &Path) -> Arc<Spool> {
        let spool = Arc::new(open(root));
        for (number, study) in ["1.1", "1.2", "1.3"].iter().enumerate() {
            let header = crate::exam::InstanceHeader { study_instance_uid: (*study).into(), ..header() };
            store(&spool, &header, &[7; 10_000]);
            assert!(spool.flush(Duration::from_mins(1)));
            let file = spool.instances(&header.exam_key()).unwrap().remove(0);
            let at = SystemTime::now() - Duration::from_hours(3 - number as u64);
            std::fs::File::options().append(true).open(file).unwrap().set_modified(at).unwrap();
        }
        spool
    }

    /// Knows the exams that were there at first, and notes those whose images are gone.
    struct User {
        may_go: fn(&ExamKey, Contents) -> bool,
        judged: BTreeMap<ExamKey, Timestamp>,
        without_images: Arc<Mutex<Vec<ExamKey>>>,
    }

    impl ImageUser for User {
        fn may_go(&self, exam: &ExamKey, contents: Contents) -> bool {
            (self.may_go)(exam, contents)
        }

        fn judged(&self) -> BTreeMap<ExamKey, Timestamp> {
            self.judged.clone()
        }

        fn images_are_gone(&self, exams: &BTreeMap<ExamKey, Timestamp>) {
            self.without_images.lock().extend(exams.keys().cloned());
        }
    }

    /// What there is before and after, and why nothing is stored.
    fn left_after(
        options: RetentionOptions,
        may_go: fn(&ExamKey, Contents) -> bool,
    ) -> (Vec<Kept>, Vec<Kept>, Option<String>) {
        let root = tempfile::tempdir().unwrap();
        let spool = spool_of_three(root.path());
        let before = exams(&spool);
        let without_images = Arc::<Mutex<Vec<ExamKey>>>::default();
        let judged = before.iter().map(|exam| (exam.key.clone(), Timestamp::UNIX_EPOCH)).collect();
        let user = Box::new(User { may_go, judged, without_images: without_images.clone() });
        let keeper = Keeper { spool: spool.clone(), options: Arc::new(Mutex::new(options)), user, failing: false };
        keeper.look(&mut None).unwrap();
        let after = exams(&spool);
        let mut gone: Vec<ExamKey> = before.iter().map(|exam| exam.key.clone()).collect();
        gone.retain(|key| after.iter().all(|exam| exam.key != *key));
        gone.sort();
        assert_eq!(*without_images.lock(), gone);
        let problem = spool.problem();
        problem.iter().for_each(assert_known);
        (before, after, problem.map(|problem| problem.to_string()))
    }

    #[test]
    fn an_exam_goes_by_age_once_it_may_go() {
        let options = RetentionOptions { keep: Some(Duration::from_mins(90)), ..NONE };
        let (before, after, _) = left_after(options, |_, contents| contents == Contents { instances: 1, refused: 0 });
        assert_eq!(after, before[2..]);
        let (before, after, _) = left_after(options, |_, _| false);
        assert_eq!(after, before, "what is not analysed stays");
    }

    #[test]
    fn the_oldest_go_until_the_quota_is_kept_and_stores_are_refused_where_nothing_may_go() {
        let options = RetentionOptions { quota_bytes: Some(25_000), ..NONE };
        let (before, after, problem) = left_after(options, |_, _| true);
        assert_eq!((after.as_slice(), problem), (&before[1..], None));
        let (before, after, problem) = left_after(options, |_, _| false);
        assert_eq!(after, before);
        assert!(problem.unwrap().contains("quota_gib"));
    }

    #[test]
    fn below_the_floor_of_free_space_nothing_is_stored() {
        let options = RetentionOptions { min_free_bytes: u64::MAX, ..NONE };
        let (_, after, problem) = left_after(options, |_, _| true);
        assert_eq!(after, []);
        assert!(problem.unwrap().contains("min_free_gib"));
    }
}
