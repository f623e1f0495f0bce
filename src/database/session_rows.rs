//! Sessions of people.

use std::net::IpAddr;

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, TransactionBehavior, params};

use super::DatabaseError;
use super::account::{NewSession, SESSION_ID_BYTES, SecretHash, Session, session_id};
use super::account_rows::{Accounts, account};
use super::rows::{time, unreadable};

const SELECT: &str = "SELECT account.*, token_sha256, address, started_us, used_us
    FROM session JOIN account ON account.name = session.account";

impl Accounts {
    /// Begins a session of an account, in place of another one where the browser had one; `false` if the account is gone, may not log in
    /// or has another password by now.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn begin_session(&self, new: &NewSession<'_>) -> Result<bool, DatabaseError> {
        let NewSession { token, account, password, address, now, instead_of } = new;
        let mut connection = self.connection.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(before) = instead_of {
            transaction.execute("DELETE FROM session WHERE token_sha256 = ?1", [before])?;
        }
        let insert = "INSERT INTO session (token_sha256, account, started_us, used_us, address)
            SELECT ?1, name, ?3, ?3, ?4 FROM account WHERE name = ?2 AND disabled_us IS NULL AND password_hash = ?5";
        let (now, address) = (now.as_microsecond(), address.to_string());
        let inserted = transaction.execute(insert, params![token, account, now, address, password.hash])?;
        transaction.commit()?;
        Ok(inserted == 1)
    }

    /// A session, whether it has ended by its limits or not.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn session(&self, token: &SecretHash) -> Result<Option<Session>, DatabaseError> {
        let connection = self.connection.lock();
        let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE token_sha256 = ?1"))?;
        Ok(statement.query_row([token], session).optional()?)
    }

    /// All sessions by name and time, whether they have ended by their limits or not; those of one account, where one is named.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn sessions(&self, account: Option<&str>) -> Result<Vec<Session>, DatabaseError> {
        let connection = self.connection.lock();
        let all = format!("{SELECT} WHERE ?1 IS NULL OR account.name = ?1 ORDER BY account.name, started_us");
        let mut statement = connection.prepare_cached(&all)?;
        let sessions = statement.query_map([account], session)?.collect::<rusqlite::Result<_>>()?;
        Ok(sessions)
    }

    /// Notes that a session was used.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn used(&self, token: &SecretHash, now: Timestamp) -> Result<(), DatabaseError> {
        let note = "UPDATE session SET used_us = ?2 WHERE token_sha256 = ?1";
        self.connection.lock().execute(note, params![token, now.as_microsecond()])?;
        Ok(())
    }

    /// Ends a session.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn end_session(&self, token: &SecretHash) -> Result<(), DatabaseError> {
        self.connection.lock().execute("DELETE FROM session WHERE token_sha256 = ?1", [token])?;
        Ok(())
    }

    /// Ends the session of this id, of one account where one is named. Whose it was; `None` if there is none.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn end_session_named(&self, id: &str, account: Option<&str>) -> Result<Option<String>, DatabaseError> {
        let end =
            "DELETE FROM session WHERE lower(hex(substr(token_sha256, 1, ?3))) = ?1 AND (?2 IS NULL OR account = ?2)
            RETURNING account";
        let connection = self.connection.lock();
        let mut statement = connection.prepare_cached(end)?;
        Ok(statement.query_row(params![id, account, SESSION_ID_BYTES as i64], |row| row.get(0)).optional()?)
    }

    /// Removes sessions that have ended by their limits.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn remove_sessions(&self, used_before: Timestamp, started_before: Timestamp) -> Result<(), DatabaseError> {
        let (used, started) = (used_before.as_microsecond(), started_before.as_microsecond());
        self.connection.lock().execute("DELETE FROM session WHERE used_us < ?1 OR started_us < ?2", [used, started])?;
        Ok(())
    }
}

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    let address: Option<String> = row.get("address")?;
    let address = address.map(|address| address.parse::<IpAddr>()).transpose();
    Ok(Session {
        id: session_id(&row.get("token_sha256")?),
        account: account(row)?,
        address: address.map_err(|error| unreadable(row, "address", error))?,
        started: time(row, "started_us")?,
        used: time(row, "used_us")?,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::Ipv4Addr;

    use jiff::ToSpan as _;

    use super::super::account::{Account, KeptPassword};
    use super::super::account_rows::tests::{accounts, person};
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));

    fn new<'a>(token: &'a SecretHash, account: &'a Account, password: &'a KeptPassword) -> NewSession<'a> {
        let (account, now) = (account.name.as_str(), account.created);
        NewSession { token, account, password, address: ADDRESS, now, instead_of: None }
    }

    pub(in crate::database) fn begin(
        accounts: &Accounts,
        token: u8,
        account: &Account,
        password: &KeptPassword,
    ) -> bool {
        accounts.begin_session(&new(&[token; 32], account, password)).unwrap()
    }

    #[test]
    fn a_log_in_ends_the_session_before_and_its_use_is_noted() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = accounts(&folder);
        assert!(!accounts.has_accounts().unwrap());
        let (ann, password) = person("ann");
        assert!(accounts.add(&ann, &password).unwrap() && !accounts.add(&ann, &password).unwrap());
        assert_eq!(accounts.account("ann").unwrap(), Some((ann.clone(), password.clone())));
        let (one, two, now) = ([1; 32], [2; 32], ann.created);
        assert!(begin(&accounts, 1, &ann, &password));
        let later = NewSession { now: now + 1.minute(), instead_of: Some(&one), ..new(&two, &ann, &password) };
        assert!(accounts.begin_session(&later).unwrap());
        assert_eq!(accounts.session(&one).unwrap(), None, "a log-in ends the session before");
        accounts.used(&two, now + 2.minutes()).unwrap();
        let session = accounts.session(&two).unwrap().unwrap();
        assert_eq!((session.started, session.used), (now + 1.minute(), now + 2.minutes()));
        assert_eq!((session.address, session.id.as_str()), (Some(ADDRESS), "0202020202020202"));
        let nobody = person("bob").0;
        assert!(!begin(&accounts, 3, &nobody, &password));
    }

    #[test]
    fn sessions_past_either_limit_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = accounts(&folder);
        let (ann, password) = person("ann");
        accounts.add(&ann, &password).unwrap();
        for (token, minute) in [([1; 32], 0), ([2; 32], 10)] {
            let now = ann.created + minute.minutes();
            assert!(accounts.begin_session(&NewSession { now, ..new(&token, &ann, &password) }).unwrap());
        }
        accounts.used(&[1; 32], ann.created + 10.minutes()).unwrap();
        accounts.remove_sessions(ann.created + 5.minutes(), ann.created).unwrap();
        assert!(accounts.session(&[1; 32]).unwrap().is_some() && accounts.session(&[2; 32]).unwrap().is_some());
        accounts.remove_sessions(ann.created, ann.created + 5.minutes()).unwrap();
        assert!(accounts.session(&[1; 32]).unwrap().is_none() && accounts.session(&[2; 32]).unwrap().is_some());
    }

    #[test]
    fn a_session_is_ended_by_its_name_and_by_nobody_elses_person() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = accounts(&folder);
        for (token, name) in [(1, "ann"), (2, "bob"), (3, "ann")] {
            let (account, password) = person(name);
            accounts.add(&account, &password).unwrap();
            assert!(begin(&accounts, token, &account, &password));
        }
        let ids = |of: Option<&str>| -> Vec<String> {
            accounts.sessions(of).unwrap().into_iter().map(|session| session.id).collect()
        };
        assert_eq!(ids(None), ["0101010101010101", "0303030303030303", "0202020202020202"]);
        assert_eq!(ids(Some("ann")).len(), 2);
        for wrong in ["", "01", "%", "0101010101010101' OR 1", "01010101010101010"] {
            assert_eq!(accounts.end_session_named(wrong, None).unwrap(), None, "{wrong}");
        }
        assert_eq!(accounts.end_session_named("0202020202020202", Some("ann")).unwrap(), None);
        assert_eq!(accounts.end_session_named("0202020202020202", None).unwrap(), Some("bob".to_owned()));
        assert_eq!(accounts.end_session_named("0303030303030303", Some("ann")).unwrap(), Some("ann".to_owned()));
        assert_eq!(ids(None), ["0101010101010101"]);
    }
}
