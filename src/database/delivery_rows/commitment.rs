//! What destinations are asked to have for good, and what they report.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::delivery;
use crate::database::DatabaseError;
use crate::database::delivery::Delivery;
use crate::database::rows::count;
use crate::dicom::CommitmentReport;

/// What a destination is to be asked about next: all of one exam that it has stored, or was asked about before `asked_before`
/// without a report since. An exam that more is made of is not asked about yet: once is enough.
pub(in crate::database) fn next_uncommitted(
    connection: &Connection,
    destination: &str,
    asked_before: Timestamp,
) -> Result<Vec<Delivery>, DatabaseError> {
    let condition =
        "destination = ?1 AND state IN ('stored', 'commitment_asked') AND (state = 'stored' OR changed_us < ?2)
        AND NOT EXISTS (SELECT 1 FROM delivery AS other WHERE other.exam = delivery.exam
            AND other.destination = delivery.destination AND other.part = 0 AND other.state = 'queued')";
    let exam: Option<String> = connection
        .prepare_cached(&format!("SELECT exam FROM delivery WHERE {condition} ORDER BY id LIMIT 1"))?
        .query_row(params![destination, asked_before.as_microsecond()], |row| row.get(0))
        .optional()?;
    let Some(exam) = exam else { return Ok(Vec::new()) };
    let mut statement =
        connection.prepare_cached(&format!("SELECT * FROM delivery WHERE {condition} AND exam = ?3 ORDER BY id"))?;
    let found = statement.query_map(params![destination, asked_before.as_microsecond(), exam], delivery)?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// A destination that was asked so often and never reported is not asked any more.
const MOST_ASKED: u32 = 3;

/// Notes that a destination is asked about these under a transaction, before it is. What it was asked about too often is done
/// without its word; the others are what it is to be asked about.
pub(in crate::database) fn ask(
    connection: &Connection,
    batch: Vec<Delivery>,
    transaction_uid: &str,
    now: Timestamp,
) -> Result<Vec<Delivery>, DatabaseError> {
    let mut given_up = connection.prepare_cached(
        "UPDATE delivery SET state = 'done_unconfirmed', changed_us = ?2,
            reason = 'the destination stored it, and never reported whether for good'
            WHERE id = ?1 AND asked >= ?3",
    )?;
    let mut asked = connection.prepare_cached(
        "UPDATE delivery SET state = 'commitment_asked', asked = asked + 1, transaction_uid = ?2, changed_us = ?3
            WHERE id = ?1",
    )?;
    let mut left = Vec::new();
    for delivery in batch {
        if given_up.execute(params![delivery.id, now.as_microsecond(), MOST_ASKED])? == 0 {
            asked.execute(params![delivery.id, transaction_uid, now.as_microsecond()])?;
            left.push(delivery);
        }
    }
    Ok(left)
}

/// A question did not reach its destination.
pub(in crate::database) fn take_back_question(
    connection: &Connection,
    transaction_uid: &str,
) -> Result<(), DatabaseError> {
    connection
        .prepare_cached(
            "UPDATE delivery SET state = 'stored', asked = asked - 1 WHERE transaction_uid = ?1 AND state = 'commitment_asked'",
        )?
        .execute([transaction_uid])?;
    Ok(())
}

/// A destination reports. What it has not kept is sent again, and is dead if that has happened too often. How many deliveries
/// it was asked about under the transaction.
pub(in crate::database) fn committed(
    connection: &Connection,
    report: &CommitmentReport,
    now: Timestamp,
) -> Result<usize, DatabaseError> {
    let transaction = &report.transaction_uid;
    let asked: usize = connection
        .prepare_cached("SELECT count(*) AS asked FROM delivery WHERE transaction_uid = ?1")?
        .query_row([transaction], |row| count(row, "asked"))?;
    let mut done = connection.prepare_cached(
        "UPDATE delivery SET state = 'done', reason = NULL, changed_us = ?3
            WHERE transaction_uid = ?1 AND sop_instance_uid = ?2 AND state IN ('commitment_asked', 'done_unconfirmed')",
    )?;
    for uid in &report.committed {
        done.execute(params![transaction, uid, now.as_microsecond()])?;
    }
    let mut missing = connection.prepare_cached(
        "UPDATE delivery SET state = iif(failures < ?5, 'queued', 'dead'), reason = ?4, failures = failures + 1,
            changed_us = ?3
            WHERE transaction_uid = ?1 AND sop_instance_uid = ?2 AND state IN ('commitment_asked', 'done_unconfirmed')",
    )?;
    for (uid, reason) in &report.failed {
        let reason = format!("the destination stored it and has not kept it (reason {reason:04X})");
        missing.execute(params![transaction, uid, now.as_microsecond(), reason, MOST_ASKED])?;
    }
    Ok(asked)
}
