//! What administrators do about who may use the console, and what everybody may do about the own account. `tableside user` and `tableside
//! kiosk` do the same on the machine: both call what the database has for it (`database::account_changes`).

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::change::AccessChange;
use super::kiosks::KioskSeen;
use super::secret::Secret;
use super::{Access, Caller, Kept, LogInError, UnusableKiosk, Who, is_acceptable, kiosk_of, made_password};
use crate::database::{Account, AccountEdit, Changed, DatabaseError, Kiosk, Role, SecretHash, Session, session_id};
use crate::texts::Phrase;

/// Why something is not changed.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.phrase())]
pub(in crate::console) enum AdministrationError {
    Access(#[from] LogInError),
    Kiosk(#[from] UnusableKiosk),
    NoSuchPerson,
    NoSuchSession,
    NoSuchKiosk,
    KioskNameIsTaken,
    LastAdministrator,
    OwnAccount,
    UnusableShownName,
    UnusableRole,
}

impl AdministrationError {
    /// What people are told.
    pub(in crate::console) fn phrase(&self) -> Phrase {
        Phrase::new(match self {
            Self::Access(error) => return error.phrase(),
            Self::Kiosk(error) => return error.phrase(),
            Self::NoSuchPerson => "error.no_such_person",
            Self::NoSuchSession => "error.no_such_session",
            Self::NoSuchKiosk => "error.no_such_kiosk",
            Self::KioskNameIsTaken => "error.kiosk_name_is_taken",
            Self::LastAdministrator => "error.last_administrator",
            Self::OwnAccount => "error.own_account",
            Self::UnusableShownName => "error.unusable_shown_name",
            Self::UnusableRole => "error.unusable_role",
        })
    }
}

/// A person who is to have an account.
#[derive(Debug)]
pub(in crate::console) struct NewPerson {
    pub name: String,
    pub shown_as: Option<String>,
    pub role: Role,
    /// One is made where none is given.
    pub password: Option<String>,
}

/// A person who has an account.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::console) struct ListedPerson {
    #[serde(flatten)]
    account: Account,
    /// Log-ins that hold.
    sessions: usize,
}

/// A log-in that holds.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::console) struct ListedSession {
    id: String,
    name: String,
    shown_as: String,
    role: Role,
    /// From where the person logged in; `None` for sessions that an earlier version began.
    address: Option<String>,
    #[schemars(with = "String")]
    started: Timestamp,
    /// When something was asked in it last, to the minute.
    #[schemars(with = "String")]
    used: Timestamp,
    /// When it ends if nothing is asked in it any more.
    #[schemars(with = "String")]
    ends_unused: Timestamp,
    /// When it ends at the latest.
    #[schemars(with = "String")]
    ends: Timestamp,
    /// It is the one that asks.
    own: bool,
}

/// A kiosk, and when it was here last since the daemon's start.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::console) struct ListedKiosk {
    #[serde(flatten)]
    kiosk: Kiosk,
    seen: Option<KioskSeen>,
}

type Result<T> = std::result::Result<T, AdministrationError>;

impl Access {
    /// Everybody who has an account, by name.
    pub(in crate::console) async fn people(self: &Arc<Self>) -> Result<Vec<ListedPerson>> {
        let listed = self.on_disk(move |access, kept| {
            let sessions = access.live_sessions(kept, None)?;
            let with_sessions = |account: Account| {
                let sessions = sessions.iter().filter(|session| session.account.name == account.name).count();
                ListedPerson { account, sessions }
            };
            Ok(kept.accounts.accounts()?.into_iter().map(with_sessions).collect())
        });
        Ok(listed.await?)
    }

    /// Gives a person an account. The password, where it was made here: it is told once.
    pub(in crate::console) async fn add_person(
        self: &Arc<Self>,
        NewPerson { name, shown_as, role, password }: NewPerson,
        caller: &Caller,
    ) -> Result<Option<String>> {
        let name = Account::name_of(&name).ok_or(LogInError::UnusableName)?;
        let shown_as = shown_as.filter(|shown_as| !shown_as.trim().is_empty());
        let shown_as = shown_name(shown_as.as_deref().unwrap_or(&name))?;
        let (password, made) = password_of(password)?;
        let account =
            Account { name: name.clone(), shown_as, role: of_people(role)?, created: Timestamp::now(), disabled: None };
        let password = self.keep(password).await?;
        if !self.on_disk(move |_, kept| kept.accounts.add(&account, &password)).await? {
            return Err(LogInError::NameIsTaken.into());
        }
        self.tell(caller, &name, &AccessChange::Added(role));
        Ok(made)
    }

