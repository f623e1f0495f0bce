//! The head of the chain: what somebody has to keep elsewhere to see later that records behind it were changed or cut off.

use std::fmt;
use std::str::FromStr;

use crate::hex::hex;

/// SHA-256 of a record.
pub type Hash = [u8; 32];

/// Stands before the head in the log, so that it is found there.
const IN_LOG: &str = "audit head ";

/// The last record of a chain. As text: its sequence number, a colon, its hash in hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Head {
    /// Counted from 1; 0 before the first record.
    pub sequence: u64,
    pub hash: Hash,
}

impl Head {
    /// Of a chain without a record.
    pub const NONE: Self = Self { sequence: 0, hash: [0; 32] };

    /// Tells the log, which `journald` keeps.
    pub(super) fn log(self) {
        // The log keeps this whatever log.level says: see `telemetry::AUDIT_HEADS`.
        tracing::info!(target: "tableside::audit::head", "{IN_LOG}{self}");
    }

    /// All that stand in a log, in their order.
    #[must_use]
    pub fn of_log(text: &str) -> Vec<Self> {
        let words = text.split(IN_LOG).skip(1);
        words
            .filter_map(|rest| {
                let end = rest.find(|character: char| !character.is_ascii_hexdigit() && character != ':');
                rest[..end.unwrap_or(rest.len())].parse().ok()
            })
            .collect()
    }
}

impl fmt::Display for Head {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.sequence, hex(&self.hash))
    }
}

/// A text that is no head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a sequence number, a colon and 64 hexadecimal digits, as the log has behind \"audit head\"")]
pub struct NoHead;

impl FromStr for Head {
    type Err = NoHead;

    fn from_str(text: &str) -> Result<Self, NoHead> {
        let (sequence, hash) = text.trim().split_once(':').ok_or(NoHead)?;
        let sequence = sequence.parse().map_err(|_| NoHead)?;
        Ok(Self { sequence, hash: read_hash(hash).ok_or(NoHead)? })
    }
}

/// Reads 64 hexadecimal digits in lower case.
pub(super) fn read_hash(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_found_in_a_log_of_any_format() {
        let head = Head { sequence: 17, hash: [0xab; 32] };
        let log = format!(
            "Nov 30 ct tableside[7]: 2026-11-30T06:00:00Z  INFO {IN_LOG}{head}\n{{\"message\":\"{IN_LOG}{}\"}}\n{IN_LOG}nonsense\n",
            Head { sequence: 18, ..head }
        );
        assert_eq!(Head::of_log(&log), [head, Head { sequence: 18, ..head }]);
        assert!("17".parse::<Head>().is_err() && format!("17:{}", "g".repeat(64)).parse::<Head>().is_err());
    }
}
