//! What enters with a record: notifications of its state, and the objects of its verdict.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::alert::Notice;
use crate::database::DatabaseError;
use crate::database::delivery::{Addressee, DeliveryKind, Gets};
use crate::database::record::Record;
use crate::database::rows::key;
use crate::exam::ExamKey;
use crate::report::content_digest;

/// Enters what is to be delivered of a record.
pub(in crate::database) fn enter(
    connection: &Connection,
    record: &Record,
    addressees: &[Addressee],
    now: Timestamp,
) -> Result<(), DatabaseError> {
    enter_notifications(connection, record, addressees, now)?;
    enter_objects(connection, record, addressees, now)
}

/// Enters a notification for each addressee to whom the exam's state is news. The newest state wins: what was not sent of earlier
/// ones is superseded, also what is on its way just now, should it not arrive.
fn enter_notifications(
    connection: &Connection,
    record: &Record,
    addressees: &[Addressee],
    now: Timestamp,
) -> Result<(), DatabaseError> {
    if !addressees.iter().any(|addressee| matches!(addressee.gets, Gets::Notifications { .. })) {
        return Ok(());
    }
    let Some(notice) = Notice::of(&record.exam, &record.flags) else { return Ok(()) };
    let (exam, text) = (record.exam.key.to_string(), serde_json::to_string(&notice)?);
    for addressee in addressees {
        let Gets::Notifications { unseen_for } = addressee.gets else { continue };
        let name = &addressee.name;
        let last: Option<(u32, String)> = connection
            .prepare_cached(
                "SELECT revision, notice FROM delivery WHERE exam = ?1 AND destination = ?2 AND kind = 'notification'
                    ORDER BY revision DESC LIMIT 1",
            )?
            .query_row([&exam, name], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if last.as_ref().is_some_and(|(_, known)| *known == text) {
            continue;
        }
        connection
            .prepare_cached(
                "UPDATE delivery SET state = 'superseded', reason = 'a newer state took its place', changed_us = ?3
                    WHERE exam = ?1 AND destination = ?2 AND kind = 'notification'
                        AND state IN ('queued', 'sending', 'unsure', 'dead')",
            )?
            .execute(params![exam, name, now.as_microsecond()])?;
        let due = match (unseen_for, notice.unseen_since()) {
            (None, _) => Some(now),
            (Some(unseen_for), Some(since)) => Some(now.max(since.saturating_add(unseen_for).unwrap_or(now))),
            // All is seen: that is news only to who was told of it.
            (Some(_), None) => was_told(connection, &exam, name)?.then_some(now),
        };
        let Some(due) = due else { continue };
        connection
            .prepare_cached(
                "INSERT INTO delivery (exam, revision, kind, destination, part, state, queued_us, changed_us, notice)
                    VALUES (?1, ?2, 'notification', ?3, 1, 'queued', ?4, ?5, ?6)",
            )?
            .execute(params![
                exam,
                last.map_or(1, |(number, _)| number + 1),
                name,
                due.as_microsecond(),
                now.as_microsecond(),
                text
            ])?;
    }
    Ok(())
}

fn was_told(connection: &Connection, exam: &str, destination: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM delivery WHERE exam = ?1 AND destination = ?2 AND kind = 'notification'
                AND state = 'done')",
        )?
        .query_row([exam, destination], |row| row.get(0))
}

