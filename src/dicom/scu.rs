//! The side that sends (an SCU): DIMSE messages as bytes, encoded before they are due, so that sending is one write.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::future::{Future as _, poll_fn};
use std::os::fd::AsFd as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN;
use dicom_ul::association::Error as AssociationError;
use dicom_ul::association::client::{AsyncClientAssociation, AsyncTlsStream, ClientAssociationOptions};
use dicom_ul::pdu::{PDataValueType, Pdu};
use rustls::ClientConfig;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::dimse::{Request, Status};
use super::target::Target;

/// An association over a plain connection.
pub(crate) type Connection = AsyncClientAssociation<TcpStream>;

/// What an association may run over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// The socket below.
    fn socket(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Stream for AsyncTlsStream {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// The next PDU; whatever comes of it is acknowledged at once. Many peers send an answer in two parts and the second only once the
/// first is acknowledged, which the system delays by 40 ms unless it is asked anew each time that something came not to.
async fn receive<S: Stream>(connection: &mut AsyncClientAssociation<S>) -> Result<Pdu, ScuError> {
    // Where the system does not know the option or gives no handle, answers come later.
    let socket = connection.inner_stream().socket().as_fd().try_clone_to_owned();
    let mut receiving = pin!(connection.receive());
    let received = poll_fn(|context| {
        if let Ok(socket) = &socket {
            let _ = SockRef::from(socket).set_tcp_quickack(true);
        }
        receiving.as_mut().poll(context)
    });
    received.await.map_err(|error| ScuError::Receive(chain(&error)))
}

const C_STORE_RQ: u16 = 0x0001;
const C_ECHO_RQ: u16 = 0x0030;
const N_ACTION_RQ: u16 = 0x0130;
const NO_DATA_SET: u16 = 0x0101;
const WITH_DATA_SET: u16 = 0x0001;
/// A response without this bit is a request that we did not expect.
const RESPONSE: u16 = 0x8000;

/// The larger of what peers take and what a write gains from.
const LARGEST_PDU: u32 = 256 * 1024;
/// A response's command set has a few hundred bytes.
const MOST_RESPONSE_BYTES: usize = 64 * 1024;
/// More than a report on an exam's instances.
const MOST_REQUEST_BYTES: usize = 4 << 20;
/// Bytes of a PDV before its fragment: length, context, control (PS3.8 9.3.5.1).
const PDV_HEADER: u32 = 6;

/// Why a message was not sent or not answered as it should be.
#[derive(Debug, thiserror::Error)]
pub enum ScuError {
    #[error("{0}")]
    Encode(String),
    #[error("{0}")]
    Associate(String),
    #[error("the peer accepts none of the presentation contexts")]
    NoContext,
    #[error("the peer takes no more data: write timeout")]
    WriteTimeout,
    #[error("the peer does not answer: read timeout")]
    ReadTimeout,
    #[error("cannot write to the peer: {0}")]
    Write(std::io::Error),
    #[error("{0}")]
    Receive(String),
    #[error("the peer sent a data set that was not asked for")]
    DataSet,
    #[error("the peer aborted the association")]
    Aborted,
    #[error("the peer asked to release the association")]
    ReleaseRequested,
    #[error("unexpected answer: {0}")]
    UnexpectedPdu(String),
    #[error("unreadable response: {0}")]
    Unreadable(String),
    #[error("the peer answered with something that is not a response")]
    NoResponse,
    #[error("the response belongs to another message")]
    OtherMessage,
    #[error("the response has no status")]
    NoStatus,
}

/// An instance that is to be sent, its data set encoded in the transfer syntax of the presentation context.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    pub sop_class_uid: &'a str,
    pub sop_instance_uid: &'a str,
    pub data: &'a [u8],
}

/// As whom this side calls, and how long it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calling {
    /// The calling AE title.
    pub ae_title: String,
    /// The user identity to present, a name alone (PS3.7 section D.3.3.7); none by default.
    pub user: Option<String>,
    /// For the TCP connection.
    pub connect_timeout: Duration,
    /// For an answer.
    pub read_timeout: Duration,
    /// For a message to be written.
    pub write_timeout: Duration,
}

