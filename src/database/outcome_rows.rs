//! Outcomes of verdicts: rows that are added and never changed.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::exam_filter::{CONCLUDED, HAS_OUTCOME};
use super::rows::{enumerated, key, optional_enumerated, time, word};
use super::{DatabaseError, connect_kept};
use crate::alert::{CaseOutcome, OutcomeCounts, OutcomeKind, Outcomes};
use crate::exam::ExamKey;
use crate::triage::Verdict;

/// The outcomes that count: the last one of each exam.
const LAST: &str = "outcome.place = (SELECT max(other.place) FROM outcome AS other WHERE other.exam = outcome.exam)";

/// Adds those that are not there yet.
pub(super) fn write(connection: &Connection, exam: &ExamKey, outcomes: &Outcomes) -> Result<(), DatabaseError> {
    for (place, CaseOutcome { kind, verdict, by, at }) in outcomes.all().iter().enumerate() {
        let mut statement = connection.prepare_cached(
            "INSERT INTO outcome (exam, place, kind, verdict, recorded_by, recorded_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                ON CONFLICT DO NOTHING",
        )?;
        statement.execute(params![
            exam.to_string(),
            place as i64,
            word(kind)?,
            verdict.as_ref().map(word).transpose()?,
            by,
            at.as_microsecond(),
        ])?;
    }
    Ok(())
}

/// The outcomes of an exam, oldest first.
pub(super) fn of(connection: &Connection, exam: &ExamKey) -> rusqlite::Result<Outcomes> {
    let mut statement = connection.prepare_cached("SELECT * FROM outcome WHERE exam = ?1 ORDER BY place")?;
    let outcomes = statement.query_map([exam.to_string()], outcome)?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(outcomes.into())
}

fn outcome(row: &Row<'_>) -> rusqlite::Result<CaseOutcome> {
    Ok(CaseOutcome {
        kind: enumerated(row, "kind")?,
        verdict: optional_enumerated(row, "verdict")?,
        by: row.get("recorded_by")?,
        at: time(row, "recorded_us")?,
    })
}

/// When the first exam began that has an outcome; `None` where none has.
pub(super) fn first(connection: &Connection) -> Result<Option<Timestamp>, DatabaseError> {
    let sql = "SELECT started_us FROM exam WHERE key IN (SELECT exam FROM outcome) ORDER BY started_us LIMIT 1";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| time(row, "started_us")).optional()?)
}

/// What became of the verdicts on exams that began then or later.
pub(super) fn count(connection: &Connection, since: Timestamp) -> Result<OutcomeCounts, DatabaseError> {
    let mut counts = OutcomeCounts::default();
    let sql = format!(
        "SELECT outcome.kind, outcome.verdict, count(*) AS number FROM outcome JOIN exam ON exam.key = outcome.exam
            WHERE {LAST} AND exam.started_us >= ?1 GROUP BY outcome.kind, outcome.verdict"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([since.as_microsecond()], |row| {
        Ok((enumerated(row, "kind")?, optional_enumerated(row, "verdict")?, super::rows::count(row, "number")?))
    })?;
    for row in rows {
        let (kind, verdict, number) = row?;
        match (kind, verdict) {
            (OutcomeKind::Agree, Some(Verdict::Suspected)) => counts.true_alarms += number,
            (OutcomeKind::FalseAlarm, _) => counts.false_alarms += number,
            (OutcomeKind::Unclear, Some(Verdict::Suspected)) => counts.unclear_alarms += number,
            (OutcomeKind::Missed, _) => counts.missed += number,
            (OutcomeKind::Agree, _) => counts.true_negatives += number,
            (OutcomeKind::Unclear, _) => {}
        }
    }
    let sql = format!(
        "SELECT count(*) AS number FROM exam
            WHERE started_us >= ?1 AND verdict = 'suspected' AND {CONCLUDED} AND NOT {HAS_OUTCOME}"
    );
    let open = |row: &Row<'_>| super::rows::count(row, "number");
    counts.open_alarms = connection.prepare_cached(&sql)?.query_row([since.as_microsecond()], open)?;
    Ok(counts)
}

