//! Which scanners have sent exams, and when. Each figure is found by `exam_by_scanner`, a scanner after the other: the time that it takes
//! grows with the scanners and with today's exams, not with all exams that there are.

use jiff::Timestamp;
use rusqlite::Connection;
use serde::Serialize;

use super::DatabaseError;
use super::rows::{count, time};

/// Scanners that are listed; where nobody says who may send, anybody can make more.
const MOST_SCANNERS: usize = 200;

/// The exams of a scanner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScannerExams {
    /// The calling AE title.
    pub ae_title: String,
    /// When its newest exam began.
    pub last_exam: Timestamp,
    /// Exams that began in the time that was asked for.
    pub exams: usize,
}

/// The scanners whose exams are on the disk, by AE title, and how many of their exams began at `since` or later.
pub(super) fn scanners(connection: &Connection, since: Timestamp) -> Result<Vec<ScannerExams>, DatabaseError> {
    let mut statement = connection.prepare_cached(
        "WITH RECURSIVE sender (name) AS (
            SELECT min(scanner) FROM exam
            UNION ALL
            SELECT (SELECT min(scanner) FROM exam WHERE scanner > name) FROM sender WHERE name IS NOT NULL
        )
        SELECT name,
            (SELECT max(started_us) FROM exam WHERE scanner = name) AS last_us,
            (SELECT count(*) FROM exam WHERE scanner = name AND started_us >= ?1) AS exams
        FROM sender WHERE name IS NOT NULL LIMIT ?2",
    )?;
    let found = statement.query_map([since.as_microsecond(), MOST_SCANNERS as i64], |row| {
        Ok(ScannerExams { ae_title: row.get("name")?, last_exam: time(row, "last_us")?, exams: count(row, "exams")? })
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use rusqlite::params;

    use super::*;
    use crate::database::Database;
    use crate::database::tests::{earlier_database, key};

    fn at(us: i64) -> Timestamp {
        Timestamp::from_microsecond(us).unwrap()
    }

    #[test]
    fn each_scanner_has_its_newest_exam_and_those_of_today() {
        let folder = tempfile::tempdir().unwrap();
        let path = earlier_database(&folder, 4);
        drop(Database::open(&path).unwrap());
        let connection = Connection::open(&path).unwrap();
        for (number, (scanner, started)) in [("CT2", 1), ("CT1", 5), ("CT2", 7), ("CT2", 9)].into_iter().enumerate() {
            let sql = "UPDATE exam SET scanner = ?2, started_us = ?3 WHERE key = ?1";
            connection.execute(sql, params![key(number).to_string(), scanner, started]).unwrap();
        }
        let of =
            |ae_title: &str, last, exams| ScannerExams { ae_title: ae_title.to_owned(), last_exam: at(last), exams };
        assert_eq!(scanners(&connection, at(7)).unwrap(), [of("CT1", 5, 0), of("CT2", 9, 2)]);
        connection.execute("DELETE FROM exam", []).unwrap();
        assert_eq!(scanners(&connection, at(0)).unwrap(), []);
    }

    /// A year of a site that scans 107 patients a day on eight scanners.
    #[test]
    fn thirty_nine_thousand_exams_are_no_more_work() {
        let folder = tempfile::tempdir().unwrap();
        let path = earlier_database(&folder, 1);
        drop(Database::open(&path).unwrap());
        let connection = Connection::open(&path).unwrap();
        let columns = "study, state, patient_name, patient_id, patient_birth_date, patient_sex, description, updated_us,
            images_received, instances, slices_analysed, images_kept, slices_failed, objects_refused, instances_replaced,
            slabs, threshold_early, threshold_suspected, reason, revised";
        let fill = format!(
            "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 39000)
             INSERT INTO exam (key, scanner, started_us, {columns})
             SELECT printf('%015xf', n), 'CT' || (n % 8), n, {columns} FROM number, exam WHERE key = ?1"
        );
        connection.execute(&fill, [key(0).to_string()]).unwrap();
        let mut best = Duration::MAX;
        for _ in 0..3 {
            let began = Instant::now();
            let found = scanners(&connection, at(38_893)).unwrap();
            best = best.min(began.elapsed());
            assert_eq!(found.iter().filter(|scanner| scanner.exams >= 13).count(), 8);
        }
        eprintln!("scanners of 39,000 exams: {best:?}");
        assert!(best < Duration::from_millis(20), "{best:?}");
    }
}
