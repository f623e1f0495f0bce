//! The synthetic patient goes a patient's whole way, and is nobody to anybody.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use rusqlite::Connection;
use serde_json::Value;
use tableside::exam::ExamKey;
use tableside::scanner::PhantomKind;

use crate::daemon::{Daemon, config, flag, wait_for};
use crate::dicom::{Association, changed, set_text};
use crate::http::Events;
use crate::peers::{files_below, scan};
use crate::series::{folder_of, phantom};

/// As whom it calls, which anybody may.
const AE_TITLE: &str = "TABLESIDE-SELF";
const SLICES: usize = 32;
/// It may take long on a machine that is busy with other tests.
const OFTEN: &str = "[synthetic_patient]\nevery_min = 0.05\nverdict_within_s = 120\n";
/// Only the announced number of images ends an exam: the synthetic patient announces none, and waits.
const WAITING: &str = "[synthetic_patient]\nevery_min = 0.05\nverdict_within_s = 600\n\
    [completion]\nquiet_s = 600\nleast_quiet_s = 600\nrelease_grace_ms = 60000\nlungs_passed_mm = 0\n";

fn runs(daemon: &Daemon, outcome: &str) -> f64 {
    daemon.metric("tableside_synthetic_patient_runs_total", &format!("outcome=\"{outcome}\""))
}

/// The folders of synthetic patients in the spool.
fn in_spool(daemon: &Daemon) -> Vec<PathBuf> {
    let Ok(exams) = std::fs::read_dir(daemon.state().join("spool/exams")) else { return Vec::new() };
    let folders = exams.map(|exam| exam.unwrap().path());
    folders.filter(|folder| ExamKey::parse_synthetic(folder.file_name().unwrap().to_str().unwrap()).is_some()).collect()
}

/// Waits until one has sent all its slices, and waits for its verdict. Gives its folder.
fn under_way(daemon: &Daemon) -> PathBuf {
    let is_dcm = |file: &PathBuf| file.extension().is_some_and(|end| end == "dcm");
    wait_for("a synthetic patient whose slices are stored", || {
        let all_are_there = |folder: &PathBuf| files_below(folder).iter().filter(|file| is_dcm(file)).count() == SLICES;
        in_spool(daemon).into_iter().find(all_are_there)
    })
}

#[test]
fn it_passes_again_and_again_through_the_door_of_listed_scanners_and_nothing_but_its_metrics_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("secrets");
    std::fs::write(&secrets, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    // Nobody answers at the destinations: whatever was to be delivered would lie there.
    let daemon = Daemon::start_with(&format!(
        "{OFTEN}[[scanner]]\nae_title = \"CT1\"\naddresses = [\"10.0.0.7\"]\n\
        [[destination]]\nname = \"pacs\"\nc_store = \"NOBODY@127.0.0.1:1\"\nforward = true\n\
        [[destination]]\nname = \"clinic\"\nwebhook = \"http://127.0.0.1:1/hook\"\nsecrets_file = \"{}\"\n",
        secrets.display()
    ));
    let mut events = Events::open(daemon.console());
    let mut keys = Vec::new();
    while keys.len() < 2 {
        let (name, data) = events.next();
        match name.as_str() {
            "synthetic" => {
                assert_eq!(data["verdict"], "suspected", "{data}");
                assert_eq!(data.as_object().unwrap().len(), 2, "{data}");
                keys.push(data["exam"].as_str().unwrap().to_owned());
            }
            name => assert!(["begin", "beat", "status"].contains(&name), "{name} {data}"),
        }
    }
    wait_for("its second success", || (runs(&daemon, "passed") >= 2.0).then_some(()));
    wait_for("its images to be removed", || in_spool(&daemon).is_empty().then_some(()));
    assert_ne!(keys[0], keys[1]);
    assert_eq!(daemon.exams(), Vec::<Value>::new());
    assert_eq!(daemon.get(&format!("/api/v1/exams/{}", keys[0])).status, 404);
    assert_eq!(daemon.get("/api/v1/outbox").json()["deliveries"], Value::Array(Vec::new()));
    assert_eq!(files_below(&daemon.state().join("outbox")), Vec::<PathBuf>::new());
    assert_database_is_empty(&daemon.state().join("tableside.db"));
    for name in [
        "tableside_verdicts_total",
        "tableside_completions_total",
        "tableside_flags_total",
        "tableside_notification_seconds_count",
        "tableside_notification_part_seconds_count",
        "tableside_scanner_",
        "tableside_instances_received_total",
        "tableside_c_store_responses_total",
        "tableside_objects_",
        "tableside_associations_",
        "tableside_procedure_steps_total",
        "tableside_exams_",
        "tableside_outbox_",
        "tableside_spool_bytes",
        "tableside_synthetic_patient_failing",
    ] {
        assert_eq!(daemon.metric(name, ""), 0.0, "{name}");
    }
    assert_eq!((runs(&daemon, "failed"), runs(&daemon, "interrupted")), (0.0, 0.0), "{}", daemon.log());
    assert_eq!(daemon.metric("tableside_synthetic_patient_interval_seconds", ""), 3.0);
    assert!(daemon.metric("tableside_synthetic_patient_seconds", "") > 0.0);
    let since = jiff::Timestamp::now().as_second() as f64
        - daemon.metric("tableside_synthetic_patient_last_success_timestamp_seconds", "");
    assert!((-1.0..120.0).contains(&since), "{since} s");
    assert!(!daemon.log().contains("early flag"), "{}", daemon.log());
}

