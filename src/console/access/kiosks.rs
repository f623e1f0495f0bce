//! Kiosks: what is one, and which of them have been here.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;

use crate::database::{Account, Kiosk};
use crate::ingest::parse_network;
use crate::texts::Phrase;

/// Networks of one kiosk: a screen has one address, or two.
const MOST_ADDRESSES: usize = 16;

/// Why there can be no such kiosk.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.phrase())]
pub enum UnusableKiosk {
    Name,
    Address(String),
    Addresses,
}

impl UnusableKiosk {
    /// What people are told.
    pub(super) fn phrase(&self) -> Phrase {
        match self {
            Self::Name => Phrase::new("error.unusable_name"),
            Self::Address(address) => Phrase::new("error.no_address").with("address", format!("{address:?}")),
            Self::Addresses => Phrase::new("error.kiosk_addresses").with("most", MOST_ADDRESSES.to_string()),
        }
    }
}

/// A kiosk by the name and the addresses or networks that somebody has typed.
///
/// # Errors
/// If they cannot be those of a kiosk.
pub fn kiosk_of(name: &str, addresses: &[String]) -> Result<Kiosk, UnusableKiosk> {
    let name = Account::name_of(name).ok_or(UnusableKiosk::Name)?;
    if !(1..=MOST_ADDRESSES).contains(&addresses.len()) {
        return Err(UnusableKiosk::Addresses);
    }
    let network = |text: &String| {
        let shortened = || text.chars().take(64).collect();
        parse_network(text.trim()).ok_or_else(|| UnusableKiosk::Address(shortened()))
    };
    let addresses = addresses.iter().map(network).collect::<Result<_, _>>()?;
    Ok(Kiosk { name, addresses, created: Timestamp::now() })
}

/// When a kiosk was here last, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub(in crate::console) struct KioskSeen {
    #[schemars(with = "String")]
    pub at: Timestamp,
    pub address: IpAddr,
}

/// The kiosks that have been here since the start: nothing depends on it.
#[derive(Debug, Default)]
pub(super) struct KiosksSeen(Mutex<BTreeMap<String, KioskSeen>>);

impl KiosksSeen {
    pub(super) fn note(&self, kiosk: &str, address: IpAddr) {
        let seen = KioskSeen { at: Timestamp::now(), address };
        self.0.lock().insert(kiosk.to_owned(), seen);
    }

    /// A kiosk was taken back: another one may get its name.
    pub(super) fn forget(&self, kiosk: &str) {
        self.0.lock().remove(kiosk);
    }

    pub(super) fn of(&self, kiosk: &str) -> Option<KioskSeen> {
        self.0.lock().get(kiosk).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::tests::assert_known;

    #[test]
    fn a_kiosk_has_a_name_and_addresses() {
        let of = |name: &str, addresses: &[&str]| {
            kiosk_of(name, &addresses.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(of(" CT1 ", &["10.0.0.7", " fd00::/64"]).unwrap().places(), "10.0.0.7/32, fd00::/64");
        for (name, addresses) in
            [("", &["10.0.0.7"][..]), ("..", &["10.0.0.7"]), ("ct1", &[]), ("ct1", &["10.0.0.256"])]
        {
            assert_known(&of(name, addresses).unwrap_err().phrase());
        }
        assert!(of("ct1", &["10.0.0.7"; 17]).is_err());
        assert!(of("ct1", &[&"9".repeat(10_000)]).unwrap_err().to_string().len() < 200);
    }
}
