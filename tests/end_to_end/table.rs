//! The table view against a real daemon: from the kiosk's link to the press.

use serde_json::Value;
use tableside::scanner::PhantomKind;

use crate::accounts;
use crate::daemon::{Daemon, flag, wait_for};
use crate::dicom::Association;
use crate::peers::scan;
use crate::series::{folder_of, phantom, slices_of_patients};
use crate::webdriver::{Browser, SOUNDS};

const SLICES: usize = 30;

/// The kinds of the panels, from above.
const KINDS: &str = "[...document.querySelectorAll('.panel')].map(p => p.dataset.kind).join(' ')";

/// What the browser itself is answered, with its session.
fn asked(browser: &Browser, path: &str) -> Value {
    browser.run_until_done(&format!("fetch('{path}').then(answer => answer.json()).then(arguments[0])"))
}

#[test]
fn a_kiosk_lands_in_the_table_view_and_the_alarm_stays_for_one_press_when_the_next_patient_begins() {
    let Some(browser) = Browser::start_with(&SOUNDS) else { return };
    let daemon = accounts::start("");
    let secret = accounts::secret_in(&accounts::command(&daemon, &["kiosk", "add", "ct1", "--address", "127.0.0.1"]));
    browser.open(&format!("http://{}/#kiosk={secret}", daemon.console()));
    browser.wait_until("the table view", "location.pathname === '/table' && document.body.dataset.role === 'table'");
    browser.wait_until("where to send", "document.querySelector('.panel')?.textContent.includes('Port ')");
    assert_eq!(browser.run("return document.querySelector('#open-console').hidden"), true);
    assert!(!browser.run("return document.body.innerHTML").as_str().unwrap().contains(&secret));

    scan(&daemon, folder_of(&phantom(PhantomKind::Pneumonia, SLICES)).path(), &["--rate", "0"]);
    // The coarse phantom asks for another scan too, with its verdict.
    wait_for("the verdict", || {
        let exam = asked(&browser, "api/v1/exams")["exams"][0].clone();
        (exam["state"] == "complete").then_some(())
    });
    browser.wait_until("the alarm", &format!("{KINDS}.startsWith('suspected')"));
    let who = "document.querySelector('[data-kind=suspected] .who').firstChild.textContent";
    let name = browser.run(&format!("return {who}"));
    assert!(name.as_str().unwrap().ends_with('.'), "kiosks show initials: {name}");
    browser.wait_until("the sound's control", "!document.querySelector('#silence').hidden");

    let mut association = Association::open(&daemon);
    assert_eq!(association.store(&slices_of_patients(1)[0]), 0x0000);
    browser.wait_until("both patients", &format!("/^suspected( rescan)? receiving$/.test({KINDS})"));
    assert_eq!(browser.run(&format!("return {who}")), format!("Earlier patient: {}", name.as_str().unwrap()));
    for kind in ["suspected", "rescan"] {
        if browser.run(&format!("return document.querySelector('[data-kind={kind}]') !== null")) == true {
            browser.click(&format!("[data-kind={kind}] .acknowledge"));
            browser.wait_until("it to go", &format!("document.querySelector('[data-kind={kind}]') === null"));
        }
    }
    browser.wait_until("silence", "document.querySelector('#silence').hidden");
    let exams = asked(&browser, "api/v1/exams")["exams"].as_array().unwrap().clone();
    let acknowledged = exams.iter().find_map(|exam| flag(exam, "suspected")).unwrap()["acknowledged"]["by"].clone();
    assert_eq!(acknowledged, "at the table ct1");

    // A daemon that stands still is lost, whatever was shown.
    daemon.signal("STOP");
    browser.wait_until("the loss", &format!("{KINDS}.startsWith('lost ')"));
    assert_eq!(browser.run("return document.querySelector('.panel h2').textContent"), "Connection lost");
    daemon.signal("CONT");
    browser.wait_until("the connection", &format!("!{KINDS}.startsWith('lost')"));
}

#[test]
fn who_gives_initials_in_the_table_view_signs_with_them_and_can_be_seen_to() {
    let Some(browser) = Browser::start_with(&SOUNDS) else { return };
    let daemon = Daemon::start();
    browser.open(&format!("http://{}/", daemon.console()));
    browser.wait_until("the live stream", "document.querySelector('#connection').dataset.state === 'live'");
    browser.click("#open-table");
    browser.wait_until(
        "the table view",
        "document.querySelector('#connection')?.dataset.state === 'live' && location.pathname === '/table'",
    );
    browser.click("#change-initials");
    browser.write("#initials-field", "AB");
    browser.click("#initials button[value=given]");
    browser.wait_until("the initials", "document.querySelector('#initials-now').textContent === 'AB'");
    scan(&daemon, folder_of(&phantom(PhantomKind::Pneumonia, SLICES)).path(), &["--rate", "0"]);
    daemon.verdict_on(SLICES);
    browser.wait_until("the alarm", &format!("{KINDS}.startsWith('suspected')"));
    browser.click("[data-kind=suspected] .acknowledge");
    browser.wait_until(
        "who it was",
        "document.querySelector('[data-kind=suspected] .acknowledged').textContent.startsWith('Acknowledged by AB, ')",
    );
    assert_eq!(flag(&daemon.exams()[0], "suspected").unwrap()["acknowledged"]["by"], "AB");
    assert_eq!(browser.run("return document.querySelector('.bar:not([hidden])')"), Value::Null, "the view has a fault");
}

#[test]
fn what_is_not_ready_is_said_as_large_as_a_state() {
    let Some(browser) = Browser::start_with(&SOUNDS) else { return };
    let daemon = Daemon::start();
    browser.open(&format!("http://{}/table", daemon.console()));
    browser.wait_until("no exam", &format!("{KINDS} === 'empty'"));
    std::fs::remove_dir_all(daemon.state()).unwrap();
    browser.wait_until("what is wrong", &format!("{KINDS} === 'fault empty'"));
    assert_eq!(browser.run("return document.querySelector('.panel h2').textContent"), "Not ready");
}
