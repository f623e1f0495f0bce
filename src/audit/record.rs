//! A record: one line that is a syslog message (RFC 5424) as it lies in the trail's files and as the syslog server gets it.
//!
//! ```text
//! <85>1 TIME HOST tableside PID DICOM+RFC3881 [tableside@32473 sequence="N" previous="HASH" sha256="HASH"] BOM XML
//! ```
//!
//! - Facility 10 and severity 5, and the MSGID, are what PS3.15 section A.6 asks for.
//! - `sequence` counts from 1 without a gap; `previous` is the hash of the record before, of the first one 64 zeros.
//! - `sha256` is over all of the line but itself: over what stands before ` sha256="..."`, followed by what stands after it. So it is
//!   over the hash of the record before as well: a record cannot change without all that follow it.
//! - A record that says that files were removed for their age has `removed="N"` behind its number: the last one that went.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::head::{Hash, Head, read_hash};
use crate::hex::hex;

/// 32473 is the number that RFC 5612 gives for examples: this project has none of its own.
const STRUCTURED_DATA: &str = "tableside@32473";
const SEQUENCE: &str = " sequence=\"";
const REMOVED: &str = " removed=\"";
const PREVIOUS: &str = " previous=\"";
const SHA256: &str = " sha256=\"";
/// Says that UTF-8 follows (RFC 5424 section 6.4).
const BOM: char = '\u{feff}';

/// Where records come from (RFC 5424 section 6.2).
#[derive(Debug, Clone)]
pub(super) struct Origin {
    host: String,
    process: u32,
}

impl Origin {
    /// This process on this machine.
    pub(super) fn here() -> Self {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let host: String = name.chars().filter(char::is_ascii_graphic).take(255).collect();
        Self { host: if host.is_empty() { "-".to_owned() } else { host }, process: std::process::id() }
    }
}

/// The record behind `head`, without its line's end, and the head that it makes.
pub(super) fn write(head: Head, at: Timestamp, origin: &Origin, removed: Option<u64>, xml: &str) -> (String, Head) {
    let sequence = head.sequence + 1;
    let Origin { host, process } = origin;
    let time = at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ");
    let removed = removed.map(|through| format!("{REMOVED}{through}\"")).unwrap_or_default();
    let before = format!(
        "<85>1 {time} {host} tableside {process} DICOM+RFC3881 [{STRUCTURED_DATA}{SEQUENCE}{sequence}\"{removed}{PREVIOUS}{}\"",
        hex(&head.hash)
    );
    let after = format!("] {BOM}{xml}");
    let hash = hash_of(&before, &after);
    (format!("{before}{SHA256}{}\"{after}", hex(&hash)), Head { sequence, hash })
}

fn hash_of(before: &str, after: &str) -> Hash {
    Sha256::new().chain_update(before).chain_update(after).finalize().into()
}

/// What a line says of its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub head: Head,
    pub previous: Hash,
    /// The last record that went with whole files, where the record says so.
    pub removed: Option<u64>,
    /// Whether the hash is that of the line.
    pub is_whole: bool,
}

/// Reads a line without its end; `None` if it is no record.
pub(super) fn read(line: &[u8]) -> Option<Link> {
    let line = std::str::from_utf8(line).ok()?;
    let data = line.find(&format!("[{STRUCTURED_DATA}{SEQUENCE}"))?;
    let hash_begins = data + line[data..].find(SHA256)?;
    let (before, rest) = line.split_at(hash_begins);
    let (hash, after) = rest.strip_prefix(SHA256)?.split_once('"')?;
    let hash = read_hash(hash)?;
    let parameters = before[data..].strip_prefix('[')?.strip_prefix(STRUCTURED_DATA)?;
    let (sequence, parameters) = parameters.strip_prefix(SEQUENCE)?.split_once('"')?;
    let (removed, parameters) = match parameters.strip_prefix(REMOVED) {
        None => (None, parameters),
        Some(removed) => {
            let (removed, parameters) = removed.split_once('"')?;
            (Some(removed.parse().ok()?), parameters)
        }
    };
    let previous = read_hash(parameters.strip_prefix(PREVIOUS)?.strip_suffix('"')?)?;
    let head = Head { sequence: sequence.parse().ok()?, hash };
    Some(Link { head, previous, removed, is_whole: hash == hash_of(before, after) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origin() -> Origin {
        Origin { host: "ct-room".to_owned(), process: 7 }
    }

    #[test]
    fn a_record_is_a_syslog_message_on_one_line() {
        let (line, head) = write(Head::NONE, Timestamp::UNIX_EPOCH, &origin(), None, "<AuditMessage/>");
        assert!(line.starts_with("<85>1 1970-01-01T00:00:00.000000Z ct-room tableside 7 DICOM+RFC3881 [tableside@32473 sequence=\"1\" previous=\"0000"));
        assert!(line.ends_with("\"] \u{feff}<AuditMessage/>") && !line.contains('\n'), "{line}");
        let record = read(line.as_bytes()).unwrap();
        assert_eq!(record, Link { head, previous: [0; 32], removed: None, is_whole: true });
        let (next, _) = write(head, Timestamp::UNIX_EPOCH, &origin(), Some(9), "<AuditMessage/>");
        let next = read(next.as_bytes()).unwrap();
        assert_eq!((next.head.sequence, next.previous, next.removed, next.is_whole), (2, head.hash, Some(9), true));
    }

    proptest! {
        #[test]
        fn no_byte_of_a_record_changes_unseen(at in 0.0..1.0_f64, change in 1..=255_u8) {
            let (line, _) = write(Head::NONE, Timestamp::UNIX_EPOCH, &origin(), Some(3), "<AuditMessage>x</AuditMessage>");
            let mut bytes = line.into_bytes();
            let place = (at * bytes.len() as f64) as usize;
            bytes[place] ^= change;
            prop_assert!(read(&bytes).is_none_or(|link| !link.is_whole));
        }

        #[test]
        fn any_bytes_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read(&bytes).is_none_or(|link| !link.is_whole));
        }
    }
}
