//! What other programs see: the event stream, health, metrics, the API's refusals.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tableside::scanner::PhantomKind;

use crate::daemon::{Daemon, flag, wait_for};
use crate::dicom::Association;
use crate::http::{Events, post, request};
use crate::peers::scan;
use crate::series::{folder_of, phantom, phantom_with_scout, slices_of_patients};

const SLICES: usize = 30;

/// Exams that may have slices in memory while patients are on tables (`pipeline::analyst`).
const BEGUN_AT_ONCE: usize = 16;
/// Time enough to send a slice of each, and of two that wait.
const PATIENT: &str = "[completion]\nquiet_s = 6\nleast_quiet_s = 6\n";

#[test]
fn the_event_stream_tells_the_status_every_slab_and_the_verdict() {
    let daemon = Daemon::start();
    let mut events = Events::open(daemon.console());
    let (name, begin) = events.next();
    assert_eq!((name.as_str(), &begin["resumed"]), ("begin", &false.into()));
    let status = events.wait_for("status", |name, _| name == "status");
    assert_eq!(
        (&status["ready"], &status["engine"], &status["ae_title"]),
        (&true.into(), &"embedded".into(), &"TABLESIDE".into())
    );
    assert_eq!(status["port"].to_string(), daemon.port());
    let folder = folder_of(&phantom(PhantomKind::Pneumonia, SLICES));
    let mut indices = BTreeSet::new();
    let exam = std::thread::scope(|scope| {
        scope.spawn(|| scan(&daemon, folder.path(), &["--rate", "0"]));
        loop {
            let (name, data) = events.next();
            match name.as_str() {
                "slab" => drop(indices.insert(data["slab"]["index"].as_i64().unwrap())),
                "exam" if data["state"] == "complete" => return data,
                _ => {}
            }
        }
    });
    assert_eq!(exam["verdict"], "suspected", "{}", exam["reason"]);
    assert!(flag(&exam, "suspected").is_some());
    assert_eq!(indices.len(), exam["slabs"]);
    events.wait_for("heartbeat", |name, beat| name == "beat" && beat["now"].is_string());
}

#[test]
fn a_gap_raises_a_rescan_flag_on_the_console() {
    let daemon = Daemon::start();
    let mut slices = phantom(PhantomKind::Normal, SLICES);
    slices.remove(14);
    scan(&daemon, folder_of(&slices).path(), &["--rate", "0"]);
    let exam = &daemon.verdict_on(SLICES - 1)["exam"];
    let rescan = flag(exam, "rescan").expect("a flag");
    assert!(rescan["text"].as_str().unwrap().contains("slices are missing"), "{rescan}");
}

#[test]
fn an_acknowledgement_is_kept_and_a_wrong_one_refused() {
    let daemon = Daemon::start();
    scan(&daemon, folder_of(&phantom(PhantomKind::Pneumonia, SLICES)).path(), &["--rate", "0"]);
    let exam = &daemon.verdict_on(SLICES)["exam"];
    let path = |flag: &str| format!("/api/v1/exams/{}/flags/{flag}/acknowledge", exam["key"].as_str().unwrap());
    let status = |path: &str, body| post(daemon.console(), path, &body).status;
    assert_eq!(status(&path("suspected"), json!({ "by": " " })), 422);
    assert_eq!(status(&path("nonsense"), json!({ "by": "ab" })), 404);
    assert_eq!(status("/api/v1/exams/0000000000000000/flags/suspected/acknowledge", json!({ "by": "ab" })), 404);
    assert!(flag(&daemon.exams()[0], "suspected").unwrap()["acknowledged"].is_null());
    assert_eq!(status(&path("suspected"), json!({ "by": "ab" })), 200);
    assert_eq!(flag(&daemon.exams()[0], "suspected").unwrap()["acknowledged"]["by"], "ab");
}

#[test]
fn health_readiness_and_unknown_pages_have_their_status() {
    let daemon = Daemon::start();
    assert_eq!((daemon.get("/healthz").status, daemon.get("/readyz").status), (200, 200));
    assert_eq!(daemon.get("/api/v1/status").json()["problems"], json!([]));
    for path in ["/nothing", "/../../etc/passwd", "/api/v1/exams/..%2f..", "/api/v1/exams/0123456789abcdef/slabs/1.png"]
    {
        assert_eq!(daemon.get(path).status, 404, "{path}");
    }
    assert_eq!(request(daemon.console(), "DELETE", "/api/v1/exams", None).status, 405);
    let page = daemon.get("/");
    assert!(page.headers.contains("content-security-policy: default-src 'self'"), "{}", page.headers);
    assert!(page.text().contains("Not a medical device"));
}