    /// Changes how a person is shown, the role, and whether the person may log in.
    pub(in crate::console) async fn edit_person(
        self: &Arc<Self>,
        name: &str,
        edit: AccountEdit,
        caller: &Caller,
    ) -> Result<()> {
        let AccountEdit { shown_as, role, may_log_in } = edit;
        let shown_as = shown_as.map(|shown_as| shown_name(&shown_as)).transpose()?;
        let role = role.map(of_people).transpose()?;
        let name = Account::name_of(name).ok_or(AdministrationError::NoSuchPerson)?;
        if role.is_some_and(|role| role != Role::Administrator) || may_log_in == Some(false) {
            self.not_oneself(&name, caller).await?;
        }
        let edit = AccountEdit { shown_as, role, may_log_in };
        let asked = name.clone();
        let changed = self.on_disk(move |_, kept| kept.accounts.edit(&asked, &edit, Timestamp::now())).await?;
        let (before, now) = done(changed)?;
        for change in AccessChange::between(&before, &now) {
            self.tell(caller, &name, &change);
        }
        Ok(())
    }

    /// Gives a person another password and ends the person's sessions. The password, where it was made here: it is told once.
    pub(in crate::console) async fn reset_password(
        self: &Arc<Self>,
        name: &str,
        password: Option<String>,
        caller: &Caller,
    ) -> Result<Option<String>> {
        let name = Account::name_of(name).ok_or(AdministrationError::NoSuchPerson)?;
        // The own session would end before the new password is read.
        self.not_oneself(&name, caller).await?;
        let (password, made) = password_of(password)?;
        let password = self.keep(password).await?;
        let asked = name.clone();
        done(self.on_disk(move |_, kept| kept.accounts.set_password(&asked, &password)).await?)?;
        self.tell(caller, &name, &AccessChange::OtherPassword);
        Ok(made)
    }

    /// Removes a person's account and ends the person's sessions.
    pub(in crate::console) async fn remove_person(self: &Arc<Self>, name: &str, caller: &Caller) -> Result<()> {
        let name = Account::name_of(name).ok_or(AdministrationError::NoSuchPerson)?;
        self.not_oneself(&name, caller).await?;
        let asked = name.clone();
        done(self.on_disk(move |_, kept| kept.accounts.remove(&asked)).await?)?;
        self.tell(caller, &name, &AccessChange::Removed);
        Ok(())
    }

    /// The log-ins that hold: everybody's, or one person's.
    pub(in crate::console) async fn sessions(
        self: &Arc<Self>,
        account: Option<&str>,
        caller: &Caller,
    ) -> Result<Vec<ListedSession>> {
        let (account, own) = (account.map(str::to_owned), own_session(caller).map(|(_, session)| session_id(session)));
        let listed = self.on_disk(move |access, kept| {
            let listed = |session: Session| {
                let own = own.as_ref() == Some(&session.id);
                let Session { id, account: Account { name, shown_as, role, .. }, address, started, used } = session;
                let address = address.map(|address| address.to_string());
                let later = |from: Timestamp, limit| from.checked_add(limit).unwrap_or(Timestamp::MAX);
                let ends = later(started, access.options.longest);
                let ends_unused = later(used, access.options.idle).min(ends);
                ListedSession { id, name, shown_as, role, address, started, used, ends_unused, ends, own }
            };
            Ok(access.live_sessions(kept, account.as_deref())?.into_iter().map(listed).collect())
        });
        Ok(listed.await?)
    }

    /// Ends a session by its id; of one account alone where that is named.
    pub(in crate::console) async fn end_session(
        self: &Arc<Self>,
        id: String,
        account: Option<&str>,
        caller: &Caller,
    ) -> Result<()> {
        let (account, asked) = (account.map(str::to_owned), id.clone());
        let ended = self.on_disk(move |_, kept| kept.accounts.end_session_named(&asked, account.as_deref())).await?;
        let whose = ended.ok_or(AdministrationError::NoSuchSession)?;
        self.tell(caller, &whose, &AccessChange::SessionEnded(&id));
        Ok(())
    }

    /// All kiosks by name.
    pub(in crate::console) async fn kiosks(self: &Arc<Self>) -> Result<Vec<ListedKiosk>> {
        let listed = self.on_disk(move |_, kept| {
            let seen = |kiosk: Kiosk| ListedKiosk { seen: kept.kiosks_seen.of(&kiosk.name), kiosk };
            Ok(kept.accounts.kiosks()?.into_iter().map(seen).collect())
        });
        Ok(listed.await?)
    }