/// Enters what is to be delivered of a record's verdict, once for each verdict that says something new; what was not sent of
/// earlier ones is superseded.
fn enter_objects(
    connection: &Connection,
    record: &Record,
    addressees: &[Addressee],
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let Some((report, basis)) = record.final_report().zip(record.basis.as_deref()) else { return Ok(()) };
    let exam = record.exam.key.to_string();
    let content = content_digest(report, basis);
    let last = last_revision(connection, &exam)?;
    if last.as_ref().is_some_and(|(_, known)| *known == content) {
        return Ok(());
    }
    let revision = last.map_or(1, |(revision, _)| revision + 1);
    connection
        .prepare_cached("INSERT INTO revision (exam, revision, concluded_us, content) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![exam, revision, basis.concluded.as_microsecond(), content])?;
    connection
        .prepare_cached(
            "UPDATE delivery SET state = 'superseded', reason = 'a later verdict took its place', changed_us = ?2
                WHERE exam = ?1 AND kind NOT IN ('original', 'notification') AND state IN ('queued', 'sending', 'unsure', 'dead')",
        )?
        .execute(params![exam, now.as_microsecond()])?;
    for addressee in addressees {
        enter_for(connection, &exam, revision, addressee, now)?;
    }
    Ok(())
}

fn enter_for(
    connection: &Connection,
    exam: &str,
    revision: u32,
    addressee: &Addressee,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let mut statement = connection.prepare_cached(
        "INSERT OR IGNORE INTO delivery (exam, revision, kind, destination, part, state, queued_us, changed_us)
            VALUES (?1, ?2, ?3, ?4, 0, 'queued', ?5, ?5)",
    )?;
    let Gets::Objects { originals } = addressee.gets else { return Ok(()) };
    for kind in originals.then_some(DeliveryKind::Original).into_iter().chain(DeliveryKind::OF_REPORT) {
        statement.execute(params![exam, revision, kind.as_str(), addressee.name, now.as_microsecond()])?;
    }
    Ok(())
}

/// Number and content of the exam's last verdict.
pub(super) fn last_revision(connection: &Connection, exam: &str) -> rusqlite::Result<Option<(u32, String)>> {
    connection
        .prepare_cached("SELECT revision, content FROM revision WHERE exam = ?1 ORDER BY revision DESC LIMIT 1")?
        .query_row([exam], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Gives verdicts since `since` that have no delivery to an addressee theirs: it was not configured then, or the program of the
/// time had no outbox. How many those are.
pub(in crate::database) fn catch_up(
    connection: &Connection,
    addressees: &[Addressee],
    since: Timestamp,
    now: Timestamp,
) -> Result<usize, DatabaseError> {
    let mut caught = 0;
    for addressee in addressees.iter().filter(|addressee| matches!(addressee.gets, Gets::Objects { .. })) {
        let missing: Vec<(String, u32)> = connection
            .prepare(
                // The plus keeps the planner from going through all that the destination ever got.
                "SELECT exam, (SELECT max(revision) FROM revision WHERE exam = recent.exam)
                    FROM (SELECT DISTINCT exam FROM revision INDEXED BY revision_by_time WHERE concluded_us >= ?2) AS recent
                    WHERE NOT EXISTS (SELECT 1 FROM delivery WHERE exam = recent.exam AND +destination = ?1)",
            )?
            .query_map(params![addressee.name, since.as_microsecond()], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (exam, revision) in &missing {
            enter_for(connection, exam, *revision, addressee, now)?;
        }
        caught += missing.len();
    }
    Ok(caught)
}

/// Numbers the verdicts since `since` that were kept before there was an outbox.
pub(in crate::database) fn number_earlier_verdicts(
    connection: &Connection,
    since: Timestamp,
    content_of: impl Fn(&ExamKey) -> Option<String>,
) -> Result<(), DatabaseError> {
    let exams: Vec<ExamKey> = connection
        .prepare("SELECT exam FROM report_basis WHERE concluded_us >= ?1 AND exam NOT IN (SELECT exam FROM revision)")?
        .query_map([since.as_microsecond()], |row| key(row, "exam"))?
        .collect::<rusqlite::Result<_>>()?;
    let mut insert = connection.prepare(
        "INSERT INTO revision (exam, revision, concluded_us, content)
            SELECT exam, 1, concluded_us, ?2 FROM report_basis WHERE exam = ?1",
    )?;
    for exam in exams {
        if let Some(content) = content_of(&exam) {
            insert.execute(params![exam.to_string(), content])?;
        }
    }
    Ok(())
}
