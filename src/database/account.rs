//! Who may use the console: people with a password, and tables with a token.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What somebody is to the console; `console::access` says what each may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Scans: sees exams, acknowledges, decides about deliveries.
    Technician,
    /// Treats: sees exams, acknowledges.
    Clinic,
    /// Runs the machine: deliveries and metrics, no exams.
    Administrator,
    /// Reads: sees exams.
    Reader,
    /// A screen beside the scanner, without a person of its own: sees exams, acknowledges with initials.
    Table,
}

impl Role {
    pub const ALL: [Self; 5] = [Self::Technician, Self::Clinic, Self::Administrator, Self::Reader, Self::Table];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Technician => "technician",
            Self::Clinic => "clinic",
            Self::Administrator => "administrator",
            Self::Reader => "reader",
            Self::Table => "table",
        }
    }
}

/// A password as it is kept: Argon2id of it (RFC 9106), with what that took.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptPassword {
    pub salt: [u8; 16],
    pub hash: [u8; 32],
    pub memory_kib: u32,
    pub passes: u32,
}

impl std::fmt::Debug for KeptPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeptPassword")
    }
}

/// A person who may log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// What the person types to log in, lower case.
    pub name: String,
    /// How acknowledgements name the person.
    pub shown_as: String,
    pub role: Role,
    pub created: Timestamp,
}

impl Account {
    /// A name as it is kept: 1 to 32 lower-case letters, digits and `.`, `-`, `_`, `@`. `None` for what cannot be one.
    #[must_use]
    pub fn name_of(typed: &str) -> Option<String> {
        let name = typed.trim().to_ascii_lowercase();
        let is_usual = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_@".contains(&byte);
        ((1..=32).contains(&name.len()) && name.bytes().all(is_usual)).then_some(name)
    }

    /// How a person may be named beside a flag: 1 to 32 characters.
    #[must_use]
    pub fn shown_as_of(typed: &str) -> Option<String> {
        let shown = typed.trim();
        ((1..=32).contains(&shown.chars().count()) && !shown.contains(char::is_control)).then(|| shown.to_owned())
    }
}

/// A person's log-in that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub account: Account,
    pub started: Timestamp,
    pub used: Timestamp,
}

/// A screen that is let in by a token, from its own addresses alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kiosk {
    pub name: String,
    #[serde(serialize_with = "as_texts")]
    pub addresses: Vec<IpNet>,
    pub created: Timestamp,
}

fn as_texts<S: serde::Serializer>(networks: &[IpNet], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(networks.iter().map(ToString::to_string))
}

impl Kiosk {
    #[must_use]
    pub fn stands_at(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|network| network.contains(&address))
    }
}

/// The SHA-256 of a secret that was given out: what is kept of it.
pub type SecretHash = [u8; 32];
