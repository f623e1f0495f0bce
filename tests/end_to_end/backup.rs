//! A copy of the database, and the way back.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use rusqlite::Connection;
use serde_json::json;
use tableside::scanner::PhantomKind;

use crate::daemon::{Daemon, config, flag};
use crate::dicom::store_all;
use crate::http::post;
use crate::peers::{tableside, text};
use crate::series::phantom;

const SLICES: usize = 30;

/// Runs `tableside backup` or `restore` with the configuration of a daemon on this data.
fn tableside_on(data: &Path, command: &str, file: &Path) -> Output {
    tableside(&[command, "--config", text(&data.join("tableside.toml")), text(file)])
}

fn refused(output: &Output, why: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(why), "{said}");
}

#[test]
fn a_copy_made_while_the_daemon_runs_brings_back_what_people_did_and_later_exams_come_from_the_spool() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let copy = data.path().join("copy.db");
    let daemon = Daemon::start_on(data.clone(), "");
    store_all(&daemon, &phantom(PhantomKind::Pneumonia, SLICES));
    let first = daemon.verdict_on(SLICES);
    let first_key = first["exam"]["key"].as_str().unwrap();
    let acknowledge = format!("/api/v1/exams/{first_key}/flags/suspected/acknowledge");
    assert_eq!(post(daemon.console(), &acknowledge, &json!({ "by": "ab" })).status, 200);

    let made = tableside_on(data.path(), "backup", &copy);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    refused(&tableside_on(data.path(), "backup", &copy), "is there already");
    refused(&tableside_on(data.path(), "restore", &copy), "another");

    store_all(&daemon, &phantom(PhantomKind::Normal, SLICES + 1));
    let second = daemon.verdict_on(SLICES + 1);
    assert!(daemon.stop().0.success());
    let restored = tableside_on(data.path(), "restore", &copy);
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let kept = std::fs::read_dir(data.path().join("state")).unwrap().filter_map(Result::ok);
    let kept = kept.filter(|file| file.file_name().to_string_lossy().contains("replaced-")).count();
    assert_eq!(kept, 1, "what was there is kept");

    let daemon = Daemon::start_on(data.clone(), "");
    let again = daemon.details(first_key);
    assert_eq!(again["report"], first["report"]);
    assert_eq!(flag(&again["exam"], "suspected").unwrap()["acknowledged"]["by"], "ab");
    let report = &daemon.verdict_on(SLICES + 1)["report"];
    for name in ["exam", "verdict", "score"] {
        assert_eq!(report[name], second["report"][name], "{name}");
    }
}

#[test]
fn what_is_no_copy_of_this_version_or_an_earlier_one_is_not_put_back() {
    let data = tempfile::tempdir().unwrap();
    let state = data.path().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(data.path().join("tableside.toml"), config(data.path(), "")).unwrap();
    let database = state.join("tableside.db");
    std::fs::write(&database, "what is there").unwrap();
    let copy = data.path().join("copy.db");

    refused(&tableside_on(data.path(), "restore", &copy), "no such file");
    std::fs::write(&copy, vec![7; 8192]).unwrap();
    refused(&tableside_on(data.path(), "restore", &copy), "no usable copy");
    std::fs::remove_file(&copy).unwrap();
    let other = Connection::open(&copy).unwrap();
    other.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1);").unwrap();
    refused(&tableside_on(data.path(), "restore", &copy), "of something else");
    other.execute_batch("PRAGMA user_version = 999;").unwrap();
    refused(&tableside_on(data.path(), "restore", &copy), "newer version");
    assert_eq!(std::fs::read_to_string(&database).unwrap(), "what is there");
}

#[test]
fn a_copy_takes_the_place_of_a_damaged_database_which_is_kept_with_its_log() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let copy = data.path().join("copy.db");
    let daemon = Daemon::start_on(data.clone(), "");
    assert!(tableside_on(data.path(), "backup", &copy).status.success());
    assert!(daemon.stop().0.success());
    let state = data.path().join("state");
    std::fs::write(state.join("tableside.db"), "damaged").unwrap();
    std::fs::write(state.join("tableside.db-wal"), "its log").unwrap();

    let restored = tableside_on(data.path(), "restore", &copy);
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let mut kept: Vec<String> = std::fs::read_dir(&state)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|file| file.to_string_lossy().contains("replaced-"))
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    kept.sort();
    assert_eq!(kept, ["damaged", "its log"]);
    assert!(!state.join("tableside.part").exists());
    let daemon = Daemon::start_on(data.clone(), "");
    assert!(daemon.exams().is_empty());
}
