//! The database across versions and without the images.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use serde_json::{Value, json};
use tableside::scanner::PhantomKind;

use crate::daemon::{Daemon, TABLESIDE, config, wait_for};
use crate::dicom::Association;
use crate::http::post;
use crate::series::phantom;

/// An exam as version 0.1 wrote it.
const EXAM_1: &str = include_str!("../../src/database/fixtures/exam_1.json");

/// Enough exams that their migration takes a while.
const EXAMS: usize = 120;

fn database_of_version_1(folder: &Path, exams: usize) {
    std::fs::create_dir_all(folder).unwrap();
    let mut connection = Connection::open(folder.join("tableside.db")).unwrap();
    let layout = "CREATE TABLE exam (key TEXT PRIMARY KEY, started TEXT NOT NULL, record TEXT NOT NULL) STRICT;
        PRAGMA user_version = 1;";
    connection.execute_batch(layout).unwrap();
    let transaction = connection.transaction().unwrap();
    let mut record: Value = serde_json::from_str(EXAM_1).unwrap();
    for number in 0..exams {
        let key = format!("{number:016x}");
        (record["exam"]["key"], record["report"]["exam"]) = (key.clone().into(), key.clone().into());
        let insert = "INSERT INTO exam (key, started, record) VALUES (?1, ?2, ?3)";
        transaction.execute(insert, params![key, "2026-11-29T11:43:38Z", record.to_string()]).unwrap();
    }
    transaction.commit().unwrap();
}

#[test]
fn a_kill_while_a_database_of_the_version_before_is_migrated_loses_nothing() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let state = data.path().join("state");
    database_of_version_1(&state, EXAMS);
    let file = data.path().join("tableside.toml");
    std::fs::write(&file, config(data.path(), "")).unwrap();
    let mut command = Command::new(TABLESIDE);
    let mut first = command.args(["serve", "--config"]).arg(&file).stderr(Stdio::null()).spawn().unwrap();
    // Pages of a large transaction go to the log before its end.
    let log = state.join("tableside.db-wal");
    wait_for("the migration to be under way", || {
        std::fs::metadata(&log).is_ok_and(|log| log.len() > 256 * 1024).then_some(())
    });
    first.kill().unwrap();
    first.wait().unwrap();

    let daemon = Daemon::start_on(data, "");
    assert_eq!(daemon.exams().len(), 50, "the newest are shown");
    let connection = Connection::open(daemon.state().join("tableside.db")).unwrap();
    let count = |table: &str| -> i64 {
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!([count("exam"), count("report"), count("flag")], [EXAMS as i64, EXAMS as i64, 2 * EXAMS as i64]);
    let before: Value = serde_json::from_str(EXAM_1).unwrap();
    let details = daemon.details(&format!("{:016x}", EXAMS / 2));
    assert_eq!(details["exam"]["verdict"], "suspected");
    assert_eq!(details["report"]["lesions"], before["report"]["lesions"]);
    for slab in details["slabs"].as_array().unwrap() {
        let earlier = &before["slabs"][&slab["index"].to_string()];
        assert_eq!((&slab["lung"], &slab["lesion"]), (&earlier["lung"], &earlier["lesion"]));
    }
}

#[test]
fn a_database_of_a_newer_version_is_refused_with_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let state = data.path().join("state");
    std::fs::create_dir_all(&state).unwrap();
    Connection::open(state.join("tableside.db")).unwrap().execute_batch("PRAGMA user_version = 900").unwrap();
    let file = data.path().join("tableside.toml");
    std::fs::write(&file, config(data.path(), "")).unwrap();
    let output = Command::new(TABLESIDE).args(["serve", "--config"]).arg(&file).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("a newer version of Tableside wrote this database (layout 900"), "{said}");
    assert!(said.contains("start that version"), "{said}");
}

