//! What goes to a destination next, and what became of it.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{OPEN, delivery};
use crate::database::DatabaseError;
use crate::database::delivery::{Delivery, DeliveryState};

/// What a destination gets next: all that is open of one exam, in the order in which it is sent. The exam of which least has
/// failed comes first, so that none that the destination chokes on holds up the others; then the oldest. What failed waits for its
/// time, and the rest of its exam with it until it has failed too often.
pub(in crate::database) fn next_batch(
    connection: &Connection,
    destination: &str,
    now: Timestamp,
) -> Result<Vec<Delivery>, DatabaseError> {
    let now = now.as_microsecond();
    let exam: Option<String> = connection
        .prepare_cached(&format!(
            "SELECT exam FROM delivery WHERE destination = ?1 AND state IN {OPEN} AND part > 0
                GROUP BY exam
                HAVING max(iif(failures < {LETS_PASS}, not_before_us, 0)) <= ?2 AND min(not_before_us) <= ?2
                ORDER BY max(failures), min(id) LIMIT 1"
        ))?
        .query_row(params![destination, now], |row| row.get(0))
        .optional()?;
    let Some(exam) = exam else { return Ok(Vec::new()) };
    let mut batch: Vec<Delivery> = connection
        .prepare_cached(&format!(
            "SELECT * FROM delivery
                WHERE destination = ?1 AND exam = ?2 AND state IN {OPEN} AND part > 0 AND not_before_us <= ?3 ORDER BY id"
        ))?
        .query_map(params![destination, exam, now], delivery)?
        .collect::<rusqlite::Result<_>>()?;
    batch.sort_by_key(|delivery| (delivery.failures >= LETS_PASS, delivery.revision, delivery.kind));
    Ok(batch)
}

/// The notification that a destination gets next.
pub(in crate::database) fn next_notification(
    connection: &Connection,
    destination: &str,
    now: Timestamp,
) -> Result<Option<Delivery>, DatabaseError> {
    let sql = format!(
        "SELECT * FROM delivery WHERE destination = ?1 AND state IN {OPEN} AND kind = 'notification' AND queued_us <= ?2
            AND not_before_us <= ?2 ORDER BY failures, queued_us LIMIT 1"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row(params![destination, now.as_microsecond()], delivery).optional()?)
}

/// A delivery that failed so often lets the others of its exam go first.
const LETS_PASS: u32 = 3;

/// Takes an open delivery in hand; `false` if it is not to be sent any more.
pub(in crate::database) fn claim(connection: &Connection, id: i64, now: Timestamp) -> Result<bool, DatabaseError> {
    let claimed = connection
        .prepare_cached(&format!(
            "UPDATE delivery SET state = 'sending', reason = NULL, may_have_arrived = 1, changed_us = ?2
                WHERE id = ?1 AND state IN {OPEN}"
        ))?
        .execute(params![id, now.as_microsecond()])?;
    Ok(claimed > 0)
}

/// What became of a delivery that was taken in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<'a> {
    pub state: DeliveryState,
    pub reason: Option<&'a str>,
    /// It was refused or lost, and waits this long times two for each time before, up to the second.
    pub pause: Option<[Duration; 2]>,
}

/// Notes what became of a delivery. What somebody dropped or something newer superseded in the meantime stays so, unless it
/// arrived.
pub(in crate::database) fn mark(
    connection: &Connection,
    id: i64,
    outcome: &Outcome<'_>,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let Outcome { state, reason, pause } = outcome;
    let arrived = matches!(state, DeliveryState::Done | DeliveryState::Stored);
    let unknown = *state == DeliveryState::Unsure;
    connection
        .prepare_cached("UPDATE delivery SET may_have_arrived = ?2 WHERE id = ?1 AND (?2 OR may_have_arrived)")?
        .execute(params![id, arrived || unknown])?;
    let [first, longest] =
        pause.unwrap_or_default().map(|pause| i64::try_from(pause.as_micros()).unwrap_or(i64::MAX / 2));
    connection
        .prepare_cached(
            "UPDATE delivery SET state = ?2, reason = ?3, changed_us = ?5, failures = failures + ?4,
                not_before_us = iif(?4, ?5 + min(?7, ?6 * (1 << min(failures, 20))), not_before_us)
                WHERE id = ?1 AND (?8 OR state NOT IN ('superseded', 'dropped'))",
        )?
        .execute(params![id, state.as_str(), reason, pause.is_some(), now.as_microsecond(), first, longest, arrived])?;
    Ok(())
}

/// At a start: what was on its way may have arrived.
pub(in crate::database) fn doubt_sending(connection: &Connection) -> Result<(), DatabaseError> {
    let reason = "the daemon ended while it was on its way";
    connection.execute("UPDATE delivery SET state = 'unsure', reason = ?1 WHERE state = 'sending'", [reason])?;
    Ok(())
}
