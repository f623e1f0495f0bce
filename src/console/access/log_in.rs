//! How people and kiosks come in, and go.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::change::AccessChange;
use super::cookie::TokenKind;
use super::passwords::{self, Busy, is_acceptable};
use super::secret::Secret;
use super::{Access, Caller, SHORTEST_PASSWORD, Who};
use crate::audit::{Event, Outcome, Person};
use crate::database::{Account, DatabaseError, KeptPassword, NewSession, Role, SetUp};
use crate::telemetry;
use crate::texts::Phrase;

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.phrase())]
pub(in crate::console) enum LogInError {
    Wrong,
    Disabled,
    Wait(Duration),
    Busy,
    NoSuchLink,
    NoSuchKiosk,
    NameIsTaken,
    UnusableName,
    UnusablePassword,
    Open,
    NoProvider,
    NotAtProvider,
    #[cfg(feature = "openid")]
    LastAdministrator,
    #[cfg(feature = "openid")]
    Provider(Box<super::provider::ProviderError>),
    Database(#[from] DatabaseError),
}

impl LogInError {
    /// What people are told.
    pub(in crate::console) fn phrase(&self) -> Phrase {
        match self {
            Self::Wrong => Phrase::new("error.wrong_password"),
            Self::Disabled => Phrase::new("error.disabled"),
            Self::Wait(wait) => Phrase::new("error.wait").with("seconds", (wait.as_secs() + 1).to_string()),
            Self::Busy => Phrase::new("error.busy"),
            Self::NoSuchLink => Phrase::new("error.no_such_link"),
            Self::NoSuchKiosk => Phrase::new("error.unknown_kiosk"),
            Self::NameIsTaken => Phrase::new("error.name_is_taken"),
            Self::UnusableName => Phrase::new("error.unusable_name"),
            Self::UnusablePassword => {
                let longest = passwords::LONGEST_PASSWORD.to_string();
                let told = Phrase::new("error.unusable_password").with("shortest", SHORTEST_PASSWORD.to_string());
                told.with("longest", longest)
            }
            Self::Open => Phrase::new("error.console_is_open"),
            Self::NoProvider => Phrase::new("error.no_provider"),
            Self::NotAtProvider => Phrase::new("error.not_at_provider"),
            #[cfg(feature = "openid")]
            Self::LastAdministrator => Phrase::new("error.provider_takes_administrator"),
            #[cfg(feature = "openid")]
            Self::Provider(error) => Phrase::english(error.to_string()),
            Self::Database(error) => {
                Phrase::new("error.accounts_are_unknown").with("reason", Phrase::english(error.to_string()))
            }
        }
    }
}

impl LogInError {
    /// How the page knows why nobody was logged in at the provider.
    pub(in crate::console) fn at_provider(&self) -> &'static str {
        match self {
            Self::NotAtProvider => "refused",
            Self::NameIsTaken => "name_taken",
            Self::Disabled => "disabled",
            #[cfg(feature = "openid")]
            Self::LastAdministrator => "last_administrator",
            Self::Open | Self::NoProvider => "none",
            #[cfg(feature = "openid")]
            Self::Provider(error) => error.code(),
            Self::Busy | Self::Wait(_) | Self::Database(_) => "busy",
            Self::Wrong | Self::NoSuchLink | Self::NoSuchKiosk | Self::UnusableName | Self::UnusablePassword => {
                "unusable"
            }
        }
    }
}

impl Access {
    /// Lets a person in, by name and password. The header that has the browser keep the session.
    pub(in crate::console) async fn log_in(
        self: &Arc<Self>,
        name: &str,
        password: String,
        caller: &Caller,
    ) -> Result<(Account, String), LogInError> {
        // Whoever tries what is no name has to wait too.
        let name = Account::name_of(name).unwrap_or_default();
        let (account, password) = self.prove(&name, password, caller).await?;
        let header = self.begin_session(&account, &password, caller).await?;
        Ok((account, header))
    }

    /// Whose password it is, and how it is kept. Who fails waits before the next try, and is recorded.
    pub(super) async fn prove(
        self: &Arc<Self>,
        name: &str,
        password: String,
        caller: &Caller,
    ) -> Result<(Account, KeptPassword), LogInError> {
        let kept = self.kept.as_ref().ok_or(LogInError::Open)?;
        let place = kept.passwords.place(kept.delays.knows(name, caller.address)).map_err(|Busy| {
            telemetry::log_in("busy");
            LogInError::Busy
        })?;
        let now = Instant::now();
        kept.delays.attempt(name, caller.address, now).map_err(|wait| {
            telemetry::log_in("delayed");
            LogInError::Wait(wait)
        })?;
        let asked = name.to_owned();
        let found = self.on_disk(move |_, kept| kept.accounts.account(&asked)).await?;
        let (account, right) = found.map_or((None, None), |(account, password)| (Some(account), Some(password)));
        let password = if password.len() <= passwords::LONGEST_PASSWORD { password } else { String::new() };
        let is_right = place.check(password, right.clone()).await;
        // Who has the right password may know that it is of no use; nobody else is told.
        let refusal = match &account {
            Some(account) if is_right && account.disabled.is_none() => None,
            Some(_) if is_right => Some(LogInError::Disabled),
            _ => Some(LogInError::Wrong),
        };
        if let Some(refusal) = refusal {
            kept.delays.failed(name, caller.address, Instant::now());
            telemetry::log_in("failed");
            // A name that nobody has is not told: it may be a password that was typed into the wrong field.
            let account = account.map(|account| account.name);
            tracing::info!(account, address = %caller.address, reason = %refusal, "a log-in failed");
            let who = Person::AtConsole { address: caller.address.to_string(), account, initials: None };
            self.audit.log_in_failed(who, refusal.to_string());
            return Err(refusal);
        }
        kept.delays.succeeded(name, caller.address, now);
        account.zip(right).ok_or(LogInError::Wrong)
    }

