//! The shadow model: it judges what people were told of already, and nobody hears of it.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;
use tableside::engine::ModelPackage;
use tableside::scanner::PhantomKind;
use tempfile::TempDir;

use crate::daemon::{Daemon, wait_patiently_for};
use crate::dicom::{Association, store_all};
use crate::peers::{tableside, text};
use crate::series::phantom;

const SLICES: usize = 30;

/// A threshold above the phantom's probability.
const ALMOST_CERTAIN: f64 = 0.999_999_999;

/// The shadow has the lowest priority there is: beside other tests it gets next to nothing of the processor.
const PATIENCE: Duration = Duration::from_mins(20);

/// The built-in package with another version, which suspects nobody below this probability.
pub fn package(folder: &Path, version: &str, suspected: f64) -> PathBuf {
    let built_in = ModelPackage::built_in().unwrap();
    let point = &built_in.manifest.operating_point;
    let mut manifest = built_in.manifest_text.clone();
    for (from, to) in [
        (format!("\nversion = \"{}\"", built_in.manifest.version), format!("\nversion = \"{version}\"")),
        (format!("\nsuspected = {}", point.suspected), format!("\nsuspected = {suspected}")),
    ] {
        assert!(manifest.contains(&from), "{from}");
        manifest = manifest.replace(&from, &to);
    }
    let folder = folder.join(version);
    built_in.write_with(&manifest, &folder).unwrap();
    folder
}

/// `[shadow]` with a model that suspects almost nobody.
fn section(data: &TempDir) -> String {
    format!("[shadow]\nmodel = \"{}\"\n", package(data.path(), "9.0.0", ALMOST_CERTAIN).display())
}

fn daemon_with_shadow(data: &Arc<TempDir>, more: &str) -> Daemon {
    Daemon::start_on(data.clone(), &(section(data) + more))
}

fn rows(daemon: &Daemon, columns: &str) -> Vec<Vec<rusqlite::types::Value>> {
    let connection = Connection::open(daemon.state().join("tableside.db")).unwrap();
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM shadow_result ORDER BY judged_us")).unwrap();
    let count = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..count).map(|column| row.get(column)).collect();
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

/// Waits until a metric of the shadow has this value.
fn eventually(daemon: &Daemon, metric: &str, value: f64) {
    wait_patiently_for(PATIENCE, &format!("{metric} to be {value}"), || {
        (daemon.metric(metric, "") == value).then_some(())
    });
}

fn judged(daemon: &Daemon, exams: usize) {
    eventually(daemon, "tableside_shadow_exams_total", exams as f64);
}

fn report(data: &TempDir, more: &[&str]) -> Output {
    let config = data.path().join("tableside.toml");
    tableside(&[&["model", "shadow-report", "--config", text(&config)], more].concat())
}

#[test]
fn a_shadow_model_judges_exams_after_their_verdict_and_the_database_and_metrics_alone_say_so() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let daemon = daemon_with_shadow(&data, "cpu_share = 1\n");
    store_all(&daemon, &phantom(PhantomKind::Pneumonia, SLICES));
    let ill = daemon.verdict_on(SLICES);
    store_all(&daemon, &phantom(PhantomKind::Normal, SLICES + 1));
    let well = daemon.verdict_on(SLICES + 1);
    assert_eq!((&ill["report"]["verdict"], &well["report"]["verdict"]), (&"suspected".into(), &"not_suspected".into()));
    let (shown, status) = (daemon.exams(), daemon.get("/api/v1/status").json());
    judged(&daemon, 2);

    for (outcome, exams) in [("agree", 1.0), ("from_suspected", 1.0), ("to_suspected", 0.0), ("failed", 0.0)] {
        assert_eq!(daemon.metric("tableside_shadow_exams_total", outcome), exams, "{outcome}");
    }
    assert_eq!(daemon.metric("tableside_shadow_seconds_count", ""), 2.0);
    assert_eq!(daemon.metric("tableside_shadow_running", ""), 1.0);
    eventually(&daemon, "tableside_shadow_waiting", 0.0);

    // Its weights are production's: so are its probabilities, bit by bit.
    let columns = "exam, verdict, probability, production_verdict, production_probability, suspected_from, failure";
    let expected = [(&ill["report"], "not_suspected"), (&well["report"], "not_suspected")];
    for (row, (told, verdict)) in rows(&daemon, columns).iter().zip(expected) {
        let text_of = |value: &Value| rusqlite::types::Value::from(value.as_str().unwrap().to_owned());
        let probability = rusqlite::types::Value::from(told["score"].as_f64().unwrap());
        let expected = [
            text_of(&told["exam"]),
            verdict.to_owned().into(),
            probability.clone(),
            text_of(&told["verdict"]),
            probability,
            ALMOST_CERTAIN.into(),
            rusqlite::types::Value::Null,
        ];
        assert_eq!(*row, expected);
    }

    // Nobody is told, and nothing of it counts as what people were told.
    assert_eq!((daemon.exams(), daemon.get("/api/v1/status").json()), (shown, status));
    assert_eq!(daemon.details(ill["exam"]["key"].as_str().unwrap()), ill);
    assert_eq!(daemon.metric("tableside_verdicts_total", ""), 2.0);
    assert_eq!(daemon.metric("tableside_slices_prepared_total", ""), (2 * SLICES + 1) as f64);
    assert_eq!(daemon.metric("tableside_engine_info", ""), 1.0);
    assert!(!daemon.get("/metrics").text().contains("9.0.0"));

    let too_few = report(&data, &[]);
    let said = String::from_utf8(too_few.stderr).unwrap();
    assert_eq!(too_few.status.code(), Some(1), "{said}");
    assert!(said.contains("2 exams were judged by both models, 100 are needed"), "{said}");
    let whole = report(&data, &["--least", "2"]);
    let printed = String::from_utf8(whole.stdout).unwrap();
    assert_eq!(whole.status.code(), Some(0), "{printed}");
    let key = ill["exam"]["key"].as_str().unwrap();
    for said in ["9.0.0", "0.500 (1 of 2)", "to suspected   0", "from suspected 1", key] {
        assert!(printed.contains(said), "{said} is missing:\n{printed}");
    }
    assert!(!printed.contains("PHANTOM"), "{printed}");
    let json: Value = serde_json::from_slice(&report(&data, &["--least", "2", "--json"]).stdout).unwrap();
    assert_eq!((&json["agreement"]["n"], &json["from_suspected"][0]["exam"]), (&2.into(), &key.into()));

    // A verdict is judged once.
    assert!(daemon.stop().0.success());
    let daemon = daemon_with_shadow(&data, "cpu_share = 1\n");
    store_all(&daemon, &phantom(PhantomKind::Normal, SLICES + 2));
    daemon.verdict_on(SLICES + 2);
    judged(&daemon, 1);
    assert_eq!(rows(&daemon, "exam").len(), 3);
}