fn assert_database_is_empty(path: &Path) {
    let database = Connection::open(path).unwrap();
    let mut tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(tables.iter().any(|table| table == "exam"), "{tables:?}");
    for table in tables.iter().filter(|table| !table.starts_with("sqlite_")) {
        let rows: i64 = database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[test]
fn a_scanner_with_its_patient_and_its_title_is_shown_as_any_other() {
    let daemon = Daemon::start_with(OFTEN);
    wait_for("a synthetic patient", || (runs(&daemon, "passed") >= 1.0).then_some(()));
    let slices = phantom(PhantomKind::Pneumonia, SLICES);
    scan(&daemon, folder_of(&slices).path(), &["--rate", "0", "--calling-ae", AE_TITLE]);
    let exam = &daemon.verdict_on(SLICES)["exam"];
    assert_eq!((&exam["verdict"], &exam["scanner"]), (&"suspected".into(), &AE_TITLE.into()));
    assert!(flag(exam, "suspected").is_some());
    assert_eq!(daemon.metric("tableside_verdicts_total", "suspected"), 1.0);
    assert_eq!(daemon.metric("tableside_instances_received_total", ""), SLICES as f64);
}

#[test]
fn a_scan_interrupts_it_and_has_its_verdict_also_under_its_own_study() {
    let daemon = Daemon::start_with(WAITING);
    let given_up = under_way(&daemon);
    let own = files_below(&given_up).into_iter().find(|file| file.extension().is_some_and(|end| end == "dcm")).unwrap();
    let own = dicom_object::open_file(own).unwrap();
    let study = own.element(tags::STUDY_INSTANCE_UID).unwrap().to_str().unwrap().into_owned();
    let slices = phantom(PhantomKind::Pneumonia, SLICES).into_iter().map(|slice| {
        changed(&slice, |object| {
            set_text(object, tags::STUDY_INSTANCE_UID, &study);
            let announced = PrimitiveValue::from(SLICES.to_string());
            object.put(DataElement::new(tags::IMAGES_IN_ACQUISITION, VR::IS, announced));
        })
    });
    let mut association =
        Association::try_open(&daemon, AE_TITLE, &[dicom_dictionary_std::uids::CT_IMAGE_STORAGE]).unwrap();
    wait_for("it to be given up", || (runs(&daemon, "interrupted") == 1.0).then_some(()));
    for slice in slices {
        assert_eq!(association.store(&slice), 0x0000);
    }
    let details = daemon.verdict_on(SLICES);
    assert_eq!(details["exam"]["verdict"], "suspected");
    assert_eq!(details["report"]["timing"]["completed_by"], "expected_count");
    let issues = details["report"]["quality"].to_string();
    assert!(!issues.contains("shared_study"), "it is no second patient in the study: {issues}");
    assert_eq!(daemon.exams().len(), 1);
    assert_eq!((runs(&daemon, "failed"), runs(&daemon, "passed")), (0.0, 0.0));
    assert_eq!(daemon.metric("tableside_associations_ended_total", "connection_lost"), 0.0);
    assert!(given_up.exists(), "nothing is done for it while a patient is scanned");
    association.release();
    wait_for("its images to be removed before the next one", || (!given_up.exists()).then_some(()));
}

#[test]
fn after_a_kill_in_the_middle_nothing_of_it_is_listed_or_left() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let mut daemon = Daemon::start_on(data.clone(), WAITING);
    under_way(&daemon);
    daemon.kill();
    let daemon = Daemon::start_on(data, "");
    assert_eq!(files_below(&daemon.state().join("spool/exams")), Vec::<PathBuf>::new());
    assert_eq!(daemon.exams(), Vec::<Value>::new());
    assert!(!daemon.log().contains("goes on"), "{}", daemon.log());
}

#[test]
fn a_stop_does_not_wait_for_it() {
    let daemon = Daemon::start_with(WAITING);
    under_way(&daemon);
    let asked = Instant::now();
    let (status, log) = daemon.stop();
    assert!(status.success());
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}\n{log}", asked.elapsed());
    assert!(!log.contains("when the time was up"), "{log}");
}

