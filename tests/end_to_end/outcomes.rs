//! The list by urgency, outcomes of verdicts, and the list of cases that they become.

use serde_json::{Value, json};
use tableside::scanner::PhantomKind;

use crate::daemon::{Daemon, wait_for};
use crate::http::{Response, post};
use crate::peers::{files_below, scan, tableside, text};
use crate::series::{folder_of, phantom};
use crate::webdriver::Browser;

const SLICES: usize = 30;
/// Of the newer exam: another number, so that each is known by its own.
const NEWER_SLICES: usize = 32;

/// Scans a patient with pneumonia and then one without; both have their verdicts, and all that few slices are flagged for besides is
/// acknowledged. Their exams.
fn two_exams(daemon: &Daemon) -> [Value; 2] {
    scan(daemon, folder_of(&phantom(PhantomKind::Pneumonia, SLICES)).path(), &["--rate", "0"]);
    let sick = daemon.verdict_on(SLICES)["exam"].clone();
    scan(daemon, folder_of(&phantom(PhantomKind::Normal, NEWER_SLICES)).path(), &["--rate", "0", "--new-uids"]);
    let well = daemon.verdict_on(NEWER_SLICES)["exam"].clone();
    assert_eq!((&sick["verdict"], &well["verdict"]), (&"suspected".into(), &"not_suspected".into()), "{well}");
    for exam in [&sick, &well] {
        for flag in exam["flags"].as_array().unwrap().iter().filter(|flag| flag["id"] != "suspected") {
            assert_eq!(acknowledge(daemon, exam, flag["id"].as_str().unwrap()).status, 200);
        }
    }
    [sick, well].map(|exam| daemon.details(key(&exam))["exam"].clone())
}

fn acknowledge(daemon: &Daemon, exam: &Value, flag: &str) -> Response {
    let path = format!("/api/v1/exams/{}/flags/{flag}/acknowledge", key(exam));
    post(daemon.console(), &path, &json!({ "by": "xy" }))
}

fn key(exam: &Value) -> &str {
    exam["key"].as_str().unwrap()
}

fn record(daemon: &Daemon, exam: &Value, body: &Value) -> Response {
    post(daemon.console(), &format!("/api/v1/exams/{}/outcome", key(exam)), body)
}

/// The exams of the list, by their keys.
const LISTED: &str = "[...document.querySelectorAll('#exams button')].map(entry => entry.dataset.exam)";

fn open(browser: &Browser, daemon: &Daemon) {
    browser.open(&format!("http://{}/", daemon.console()));
    browser.wait_until("the live stream", "document.querySelector('#connection').dataset.state === 'live'");
}

fn wait_for_order(browser: &Browser, what: &str, exams: [&Value; 2]) {
    let keys = format!("{},{}", key(exams[0]), key(exams[1]));
    browser.wait_until(what, &format!("String({LISTED}) === '{keys}'"));
}

