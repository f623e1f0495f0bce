//! What is changed of accounts. Each change is one transaction, which takes the file's write lock before it looks: whoever changes
//! something at the same time, here or by a command, comes before or after it. So there is always somebody left who may administer the
//! console, once there is somebody.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::DatabaseError;
use super::account::{Account, AccountEdit, Changed, KeptPassword, Role, SecretHash};
use super::account_rows::{Accounts, account};
use super::rows::word;

impl Accounts {
    /// Gives an account another password and ends its sessions.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn set_password(&self, name: &str, password: &KeptPassword) -> Result<Changed, DatabaseError> {
        let changed = self.change(name, |transaction| {
            put_password(transaction, name, password)?;
            end_sessions(transaction, name)
        })?;
        Ok(changed.map(|_| ()))
    }

    /// Gives the account of a session another password and ends its other sessions; `false` if the session has ended meanwhile.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn set_own_password(
        &self,
        name: &str,
        session: &SecretHash,
        password: &KeptPassword,
    ) -> Result<bool, DatabaseError> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let holds = "SELECT EXISTS (SELECT 1 FROM session WHERE token_sha256 = ?1 AND account = ?2)";
        if !transaction.query_row(holds, params![session, name], |row| row.get(0))? {
            return Ok(false);
        }
        put_password(&transaction, name, password)?;
        transaction.execute("DELETE FROM session WHERE account = ?1 AND token_sha256 <> ?2", params![name, session])?;
        transaction.commit()?;
        Ok(true)
    }

    /// Changes who somebody is. Another role, and that the person may not log in, end the person's sessions. The account before and
    /// after it.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn edit(
        &self,
        name: &str,
        edit: &AccountEdit,
        now: Timestamp,
    ) -> Result<Changed<(Account, Account)>, DatabaseError> {
        let role = edit.role.map(|role| word(&role)).transpose()?;
        self.change(name, |transaction| {
            let set = "UPDATE account SET shown_as = coalesce(?2, shown_as), role = coalesce(?3, role), disabled_us =
                CASE ?4 WHEN TRUE THEN NULL WHEN FALSE THEN coalesce(disabled_us, ?5) ELSE disabled_us END
                WHERE name = ?1";
            let before = read(transaction, name)?;
            transaction.execute(set, params![name, edit.shown_as, role, edit.may_log_in, now.as_microsecond()])?;
            let after = read(transaction, name)?;
            let is_another = |one: &Account, other: &Account| one.role != other.role || other.disabled.is_some();
            if before.zip(after).is_some_and(|(before, after)| is_another(&before, &after)) {
                end_sessions(transaction, name)?;
            }
            Ok(())
        })
    }

    /// Removes an account and its sessions.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn remove(&self, name: &str) -> Result<Changed, DatabaseError> {
        let changed = self.change(name, |transaction| {
            transaction.execute("DELETE FROM account WHERE name = ?1", [name])?;
            Ok(())
        })?;
        Ok(changed.map(|_| ()))
    }

    /// Whether somebody but this one may administer the console.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn has_administrator_beside(&self, name: &str) -> Result<bool, DatabaseError> {
        let others = "SELECT EXISTS (SELECT 1 FROM account WHERE role = ?1 AND disabled_us IS NULL AND name <> ?2)";
        let role = word(&Role::Administrator)?;
        Ok(self.connection.lock().query_row(others, params![role, name], |row| row.get(0))?)
    }

    /// Does a change to an account that is there, unless nobody could administer the console afterwards. The account before and after;
    /// one that is removed is told as it was.
    fn change(
        &self,
        name: &str,
        work: impl FnOnce(&Transaction<'_>) -> Result<(), DatabaseError>,
    ) -> Result<Changed<(Account, Account)>, DatabaseError> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let Some(before) = read(&transaction, name)? else { return Ok(Changed::NoSuchAccount) };
        let had_some = has_administrator(&transaction)?;
        work(&transaction)?;
        if had_some && !has_administrator(&transaction)? {
            return Ok(Changed::LastAdministrator);
        }
        let after = read(&transaction, name)?.unwrap_or_else(|| before.clone());
        transaction.commit()?;
        Ok(Changed::Done((before, after)))
    }
}

