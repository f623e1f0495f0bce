//! Whom to send to.

use std::fmt;
use std::str::FromStr;

/// A DICOM peer, written `AE@HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The called AE title, 1 to 16 characters.
    pub ae_title: String,
    /// Name or address of the host.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Target {
    /// `HOST:PORT`, as sockets want it; an IPv6 address in brackets.
    #[must_use]
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.ae_title, self.address())
    }
}

/// A text that names no peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no target: {reason}; write AE@HOST:PORT, for example TABLESIDE@localhost:11112")]
pub struct TargetError {
    text: String,
    reason: &'static str,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |reason: &'static str| TargetError { text: text.to_owned(), reason };
        let (ae_title, address) = text.split_once('@').ok_or_else(|| wrong("the AE title and its @ are missing"))?;
        check_ae_title(ae_title).map_err(wrong)?;
        let (host, port) = address.rsplit_once(':').ok_or_else(|| wrong("the port is missing"))?;
        let bare_host = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        if bare_host.is_none() && host.contains(':') {
            return Err(wrong("an IPv6 address belongs in brackets"));
        }
        let host = bare_host.unwrap_or(host);
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(wrong("the host is missing"));
        }
        let port = port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| wrong("the port must be a number from 1 to 65535"))?;
        Ok(Self { ae_title: ae_title.to_owned(), host: host.to_owned(), port })
    }
}

/// Checks a title against the VR AE (PS3.5 6.2).
pub(crate) fn check_ae_title(title: &str) -> Result<(), &'static str> {
    if title.trim().is_empty() || title.trim() != title {
        return Err("the AE title must be 1 to 16 characters without spaces around it");
    }
    if title.len() > 16 || !title.bytes().all(|b| (0x20..0x7F).contains(&b) && b != b'\\') {
        return Err("the AE title must be 1 to 16 ASCII characters without a backslash");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_written_alike() {
        for text in ["TABLESIDE@localhost:11112", "A B@10.0.0.1:104", "X@[::1]:1"] {
            let target: Target = text.parse().expect(text);
            assert_eq!(target.to_string(), text);
        }
    }

    #[test]
    fn a_wrong_target_is_told_what_is_wrong() {
        for (text, reason) in [
            ("localhost:104", "AE title and its @"),
            ("@localhost:104", "1 to 16"),
            ("SEVENTEEN_LETTERS@localhost:104", "1 to 16"),
            ("A@localhost", "port is missing"),
            ("A@:104", "host is missing"),
            ("A@localhost:0", "1 to 65535"),
            ("A@localhost:70000", "1 to 65535"),
            ("A@::1:104", "brackets"),
        ] {
            let error = text.parse::<Target>().expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(error.contains("AE@HOST:PORT"), "{error}");
        }
    }
}
