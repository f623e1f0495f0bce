//! The stream of events through losses of the connection: nothing missed, nothing twice; the page says when it is not current.

use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tableside::scanner::PhantomKind;

use crate::daemon::{Daemon, flag, wait_for};
use crate::dicom::Association;
use crate::http::Events;
use crate::peers::scan;
use crate::series::{folder_of, phantom, slices_of_patients};
use crate::webdriver::Browser;

const PATIENTS: usize = 60;
const EVENTS: usize = 1_000;
const LOSSES: usize = 20;
const TABS: usize = 12;
const FLAGS: usize = 40;

/// Ids of this many events after `events` began, in the order in which they came.
fn ids(events: &mut Events, count: usize) -> Vec<String> {
    let told = std::iter::repeat_with(|| events.next_with_id());
    told.filter(|(name, _, id)| !id.is_empty() && name != "begin").map(|(_, _, id)| id).take(count).collect()
}

#[test]
fn who_comes_back_after_a_loss_gets_what_it_missed_once_and_in_order() {
    let daemon = Daemon::start();
    let mut undisturbed = Events::open(daemon.console());
    let (_, _, begin) = undisturbed.next_with_id();
    let (expected, got) = std::thread::scope(|scope| {
        let daemon = &daemon;
        let expected = scope.spawn(move || ids(&mut undisturbed, EVENTS));
        let got = scope.spawn(move || {
            let mut random = StdRng::seed_from_u64(20_261_130);
            let (mut got, mut last): (Vec<String>, String) = (Vec::new(), begin);
            for loss in 0..=LOSSES {
                let mut events = Events::open_after(daemon.console(), &last);
                let (name, begin, from) = events.next_with_id();
                assert_eq!((name.as_str(), &begin["resumed"], &from), ("begin", &true.into(), &last));
                let most = EVENTS - got.len();
                let count = if loss == LOSSES { most } else { random.random_range(0..=most.min(2 * EVENTS / LOSSES)) };
                got.extend(ids(&mut events, count));
                last = got.last().cloned().unwrap_or(last);
            }
            got
        });
        // Each one that comes moves those that wait.
        let mut association = Association::open(daemon);
        for slice in &slices_of_patients(PATIENTS) {
            assert_eq!(association.store(slice), 0x0000);
        }
        (expected.join().unwrap(), got.join().unwrap())
    });
    assert_eq!(got, expected);
}

#[test]
fn a_daemon_that_stands_still_shows_as_lost_and_comes_back_by_itself() {
    let Some(browser) = Browser::start() else { return };
    let daemon = Daemon::start();
    browser.open(&format!("http://{}/", daemon.console()));
    let becomes = |state: &str| {
        let begun = Instant::now();
        browser.wait_until(state, &format!("document.querySelector('#connection').dataset.state === '{state}'"));
        begun.elapsed()
    };
    becomes("live");
    for _ in 0..3 {
        daemon.signal("STOP");
        let lost = becomes("lost");
        assert_eq!(browser.run("return document.querySelector('#lost').hidden"), false);
        daemon.signal("CONT");
        let live = becomes("live");
        println!("lost after {lost:.1?}, live again after {live:.1?}");
    }
}

#[test]
fn twelve_tabs_of_one_browser_are_live_and_each_learns_of_a_press_in_another() {
    let Some(browser) = Browser::start() else { return };
    let daemon = Daemon::start();
    scan(&daemon, folder_of(&phantom(PhantomKind::Pneumonia, 60)).path(), &["--rate", "0"]);
    daemon.verdict_on(60);
    let tabs: Vec<String> = (0..TABS)
        .map(|_| {
            let tab = browser.open_tab(&format!("http://{}/", daemon.console()));
            let begun = Instant::now();
            browser.wait_until("the live stream", "document.querySelector('#connection').dataset.state === 'live'");
            println!("live after {:.1?}", begun.elapsed());
            tab
        })
        .collect();
    browser.click("button[data-acknowledge=\"suspected\"]");
    browser.write("#initials-field", "A.N.");
    browser.click("#initials button[value=given]");
    for tab in &tabs {
        browser.switch_to(tab);
        browser.wait_until("who has seen it", "document.querySelector('#flags').textContent.includes('A.N.')");
    }
    let streams = daemon.metric("tableside_console_streams", "");
    assert!((streams - 1.0).abs() < 0.1, "{streams} streams for the tabs of one browser");
}

/// From the moment at which the daemon raises a flag until a browser beside it has painted it. The clock is the same.
#[test]
#[ignore = "measures: cargo test --locked --all-features --test end_to_end how_soon -- --ignored --nocapture"]
fn how_soon_a_flag_is_painted() {
    let Some(browser) = Browser::start() else { return };
    let daemon = Daemon::start();
    browser.open(&format!("http://{}/", daemon.console()));
    browser.wait_until("the live stream", "document.querySelector('#connection').dataset.state === 'live'");
    browser.run(
        "window.painted = {};
        new MutationObserver(() => {
            const { key } = document.querySelector('#exam').dataset;
            if (!key || !document.querySelector('#flags button[data-acknowledge=suspected]') || key in window.painted) return;
            window.painted[key] = null;
            requestAnimationFrame(() => setTimeout(() => { window.painted[key] = Date.now(); }));
        }).observe(document.body, { subtree: true, childList: true, attributes: true });",
    );
    let mut took: Vec<i64> = (0..FLAGS)
        .map(|_| {
            scan(&daemon, folder_of(&phantom(PhantomKind::Pneumonia, 60)).path(), &["--rate", "0", "--new-uids"]);
            let exam = wait_for("the verdict", || {
                daemon.exams().into_iter().next().filter(|exam| exam["state"] == "complete")
            });
            let key = exam["key"].as_str().unwrap();
            browser.wait_until("the flag", &format!("window.painted['{key}']"));
            let painted = browser.run(&format!("return window.painted['{key}']")).as_i64().unwrap();
            let raised: jiff::Timestamp =
                flag(&exam, "suspected").unwrap()["raised"].as_str().unwrap().parse().unwrap();
            painted - raised.as_millisecond()
        })
        .collect();
    took.sort_unstable();
    println!("{FLAGS} flags painted after ms: p50 {}, worst {}", took[FLAGS / 2], took[FLAGS - 1]);
}
