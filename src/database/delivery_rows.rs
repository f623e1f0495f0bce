//! Deliveries as rows. Those of a verdict enter in its own transaction, one for each kind and destination and without an object
//! (part 0); once the objects are made, each has a row of its own in their place.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};
use serde::Deserialize;

use super::DatabaseError;
use super::delivery::{Addressee, Delivery, DeliveryKind, DeliveryObject, DeliveryState, Gets};
use super::record::Record;
use super::rows::{count, enumerated, key, time, unreadable};
use crate::alert::Notice;
use crate::dicom::CommitmentReport;
use crate::exam::ExamKey;
use crate::report::{SopReference, content_digest};

/// States in which the worker of the destination has to do with a delivery, as a list in SQL.
const OPEN: &str = "('queued', 'sending', 'unsure')";

/// The states of what is not settled.
const UNSETTLED: &str = "('queued', 'sending', 'unsure', 'stored', 'commitment_asked', 'dead')";

/// Enters what is to be delivered of a record.
pub(super) fn enter(
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
fn last_revision(connection: &Connection, exam: &str) -> rusqlite::Result<Option<(u32, String)>> {
    connection
        .prepare_cached("SELECT revision, content FROM revision WHERE exam = ?1 ORDER BY revision DESC LIMIT 1")?
        .query_row([exam], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Gives verdicts since `since` that have no delivery to an addressee theirs: it was not configured then, or the program of the
/// time had no outbox. How many those are.
pub(super) fn catch_up(
    connection: &Connection,
    addressees: &[Addressee],
    since: Timestamp,
    now: Timestamp,
) -> Result<usize, DatabaseError> {
    let mut caught = 0;
    for addressee in addressees.iter().filter(|addressee| matches!(addressee.gets, Gets::Objects { .. })) {
        let missing: Vec<(String, u32)> = connection
            .prepare(
                "SELECT exam, max(revision) FROM revision
                    WHERE exam NOT IN (SELECT exam FROM delivery WHERE destination = ?1)
                    GROUP BY exam HAVING max(concluded_us) >= ?2",
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
pub(super) fn number_earlier_verdicts(
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

/// A verdict whose objects are to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmade {
    /// Of the first of its deliveries.
    pub id: i64,
    pub exam: ExamKey,
    pub revision: u32,
    /// What it says; see [`content_digest`].
    pub content: String,
    pub has_originals: bool,
    /// The structured report that this one takes the place of, where a destination has it or may have it.
    pub replaces: Option<SopReference>,
}

/// The next verdict whose objects are to be made, behind the delivery `after`.
pub(super) fn next_unmade(connection: &Connection, after: i64) -> Result<Option<Unmade>, DatabaseError> {
    let mut statement = connection.prepare_cached(
        "SELECT delivery.id, exam, revision, content, EXISTS (SELECT 1 FROM delivery AS other WHERE other.exam = delivery.exam
                AND other.revision = delivery.revision AND other.part = 0 AND other.kind = 'original'
                AND other.state = 'queued') AS has_originals
            FROM delivery JOIN revision USING (exam, revision)
            WHERE part = 0 AND state = 'queued' AND delivery.id > ?1 ORDER BY delivery.id LIMIT 1",
    )?;
    let unmade = |row: &Row<'_>| {
        Ok(Unmade {
            id: row.get("id")?,
            exam: key(row, "exam")?,
            revision: row.get("revision")?,
            content: row.get("content")?,
            has_originals: row.get("has_originals")?,
            replaces: None,
        })
    };
    let Some(unmade) = statement.query_row([after], unmade).optional()? else { return Ok(None) };
    let replaces = connection
        .prepare_cached(
            "SELECT sop_class_uid, sop_instance_uid, series_instance_uid FROM delivery
                WHERE exam = ?1 AND revision < ?2 AND kind = 'structured_report' AND part > 0
                    AND may_have_arrived
                ORDER BY revision DESC LIMIT 1",
        )?
        .query_row(params![unmade.exam.to_string(), unmade.revision], |row| {
            Ok(SopReference {
                sop_class_uid: row.get("sop_class_uid")?,
                sop_instance_uid: row.get("sop_instance_uid")?,
                series_instance_uid: row.get("series_instance_uid")?,
            })
        })
        .optional()?;
    Ok(Some(Unmade { replaces, ..unmade }))
}

/// Puts the objects that a verdict became in the place of what stood for them.
pub(super) fn put_objects(
    connection: &Connection,
    Unmade { exam, revision, .. }: &Unmade,
    objects: &[(DeliveryKind, DeliveryObject)],
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let exam = exam.to_string();
    let placeholders: Vec<(String, DeliveryKind, i64)> = connection
        .prepare_cached(
            "SELECT destination, kind, queued_us FROM delivery
                WHERE exam = ?1 AND revision = ?2 AND part = 0 AND state = 'queued'",
        )?
        .query_map(params![exam, revision], |row| Ok((row.get(0)?, enumerated(row, "kind")?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO delivery (exam, revision, kind, destination, part, state, queued_us, changed_us, path,
            sop_class_uid, sop_instance_uid, series_instance_uid, transfer_syntax_uid, sha256)
            SELECT ?1, ?2, ?3, ?4, ?5, 'queued', ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13
            WHERE ?3 <> 'original' OR NOT EXISTS
                (SELECT 1 FROM delivery WHERE exam = ?1 AND kind = 'original' AND destination = ?4 AND path = ?8)",
    )?;
    for (destination, kind, queued_us) in placeholders {
        let of_kind = objects.iter().filter(|(of, _)| *of == kind).map(|(_, object)| object);
        for (number, object) in of_kind.enumerate() {
            insert.execute(params![
                exam,
                revision,
                kind.as_str(),
                destination,
                number as i64 + 1,
                queued_us,
                now.as_microsecond(),
                object.path.to_string_lossy(),
                object.sop_class_uid,
                object.sop_instance_uid,
                object.series_instance_uid,
                object.transfer_syntax_uid,
                object.sha256,
            ])?;
        }
    }
    connection
        .prepare_cached("DELETE FROM delivery WHERE exam = ?1 AND revision = ?2 AND part = 0 AND state = 'queued'")?
        .execute(params![exam, revision])?;
    Ok(())
}

/// Says of all that stands for a verdict's objects, but for its originals, that they cannot be made, or need not be.
pub(super) fn end_unmade(
    connection: &Connection,
    Unmade { exam, revision, .. }: &Unmade,
    state: DeliveryState,
    reason: &str,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    connection
        .prepare_cached(
            "UPDATE delivery SET state = ?3, reason = ?4, changed_us = ?5
                WHERE exam = ?1 AND revision = ?2 AND part = 0 AND state = 'queued' AND kind <> 'original'",
        )?
        .execute(params![exam.to_string(), revision, state.as_str(), reason, now.as_microsecond()])?;
    Ok(())
}

/// What a destination gets next: all that is open of one exam, in the order in which it is sent. The exam of which least has
/// failed comes first, so that none that the destination chokes on holds up the others; then the oldest. What failed waits for its
/// time, and the rest of its exam with it until it has failed too often.
pub(super) fn next_batch(
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
pub(super) fn next_notification(
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
pub(super) fn claim(connection: &Connection, id: i64, now: Timestamp) -> Result<bool, DatabaseError> {
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
pub(super) fn mark(
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

/// What a destination is to be asked about next: all of one exam that it has stored, or was asked about before `asked_before`
/// without a report since.
pub(super) fn next_uncommitted(
    connection: &Connection,
    destination: &str,
    asked_before: Timestamp,
) -> Result<Vec<Delivery>, DatabaseError> {
    let condition = "destination = ?1 AND (state = 'stored' OR (state = 'commitment_asked' AND changed_us < ?2))";
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
pub(super) fn ask(
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
pub(super) fn take_back_question(connection: &Connection, transaction_uid: &str) -> Result<(), DatabaseError> {
    connection
        .prepare_cached(
            "UPDATE delivery SET state = 'stored', asked = asked - 1 WHERE transaction_uid = ?1 AND state = 'commitment_asked'",
        )?
        .execute([transaction_uid])?;
    Ok(())
}

/// A destination reports. What it has not kept is sent again, and is dead if that has happened too often. How many deliveries
/// it was asked about under the transaction.
pub(super) fn committed(
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

/// At a start: what was on its way may have arrived.
pub(super) fn doubt_sending(connection: &Connection) -> Result<(), DatabaseError> {
    let reason = "the daemon ended while it was on its way";
    connection.execute("UPDATE delivery SET state = 'unsure', reason = ?1 WHERE state = 'sending'", [reason])?;
    Ok(())
}

/// Which deliveries are meant: all that it does not exclude.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryFilter {
    #[serde(rename = "numbers")]
    pub ids: Vec<i64>,
    pub exam: Option<ExamKey>,
    pub destination: Option<String>,
    /// Empty for all.
    #[serde(skip)]
    pub states: Vec<DeliveryState>,
}

impl DeliveryFilter {
    /// Whether it excludes anything.
    #[must_use]
    pub fn names_some(&self) -> bool {
        !self.ids.is_empty() || self.exam.is_some() || self.destination.is_some()
    }

    fn condition(&self) -> (String, Vec<Value>) {
        let mut conditions = vec!["TRUE".to_owned()];
        let mut values: Vec<Value> = Vec::new();
        let mut among = |column: &str, of: Vec<Value>| {
            if !of.is_empty() {
                conditions.push(format!("{column} IN ({})", vec!["?"; of.len()].join(", ")));
                values.extend(of);
            }
        };
        among("id", self.ids.iter().map(|id| Value::from(*id)).collect());
        among("exam", self.exam.iter().map(|exam| Value::from(exam.to_string())).collect());
        among("destination", self.destination.iter().map(|name| Value::from(name.clone())).collect());
        among("state", self.states.iter().map(|state| Value::from(state.as_str().to_owned())).collect());
        (conditions.join(" AND "), values)
    }
}

/// The deliveries that are meant, the oldest first.
pub(super) fn list(connection: &Connection, filter: &DeliveryFilter) -> Result<Vec<Delivery>, DatabaseError> {
    let (condition, values) = filter.condition();
    let mut statement = connection.prepare(&format!("SELECT * FROM delivery WHERE {condition} ORDER BY id"))?;
    let found = statement.query_map(params_from_iter(values), delivery)?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Sets the state of those that are meant; how many they are. Who wants them sent again begins anew.
pub(super) fn decide(
    connection: &Connection,
    filter: &DeliveryFilter,
    state: DeliveryState,
    now: Timestamp,
) -> Result<usize, DatabaseError> {
    let (condition, values) = filter.condition();
    let sql = format!(
        "UPDATE delivery SET state = ?, reason = NULL, failures = 0, asked = 0, not_before_us = 0, changed_us = ? WHERE {condition}"
    );
    let first = [Value::from(state.as_str().to_owned()), Value::from(now.as_microsecond())];
    Ok(connection.execute(&sql, params_from_iter(first.into_iter().chain(values)))?)
}

/// How many unsettled deliveries of a destination are in each state, and since when the oldest open one waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    pub by_state: Vec<(DeliveryState, usize)>,
    pub oldest_open: Option<Timestamp>,
}

impl DeliveryCounts {
    #[must_use]
    pub fn of(&self, state: DeliveryState) -> usize {
        self.by_state.iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| *count)
    }

    #[must_use]
    pub fn open(&self) -> usize {
        self.by_state.iter().filter(|(state, _)| state.is_open()).map(|(_, count)| count).sum()
    }
}

pub(super) fn counts(connection: &Connection, destination: &str) -> Result<DeliveryCounts, DatabaseError> {
    let by_state = connection
        .prepare_cached(&format!(
            "SELECT state, count(*) AS deliveries FROM delivery WHERE destination = ?1 AND state IN {UNSETTLED}
                GROUP BY state"
        ))?
        .query_map([destination], |row| Ok((enumerated(row, "state")?, count(row, "deliveries")?)))?
        .collect::<rusqlite::Result<_>>()?;
    let oldest: Option<i64> = connection
        .prepare_cached(&format!("SELECT min(queued_us) FROM delivery WHERE destination = ?1 AND state IN {OPEN}"))?
        .query_row([destination], |row| row.get(0))?;
    Ok(DeliveryCounts { by_state, oldest_open: oldest.and_then(|us| Timestamp::from_microsecond(us).ok()) })
}

/// Whether an exam's images are needed still: objects are to be made from them, or they are to be delivered themselves. What is
/// dead counts too: somebody has to decide on it.
pub(super) fn needs_images(connection: &Connection, exam: &ExamKey) -> Result<bool, DatabaseError> {
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM delivery WHERE exam = ?1 AND (part = 0 OR kind = 'original') AND state IN {UNSETTLED})"
    );
    Ok(connection.prepare_cached(&sql)?.query_row([exam.to_string()], |row| row.get(0))?)
}

/// Whether files of an exam's objects are needed: some are not delivered, or were a moment ago.
pub(super) fn needs_objects(connection: &Connection, exam: &ExamKey, since: Timestamp) -> Result<bool, DatabaseError> {
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM delivery WHERE exam = ?1 AND (state IN {UNSETTLED} OR changed_us >= ?2))"
    );
    Ok(connection
        .prepare_cached(&sql)?
        .query_row(params![exam.to_string(), since.as_microsecond()], |row| row.get(0))?)
}

/// The objects that a verdict became already, for other destinations.
pub(super) fn made_objects(
    connection: &Connection,
    exam: &ExamKey,
    revision: u32,
) -> Result<Vec<(DeliveryKind, DeliveryObject)>, DatabaseError> {
    let mut statement = connection.prepare_cached(
        "SELECT * FROM delivery WHERE exam = ?1 AND revision = ?2 AND kind NOT IN ('original', 'notification') AND part > 0
            GROUP BY path ORDER BY path",
    )?;
    let all: Vec<Delivery> =
        statement.query_map(params![exam.to_string(), revision], delivery)?.collect::<rusqlite::Result<_>>()?;
    Ok(all.into_iter().filter_map(|delivery| Some((delivery.kind, delivery.object?))).collect())
}

/// Number of the exam's last verdict.
pub(super) fn last_revision_of(connection: &Connection, exam: &ExamKey) -> Result<Option<u32>, DatabaseError> {
    Ok(last_revision(connection, &exam.to_string())?.map(|(revision, _)| revision))
}

/// Unsettled deliveries to destinations that are none of these, by destination.
pub(super) fn strays(connection: &Connection, known: &[String]) -> Result<Vec<(String, usize)>, DatabaseError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT destination, count(*) AS deliveries FROM delivery WHERE state IN {UNSETTLED} GROUP BY destination"
    ))?;
    let all: Vec<(String, usize)> = statement
        .query_map([], |row| Ok((row.get("destination")?, count(row, "deliveries")?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(all.into_iter().filter(|(destination, _)| !known.contains(destination)).collect())
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let path: Option<String> = row.get("path")?;
    let object = path.map(|path| -> rusqlite::Result<DeliveryObject> {
        Ok(DeliveryObject {
            path: path.into(),
            sop_class_uid: row.get("sop_class_uid")?,
            sop_instance_uid: row.get("sop_instance_uid")?,
            series_instance_uid: row.get("series_instance_uid")?,
            transfer_syntax_uid: row.get("transfer_syntax_uid")?,
            sha256: row.get("sha256")?,
        })
    });
    let notice = row
        .get::<_, Option<String>>("notice")?
        .map(|notice| serde_json::from_str(&notice).map_err(|error| unreadable(row, "notice", error)));
    Ok(Delivery {
        id: row.get("id")?,
        exam: key(row, "exam")?,
        revision: row.get("revision")?,
        kind: enumerated(row, "kind")?,
        destination: row.get("destination")?,
        state: enumerated(row, "state")?,
        reason: row.get("reason")?,
        queued: time(row, "queued_us")?,
        changed: time(row, "changed_us")?,
        failures: row.get("failures")?,
        object: object.transpose()?,
        notice: notice.transpose()?.map(Box::new),
    })
}