/// Opens an association that proposes Verification and these presentation contexts, SOP class and transfer syntax each.
///
/// # Errors
/// If there is no connection, or the peer rejects the association or all that is proposed.
pub(crate) async fn associate(
    target: &Target,
    contexts: &BTreeSet<(String, String)>,
    calling: &Calling,
) -> Result<Connection, ScuError> {
    let established = proposal(target, contexts, calling).establish_async(target.address().as_str()).await;
    let mut connection = established.map_err(why_not)?;
    connection.inner_stream().set_nodelay(true).map_err(|error| ScuError::Associate(error.to_string()))?;
    Ok(connection)
}

/// The same over TLS.
///
/// # Errors
/// The same, and if no encrypted connection is agreed on.
pub(crate) async fn associate_by_tls(
    target: &Target,
    contexts: &BTreeSet<(String, String)>,
    calling: &Calling,
    tls: Arc<ClientConfig>,
) -> Result<AsyncClientAssociation<AsyncTlsStream>, ScuError> {
    let proposal = proposal(target, contexts, calling).tls_config(tls).server_name(&target.host);
    let mut connection = proposal.establish_tls_async(target.address().as_str()).await.map_err(why_not)?;
    connection.inner_stream().get_ref().0.set_nodelay(true).map_err(|error| ScuError::Associate(error.to_string()))?;
    Ok(connection)
}

fn why_not(error: AssociationError) -> ScuError {
    match error {
        AssociationError::NoAcceptedPresentationContexts { .. } => ScuError::NoContext,
        other => ScuError::Associate(chain(&other)),
    }
}

fn proposal<'a>(
    target: &'a Target,
    contexts: &'a BTreeSet<(String, String)>,
    calling: &'a Calling,
) -> ClientAssociationOptions<'a> {
    let mut association = ClientAssociationOptions::new()
        .calling_ae_title(calling.ae_title.as_str())
        .called_ae_title(target.ae_title.as_str())
        // An empty name is none.
        .username(calling.user.as_deref().unwrap_or_default())
        .connection_timeout(calling.connect_timeout)
        .read_timeout(calling.read_timeout)
        .write_timeout(calling.write_timeout)
        .with_presentation_context(uids::VERIFICATION, vec![uids::IMPLICIT_VR_LITTLE_ENDIAN]);
    // One transfer syntax a context: the bytes are what they are, the peer may not choose another.
    for (class, syntax) in contexts {
        if class != uids::VERIFICATION {
            association = association.with_presentation_context(class.as_str(), vec![syntax.as_str()]);
        }
    }
    association
}

/// The accepted presentation context for objects of a SOP class in a transfer syntax.
pub(crate) fn context_for<S>(
    connection: &AsyncClientAssociation<S>,
    sop_class_uid: &str,
    transfer_syntax_uid: &str,
) -> Option<u8> {
    let accepted = connection.presentation_contexts().iter().find(|context| {
        context.abstract_syntax == sop_class_uid
            && context.transfer_syntax.trim_end_matches('\0') == transfer_syntax_uid
    });
    accepted.map(|context| context.id)
}

