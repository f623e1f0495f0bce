//! One association from its request to its end.
//!
//! It must acknowledge nothing that is not on the disk, pass over nothing in silence, and give no peer more than its
//! share of memory or time. So a C-STORE is answered only once the spool has stored the object; a refused or cut-off
//! object is noted in an exam before the answer goes out; each length is checked against a limit before its bytes are
//! taken, and each read has a deadline, which a message that trickles in misses too. Parsing and syncing run on tokio's
//! blocking threads: on its others a slow disk would hold up every association. The end of an association is passed on
//! only once its last instance was: an exam that hears of the end first could be concluded without its last slice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dicom_ul::Pdu;
use dicom_ul::pdu::{
    AbortRQServiceProviderReason, AbortRQSource, AssociationRJ, AssociationRJResult, AssociationRJServiceUserReason,
};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

use super::access::{AssociationPermit, AssociationPermits, PendingConnection, RateLimiter, is_listed, may_send};
use super::negotiation::{Caller, NegotiatedAssociation, limit_exceeded, negotiate, refused};
use super::object::{Checked, Requested, canonical, check, parse_whole};
use super::procedure_step::{ProcedureStepState, ProcedureSteps};
use super::refusals::{AssociationRefusals, RefusedObject};
use super::synthetic::SyntheticScan;
use super::traffic::OpenAssociation;
use super::transfers::Transfers;
use super::{CommitmentSink, IngestOptions, InstanceSink, Senders, StoredInstance};
use crate::audit::{Audit, Peer};
use crate::dicom::CommitmentReport;
use crate::dicom::dimse::{CommandError, Operation, Request, Status};
use crate::dicom::pdu::{EncodeError, FragmentHead, Next, PduError, PduStream, command_pdus, encode};
use crate::exam::{AssociationId, Content, ExamKey};
use crate::spool::{Incoming, Spool, Stored};
use crate::telemetry;

/// A command set of a real peer has a few hundred bytes.
const MAX_COMMAND_BYTES: usize = 64 * 1024;

/// A buffer that one large object has made larger than this is not kept for the next ones.
const KEPT_BUFFER_BYTES: usize = 4 << 20;

/// How long a peer may take for our last word.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why an association ended other than by release, or was not made.
#[derive(Debug, thiserror::Error)]
pub enum AssociationError {
    #[error(transparent)]
    Pdu(#[from] PduError),
    #[error("no encrypted connection was agreed on: {0}")]
    Tls(String),
    #[error("too many connections wait for an association: the oldest was closed")]
    Crowded,
    #[error("refused: {0}")]
    Refused(String),
    #[error("the peer aborted the association")]
    Aborted,
    #[error("the peer sent data on presentation context {0}, which was not accepted")]
    PresentationContext(u8),
    #[error("a message that began on presentation context {0} goes on on {1}")]
    MixedContexts(u8, u8),
    #[error("the peer sent a data set without a request")]
    NoRequest,
    #[error("the peer sent a request before the data set of the last one")]
    NoDataSet,
    #[error("an object is larger than the limit of {0} bytes (dicom.max_object_mib)")]
    TooLarge(usize),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("storing stopped unexpectedly")]
    Storing,
}

impl AssociationError {
    /// The reason in metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Pdu(PduError::Closed | PduError::Connection(_)) => "connection_lost",
            Self::Pdu(PduError::TooSlow) => "too_slow",
            Self::Pdu(_) | Self::Encode(_) => "bad_pdu",
            Self::Tls(_) => "tls",
            Self::Crowded => "crowded",
            Self::Refused(_) => "refused",
            Self::Aborted => "aborted",
            Self::PresentationContext(_)
            | Self::MixedContexts(..)
            | Self::NoRequest
            | Self::NoDataSet
            | Self::Command(_) => "bad_message",
            Self::TooLarge(_) => "too_large",
            Self::Storing => "storing",
        }
    }

    /// What to tell the peer with an A-ABORT (PS3.8 table 9-26); nothing where it is gone or has had its answer.
    fn abort_reason(&self) -> Option<AbortRQServiceProviderReason> {
        match self {
            Self::Pdu(PduError::Closed | PduError::Connection(_))
            | Self::Refused(_)
            | Self::Crowded
            | Self::Aborted => None,
            Self::Pdu(PduError::Unexpected(_)) => Some(AbortRQServiceProviderReason::UnexpectedPdu),
            Self::Pdu(PduError::TooLong { .. } | PduError::Fragment { .. } | PduError::Request(_)) => {
                Some(AbortRQServiceProviderReason::InvalidPduParameter)
            }
            _ => Some(AbortRQServiceProviderReason::ReasonNotSpecified),
        }
    }
}