#[test]
fn a_model_that_does_not_suspect_it_is_a_failure_with_its_reason_and_the_daemon_stays_ready() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let model = data.path().join("model");
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("engines/reference");
    std::fs::create_dir(&model).unwrap();
    for file in std::fs::read_dir(&reference).unwrap().map(|file| file.unwrap().path()) {
        std::fs::copy(&file, model.join(file.file_name().unwrap())).unwrap();
    }
    let manifest = std::fs::read_to_string(model.join("model.toml")).unwrap();
    let blind = manifest.replace("bias = 0.0", "bias = -50.0");
    assert_ne!(blind, manifest);
    std::fs::write(model.join("model.toml"), blind).unwrap();
    let text = config(data.path(), OFTEN);
    let text = text.replace("kind = \"embedded\"", &format!("kind = \"embedded\"\nmodel = \"{}\"", model.display()));
    let daemon = Daemon::start_configured(data, &text);
    wait_for("a failure", || (runs(&daemon, "failed") >= 1.0).then_some(()));
    assert_eq!(daemon.metric("tableside_synthetic_patient_failing", ""), 1.0);
    let log = daemon.log();
    let told = log.lines().find(|line| line.contains("the synthetic patient failed")).unwrap();
    assert!(told.contains("stage=\"analysis\"") && told.contains("not_suspected"), "{told}");
    let status = daemon.get("/api/v1/status").json();
    let notice = status["notices"].as_array().unwrap().iter().map(|notice| notice.as_str().unwrap());
    assert!(notice.clone().any(|notice| notice.starts_with("The synthetic patient failed")), "{status}");
    assert_eq!(daemon.get("/readyz").status, 200);
    assert_eq!(daemon.exams(), Vec::<Value>::new());
}

#[test]
fn a_spool_without_room_is_a_failure_to_store_and_no_exam() {
    let daemon = Daemon::start_with(&format!("data.min_free_gib = 1000000\n{OFTEN}"));
    wait_for("a failure", || (runs(&daemon, "failed") >= 1.0).then_some(()));
    let log = daemon.log();
    let told = log.lines().find(|line| line.contains("the synthetic patient failed")).unwrap();
    assert!(told.contains("stage=\"store\"") && told.contains("0xa700"), "{told}");
    assert_eq!(daemon.exams(), Vec::<Value>::new());
    assert_eq!(daemon.metric("tableside_objects_refused_total", ""), 0.0);
}
