//! What other programs see: the event stream, health, metrics, the API's refusals.

use std::collections::BTreeSet;

use serde_json::json;
use tableside::scanner::PhantomKind;

use crate::daemon::{Daemon, flag};
use crate::http::{Events, post, request};
use crate::peers::scan;
use crate::series::{folder_of, phantom, phantom_with_scout};

const SLICES: usize = 30;

#[test]
fn the_event_stream_begins_with_the_status_and_tells_every_slab_and_the_verdict() {
    let daemon = Daemon::start();
    let mut events = Events::open(daemon.console());
    let (name, status) = events.next();
    assert_eq!(name, "status");
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
    events.wait_for("heartbeat", |name, _| name == "status");
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
    let path = |flag: &str| format!("/api/exams/{}/flags/{flag}/acknowledge", exam["key"].as_str().unwrap());
    let status = |path: &str, body| post(daemon.console(), path, &body).status;
    assert_eq!(status(&path("suspected"), json!({ "by": " " })), 422);
    assert_eq!(status(&path("nonsense"), json!({ "by": "ab" })), 404);
    assert_eq!(status("/api/exams/0000000000000000/flags/suspected/acknowledge", json!({ "by": "ab" })), 404);
    assert!(flag(&daemon.exams()[0], "suspected").unwrap()["acknowledged"].is_null());
    assert_eq!(status(&path("suspected"), json!({ "by": "ab" })), 200);
    assert_eq!(flag(&daemon.exams()[0], "suspected").unwrap()["acknowledged"]["by"], "ab");
}

#[test]
fn health_readiness_and_unknown_pages_have_their_status() {
    let daemon = Daemon::start();
    assert_eq!((daemon.get("/healthz").status, daemon.get("/readyz").status), (200, 200));
    assert_eq!(daemon.get("/api/status").json()["problems"], json!([]));
    for path in ["/nothing", "/../../etc/passwd", "/api/exams/..%2f..", "/api/exams/0123456789abcdef/slabs/1.png"] {
        assert_eq!(daemon.get(path).status, 404, "{path}");
    }
    assert_eq!(request(daemon.console(), "DELETE", "/api/exams", None).status, 405);
    let page = daemon.get("/");
    assert!(page.headers.contains("content-security-policy: default-src 'self'"), "{}", page.headers);
    assert!(page.text().contains("Not a medical device"));
}

#[test]
fn not_ready_says_why_when_the_data_folder_is_gone() {
    let daemon = Daemon::start();
    std::fs::remove_dir_all(daemon.state()).unwrap();
    let ready = daemon.get("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("cannot be written to"), "{}", ready.text());
    assert_eq!(daemon.get("/healthz").status, 200);
}

#[test]
fn every_metric_is_documented_and_every_documented_metric_of_an_ordinary_exam_is_there() {
    let daemon = Daemon::start();
    scan(&daemon, folder_of(&phantom_with_scout(PhantomKind::Pneumonia, SLICES)).path(), &["--rate", "0"]);
    daemon.verdict_on(SLICES + 1);
    let text = daemon.get("/metrics").text();
    let exposed: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    let documented: BTreeSet<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|name| name.starts_with("tableside_"))
        .collect();
    let undocumented: Vec<_> = exposed.difference(&documented).collect();
    assert!(undocumented.is_empty(), "{undocumented:?}");
    // These appear with the first thing that goes wrong, or that is suspected early.
    let conditional = [
        "tableside_objects_refused_total",
        "tableside_objects_odd_total",
        "tableside_instances_corrected_total",
        "tableside_slices_failed_total",
        "tableside_engine_failures_total",
        "tableside_gpu_failures_total",
        "tableside_gpu_sums_uploaded_total",
        "tableside_exams_removed_total",
        "tableside_procedure_steps_total",
    ];
    let missing: Vec<_> = documented.difference(&exposed).filter(|name| !conditional.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}\n{text}");
    assert_eq!(daemon.metric("tableside_instances_received_total", ""), (SLICES + 1) as f64);
    assert_eq!(daemon.metric("tableside_c_store_responses_total", "status=\"0000\""), (SLICES + 1) as f64);
    assert_eq!(daemon.metric("tableside_verdicts_total", "suspected"), 1.0);
    well_formed(&text);
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
