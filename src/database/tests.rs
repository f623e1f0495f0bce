use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::params;
use tempfile::TempDir;

use super::*;
use crate::analysis::SlabView;
use crate::engine::ModelPackage;
use crate::exam::{Patient, SlabIndex, SourceImage, made_slice};
use crate::raster::{Outline, PackedMask, outlines};
use crate::triage::{CaseReport, Segmentation, SegmentedRun, SegmentedSlab, Side, Verdict};

/// An exam as version 0.1 wrote it: the phantom with pneumonia, slices missing, its flag acknowledged. Every fourth slab.
const EXAM_1: &str = include_str!("fixtures/exam_1.json");

fn file(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("tableside.db")
}

/// A database of version 0.1 with this many exams.
pub(crate) fn earlier_database(folder: &TempDir, exams: usize) -> std::path::PathBuf {
    let path = file(folder);
    let mut connection = Connection::open(&path).unwrap();
    let layout = "PRAGMA journal_mode = WAL;
        CREATE TABLE exam (key TEXT PRIMARY KEY, started TEXT NOT NULL, record TEXT NOT NULL) STRICT;
        PRAGMA user_version = 1;";
    connection.execute_batch(layout).unwrap();
    let transaction = connection.transaction().unwrap();
    let first: serde_json::Value = serde_json::from_str(EXAM_1).unwrap();
    for number in 0..exams {
        let (key, started) =
            (format!("{number:016x}"), format!("2026-11-29T11:{:02}:{:02}Z", number / 60 % 60, number % 60));
        let mut record = first.clone();
        record["exam"]["key"] = key.clone().into();
        record["exam"]["started"] = started.clone().into();
        record["report"]["exam"] = key.clone().into();
        let insert = "INSERT INTO exam (key, started, record) VALUES (?1, ?2, ?3)";
        transaction.execute(insert, params![key, started, record.to_string()]).unwrap();
    }
    transaction.commit().unwrap();
    path
}

pub(crate) fn key(number: usize) -> ExamKey {
    ExamKey::parse(&format!("{number:016x}")).unwrap()
}

/// A record that has everything that one can have.
fn full_record(folder: &TempDir) -> Record {
    let path = earlier_database(folder, 1);
    Database::open(&path).unwrap().record(&key(0)).unwrap()
}

#[test]
fn an_exam_of_the_version_before_has_its_verdict_flags_report_and_outlines_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let record = full_record(&folder);
    let before: serde_json::Value = serde_json::from_str(EXAM_1).unwrap();
    assert_eq!(record.exam.verdict, Some(Verdict::Suspected));
    assert_eq!(record.exam.patient.name, "PHANTOM^PNEUMONIA");
    let report = serde_json::to_value(record.report.as_ref().unwrap()).unwrap();
    assert_eq!(report["lesions"], before["report"]["lesions"]);
    assert_eq!(report["timing"], before["report"]["timing"]);
    let flags = serde_json::to_value(&record.flags).unwrap();
    assert_eq!(flags[0]["acknowledged"]["by"], "A. Nurse");
    for (flag, earlier) in flags.as_array().unwrap().iter().zip(before["flags"].as_array().unwrap()) {
        for column in ["id", "kind", "severity", "state", "text", "remedy", "after_slices", "score"] {
            assert_eq!(flag[column], earlier[column]);
        }
        let events = |flag: &serde_json::Value| -> Vec<serde_json::Value> {
            flag["life"].as_array().unwrap().iter().map(|moment| moment["event"].clone()).collect()
        };
        assert_eq!(events(flag), events(earlier));
        assert_eq!(flag["life"][0]["driving_slabs"], earlier["life"][0]["driving_slabs"]);
    }
    let slabs = before["slabs"].as_object().unwrap();
    assert_eq!(record.slabs.len(), slabs.len());
    for (index, slab) in &record.slabs {
        let earlier = &slabs[&index.0.to_string()];
        for (mask, name) in [(&slab.lung, "lung"), (&slab.lesion, "lesion")] {
            let earlier: Vec<Outline> = serde_json::from_value(earlier[name].clone()).unwrap();
            assert_eq!(outlines(&mask.unpack().unwrap()), earlier);
        }
        let image = slab.image.as_ref().unwrap();
        assert_eq!(serde_json::to_value(image).unwrap(), before["pictures"][&index.0.to_string()]);
    }
}