/// What an association shares with all others.
pub(super) struct Shared {
    pub options: IngestOptions,
    pub senders: Senders,
    pub permits: Arc<AssociationPermits>,
    pub rate_limiter: RateLimiter,
    pub spool: Arc<Spool>,
    pub procedure_steps: ProcedureSteps,
    pub sink: Arc<dyn InstanceSink>,
    pub commitments: Arc<dyn CommitmentSink>,
    pub audit: Arc<Audit>,
}

/// Who has opened an association, for as long as it is open.
enum Requestor {
    Peer {
        _permit: AssociationPermit,
        _open: OpenAssociation,
    },
    /// It takes no place from anybody, and nobody counts it.
    Synthetic(Arc<SyntheticScan>),
}

/// Serves one connection until its association is released, aborted or lost. Says whether that was the synthetic patient's, and
/// why it did not end by release.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    peer: SocketAddr,
    id: AssociationId,
    pending: PendingConnection,
    shared: Arc<Shared>,
) -> (bool, Result<(), AssociationError>) {
    let mut stream = PduStream::new(stream, shared.options.max_pdu_bytes);
    let mut is_synthetic = false;
    let ended = match establish(&mut stream, peer, pending, &shared).await {
        Ok((negotiated, requestor)) => {
            tracing::info!(association = id.0, calling_ae_title = negotiated.calling_ae_title, "association opened");
            is_synthetic = matches!(requestor, Requestor::Synthetic(_));
            let from = peer_of(&negotiated.calling_ae_title, peer);
            converse(&mut stream, negotiated, from, requestor, id, shared).await
        }
        Err(error) => {
            // A refused scanner is to read why, however often it asks.
            if !matches!(error, AssociationError::Refused(_)) {
                shared.rate_limiter.count(peer.ip().to_canonical());
            }
            Err(error)
        }
    };
    if let Err(error) = &ended
        && let Some(reason) = error.abort_reason()
        && let Ok(bytes) = encode(&Pdu::AbortRQ { source: AbortRQSource::ServiceProvider(reason) })
    {
        // The peer may be gone already; there is nobody to tell then.
        let _ = stream.send(&bytes, Instant::now() + FAREWELL).await;
    }
    (is_synthetic, ended)
}

async fn establish<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut PduStream<S>,
    peer: SocketAddr,
    mut pending: PendingConnection,
    shared: &Shared,
) -> Result<(NegotiatedAssociation, Requestor), AssociationError> {
    let options = &shared.options;
    let deadline = Instant::now() + options.request_timeout;
    let request = tokio::select! {
        request = stream.association_request(deadline) => request?,
        _ = &mut pending.pushed_out => return Err(AssociationError::Crowded),
    };
    drop(pending);
    let address = peer.ip().to_canonical();
    let our_ae_title = options.require_called_ae_title.then_some(options.ae_title.as_str());
    let ae_title = request.calling_ae_title.trim().to_owned();
    let synthetic = shared.senders.synthetic.recognise(&request, address);
    let caller = if synthetic.is_some() || may_send(&shared.senders.scanners.borrow(), &ae_title, address) {
        Some(Caller::Scanner)
    } else {
        is_listed(&options.archives, &ae_title, address).then_some(Caller::Archive)
    };
    if caller == Some(Caller::Scanner) && synthetic.is_none() {
        telemetry::scanner_called(&ae_title);
    }
    let known = caller.ok_or_else(|| refused(AssociationRJServiceUserReason::CallingAETitleNotRecognized));
    let agreed = known.and_then(|caller| {
        let negotiated = negotiate(request, our_ae_title, options.max_pdu_bytes, caller)?;
        let requestor = match synthetic {
            Some(scan) => Requestor::Synthetic(scan),
            None => Requestor::Peer {
                _permit: shared.permits.take(&negotiated.calling_ae_title, address).ok_or_else(limit_exceeded)?,
                _open: shared.senders.traffic.opened(),
            },
        };
        Ok((negotiated, requestor))
    });
    let deadline = Instant::now() + options.idle_timeout;
    if !matches!(agreed, Ok((_, Requestor::Synthetic(_)))) {
        shared.senders.callers.called(&ae_title, &address.to_string(), agreed.is_ok());
    }
    match agreed {
        Ok((negotiated, requestor)) => {
            let answer = encode(&Pdu::AssociationAC(negotiated.answer.clone()))?;
            stream.send(&answer, deadline).await?;
            Ok((negotiated, requestor))
        }
        Err(rejection) => {
            let reason = describe(&rejection);
            shared.audit.caller_refused(peer_of(&ae_title, peer), reason.clone());
            let answer = encode(&Pdu::AssociationRJ(rejection))?;
            stream.send(&answer, deadline).await?;
            Err(AssociationError::Refused(reason))
        }
    }
}