#[test]
fn a_flagged_exam_rises_above_a_newer_plain_one_and_falls_once_it_is_acknowledged_in_every_browser() {
    let (Some(one), Some(other)) = (Browser::start(), Browser::start()) else { return };
    let daemon = Daemon::start();
    open(&one, &daemon);
    open(&other, &daemon);
    let [sick, well] = two_exams(&daemon);
    assert_eq!(well["urgency"]["class"], "nothing", "{well}");
    for browser in [&one, &other] {
        wait_for_order(browser, "the flagged exam to be first", [&sick, &well]);
    }
    let entry = |exam: &Value, part: &str| format!("#exams button[data-exam=\"{}\"] {part}", key(exam));
    let says = |exam: &Value, part: &str, words: &str| {
        format!("document.querySelector('{}').textContent.includes('{words}')", entry(exam, part))
    };
    one.wait_until("what it asks for", &says(&sick, ".ask-words", "Alarm: acknowledge"));
    one.click("#elsewhere button");
    let button = "#flag-list button[data-acknowledge=suspected]";
    one.wait_until("the button", &format!("document.querySelector('{button}')?.disabled === false"));
    one.click(button);
    one.write("#initials-field", "ab");
    one.click("#initials button[value=given]");
    for browser in [&one, &other] {
        wait_for_order(browser, "the newer exam to be first", [&well, &sick]);
        browser.wait_until("who has seen it", &says(&sick, ".seen", "acknowledged by ab"));
    }
    let order = &daemon.get("/api/v1/exams").json()["order"];
    assert_eq!(*order, json!([key(&well), key(&sick)]), "as the daemon has it");

    one.click("#outcome-choices button[data-outcome=agree]");
    let pressed = "document.querySelector('#outcome-choices button[data-outcome=agree]').ariaPressed === 'true'";
    one.wait_until("the outcome", pressed);
    other.wait_until("it in the other's list", &says(&sick, ".seen", "Outcome: agreed, ab"));
    one.wait_until("the count", "document.querySelector('#outcome-figures').textContent.includes('1 of 1')");
    assert_eq!(one.run("return document.querySelector('#outcome-figures').textContent.includes('%')"), false);
    one.click("#outcome-choices button[data-outcome=false_alarm]");
    other.wait_until("the other outcome", &says(&sick, ".seen", "Outcome: False alarm, ab"));
    let records = "document.querySelectorAll('#outcome-records li').length";
    one.wait_until("both of them", &format!("{records} === 2"));
    // It is told before it is on the disk, and counted then.
    let count = |kind| daemon.metric("tableside_outcomes_total", kind);
    wait_for("the metrics", || (count("agree") == 1.0 && count("false_alarm") == 1.0).then_some(()));
}

#[test]
fn the_list_stays_as_it_is_while_somebody_uses_it_and_says_that_another_order_waits() {
    let Some(browser) = Browser::start() else { return };
    let daemon = Daemon::start();
    open(&browser, &daemon);
    let [sick, well] = two_exams(&daemon);
    wait_for_order(&browser, "the flagged exam to be first", [&sick, &well]);
    browser.point("#exams li:last-child button", [0, 0], 0);
    assert_eq!(acknowledge(&daemon, &sick, "suspected").status, 200);
    browser.wait_until("the word", "document.querySelector('#order-note').textContent !== ''");
    wait_for_order(&browser, "the order as it was", [&sick, &well]);
    browser.point("h1", [0, 0], 0);
    wait_for_order(&browser, "the other order", [&well, &sick]);
    assert_eq!(browser.run("return document.querySelector('#order-note').textContent"), "");
}

#[test]
fn a_filter_shows_what_it_lets_through_is_remembered_and_says_what_it_hides() {
    let Some(browser) = Browser::start() else { return };
    let daemon = Daemon::start();
    open(&browser, &daemon);
    let [sick, well] = two_exams(&daemon);
    wait_for_order(&browser, "both exams", [&sick, &well]);
    let choose = |filter: &str| {
        let choice = format!(
            "const s = document.querySelector('#filter'); s.value = '{filter}'; s.dispatchEvent(new Event('change'))"
        );
        browser.run(&choice);
    };
    let listed = |what: &str, keys: &str| browser.wait_until(what, &format!("String({LISTED}) === '{keys}'"));
    choose("suspected");
    listed("the suspected exam alone", key(&sick));
    choose("not_analysed");
    listed("no exam", "");
    browser.wait_until("what is hidden", "document.querySelector('#filter-note').textContent.startsWith('1 exam')");
    choose("to_do");
    listed("what is to be done", key(&sick));
    open(&browser, &daemon);
    listed("the same after a reload", key(&sick));
    assert_eq!(browser.run("return document.querySelector('#filter').value"), "to_do");
    choose("all");
    listed("all", &format!("{},{}", key(&sick), key(&well)));
}