#[test]
fn what_is_written_comes_back_as_it_was_and_again_after_a_restart() {
    let (earlier, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut record = full_record(&earlier);
    let database = Database::open(&file(&folder)).unwrap();
    assert!(database.save_now(record.clone()));
    assert_eq!(database.record(&record.exam.key), Some(record.clone()));
    record.slabs.pop_first();
    record.report = None;
    record.exam.lesions = None;
    record.exam.last_slice = None;
    assert!(database.save_now(record.clone()));
    drop(database);
    let database = Database::open(&file(&folder)).unwrap();
    assert_eq!(database.record(&record.exam.key), Some(record.clone()));
    let Record { exam, flags, outcomes, .. } = record.clone();
    assert_eq!(database.newest(50), [ListedExam { exam, flags, outcomes }]);
    assert_eq!(database.judged_contents(&record.exam.key), None, "there is no report any more");
}

#[test]
fn what_waits_for_the_disk_is_what_readers_get() {
    let (earlier, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = full_record(&earlier);
    let database = Database::open(&file(&folder)).unwrap();
    // Nobody can write while another program has the database.
    let other = Connection::open(file(&folder)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut newest = first.clone();
    newest.exam.reason = "newest".to_owned();
    database.save(first);
    database.save(newest.clone());
    assert_eq!(database.record(&newest.exam.key), Some(newest.clone()));
    assert_eq!(database.judged_contents(&newest.exam.key), Some(newest.exam.slices.contents()));
    assert_eq!(database.keys_of_study(&newest.exam.key), BTreeSet::from([newest.exam.key.clone()]));
    other.execute_batch("COMMIT").unwrap();
    drop(database);
    assert_eq!(Database::open(&file(&folder)).unwrap().record(&newest.exam.key), Some(newest));
}

#[test]
fn a_write_that_fails_is_told_to_who_waits_for_it() {
    let (earlier, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let record = full_record(&earlier);
    let database = Database::open(&file(&folder)).unwrap();
    let other = Connection::open(file(&folder)).unwrap();
    other.execute_batch("DROP TABLE flag_moment").unwrap();
    assert!(!database.save_now(record.clone()));
    assert!(database.is_failing());
    // It is not forgotten: once the disk takes it, it is written.
    let layout =
        "CREATE TABLE flag_moment (exam TEXT, flag INTEGER, place INTEGER, event TEXT, at_us INTEGER, score REAL,
        slices INTEGER, scan_share REAL, driving_slabs TEXT)";
    other.execute_batch(layout).unwrap();
    while database.is_failing() {
        std::thread::yield_now();
    }
    drop(database);
    assert_eq!(Database::open(&file(&folder)).unwrap().record(&record.exam.key).unwrap().report, record.report);
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    drop(Database::open(&file(&folder)).unwrap());
    let connection = Connection::open(file(&folder)).unwrap();
    connection.execute_batch("PRAGMA user_version = 900").unwrap();
    let error = Database::open(&file(&folder)).unwrap_err();
    assert!(matches!(error, DatabaseError::Newer { found: 900, known: schema::LAYOUT }), "{error}");
    let layout: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(layout, 900);
}

#[test]
fn an_earlier_exam_that_cannot_be_read_stays_where_it_is_and_the_others_move() {
    let folder = tempfile::tempdir().unwrap();
    let path = earlier_database(&folder, 3);
    let connection = Connection::open(&path).unwrap();
    connection.execute("UPDATE exam SET record = '{' WHERE key = ?1", [key(1).to_string()]).unwrap();
    let database = Database::open(&path).unwrap();
    let keys: Vec<ExamKey> = database.newest(50).into_iter().map(|listed| listed.exam.key).collect();
    assert_eq!(keys, [key(2), key(0)]);
    let kept: String = connection.query_row("SELECT key FROM document", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, key(1).to_string());
}

#[test]
fn the_newest_come_first() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&earlier_database(&folder, 7)).unwrap();
    let newest: Vec<ExamKey> = database.newest(3).into_iter().map(|listed| listed.exam.key).collect();
    assert_eq!(newest, [key(6), key(5), key(4)]);
}

#[test]
fn exams_of_one_study_know_each_other() {
    let (earlier, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut record = full_record(&earlier);
    let database = Database::open(&file(&folder)).unwrap();
    let of = |name: &str| ExamKey::new("1.2.3", &Patient { name: name.to_owned(), ..Patient::default() });
    for name in ["ONE", "OTHER"] {
        record.exam.key = of(name);
        assert!(database.save_now(record.clone()));
    }
    assert_eq!(database.keys_of_study(&of("ONE")), BTreeSet::from([of("ONE"), of("OTHER")]));
    assert!(database.keys_of_study(&ExamKey::new("1.2.4", &Patient::default())).is_empty());
}

#[test]
fn a_disk_that_takes_nothing_shows_and_the_close_names_what_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let record = full_record(&folder);
    let database = Database::open(&file(&folder)).unwrap();
    assert_eq!(database.stalled(Duration::ZERO), None, "nothing to write");
    let other = connect(&file(&folder)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    database.save(record);
    while database.stalled(Duration::ZERO).is_none() {
        std::thread::yield_now();
    }
    assert_eq!(database.close(Instant::now()), BTreeSet::from([key(0)]));
}

#[test]
fn a_close_writes_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let record = full_record(&folder);
    std::fs::remove_file(file(&folder)).unwrap();
    let database = Database::open(&file(&folder)).unwrap();
    database.save(record.clone());
    assert_eq!(database.close(Instant::now() + Duration::from_mins(1)), BTreeSet::new());
    drop(database);
    assert_eq!(Database::open(&file(&folder)).unwrap().record(&key(0)).unwrap().report, record.report);
}

/// What a report of one slice was made from.
fn made_basis() -> ReportBasis {
    let input = ModelPackage::built_in().unwrap().manifest.input;
    let (slice, _) = made_slice([1.5, -2.5, 30.25], -700.0, "1.2.7", &input);
    let runs = vec![
        SegmentedRun { row: 1, columns: 0..3, lung: Side::Left, lesion: Some(7) },
        SegmentedRun { row: 2, columns: 1..2, lung: Side::Right, lesion: None },
    ];
    let slabs = vec![SegmentedSlab { slab: SlabIndex(-3), runs }];
    ReportBasis {
        concluded: Timestamp::from_microsecond(1_700_000_000_000_123).unwrap(),
        images: vec![SourceImage::of(&slice, &input)],
        segmentation: Some(Segmentation { rows: 4, columns: 4, pixel_mm: 1.5, slabs }),
        described_by: Some("/spool/slice.dcm".into()),
    }
}

#[test]
fn masks_and_what_objects_are_made_from_go_with_the_images_and_all_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    let record = full_record(&folder);
    let basis = made_basis();
    let database = Database::open(&file(&folder)).unwrap();
    assert!(database.save_now(Record { basis: Some(Arc::new(basis.clone())), ..record.clone() }));
    let details = Details::open(&file(&folder)).unwrap();
    assert_eq!(details.judged().unwrap(), BTreeMap::from([(key(0), basis.concluded)]));
    details.forget(&key(0), basis.concluded + Duration::from_secs(1)).unwrap();
    assert_eq!(database.basis(&key(0)).as_deref(), Some(&basis), "judged again meanwhile");

    details.forget(&key(0), basis.concluded).unwrap();
    assert_eq!(database.basis(&key(0)), None);
    assert_eq!(details.judged().unwrap(), BTreeMap::new());
    let bare = |slab: &SlabView| SlabView {
        lung: PackedMask::empty(),
        lesion: PackedMask::empty(),
        image: None,
        ..slab.clone()
    };
    let slabs = record.slabs.values().map(|slab| (slab.index, bare(slab))).collect();
    assert_eq!(database.record(&key(0)).unwrap(), Record { slabs, ..record.clone() });
    let bytes_of_masks: i64 = connect(&file(&folder))
        .unwrap()
        .query_one("SELECT sum(length(lung_mask) + length(lesion_mask)) FROM slab", [], |row| row.get(0))
        .unwrap();
    assert!(bytes_of_masks <= 4 * record.slabs.len() as i64, "{bytes_of_masks}");

    assert!(database.save_now(database.record(&key(0)).unwrap()), "a flag is acknowledged later");
    assert_eq!(database.record(&key(0)).unwrap().report, record.report);
}

