//! What must survive a restart: exams with their verdicts, flags and acknowledgements, in one `SQLite` file.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, params};

use super::view::Record;
use crate::exam::ExamKey;

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("an exam cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Table `exam`: one row an exam, `record` a JSON document of [`Record`]. The version of this layout is `user_version`.
#[derive(Debug)]
pub struct Store {
    connection: Mutex<Connection>,
}

impl Store {
    /// Opens or makes the database.
    ///
    /// # Errors
    /// If the file cannot be opened or is no database.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::prepare(Connection::open(path)?)
    }

    /// A database that is gone with the process.
    ///
    /// # Errors
    /// If `SQLite` has no memory.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::prepare(Connection::open_in_memory()?)
    }

    fn prepare(connection: Connection) -> Result<Self, StoreError> {
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             CREATE TABLE IF NOT EXISTS exam (key TEXT PRIMARY KEY, started TEXT NOT NULL, record TEXT NOT NULL) STRICT;
             PRAGMA user_version = 1;",
        )?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// Writes an exam; it is on the disk when this returns.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, record: &Record) -> Result<(), StoreError> {
        let json = serde_json::to_string(record)?;
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        connection.execute(
            "INSERT INTO exam (key, started, record) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET record = excluded.record",
            params![record.exam.key.to_string(), record.exam.started.to_string(), json],
        )?;
        Ok(())
    }

    /// One exam; `None` if it is not there or cannot be read.
    #[must_use]
    pub fn load(&self, key: &ExamKey) -> Option<Record> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let row = connection.query_row("SELECT record FROM exam WHERE key = ?1", [key.to_string()], |row| row.get(0));
        match row {
            Ok::<String, _>(json) => parse(&json),
            Err(rusqlite::Error::QueryReturnedNoRows) => None,
            Err(error) => {
                tracing::error!(exam = %key, %error, "an earlier exam cannot be read from the database");
                None
            }
        }
    }

    /// The exams that share this one's study and Patient ID.
    #[must_use]
    pub fn keys_of_study(&self, key: &ExamKey) -> BTreeSet<ExamKey> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || -> Result<Vec<String>, rusqlite::Error> {
            let mut statement = connection.prepare("SELECT key FROM exam WHERE key GLOB ?1")?;
            statement.query_map([format!("{}*", key.study())], |row| row.get(0))?.collect()
        };
        let keys = read().unwrap_or_else(|error| {
            tracing::error!(%error, "exams of the same study cannot be looked for in the database");
            Vec::new()
        });
        keys.iter().filter_map(|key| ExamKey::parse(key)).collect()
    }

    /// The newest exams; what cannot be read is left out, with a log line.
    #[must_use]
    pub fn newest(&self, count: usize) -> Vec<Record> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || -> Result<Vec<String>, rusqlite::Error> {
            let mut statement = connection.prepare("SELECT record FROM exam ORDER BY started DESC LIMIT ?1")?;
            statement.query_map([count as i64], |row| row.get(0))?.collect()
        };
        let rows = read().unwrap_or_else(|error| {
            tracing::error!(%error, "earlier exams cannot be read from the database");
            Vec::new()
        });
        rows.iter().filter_map(|json| parse(json)).collect()
    }
}

fn parse(json: &str) -> Option<Record> {
    serde_json::from_str(json).inspect_err(|error| tracing::error!(%error, "an earlier exam cannot be read")).ok()
}