/// A caller, as the audit trail names it.
fn peer_of(ae_title: &str, peer: SocketAddr) -> Peer {
    Peer { ae_title: ae_title.trim().to_owned(), address: peer.ip().to_canonical().to_string() }
}

fn describe(rejection: &AssociationRJ) -> String {
    let lasting = if rejection.result == AssociationRJResult::Permanent { "for good" } else { "for now" };
    format!("{}, {lasting}", rejection.source)
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut PduStream<S>,
    negotiated: NegotiatedAssociation,
    from: Peer,
    requestor: Requestor,
    id: AssociationId,
    shared: Arc<Shared>,
) -> Result<(), AssociationError> {
    let sink = shared.sink.clone();
    let ae_title = negotiated.calling_ae_title.clone();
    let synthetic = match &requestor {
        Requestor::Synthetic(scan) => Some(scan.clone()),
        Requestor::Peer { .. } => None,
    };
    let transfers =
        synthetic.is_none().then(|| Transfers::new(shared.audit.clone(), shared.senders.callers.clone(), from));
    let refusals = AssociationRefusals::new(id, ae_title, shared.spool.clone(), sink.clone(), transfers);
    let mut conversation = Conversation {
        stream,
        negotiated,
        synthetic,
        id,
        shared,
        request: None,
        command: Vec::new(),
        data_set: Vec::new(),
        message: None,
        last_placed: None,
        refusals: Arc::new(Mutex::new(refusals)),
    };
    let ended = conversation.run().await;
    drop(requestor);
    conversation.end(ended.as_ref().err()).await;
    // What comes after ingest hears of the end once it has heard of every instance.
    if let Some(placed) = conversation.last_placed.take() {
        // The sender goes with the spool, when the daemon stops.
        let _ = placed.await;
    }
    sink.association_closed(id, Instant::now());
    ended
}

