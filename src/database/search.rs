//! Exams that somebody looks for.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::exam_filter::ExamFilter;
use super::record::ListedExam;
use super::{DatabaseError, outcome_rows, rows};
use crate::alert::{Flags, Outcomes};
use crate::analysis::ExamView;
use crate::exam::ExamKey;

/// Which exams are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExamSearch {
    /// Each of these words stands in the patient's name, in the Patient ID, or at the beginning of the exam's key; letters of ASCII
    /// in either case.
    pub words: Vec<String>,
    /// Names and IDs are not looked at: whoever searches is not shown them, and a search would tell.
    pub by_key_alone: bool,
    /// Only these.
    pub filter: Option<ExamFilter>,
    /// They began then or later.
    pub since: Option<Timestamp>,
    /// They come after the exam of this key, which began then and need not be on the disk.
    pub before: Option<(Timestamp, ExamKey)>,
}

/// Finds them, newest first, with flags and outcomes; without those that cannot be read.
pub(super) fn find(
    connection: &Connection,
    ExamSearch { words, by_key_alone, filter, since, before }: &ExamSearch,
    count: usize,
) -> Result<Vec<ListedExam>, DatabaseError> {
    let mut conditions: Vec<String> = filter.iter().map(|filter| filter.condition()).collect();
    let mut values: Vec<Value> = Vec::new();
    for word in words {
        let word: String = word
            .chars()
            .flat_map(|letter| matches!(letter, '\\' | '%' | '_').then_some('\\').into_iter().chain([letter]))
            .collect();
        values.push(format!("{word}%").into());
        let mut places = vec![like("key", values.len())];
        if !by_key_alone {
            values.push(format!("%{word}%").into());
            places.extend(["patient_name", "patient_id"].map(|column| like(column, values.len())));
        }
        conditions.push(format!("({})", places.join(" OR ")));
    }
    if let Some(since) = since {
        values.push(since.as_microsecond().into());
        conditions.push(format!("started_us >= ?{}", values.len()));
    }
    if let Some((began, key)) = before {
        values.extend([began.as_microsecond().into(), key.to_string().into()]);
        let (began, key) = (values.len() - 1, values.len());
        conditions.push(format!("started_us <= ?{began} AND (started_us < ?{began} OR key > ?{key})"));
    }
    values.push((count as i64).into());
    let conditions = if conditions.is_empty() { "TRUE".to_owned() } else { conditions.join(" AND ") };
    let condition = format!("WHERE {conditions} ORDER BY started_us DESC, key LIMIT ?{}", values.len());
    let exams = rows::exams(connection, &condition, params_from_iter(values))?;
    let listed = |exam: ExamView| {
        let flags = rows::flags(connection, &exam.key).unwrap_or_else(|error| {
            tracing::error!(exam = %exam.key, %error, "an exam's flags cannot be read");
            Flags::default()
        });
        let outcomes = outcome_rows::of(connection, &exam.key).unwrap_or_else(|error| {
            tracing::error!(exam = %exam.key, %error, "an exam's outcomes cannot be read");
            Outcomes::default()
        });
        ListedExam { exam, flags, outcomes }
    };
    Ok(exams.into_iter().map(listed).collect())
}

fn like(column: &str, place: usize) -> String {
    format!("{column} LIKE ?{place} ESCAPE '\\'")
}

#[cfg(test)]
mod tests {
    use rusqlite::params;

    use super::*;
    use crate::database::Database;
    use crate::database::tests::{earlier_database, key};

    /// Five exams, the newest last; the third and fourth began at the same moment.
    fn database(folder: &tempfile::TempDir) -> Database {
        let path = earlier_database(folder, 5);
        drop(Database::open(&path).unwrap());
        let connection = Connection::open(&path).unwrap();
        let patients =
            [("BERG^ANNA", "A-1"), ("BERGER^JAN", "a_2"), ("LI^ANNA", "C%3"), ("CHEN^WEI", "D4"), ("BERG^OLE", "E5")];
        for (number, (name, id)) in patients.iter().enumerate() {
            let sql = "UPDATE exam SET patient_name = ?2, patient_id = ?3, started_us = ?4 WHERE key = ?1";
            connection.execute(sql, params![key(number).to_string(), name, id, [1, 2, 3, 3, 5][number]]).unwrap();
        }
        drop(connection);
        Database::open(&path).unwrap()
    }

    fn after(search: &ExamSearch, ListedExam { exam: last, .. }: ListedExam) -> ExamSearch {
        ExamSearch { before: Some((last.started, last.key)), ..search.clone() }
    }

    fn found(database: &Database, search: &ExamSearch, count: usize) -> Vec<ExamKey> {
        database.search(search, count).unwrap().into_iter().map(|listed| listed.exam.key).collect()
    }

    fn words(words: &[&str]) -> ExamSearch {
        ExamSearch { words: words.iter().map(|word| (*word).to_owned()).collect(), ..ExamSearch::default() }
    }

    #[test]
    fn every_word_stands_in_name_or_id_or_begins_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder);
        assert_eq!(found(&database, &words(&["berg"]), 9), [key(4), key(1), key(0)]);
        assert_eq!(found(&database, &words(&["anna", "Berg"]), 9), [key(0)]);
        assert_eq!(found(&database, &words(&["a_2"]), 9), [key(1)], "an underscore is no wildcard");
        assert_eq!(found(&database, &words(&["%"]), 9), [key(2)]);
        assert_eq!(found(&database, &words(&[&key(3).to_string()]), 9), [key(3)]);
        assert_eq!(found(&database, &words(&["' OR 1"]), 9), []);
    }

    #[test]
    fn who_is_not_shown_names_finds_nothing_by_them() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder);
        let by_key = |word: &str| found(&database, &ExamSearch { by_key_alone: true, ..words(&[word]) }, 9);
        assert_eq!(by_key("berg"), []);
        assert_eq!(by_key("D4"), []);
        assert_eq!(by_key(&key(3).to_string()), [key(3)]);
    }

    #[test]
    fn page_after_page_has_every_exam_once() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder);
        let (mut all, mut search) = (Vec::new(), ExamSearch::default());
        while let Some(last) = database.search(&search, 2).unwrap().pop() {
            all.extend(found(&database, &search, 2));
            search = after(&search, last);
        }
        assert_eq!(all, [key(4), key(2), key(3), key(1), key(0)]);
        let unwritten = ExamSearch { before: Some((Timestamp::from_microsecond(3).unwrap(), key(9))), ..search };
        assert_eq!(found(&database, &unwritten, 9), [key(1), key(0)], "before one that is not on the disk");
    }
}