#[test]
fn a_scan_that_begins_while_the_shadow_works_has_its_verdict_and_the_shadow_begins_again_later() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    // However long the shadow takes to look up, the patient is still on the table.
    let patient = "idle_timeout_s = 3600\n[completion]\nquiet_s = 3600\nleast_quiet_s = 3600\n";
    let log = "cpu_share = 0.3\n[log]\nlevel = \"info,tableside::shadow=debug\"\n";
    let daemon = Daemon::start_on(data.clone(), &[patient, &section(&data), log].concat());
    store_all(&daemon, &phantom(PhantomKind::Pneumonia, SLICES));
    daemon.verdict_on(SLICES);
    wait_patiently_for(PATIENCE, "the shadow model to begin", || {
        daemon.log().contains("the shadow model begins an exam").then_some(())
    });
    let scan = phantom(PhantomKind::Normal, SLICES + 1);
    let mut association = Association::open(&daemon);
    let (first, rest) = scan.split_at(2);
    for slice in first {
        assert_eq!(association.store(slice), 0x0000);
    }
    eventually(&daemon, "tableside_shadow_interrupted_total", 1.0);
    for slice in rest {
        assert_eq!(association.store(slice), 0x0000);
    }
    association.release();
    let report = &daemon.verdict_on(SLICES + 1)["report"];
    assert_eq!(report["verdict"], "not_suspected", "{}", report["reason"]);
    judged(&daemon, 2);
    let log = daemon.log();
    let until_verdict = log.split_once(&format!("slices={}", SLICES + 1)).expect("a verdict in the log").0;
    assert_eq!(until_verdict.matches("the shadow model begins an exam").count(), 1, "while a patient was on the table");
    assert_eq!(daemon.metric("tableside_shadow_exams_total", "failed"), 0.0);
}

#[test]
fn a_shadow_model_that_cannot_be_used_costs_nobody_a_verdict() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let folder = package(data.path(), "9.0.0", 0.9);
    std::fs::write(folder.join("model.onnx"), "nothing").unwrap();
    let daemon = Daemon::start_on(data, &format!("[shadow]\nmodel = \"{}\"\n", folder.display()));
    store_all(&daemon, &phantom(PhantomKind::Pneumonia, SLICES));
    assert_eq!(daemon.verdict_on(SLICES)["report"]["verdict"], "suspected");
    wait_patiently_for(PATIENCE, "the error", || daemon.log().contains("there is no shadow model").then_some(()));
    assert_eq!(daemon.metric("tableside_shadow_running", ""), 0.0);
    eventually(&daemon, "tableside_shadow_out", 1.0);
    assert_eq!(daemon.get("/readyz").status, 200);
    assert!(daemon.stop().0.success());
}

#[test]
fn an_exam_that_takes_the_shadow_too_long_is_a_failure_with_its_reason() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let daemon = daemon_with_shadow(&data, "cpu_share = 1\nexam_limit_s = 1\n");
    // More windows than a thread infers in a second.
    store_all(&daemon, &phantom(PhantomKind::Normal, 2 * SLICES));
    daemon.verdict_on(2 * SLICES);
    judged(&daemon, 1);
    assert_eq!(daemon.metric("tableside_shadow_exams_total", "failed"), 1.0);
    let failure = rusqlite::types::Value::from("it took longer than shadow.exam_limit_s".to_owned());
    assert_eq!(rows(&daemon, "failure, verdict"), [[failure, rusqlite::types::Value::Null]]);
}
