//! What is changed of who may use the console, in the words of the audit trail and the log. No secret can be among them.

use std::fmt;

use crate::database::{Account, Kiosk, Role};

/// A change to an account, a session, a kiosk or the set-up link.
#[derive(Debug, Clone, Copy)]
pub enum AccessChange<'a> {
    Added(Role),
    /// A set-up link was made.
    SetUpLink,
    /// A set-up link was used.
    SetUp(Role),
    /// Somebody else gave another password.
    OtherPassword,
    /// The person has changed it.
    OwnPassword,
    ShownAs {
        before: &'a str,
        now: &'a str,
    },
    Role {
        before: Role,
        now: Role,
    },
    Disabled,
    Enabled,
    Removed,
    /// The session of this id was ended, which was somebody's log-in.
    SessionEnded(&'a str),
    KioskAdded(&'a Kiosk),
    KioskRevoked,
}

impl<'a> AccessChange<'a> {
    /// In what an account differs from the same one before.
    #[must_use]
    pub fn between(before: &'a Account, now: &'a Account) -> Vec<Self> {
        let shown_as = Self::ShownAs { before: &before.shown_as, now: &now.shown_as };
        let role = Self::Role { before: before.role, now: now.role };
        let log_in = if now.disabled.is_some() { Self::Disabled } else { Self::Enabled };
        let differ = [
            (before.shown_as != now.shown_as, shown_as),
            (before.role != now.role, role),
            (before.disabled.is_some() != now.disabled.is_some(), log_in),
        ];
        differ.into_iter().filter_map(|(differs, change)| differs.then_some(change)).collect()
    }
}

impl fmt::Display for AccessChange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(role) => write!(f, "added as {}", role.as_str()),
            Self::SetUpLink => f.write_str("made"),
            Self::SetUp(role) => write!(f, "made by a set-up link: {}", role.as_str()),
            Self::OtherPassword => f.write_str("given another password"),
            Self::OwnPassword => f.write_str("changed the own password"),
            Self::ShownAs { before, now } => write!(f, "shown as {now}, before: {before}"),
            Self::Role { before, now } => write!(f, "role {}, before: {}", now.as_str(), before.as_str()),
            Self::Disabled => f.write_str("disabled"),
            Self::Enabled => f.write_str("enabled"),
            Self::Removed => f.write_str("removed"),
            Self::SessionEnded(id) => write!(f, "session {id} ended"),
            Self::KioskAdded(kiosk) => write!(f, "kiosk added, at {}", kiosk.places()),
            Self::KioskRevoked => f.write_str("kiosk revoked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn what_differs_of_an_account_is_told_and_nothing_else() {
        let before = Account {
            name: "ann".to_owned(),
            shown_as: "Ann".to_owned(),
            role: Role::Reader,
            created: Timestamp::UNIX_EPOCH,
            disabled: None,
        };
        let told = |now: &Account| -> Vec<String> {
            AccessChange::between(&before, now).iter().map(ToString::to_string).collect()
        };
        assert!(told(&before).is_empty());
        let disabled = Some(Timestamp::UNIX_EPOCH);
        let now = Account { shown_as: "A. Berg".to_owned(), role: Role::Clinic, disabled, ..before.clone() };
        assert_eq!(told(&now), ["shown as A. Berg, before: Ann", "role clinic, before: reader", "disabled"]);
    }
}
