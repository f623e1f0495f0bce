//! PDUs off a connection and onto it (PS3.8 section 9.3). Fragments of a message go from the socket straight into the
//! message's buffer; no length is believed before it is checked against a limit.

use std::io;
use std::time::Instant;

use dicom_ul::pdu::{AssociationRQ, Pdu, read_pdu, write_pdu};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::timeout_at;

const ASSOCIATE_RQ: u8 = 0x01;
const P_DATA_TF: u8 = 0x04;
const RELEASE_RQ: u8 = 0x05;
const ABORT: u8 = 0x07;

/// 128 presentation contexts with some twenty transfer syntaxes each fit.
const MOST_REQUEST_BYTES: u32 = 128 * 1024;
/// A-RELEASE and A-ABORT have four bytes after their length.
const SHORT_PDU_BYTES: u32 = 4;
/// Length, presentation context and control before each fragment (PS3.8 section 9.3.5.1).
const PDV_HEAD_BYTES: u32 = 6;
/// Heads are read through a buffer of this size; what does not fit it goes past it.
const READ_AHEAD: usize = 4096;

/// Why nothing more can be read.
#[derive(Debug, thiserror::Error)]
pub enum PduError {
    #[error("the connection failed: {0}")]
    Connection(#[from] io::Error),
    #[error("the peer closed the connection")]
    Closed,
    #[error("the peer was silent or slow for too long")]
    TooSlow,
    #[error("a PDU of {length} bytes, the limit is {limit}")]
    TooLong { length: u32, limit: u32 },
    #[error("PDU type {0:02X}H was not expected here")]
    Unexpected(u8),
    #[error("the A-ASSOCIATE-RQ cannot be understood: {0}")]
    Request(String),
    #[error("a presentation data value claims {claimed} bytes, its PDU has {left} left")]
    Fragment { claimed: u32, left: u32 },
}

/// What stands before a fragment of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FragmentHead {
    pub context: u8,
    /// Of a command set; else of a data set.
    pub is_command: bool,
    pub is_last: bool,
    pub length: u32,
}

/// What comes next on an association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The fragment itself is to be taken with [`PduStream::take_fragment`].
    Fragment(FragmentHead),
    ReleaseRequest,
    Abort,
}

