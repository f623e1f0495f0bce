//! What is configured of who may see and do what.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::client_tls::host_of_url;
use crate::database::Role;
use crate::texts::Phrase;

/// Who may use the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessMode {
    /// Who logs in, and kiosks.
    #[default]
    Accounts,
    /// Whoever reaches it, as technician.
    Open,
}

/// How patients are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Names {
    /// With ID, birth date and sex.
    #[default]
    Full,
    /// Initials and sex.
    Initials,
    /// The exam's key alone.
    Key,
}

/// The OpenID provider at which people log in too, and what it is to the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderOptions {
    /// Its issuer identifier (OpenID Connect Discovery 1.0 section 3).
    pub issuer: String,
    pub client_id: String,
    /// The file with the client's secret.
    pub client_secret: PathBuf,
    /// Where browsers reach the console; no slash at its end.
    pub console_url: String,
    /// PEM file of the authorities that may have signed the provider's certificate.
    pub authorities: PathBuf,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim with the name that the person types.
    pub name_claim: String,
    /// The claim with what gives a role.
    pub role_claim: String,
    /// Which values of it mean which role; the first role that one means counts.
    pub roles: Vec<(Role, Vec<String>)>,
}

impl ProviderOptions {
    /// Where it is reached: a name or an address, without a port.
    #[must_use]
    pub fn host(&self) -> String {
        host_of_url(&self.issuer)
    }
}

impl Default for ProviderOptions {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            client_id: String::new(),
            client_secret: PathBuf::new(),
            console_url: String::new(),
            authorities: PathBuf::new(),
            scopes: vec!["profile".to_owned()],
            name_claim: "preferred_username".to_owned(),
            role_claim: "groups".to_owned(),
            roles: Vec::new(),
        }
    }
}

/// Who may use the console, from where, and what is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessOptions {
    pub mode: AccessMode,
    /// It may be used from elsewhere without TLS, or without accounts.
    pub insecure: bool,
    /// Names, beside `localhost` and addresses, under which browsers reach it.
    pub hosts: Vec<String>,
    /// Who says on whose behalf it asks.
    pub proxies: Vec<IpNet>,
    /// A session ends when nothing was asked in it for so long, and at the latest after `longest`.
    pub idle: Duration,
    pub longest: Duration,
    /// For people.
    pub names: Names,
    /// For tables.
    pub table_names: Names,
    /// Where people log in too.
    pub provider: Option<ProviderOptions>,
    /// Certificate and key; without them it is served in the clear.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Where metrics and health are served beside the console, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// The file with the token for metrics and health on the console's own port.
    pub metrics_token: Option<PathBuf>,
}

impl Default for AccessOptions {
    fn default() -> Self {
        Self {
            mode: AccessMode::default(),
            insecure: false,
            hosts: Vec::new(),
            proxies: Vec::new(),
            idle: Duration::from_hours(1),
            longest: Duration::from_hours(12),
            names: Names::Full,
            table_names: Names::Initials,
            provider: None,
            tls: None,
            metrics_listen: None,
            metrics_token: None,
        }
    }
}

/// What is wrong with a console that others on the network reach.
enum Weakness {
    Open,
    Unencrypted,
}

impl AccessOptions {
    fn weakness(&self, address: IpAddr) -> Option<Weakness> {
        match (self.mode, &self.tls) {
            _ if address.to_canonical().is_loopback() => None,
            (AccessMode::Open, _) => Some(Weakness::Open),
            (AccessMode::Accounts, None) => Some(Weakness::Unencrypted),
            (AccessMode::Accounts, Some(_)) => None,
        }
    }

    /// Why it may not be served at an address; `None` if it may.
    #[must_use]
    pub fn forbids(&self, address: IpAddr) -> Option<&'static str> {
        self.weakness(address).filter(|_| !self.insecure).map(|weakness| match weakness {
            Weakness::Open => {
                "console.listen is open to the network and console.access is open: use accounts, or say console.insecure = true"
            }
            Weakness::Unencrypted => {
                "console.listen is open to the network without TLS: give console.certificate and console.key, or say console.insecure = true"
            }
        })
    }

    /// What whoever looks should know of a console that is served at an address all the same.
    #[must_use]
    pub fn notice(&self, address: IpAddr) -> Option<Phrase> {
        self.weakness(address).filter(|_| self.insecure).map(|weakness| match weakness {
            Weakness::Open => Phrase::new("daemon.console_is_open"),
            Weakness::Unencrypted => Phrase::new("daemon.console_is_not_encrypted"),
        })
    }

    /// Whether browsers take only cookies that are sent encrypted: not where somebody has said that it need not be.
    #[must_use]
    pub fn has_secure_cookies(&self, listen: IpAddr) -> bool {
        self.tls.is_some() || listen.to_canonical().is_loopback() || !self.insecure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_loopback_it_takes_tls_and_accounts_or_somebody_who_says_that_it_need_not() {
        let files = Some((PathBuf::from("a.pem"), PathBuf::from("a.key")));
        let forbidden = |mode, insecure, tls: &Option<_>, address: &str| {
            let options = AccessOptions { mode, insecure, tls: tls.clone(), ..AccessOptions::default() };
            options.forbids(address.parse().unwrap()).is_some()
        };
        for mode in [AccessMode::Accounts, AccessMode::Open] {
            for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
                assert!(!forbidden(mode, false, &None, address));
            }
            assert!(forbidden(mode, false, &None, "0.0.0.0") && !forbidden(mode, true, &None, "0.0.0.0"));
        }
        assert!(!forbidden(AccessMode::Accounts, false, &files, "::"));
        assert!(forbidden(AccessMode::Open, false, &files, "10.0.0.7"));
    }
}
