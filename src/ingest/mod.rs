//! Ingest: associations with scanners. What it acknowledges is in the spool; what is in the spool goes on to the exam.

mod access;
mod association;
mod callers;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod negotiation;
mod object;
mod procedure_step;
mod quick_ack;
mod refusals;
mod synthetic;
mod tls;
mod traffic;
mod transfers;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use access::{Scanner, parse_network};
pub use association::AssociationError;
pub use callers::{CallerSeen, Callers};
pub use file::{CheckedFile, RefusedFile, check_file};
pub use procedure_step::ended_steps;
pub use refusals::may_be_slice;
pub use synthetic::{ExpectedScan, SyntheticScan, SyntheticScans};
pub use tls::{Tls, TlsError, TlsOptions};
pub use traffic::Traffic;

use crate::audit::{Audit, Peer};
use crate::dicom::CommitmentReport;
use crate::exam::{AssociationId, ExamKey, PerformedStep, Refusal};
use crate::spool::Spool;
use crate::telemetry::{self, WorkProgress};
use access::{AssociationPermits, PendingConnections, RateLimiter};
use procedure_step::ProcedureSteps;
use quick_ack::QuickAck;

/// How ingest listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestOptions {
    pub ae_title: String,
    /// Whether a caller must name our AE title.
    pub require_called_ae_title: bool,
    /// Who may send; everybody if nobody is listed. It holds until `serve` is told otherwise.
    pub scanners: Vec<Scanner>,
    /// Who reports what it has kept of what we sent it.
    pub archives: Vec<Scanner>,
    pub max_associations: usize,
    /// Of one calling AE title from one address.
    pub max_associations_of_one: usize,
    pub max_pdu_bytes: u32,
    pub max_object_bytes: usize,
    /// How long a connection may take to ask for an association.
    pub request_timeout: Duration,
    /// How long a peer may be silent.
    pub idle_timeout: Duration,
    /// A message that has come more slowly than this on average, once the idle timeout has passed, ends its association.
    pub slowest_bytes_s: usize,
}

/// An instance that was acknowledged.
#[derive(Debug, Clone)]
pub struct StoredInstance {
    pub exam: ExamKey,
    pub path: PathBuf,
    /// How many images it holds, as far as it says.
    pub images: usize,
    pub association: AssociationId,
    pub at: Instant,
}

/// An object that was refused and belongs to an exam.
#[derive(Debug, Clone)]
pub struct RefusedInstance {
    pub exam: ExamKey,
    pub refusal: Refusal,
    pub association: AssociationId,
    pub at: Instant,
}

/// What comes after ingest. No call may block: ingest never waits for the analysis.
pub trait InstanceSink: Send + Sync {
    fn stored(&self, instance: StoredInstance);
    fn refused(&self, instance: RefusedInstance);
    /// An object that the exam misses since it was refused has been stored.
    fn mended(&self, exam: &ExamKey, sop_instance_uid: &str, at: Instant);
    fn association_closed(&self, association: AssociationId, at: Instant);
    fn procedure_step_ended(&self, step: PerformedStep);
}

/// Who hears what archives have kept. May block.
pub trait CommitmentSink: Send + Sync {
    /// # Errors
    /// If nothing was asked for under this transaction, or the report cannot be kept.
    fn committed(&self, report: &CommitmentReport) -> Result<(), String>;
}

/// Accepting is tried again after this when the system refuses, so that a lack of file handles does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(200);

/// Once accepting has failed and then nothing has come for so long, nobody waits to be accepted.
const NOBODY_WAITS: Duration = Duration::from_secs(5);

/// Connections that have not asked for an association yet: more than any hospital's scanners open at once.
const MOST_PENDING: usize = 256;

/// Connections of one address that may come to nothing at once, and in how many seconds it may have another one: a scanner
/// that is being set up needs a few, a flood hundreds a second.
const MOST_TOKENS: f64 = 20.0;
const SECONDS_A_TOKEN: f64 = 2.0;

/// Where scanners come in.
#[derive(Debug)]
pub struct Door {
    pub listener: TcpListener,
    /// `None` where connections are plain.
    pub tls: Option<Arc<Tls>>,
    /// Connections that wait and cannot be accepted.
    pub progress: WorkProgress,
}

/// Who sends.
#[derive(Debug, Clone)]
pub struct Senders {
    /// Those that may send at present; everybody if nobody is listed.
    pub scanners: watch::Receiver<Vec<Scanner>>,
    /// The synthetic patient, which may send whoever is listed.
    pub synthetic: SyntheticScans,
    /// What all others do.
    pub traffic: Traffic,
    /// Who has called since the start.
    pub callers: Callers,
}

impl Senders {
    /// Nobody has come yet.
    #[must_use]
    pub fn new(scanners: watch::Receiver<Vec<Scanner>>) -> Self {
        Self {
            scanners,
            synthetic: SyntheticScans::default(),
            traffic: Traffic::default(),
            callers: Callers::default(),
        }
    }
}

/// Who hears of what comes.
pub struct Hearers {
    pub spool: Arc<Spool>,
    pub sink: Arc<dyn InstanceSink>,
    pub commitments: Arc<dyn CommitmentSink>,
    pub audit: Arc<Audit>,
}

