//! One association from its request to its end.

use std::sync::Arc;
use std::time::Instant;

use dicom_ul::Pdu;
use dicom_ul::association::server::{AccessControl, ServerAssociationOptions};
use dicom_ul::association::{Association, AsyncServerAssociation};
use dicom_ul::pdu::{AssociationRJServiceUserReason, PDataValue, PDataValueType, UserIdentity};
use tokio::net::TcpStream;

use super::dimse::{CommandError, Operation, Request, Status};
use super::object::{Requested, check};
use super::{IngestOptions, InstanceSink, StoredInstance, TRANSFER_SYNTAXES};
use crate::exam::{AssociationId, Content};
use crate::spool::{Incoming, Spool, Stored};
use crate::telemetry;

/// A command set of a real peer has a few hundred bytes.
const MAX_COMMAND_BYTES: usize = 64 * 1024;

/// Why an association ended other than by release.
#[derive(Debug, thiserror::Error)]
pub enum AssociationError {
    #[error("no association: {0}")]
    Establish(dicom_ul::association::Error),
    #[error("the connection failed: {0}")]
    Network(dicom_ul::association::Error),
    #[error("the peer aborted the association")]
    Aborted,
    #[error("unexpected {0}")]
    UnexpectedPdu(String),
    #[error("the peer sent data on presentation context {0}, which was not accepted")]
    PresentationContext(u8),
    #[error("the peer sent a data set without a request")]
    NoRequest,
    #[error("an object is larger than the limit of {0} bytes (dicom.max_object_mib)")]
    TooLarge(usize),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("storing stopped unexpectedly")]
    Storing,
}

/// Accepts any caller; the called AE title must be ours where the configuration says so.
struct CalledAeTitle {
    required: bool,
}

impl AccessControl for CalledAeTitle {
    fn check_access(
        &self,
        this_ae_title: &str,
        _calling_ae_title: &str,
        called_ae_title: &str,
        _user_identity: Option<&UserIdentity>,
    ) -> Result<(), AssociationRJServiceUserReason> {
        if self.required && this_ae_title != called_ae_title.trim() {
            return Err(AssociationRJServiceUserReason::CalledAETitleNotRecognized);
        }
        Ok(())
    }
}

/// What an association shares with all others.
pub(super) struct Shared {
    pub options: IngestOptions,
    pub spool: Arc<Spool>,
    pub sink: Arc<dyn InstanceSink>,
}

/// Serves one connection until its association is released, aborted or lost.
///
/// # Errors
/// Why it did not end by release.
pub(super) async fn serve(socket: TcpStream, id: AssociationId, shared: Arc<Shared>) -> Result<(), AssociationError> {
    let options = &shared.options;
    let access = CalledAeTitle { required: options.require_called_ae_title };
    let mut acceptor = ServerAssociationOptions::new()
        .ae_access_control(access)
        .ae_title(options.ae_title.as_str())
        .max_pdu_length(options.max_pdu_bytes)
        .read_timeout(options.idle_timeout)
        .write_timeout(options.idle_timeout)
        .promiscuous(true);
    for uid in TRANSFER_SYNTAXES {
        acceptor = acceptor.with_transfer_syntax(uid);
    }
    let association = acceptor.establish_async(socket).await.map_err(AssociationError::Establish)?;
    let calling_ae_title = association.peer_ae_title().trim().to_owned();
    tracing::info!(association = id.0, calling_ae_title, "association opened");
    let mut conversation = Conversation {
        association,
        calling_ae_title,
        id,
        shared: shared.clone(),
        request: None,
        command: Vec::new(),
        data_set: Vec::new(),
    };
    let ended = conversation.run().await;
    shared.sink.association_closed(id, Instant::now());
    if let Err(error) = &ended {
        tracing::warn!(association = id.0, %error, "association ended");
        if !matches!(error, AssociationError::Aborted | AssociationError::Network(_)) {
            // The peer may be gone already; there is nobody to tell then.
            let _ = conversation.association.abort().await;
        }
    } else {
        tracing::info!(association = id.0, "association released");
    }
    ended
}

struct Conversation {
    association: AsyncServerAssociation<TcpStream>,
    calling_ae_title: String,
    id: AssociationId,
    shared: Arc<Shared>,
    /// The request whose data set is coming in.
    request: Option<Request>,
    command: Vec<u8>,
    data_set: Vec<u8>,
}

impl Conversation {
    async fn run(&mut self) -> Result<(), AssociationError> {
        loop {
            match self.association.receive().await.map_err(AssociationError::Network)? {
                Pdu::PData { data } => {
                    for value in data {
                        self.take(value).await?;
                    }
                }
                Pdu::ReleaseRQ => {
                    return self.association.send(&Pdu::ReleaseRP).await.map_err(AssociationError::Network);
                }
                Pdu::AbortRQ { .. } => return Err(AssociationError::Aborted),
                other => return Err(AssociationError::UnexpectedPdu(other.short_description().to_string())),
            }
        }
    }

