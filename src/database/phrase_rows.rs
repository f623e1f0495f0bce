//! What an exam's verdict and flags say, in no language yet, beside their English text.

use rusqlite::{Connection, Row, params};

use super::DatabaseError;
use super::record::Record;
use crate::texts::Phrase;

const OF_REASON: &str = "reason";

/// The column `reason_phrase` of a query over `exam`.
pub(super) const REASON: &str =
    "(SELECT phrase FROM phrase WHERE phrase.exam = exam.key AND said_by = 'reason') AS reason_phrase";
/// The column `flag_phrase` of a query over `flag`.
pub(super) const FLAG: &str =
    "(SELECT phrase FROM phrase WHERE phrase.exam = flag.exam AND said_by = flag.kind) AS flag_phrase";

/// Writes all of a record, within the caller's transaction.
pub(super) fn write(connection: &Connection, record: &Record) -> Result<(), DatabaseError> {
    let key = record.exam.key.to_string();
    connection.prepare_cached("DELETE FROM phrase WHERE exam = ?1")?.execute([&key])?;
    let reason = record.exam.reason_phrase.as_ref().map(|phrase| (OF_REASON, phrase));
    let flags = record.flags.all().iter().filter_map(|flag| Some((flag.kind.as_str(), flag.phrase.as_ref()?)));
    let mut statement = connection.prepare_cached("INSERT INTO phrase (exam, said_by, phrase) VALUES (?1, ?2, ?3)")?;
    for (said_by, phrase) in reason.into_iter().chain(flags) {
        statement.execute(params![key, said_by, serde_json::to_string(phrase)?])?;
    }
    Ok(())
}

/// The phrase in a column; `None` where a version wrote that kept the text alone. One that cannot be read hides neither exam nor flag:
/// the text is there.
pub(super) fn phrase(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Phrase>> {
    let json: Option<String> = row.get(column)?;
    let read = json.map(|json| serde_json::from_str(&json)).transpose();
    Ok(read.unwrap_or_else(|error| {
        tracing::error!(%error, column, "a phrase in the database cannot be read: its English text is shown");
        None
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::database::tests::{earlier_database, key};

    #[test]
    fn what_an_earlier_version_said_is_said_in_english_and_what_this_one_says_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&earlier_database(&folder, 1)).unwrap();
        let mut record = database.record(&key(0)).unwrap();
        assert_eq!(record.exam.said_reason(), Phrase::english(&record.exam.reason));
        assert!(record.flags.all().iter().all(|flag| flag.said() == Phrase::english(&flag.text)));
        let mass = Phrase::new("reason.mass").figure("volume", 40.25, 1).with("side", Phrase::new("side.left"));
        record.exam.reason_phrase = Some(mass);
        let mut flags = record.flags.all().to_vec();
        flags[0].phrase = Some(Phrase::new("flag_text.suspected_early"));
        record.flags = flags.into();
        assert!(database.save_now(record.clone()));
        assert_eq!(database.record(&key(0)), Some(record.clone()));
        let listed = database.newest(1).remove(0);
        assert_eq!((listed.exam, listed.flags), (record.exam, record.flags));
    }

    #[test]
    fn a_phrase_that_cannot_be_read_hides_neither_exam_nor_flag() {
        let folder = tempfile::tempdir().unwrap();
        let path = earlier_database(&folder, 1);
        let database = Database::open(&path).unwrap();
        let record = database.record(&key(0)).unwrap();
        let connection = Connection::open(&path).unwrap();
        for said_by in [OF_REASON, record.flags.all()[0].kind.as_str()] {
            let insert = "INSERT INTO phrase (exam, said_by, phrase) VALUES (?1, ?2, '{')";
            connection.execute(insert, params![key(0).to_string(), said_by]).unwrap();
        }
        drop(database);
        assert_eq!(Database::open(&path).unwrap().record(&key(0)), Some(record));
    }
}
