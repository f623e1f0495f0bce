//! Who may use the console: people with a password, and tables with a token.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hex::hex;
use crate::words::is_unseen;

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

    /// Whether a person can have it: a table is a screen without one.
    #[must_use]
    pub const fn is_of_people(self) -> bool {
        !matches!(self, Self::Table)
    }

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Account {
    /// What the person types to log in, lower case.
    pub name: String,
    /// How acknowledgements name the person.
    pub shown_as: String,
    pub role: Role,
    #[schemars(with = "String")]
    pub created: Timestamp,
    /// Since when the person may not log in; `None` for who may.
    #[schemars(with = "Option<String>")]
    pub disabled: Option<Timestamp>,
}

impl Account {
    /// A name as it is kept: 1 to 32 lower-case letters, digits and `.`, `-`, `_`, `@`. `None` for what cannot be one; `.` and `..` mean
    /// folders in addresses.
    #[must_use]
    pub fn name_of(typed: &str) -> Option<String> {
        let name = typed.trim().to_ascii_lowercase();
        let is_usual = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_@".contains(&byte);
        let is_one = (1..=32).contains(&name.len()) && name.bytes().all(is_usual) && name != "." && name != "..";
        is_one.then_some(name)
    }

    /// How a person may be named beside a flag: 1 to 32 characters, all of which can be seen.
    #[must_use]
    pub fn shown_as_of(typed: &str) -> Option<String> {
        let shown = typed.trim();
        ((1..=32).contains(&shown.chars().count()) && !shown.contains(is_unseen)).then(|| shown.to_owned())
    }
}

/// What somebody is to be from now on; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountEdit {
    pub shown_as: Option<String>,
    pub role: Option<Role>,
    pub may_log_in: Option<bool>,
}

/// What came of a change to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed<T = ()> {
    Done(T),
    /// Nobody has this name.
    NoSuchAccount,
    /// Nobody could administer the console any more: nothing has changed.
    LastAdministrator,
}

impl<T> Changed<T> {
    pub(super) fn map<U>(self, map: impl FnOnce(T) -> U) -> Changed<U> {
        match self {
            Self::Done(done) => Changed::Done(map(done)),
            Self::NoSuchAccount => Changed::NoSuchAccount,
            Self::LastAdministrator => Changed::LastAdministrator,
        }
    }
}

/// A person's log-in that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The beginning of its token's SHA-256, hexadecimal: it names the session and opens nothing.
    pub id: String,
    pub account: Account,
    /// From where the person logged in.
    pub address: Option<IpAddr>,
    pub started: Timestamp,
    pub used: Timestamp,
}

/// How a session is named.
#[must_use]
pub fn session_id(token: &SecretHash) -> String {
    hex(&token[..SESSION_ID_BYTES])
}

/// Bytes of a token's SHA-256 that name its session.
pub(super) const SESSION_ID_BYTES: usize = 8;

/// A session that begins.
#[derive(Debug)]
pub struct NewSession<'a> {
    pub token: &'a SecretHash,
    pub account: &'a str,
    /// The password that let the person in: another one may have been given meanwhile.
    pub password: &'a KeptPassword,
    pub address: IpAddr,
    pub now: Timestamp,
    /// The session that the browser had before.
    pub instead_of: Option<&'a SecretHash>,
}

/// A screen that is let in by a token, from its own addresses alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Kiosk {
    pub name: String,
    #[serde(serialize_with = "as_texts")]
    #[schemars(with = "Vec<String>")]
    pub addresses: Vec<IpNet>,
    #[schemars(with = "String")]
    pub created: Timestamp,
}

fn as_texts<S: serde::Serializer>(networks: &[IpNet], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(networks.iter().map(ToString::to_string))
}

impl Kiosk {
    /// Where it stands, for people.
    #[must_use]
    pub fn places(&self) -> String {
        let places: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        places.join(", ")
    }

    #[must_use]
    pub fn stands_at(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|network| network.contains(&address))
    }
}

/// The SHA-256 of a secret that was given out: what is kept of it.
pub type SecretHash = [u8; 32];