#[test]
fn an_outcome_is_taken_where_the_verdict_can_have_it_and_is_there_after_a_restart() {
    let daemon = Daemon::start();
    let [sick, well] = two_exams(&daemon);
    let status = |exam: &Value, body: Value| record(&daemon, exam, &body).status;
    assert_eq!(status(&json!({ "key": "0000000000000000" }), json!({ "outcome": "agree", "by": "ab" })), 404);
    assert_eq!(status(&sick, json!({ "outcome": "missed", "by": "ab" })), 409);
    assert_eq!(status(&sick, json!({ "outcome": "agree" })), 422);
    assert_eq!(status(&sick, json!({ "outcome": "good", "by": "ab" })), 422);
    assert_eq!(daemon.get("/api/v1/outcomes").json()["since"], Value::Null);
    for outcome in ["agree", "false_alarm"] {
        let answer = record(&daemon, &sick, &json!({ "outcome": outcome, "by": "ab" }));
        assert_eq!((answer.status, &answer.json()["outcome"]["kind"]), (200, &outcome.into()));
    }
    assert_eq!(status(&well, json!({ "outcome": "missed", "by": "cd" })), 200);
    let daemon = daemon.kill_and_start_again();
    let outcomes = daemon.details(key(&sick))["exam"]["outcomes"].clone();
    let kinds: Vec<&Value> = outcomes.as_array().unwrap().iter().map(|outcome| &outcome["kind"]).collect();
    assert_eq!(kinds, ["agree", "false_alarm"]);
    let figures = daemon.get("/api/v1/outcomes").json();
    // The database keeps microseconds.
    let since = figures["since"].as_str().unwrap().trim_end_matches('Z');
    assert!(sick["started"].as_str().unwrap().starts_with(since), "{since}");
    assert_eq!(figures["predictive_value"], json!({ "count": 0, "of": 1, "value": null, "interval": null }));
    let counts = &figures["counts"];
    assert_eq!([&counts["false_alarms"], &counts["missed"], &counts["open_alarms"]], [1, 1, 0]);
    daemon.stop();
}

#[test]
fn recorded_outcomes_become_a_list_of_cases_that_model_validate_takes() {
    let daemon = Daemon::start();
    let [sick, well] = two_exams(&daemon);
    let folder = tempfile::tempdir().unwrap();
    let (list, out) = (folder.path().join("cases.csv"), folder.path().join("out"));
    let configuration = daemon.configuration();
    let export = || tableside(&["outcome", "export", "--out", text(&list), "--config", text(&configuration)]);
    assert_eq!(export().status.code(), Some(1), "there is no outcome");
    for (exam, outcome) in [(&sick, "agree"), (&well, "unclear"), (&well, "agree")] {
        let answer = record(&daemon, exam, &json!({ "outcome": outcome, "by": "=HYPERLINK(1)" }));
        assert_eq!(answer.status, 200, "{}", answer.text());
        if outcome == "unclear" {
            let output = export();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.contains("left out because their outcome is unclear: 1"), "{said}");
            assert_eq!(std::fs::read_to_string(&list).unwrap().lines().count(), 2);
        }
    }
    // What was received is brought into its exam's folder behind the answer to the scanner.
    wait_for("the images in their folders", || {
        let count = |exam: &Value| {
            let folder = daemon.state().join("spool/exams").join(key(exam));
            files_below(&folder).iter().filter(|file| file.extension().is_some_and(|name| name == "dcm")).count()
        };
        (count(&sick) >= SLICES && count(&well) >= NEWER_SLICES).then_some(())
    });
    assert!(export().status.success());
    let cases = std::fs::read_to_string(&list).unwrap();
    assert!(!cases.contains("PHANTOM") && !cases.contains("HYPERLINK"), "{cases}");
    let label_of = |exam: &Value| cases.lines().find(|line| line.starts_with(key(exam))).unwrap().rsplit(',').next();
    assert_eq!((label_of(&sick), label_of(&well)), (Some("1"), Some("0")));
    let validated = tableside(&[
        "model",
        "validate",
        "reference",
        "--engine",
        "embedded",
        "--cases",
        text(&list),
        "--out",
        text(&out),
    ]);
    assert!(validated.status.success(), "{}", String::from_utf8_lossy(&validated.stderr));
    let summary: Value = serde_json::from_slice(&std::fs::read(out.join("summary.json")).unwrap()).unwrap();
    let counts = &summary["overall"]["counts"];
    assert_eq!([&counts["positives"], &counts["negatives"]], [1, 1], "{summary}");
}