/// A C-STORE request with its data set as P-DATA-TF PDUs for one association, whose peer takes PDUs of `peer_max_pdu` bytes.
///
/// # Errors
///
/// If the command set cannot be encoded.
pub fn store_request(
    instance: Outgoing<'_>,
    context: u8,
    message_id: u16,
    peer_max_pdu: u32,
) -> Result<Vec<u8>, ScuError> {
    let command = encode_command([
        (tags::AFFECTED_SOP_CLASS_UID, VR::UI, instance.sop_class_uid.into()),
        (tags::COMMAND_FIELD, VR::US, C_STORE_RQ.into()),
        (tags::MESSAGE_ID, VR::US, message_id.into()),
        (tags::PRIORITY, VR::US, 0_u16.into()),
        (tags::COMMAND_DATA_SET_TYPE, VR::US, WITH_DATA_SET.into()),
        (tags::AFFECTED_SOP_INSTANCE_UID, VR::UI, instance.sop_instance_uid.into()),
    ])?;
    let mut message = Vec::with_capacity(command.len() + instance.data.len() + 16 * 1024);
    append_pdus(&mut message, context, true, &command, peer_max_pdu);
    // A deflated data set may be odd in a file, but no fragment is (PS3.5 A.5): a zero byte follows it.
    let data = if instance.data.len().is_multiple_of(2) {
        Cow::Borrowed(instance.data)
    } else {
        Cow::Owned([instance.data, &[0]].concat())
    };
    append_pdus(&mut message, context, false, &data, peer_max_pdu);
    Ok(message)
}

/// An N-ACTION request that asks for storage commitment of what `data` lists (PS3.4 section J.3.2).
///
/// # Errors
/// If the command set cannot be encoded.
pub(crate) fn commitment_message(
    data: &[u8],
    context: u8,
    message_id: u16,
    peer_max_pdu: u32,
) -> Result<Vec<u8>, ScuError> {
    let command = encode_command([
        (tags::REQUESTED_SOP_CLASS_UID, VR::UI, uids::STORAGE_COMMITMENT_PUSH_MODEL.into()),
        (tags::COMMAND_FIELD, VR::US, N_ACTION_RQ.into()),
        (tags::MESSAGE_ID, VR::US, message_id.into()),
        (tags::COMMAND_DATA_SET_TYPE, VR::US, WITH_DATA_SET.into()),
        (tags::REQUESTED_SOP_INSTANCE_UID, VR::UI, uids::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE.into()),
        (tags::ACTION_TYPE_ID, VR::US, 1_u16.into()),
    ])?;
    let mut message = Vec::new();
    append_pdus(&mut message, context, true, &command, peer_max_pdu);
    append_pdus(&mut message, context, false, data, peer_max_pdu);
    Ok(message)
}

/// Waits for a request of the peer with a data set, for `patience` at the longest: the request, the presentation context, and
/// the data set.
///
/// # Errors
/// If the association ends or its peer sends something else.
pub(crate) async fn next_request<S: Stream>(
    connection: &mut AsyncClientAssociation<S>,
    patience: Duration,
) -> Result<Option<(Request, u8, Vec<u8>)>, ScuError> {
    let until = tokio::time::Instant::now() + patience;
    let (mut command, mut data_set, mut request) = (Vec::new(), Vec::new(), None);
    loop {
        // `receive` may be given up at any time: nothing is lost.
        let received = match tokio::time::timeout_at(until, receive(connection)).await {
            Ok(received) => received?,
            Err(_) => return Ok(None),
        };
        let Pdu::PData { data } = received else {
            return Err(ScuError::UnexpectedPdu(received.short_description().to_string()));
        };
        for value in data {
            let is_command = value.value_type == PDataValueType::Command;
            let part = if is_command { &mut command } else { &mut data_set };
            part.extend_from_slice(&value.data);
            if part.len() > MOST_REQUEST_BYTES {
                return Err(ScuError::DataSet);
            }
            if value.is_last && is_command {
                let read = Request::read(&command).map_err(|error| ScuError::Unreadable(error.to_string()))?;
                request = Some(read);
            } else if value.is_last {
                let request = request.take().ok_or(ScuError::DataSet)?;
                return Ok(Some((request, value.presentation_context_id, data_set)));
            }
        }
    }
}

