//! Records as rows: columns that anybody reads with `sqlite3`, enums by the words that reports have for them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::record::Record;
use super::{DatabaseError, basis_rows, outcome_rows, phrase_rows};
use crate::alert::{Acknowledgement, Flag, Flags, Moment, Seen};
use crate::analysis::{ExamView, PlacedImage, SlabView};
use crate::dicom::ImageFile;
use crate::exam::{ExamKey, Patient, PlaneCentre, SlabIndex};
use crate::raster::PackedMask;
use crate::triage::{CaseReport, LesionSummary, SliceCounts, Thresholds};

/// Columns of `exam`, in the order in which [`write_exam`] gives them.
const EXAM_COLUMNS: [&str; 33] = [
    "key",
    "study",
    "state",
    "patient_name",
    "patient_id",
    "patient_birth_date",
    "patient_sex",
    "scanner",
    "description",
    "started_us",
    "last_slice_us",
    "updated_us",
    "images_received",
    "instances",
    "slices_analysed",
    "images_kept",
    "slices_failed",
    "objects_refused",
    "instances_replaced",
    "images_expected",
    "lowest_mm",
    "highest_mm",
    "slabs",
    "score",
    "threshold_early",
    "threshold_suspected",
    "verdict",
    "reason",
    "revised",
    "lesions",
    "lesion_ml",
    "lesion_lung_share",
    "lesion_high_opacity_share",
];

/// Writes all of a record, within the caller's transaction.
pub(super) fn write(connection: &Connection, record: &Record) -> Result<(), DatabaseError> {
    let key = &record.exam.key;
    let earlier = report(connection, key)?;
    write_columns(connection, record)?;
    phrase_rows::write(connection, record)?;
    outcome_rows::write(connection, key, &record.outcomes)?;
    if let Some(basis) = &record.basis {
        basis_rows::write(connection, &key.to_string(), basis)?;
    } else if record.final_report() != earlier.as_ref() {
        // What the earlier report was made from says nothing of this one.
        basis_rows::delete(connection, &key.to_string())?;
    }
    Ok(())
}

/// Writes what layout 2 has of a record: the way there from layout 1 knows no later table.
pub(super) fn write_columns(connection: &Connection, record: &Record) -> Result<(), DatabaseError> {
    let key = record.exam.key.to_string();
    write_exam(connection, &record.exam)?;
    match &record.report {
        Some(report) => {
            let mut statement =
                connection.prepare_cached("INSERT OR REPLACE INTO report (exam, report) VALUES (?1, ?2)")?;
            statement.execute(params![key, serde_json::to_string(report)?])?;
        }
        None => drop(connection.prepare_cached("DELETE FROM report WHERE exam = ?1")?.execute([&key])?),
    }
    connection.prepare_cached("DELETE FROM flag WHERE exam = ?1")?.execute([&key])?;
    connection.prepare_cached("DELETE FROM flag_moment WHERE exam = ?1")?.execute([&key])?;
    for (place, flag) in record.flags.all().iter().enumerate() {
        write_flag(connection, &key, place as i64, flag)?;
    }
    connection.prepare_cached("DELETE FROM slab WHERE exam = ?1")?.execute([&key])?;
    for slab in record.slabs.values() {
        write_slab(connection, &key, slab)?;
    }
    Ok(())
}

