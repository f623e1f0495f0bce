//! Who asks.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::matrix;
use super::options::Names;
use crate::audit::Person;
use crate::database::{Account, Role, SecretHash};

/// As whom somebody asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::console) enum Who {
    Nobody,
    /// Whoever reaches an open console.
    Anybody,
    Person {
        account: Account,
        session: SecretHash,
    },
    Table {
        kiosk: String,
        token: SecretHash,
    },
    /// This process, which watches its own console for the synthetic patient's verdict.
    Ourselves,
    /// Whoever has the token for metrics.
    Monitoring,
}

/// Who asks, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::console) struct Caller {
    pub who: Who,
    pub address: IpAddr,
    /// How patients are named to this one.
    pub names: Names,
}

/// What the page is told of who uses it.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(clippy::struct_excessive_bools)]
pub(in crate::console) struct Known {
    /// `None` where nobody has logged in by name.
    name: Option<String>,
    /// How acknowledgements name this person; `None` where initials are to be typed.
    shown_as: Option<String>,
    role: Role,
    sees_exams: bool,
    acknowledges: bool,
    records_outcomes: bool,
    delivers: bool,
}

impl Caller {
    pub(in crate::console) fn role(&self) -> Option<Role> {
        match &self.who {
            Who::Anybody => Some(Role::Technician),
            Who::Person { account, .. } => Some(account.role),
            Who::Table { .. } => Some(Role::Table),
            Who::Ourselves => Some(Role::Reader),
            Who::Nobody | Who::Monitoring => None,
        }
    }

    pub(in crate::console) fn sees_exams(&self) -> bool {
        self.role().is_some_and(matrix::sees_exams)
    }

    /// Whether the reasons may be told why the daemon is not ready: they name folders and devices.
    pub(in crate::console) fn sees_problems(&self) -> bool {
        self.who != Who::Nobody
    }

    /// Who acknowledges: the person who has logged in, or else whose initials were typed.
    pub(in crate::console) fn signs_as(&self, typed: Option<String>) -> String {
        match &self.who {
            Who::Person { account, .. } => account.shown_as.clone(),
            _ => typed.unwrap_or_default(),
        }
    }

    /// The account of the person who has logged in.
    pub(in crate::console) fn account(&self) -> Option<&str> {
        if let Who::Person { account, .. } = &self.who { Some(&account.name) } else { None }
    }

    /// As the audit trail knows this one.
    pub(in crate::console) fn person(&self, initials: Option<String>) -> Person {
        let (account, initials) = match &self.who {
            Who::Person { account, .. } => (Some(account.name.clone()), Some(account.shown_as.clone())),
            Who::Table { kiosk, .. } => (Some(format!("kiosk {kiosk}")), initials),
            Who::Nobody | Who::Anybody | Who::Ourselves | Who::Monitoring => (None, initials),
        };
        Person::AtConsole { address: self.address.to_string(), account, initials }
    }

    pub(in crate::console) fn known(&self) -> Option<Known> {
        let role = self.role()?;
        let (name, shown_as) = match &self.who {
            Who::Person { account, .. } => (Some(account.name.clone()), Some(account.shown_as.clone())),
            Who::Table { kiosk, .. } => (Some(kiosk.clone()), None),
            _ => (None, None),
        };
        Some(Known {
            name,
            shown_as,
            role,
            sees_exams: matrix::sees_exams(role),
            acknowledges: matrix::acknowledges(role),
            records_outcomes: matrix::records_outcomes(role),
            delivers: matrix::delivers(role),
        })
    }
}