/// Answers a request of the peer.
///
/// # Errors
/// If the answer cannot be encoded or written.
pub(crate) async fn answer_request<S: Stream>(
    connection: &mut AsyncClientAssociation<S>,
    request: &Request,
    context: u8,
    status: Status,
    write_timeout: Duration,
) -> Result<(), ScuError> {
    let response = request.response(status).map_err(|error| ScuError::Encode(error.to_string()))?;
    let mut message = Vec::new();
    append_pdus(&mut message, context, true, &response, connection.acceptor_max_pdu_length());
    let writing = connection.inner_stream().write_all(&message);
    tokio::time::timeout(write_timeout, writing).await.map_err(|_| ScuError::WriteTimeout)?.map_err(ScuError::Write)
}

/// A C-ECHO request.
pub(crate) fn echo_request(context: u8, peer_max_pdu: u32) -> Result<Vec<u8>, ScuError> {
    let command = encode_command([
        (tags::AFFECTED_SOP_CLASS_UID, VR::UI, uids::VERIFICATION.into()),
        (tags::COMMAND_FIELD, VR::US, C_ECHO_RQ.into()),
        (tags::MESSAGE_ID, VR::US, 1_u16.into()),
        (tags::COMMAND_DATA_SET_TYPE, VR::US, NO_DATA_SET.into()),
    ])?;
    let mut message = Vec::new();
    append_pdus(&mut message, context, true, &command, peer_max_pdu);
    Ok(message)
}

fn encode_command<const N: usize>(elements: [(dicom_core::Tag, VR, PrimitiveValue); N]) -> Result<Vec<u8>, ScuError> {
    let elements = elements.map(|(tag, vr, value)| DataElement::new(tag, vr, value));
    let command = InMemDicomObject::command_from_element_iter(elements);
    let mut bytes = Vec::new();
    command
        .write_dataset_with_ts(&mut bytes, &IMPLICIT_VR_LITTLE_ENDIAN.erased())
        .map_err(|error| ScuError::Encode(error.to_string()))?;
    Ok(bytes)
}

/// Cuts bytes into PDUs of one PDV each (PS3.8 9.3.5, E.2).
fn append_pdus(message: &mut Vec<u8>, context: u8, command: bool, bytes: &[u8], peer_max_pdu: u32) {
    let fragment = peer_max_pdu.min(LARGEST_PDU).saturating_sub(PDV_HEADER).max(2) & !1;
    let mut fragments = bytes.chunks(fragment as usize).peekable();
    while let Some(fragment) = fragments.next() {
        let last = fragments.peek().is_none();
        // A fragment is at most LARGEST_PDU long.
        #[allow(clippy::cast_possible_truncation)]
        let length = fragment.len() as u32;
        message.extend_from_slice(&[0x04, 0x00]);
        message.extend_from_slice(&(length + PDV_HEADER).to_be_bytes());
        message.extend_from_slice(&(length + 2).to_be_bytes());
        message.extend_from_slice(&[context, u8::from(command) | u8::from(last) << 1]);
        message.extend_from_slice(fragment);
    }
}

/// Writes a message and waits for its response's status, all of which comes within the read timeout.
pub(crate) async fn exchange<S: Stream>(
    connection: &mut AsyncClientAssociation<S>,
    message: &[u8],
    message_id: u16,
    calling: &Calling,
) -> Result<u16, ScuError> {
    let writing = connection.inner_stream().write_all(message);
    tokio::time::timeout(calling.write_timeout, writing)
        .await
        .map_err(|_| ScuError::WriteTimeout)?
        .map_err(ScuError::Write)?;
    let answer = tokio::time::timeout(calling.read_timeout, response(connection, message_id)).await;
    answer.map_err(|_| ScuError::ReadTimeout)?
}