struct Conversation<'s, S> {
    stream: &'s mut PduStream<S>,
    negotiated: NegotiatedAssociation,
    /// Whom it carries, if that is the synthetic patient.
    synthetic: Option<Arc<SyntheticScan>>,
    id: AssociationId,
    shared: Arc<Shared>,
    /// The request whose data set is coming in.
    request: Option<Request>,
    command: Vec<u8>,
    data_set: Vec<u8>,
    /// When the message that is coming in began, and on which presentation context.
    message: Option<(Instant, u8)>,
    /// Ends when the last new instance can be read in the spool; those before it are there then too.
    last_placed: Option<oneshot::Receiver<()>>,
    refusals: Arc<Mutex<AssociationRefusals>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<'_, S> {
    async fn run(&mut self) -> Result<(), AssociationError> {
        loop {
            match self.stream.next(self.deadline()).await? {
                Next::Fragment(head) => self.take(head).await?,
                Next::ReleaseRequest => {
                    let answer = encode(&Pdu::ReleaseRP)?;
                    return Ok(self.stream.send(&answer, self.deadline()).await?);
                }
                Next::Abort => return Err(AssociationError::Aborted),
            }
        }
    }

    /// When the next bytes must be there: soon, and before a message has taken longer than the slowest network explains.
    fn deadline(&self) -> Instant {
        let options = &self.shared.options;
        let silence = Instant::now() + options.idle_timeout;
        let Some((began, _)) = self.message else { return silence };
        let received = (self.command.len() + self.data_set.len()) as f64;
        let slowest = Duration::from_secs_f64(received / options.slowest_bytes_s as f64);
        silence.min(began + options.idle_timeout + slowest)
    }

    /// Puts fragments together (PS3.8 annex E) and acts on a message once it is whole.
    async fn take(&mut self, head: FragmentHead) -> Result<(), AssociationError> {
        let (_, context) = *self.message.get_or_insert_with(|| (Instant::now(), head.context));
        if context != head.context {
            return Err(AssociationError::MixedContexts(context, head.context));
        }
        let deadline = self.deadline();
        let (message, limit) = if head.is_command {
            if self.request.is_some() {
                return Err(AssociationError::NoDataSet);
            }
            (&mut self.command, MAX_COMMAND_BYTES)
        } else {
            if self.request.is_none() {
                return Err(AssociationError::NoRequest);
            }
            (&mut self.data_set, self.shared.options.max_object_bytes)
        };
        if message.len() + head.length as usize > limit {
            return Err(AssociationError::TooLarge(limit));
        }
        self.stream.take_fragment(head, message, deadline).await?;
        if !head.is_last {
            return Ok(());
        }
        if head.is_command {
            let request = Request::read(&self.command)?;
            self.command.clear();
            if request.has_data_set {
                self.request = Some(request);
                return Ok(());
            }
            self.answer(request, head.context).await
        } else {
            let request = self.request.take().ok_or(AssociationError::NoRequest)?;
            self.answer(request, head.context).await
        }
    }

    async fn answer(&mut self, mut request: Request, context: u8) -> Result<(), AssociationError> {
        let started = Instant::now();
        let operation = request.operation();
        let accepted = self.negotiated.contexts.get(&context).ok_or(AssociationError::PresentationContext(context))?;
        let transfer_syntax_uid = accepted.transfer_syntax_uid;
        if request.sop_class_uid.is_empty() {
            request.sop_class_uid.clone_from(&accepted.abstract_syntax_uid);
        }
        let is_agreed = canonical(&request.sop_class_uid) == canonical(&accepted.abstract_syntax_uid);
        let (request, status) = if is_agreed || !operation.is_answered() {
            self.perform(request, transfer_syntax_uid).await?
        } else {
            if operation == Operation::Store {
                let reason = "it is of another kind than its sender had announced";
                self.refuse(&request, transfer_syntax_uid, reason.to_owned()).await;
            }
            (request, Status::SOP_CLASS_NOT_SUPPORTED)
        };
        self.message = None;
        self.data_set.clear();
        if !operation.is_answered() {
            return Ok(());
        }
        let response = command_pdus(context, &request.response(status)?, self.negotiated.peer_max_pdu_bytes);
        self.stream.send(&response, self.deadline()).await?;
        if operation == Operation::Store && self.synthetic.is_none() {
            telemetry::stage("store", started.elapsed());
            telemetry::c_store_response(status.0);
        }
        Ok(())
    }

    /// Does what is asked. The request comes back with the SOP Instance UID that the response names.
    async fn perform(
        &mut self,
        request: Request,
        transfer_syntax_uid: &'static str,
    ) -> Result<(Request, Status), AssociationError> {
        match request.operation() {
            Operation::Echo | Operation::Cancel | Operation::Response => Ok((request, Status::SUCCESS)),
            Operation::Other(field) => {
                tracing::warn!(
                    association = self.id.0,
                    "a request was refused: operation {field:04X}H is not provided here"
                );
                Ok((request, Status::UNRECOGNIZED_OPERATION))
            }
            Operation::Store => {
                let (shared, association, refusals) = (self.shared.clone(), self.id, self.refusals.clone());
                let calling_ae_title = self.negotiated.calling_ae_title.clone();
                let synthetic = self.synthetic.clone();
                let (request, (status, placed)) = self
                    .with_data_set(request, move |request, data_set| {
                        let (calling_ae_title, synthetic) = (calling_ae_title.as_str(), synthetic.as_deref());
                        let origin = Origin { association, calling_ae_title, transfer_syntax_uid, synthetic };
                        let mut refusals = refusals.lock();
                        shared.store(request, &origin, data_set, &mut refusals)
                    })
                    .await?;
                self.last_placed = placed.or(self.last_placed.take());
                Ok((request, status))
            }
            Operation::EventReport => {
                let (shared, association) = (self.shared.clone(), self.id.0);
                self.with_data_set(request, move |_, data_set| {
                    let read = parse_whole(data_set, transfer_syntax_uid).map_err(|error| error.to_string());
                    let report =
                        read.and_then(|read| CommitmentReport::read(&read).ok_or("it names no transaction".to_owned()));
                    match report.and_then(|report| shared.commitments.committed(&report)) {
                        Ok(()) => Status::SUCCESS,
                        Err(error) => {
                            tracing::warn!(association, error, "a report on storage commitment was refused");
                            Status::PROCESSING_FAILURE
                        }
                    }
                })
                .await
            }
            Operation::Create | Operation::Set => {
                let (shared, association) = (self.shared.clone(), self.id.0);
                self.with_data_set(request, move |request, data_set| {
                    let status = shared.procedure_steps.perform(request, transfer_syntax_uid, data_set);
                    match &status {
                        Ok((state, ended)) => {
                            let is_in_progress = *state == ProcedureStepState::InProgress;
                            shared.senders.traffic.step(&request.sop_instance_uid, is_in_progress, Instant::now());
                            tracing::info!(association, state = state.label(), "procedure step");
                            if let Some(step) = ended {
                                shared.sink.procedure_step_ended(step.clone());
                            }
                        }
                        Err(error) => {
                            tracing::warn!(association, status = %error.status(), %error, "procedure step refused");
                        }
                    }
                    status.map_or_else(|error| error.status(), |_| Status::SUCCESS)
                })
                .await
            }
        }
    }

    /// An object is refused before it was looked at; what has come of its data set may say whose it is.
    async fn refuse(&mut self, request: &Request, transfer_syntax_uid: &'static str, reason: String) {
        let (refusals, data_set) = (self.refusals.clone(), std::mem::take(&mut self.data_set));
        let request = request.clone();
        let noted = tokio::task::spawn_blocking(move || {
            let object = RefusedObject::new(&request, &data_set, transfer_syntax_uid, reason);
            refusals.lock().refused(object);
        });
        if noted.await.is_err() {
            tracing::error!(association = self.id.0, "a refused object could not be noted in its exam");
        }
    }

    /// The association is over, in the middle of an object perhaps.
    async fn end(&mut self, error: Option<&AssociationError>) {
        if let Some(error) = error
            && let Some(request) = self.request.take()
            && request.operation() == Operation::Store
        {
            let context = self.message.and_then(|(_, context)| self.negotiated.contexts.get(&context));
            let transfer_syntax_uid = context.map_or("", |accepted| accepted.transfer_syntax_uid);
            self.refuse(&request, transfer_syntax_uid, why_cut_off(error)).await;
        }
        let refusals = self.refusals.clone();
        let ended = tokio::task::spawn_blocking(move || refusals.lock().end());
        if ended.await.is_err() {
            tracing::error!(association = self.id.0, "refused objects could not be noted in an exam");
        }
    }

    /// Parsing and syncing wait for the processor and the disk, not for the network.
    async fn with_data_set<T: Send + 'static>(
        &mut self,
        mut request: Request,
        work: impl FnOnce(&mut Request, &[u8]) -> T + Send + 'static,
    ) -> Result<(Request, T), AssociationError> {
        let data_set = std::mem::take(&mut self.data_set);
        let working = tokio::task::spawn_blocking(move || {
            let done = work(&mut request, &data_set);
            (request, done, data_set)
        });
        let (request, done, data_set) = working.await.map_err(|_| AssociationError::Storing)?;
        if data_set.capacity() <= KEPT_BUFFER_BYTES {
            self.data_set = data_set;
        }
        Ok((request, done))
    }
}