    /// Lets a screen in that nobody logs in at. Its token, which is told once.
    pub(in crate::console) async fn add_kiosk(
        self: &Arc<Self>,
        name: &str,
        addresses: &[String],
        caller: &Caller,
    ) -> Result<String> {
        let (kiosk, secret) = (kiosk_of(name, addresses)?, Secret::new());
        let (added, hash) = (kiosk.clone(), secret.hash());
        if !self.on_disk(move |_, kept| kept.accounts.add_kiosk(&added, &hash)).await? {
            return Err(AdministrationError::KioskNameIsTaken);
        }
        self.tell(caller, &kiosk.name, &AccessChange::KioskAdded(&kiosk));
        Ok(secret.text())
    }

    /// Takes a kiosk's token back.
    pub(in crate::console) async fn revoke_kiosk(self: &Arc<Self>, name: &str, caller: &Caller) -> Result<()> {
        let name = Account::name_of(name).ok_or(AdministrationError::NoSuchKiosk)?;
        let asked = name.clone();
        let revoked = self.on_disk(move |_, kept| {
            kept.kiosks_seen.forget(&asked);
            kept.accounts.revoke_kiosk(&asked)
        });
        if !revoked.await? {
            return Err(AdministrationError::NoSuchKiosk);
        }
        self.tell(caller, &name, &AccessChange::KioskRevoked);
        Ok(())
    }

    /// Gives the person who asks another password and ends the person's other sessions. Takes the one before: who finds a browser open
    /// cannot take the account over.
    pub(in crate::console) async fn change_own_password(
        self: &Arc<Self>,
        before: String,
        password: String,
        caller: &Caller,
    ) -> Result<()> {
        let (account, session) = own_session(caller).ok_or(LogInError::Open)?;
        if !is_acceptable(&password) {
            return Err(LogInError::UnusablePassword.into());
        }
        self.prove(&account.name, before, caller).await?;
        let password = self.keep(password).await?;
        let (name, session) = (account.name.clone(), *session);
        if !self.on_disk(move |_, kept| kept.accounts.set_own_password(&name, &session, &password)).await? {
            return Err(AdministrationError::NoSuchSession);
        }
        self.tell(caller, &account.name, &AccessChange::OwnPassword);
        Ok(())
    }

    fn live_sessions(&self, kept: &Kept, account: Option<&str>) -> std::result::Result<Vec<Session>, DatabaseError> {
        let now = Timestamp::now();
        let sessions = kept.accounts.sessions(account)?;
        Ok(sessions.into_iter().filter(|session| self.holds(session, now)).collect())
    }

    /// An administrator does not shut the door behind themselves by accident.
    async fn not_oneself(self: &Arc<Self>, name: &str, caller: &Caller) -> Result<()> {
        if caller.account() != Some(name) {
            return Ok(());
        }
        let asked = name.to_owned();
        let has_other = self.on_disk(move |_, kept| kept.accounts.has_administrator_beside(&asked)).await?;
        Err(if has_other { AdministrationError::OwnAccount } else { AdministrationError::LastAdministrator })
    }
}

/// The person who asks, and in which session.
fn own_session(caller: &Caller) -> Option<(&Account, &SecretHash)> {
    if let Who::Person { account, session } = &caller.who { Some((account, session)) } else { None }
}

fn done<T>(changed: Changed<T>) -> Result<T> {
    match changed {
        Changed::Done(done) => Ok(done),
        Changed::NoSuchAccount => Err(AdministrationError::NoSuchPerson),
        Changed::LastAdministrator => Err(AdministrationError::LastAdministrator),
    }
}

fn shown_name(typed: &str) -> Result<String> {
    Account::shown_as_of(typed).ok_or(AdministrationError::UnusableShownName)
}

fn of_people(role: Role) -> Result<Role> {
    if role.is_of_people() { Ok(role) } else { Err(AdministrationError::UnusableRole) }
}

/// A password that is given, or one that is made: then it is told too.
fn password_of(given: Option<String>) -> Result<(String, Option<String>)> {
    match given {
        Some(given) if is_acceptable(&given) => Ok((given, None)),
        Some(_) => Err(LogInError::UnusablePassword.into()),
        None => {
            let made = made_password();
            Ok((made.clone(), Some(made)))
        }
    }
}
