//! What must reach others. Deliveries stand in the database, entered in the transaction of the verdict that they belong to, so that
//! none is forgotten; here they are made (one thread) and sent (one thread for each destination, so that a slow one delays nobody
//! else). The objects of a verdict are made once, and lie in files until they are delivered: the stored bytes are what is sent, ever.
//!
//! A fault of a destination (nobody answers, it is full, it aborts) pauses that destination and costs the object nothing. A fault of an object
//! (it is refused as such) is for somebody to decide on, and its siblings go on.

mod audited;
mod destination;
mod making;
mod objects;
mod sending;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::{Timestamp, ToSpan as _};
use parking_lot::{Condvar, Mutex};
use schemars::JsonSchema;
use serde::Serialize;

pub use crate::backoff::RetryLimits;
pub use crate::client_tls::ClientTls;
pub use destination::{
    CStoreOptions, Destination, FhirOptions, Hl7Options, HttpOptions, NoticeOptions, Route, WebhookOptions,
};
pub use objects::{ObjectsError, objects};

use crate::audit::Audit;
use crate::database::{Addressee, Database, DatabaseError, Deliveries, Delivery, DeliveryFilter, DeliveryState};
use crate::dicom::CommitmentReport;
use crate::exam::ExamKey;
use crate::ingest::CommitmentSink;
use crate::preprocess::InputGeometry;
use crate::report::ReportOptions;
use crate::spool::Spool;
use crate::telemetry;
use crate::texts::Phrase;
use audited::Audited;
use making::Maker;
use sending::{Node, NodeState, Sender, Trouble};

/// Verdicts of so long ago are delivered to a destination that has nothing of them: one that is configured today gets today's.
const CATCHES_UP_HOURS: i64 = 24;

/// The database is asked this often for what others have entered. It costs some microseconds.
const POLL: Duration = Duration::from_millis(100);

/// What the outbox works with.
pub struct OutboxOptions {
    pub destinations: Vec<Destination>,
    pub database: Arc<Database>,
    pub database_path: PathBuf,
    /// Where the objects lie until they are delivered.
    pub folder: PathBuf,
    pub spool: Arc<Spool>,
    pub plane: InputGeometry,
    pub report: ReportOptions,
    pub audit: Arc<Audit>,
}

/// Why the outbox does not start.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("cannot make the outbox's folder {path}: {source}")]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("destination {name}: {source}")]
    Destination { name: String, source: std::io::Error },
    #[error("cannot start threads: {0}")]
    Threads(std::io::Error),
}

/// What all its threads share.
#[derive(Debug)]
struct Shared {
    deliveries: Deliveries,
    stopping: Mutex<bool>,
    changed: Condvar,
    /// What keeps objects from being made or is nobody's to send, in words.
    trouble: Mutex<Vec<Phrase>>,
}

impl Shared {
    /// Waits, until the time is over, something is there to do, or the outbox stops. `false` in the last case.
    fn wait(&self, patience: Duration) -> bool {
        let mut stopping = self.stopping.lock();
        if !*stopping {
            self.changed.wait_for(&mut stopping, patience);
        }
        !*stopping
    }

    /// Waits for so long, whatever there is to do, unless the outbox stops. `false` in that case.
    fn pause(&self, patience: Duration) -> bool {
        let mut stopping = self.stopping.lock();
        self.changed.wait_while_for(&mut stopping, |stopping| !*stopping, patience);
        !*stopping
    }
}

/// The running outbox.
#[derive(Debug)]
pub struct Outbox {
    shared: Arc<Shared>,
    nodes: Vec<Arc<Node>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Outbox {
    /// Starts to make and to send. What an earlier run left goes on.
    ///
    /// # Errors
    /// If the database or the folder cannot be used, or the system gives no thread.
    pub fn start(options: OutboxOptions) -> Result<Self, OutboxError> {
        let OutboxOptions { destinations, database, database_path, folder, spool, plane, report, audit } = options;
        let addressees: Vec<Addressee> = destinations
            .iter()
            .map(|destination| Addressee { name: destination.name.clone(), gets: destination.gets() })
            .collect();
        let deliveries = Deliveries::open(&database_path)?;
        let caught = deliveries.start(&database, &addressees, Timestamp::now() - CATCHES_UP_HOURS.hours())?;
        if caught > 0 {
            tracing::info!(verdicts = caught, "verdicts of the last day are delivered to destinations that are new");
        }
        std::fs::create_dir_all(&folder).map_err(|source| OutboxError::Folder { path: folder.clone(), source })?;
        let shared = Arc::new(Shared {
            deliveries,
            stopping: Mutex::new(false),
            changed: Condvar::new(),
            trouble: Mutex::default(),
        });
        database.deliver_to(addressees, {
            let shared = shared.clone();
            move || {
                shared.changed.notify_all();
            }
        });
        let nodes: Vec<Arc<Node>> = destinations.iter().map(|of| Arc::new(Node::new(&of.name))).collect();
        let outbox = Self { shared: shared.clone(), nodes, threads: Mutex::default() };

        let names = outbox.nodes.iter().map(|node| node.name.clone()).collect();
        let maker =
            Maker { shared: shared.clone(), database: database.clone(), folder, spool, plane, options: report, names };
        outbox.spawn("objects".to_owned(), move || maker.run())?;
        for (destination, node) in destinations.into_iter().zip(&outbox.nodes) {
            telemetry::deliveries_start(&destination.name);
            let audited = Audited {
                audit: audit.clone(),
                database: database.clone(),
                destination: node.name.clone(),
                address: destination.route.address(),
            };
            let sender = Sender::new(shared.clone(), node.clone(), destination, audited)
                .map_err(|source| OutboxError::Destination { name: node.name.clone(), source })?;
            outbox.spawn(format!("to {}", node.name), move || sender.run())?;
        }
        Ok(outbox)
    }

    fn spawn(&self, name: String, work: impl FnOnce() + Send + 'static) -> Result<(), OutboxError> {
        let thread = std::thread::Builder::new().name(name).spawn(work).map_err(OutboxError::Threads)?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// Whether all its threads live.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        *self.shared.stopping.lock() || self.threads.lock().iter().all(|thread| !thread.is_finished())
    }

    /// Whether an exam's images are needed for what is to be delivered. What cannot be asked is.
    #[must_use]
    pub fn needs_images(&self, exam: &ExamKey) -> bool {
        self.shared.deliveries.needs_images(exam).unwrap_or_else(|error| {
            tracing::error!(%exam, %error, "whether the exam is delivered cannot be asked: its images stay");
            true
        })
    }

    /// What whoever looks should know: destinations that get nothing, and what somebody has to decide on.
    #[must_use]
    pub fn notices(&self) -> Vec<Phrase> {
        let making = self.shared.trouble.lock().clone();
        making.into_iter().chain(self.nodes.iter().flat_map(|node| notices_of(node))).collect()
    }

    /// What is not settled, destination by destination.
    #[must_use]
    pub fn destinations(&self) -> Vec<DestinationState> {
        self.nodes.iter().map(|node| state_of(node)).collect()
    }

    /// What is not delivered, the oldest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn undelivered(&self) -> Result<Vec<Delivery>, DatabaseError> {
        self.shared.deliveries.list(&DeliveryFilter { states: DeliveryState::UNSETTLED.to_vec(), ..Default::default() })
    }