/// Why the object that was being sent is not here, in words for a technician.
fn why_cut_off(error: &AssociationError) -> String {
    match error {
        AssociationError::TooLarge(_) => "it is larger than dicom.max_object_mib allows".to_owned(),
        AssociationError::Pdu(PduError::TooSlow) => "its sender stopped in the middle of it".to_owned(),
        AssociationError::Storing => "it could not be looked at".to_owned(),
        _ => "the connection broke while it was sent".to_owned(),
    }
}

/// Where an object came from.
struct Origin<'a> {
    association: AssociationId,
    calling_ae_title: &'a str,
    transfer_syntax_uid: &'a str,
    /// Whom the association carries, if that is the synthetic patient: counters of what scanners send leave it out.
    synthetic: Option<&'a SyntheticScan>,
}

impl Origin<'_> {
    fn count_refusal(&self, reason: &'static str) {
        if self.synthetic.is_none() {
            telemetry::refused(reason);
        }
    }
}

impl Shared {
    /// Checks an object, stores it, and says what to answer; of a new instance also when it has been handed on.
    fn store(
        &self,
        request: &Request,
        origin: &Origin<'_>,
        data_set: &[u8],
        refusals: &mut AssociationRefusals,
    ) -> (Status, Option<oneshot::Receiver<()>>) {
        let association = origin.association.0;
        if origin.synthetic.is_none() {
            self.senders.traffic.object_came(Instant::now());
        }
        let requested = Requested {
            sop_class_uid: &request.sop_class_uid,
            sop_instance_uid: &request.sop_instance_uid,
            transfer_syntax_uid: origin.transfer_syntax_uid,
        };
        let refused = |reason: String| RefusedObject::new(request, data_set, origin.transfer_syntax_uid, reason);
        let Checked { header, oddities } = match check(data_set, &requested, self.options.max_object_bytes as u64) {
            Ok(checked) => checked,
            Err(error) => {
                let status = error.status();
                tracing::warn!(association, sop_instance_uid = %request.sop_instance_uid, %status, %error, "object refused");
                origin.count_refusal(error.label());
                refusals.refused(refused(error.reason()));
                return (status, None);
            }
        };
        let incoming = Incoming {
            header: &header,
            transfer_syntax_uid: origin.transfer_syntax_uid,
            calling_ae_title: origin.calling_ae_title,
            data_set,
        };
        let (handed_on, placed) = oneshot::channel();
        let hand_on = {
            let (sink, association) = (self.sink.clone(), origin.association);
            let images = header.images.len();
            move |exam: ExamKey, path: &std::path::Path| {
                let (path, at) = (path.to_owned(), Instant::now());
                sink.stored(StoredInstance { exam, path, images, association, at });
                // Nobody waits where the association has ended unexpectedly.
                let _ = handed_on.send(());
            }
        };
        let synthetic = origin.synthetic.and_then(|scan| scan.exam_of(&header.study_instance_uid)).cloned();
        let is_synthetic = synthetic.is_some();
        let stored = synthetic.map_or_else(|| self.spool.exam_of(&incoming), Ok).and_then(|exam| {
            let of_exam = exam.clone();
            let stored = self.spool.store(&exam, &incoming, move |path| hand_on(of_exam, path))?;
            Ok((exam, stored))
        });
        let (exam, stored) = match stored {
            Ok(stored) => stored,
            Err(error) => {
                let status = if error.is_full() { Status::OUT_OF_RESOURCES } else { Status::PROCESSING_FAILURE };
                tracing::error!(association, exam = %header.exam_key(), %status, %error, "object not stored");
                origin.count_refusal(if error.is_full() { "disk_full" } else { "spool" });
                refusals.refused(refused(error.reason().to_owned()));
                return (status, None);
            }
        };
        refusals.stored(&exam, &header);
        if !is_synthetic {
            telemetry::received(data_set.len());
            telemetry::scanner_sent(origin.calling_ae_title);
        }
        for oddity in oddities.iter() {
            telemetry::odd(oddity.label());
            tracing::warn!(association, %exam, sop_instance_uid = %header.sop_instance_uid,
                "object kept, though it is not as the standard says: {oddity}");
        }
        let placed = match stored {
            Stored::New(_) => Some(placed),
            Stored::Corrects(_) => {
                tracing::warn!(association, %exam, sop_instance_uid = %header.sop_instance_uid,
                    "an instance came again with other content: the newer one counts");
                telemetry::corrected();
                Some(placed)
            }
            Stored::Again(_) => {
                tracing::debug!(association, %exam, "an instance came again");
                None
            }
        };
        let defect = header.images.iter().find_map(|image| match image {
            Content::Defective(reason) => Some(reason),
            _ => None,
        });
        if let Some(reason) = defect {
            let status = Status::DATA_SET_DOES_NOT_MATCH_WARNING;
            tracing::warn!(association, %exam, sop_instance_uid = %header.sop_instance_uid, %status, reason,
                "slice kept, but it cannot be analysed");
            telemetry::refused("defective");
            return (status, placed);
        }
        (Status::SUCCESS, placed)
    }
}
