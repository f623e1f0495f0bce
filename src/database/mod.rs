//! What must survive a restart: exams with their verdicts, slabs with their masks, flags and their moments, outcomes, in one `SQLite` file
//! (`schema` says how). Instances are not here: they lie in the spool.
//!
//! A thread of its own writes, so that no analysis waits for a disk. A record replaces the unwritten one of the same exam, and
//! all unwritten records go in one transaction: a slow disk makes the transactions larger, not the queue. Readers get the
//! unwritten record of an exam where there is one.

mod account;
mod account_changes;
mod account_rows;
mod backup;
mod basis_rows;
mod counts;
mod deliveries;
mod delivery;
mod delivery_rows;
mod details;
mod exam_filter;
mod identity_rows;
mod outcome_rows;
mod phrase_rows;
mod record;
mod rows;
mod scanners;
mod schema;
mod search;
mod session_rows;
mod shadow_results;
mod version_1;
mod writer;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;
use rusqlite_migration::MigrationDefinitionError;

use crate::alert::OutcomeCounts;
use crate::analysis::{ExamState, ExamView};
use crate::exam::{Contents, ExamKey};
use crate::report::ReportBasis;
pub use account::{
    Account, AccountEdit, Changed, KeptPassword, Kiosk, NewSession, Role, SecretHash, Session, session_id,
};
pub use account_rows::{Accounts, SetUp};
pub use backup::{BackupError, backup, restore};
pub use counts::counts;
pub use deliveries::Deliveries;
pub use delivery::{Addressee, Delivery, DeliveryKind, DeliveryObject, DeliveryState, Gets};
pub use delivery_rows::{DeliveryCounts, DeliveryFilter, Outcome, Unmade};
pub use details::Details;
pub use exam_filter::ExamFilter;
pub use identity_rows::{Entered, Identity};
pub use outcome_rows::last_outcomes;
pub use record::{ListedExam, Record};
pub use scanners::ScannerExams;
pub use search::ExamSearch;
pub use shadow_results::{Judgement, ModelName, ShadowOutcome, ShadowResult, ShadowResults};
use writer::{Wake, Writer};

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}; if the file is damaged, move it away: verdicts are made again from the spool")]
    Unusable(rusqlite::Error),
    #[error("an exam cannot be written as JSON, or read back: {0}")]
    Json(#[from] serde_json::Error),
    #[error(
        "a newer version of Tableside wrote this database (layout {found}; this version knows {known}): start that version, or restore the database from before the upgrade"
    )]
    Newer { found: usize, known: usize },
    #[error("there is no database {0}: has the daemon run with this configuration?")]
    Missing(PathBuf),
    #[error(
        "the database has layout {found} and this version knows {known}: start this version's daemon first, or use its own version"
    )]
    OtherLayout { found: usize, known: usize },
    #[error("the database cannot be brought to this version's layout: {0}")]
    Migration(String),
    #[error("the database's thread does not start: {0}")]
    Thread(#[from] std::io::Error),
}

/// The database of a running daemon.
#[derive(Debug)]
pub struct Database {
    reader: Mutex<Connection>,
    /// For what people look for, which may take long: the analysis does not wait for it.
    searcher: Mutex<Connection>,
    writer: Writer,
}