/// Accepts connections until `stop` says until when open associations may go on.
pub async fn serve(
    doors: Vec<Door>,
    options: IngestOptions,
    senders: Senders,
    hearers: Hearers,
    stop: watch::Receiver<Option<Instant>>,
) {
    let pending = PendingConnections::new(MOST_PENDING);
    let permits = AssociationPermits::new(options.max_associations, options.max_associations_of_one);
    let rate_limiter = RateLimiter::new(MOST_TOKENS, SECONDS_A_TOKEN.recip());
    let Hearers { spool, sink, commitments, audit } = hearers;
    let procedure_steps = ProcedureSteps::new(&spool);
    let shared = Arc::new(association::Shared {
        options,
        senders,
        permits,
        rate_limiter,
        spool,
        procedure_steps,
        sink,
        commitments,
        audit,
    });
    let mut open = JoinSet::new();
    for door in doors {
        open.spawn(serve_door(door, pending.clone(), shared.clone(), stop.clone()));
    }
    while open.join_next().await.is_some() {}
}

async fn serve_door(
    door: Door,
    pending: Arc<PendingConnections>,
    shared: Arc<association::Shared>,
    mut stop: watch::Receiver<Option<Instant>>,
) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut associations = JoinSet::new();
    let mut is_failing = false;
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(Option::is_some) => break,
            Some(_) = associations.join_next() => continue,
            accepted = door.listener.accept() => accepted,
            () = tokio::time::sleep(NOBODY_WAITS), if is_failing => {
                is_failing = false;
                door.progress.idle();
                continue;
            }
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                is_failing = true;
                door.progress.working();
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        is_failing = false;
        door.progress.idle();
        let address = peer.ip().to_canonical();
        if shared.rate_limiter.is_limited(address, Instant::now()) {
            telemetry::association_ended("held_back");
            // A reset costs both sides less than an orderly end, and is all that can be done: it does not matter if it fails.
            let _ = socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO));
            continue;
        }
        let senders = &shared.senders;
        if !access::may_connect(&senders.scanners.borrow(), &shared.options.archives, address)
            && !senders.synthetic.may_connect(address)
        {
            tracing::warn!(%peer, "connection refused: no scanner is listed with this address");
            telemetry::association_ended("address");
            let caller = Peer { ae_title: String::new(), address: address.to_string() };
            shared.audit.caller_refused(caller, "no scanner is listed with this address".to_owned());
            shared.rate_limiter.count(address);
            continue;
        }
        // A connection that is gone already is nobody's loss.
        let Ok(stream) = QuickAck::new(socket) else { continue };
        let id = AssociationId(NEXT.fetch_add(1, Ordering::Relaxed));
        let connection = Connection { peer, id, pending: pending.enter(id.0), shared: shared.clone() };
        associations.spawn(connection.serve(stream, door.tls.clone()));
    }
    drop(door);
    // A sender that is gone gives no time.
    let until = stop.borrow().unwrap_or_else(Instant::now);
    let drained = async { while associations.join_next().await.is_some() {} };
    if tokio::time::timeout_at(until.into(), drained).await.is_err() {
        tracing::warn!(
            associations = associations.len(),
            "associations are cut off by the stop: what was not acknowledged is sent again by its scanner"
        );
    }
}

struct Connection {
    peer: SocketAddr,
    id: AssociationId,
    pending: access::PendingConnection,
    shared: Arc<association::Shared>,
}

impl Connection {
    async fn serve(self, stream: QuickAck, tls: Option<Arc<Tls>>) {
        let (peer, id) = (self.peer, self.id);
        let (is_synthetic, ended) = match tls {
            None => association::serve(stream, peer, id, self.pending, self.shared).await,
            Some(tls) => (false, self.serve_encrypted(stream, &tls).await),
        };
        if is_synthetic {
            tracing::debug!(association = id.0, ?ended, "the synthetic patient's association has ended");
            return;
        }
        match ended {
            Ok(()) => {
                tracing::info!(association = id.0, "association released");
                telemetry::association_ended("released");
            }
            Err(error) => {
                tracing::warn!(association = id.0, %peer, %error, "association ended");
                telemetry::association_ended(error.label());
            }
        }
    }

    async fn serve_encrypted(mut self, stream: QuickAck, tls: &Tls) -> Result<(), AssociationError> {
        let handshake = tokio_rustls::TlsAcceptor::from(tls.config()).accept(stream);
        let stream = tokio::select! {
            stream = tokio::time::timeout(self.shared.options.request_timeout, handshake) => match stream {
                Ok(stream) => stream.map_err(|error| AssociationError::Tls(error.to_string())),
                Err(_) => Err(AssociationError::Tls("it took too long".to_owned())),
            },
            _ = &mut self.pending.pushed_out => Err(AssociationError::Crowded),
        };
        let stream = stream.inspect_err(|_| self.shared.rate_limiter.count(self.peer.ip().to_canonical()))?;
        association::serve(stream, self.peer, self.id, self.pending, self.shared).await.1
    }
}
