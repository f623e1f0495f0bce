//! Accounts, kiosks and the set-up link; `account_changes` changes accounts, `session_rows` has their sessions. They have a connection of
//! their own: nobody who reads or writes exams waits for it, but for the file's own lock. Commands change them while a daemon runs, so
//! nothing of them is remembered outside the file.

use std::path::Path;

use jiff::Timestamp;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::account::{Account, KeptPassword, Kiosk, SecretHash};
use super::rows::{enumerated, optional_time, time, unreadable, word};
use super::{DatabaseError, connect_kept};

/// All that says who may use the console.
#[derive(Debug)]
pub struct Accounts {
    pub(super) connection: Mutex<Connection>,
}

impl Accounts {
    /// Opens them in a database that is there already, while a daemon may be running.
    ///
    /// # Errors
    /// If there is none, or it has the layout of another version.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        Ok(Self { connection: Mutex::new(connect_kept(path)?) })
    }

    /// An account and its password.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn account(&self, name: &str) -> Result<Option<(Account, KeptPassword)>, DatabaseError> {
        let connection = self.connection.lock();
        let mut statement = connection.prepare_cached("SELECT * FROM account WHERE name = ?1")?;
        let found = statement.query_row([name], |row| Ok((account(row)?, password(row)?))).optional()?;
        Ok(found)
    }

    /// All accounts by name.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn accounts(&self) -> Result<Vec<Account>, DatabaseError> {
        let connection = self.connection.lock();
        let mut statement = connection.prepare_cached("SELECT * FROM account ORDER BY name")?;
        let accounts = statement.query_map([], account)?.collect::<rusqlite::Result<_>>()?;
        Ok(accounts)
    }

    /// Whether somebody can log in.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn has_accounts(&self) -> Result<bool, DatabaseError> {
        Ok(self.connection.lock().query_row("SELECT EXISTS (SELECT 1 FROM account)", [], |row| row.get(0))?)
    }

    /// Adds an account; `false` if there is one of this name.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn add(&self, account: &Account, password: &KeptPassword) -> Result<bool, DatabaseError> {
        insert(&self.connection.lock(), account, password)
    }

    /// Adds a kiosk; `false` if there is one of this name.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn add_kiosk(&self, kiosk: &Kiosk, token: &SecretHash) -> Result<bool, DatabaseError> {
        let add = "INSERT INTO kiosk VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO NOTHING";
        let addresses: Vec<String> = kiosk.addresses.iter().map(ToString::to_string).collect();
        let (addresses, created) = (addresses.join(" "), kiosk.created.as_microsecond());
        Ok(self.connection.lock().execute(add, params![kiosk.name, token, addresses, created])? == 1)
    }

    /// The kiosk that has this token.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn kiosk(&self, token: &SecretHash) -> Result<Option<Kiosk>, DatabaseError> {
        let connection = self.connection.lock();
        let mut statement = connection.prepare_cached("SELECT * FROM kiosk WHERE token_sha256 = ?1")?;
        Ok(statement.query_row([token], kiosk).optional()?)
    }

    /// All kiosks by name.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn kiosks(&self) -> Result<Vec<Kiosk>, DatabaseError> {
        let connection = self.connection.lock();
        let mut statement = connection.prepare_cached("SELECT * FROM kiosk ORDER BY name")?;
        let kiosks = statement.query_map([], kiosk)?.collect::<rusqlite::Result<_>>()?;
        Ok(kiosks)
    }

    /// Takes a kiosk's token back; `false` if there is none of this name.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn revoke_kiosk(&self, name: &str) -> Result<bool, DatabaseError> {
        Ok(self.connection.lock().execute("DELETE FROM kiosk WHERE name = ?1", [name])? == 1)
    }

    /// Keeps a set-up link, in place of any before.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn put_setup_link(&self, token: &SecretHash, expires: Timestamp) -> Result<(), DatabaseError> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction()?;
        transaction.execute("DELETE FROM setup_link", [])?;
        transaction.execute("INSERT INTO setup_link VALUES (?1, ?2)", params![token, expires.as_microsecond()])?;
        transaction.commit()?;
        Ok(())
    }

    /// Whether a set-up link holds.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn setup_link_holds(&self, token: &SecretHash, now: Timestamp) -> Result<bool, DatabaseError> {
        let holds = "SELECT EXISTS (SELECT 1 FROM setup_link WHERE token_sha256 = ?1 AND expires_us > ?2)";
        Ok(self.connection.lock().query_row(holds, params![token, now.as_microsecond()], |row| row.get(0))?)
    }

    /// Adds an account by a set-up link, which is used up by it.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn set_up(
        &self,
        token: &SecretHash,
        account: &Account,
        password: &KeptPassword,
    ) -> Result<SetUp, DatabaseError> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction()?;
        let take = "DELETE FROM setup_link WHERE token_sha256 = ?1 AND expires_us > ?2";
        if transaction.execute(take, params![token, account.created.as_microsecond()])? == 0 {
            return Ok(SetUp::NoSuchLink);
        }
        if !insert(&transaction, account, password)? {
            return Ok(SetUp::NameIsTaken);
        }
        transaction.commit()?;
        Ok(SetUp::Done)
    }
}

/// What came of a set-up link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetUp {
    Done,
    /// It was used, has expired or was never made.
    NoSuchLink,
    /// The link still holds.
    NameIsTaken,
}

