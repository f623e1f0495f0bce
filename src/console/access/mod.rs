//! Who may see and do what. Each request passes the `gate`, which asks in this order: under which name it was sent (`origin`), from
//! which site, for which route (`matrix`), by whom. What is not known is refused. `docs/access.md` is for those who run it.

mod administration;
mod at_provider;
mod caller;
mod change;
mod cookie;
mod delay;
mod gate;
mod kiosks;
mod log_in;
mod matrix;
mod names;
mod options;
mod origin;
mod passwords;
#[cfg(feature = "openid")]
mod provider;
mod secret;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, header};
use jiff::{SignedDuration, Timestamp};

use crate::audit::{Audit, Event, Peer};
use crate::database::{Accounts, DatabaseError, SecretHash, Session};
use crate::telemetry;
pub(super) use administration::{AdministrationError, ListedKiosk, ListedPerson, ListedSession, NewPerson};
pub(super) use caller::{Caller, Known, Who};
pub use change::AccessChange;
use cookie::{Cookies, TokenKind};
use delay::Delays;
pub(super) use gate::{gate, is_ours};
use kiosks::KiosksSeen;
pub use kiosks::{UnusableKiosk, kiosk_of};
pub(super) use log_in::LogInError;
pub use options::{AccessMode, AccessOptions, Names, ProviderOptions};
use passwords::Passwords;
pub use passwords::{SHORTEST_PASSWORD, is_acceptable, keep_password, made_password};
pub use secret::Secret;

/// How long a set-up link holds.
pub const SETUP_LINK_HOLDS: Duration = Duration::from_mins(15);

/// Whoever sends this header only looks at what goes on by itself, as the page of administration does every few seconds: it is no use of
/// a session. Who lies with it shortens the own session.
const WATCHING: HeaderName = HeaderName::from_static("tableside-watching");

/// The use of a session is written down no more often than this: each time is a write with a sync.
const USE_NOTED_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// Decides about each request.
#[derive(Debug)]
pub struct Access {
    options: AccessOptions,
    cookies: Cookies,
    own: Secret,
    audit: Arc<Audit>,
    /// `None` where the console is open.
    kept: Option<Kept>,
    #[cfg(feature = "openid")]
    provider: Option<Arc<provider::Provider>>,
}

/// What log-ins take.
#[derive(Debug)]
struct Kept {
    accounts: Accounts,
    passwords: Passwords,
    delays: Delays,
    kiosks_seen: KiosksSeen,
}

/// Why nobody can be told who may use the console.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("cannot start threads: {0}")]
    Threads(#[from] std::io::Error),
}

impl Access {
    /// Starts on a database that is there already, for a console at an address.
    ///
    /// # Errors
    /// If the database cannot be used, or the system gives no thread.
    pub fn start(
        options: AccessOptions,
        listen: SocketAddr,
        database: &Path,
        audit: Arc<Audit>,
    ) -> Result<Self, AccessError> {
        let kept = match options.mode {
            AccessMode::Open => None,
            AccessMode::Accounts => Some(Kept {
                accounts: Accounts::open(database)?,
                passwords: Passwords::start()?,
                delays: Delays::default(),
                kiosks_seen: KiosksSeen::default(),
            }),
        };
        let cookies = Cookies { secure: options.has_secure_cookies(listen.ip()) };
        #[cfg(feature = "openid")]
        let provider = options.provider.clone().map(|options| Arc::new(provider::Provider::new(options)));
        Ok(Self {
            options,
            cookies,
            own: Secret::new(),
            audit,
            kept,
            #[cfg(feature = "openid")]
            provider,
        })
    }

    /// What this process presents to its own console, as `Authorization: Bearer`.
    #[must_use]
    pub fn own_token(&self) -> String {
        self.own.text()
    }

    pub(super) fn options(&self) -> &AccessOptions {
        &self.options
    }

    /// Whether nobody can log in yet; where the console is open nobody has to.
    pub(super) fn is_first_run(&self) -> Result<bool, DatabaseError> {
        self.kept.as_ref().map_or(Ok(false), |kept| kept.accounts.has_accounts().map(|has_some| !has_some))
    }

    /// Who asks. `counts`: whether a session is used by it.
    fn caller(&self, headers: &HeaderMap, address: IpAddr, counts: bool) -> Result<Caller, DatabaseError> {
        let who = match &self.kept {
            None => Who::Anybody,
            Some(kept) => match headers.get(header::AUTHORIZATION) {
                Some(presented) => self.program(presented.as_bytes()),
                None => self.at_browser(kept, headers, address, counts)?,
            },
        };
        let names = if matches!(who, Who::Table { .. }) { self.options.table_names } else { self.options.names };
        Ok(Caller { who, address, names })
    }