/// The last outcome of each exam that has one, by the time of the exams, of a daemon that may be running.
///
/// # Errors
/// If there is no database of this version's layout, or it cannot be read.
pub fn last_outcomes(path: &Path) -> Result<Vec<(ExamKey, CaseOutcome)>, DatabaseError> {
    let connection = connect_kept(path)?;
    let sql = format!(
        "SELECT outcome.* FROM outcome JOIN exam ON exam.key = outcome.exam WHERE {LAST} ORDER BY exam.started_us, exam.key"
    );
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map([], |row| Ok((key(row, "exam")?, outcome(row)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::tests::{earlier_database, key};
    use crate::database::{Database, Record, schema};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// Records an outcome of a verdict.
    fn record(database: &Database, number: usize, verdict: Verdict, kind: OutcomeKind) {
        let Record { mut exam, mut outcomes, .. } = database.record(&key(number)).unwrap();
        exam.verdict = Some(verdict);
        outcomes.record(&exam, kind, "A. Berg", at(number as i64)).unwrap();
        let record = database.record(&key(number)).unwrap();
        assert!(database.save_now(Record { exam, outcomes, ..record }));
    }

    #[test]
    fn a_database_from_before_outcomes_takes_them_and_keeps_each() {
        let folder = tempfile::tempdir().unwrap();
        let path = earlier_database(&folder, 2);
        let mut connection = Connection::open(&path).unwrap();
        schema::MIGRATIONS.to_version(&mut connection, 7).unwrap();
        drop(connection);
        let database = Database::open(&path).unwrap();
        assert_eq!(database.outcome_counts(None).unwrap(), (None, OutcomeCounts::default()));
        let before = database.record(&key(0)).unwrap();
        record(&database, 0, Verdict::Suspected, OutcomeKind::Agree);
        record(&database, 0, Verdict::Suspected, OutcomeKind::FalseAlarm);
        drop(database);
        let database = Database::open(&path).unwrap();
        let after = database.record(&key(0)).unwrap();
        let kinds: Vec<OutcomeKind> = after.outcomes.all().iter().map(|outcome| outcome.kind).collect();
        assert_eq!(kinds, [OutcomeKind::Agree, OutcomeKind::FalseAlarm]);
        assert_eq!((&after.flags, &after.report), (&before.flags, &before.report));
        assert!(database.save_now(Record { outcomes: Outcomes::default(), ..after.clone() }));
        assert_eq!(database.record(&key(0)).unwrap(), after, "none is taken away");
        let last = last_outcomes(&path).unwrap();
        assert_eq!(last, [(key(0), after.outcomes.all()[1].clone())]);
    }

    #[test]
    fn the_last_outcome_of_each_exam_is_counted_and_what_is_suspected_without_one() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&earlier_database(&folder, 8)).unwrap();
        for (number, verdict, kind) in [
            (1, Verdict::Suspected, OutcomeKind::FalseAlarm),
            (1, Verdict::Suspected, OutcomeKind::Agree),
            (2, Verdict::Suspected, OutcomeKind::FalseAlarm),
            (3, Verdict::Suspected, OutcomeKind::Unclear),
            (4, Verdict::NotSuspected, OutcomeKind::Agree),
            (5, Verdict::NotAnalysed, OutcomeKind::Missed),
        ] {
            record(&database, number, verdict, kind);
        }
        let (since, counts) = database.outcome_counts(None).unwrap();
        let started = |number| database.record(&key(number)).unwrap().exam.started;
        assert_eq!(since, Some(started(1)));
        let expected = OutcomeCounts {
            true_alarms: 1,
            false_alarms: 1,
            unclear_alarms: 1,
            open_alarms: 2,
            missed: 1,
            true_negatives: 1,
        };
        assert_eq!(counts, expected);
        let (_, later) = database.outcome_counts(Some(started(4))).unwrap();
        assert_eq!((later.true_alarms, later.true_negatives, later.open_alarms), (0, 1, 2));
    }
}
