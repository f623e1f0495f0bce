//! Who may see and do what. Each request passes the `gate`, which asks in this order: under which name it was sent (`origin`), from
//! which site, for which route (`matrix`), by whom. What is not known is refused. `docs/access.md` is for those who run it.

mod caller;
mod cookie;
mod delay;
mod gate;
mod matrix;
mod names;
mod options;
mod origin;
mod passwords;
mod secret;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp};

use crate::audit::{Audit, Event, Outcome, Peer, Person};
use crate::database::{Account, Accounts, DatabaseError, Role, SecretHash, Session, SetUp};
use crate::telemetry;
pub(super) use caller::{Caller, Known, Who};
use cookie::{Cookies, TokenKind};
use delay::Delays;
pub(super) use gate::{gate, is_ours};
pub use options::{AccessMode, AccessOptions, Names};
use passwords::{Busy, Passwords};
pub use passwords::{SHORTEST_PASSWORD, is_acceptable, keep_password};
pub use secret::Secret;

/// How long a set-up link holds.
pub const SETUP_LINK_HOLDS: Duration = Duration::from_mins(15);

/// The use of a session is written down no more often than this: each time is a write with a sync.
const USE_NOTED_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum LogInError {
    #[error("name or password is wrong")]
    Wrong,
    #[error("too many failures: try again in {} s", .0.as_secs() + 1)]
    Wait(Duration),
    #[error("too many people log in at once: try again in a moment")]
    Busy,
    #[error("this link was used or has expired: tableside admin setup-link makes another")]
    NoSuchLink,
    #[error("this kiosk is not known here, or stands elsewhere")]
    NoSuchKiosk,
    #[error("there is an account of this name already")]
    NameIsTaken,
    #[error("a name has 1 to 32 letters, digits and .-_@")]
    UnusableName,
    #[error("a password has at least {SHORTEST_PASSWORD} characters and at most {} bytes", passwords::LONGEST_PASSWORD)]
    UnusablePassword,
    #[error("the console is open: nobody logs in")]
    Open,
    #[error("accounts cannot be looked up: {0}")]
    Database(#[from] DatabaseError),
}

/// Decides about each request.
#[derive(Debug)]
pub struct Access {
    options: AccessOptions,
    cookies: Cookies,
    own: Secret,
    audit: Arc<Audit>,
    /// `None` where the console is open.
    kept: Option<Kept>,
}

/// What log-ins take.
#[derive(Debug)]
struct Kept {
    accounts: Accounts,
    passwords: Passwords,
    delays: Delays,
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
            }),
        };
        let cookies = Cookies { secure: options.has_secure_cookies(listen.ip()) };
        Ok(Self { options, cookies, own: Secret::new(), audit, kept })
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
        let within = |since: Timestamp, limit: Duration| {
            SignedDuration::try_from(limit).is_ok_and(|limit| now.duration_since(since) < limit)
        };
        let holds = |session: &Session| {
            within(session.used, self.options.idle) && within(session.started, self.options.longest)
        };
        Ok(kept.accounts.session(hash)?.filter(holds))
    }

    /// A kiosk at an address of its own.
    fn kiosk(&self, kept: &Kept, hash: &SecretHash, address: IpAddr) -> Result<Option<Who>, DatabaseError> {
        let Some(kiosk) = kept.accounts.kiosk(hash)? else { return Ok(None) };
        if kiosk.stands_at(address) {
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

    /// Lets a person in, by name and password. The header that has the browser keep the session.
    pub(super) async fn log_in(
        self: &Arc<Self>,
        name: &str,
        password: String,
        caller: &Caller,
    ) -> Result<(Account, String), LogInError> {
        let kept = self.kept.as_ref().ok_or(LogInError::Open)?;
        // Whoever tries what is no name has to wait too.
        let name = Account::name_of(name).unwrap_or_default();
        let now = Instant::now();
        kept.delays.attempt(&name, caller.address, now).map_err(|wait| {
            telemetry::log_in("delayed");
            LogInError::Wait(wait)
        })?;
        let asked = name.clone();
        let found = self.on_disk(move |_, kept| kept.accounts.account(&asked)).await?;
        let (account, right) = found.map_or((None, None), |(account, password)| (Some(account), Some(password)));
        let password = if password.len() <= passwords::LONGEST_PASSWORD { password } else { String::new() };
        let is_right = kept.passwords.is_right(password, right).await.map_err(|Busy| {
            kept.delays.not_tried(&name, caller.address);
            telemetry::log_in("busy");
            LogInError::Busy
        })?;
        if !is_right {
            kept.delays.failed(&name, caller.address, Instant::now());
            telemetry::log_in("failed");
            // A name that nobody has is not told: it may be a password that was typed into the wrong field.
            let account = account.map(|account| account.name);
            tracing::info!(account, address = %caller.address, "a log-in failed");
            let who = Person::AtConsole { address: caller.address.to_string(), account, initials: None };
            self.audit.log_in_failed(who);
            return Err(LogInError::Wrong);
        }
        let account = account.ok_or(LogInError::Wrong)?;
        kept.delays.succeeded(&name, caller.address, now);
        let header = self.begin_session(&account, caller).await?;
        Ok((account, header))
    }

    async fn begin_session(self: &Arc<Self>, account: &Account, caller: &Caller) -> Result<String, LogInError> {
        let (secret, now) = (Secret::new(), Timestamp::now());
        let before = if let Who::Person { session, .. } = &caller.who { Some(*session) } else { None };
        let (hash, name) = (secret.hash(), account.name.clone());
        self.on_disk(move |access, kept| {
            let ago = |limit: Duration| now.checked_sub(limit).unwrap_or(Timestamp::MIN);
            kept.accounts.remove_sessions(ago(access.options.idle), ago(access.options.longest))?;
            kept.accounts.begin_session(&hash, &name, now, before.as_ref())
        })
        .await?;
        telemetry::log_in("succeeded");
        let who = Who::Person { account: account.clone(), session: hash };
        let who = Caller { who, ..caller.clone() }.person(None);
        tracing::info!(account = account.name, address = %caller.address, "logged in");
        self.audit.note(Event::LoggedIn { who, outcome: Outcome::Done });
        Ok(self.cookies.keep(TokenKind::Session, &secret))
    }

    /// Lets a kiosk in, by its token. The header that has the browser keep it.
    pub(super) fn let_kiosk_in(&self, token: &str, address: IpAddr) -> Result<String, LogInError> {
        let kept = self.kept.as_ref().ok_or(LogInError::Open)?;
        let secret = Secret::presented(token).ok_or(LogInError::NoSuchKiosk)?;
        self.kiosk(kept, &secret.hash(), address)?.ok_or(LogInError::NoSuchKiosk)?;
        Ok(self.cookies.keep(TokenKind::Kiosk, &secret))
    }

    /// Makes an administrator by a set-up link, and lets the person in.
    pub(super) async fn set_up(
        self: &Arc<Self>,
        token: &str,
        name: &str,
        shown_as: &str,
        password: String,
        caller: &Caller,
    ) -> Result<(Account, String), LogInError> {
        let kept = self.kept.as_ref().ok_or(LogInError::Open)?;
        let token = Secret::presented(token).ok_or(LogInError::NoSuchLink)?.hash();
        if !self.on_disk(move |_, kept| kept.accounts.setup_link_holds(&token, Timestamp::now())).await? {
            return Err(LogInError::NoSuchLink);
        }
        let name = Account::name_of(name).ok_or(LogInError::UnusableName)?;
        let shown_as = Account::shown_as_of(shown_as).unwrap_or_else(|| name.clone());
        if !is_acceptable(&password) {
            return Err(LogInError::UnusablePassword);
        }
        let password = kept.passwords.keep(password).await.map_err(|Busy| LogInError::Busy)?;
        let password = password.ok_or(LogInError::Busy)?;
        let account = Account { name, shown_as, role: Role::Administrator, created: Timestamp::now() };
        let made = account.clone();
        match self.on_disk(move |_, kept| kept.accounts.set_up(&token, &made, &password)).await? {
            SetUp::Done => {}
            SetUp::NoSuchLink => return Err(LogInError::NoSuchLink),
            SetUp::NameIsTaken => return Err(LogInError::NameIsTaken),
        }
        let change = format!("made by a set-up link: {}", account.role.as_str());
        self.audit.note(Event::AccessChanged { who: caller.person(None), whose: account.name.clone(), change });
        let header = self.begin_session(&account, caller).await?;
        Ok((account, header))
    }

    /// Ends a person's session. The header that has the browser forget it.
    pub(super) fn log_out(&self, caller: &Caller) -> Result<String, DatabaseError> {
        if let (Some(kept), Who::Person { session, .. }) = (&self.kept, &caller.who) {
            kept.accounts.end_session(session)?;
            self.audit.note(Event::LoggedOut { who: caller.person(None) });
        }
        Ok(self.cookies.forget())
    }
}
