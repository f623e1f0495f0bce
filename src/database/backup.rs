//! A copy of the database while the daemon runs, and the way back while it does not.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::{DatabaseError, connect, connect_kept, schema};
use crate::spool::sync_parent;

/// Why there is no copy, or why nothing was put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{0} is there already: name another file, or move it away")]
    Exists(PathBuf),
    #[error("{path} is no usable copy of Tableside's database: {reason}")]
    Damaged { path: PathBuf, reason: String },
    #[error("another program has {0} open: end it first")]
    Open(PathBuf),
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Copies the database as it is at one moment into a new file, which is whole and on the disk when this returns. Nobody waits for it.
///
/// # Errors
/// If the file is there already, or the database cannot be read, or the copy not be written.
pub fn backup(database: &Path, copy: &Path) -> Result<(), BackupError> {
    if copy.exists() {
        return Err(BackupError::Exists(copy.to_owned()));
    }
    // A name that nobody else's file has.
    let unfinished = copy.with_extension(format!("part-{}", std::process::id()));
    let failed = |source| BackupError::File { path: unfinished.clone(), source };
    // SQLite writes into a file that is there if it is empty.
    for_us_alone(&unfinished).map_err(failed)?;
    let copied = copy_into(database, &unfinished).and_then(|()| {
        whole(&unfinished)?;
        File::open(&unfinished).and_then(|file| file.sync_all()).map_err(failed)?;
        fs::rename(&unfinished, copy).and_then(|()| sync_parent(copy)).map_err(failed)
    });
    copied.inspect_err(|_| drop(fs::remove_file(&unfinished)))
}

fn copy_into(database: &Path, copy: &Path) -> Result<(), BackupError> {
    connect_kept(database)?.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
    Ok(())
}

/// Puts a copy in the place of the database, which is kept beside it under another name, if there is one. No daemon may be running.
/// Answers that name.
///
/// # Errors
/// If the copy is damaged or of a newer version, or a file cannot be written: the database is as it was then.
pub fn restore(copy: &Path, database: &Path) -> Result<Option<PathBuf>, BackupError> {
    let found = whole(copy)?;
    if found > schema::LAYOUT {
        return Err(DatabaseError::Newer { found, known: schema::LAYOUT }.into());
    }
    let unfinished = database.with_extension("part");
    let failed = |source| BackupError::File { path: unfinished.clone(), source };
    let put = || {
        let mut from = File::open(copy).map_err(|source| BackupError::File { path: copy.to_owned(), source })?;
        let mut to = for_us_alone(&unfinished).map_err(failed)?;
        io::copy(&mut from, &mut to).and_then(|_| to.sync_all()).map_err(failed)?;
        let kept = keep(database)?;
        // In one step: at every moment there is the one or the other.
        fs::rename(&unfinished, database).and_then(|()| sync_parent(database)).map_err(failed)?;
        Ok(kept)
    };
    put().inspect_err(|_| drop(fs::remove_file(&unfinished)))
}

/// Gives the database a second name, with all that its log has.
fn keep(database: &Path) -> Result<Option<PathBuf>, BackupError> {
    if !database.exists() {
        return Ok(None);
    }
    let [log, shared_memory] = ["db-wal", "db-shm"].map(|ending| database.with_extension(ending));
    let kept = database.with_extension(format!("db.replaced-{}", Timestamp::now().strftime("%Y%m%dT%H%M%SZ")));
    let failed = |path: &Path, source| BackupError::File { path: path.to_owned(), source };
    let link = |from: &Path, to: &Path| fs::hard_link(from, to).map_err(|source| failed(to, source));
    let remove = |path: &Path| match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed(path, source)),
        _ => Ok(()),
    };
    // A damaged database loses its log where it is opened, and must not leave it to the new one.
    let kept_log = PathBuf::from(format!("{}-wal", kept.display()));
    if log.exists() {
        link(&log, &kept_log)?;
    }
    // Who closes a whole one as the last one takes its log into it.
    match connect(database).map(drop) {
        Ok(()) => remove(&kept_log)?,
        Err(_) => [&log, &shared_memory].into_iter().try_for_each(|stale| remove(stale))?,
    }
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return Err(BackupError::Open(database.to_owned()));
    }
    link(database, &kept)?;
    Ok(Some(kept))
}

/// Checks that a file is a whole database of ours, and says which layout it has.
fn whole(path: &Path) -> Result<usize, BackupError> {
    let damaged = |reason: String| BackupError::Damaged { path: path.to_owned(), reason };
    if !path.is_file() {
        return Err(damaged("there is no such file".to_owned()));
    }
    let read = || -> rusqlite::Result<(String, i64)> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let check = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        Ok((check, connection.pragma_query_value(None, "user_version", |row| row.get(0))?))
    };
    match read().map_err(|error| damaged(error.to_string()))? {
        (check, _) if check != "ok" => Err(damaged(check)),
        (_, layout) => usize::try_from(layout)
            .ok()
            .filter(|layout| *layout > 0)
            .ok_or_else(|| damaged("it is a database of something else".to_owned())),
    }
}

/// An empty file that no other user reads.
fn for_us_alone(path: &Path) -> io::Result<File> {
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}