fn write_exam(connection: &Connection, exam: &ExamView) -> Result<(), DatabaseError> {
    let ExamView { key, patient, slices, threshold, lesions, .. } = exam;
    let places: Vec<String> = (1..=EXAM_COLUMNS.len()).map(|at| format!("?{at}")).collect();
    let updates: Vec<String> = EXAM_COLUMNS[1..].iter().map(|column| format!("{column} = excluded.{column}")).collect();
    // An upsert: to replace the row would take with it all that refers to it.
    let sql = format!(
        "INSERT INTO exam ({}) VALUES ({}) ON CONFLICT (key) DO UPDATE SET {}",
        EXAM_COLUMNS.join(", "),
        places.join(", "),
        updates.join(", ")
    );
    connection.prepare_cached(&sql)?.execute(params![
        key.to_string(),
        key.study(),
        word(&exam.state)?,
        patient.name,
        patient.id,
        patient.birth_date,
        patient.sex,
        exam.scanner,
        exam.description,
        exam.started.as_microsecond(),
        exam.last_slice.map(Timestamp::as_microsecond),
        exam.updated.as_microsecond(),
        slices.received as i64,
        slices.instances as i64,
        slices.analysed as i64,
        slices.kept as i64,
        slices.failed as i64,
        slices.refused as i64,
        slices.replaced as i64,
        slices.expected.map(|expected| expected as i64),
        exam.z_mm.map(|[low, _]| low),
        exam.z_mm.map(|[_, high]| high),
        exam.slabs as i64,
        exam.score,
        threshold.early,
        threshold.suspected,
        exam.verdict.as_ref().map(word).transpose()?,
        exam.reason,
        exam.revised,
        lesions.map(|lesions| lesions.count as i64),
        lesions.map(|lesions| lesions.volume_ml),
        lesions.map(|lesions| lesions.lung_share),
        lesions.map(|lesions| lesions.high_opacity_share),
    ])?;
    Ok(())
}

fn write_flag(connection: &Connection, exam: &str, place: i64, flag: &Flag) -> Result<(), DatabaseError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO flag (exam, place, kind, severity, state, text, remedy, raised_us, after_slices, score,
            acknowledged_by, acknowledged_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    statement.execute(params![
        exam,
        place,
        word(&flag.kind)?,
        word(&flag.severity)?,
        word(&flag.state)?,
        flag.text,
        flag.remedy.as_ref().map(word).transpose()?,
        flag.raised.as_microsecond(),
        flag.after_slices as i64,
        flag.score,
        flag.acknowledged.as_ref().map(|acknowledged| &acknowledged.by),
        flag.acknowledged.as_ref().map(|acknowledged| acknowledged.at.as_microsecond()),
    ])?;
    let mut statement = connection.prepare_cached(
        "INSERT INTO flag_moment (exam, flag, place, event, at_us, score, slices, scan_share, driving_slabs)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for (number, Moment { event, seen }) in flag.life.iter().enumerate() {
        statement.execute(params![
            exam,
            place,
            number as i64,
            word(event)?,
            seen.at.as_microsecond(),
            seen.score,
            seen.slices as i64,
            seen.scan_share,
            serde_json::to_string(&seen.driving_slabs)?,
        ])?;
    }
    Ok(())
}

fn write_slab(connection: &Connection, exam: &str, slab: &SlabView) -> Result<(), DatabaseError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO slab (exam, slab, z_mm, lung_cm2, lesion_cm2, attention, logit, score, mask_rows, mask_columns, lung_mask,
            lesion_mask, image_path, image_frame, centre_x_mm, centre_y_mm)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?;
    let image = slab.image.as_ref().map(|placed| &placed.image);
    let centre = slab.image.as_ref().and_then(|placed| placed.centre).map(PlaneCentre::mm);
    statement.execute(params![
        exam,
        slab.index.0,
        slab.z_mm,
        slab.lung_cm2,
        slab.lesion_cm2,
        f64::from(slab.attention),
        f64::from(slab.logit),
        slab.score,
        slab.lung.rows() as i64,
        slab.lung.columns() as i64,
        slab.lung.deflated(),
        slab.lesion.deflated(),
        image.map(|image| image.path.to_string_lossy()),
        image.map(|image| image.frame as i64),
        centre.map(|[x, _]| x),
        centre.map(|[_, y]| y),
    ])?;
    Ok(())
}

/// The exams that a condition on `exam` chooses, in the order that it says.
pub(super) fn exams(connection: &Connection, condition: &str, params: impl Params) -> rusqlite::Result<Vec<ExamView>> {
    let sql = format!("SELECT {}, {} FROM exam {condition}", EXAM_COLUMNS.join(", "), phrase_rows::REASON);
    connection.prepare_cached(&sql)?.query_map(params, exam)?.collect()
}