#[test]
fn what_a_report_was_made_from_comes_back_and_goes_with_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let record = full_record(&folder);
    let basis = made_basis();
    let database = Database::open(&file(&folder)).unwrap();
    assert!(database.save_now(Record { basis: Some(Arc::new(basis.clone())), ..record.clone() }));
    assert_eq!(*database.basis(&key(0)).unwrap(), basis);
    assert!(database.save_now(record.clone()), "a flag was acknowledged");
    assert_eq!(*database.basis(&key(0)).unwrap(), basis);
    let report = CaseReport { reason: "another one".into(), ..record.report.clone().unwrap() };
    assert!(database.save_now(Record { report: Some(report), ..record }));
    assert_eq!(database.basis(&key(0)), None);
}

#[test]
fn a_database_from_before_shadow_models_takes_their_results_and_keeps_one_of_each_verdict_and_package() {
    let folder = tempfile::tempdir().unwrap();
    let record = Record { basis: Some(Arc::new(made_basis())), ..full_record(&folder) };
    std::fs::remove_file(file(&folder)).unwrap();
    let mut connection = Connection::open(file(&folder)).unwrap();
    schema::MIGRATIONS.to_version(&mut connection, 4).unwrap();
    rows::write_columns(&connection, &record).unwrap();
    let key = record.exam.key.clone();
    basis_rows::write(&connection, &key.to_string(), &made_basis()).unwrap();
    let revision = "INSERT INTO revision (exam, revision, concluded_us, content) VALUES (?1, ?2, 0, 'what it says')";
    connection.execute(revision, params![key.to_string(), 1]).unwrap();
    drop(connection);

    let database = Database::open(&file(&folder)).unwrap();
    assert_eq!(database.record(&key).unwrap().report, record.report);
    let results = ShadowResults::open(&file(&folder)).unwrap();
    assert_eq!(results.last_package().unwrap(), None);
    assert_eq!(results.unjudged("package").unwrap(), std::slice::from_ref(&key));
    let (number, report) = results.last_verdict(&key).unwrap().unwrap();
    assert_eq!((number, Some(&report)), (1, record.report.as_ref()));
    let model = |title: &str| ModelName { title: title.to_owned(), weights_sha256: "ab".to_owned() };
    let judged = ShadowResult {
        exam: key.clone(),
        revision: number,
        package_sha256: "package".to_owned(),
        model: model("next 2"),
        judged: Timestamp::from_microsecond(1_700_000_000_000_123).unwrap(),
        worked_s: 12.5,
        shadow: Ok(Judgement { verdict: Verdict::NotSuspected, probability: None, ..Judgement::of(&report) }),
        production_model: model("reference 1"),
        production: Judgement::of(&report),
    };
    assert_eq!(judged.outcome(), ShadowOutcome::FromSuspected);
    let failed = ShadowResult { shadow: Err("the analysis panicked".to_owned()), ..judged.clone() };
    results.put(&failed).unwrap();
    assert_eq!(results.of_package("package").unwrap(), [failed]);
    results.put(&judged).unwrap();
    assert_eq!(results.of_package("package").unwrap(), std::slice::from_ref(&judged));
    assert_eq!(results.unjudged("package").unwrap(), []);
    assert_eq!(results.unjudged("another").unwrap(), std::slice::from_ref(&key));

    let connection = connect(&file(&folder)).unwrap();
    connection.execute(revision, params![key.to_string(), 2]).unwrap();
    assert_eq!(results.unjudged("package").unwrap(), std::slice::from_ref(&key), "a revised verdict");
    let newer = ShadowResult { revision: 2, ..judged };
    results.put(&newer).unwrap();
    assert_eq!(results.of_package("package").unwrap(), [newer]);
    assert_eq!(results.last_package().unwrap().as_deref(), Some("package"));
    connection.execute("DELETE FROM exam", []).unwrap();
    assert_eq!(results.of_package("package").unwrap(), [], "they go with the exam");
}