async fn response<S: Stream>(connection: &mut AsyncClientAssociation<S>, message_id: u16) -> Result<u16, ScuError> {
    let mut command = Vec::new();
    loop {
        match receive(connection).await? {
            Pdu::PData { data } => {
                for value in data {
                    if value.value_type != PDataValueType::Command {
                        return Err(ScuError::DataSet);
                    }
                    command.extend_from_slice(&value.data);
                    if value.is_last {
                        return status_of(&command, message_id);
                    }
                    if command.len() > MOST_RESPONSE_BYTES {
                        return Err(ScuError::Unreadable("it does not end".to_owned()));
                    }
                }
            }
            Pdu::AbortRQ { .. } => return Err(ScuError::Aborted),
            Pdu::ReleaseRQ => return Err(ScuError::ReleaseRequested),
            other => return Err(ScuError::UnexpectedPdu(other.short_description().to_string())),
        }
    }
}

/// The status of the response (PS3.7 9.3.1.2) that a command set is, to the message of this identifier.
///
/// # Errors
///
/// If it cannot be read, is no response, or answers another message.
pub fn status_of(command: &[u8], message_id: u16) -> Result<u16, ScuError> {
    let response = InMemDicomObject::read_dataset_with_ts(command, &IMPLICIT_VR_LITTLE_ENDIAN.erased())
        .map_err(|error| ScuError::Unreadable(error.to_string()))?;
    let number = |tag| {
        let element = response.get(tag)?;
        element.to_int::<u16>().ok()
    };
    if number(tags::COMMAND_FIELD).is_none_or(|field| field & RESPONSE == 0) {
        return Err(ScuError::NoResponse);
    }
    if number(tags::MESSAGE_ID_BEING_RESPONDED_TO) != Some(message_id) {
        return Err(ScuError::OtherMessage);
    }
    number(tags::STATUS).ok_or(ScuError::NoStatus)
}

/// An error with what caused it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pdus_stay_within_the_peers_limit_and_only_the_last_fragment_says_so() {
        let bytes: Vec<u8> = (0..10_000_u32).map(|i| i.to_le_bytes()[0]).collect();
        let mut message = Vec::new();
        append_pdus(&mut message, 3, false, &bytes, 4096);
        let (mut at, mut back, mut lasts) = (0, Vec::new(), Vec::new());
        while at < message.len() {
            let length = u32::from_be_bytes(message[at + 2..at + 6].try_into().expect("4"));
            assert!(length <= 4096);
            assert_eq!(message[at], 4);
            assert_eq!(message[at + 10], 3);
            lasts.push(message[at + 11]);
            back.extend_from_slice(&message[at + 12..at + 6 + length as usize]);
            at += 6 + length as usize;
        }
        assert_eq!(back, bytes);
        assert_eq!(lasts, [0, 0, 2]);
    }

    #[test]
    fn a_data_set_of_odd_length_is_padded() {
        let store = |data| {
            store_request(Outgoing { sop_class_uid: "1.2", sop_instance_uid: "1.3", data }, 1, 1, 4096)
                .expect("encoded")
        };
        assert!(store(&[1, 2, 3]).ends_with(&[0, 0, 0, 10, 0, 0, 0, 6, 1, 2, 1, 2, 3, 0]));
        assert!(store(&[1, 2, 3, 4]).ends_with(&[0, 0, 0, 10, 0, 0, 0, 6, 1, 2, 1, 2, 3, 4]));
    }

    #[test]
    fn a_response_to_another_message_is_refused() {
        let response = encode_command([
            (tags::COMMAND_FIELD, VR::US, 0x8001_u16.into()),
            (tags::MESSAGE_ID_BEING_RESPONDED_TO, VR::US, 7_u16.into()),
            (tags::COMMAND_DATA_SET_TYPE, VR::US, NO_DATA_SET.into()),
            (tags::STATUS, VR::US, 0xB000_u16.into()),
        ])
        .expect("encoded");
        assert_eq!(status_of(&response, 7).unwrap(), 0xB000);
        assert!(matches!(status_of(&response, 8), Err(ScuError::OtherMessage)));
        assert!(status_of(&response[..20], 7).is_err());
    }
}