#[test]
fn all_outlines_of_an_exam_are_there_after_a_restart_without_its_images() {
    let instances = phantom(PhantomKind::Pneumonia, 24);
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    for instance in &instances {
        assert_eq!(association.store(instance), 0x0000);
    }
    association.release();
    let before = daemon.verdict_on(instances.len());
    let key = before["exam"]["key"].as_str().unwrap();
    let outlined = |details: &Value, name: &str| -> Vec<Value> {
        details["slabs"].as_array().unwrap().iter().map(|slab| slab[name].clone()).collect()
    };
    assert_eq!(outlined(&before, "lung").len(), instances.len());
    // The verdict is shown before it is on the disk.
    wait_for("the report to be kept", || {
        let connection = Connection::open(daemon.state().join("tableside.db")).unwrap();
        let reports = connection.query_row("SELECT count(*) FROM report", [], |row| row.get::<_, i64>(0));
        (reports.ok()? == 1).then_some(())
    });
    std::fs::remove_dir_all(daemon.state().join("spool/exams").join(key)).unwrap();
    let daemon = daemon.kill_and_start_again();
    let after = daemon.details(key);
    for name in ["index", "z_mm", "lung", "lesion", "attention", "logit"] {
        assert_eq!(outlined(&after, name), outlined(&before, name), "{name}");
    }
    assert_eq!(after["report"], before["report"]);
}

#[test]
fn exams_beyond_the_newest_are_found_by_name_and_page_by_page_and_can_be_acknowledged() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    database_of_version_1(&data.path().join("state"), EXAMS);
    let daemon = Daemon::start_on(data, "");
    let listed = |query: &str| daemon.get(&format!("/api/v1/exams{query}")).json();
    let keys = |answer: &Value| -> Vec<String> {
        let exams = answer["exams"].as_array().unwrap();
        exams.iter().map(|exam| exam["key"].as_str().unwrap().to_owned()).collect()
    };
    let mut all = keys(&listed(""));
    assert_eq!(all.len(), 50);
    loop {
        let page = listed(&format!("?before={}", all.last().unwrap()));
        all.extend(keys(&page));
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), EXAMS);
    assert_eq!(all.len(), EXAMS);
    let oldest = all.last().unwrap();
    assert_eq!(keys(&listed(&format!("?search={oldest}"))), std::slice::from_ref(oldest));
    assert_eq!(listed("?search=PHANTOM")["exams"].as_array().unwrap().len(), 50);
    assert_eq!(listed("?search=nobody")["exams"].as_array().unwrap().len(), 0);
    assert_eq!(daemon.get("/api/v1/exams?before=x").status, 422);
    assert_eq!(daemon.get("/api/v1/exams?before=00000000000000aa").status, 404);
    // An exam without a verdict is listed and not on the disk: the others come before it all the same.
    let mut association = Association::open(&daemon);
    assert_eq!(association.store(&phantom(PhantomKind::Normal, 3)[1]), 0x0000);
    let is_open = |exam: &Value| exam["state"] == "receiving";
    let open = wait_for("the exam on the table", || daemon.exams().into_iter().find(is_open));
    let page = listed(&format!("?before={}", open["key"].as_str().unwrap()));
    assert_eq!((keys(&page).len(), &page["more"]), (50, &true.into()));
    assert_eq!(daemon.get("/api/v1/exams?sort=name").status, 400);
    let acknowledge = format!("/api/v1/exams/{oldest}/flags/rescan/acknowledge");
    let answer = post(daemon.console(), &acknowledge, &json!({ "by": "ab" }));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Page after page, until there is no more.
fn all_pages(daemon: &Daemon, query: &str) -> Vec<String> {
    let (mut all, mut before) = (Vec::new(), String::new());
    loop {
        let page = daemon.get(&format!("/api/v1/exams?{query}{before}")).json();
        let exams = page["exams"].as_array().unwrap();
        all.extend(exams.iter().map(|exam| exam["key"].as_str().unwrap().to_owned()));
        if page["more"] == false {
            return all;
        }
        before = format!("&before={}", all.last().unwrap());
    }
}

#[test]
fn a_filter_goes_over_all_exams_of_the_database_and_follows_what_people_do() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    database_of_version_1(&data.path().join("state"), EXAMS);
    let daemon = Daemon::start_on(data, "");
    let count = |query: &str| all_pages(&daemon, query).into_iter().collect::<BTreeSet<_>>().len();
    let of = |filter: &str| count(&format!("filter={filter}"));
    assert_eq!([of("to_do"), of("suspected"), of("not_analysed"), of("no_outcome")], [EXAMS, EXAMS, 0, EXAMS]);
    let oldest = all_pages(&daemon, "filter=to_do").pop().unwrap();
    assert_eq!(count(&format!("filter=to_do&search={oldest}")), 1);
    let acknowledge = format!("/api/v1/exams/{oldest}/flags/rescan/acknowledge");
    assert_eq!(post(daemon.console(), &acknowledge, &json!({ "by": "ab" })).status, 200);
    let outcome = format!("/api/v1/exams/{oldest}/outcome");
    let recorded = post(daemon.console(), &outcome, &json!({ "outcome": "agree", "by": "ab" }));
    assert_eq!(recorded.status, 200, "{}", recorded.text());
    assert_eq!([of("to_do"), of("no_outcome")], [EXAMS - 1, EXAMS - 1]);
    assert_eq!(count("since=2026-11-29T11:43:38Z"), EXAMS);
    assert_eq!(count("since=2026-11-29T11:43:39Z"), 0);
    assert_eq!(daemon.get("/api/v1/exams?filter=green").status, 400);
    assert_eq!(daemon.get("/api/v1/exams?since=yesterday").status, 400);
}