impl Database {
    /// Opens or makes the database, and brings an earlier one to this version's layout: all of it or nothing.
    ///
    /// # Errors
    /// If the file cannot be opened, is no database, or was written by a newer version.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let mut connection = connect(path)?;
        migrate(&mut connection)?;
        Self::on(connection, path)
    }

    /// Opens the database of a daemon that may be running, and leaves its layout as it is.
    ///
    /// # Errors
    /// If there is none, or it has the layout of another version.
    pub fn open_kept(path: &Path) -> Result<Self, DatabaseError> {
        Self::on(connect_kept(path)?, path)
    }

    fn on(connection: Connection, path: &Path) -> Result<Self, DatabaseError> {
        let [reader, searcher] = [connect(path)?, connect(path)?].map(Mutex::new);
        Ok(Self { writer: Writer::start(connection)?, reader, searcher })
    }

    /// Enters with each later change of an exam what these get of it, and calls `wake` once it is on the disk.
    pub fn deliver_to(&self, addressees: Vec<Addressee>, wake: impl Fn() + Send + Sync + 'static) {
        self.writer.deliver_to(addressees, Wake(Box::new(wake)));
    }

    /// Has an exam written soon.
    pub fn save(&self, record: Record) {
        self.writer.save(record);
    }

    /// Writes an exam; it is on the disk when this returns `true`. `false` if it could not be written, which is in the log.
    #[must_use]
    pub fn save_now(&self, record: Record) -> bool {
        self.writer.save_now(record)
    }

    /// One exam; `None` if it is not there or cannot be read.
    #[must_use]
    pub fn record(&self, key: &ExamKey) -> Option<Record> {
        let unwritten = self.writer.unwritten(key).map(|record| (*record).clone());
        unwritten.or_else(|| {
            let read = rows::record(&self.reader(), key);
            read.inspect_err(|error| tracing::error!(exam = %key, %error, "an earlier exam cannot be read")).ok()?
        })
    }

    /// What the report of a complete exam was made from; `None` if it is not there or cannot be read.
    #[must_use]
    pub fn basis(&self, key: &ExamKey) -> Option<Arc<ReportBasis>> {
        let unwritten = self.writer.unwritten(key).and_then(|record| record.basis.clone());
        unwritten.or_else(|| {
            let read = basis_rows::read(&self.reader(), key);
            let read = read.inspect_err(
                |error| tracing::error!(exam = %key, %error, "what an earlier report was made from cannot be read"),
            );
            read.ok()?.map(Arc::new)
        })
    }

    /// How much the exam's final report was made from; `None` for an exam without one.
    #[must_use]
    pub fn judged_contents(&self, key: &ExamKey) -> Option<Contents> {
        if let Some(record) = self.writer.unwritten(key) {
            return record.final_report().map(|_| record.exam.slices.contents());
        }
        let condition = "WHERE key = ?1 AND EXISTS (SELECT 1 FROM report WHERE report.exam = exam.key)";
        let exams = self.exams(condition, [key.to_string()]);
        exams.first().filter(|exam| exam.state == ExamState::Complete).map(|exam| exam.slices.contents())
    }

    /// The exams that share this one's study and Patient ID, itself among them.
    #[must_use]
    pub fn keys_of_study(&self, key: &ExamKey) -> BTreeSet<ExamKey> {
        let mut keys = self.writer.keys();
        keys.retain(|other| other.study() == key.study());
        keys.extend(self.exams("WHERE study = ?1", [key.study()]).into_iter().map(|exam| exam.key));
        keys
    }

    /// The newest exams on the disk, newest first: `count` of them.
    #[must_use]
    pub fn newest(&self, count: usize) -> Vec<ListedExam> {
        search::find(&self.reader(), &ExamSearch::default(), count).unwrap_or_else(|error| {
            tracing::error!(%error, "earlier exams cannot be read from the database");
            Vec::new()
        })
    }

    /// The exams on the disk that are looked for, newest first: `count` of them at most.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn search(&self, search: &ExamSearch, count: usize) -> Result<Vec<ListedExam>, DatabaseError> {
        search::find(&self.searcher.lock(), search, count)
    }

    /// The scanners whose exams are on the disk, with the number of exams that began at `since` or later.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn scanners(&self, since: Timestamp) -> Result<Vec<ScannerExams>, DatabaseError> {
        scanners::scanners(&self.searcher.lock(), since)
    }

    /// What became of verdicts: on exams that began at `since` or later, or else of all since the first exam that has an outcome. From
    /// when on they are counted; `None` where no outcome was recorded yet.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn outcome_counts(
        &self,
        since: Option<Timestamp>,
    ) -> Result<(Option<Timestamp>, OutcomeCounts), DatabaseError> {
        let connection = self.searcher.lock();
        let since = if since.is_some() { since } else { outcome_rows::first(&connection)? };
        let counts = since.map(|since| outcome_rows::count(&connection, since)).transpose()?;
        Ok((since, counts.unwrap_or_default()))
    }

    /// Whether something could not be written; it is tried again.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.writer.is_failing()
    }

    /// How long a transaction has been under way, if that is `limit` or longer: the disk does not take it.
    #[must_use]
    pub fn stalled(&self, limit: Duration) -> Option<Duration> {
        self.writer.stalled(limit)
    }

    /// Writes what waits, until `until` at the longest. The exams that were not written; nothing is written any more then.
    #[must_use]
    pub fn close(&self, until: Instant) -> BTreeSet<ExamKey> {
        self.writer.close(until)
    }

    fn exams(&self, condition: &str, params: impl rusqlite::Params) -> Vec<ExamView> {
        rows::exams(&self.reader(), condition, params).unwrap_or_else(|error| {
            tracing::error!(%error, "earlier exams cannot be read from the database");
            Vec::new()
        })
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock()
    }
}

/// How long to wait for another writer: a backup by hand takes some seconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

fn connect(path: &Path) -> Result<Connection, DatabaseError> {
    let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";
    let connection = Connection::open(path).map_err(DatabaseError::Unusable)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch(pragmas).map_err(DatabaseError::Unusable)?;
    Ok(connection)
}

/// A connection to the database of a daemon that may be running.
fn connect_kept(path: &Path) -> Result<Connection, DatabaseError> {
    if !path.exists() {
        return Err(DatabaseError::Missing(path.to_owned()));
    }
    let connection = connect(path)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found as usize != schema::LAYOUT {
        return Err(DatabaseError::OtherLayout { found: found as usize, known: schema::LAYOUT });
    }
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), DatabaseError> {
    let migrated = schema::MIGRATIONS.to_latest(connection);
    migrated.map_err(|error| match error {
        rusqlite_migration::Error::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead) => {
            let found = connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
            DatabaseError::Newer { found: found.unwrap_or_default() as usize, known: schema::LAYOUT }
        }
        other => DatabaseError::Migration(other.to_string()),
    })
}

#[cfg(test)]
pub(crate) mod tests;
