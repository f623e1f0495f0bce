//! The stream of events through losses of the connection: nothing missed, nothing twice; the page says when it is not current.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tableside::dicom::UidSource;
use tableside::scanner::{Instance, Phantom, PhantomKind, PhantomOptions};

use crate::daemon::{Daemon, flag, wait_for, wait_patiently_for};
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

/// How long each slice of eight exams took to be acknowledged, sorted: all at once, 60 slices of 512 x 512 a second from each.
fn acknowledged_in(daemon: &Daemon) -> Vec<Duration> {
    const EXAMS: usize = 8;
    const SLICES: usize = 60;
    let of_exam = || {
        let exam = Phantom::new(PhantomKind::Pneumonia, PhantomOptions::coarse(SLICES, 512));
        exam.instances(UidSource::fresh()).unwrap()
    };
    let exams: Vec<Vec<Instance>> = (0..EXAMS).map(|_| of_exam()).collect();
    let send = |slices: &[Instance]| {
        let mut association = Association::open(daemon);
        let began = Instant::now();
        let took = slices.iter().zip(0_u32..).map(|(slice, number)| {
            let due = Duration::from_secs(1) * number / 60;
            std::thread::sleep(due.saturating_sub(began.elapsed()));
            let sent = Instant::now();
            assert_eq!(association.store(slice), 0x0000);
            sent.elapsed()
        });
        let took: Vec<Duration> = took.collect();
        association.release();
        took
    };
    let mut took: Vec<Duration> = std::thread::scope(|scope| {
        let sending: Vec<_> = exams.iter().map(|slices| scope.spawn(|| send(slices))).collect();
        sending.into_iter().flat_map(|sent| sent.join().unwrap()).collect()
    });
    took.sort();
    wait_patiently_for(Duration::from_mins(10), "the verdicts", || {
        let exams = daemon.exams();
        exams.iter().all(|exam| exam["state"] == "complete").then_some(())
    });
    took
}

/// Does what an open page does: reads the stream, and once a second lists the slices of the newest exam and reads one of them.
fn watch(daemon: &Daemon, is_over: &AtomicBool) {
    let mut events = Events::open(daemon.console());
    let (mut asked, mut shown) = (Instant::now(), String::new());
    while !is_over.load(Relaxed) {
        let (name, data) = events.next();
        if name == "exam" {
            data["key"].as_str().unwrap().clone_into(&mut shown);
        }
        if asked.elapsed() > Duration::from_secs(1) && !shown.is_empty() {
            asked = Instant::now();
            let listed = daemon.get(&format!("/api/v1/exams/{shown}/slices")).json();
            if let Some(slice) = listed["slices"].as_array().and_then(|slices| slices.last()) {
                daemon.get(&format!("/{}", slice["hounsfield"].as_str().unwrap()));
            }
        }
    }
}

#[test]
#[ignore = "measures: cargo test --locked --all-features --test end_to_end twenty_browsers -- --ignored --nocapture"]
fn twenty_browsers_delay_no_slice() {
    const BROWSERS: usize = 20;
    let daemon = Daemon::start();
    acknowledged_in(&daemon);
    let (mut alone, mut watched) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        alone.extend(acknowledged_in(&daemon));
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            (0..BROWSERS).for_each(|_| drop(scope.spawn(|| watch(&daemon, &is_over))));
            watched.extend(acknowledged_in(&daemon));
            is_over.store(true, Relaxed);
        });
    }
    let of = |mut took: Vec<Duration>| {
        took.sort();
        [50, 99].map(|percent| took[took.len() * percent / 100].as_secs_f64() * 1e3)
    };
    let ([alone_median, alone_p99], [watched_median, watched_p99]) = (of(alone), of(watched));
    println!("C-STORE to its response, ms: p50 {alone_median:.2}, p99 {alone_p99:.2}");
    println!(
        "with {BROWSERS} that watch:        p50 {watched_median:.2}, p99 {watched_p99:.2}: {:.2} times",
        watched_p99 / alone_p99
    );
}