/// Makes copies of the one exam that a database has.
fn multiply(database: &Path, exams: usize) {
    let connection = Connection::open(database).unwrap();
    let columns = |table: &str| -> Vec<String> {
        let mut statement = connection.prepare(&format!("SELECT name FROM pragma_table_info('{table}')")).unwrap();
        let names = statement.query_map([], |row| row.get(0)).unwrap();
        names.map(Result::unwrap).collect()
    };
    connection.execute_batch("BEGIN").unwrap();
    for (table, key) in [("exam", "key"), ("flag", "exam"), ("flag_moment", "exam"), ("report", "exam")] {
        let named = columns(table);
        let copied = named.iter().map(|name| match name.as_str() {
            name if name == key => "format('%016x', number)".to_owned(),
            "started_us" => "started_us - number * 60000000".to_owned(),
            name => name.to_owned(),
        });
        let sql = format!(
            "WITH RECURSIVE counted (number) AS (VALUES (1) UNION ALL SELECT number + 1 FROM counted WHERE number < {})
             INSERT INTO {table} ({}) SELECT {} FROM {table}, counted",
            exams - 1,
            named.join(", "),
            copied.collect::<Vec<_>>().join(", ")
        );
        connection.execute(&sql, []).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
}

/// Not a test: a measurement, which `docs/interface.md` quotes.
#[test]
#[ignore = "measures: cargo test --release --locked --all-features --test end_to_end how_fast_five_thousand -- --ignored --nocapture"]
fn how_fast_five_thousand_exams_are_listed() {
    const STORED: usize = 5000;
    const TIMES: usize = 50;
    let data = Arc::new(tempfile::tempdir().unwrap());
    let state = data.path().join("state");
    database_of_version_1(&state, 1);
    Daemon::start_on(data.clone(), "").stop();
    multiply(&state.join("tableside.db"), STORED);
    let daemon = Daemon::start_on(data, "");
    let (oldest, middle) = (format!("{:016x}", STORED - 1), format!("{:016x}", STORED / 2));
    let measure = |what: &str, query: &str, expected: usize| {
        let mut times: Vec<Duration> = (0..TIMES)
            .map(|_| {
                let began = Instant::now();
                let answer = daemon.get(&format!("/api/v1/exams{query}"));
                let took = began.elapsed();
                let listed = answer.json()["exams"].as_array().unwrap().len();
                assert_eq!(listed, expected, "{query}");
                took
            })
            .collect();
        times.sort();
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        eprintln!("{what}: median {:.1} ms, longest {:.1} ms", ms(times[TIMES / 2]), ms(times[TIMES - 1]));
    };
    measure("the live list", "", 50);
    measure("a page in the middle", &format!("?before={middle}"), 50);
    measure("the last page", &format!("?before={:016x}", STORED - 51), 50);
    measure("to do", "?filter=to_do", 50);
    measure("to do, in the middle", &format!("?filter=to_do&before={middle}"), 50);
    measure("a filter that finds nothing", "?filter=not_analysed", 0);
    measure("a name that nobody has", "?search=nobody", 0);
    measure("the oldest by its key", &format!("?search={oldest}"), 1);
    let began = Instant::now();
    let acknowledge = format!("/api/v1/exams/{oldest}/flags/rescan/acknowledge");
    let answer = post(daemon.console(), &acknowledge, &json!({ "by": "ab" }));
    eprintln!("the oldest acknowledged: {:.1} ms", began.elapsed().as_secs_f64() * 1000.0);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let began = Instant::now();
    let figures = daemon.get("/api/v1/outcomes");
    eprintln!("the outcomes counted: {:.1} ms", began.elapsed().as_secs_f64() * 1000.0);
    assert_eq!(figures.status, 200, "{}", figures.text());
}