    /// Puts fragments together (PS3.8 annex E) and acts on a message once it is whole.
    async fn take(&mut self, value: PDataValue) -> Result<(), AssociationError> {
        let context = value.presentation_context_id;
        match value.value_type {
            PDataValueType::Command => {
                append(&mut self.command, &value.data, MAX_COMMAND_BYTES)?;
                if !value.is_last {
                    return Ok(());
                }
                let request = Request::read(&std::mem::take(&mut self.command))?;
                if request.has_data_set {
                    self.request = Some(request);
                    return Ok(());
                }
                self.answer(&request, context, Vec::new()).await
            }
            PDataValueType::Data => {
                if self.request.is_none() {
                    return Err(AssociationError::NoRequest);
                }
                append(&mut self.data_set, &value.data, self.shared.options.max_object_bytes)?;
                if !value.is_last {
                    return Ok(());
                }
                let data_set = std::mem::take(&mut self.data_set);
                let request = self.request.take().ok_or(AssociationError::NoRequest)?;
                self.answer(&request, context, data_set).await
            }
        }
    }

    async fn answer(&mut self, request: &Request, context: u8, data_set: Vec<u8>) -> Result<(), AssociationError> {
        let started = Instant::now();
        let status = match request.operation() {
            Operation::Echo => Status::SUCCESS,
            Operation::Store => self.store(request, context, data_set).await?,
            Operation::Other(field) => {
                tracing::warn!(association = self.id.0, "request {field:04X}H is not provided here");
                Status::UNRECOGNIZED_OPERATION
            }
        };
        let response = Pdu::PData {
            data: vec![PDataValue {
                presentation_context_id: context,
                value_type: PDataValueType::Command,
                is_last: true,
                data: request.response(status)?,
            }],
        };
        self.association.send(&response).await.map_err(AssociationError::Network)?;
        if request.operation() == Operation::Store {
            telemetry::stage("store", started.elapsed());
            telemetry::c_store_response(status.0);
        }
        Ok(())
    }

    async fn store(&self, request: &Request, context: u8, data_set: Vec<u8>) -> Result<Status, AssociationError> {
        let accepted = self.association.presentation_contexts().iter().find(|accepted| accepted.id == context);
        let transfer_syntax_uid = accepted
            .ok_or(AssociationError::PresentationContext(context))?
            .transfer_syntax
            .trim_end_matches(['\0', ' '])
            .to_owned();
        let (shared, request) = (self.shared.clone(), request.clone());
        let (calling_ae_title, association) = (self.calling_ae_title.clone(), self.id);
        // Parsing and syncing wait for the processor and the disk, not for the network.
        tokio::task::spawn_blocking(move || {
            let from =
                From { association, calling_ae_title: &calling_ae_title, transfer_syntax_uid: &transfer_syntax_uid };
            shared.store(&request, &from, &data_set)
        })
        .await
        .map_err(|_| AssociationError::Storing)
    }
}

fn append(message: &mut Vec<u8>, fragment: &[u8], limit: usize) -> Result<(), AssociationError> {
    if message.len() + fragment.len() > limit {
        return Err(AssociationError::TooLarge(limit));
    }
    message.extend_from_slice(fragment);
    Ok(())
}

/// Where an object came from.
struct From<'a> {
    association: AssociationId,
    calling_ae_title: &'a str,
    transfer_syntax_uid: &'a str,
}

impl Shared {
    /// Checks an object, stores it, hands it on, and says what to answer.
    fn store(&self, request: &Request, from: &From<'_>, data_set: &[u8]) -> Status {
        let association = from.association.0;
        let requested = Requested {
            sop_class_uid: &request.sop_class_uid,
            sop_instance_uid: &request.sop_instance_uid,
            transfer_syntax_uid: from.transfer_syntax_uid,
        };
        let header = match check(data_set, &requested, self.options.max_object_bytes as u64) {
            Ok(header) => header,
            Err(error) => {
                let status = error.status();
                tracing::warn!(association, sop_instance_uid = %request.sop_instance_uid, %status, %error, "object refused");
                telemetry::refused(error.label());
                return status;
            }
        };
        let incoming = Incoming {
            header: &header,
            transfer_syntax_uid: from.transfer_syntax_uid,
            calling_ae_title: from.calling_ae_title,
            data_set,
        };
        let exam = header.exam_key();
        let stored = match self.spool.store(&incoming) {
            Ok(stored) => stored,
            Err(error) => {
                let status = if error.is_full() { Status::OUT_OF_RESOURCES } else { Status::PROCESSING_FAILURE };
                tracing::error!(association, %exam, %status, %error, "object not stored");
                telemetry::refused(if error.is_full() { "disk_full" } else { "spool" });
                return status;
            }
        };
        telemetry::received(data_set.len());
        match stored {
            Stored::New(path) => self.sink.stored(StoredInstance {
                exam: exam.clone(),
                path,
                association: from.association,
                at: Instant::now(),
            }),
            Stored::Again(_) => tracing::debug!(association, %exam, "an instance came again"),
            Stored::Differs(_) => {
                tracing::warn!(association, %exam, sop_instance_uid = %header.sop_instance_uid,
                    "another object under a SOP Instance UID that was taken: kept beside it, not analysed");
                telemetry::refused("uid_taken");
            }
        }
        match &header.content {
            Content::Defective(reason) => {
                let status = Status::DATA_SET_DOES_NOT_MATCH_WARNING;
                tracing::warn!(association, %exam, sop_instance_uid = %header.sop_instance_uid, %status, reason,
                    "slice kept, but it cannot be analysed");
                telemetry::refused("defective");
                status
            }
            Content::Slice(_) | Content::Kept(_) => Status::SUCCESS,
        }
    }
}