#[test]
fn not_ready_says_why_when_the_data_folder_is_gone() {
    let daemon = Daemon::start();
    std::fs::remove_dir_all(daemon.state()).unwrap();
    // That it could be written to is believed for a second.
    let ready = wait_for("it not to be ready", || Some(daemon.get("/readyz")).filter(|ready| ready.status == 503));
    assert!(ready.text().contains("cannot be written to"), "{}", ready.text());
    wait_for("the metric to say so", || (daemon.metric("tableside_ready", "") == 0.0).then_some(()));
    assert_eq!(daemon.get("/healthz").status, 200);
}

#[test]
fn every_metric_is_documented_and_every_documented_metric_of_an_ordinary_exam_is_there() {
    let nobody = "[[destination]]\nname = \"pacs\"\nc_store = \"NOBODY@127.0.0.1:1\"\n";
    let scanners = "[[scanner]]\nae_title = \"TABLESIDE-SCAN\"\n[[scanner]]\nae_title = \"SILENT\"\n";
    let daemon = Daemon::start_with(&format!("{nobody}{scanners}"));
    assert_eq!(daemon.metric("tableside_scanner_last_seen_timestamp_seconds", ""), 0.0);
    scan(&daemon, folder_of(&phantom_with_scout(PhantomKind::Pneumonia, SLICES)).path(), &["--rate", "0"]);
    daemon.verdict_on(SLICES + 1);
    let text = daemon.get("/metrics").text();
    let exposed: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    let documented: BTreeSet<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|name| name.starts_with("tableside_") || name.starts_with("process_"))
        .collect();
    let undocumented: Vec<_> = exposed.difference(&documented).collect();
    assert!(undocumented.is_empty(), "{undocumented:?}");
    // Only programs with the feature `cuda` have the one, only those that serve TLS the other.
    let conditional = ["tableside_gpu_sums_uploaded_total", "tableside_certificate_expiry_timestamp_seconds"];
    let missing: Vec<_> = documented.difference(&exposed).filter(|name| !conditional.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}\n{text}");
    assert_eq!(daemon.metric("tableside_instances_received_total", ""), (SLICES + 1) as f64);
    assert_eq!(daemon.metric("tableside_c_store_responses_total", "status=\"0000\""), (SLICES + 1) as f64);
    assert_eq!(daemon.metric("tableside_verdicts_total", "suspected"), 1.0);
    for (metric, sent) in [
        ("tableside_scanner_slices_total", (SLICES + 1) as f64),
        ("tableside_scanner_verdicts_total", 1.0),
        ("tableside_scanner_verdict_seconds_count", 1.0),
    ] {
        assert_eq!(daemon.metric(metric, "scanner=\"TABLESIDE-SCAN\""), sent, "{metric}");
        assert_eq!(daemon.metric(metric, "scanner=\"SILENT\""), 0.0, "{metric}");
    }
    let seen = daemon.metric("tableside_scanner_last_seen_timestamp_seconds", "scanner=\"TABLESIDE-SCAN\"");
    let started = daemon.metric("process_start_time_seconds", "");
    assert!(started > 1.7e9 && seen >= started, "seen {seen}, started {started}");
    assert_eq!(daemon.metric("tableside_ready", ""), 1.0);
    well_formed(&text);
}

/// The rows of the table of labels in `docs/metrics.md`: metric, label, value.
fn documented_labels() -> BTreeSet<(String, String, String)> {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    let table = document.split("## Labels that start at 0").nth(1).unwrap().split("\n## ").next().unwrap();
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let mut labels = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').map(names).collect();
        labels.extend(cells[3].iter().map(|value| (cells[1][0].clone(), cells[2][0].clone(), value.clone())));
    }
    labels
}