    /// All that was or is to be delivered of an exam, the oldest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn of_exam(&self, exam: &ExamKey) -> Result<Vec<Delivery>, DatabaseError> {
        self.shared.deliveries.list(&DeliveryFilter { exam: Some(exam.clone()), ..Default::default() })
    }

    /// See [`Deliveries::send_again`].
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn send_again(&self, chosen: DeliveryFilter) -> Result<usize, DatabaseError> {
        let count = self.shared.deliveries.send_again(chosen)?;
        tracing::info!(count, "somebody has undelivered objects sent again");
        self.shared.changed.notify_all();
        Ok(count)
    }

    /// See [`Deliveries::give_up`].
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn give_up(&self, chosen: DeliveryFilter) -> Result<usize, DatabaseError> {
        let count = self.shared.deliveries.give_up(chosen)?;
        tracing::warn!(count, "somebody gave undelivered objects up");
        Ok(count)
    }

    /// Ends the threads, and waits for them as long as a destination takes to answer: who cannot wait leaves them. What is on its way
    /// then may have arrived, and is sent again.
    pub fn stop(&self) {
        *self.shared.stopping.lock() = true;
        self.shared.changed.notify_all();
        // Who asks whether they live meanwhile is not kept waiting.
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the outbox had stopped unexpectedly");
            }
        }
    }
}

/// What is not settled with a destination.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DestinationState {
    pub name: String,
    /// Objects and notifications that wait to be sent.
    pub to_send: usize,
    /// Stored there, and not known to be kept for good.
    pub unconfirmed: usize,
    /// Somebody has to decide on these.
    pub dead: usize,
    /// Why nothing reaches it, or not everything.
    pub trouble: Option<String>,
}

fn state_of(node: &Node) -> DestinationState {
    let NodeState { counts, trouble, .. } = node.state();
    DestinationState {
        name: node.name.clone(),
        to_send: counts.open(),
        unconfirmed: counts.of(DeliveryState::Stored) + counts.of(DeliveryState::CommitmentAsked),
        dead: counts.of(DeliveryState::Dead),
        trouble: trouble.map(|trouble| trouble.reason),
    }
}

impl CommitmentSink for Outbox {
    fn committed(&self, report: &CommitmentReport) -> Result<(), String> {
        note_commitment(&self.shared, report)
    }
}

fn note_commitment(shared: &Shared, report: &CommitmentReport) -> Result<(), String> {
    let asked = shared.deliveries.committed(report).map_err(|error| error.to_string())?;
    shared.changed.notify_all();
    if asked == 0 { Err(format!("nothing was asked for as transaction {}", report.transaction_uid)) } else { Ok(()) }
}

fn notices_of(node: &Node) -> Vec<Phrase> {
    let NodeState { counts, trouble, commitment_trouble } = node.state();
    let since = |trouble: &Trouble| trouble.since.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let told = |text| Phrase::new(text).with("destination", node.name.clone());
    let of = |text, trouble: &Trouble| {
        told(text).with("since", since(trouble)).with("reason", Phrase::english(trouble.reason.clone()))
    };
    let sending = trouble.map(|trouble| {
        let text = if trouble.is_at_an_object { "daemon.not_all_is_sent" } else { "daemon.nothing_is_sent" };
        of(text, &trouble).with("count", counts.open())
    });
    let keeping = commitment_trouble.map(|trouble| of("daemon.keeping_is_unknown", &trouble));
    let dead = counts.of(DeliveryState::Dead);
    let dead = (dead > 0).then(|| told("daemon.undeliverable").with("count", dead));
    [sending, keeping, dead].into_iter().flatten().collect()
}