/// All that is known of an exam.
pub(super) fn record(connection: &Connection, key: &ExamKey) -> Result<Option<Record>, DatabaseError> {
    let name = key.to_string();
    let Some(exam) = exams(connection, "WHERE key = ?1", [&name])?.pop() else { return Ok(None) };
    let slabs: Vec<SlabView> = connection
        .prepare_cached("SELECT * FROM slab WHERE exam = ?1 ORDER BY slab")?
        .query_map([&name], slab)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Some(Record {
        exam,
        flags: flags(connection, key)?,
        outcomes: outcome_rows::of(connection, key)?,
        slabs: slabs.into_iter().map(|slab| (slab.index, slab)).collect::<BTreeMap<SlabIndex, SlabView>>(),
        report: report(connection, key)?,
        basis: None,
    }))
}

/// The report of an exam.
pub(super) fn report(connection: &Connection, key: &ExamKey) -> Result<Option<CaseReport>, DatabaseError> {
    let mut statement = connection.prepare_cached("SELECT report FROM report WHERE exam = ?1")?;
    let json: Option<String> = statement.query_row([key.to_string()], |row| row.get(0)).optional()?;
    Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
}

/// The flags of an exam, in the order in which they were first raised.
pub(super) fn flags(connection: &Connection, key: &ExamKey) -> rusqlite::Result<Flags> {
    let name = key.to_string();
    let sql = format!("SELECT *, {} FROM flag WHERE exam = ?1 ORDER BY place", phrase_rows::FLAG);
    let mut statement = connection.prepare_cached(&sql)?;
    let flags = statement.query_map([&name], flag)?.collect::<rusqlite::Result<Vec<(i64, Flag)>>>()?;
    let mut moments =
        connection.prepare_cached("SELECT * FROM flag_moment WHERE exam = ?1 AND flag = ?2 ORDER BY place")?;
    flags
        .into_iter()
        .map(|(place, flag)| {
            let life = moments.query_map(params![name, place], moment)?.collect::<rusqlite::Result<_>>()?;
            Ok(Flag { life, ..flag })
        })
        .collect::<rusqlite::Result<Vec<Flag>>>()
        .map(Flags::from)
}

fn exam(row: &Row<'_>) -> rusqlite::Result<ExamView> {
    let lesions: Option<i64> = row.get("lesions")?;
    let lesions = lesions.map(|count| -> rusqlite::Result<LesionSummary> {
        Ok(LesionSummary {
            count: count as usize,
            volume_ml: row.get("lesion_ml")?,
            lung_share: row.get("lesion_lung_share")?,
            high_opacity_share: row.get("lesion_high_opacity_share")?,
        })
    });
    let z_mm = row.get::<_, Option<f64>>("lowest_mm")?.zip(row.get("highest_mm")?);
    Ok(ExamView {
        key: key(row, "key")?,
        state: enumerated(row, "state")?,
        patient: Patient {
            name: row.get("patient_name")?,
            id: row.get("patient_id")?,
            birth_date: row.get("patient_birth_date")?,
            sex: row.get("patient_sex")?,
        },
        scanner: row.get("scanner")?,
        description: row.get("description")?,
        started: time(row, "started_us")?,
        last_slice: optional_time(row, "last_slice_us")?,
        updated: time(row, "updated_us")?,
        slices: SliceCounts {
            received: count(row, "images_received")?,
            instances: count(row, "instances")?,
            analysed: count(row, "slices_analysed")?,
            kept: count(row, "images_kept")?,
            failed: count(row, "slices_failed")?,
            refused: count(row, "objects_refused")?,
            replaced: count(row, "instances_replaced")?,
            expected: row.get::<_, Option<i64>>("images_expected")?.map(|expected| expected as usize),
        },
        z_mm: z_mm.map(|(low, high)| [low, high]),
        slabs: count(row, "slabs")?,
        score: row.get("score")?,
        threshold: Thresholds { early: row.get("threshold_early")?, suspected: row.get("threshold_suspected")? },
        verdict: optional_enumerated(row, "verdict")?,
        reason: row.get("reason")?,
        reason_phrase: phrase_rows::phrase(row, "reason_phrase")?,
        revised: row.get("revised")?,
        lesions: lesions.transpose()?,
    })
}

