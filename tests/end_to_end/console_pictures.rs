//! Not tests: the pictures of the console in the documents. The patients are the phantom's, under made-up names; the daemon is real.

use std::path::Path;

use dicom_dictionary_std::tags;
use serde_json::{Value, json};
use tableside::dicom::UidSource;
use tableside::scanner::{Instance, Phantom, PhantomKind, PhantomOptions};

use crate::accounts::{PASSWORD, add, command, get_as, log_in, post_as, start, try_log_in};
use crate::daemon::{Daemon, wait_for};
use crate::dicom::{changed, set_text};
use crate::peers::scan;
use crate::series::folder_of;
use crate::webdriver::{Browser, SOUNDS};

const DESK: [u32; 2] = [1680, 1050];
/// Of a page that is longer than a screen.
const WHOLE_PAGE: [u32; 2] = [1680, 2000];
/// Of administration without the machine, whose folder is that of a test.
const PEOPLE_AND_SCANNERS: [u32; 2] = [1680, 960];

/// The phantom under a name, without the last so many of its slices, which are those of the lung bases.
fn patient(name: &str, kind: PhantomKind, missing: usize) -> Vec<Instance> {
    let mut slices = Phantom::new(kind, PhantomOptions::default()).instances(UidSource::fresh()).unwrap();
    slices.truncate(slices.len() - missing);
    let renamed = |slice: &Instance| {
        changed(slice, |object| {
            set_text(object, tags::PATIENT_NAME, name);
            set_text(object, tags::PATIENT_ID, &format!("{:06}", 1000 + 37 * name.len()));
        })
    };
    slices.iter().map(renamed).collect()
}

/// Scans somebody; the exam once it has its verdict.
fn scanned(daemon: &Daemon, cookie: &str, slices: &[Instance]) -> Value {
    scan(daemon, folder_of(slices).path(), &["--rate", "0", "--new-uids"]);
    let exams = |exam: &Value| exam["state"] == "complete" && exam["slices"]["instances"] == slices.len();
    let newest = || get_as(daemon, "/api/v1/exams", cookie).json()["exams"].as_array().unwrap().first().cloned();
    wait_for("the verdict", || newest().filter(exams))
}

fn acknowledge_all(daemon: &Daemon, cookie: &str, exam: &Value) {
    for flag in exam["flags"].as_array().unwrap() {
        let path = format!(
            "/api/v1/exams/{}/flags/{}/acknowledge",
            exam["key"].as_str().unwrap(),
            flag["id"].as_str().unwrap()
        );
        assert_eq!(post_as(daemon, &path, &json!({}), cookie).status, 200);
    }
}

fn record(daemon: &Daemon, cookie: &str, exam: &Value, outcome: &str) {
    let path = format!("/api/v1/exams/{}/outcome", exam["key"].as_str().unwrap());
    assert_eq!(post_as(daemon, &path, &json!({ "outcome": outcome }), cookie).status, 200);
}

/// Opens a page as somebody who has logged in.
fn open_as(browser: &Browser, daemon: &Daemon, name: &str, page: &str) {
    let address = format!("http://{}/", daemon.console());
    browser.open(&address);
    browser.wait_until("the log-in", "document.querySelector('#log-in')?.open");
    browser.write("#log-in-name", name);
    browser.write("#log-in-password", PASSWORD);
    browser.click("#log-in-button");
    browser.wait_until("the person", "document.querySelector('#who-name').textContent !== ''");
    browser.open(&format!("{address}{page}"));
    browser.wait_until("the live stream", "document.querySelector('#connection').dataset.state === 'live'");
}

#[test]
#[ignore = "draws: cargo test --locked --all-features --test end_to_end pictures_of_the_console -- --ignored"]
fn pictures_of_the_console() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures");
    let keep = |name: &str, browser: &Browser, size: [u32; 2]| {
        browser.view_at(size);
        // An alarm that breathes is another picture each time.
        let calm = json!({ "features": [{ "name": "prefers-reduced-motion", "value": "reduce" }] });
        browser.devtools("Emulation.setEmulatedMedia", &calm);
        browser.wait_until("no transition", "document.getAnimations().every(a => a.playState !== 'running')");
        std::fs::write(folder.join(format!("{name}.png")), browser.reduced_screenshot(size)).unwrap();
    };
    let daemon = start("names = \"full\"\n");
    for (name, role) in [("a.berg", "technician"), ("m.reader", "reader"), ("root", "administrator")] {
        add(&daemon, name, role);
    }
    let [technician, reader] = ["a.berg", "m.reader"].map(|name| log_in(&daemon, name));
    let of = |name, kind, missing| scanned(&daemon, &technician, &patient(name, kind, missing));
    let seen = of("OKAFOR^CHIDI", PhantomKind::Pneumonia, 0);
    acknowledge_all(&daemon, &technician, &seen);
    record(&daemon, &reader, &seen, "agree");
    let well = of("SMITH^JOHN", PhantomKind::Normal, 0);
    record(&daemon, &reader, &well, "agree");
    of("IVANOVA^OLGA", PhantomKind::Normal, 145);
    of("LOPEZ^MARIA", PhantomKind::Normal, 18);
    of("YAMADA^TAROU", PhantomKind::Pneumonia, 1);
    of("BERG^ANN", PhantomKind::Normal, 1);

    let browser = Browser::start_with(&SOUNDS).expect("a browser");
    browser.view_at(DESK);
    open_as(&browser, &daemon, "a.berg", "");
    let choose = |patient: &str| {
        browser.wait_until("the list", "document.querySelectorAll('#exams button').length === 6");
        browser.run(&format!(
            "[...document.querySelectorAll('#exams button')].find(entry => entry.textContent.includes('{patient}')).click()"
        ));
        browser.wait_until(
            "the exam and its slice",
            &format!(
                "document.querySelector('#patient-name').textContent.includes('{patient}')
                 && (document.querySelector('#picture').dataset.sop || document.querySelector('#view').hidden)"
            ),
        );
    };
    choose("YAMADA");
    keep("console-list", &browser, DESK);
    choose("OKAFOR");
    keep("exam-page", &browser, WHOLE_PAGE);
    browser.run("document.querySelector('#other-language').click()");
    browser.wait_until("Chinese", "document.documentElement.lang.startsWith('zh')");
    choose("YAMADA");
    keep("console-list-zh", &browser, DESK);

    command(&daemon, &["kiosk", "add", "ct1", "--address", "127.0.0.1"]);
    assert_eq!(try_log_in(&daemon, "m.reader", PASSWORD).status, 200);
    let administrator = Browser::start().expect("a browser");
    open_as(&administrator, &daemon, "root", "administration.html");
    administrator.wait_until("all", "document.querySelectorAll('#scanners tbody tr').length > 0");
    keep("administration", &administrator, PEOPLE_AND_SCANNERS);
}