    /// A program with a token.
    fn program(&self, presented: &[u8]) -> Who {
        let Some(token) = presented.strip_prefix(b"Bearer ") else { return Who::Nobody };
        if secret::same(token, self.own.text().as_bytes()) {
            return Who::Ourselves;
        }
        // Read each time: it may be changed at any time.
        let file = self.options.metrics_token.as_ref();
        match file.map(std::fs::read_to_string) {
            Some(Ok(expected)) if !expected.trim().is_empty() && secret::same(token, expected.trim().as_bytes()) => {
                Who::Monitoring
            }
            Some(Err(error)) => {
                tracing::error!(%error, "metrics.token_file cannot be read: nobody is let in by its token");
                Who::Nobody
            }
            _ => Who::Nobody,
        }
    }

    fn at_browser(
        &self,
        kept: &Kept,
        headers: &HeaderMap,
        address: IpAddr,
        counts: bool,
    ) -> Result<Who, DatabaseError> {
        let Some((kind, secret)) = self.cookies.presented(headers) else { return Ok(Who::Nobody) };
        let (hash, now) = (secret.hash(), Timestamp::now());
        match kind {
            TokenKind::Session => {
                let Some(session) = self.session(kept, &hash, now)? else { return Ok(Who::Nobody) };
                if counts && now.duration_since(session.used) >= USE_NOTED_EVERY {
                    kept.accounts.used(&hash, now)?;
                }
                Ok(Who::Person { account: session.account, session: hash })
            }
            TokenKind::Kiosk => Ok(self.kiosk(kept, &hash, address)?.unwrap_or(Who::Nobody)),
        }
    }

    /// A session that holds.
    fn session(&self, kept: &Kept, hash: &SecretHash, now: Timestamp) -> Result<Option<Session>, DatabaseError> {
        Ok(kept.accounts.session(hash)?.filter(|session| self.holds(session, now)))
    }

    /// Whether a session has not come to either limit.
    fn holds(&self, session: &Session, now: Timestamp) -> bool {
        let within = |since: Timestamp, limit: Duration| {
            SignedDuration::try_from(limit).is_ok_and(|limit| now.duration_since(since) < limit)
        };
        within(session.used, self.options.idle) && within(session.started, self.options.longest)
    }

    /// A kiosk at an address of its own.
    fn kiosk(&self, kept: &Kept, hash: &SecretHash, address: IpAddr) -> Result<Option<Who>, DatabaseError> {
        let Some(kiosk) = kept.accounts.kiosk(hash)? else { return Ok(None) };
        if kiosk.stands_at(address) {
            kept.kiosks_seen.note(&kiosk.name, address);
            return Ok(Some(Who::Table { kiosk: kiosk.name, token: *hash }));
        }
        tracing::warn!(kiosk = kiosk.name, %address, "a kiosk's token comes from elsewhere: refused");
        telemetry::console_refused("kiosk_address");
        let peer = Peer { ae_title: String::new(), address: address.to_string() };
        self.audit.caller_refused(peer, format!("the token of kiosk {} comes from elsewhere", kiosk.name));
        Ok(None)
    }

    /// Whether somebody who was let in still may: for what lasts.
    pub(super) fn still_holds(&self, caller: &Caller) -> bool {
        let Some(kept) = &self.kept else { return true };
        let found = match &caller.who {
            Who::Person { session, .. } => self.session(kept, session, Timestamp::now()).map(|found| found.is_some()),
            Who::Table { token, .. } => self.kiosk(kept, token, caller.address).map(|found| found.is_some()),
            Who::Ourselves => Ok(true),
            Who::Nobody | Who::Anybody | Who::Monitoring => Ok(false),
        };
        found.unwrap_or_else(|error| {
            tracing::error!(%error, "whether somebody may still watch cannot be looked up: cut off");
            false
        })
    }

    /// Does what reads or writes the disk where nobody else waits for it.
    async fn on_disk<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self, &Kept) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, LogInError> {
        let access = self.clone();
        let done = tokio::task::spawn_blocking(move || match &access.kept {
            Some(kept) => work(&access, kept).map_err(LogInError::Database),
            None => Err(LogInError::Open),
        });
        done.await.unwrap_or(Err(LogInError::Busy))
    }

    /// Tells the log and the audit trail what somebody has changed.
    fn tell(&self, caller: &Caller, whose: &str, change: &AccessChange<'_>) {
        tracing::info!(whose, by = caller.account(), address = %caller.address, %change, "who may use the console was changed");
        let (who, whose, change) = (caller.person(None), whose.to_owned(), change.to_string());
        self.audit.note(Event::AccessChanged { who, whose, change });
    }

    /// The header that has a browser forget what bound it to a log-in at the provider.
    pub(super) fn forget_browser(&self) -> String {
        self.cookies.unbind()
    }
}