    pub(super) async fn begin_session(
        self: &Arc<Self>,
        account: &Account,
        password: &KeptPassword,
        caller: &Caller,
    ) -> Result<String, LogInError> {
        let (secret, now) = (Secret::new(), Timestamp::now());
        let instead_of = if let Who::Person { session, .. } = &caller.who { Some(*session) } else { None };
        let (hash, name, password, address) = (secret.hash(), account.name.clone(), password.clone(), caller.address);
        let begun = self.on_disk(move |access, kept| {
            let ago = |limit: Duration| now.checked_sub(limit).unwrap_or(Timestamp::MIN);
            kept.accounts.remove_sessions(ago(access.options.idle), ago(access.options.longest))?;
            let (token, account, password, instead_of) = (&hash, name.as_str(), &password, instead_of.as_ref());
            kept.accounts.begin_session(&NewSession { token, account, password, address, now, instead_of })
        });
        if !begun.await? {
            return Err(LogInError::Wrong);
        }
        telemetry::log_in("succeeded");
        let who = Who::Person { account: account.clone(), session: hash };
        let who = Caller { who, ..caller.clone() }.person(None);
        tracing::info!(account = account.name, address = %caller.address, "logged in");
        self.audit.note(Event::LoggedIn { who, outcome: Outcome::Done });
        Ok(self.cookies.keep(TokenKind::Session, &secret))
    }

    /// Lets a kiosk in, by its token. The header that has the browser keep it.
    pub(in crate::console) fn let_kiosk_in(&self, token: &str, address: IpAddr) -> Result<String, LogInError> {
        let kept = self.kept.as_ref().ok_or(LogInError::Open)?;
        let secret = Secret::presented(token).ok_or(LogInError::NoSuchKiosk)?;
        self.kiosk(kept, &secret.hash(), address)?.ok_or(LogInError::NoSuchKiosk)?;
        Ok(self.cookies.keep(TokenKind::Kiosk, &secret))
    }

    /// Makes an administrator by a set-up link, and lets the person in.
    pub(in crate::console) async fn set_up(
        self: &Arc<Self>,
        token: &str,
        name: &str,
        shown_as: &str,
        password: String,
        caller: &Caller,
    ) -> Result<(Account, String), LogInError> {
        if self.kept.is_none() {
            return Err(LogInError::Open);
        }
        let token = Secret::presented(token).ok_or(LogInError::NoSuchLink)?.hash();
        if !self.on_disk(move |_, kept| kept.accounts.setup_link_holds(&token, Timestamp::now())).await? {
            return Err(LogInError::NoSuchLink);
        }
        let name = Account::name_of(name).ok_or(LogInError::UnusableName)?;
        let shown_as = Account::shown_as_of(shown_as).unwrap_or_else(|| name.clone());
        if !is_acceptable(&password) {
            return Err(LogInError::UnusablePassword);
        }
        let password = self.keep(password).await?;
        let (role, created) = (Role::Administrator, Timestamp::now());
        let account = Account { name, shown_as, role, created, disabled: None };
        let (made, of_account) = (account.clone(), password.clone());
        match self.on_disk(move |_, kept| kept.accounts.set_up(&token, &made, &of_account)).await? {
            SetUp::Done => {}
            SetUp::NoSuchLink => return Err(LogInError::NoSuchLink),
            SetUp::NameIsTaken => return Err(LogInError::NameIsTaken),
        }
        self.tell(caller, &account.name, &AccessChange::SetUp(role));
        let header = self.begin_session(&account, &password, caller).await?;
        Ok((account, header))
    }

    /// A password as it is to be kept.
    pub(super) async fn keep(&self, password: String) -> Result<KeptPassword, LogInError> {
        let kept = self.kept.as_ref().ok_or(LogInError::Open)?;
        // Whoever gives a password has a session or a set-up link already: it is no stranger.
        let place = kept.passwords.place(true).map_err(|Busy| LogInError::Busy)?;
        place.keep(password).await.ok_or(LogInError::Busy)
    }

    /// Ends a person's session. The header that has the browser forget it.
    pub(in crate::console) fn log_out(&self, caller: &Caller) -> Result<String, DatabaseError> {
        if let (Some(kept), Who::Person { session, .. }) = (&self.kept, &caller.who) {
            kept.accounts.end_session(session)?;
            self.audit.note(Event::LoggedOut { who: caller.person(None) });
        }
        Ok(self.cookies.forget())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::tests::assert_known;

    /// Those that have parameters; a test of the page knows the names of all.
    #[test]
    fn refusals_are_said_in_every_language() {
        let lost = DatabaseError::Sqlite(rusqlite::Error::InvalidQuery);
        let wait = LogInError::Wait(Duration::from_millis(2500));
        assert_eq!(wait.to_string(), "too many failures: try again in 3 s");
        for refusal in [wait, LogInError::UnusablePassword, LogInError::Database(lost)] {
            assert_known(&refusal.phrase());
        }
    }
}