/// A connection as a stream of PDUs.
#[derive(Debug)]
pub(crate) struct PduStream<S> {
    stream: BufReader<S>,
    max_pdu_bytes: u32,
    /// Bytes of the P-DATA-TF PDU that is being read.
    left: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> PduStream<S> {
    pub(crate) fn new(stream: S, max_pdu_bytes: u32) -> Self {
        Self { stream: BufReader::with_capacity(READ_AHEAD, stream), max_pdu_bytes, left: 0 }
    }

    /// Reads the A-ASSOCIATE-RQ with which a connection begins.
    ///
    /// # Errors
    /// If something else comes, or nothing in time.
    pub(crate) async fn association_request(&mut self, deadline: Instant) -> Result<AssociationRQ, PduError> {
        let head: [u8; 6] = in_time(deadline, self.bytes()).await?;
        let (kind, length) = split_head(head);
        if kind != ASSOCIATE_RQ {
            return Err(PduError::Unexpected(kind));
        }
        check_length(length, MOST_REQUEST_BYTES)?;
        let mut pdu = head.to_vec();
        in_time(deadline, self.append(length, &mut pdu)).await?;
        match read_pdu(pdu.as_slice(), MOST_REQUEST_BYTES, true) {
            Ok(Some(Pdu::AssociationRQ(request))) => Ok(request),
            Ok(_) => Err(PduError::Request("it ends too early".to_owned())),
            Err(error) => Err(PduError::Request(error.to_string())),
        }
    }

    /// Reads up to the next fragment, or to a PDU without fragments.
    ///
    /// # Errors
    /// If a PDU comes that may not, a length lies, or nothing comes in time.
    pub(crate) async fn next(&mut self, deadline: Instant) -> Result<Next, PduError> {
        while self.left == 0 {
            let (kind, length) = split_head(in_time(deadline, self.bytes()).await?);
            match kind {
                P_DATA_TF => {
                    check_length(length, self.max_pdu_bytes)?;
                    self.left = length;
                }
                RELEASE_RQ | ABORT => {
                    check_length(length, SHORT_PDU_BYTES)?;
                    in_time(deadline, self.append(length, &mut Vec::new())).await?;
                    return Ok(if kind == ABORT { Next::Abort } else { Next::ReleaseRequest });
                }
                other => return Err(PduError::Unexpected(other)),
            }
        }
        let left_for_fragment = self
            .left
            .checked_sub(PDV_HEAD_BYTES)
            .ok_or(PduError::Fragment { claimed: PDV_HEAD_BYTES, left: self.left })?;
        let [a, b, c, d, context, control]: [u8; 6] = in_time(deadline, self.bytes()).await?;
        let claimed = u32::from_be_bytes([a, b, c, d]);
        // The claimed length counts context and control.
        let length = claimed.checked_sub(2).filter(|length| *length <= left_for_fragment);
        let length = length.ok_or(PduError::Fragment { claimed, left: left_for_fragment })?;
        self.left = left_for_fragment;
        Ok(Next::Fragment(FragmentHead { context, is_command: control & 1 != 0, is_last: control & 2 != 0, length }))
    }

    /// Appends the fragment that [`PduStream::next`] has announced.
    ///
    /// # Errors
    /// If it does not come in time.
    pub(crate) async fn take_fragment(
        &mut self,
        head: FragmentHead,
        message: &mut Vec<u8>,
        deadline: Instant,
    ) -> Result<(), PduError> {
        in_time(deadline, self.append(head.length, message)).await?;
        self.left -= head.length;
        Ok(())
    }

    /// Sends bytes at once.
    ///
    /// # Errors
    /// If the peer does not take them in time.
    pub(crate) async fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), PduError> {
        in_time(deadline, async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await?;
            Ok(())
        })
        .await
    }

    async fn bytes<const N: usize>(&mut self) -> Result<[u8; N], PduError> {
        let mut bytes = [0; N];
        match self.stream.read_exact(&mut bytes).await {
            Ok(_) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(PduError::Closed),
            Err(error) => Err(error.into()),
        }
    }

    async fn append(&mut self, length: u32, to: &mut Vec<u8>) -> Result<(), PduError> {
        let end = to.len() + length as usize;
        to.reserve(length as usize);
        let mut stream = (&mut self.stream).take(u64::from(length));
        while to.len() < end {
            if stream.read_buf(to).await? == 0 {
                return Err(PduError::Closed);
            }
        }
        Ok(())
    }
}

async fn in_time<T>(deadline: Instant, read: impl Future<Output = Result<T, PduError>>) -> Result<T, PduError> {
    timeout_at(deadline.into(), read).await.unwrap_or(Err(PduError::TooSlow))
}

fn split_head([kind, _, a, b, c, d]: [u8; 6]) -> (u8, u32) {
    (kind, u32::from_be_bytes([a, b, c, d]))
}

fn check_length(length: u32, limit: u32) -> Result<(), PduError> {
    if length > limit { Err(PduError::TooLong { length, limit }) } else { Ok(()) }
}

/// A PDU that cannot be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot encode a PDU: {0}")]
pub struct EncodeError(String);

/// A PDU other than P-DATA-TF as bytes.
///
/// # Errors
/// If it cannot be encoded.
pub(crate) fn encode(pdu: &Pdu) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::with_capacity(512);
    write_pdu(&mut bytes, pdu).map_err(|error| EncodeError(error.to_string()))?;
    Ok(bytes)
}