fn read(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<Option<Account>> {
    transaction.query_row("SELECT * FROM account WHERE name = ?1", [name], account).optional()
}

pub(super) fn has_administrator(transaction: &Transaction<'_>) -> Result<bool, DatabaseError> {
    let has = "SELECT EXISTS (SELECT 1 FROM account WHERE role = ?1 AND disabled_us IS NULL)";
    Ok(transaction.query_row(has, [word(&Role::Administrator)?], |row| row.get(0))?)
}

fn put_password(transaction: &Transaction<'_>, name: &str, password: &KeptPassword) -> Result<(), DatabaseError> {
    let set =
        "UPDATE account SET password_salt = ?2, password_hash = ?3, password_memory_kib = ?4, password_passes = ?5
        WHERE name = ?1";
    let KeptPassword { salt, hash, memory_kib, passes } = password;
    transaction.execute(set, params![name, salt, hash, memory_kib, passes])?;
    Ok(())
}

pub(super) fn end_sessions(transaction: &Transaction<'_>, name: &str) -> Result<(), DatabaseError> {
    transaction.execute("DELETE FROM session WHERE account = ?1", [name])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::account_rows::tests::{accounts, person};
    use super::super::session_rows::tests::begin;
    use super::*;

    fn edit(role: Option<Role>, may_log_in: Option<bool>) -> AccountEdit {
        AccountEdit { shown_as: None, role, may_log_in }
    }

    #[test]
    fn another_role_password_or_log_in_that_is_taken_back_ends_sessions_and_another_shown_name_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = accounts(&folder);
        let (ann, password) = person("ann");
        let now = ann.created;
        accounts.add(&ann, &password).unwrap();
        let ends = |change: &dyn Fn()| {
            assert!(begin(&accounts, 1, &ann, &password) && begin(&accounts, 2, &ann, &password));
            change();
            [1, 2].map(|token| accounts.session(&[token; 32]).unwrap().is_none())
        };
        let shown_as = AccountEdit { shown_as: Some("Ann".to_owned()), ..AccountEdit::default() };
        assert_eq!(ends(&|| drop(accounts.edit("ann", &shown_as, now).unwrap())), [false; 2]);
        accounts.end_session(&[1; 32]).unwrap();
        accounts.end_session(&[2; 32]).unwrap();
        assert_eq!(ends(&|| drop(accounts.edit("ann", &edit(Some(Role::Reader), None), now).unwrap())), [true; 2]);
        assert_eq!(
            ends(&|| assert_eq!(accounts.set_password("ann", &password).unwrap(), Changed::Done(()))),
            [true; 2]
        );
        assert_eq!(ends(&|| assert!(accounts.set_own_password("ann", &[2; 32], &password).unwrap())), [true, false]);
        accounts.end_session(&[2; 32]).unwrap();
        assert!(!accounts.set_own_password("ann", &[2; 32], &password).unwrap(), "whose session has ended");
        assert_eq!(ends(&|| drop(accounts.edit("ann", &edit(None, Some(false)), now).unwrap())), [true; 2]);
        assert!(!begin(&accounts, 1, &ann, &password), "who may not log in");
        let Changed::Done((before, after)) = accounts.edit("ann", &edit(None, Some(true)), now).unwrap() else {
            panic!("ann is there");
        };
        assert_eq!((before.disabled, after.disabled, after.shown_as.as_str()), (Some(now), None, "Ann"));
        let other = KeptPassword { hash: [9; 32], ..password.clone() };
        assert!(!begin(&accounts, 1, &ann, &other), "by a password that is not the account's any more");
        assert_eq!(ends(&|| assert_eq!(accounts.remove("ann").unwrap(), Changed::Done(()))), [true; 2]);
        assert_eq!(accounts.remove("ann").unwrap(), Changed::NoSuchAccount);
        assert_eq!(accounts.set_password("ann", &password).unwrap(), Changed::NoSuchAccount);
    }

    #[test]
    fn the_last_administrator_stays_and_may_log_in() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = accounts(&folder);
        let (root, password) = person("root");
        let now = root.created;
        accounts.add(&Account { role: Role::Administrator, ..root }, &password).unwrap();
        accounts.add(&person("ann").0, &password).unwrap();
        assert!(!accounts.has_administrator_beside("root").unwrap());
        let refused = |accounts: &Accounts| {
            assert_eq!(accounts.remove("root").unwrap(), Changed::LastAdministrator);
            for edit in [edit(Some(Role::Clinic), None), edit(None, Some(false))] {
                assert_eq!(accounts.edit("root", &edit, now).unwrap(), Changed::LastAdministrator);
            }
        };
        refused(&accounts);
        // Somebody who may not log in administers nothing.
        accounts.edit("ann", &edit(Some(Role::Administrator), Some(false)), now).unwrap();
        refused(&accounts);
        accounts.edit("ann", &edit(None, Some(true)), now).unwrap();
        assert!(accounts.has_administrator_beside("root").unwrap());
        assert_eq!(accounts.remove("root").unwrap(), Changed::Done(()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn no_sequence_of_changes_leaves_nobody_who_may_administer(
            changes in prop::collection::vec((0..3_usize, 0..5_u8, 0..4_usize), 1..30)
        ) {
            let folder = tempfile::tempdir().unwrap();
            // A command has a connection of its own.
            let (console, command) = (accounts(&folder), accounts(&folder));
            let names = ["root", "ann", "bob"];
            let (root, password) = person("root");
            console.add(&Account { role: Role::Administrator, ..root.clone() }, &password).unwrap();
            for (number, (name, what, role)) in changes.into_iter().enumerate() {
                let by = if number % 2 == 0 { &console } else { &command };
                let (name, role) = (names[name], Role::ALL[role]);
                match what {
                    0 => _ = by.add(&Account { role, ..person(name).0 }, &password).unwrap(),
                    1 => _ = by.remove(name).unwrap(),
                    2 => drop(by.edit(name, &edit(Some(role), None), root.created).unwrap()),
                    3 => drop(by.edit(name, &edit(None, Some(false)), root.created).unwrap()),
                    _ => drop(by.edit(name, &edit(Some(role), Some(true)), root.created).unwrap()),
                }
                let is_one = |account: &Account| account.role == Role::Administrator && account.disabled.is_none();
                prop_assert!(console.accounts().unwrap().iter().any(is_one));
            }
        }
    }
}
