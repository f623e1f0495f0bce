//! Verdicts whose objects are to be made, and what they became.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::delivery;
use super::entering::last_revision;
use crate::database::DatabaseError;
use crate::database::delivery::{Delivery, DeliveryKind, DeliveryObject, DeliveryState};
use crate::database::rows::{enumerated, key, time};
use crate::exam::ExamKey;
use crate::report::SopReference;

/// A verdict whose objects are to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmade {
    /// Of the first of its deliveries.
    pub id: i64,
    pub exam: ExamKey,
    pub revision: u32,
    /// What it says; see [`crate::report::content_digest`].
    pub content: String,
    /// When it was given.
    pub concluded: Timestamp,
    pub has_originals: bool,
    /// The structured report that this one takes the place of, where a destination has it or may have it.
    pub replaces: Option<SopReference>,
}

/// The next verdict whose objects are to be made, behind the delivery `after`.
pub(in crate::database) fn next_unmade(connection: &Connection, after: i64) -> Result<Option<Unmade>, DatabaseError> {
    let mut statement = connection.prepare_cached(
        "SELECT delivery.id, exam, revision, content, concluded_us, EXISTS (SELECT 1 FROM delivery AS other WHERE other.exam = delivery.exam
                AND other.revision = delivery.revision AND other.part = 0 AND other.kind = 'original'
                AND other.state = 'queued') AS has_originals
            FROM delivery INDEXED BY delivery_unmade JOIN revision USING (exam, revision)
            WHERE part = 0 AND state = 'queued' AND delivery.id > ?1 ORDER BY delivery.id LIMIT 1",
    )?;
    let unmade = |row: &Row<'_>| {
        Ok(Unmade {
            id: row.get("id")?,
            exam: key(row, "exam")?,
            revision: row.get("revision")?,
            content: row.get("content")?,
            concluded: time(row, "concluded_us")?,
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

/// Puts the objects of these kinds that a verdict became in the place of what stood for them.
pub(in crate::database) fn put_objects(
    connection: &Connection,
    Unmade { exam, revision, .. }: &Unmade,
    kinds: &[DeliveryKind],
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
    for (destination, kind, queued_us) in placeholders.into_iter().filter(|(_, kind, _)| kinds.contains(kind)) {
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
    let mut delete = connection.prepare_cached(
        "DELETE FROM delivery WHERE exam = ?1 AND revision = ?2 AND kind = ?3 AND part = 0 AND state = 'queued'",
    )?;
    for kind in kinds {
        delete.execute(params![exam, revision, kind.as_str()])?;
    }
    Ok(())
}

/// At a start: an end came between the first objects of a verdict and the rest. All of them are made again, for what makes them now may
/// be another version or configuration, and the structured report must name the segmentations that go with it.
pub(in crate::database) fn forget_half_made(connection: &Connection) -> Result<(), DatabaseError> {
    let half_made = "kind = 'segmentation' AND (exam, revision, destination) IN (SELECT exam, revision, destination
        FROM delivery INDEXED BY delivery_unmade WHERE kind = 'structured_report' AND part = 0 AND state = 'queued')";
    connection.execute(&format!("DELETE FROM delivery WHERE part > 1 AND {half_made}"), [])?;
    connection.execute(
        &format!(
            "UPDATE delivery SET part = 0, state = 'queued', reason = NULL, failures = 0, path = NULL, sop_class_uid = NULL,
                sop_instance_uid = NULL, series_instance_uid = NULL, transfer_syntax_uid = NULL, sha256 = NULL,
                transaction_uid = NULL, asked = 0, not_before_us = 0
                WHERE part = 1 AND {half_made}"
        ),
        [],
    )?;
    Ok(())
}

/// Says of all that stands for a verdict's objects, but for its originals, that they cannot be made, or need not be.
pub(in crate::database) fn end_unmade(
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

/// The objects that a verdict became already, for other destinations; none unless all of them are there. The structured report enters
/// together with the last of the others.
pub(in crate::database) fn made_objects(
    connection: &Connection,
    exam: &ExamKey,
    revision: u32,
) -> Result<Vec<(DeliveryKind, DeliveryObject)>, DatabaseError> {
    let mut statement = connection.prepare_cached(
        "SELECT * FROM delivery WHERE exam = ?1 AND revision = ?2 AND kind NOT IN ('original', 'notification') AND part > 0
                AND EXISTS (SELECT 1 FROM delivery WHERE exam = ?1 AND revision = ?2 AND kind = 'structured_report' AND part > 0)
            GROUP BY path ORDER BY path",
    )?;
    let all: Vec<Delivery> =
        statement.query_map(params![exam.to_string(), revision], delivery)?.collect::<rusqlite::Result<_>>()?;
    Ok(all.into_iter().filter_map(|delivery| Some((delivery.kind, delivery.object?))).collect())
}

/// Number of the exam's last verdict.
pub(in crate::database) fn last_revision_of(
    connection: &Connection,
    exam: &ExamKey,
) -> Result<Option<u32>, DatabaseError> {
    Ok(last_revision(connection, &exam.to_string())?.map(|(revision, _)| revision))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::schema::MIGRATIONS;

    fn rows(connection: &Connection) -> Vec<(String, String, i64, String, bool)> {
        let mut rows = connection
            .prepare(
                "SELECT destination, kind, part, state, path IS NULL FROM delivery ORDER BY destination, kind, part",
            )
            .unwrap();
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
        rows.query_map([], row).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn what_was_made_by_half_is_made_again_as_a_whole_and_what_is_whole_stays() {
        let mut connection = Connection::open_in_memory().unwrap();
        MIGRATIONS.to_latest(&mut connection).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        let insert = |destination: &str, kind: &str, part: i64, state: &str| {
            let path = (part > 0).then(|| format!("{kind}-{part}"));
            connection
                .execute(
                    "INSERT INTO delivery (exam, revision, kind, destination, part, state, queued_us, changed_us, path)
                        VALUES ('0123456789abcdef', 1, ?2, ?1, ?3, ?4, 7, 8, ?5)",
                    params![destination, kind, part, state, path],
                )
                .unwrap();
        };
        for (part, state) in [(1, "done"), (2, "queued")] {
            insert("half", "segmentation", part, state);
            insert("whole", "segmentation", part, state);
        }
        for kind in ["secondary_capture", "structured_report"] {
            insert("half", kind, 0, "queued");
            insert("whole", kind, 1, "queued");
        }
        forget_half_made(&connection).unwrap();
        let row = |destination: &str, kind: &str, part, state: &str| {
            (destination.to_owned(), kind.to_owned(), part, state.to_owned(), part == 0)
        };
        let expected = [
            row("half", "secondary_capture", 0, "queued"),
            row("half", "segmentation", 0, "queued"),
            row("half", "structured_report", 0, "queued"),
            row("whole", "secondary_capture", 1, "queued"),
            row("whole", "segmentation", 1, "done"),
            row("whole", "segmentation", 2, "queued"),
            row("whole", "structured_report", 1, "queued"),
        ];
        assert_eq!(rows(&connection), expected);
    }
}