fn slab(row: &Row<'_>) -> rusqlite::Result<SlabView> {
    let (rows, columns) = (count(row, "mask_rows")?, count(row, "mask_columns")?);
    let path: Option<String> = row.get("image_path")?;
    let centre = row.get::<_, Option<f64>>("centre_x_mm")?.zip(row.get("centre_y_mm")?);
    let image = path.map(|path| -> rusqlite::Result<PlacedImage> {
        let image = ImageFile { path: path.into(), frame: count(row, "image_frame")? };
        Ok(PlacedImage { image, centre: centre.map(|(x_mm, y_mm)| PlaneCentre::at(x_mm, y_mm)) })
    });
    Ok(SlabView {
        index: SlabIndex(row.get("slab")?),
        z_mm: row.get("z_mm")?,
        lung_cm2: row.get("lung_cm2")?,
        lesion_cm2: row.get("lesion_cm2")?,
        attention: row.get::<_, f64>("attention")? as f32,
        logit: row.get::<_, f64>("logit")? as f32,
        score: row.get("score")?,
        lung: PackedMask::from_parts(rows, columns, row.get("lung_mask")?),
        lesion: PackedMask::from_parts(rows, columns, row.get("lesion_mask")?),
        image: image.transpose()?,
    })
}

/// A flag without its life, and its place among the exam's.
fn flag(row: &Row<'_>) -> rusqlite::Result<(i64, Flag)> {
    let kind = enumerated(row, "kind")?;
    let by: Option<String> = row.get("acknowledged_by")?;
    let flag = Flag {
        id: Flag::id_of(kind),
        kind,
        severity: enumerated(row, "severity")?,
        state: enumerated(row, "state")?,
        text: row.get("text")?,
        phrase: phrase_rows::phrase(row, "flag_phrase")?,
        remedy: optional_enumerated(row, "remedy")?,
        raised: time(row, "raised_us")?,
        after_slices: count(row, "after_slices")?,
        score: row.get("score")?,
        acknowledged: by.zip(optional_time(row, "acknowledged_us")?).map(|(by, at)| Acknowledgement { by, at }),
        life: Vec::new(),
    };
    Ok((row.get("place")?, flag))
}

fn moment(row: &Row<'_>) -> rusqlite::Result<Moment> {
    let driving_slabs: String = row.get("driving_slabs")?;
    let seen = Seen {
        at: time(row, "at_us")?,
        score: row.get("score")?,
        slices: count(row, "slices")?,
        scan_share: row.get("scan_share")?,
        driving_slabs: serde_json::from_str(&driving_slabs).map_err(|error| unreadable(row, "driving_slabs", error))?,
    };
    Ok(Moment { event: enumerated(row, "event")?, seen })
}

/// The word that reports have for a value of an enum.
pub(super) fn word(value: &impl Serialize) -> Result<String, DatabaseError> {
    let value = serde_json::to_value(value)?;
    Ok(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

pub(super) fn enumerated<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let word: String = row.get(column)?;
    serde_json::from_value(word.into()).map_err(|error| unreadable(row, column, error))
}

pub(super) fn optional_enumerated<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    row.get::<_, Option<String>>(column)?.map(|_| enumerated(row, column)).transpose()
}

pub(super) fn count(row: &Row<'_>, column: &str) -> rusqlite::Result<usize> {
    let count: i64 = row.get(column)?;
    usize::try_from(count).map_err(|error| unreadable(row, column, error))
}

pub(super) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?).map_err(|error| unreadable(row, column, error))
}

pub(super) fn optional_time(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    row.get::<_, Option<i64>>(column)?.map(|_| time(row, column)).transpose()
}

/// An exam's key in a column.
pub(super) fn key(row: &Row<'_>, column: &str) -> rusqlite::Result<ExamKey> {
    let text: String = row.get(column)?;
    ExamKey::parse(&text).ok_or_else(|| unreadable(row, column, FromSqlError::InvalidType))
}

pub(super) fn unreadable(
    row: &Row<'_>,
    column: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    let at = row.as_ref().column_index(column).unwrap_or_default();
    rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(error))
}
