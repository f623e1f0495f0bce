//! The thread that writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::{Condvar, Mutex, MutexGuard};
use rusqlite::{Connection, TransactionBehavior};

use super::delivery::Addressee;
use super::record::Record;
use super::{DatabaseError, delivery_rows, rows};
use crate::exam::ExamKey;
use crate::telemetry::WorkProgress;

/// After a transaction that failed the next one is tried.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

type Records = BTreeMap<ExamKey, Arc<Record>>;

/// What waits for the disk.
#[derive(Debug, Default)]
struct Queue {
    unwritten: Records,
    /// The transaction that is under way.
    writing: Records,
    /// Exams whose last transaction failed; they wait to be written again.
    failed: BTreeSet<ExamKey>,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    progress: WorkProgress,
    /// Who gets something of each exam.
    addressees: Mutex<Vec<Addressee>>,
    /// Tells those who deliver that something was written.
    wake: OnceLock<Wake>,
}

/// Called after each transaction.
pub(super) struct Wake(pub Box<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Wake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wake")
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }
}

/// The thread and its queue. What waits is written before the thread ends.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    /// `None` once it has been closed.
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// # Errors
    /// If the system gives no thread.
    pub(super) fn start(mut connection: Connection) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("database".to_owned())
            .spawn(move || while write_next(&of_thread, &mut connection) {})?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn deliver_to(&self, addressees: Vec<Addressee>, wake: Wake) {
        *self.shared.addressees.lock() = addressees;
        // A database is delivered from once in its life.
        let _ = self.shared.wake.set(wake);
    }

    pub(super) fn save(&self, record: Record) {
        let mut queue = self.shared.queue();
        queue.unwritten.insert(record.exam.key.clone(), Arc::new(record));
        self.shared.changed.notify_all();
    }

    pub(super) fn save_now(&self, record: Record) -> bool {
        let key = record.exam.key.clone();
        self.save(record);
        let mut queue = self.shared.queue();
        queue.failed.remove(&key);
        while queue.unwritten.contains_key(&key) || queue.writing.contains_key(&key) {
            // It is tried again; who waits is told now.
            if queue.failed.contains(&key) {
                return false;
            }
            self.shared.changed.wait(&mut queue);
        }
        !queue.failed.contains(&key)
    }

    /// The newest of an exam that is not on the disk yet.
    pub(super) fn unwritten(&self, key: &ExamKey) -> Option<Arc<Record>> {
        let queue = self.shared.queue();
        queue.unwritten.get(key).or_else(|| queue.writing.get(key)).cloned()
    }

    /// The exams that are not on the disk yet.
    pub(super) fn keys(&self) -> BTreeSet<ExamKey> {
        let queue = self.shared.queue();
        queue.unwritten.keys().chain(queue.writing.keys()).cloned().collect()
    }

    /// Whether something could not be written and waits to be written again.
    pub(super) fn is_failing(&self) -> bool {
        !self.shared.queue().failed.is_empty()
    }

    /// See [`WorkProgress::stalled`].
    pub(super) fn stalled(&self, limit: Duration) -> Option<Duration> {
        self.shared.progress.stalled(limit)
    }

    /// Writes what waits, until `until` at the longest; then the thread is left to itself. The exams that were not written.
    pub(super) fn close(&self, until: Instant) -> BTreeSet<ExamKey> {
        let thread = self.thread.lock().take();
        let mut queue = self.shared.queue();
        queue.is_closed = true;
        self.shared.changed.notify_all();
        loop {
            let left: BTreeSet<ExamKey> = queue.unwritten.keys().chain(queue.writing.keys()).cloned().collect();
            let patience = until.saturating_duration_since(Instant::now());
            if left.is_empty() {
                drop(queue);
                join(thread);
                return left;
            }
            if patience.is_zero() || thread.as_ref().is_none_or(JoinHandle::is_finished) {
                return left;
            }
            self.shared.changed.wait_for(&mut queue, patience);
        }
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if thread.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("the database's thread had stopped unexpectedly: verdicts and flags since then are not kept");
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.queue().is_closed = true;
        self.shared.changed.notify_all();
        join(self.thread.get_mut().take());
    }
}

/// Writes all that waits. `false` once nothing waits and nothing will come.
fn write_next(shared: &Shared, connection: &mut Connection) -> bool {
    let mut queue = shared.queue();
    while queue.unwritten.is_empty() {
        shared.progress.idle();
        if queue.is_closed {
            return false;
        }
        shared.changed.wait(&mut queue);
    }
    queue.writing = std::mem::take(&mut queue.unwritten);
    let records = queue.writing.clone();
    drop(queue);
    shared.progress.working();
    let addressees = shared.addressees.lock().clone();
    let failed = write_all(connection, &records, &addressees);
    let mut queue = shared.queue();
    queue.writing.clear();
    for (key, record) in &records {
        let Some(error) = failed.get(key) else {
            queue.failed.remove(key);
            continue;
        };
        if queue.failed.insert(key.clone()) {
            tracing::error!(exam = %key, %error, "the exam's verdict and flags cannot be written to the database: they are shown, and written once that is possible");
        }
        if !queue.is_closed {
            queue.unwritten.entry(key.clone()).or_insert_with(|| record.clone());
        }
    }
    if failed.is_empty() {
        shared.progress.done();
    } else {
        shared.changed.notify_all();
        shared.changed.wait_for(&mut queue, AFTER_FAILURE);
    }
    shared.changed.notify_all();
    drop(queue);
    if let Some(Wake(wake)) = shared.wake.get() {
        wake();
    }
    true
}

/// Writes all in one transaction; where that fails, each in its own. What could not be written, and why.
fn write_all(
    connection: &mut Connection,
    records: &Records,
    addressees: &[Addressee],
) -> BTreeMap<ExamKey, DatabaseError> {
    let Err(error) = write(connection, records.values(), addressees) else { return BTreeMap::new() };
    if let [key] = records.keys().collect::<Vec<_>>()[..] {
        return BTreeMap::from([(key.clone(), error)]);
    }
    let mut alone = |record| write(connection, std::iter::once(record), addressees).err();
    let outcomes: Vec<Option<DatabaseError>> = records.values().map(&mut alone).collect();
    records.keys().cloned().zip(outcomes).filter_map(|(key, error)| Some((key, error?))).collect()
}

fn write<'a>(
    connection: &mut Connection,
    records: impl Iterator<Item = &'a Arc<Record>>,
    addressees: &[Addressee],
) -> Result<(), DatabaseError> {
    // At once a writer: what begins by reading is refused when the outbox has written in the meantime.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for record in records {
        rows::write(&transaction, record)?;
        delivery_rows::enter(&transaction, record, addressees, Timestamp::now())?;
    }
    Ok(transaction.commit()?)
}