#[test]
fn every_closed_set_of_labels_is_there_at_0_before_anything_has_happened() {
    let daemon = Daemon::start();
    let text = daemon.get("/metrics").text();
    let mut exposed = BTreeSet::new();
    // These say what is, not what has happened.
    let known_later = ["tableside_engine_info", "tableside_build_info", "tableside_stage_threads"];
    let ours = |line: &&str| line.starts_with("tableside_") && !known_later.iter().any(|name| line.starts_with(name));
    for line in text.lines().filter(ours) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let Some((name, labels)) = series.trim_end_matches('}').split_once('{') else { continue };
        assert_eq!(value.parse::<f64>().unwrap(), 0.0, "{line}");
        let metric = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
        let labels = labels.split(',').map(|label| label.split_once('=').unwrap());
        for (label, value) in labels.filter(|(label, _)| *label != "le") {
            exposed.insert((metric.to_owned(), label.to_owned(), value.trim_matches('"').to_owned()));
        }
    }
    let documented = documented_labels();
    assert!(documented.len() > 80, "{documented:?}");
    let [undocumented, missing] =
        [exposed.difference(&documented), documented.difference(&exposed)].map(Vec::from_iter);
    assert!(
        undocumented.is_empty() && missing.is_empty(),
        "undocumented: {undocumented:?}\nmissing: {missing:?}\n{text}"
    );
}

#[test]
fn exams_that_wait_are_shown_with_name_and_place_until_they_have_their_turn() {
    let daemon = Daemon::start_with(PATIENT);
    let mut events = Events::open(daemon.console());
    let mut association = Association::open(&daemon);
    let slices = slices_of_patients(BEGUN_AT_ONCE + 2);
    for slice in &slices {
        assert_eq!(association.store(slice), 0x0000);
    }
    let waiting = wait_for("two exams that wait", || {
        let exams = daemon.exams();
        // Before, one may wait for a decoder alone.
        let all_are_here = exams.len() == slices.len();
        let waiting: Vec<Value> = exams.into_iter().filter(|exam| !exam["waiting"].is_null()).collect();
        (all_are_here && waiting.len() == 2).then_some(waiting)
    });
    let places: BTreeSet<_> = waiting.iter().map(|exam| exam["waiting"]["place"].as_u64().unwrap()).collect();
    assert_eq!(places, BTreeSet::from([1, 2]));
    for exam in &waiting {
        assert!(exam["patient"]["name"].as_str().unwrap().starts_with("EXAM^1"), "{exam}");
        let (state, received) = (&exam["state"], &exam["slices"]["received"]);
        assert_eq!((state, received, &exam["slabs"]), (&"receiving".into(), &1.into(), &0.into()));
        assert_eq!(daemon.details(exam["key"].as_str().unwrap())["exam"]["waiting"], exam["waiting"]);
    }
    let key = &waiting.iter().find(|exam| exam["waiting"]["place"] == 2).unwrap()["key"];
    let is_of_it = |name: &str, exam: &Value| name == "exam" && exam["key"] == *key;
    events.wait_for("its place", |name, exam| is_of_it(name, exam) && exam["waiting"]["place"] == 2);
    events.wait_for("its turn", |name, exam| {
        is_of_it(name, exam) && exam["waiting"].is_null() && exam["state"] == "receiving"
    });
    wait_for("all verdicts", || {
        let exams = daemon.exams();
        let is_over = |exam: &Value| exam["state"] == "complete" && exam["waiting"].is_null();
        (exams.len() == slices.len() && exams.iter().all(is_over)).then_some(())
    });
}

#[test]
fn a_body_that_is_longer_than_an_acknowledgement_can_be_is_refused() {
    let daemon = Daemon::start();
    let body = json!({ "by": "a".repeat(20_000) });
    assert_eq!(post(daemon.console(), "/api/v1/exams/0123456789abcdef/flags/suspected/acknowledge", &body).status, 413);
}

/// Every line is a comment or `name{labels} number`, and no patient is named (Prometheus' text format 0.0.4).
fn well_formed(text: &str) {
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let bare = name.split('{').next().unwrap();
        assert!(bare.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
        assert_eq!(name.contains('{'), name.ends_with('}'), "{line}");
    }
    assert!(!text.contains("PHANTOM"), "{text}");
    let Ok(mut promtool) = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
    else {
        eprintln!("SKIPPED: promtool (Debian package prometheus) is not there to check the metrics");
        return;
    };
    std::io::Write::write_all(promtool.stdin.as_mut().unwrap(), text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