/// A command set as P-DATA-TF PDUs, none longer than the peer takes.
pub(crate) fn command_pdus(context: u8, command: &[u8], peer_max_pdu_bytes: u32) -> Vec<u8> {
    let most = (peer_max_pdu_bytes.saturating_sub(PDV_HEAD_BYTES).max(2) & !1) as usize;
    let mut pdus = Vec::with_capacity(command.len() + 12);
    let mut fragments = command.chunks(most).peekable();
    while let Some(fragment) = fragments.next() {
        let is_last = fragments.peek().is_none();
        pdus.extend_from_slice(&[P_DATA_TF, 0]);
        pdus.extend_from_slice(&(fragment.len() as u32 + PDV_HEAD_BYTES).to_be_bytes());
        pdus.extend_from_slice(&(fragment.len() as u32 + 2).to_be_bytes());
        pdus.extend_from_slice(&[context, 1 | u8::from(is_last) << 1]);
        pdus.extend_from_slice(fragment);
    }
    pdus
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::io::{Join, join, sink};

    use super::*;

    type Bytes<'a> = Join<&'a [u8], tokio::io::Sink>;

    fn stream(bytes: &[u8]) -> PduStream<Bytes<'_>> {
        PduStream::new(join(bytes, sink()), 1024)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    fn wait<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    /// Reads all messages; each is its context, whether it is a command, and its bytes.
    async fn messages(bytes: &[u8]) -> Result<Vec<(u8, bool, Vec<u8>)>, PduError> {
        let mut stream = stream(bytes);
        let (mut messages, mut message) = (Vec::new(), Vec::new());
        loop {
            match stream.next(soon()).await {
                Ok(Next::Fragment(head)) => {
                    stream.take_fragment(head, &mut message, soon()).await?;
                    if head.is_last {
                        messages.push((head.context, head.is_command, std::mem::take(&mut message)));
                    }
                }
                Ok(_) | Err(PduError::Closed) => return Ok(messages),
                Err(error) => return Err(error),
            }
        }
    }

    #[test]
    fn a_fragment_that_is_longer_than_its_pdu_is_refused() {
        let lie = [P_DATA_TF, 0, 0, 0, 0, 8, 0xFF, 0xFF, 0xFF, 0xFF, 1, 3, 0, 0];
        assert!(matches!(wait(messages(&lie)), Err(PduError::Fragment { claimed: u32::MAX, left: 2 })));
        let short = [P_DATA_TF, 0, 0, 0, 0, 3, 0, 0, 0];
        assert!(matches!(wait(messages(&short)), Err(PduError::Fragment { .. })));
        let negative = [P_DATA_TF, 0, 0, 0, 0, 6, 0, 0, 0, 1, 1, 3];
        assert!(matches!(wait(messages(&negative)), Err(PduError::Fragment { claimed: 1, .. })));
    }

    #[test]
    fn a_pdu_beyond_the_limit_is_refused_before_a_byte_of_it_is_read() {
        let long = [P_DATA_TF, 0, 0, 0, 4, 1];
        assert!(matches!(wait(messages(&long)), Err(PduError::TooLong { length: 1025, limit: 1024 })));
    }

    #[test]
    fn what_is_no_association_request_is_refused() {
        let ask = |bytes: &'static [u8]| wait(async { stream(bytes).association_request(soon()).await });
        assert!(matches!(ask(b"GET / HTTP/1.1\r\n\r\n"), Err(PduError::Unexpected(b'G'))));
        assert!(matches!(ask(&[1, 0, 0xFF, 0xFF, 0xFF, 0xFF]), Err(PduError::TooLong { .. })));
        assert!(matches!(ask(&[1, 0, 0, 0, 0, 0]), Err(PduError::Request(_))));
        assert!(matches!(ask(&[1, 0, 0]), Err(PduError::Closed)));
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_whatever_the_size_of_the_pdus(
            commands in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 1..400)), 0..6),
            peer_max in 7_u32..600,
        ) {
            let bytes: Vec<u8> =
                commands.iter().flat_map(|(context, command)| command_pdus(*context, command, peer_max)).collect();
            let expected: Vec<_> = commands.into_iter().map(|(context, command)| (context, true, command)).collect();
            prop_assert_eq!(wait(messages(&bytes)).unwrap(), expected);
        }

        #[test]
        fn no_bytes_make_it_panic_or_take_more_than_came(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(messages) = wait(messages(&bytes)) {
                prop_assert!(messages.iter().map(|(_, _, message)| message.len()).sum::<usize>() <= bytes.len());
            }
            let _ = wait(async { stream(&bytes).association_request(soon()).await });
        }
    }
}
