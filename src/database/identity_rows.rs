//! People whom an OpenID provider names. Each has an account like others; its password nobody knows, until an administrator gives one.

use rusqlite::{OptionalExtension as _, TransactionBehavior, params};

use super::DatabaseError;
use super::account::{Account, KeptPassword};
use super::account_changes::{end_sessions, has_administrator};
use super::account_rows::{Accounts, account, insert, password};
use super::rows::word;

/// Whom an OpenID provider names (OpenID Connect Core 1.0 section 5.7: these two together, and nothing else, name a person for good).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'a> {
    pub issuer: &'a str,
    pub subject: &'a str,
}

/// What came of the log-in of a person whom a provider names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entered {
    /// The account as it is now, and its password.
    Done(Account, KeptPassword),
    /// The name belongs to somebody else.
    NameIsTaken,
    /// The provider gives the only administrator another role: nothing has changed.
    LastAdministrator,
}

impl Accounts {
    /// The account of a person whom a provider names. It is made where there is none; its role and how it is shown become those of `now`,
    /// its name stays. Another role ends the person's sessions.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn enter(
        &self,
        identity: Identity<'_>,
        now: &Account,
        unknown_password: &KeptPassword,
    ) -> Result<Entered, DatabaseError> {
        let Identity { issuer, subject } = identity;
        let mut connection = self.connection.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let find = "SELECT account.* FROM account JOIN identity ON identity.account = account.name
            WHERE issuer = ?1 AND subject = ?2";
        let read = || {
            let found = transaction.query_row(find, [issuer, subject], |row| Ok((account(row)?, password(row)?)));
            found.optional()
        };
        let had_administrator = has_administrator(&transaction)?;
        match read()? {
            None if !insert(&transaction, now, unknown_password)? => return Ok(Entered::NameIsTaken),
            None => {
                let add = "INSERT INTO identity (issuer, subject, account) VALUES (?1, ?2, ?3)";
                transaction.execute(add, params![issuer, subject, now.name])?;
            }
            Some((before, _)) => {
                let set = "UPDATE account SET shown_as = ?2, role = ?3 WHERE name = ?1";
                transaction.execute(set, params![before.name, now.shown_as, word(&now.role)?])?;
                if before.role != now.role {
                    end_sessions(&transaction, &before.name)?;
                }
            }
        }
        if had_administrator && !has_administrator(&transaction)? {
            return Ok(Entered::LastAdministrator);
        }
        let Some((account, password)) = read()? else { return Ok(Entered::NameIsTaken) };
        transaction.commit()?;
        Ok(Entered::Done(account, password))
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::Role;
    use super::super::account_rows::tests::{accounts, person};
    use super::super::session_rows::tests::begin;
    use super::*;

    const ANN: Identity<'_> = Identity { issuer: "https://login.example", subject: "1" };

    fn entered(accounts: &Accounts, identity: Identity<'_>, account: &Account) -> Entered {
        accounts.enter(identity, account, &person(&account.name).1).unwrap()
    }

    #[test]
    fn a_person_keeps_the_account_under_another_name_and_gets_the_providers_role() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = accounts(&folder);
        let (ann, password) = person("ann");
        let first = Account { role: Role::Technician, ..ann.clone() };
        assert_eq!(entered(&accounts, ANN, &first), Entered::Done(first.clone(), password.clone()));
        assert!(begin(&accounts, 1, &first, &password));
        let married = Account { name: "anna".to_owned(), shown_as: "Anna".to_owned(), ..first.clone() };
        let expected = Account { shown_as: "Anna".to_owned(), ..first.clone() };
        assert_eq!(entered(&accounts, ANN, &married), Entered::Done(expected.clone(), password.clone()));
        assert!(accounts.session(&[1; 32]).unwrap().is_some());
        let reader = Account { role: Role::Reader, ..married };
        assert!(matches!(entered(&accounts, ANN, &reader), Entered::Done(account, _) if account.role == Role::Reader));
        assert!(accounts.session(&[1; 32]).unwrap().is_none(), "another role ends the sessions");
        assert_eq!(accounts.accounts().unwrap().len(), 1);
    }

    #[test]
    fn nobody_comes_into_the_account_of_somebody_else() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = accounts(&folder);
        let (ann, password) = person("ann");
        accounts.add(&ann, &password).unwrap();
        assert_eq!(entered(&accounts, ANN, &ann), Entered::NameIsTaken);
        let (bob, _) = person("bob");
        assert!(matches!(entered(&accounts, ANN, &bob), Entered::Done(..)));
        for other in [Identity { subject: "2", ..ANN }, Identity { issuer: "https://other.example", ..ANN }] {
            assert_eq!(entered(&accounts, other, &bob), Entered::NameIsTaken);
        }
        accounts.remove("bob").unwrap();
        assert!(matches!(entered(&accounts, ANN, &bob), Entered::Done(..)), "a removed account is forgotten");
    }

    #[test]
    fn a_provider_does_not_take_the_last_administrator_away() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = accounts(&folder);
        let administrator = Account { role: Role::Administrator, ..person("ann").0 };
        entered(&accounts, ANN, &administrator);
        let reader = Account { role: Role::Reader, ..administrator.clone() };
        assert_eq!(entered(&accounts, ANN, &reader), Entered::LastAdministrator);
        assert_eq!(accounts.accounts().unwrap()[0].role, Role::Administrator);
        accounts.add(&Account { name: "bob".to_owned(), ..administrator }, &person("bob").1).unwrap();
        assert!(matches!(entered(&accounts, ANN, &reader), Entered::Done(..)));
    }
}