pub(super) fn insert(
    connection: &Connection,
    account: &Account,
    password: &KeptPassword,
) -> Result<bool, DatabaseError> {
    let add = "INSERT INTO account VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL) ON CONFLICT (name) DO NOTHING";
    let Account { name, shown_as, role, created, disabled: _ } = account;
    let KeptPassword { salt, hash, memory_kib, passes } = password;
    let (role, created) = (word(role)?, created.as_microsecond());
    Ok(connection.execute(add, params![name, shown_as, role, salt, hash, memory_kib, passes, created])? == 1)
}

pub(super) fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        name: row.get("name")?,
        shown_as: row.get("shown_as")?,
        role: enumerated(row, "role")?,
        created: time(row, "created_us")?,
        disabled: optional_time(row, "disabled_us")?,
    })
}

pub(super) fn password(row: &Row<'_>) -> rusqlite::Result<KeptPassword> {
    Ok(KeptPassword {
        salt: row.get("password_salt")?,
        hash: row.get("password_hash")?,
        memory_kib: row.get("password_memory_kib")?,
        passes: row.get("password_passes")?,
    })
}

fn kiosk(row: &Row<'_>) -> rusqlite::Result<Kiosk> {
    let addresses: String = row.get("addresses")?;
    let addresses = addresses.split(' ').map(str::parse).collect::<Result<_, _>>();
    Ok(Kiosk {
        name: row.get("name")?,
        addresses: addresses.map_err(|error: ipnet::AddrParseError| unreadable(row, "addresses", error))?,
        created: time(row, "created_us")?,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::ToSpan as _;

    use super::*;
    use crate::database::{Database, Role};

    pub(in crate::database) fn accounts(folder: &tempfile::TempDir) -> Accounts {
        let path = folder.path().join("tableside.db");
        drop(Database::open(&path).unwrap());
        Accounts::open(&path).unwrap()
    }

    pub(in crate::database) fn person(name: &str) -> (Account, KeptPassword) {
        let account = Account {
            name: name.to_owned(),
            shown_as: name.to_uppercase(),
            role: Role::Technician,
            created: Timestamp::from_microsecond(1_700_000_000_000_000).unwrap(),
            disabled: None,
        };
        (account, KeptPassword { salt: [1; 16], hash: [2; 32], memory_kib: 64, passes: 1 })
    }

    #[test]
    fn a_kiosk_stands_at_its_addresses_until_its_token_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = accounts(&folder);
        let addresses = ["10.0.0.7/32", "fd00::/64"].map(|network| network.parse().unwrap()).to_vec();
        let kiosk = Kiosk { name: "ct1".to_owned(), addresses, created: person("ann").0.created };
        assert!(accounts.add_kiosk(&kiosk, &[1; 32]).unwrap() && !accounts.add_kiosk(&kiosk, &[2; 32]).unwrap());
        assert_eq!(accounts.kiosk(&[1; 32]).unwrap().as_ref(), Some(&kiosk));
        assert!(kiosk.stands_at("fd00::9".parse().unwrap()) && !kiosk.stands_at("10.0.0.8".parse().unwrap()));
        assert!(accounts.revoke_kiosk("ct1").unwrap() && !accounts.revoke_kiosk("ct1").unwrap());
        assert_eq!(accounts.kiosk(&[1; 32]).unwrap(), None);
    }

    #[test]
    fn a_setup_link_makes_one_account_while_it_holds_and_only_the_newest_link_does() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = accounts(&folder);
        let (ann, password) = person("ann");
        let now = ann.created;
        accounts.put_setup_link(&[1; 32], now + 15.minutes()).unwrap();
        accounts.put_setup_link(&[2; 32], now + 15.minutes()).unwrap();
        let set_up = |token: u8, account: &Account| accounts.set_up(&[token; 32], account, &password).unwrap();
        assert_eq!(set_up(1, &ann), SetUp::NoSuchLink);
        let late = Account { created: now + 15.minutes(), ..ann.clone() };
        assert_eq!(set_up(2, &late), SetUp::NoSuchLink);
        assert!(accounts.setup_link_holds(&[2; 32], now).unwrap());
        assert_eq!(set_up(2, &ann), SetUp::Done);
        assert_eq!(set_up(2, &person("bob").0), SetUp::NoSuchLink);
        accounts.put_setup_link(&[3; 32], now + 15.minutes()).unwrap();
        assert_eq!(set_up(3, &ann), SetUp::NameIsTaken);
        assert_eq!(set_up(3, &person("bob").0), SetUp::Done);
    }

    #[test]
    fn names_are_plain_and_case_counts_for_nothing() {
        assert_eq!(Account::name_of(" A.Berg "), Some("a.berg".to_owned()));
        for wrong in ["", "a b", "ä", ".", "..", "../root", "a/b", "a%2fb", "аnn", "a\u{200b}", &"a".repeat(33)] {
            assert_eq!(Account::name_of(wrong), None, "{wrong}");
        }
        assert_eq!(Account::shown_as_of(" Ann Berg, MTR "), Some("Ann Berg, MTR".to_owned()));
        assert_eq!(Account::shown_as_of("王伟"), Some("王伟".to_owned()));
        let hidden = ["A\u{200b}nn", "A\u{202e}nnA", "A\u{7}nn", "A\u{2028}nn", "\u{3164}", "A\u{e0041}", "A\u{ad}"];
        for wrong in [" \n", &"a".repeat(33)].into_iter().chain(hidden) {
            assert_eq!(Account::shown_as_of(wrong), None, "{wrong:?}");
        }
    }
}
