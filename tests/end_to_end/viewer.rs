//! The viewer in a real browser: what is under the mouse is what lies in the file, and everybody can use it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tableside::dicom::UidSource;
use tableside::scanner::{Phantom, PhantomKind, PhantomOptions};

use crate::daemon::Daemon;
use crate::peers::scan;
use crate::series::{folder_of, phantom, there};
use crate::slices::hounsfield_of;
use crate::webdriver::Browser;

const SLICES: usize = 40;
/// Rows and columns of the phantom.
const SIDE: usize = 128;

/// What there is to see of the viewer.
struct Viewer<'a>(&'a Browser);

impl Viewer<'_> {
    fn text(&self, selector: &str) -> String {
        let text = self.0.run(&format!("return document.querySelector('{selector}').textContent"));
        text.as_str().unwrap().to_owned()
    }

    fn shown(&self, what: &str) -> String {
        let shown = self.0.run(&format!("return document.querySelector('#picture').dataset.{what}"));
        shown.as_str().unwrap_or_default().to_owned()
    }

    fn z_mm(&self) -> f64 {
        self.shown("z").parse().expect("a slice is shown")
    }

    fn wait_for_slice(&self) {
        self.0.wait_until("a slice", "document.querySelector('#picture').dataset.sop !== ''");
        self.0.wait_until("the one that is wanted", "document.querySelector('#frame').dataset.loading === 'false'");
    }

    /// Presses a key in the viewer.
    fn key(&self, key: &str) {
        let event = format!("new KeyboardEvent('keydown', {{ key: '{key}', bubbles: true, cancelable: true }})");
        self.0.run(&format!("document.querySelector('#frame').dispatchEvent({event})"));
    }

    /// Whether what the page says to be under the mouse is what the file has there.
    fn assert_point(&self, expected: &BTreeMap<String, Vec<i16>>) {
        let said = self.text("#at-point");
        let words: Vec<&str> = said.split_whitespace().collect();
        let number = |text: &str| text.replace('\u{2212}', "-").parse::<i64>().unwrap_or_else(|_| panic!("{said}"));
        let at = |name: &str| {
            words.iter().position(|word| *word == name).map(|place| number(words[place + 1])).expect(&said)
        };
        let (x, y) = (at("x") as usize, at("y") as usize);
        let hu = expected[&self.shown("sop")][y * SIDE + x];
        let told = if words[..2] == ["not", "measured"] { i64::from(i16::MIN) } else { number(words[0]) };
        assert_eq!(told, i64::from(hu), "{said}");
    }
}

#[test]
fn the_viewer_follows_what_comes_stays_where_somebody_went_and_tells_the_files_hounsfield_units() {
    let Some(browser) = Browser::start() else { return };
    let daemon = Daemon::start();
    browser.open(&format!("http://{}/", daemon.console()));
    browser.wait_until("the live stream", "document.querySelector('#connection').dataset.state === 'live'");
    let folder = folder_of(&phantom(PhantomKind::Pneumonia, SLICES));
    let expected = hounsfield_of(folder.path());
    let viewer = Viewer(&browser);
    std::thread::scope(|scope| {
        scope.spawn(|| scan(&daemon, folder.path(), &["--rate", "8"]));
        viewer.wait_for_slice();
        let first = viewer.z_mm();
        let moved_on = format!("Number(document.querySelector('#picture').dataset.z) !== {first}");
        browser.wait_until("the next slice, by itself", &moved_on);
        viewer.key("End");
        viewer.key("ArrowDown");
        browser.wait_until("that it stays", "document.querySelector('#frame').dataset.following === 'false'");
        viewer.wait_for_slice();
        let stays = viewer.shown("sop");
        browser.wait_until("more slices", "Number(document.querySelector('#slices-received').textContent) > 35");
        assert_eq!(viewer.shown("sop"), stays, "who has gone somewhere stays there");
    });
    browser.wait_until("the verdict", "document.querySelector('#banner').dataset.verdict === 'suspected'");
    let details = daemon.verdict_on(SLICES);

    browser.click("#worst");
    browser.wait_until("a lesion", "Number(document.querySelector('#picture').dataset.lesion) > 0");
    let side = browser.run("return document.querySelector('#frame').clientWidth").as_i64().unwrap();
    for [right, down] in [[0, 0], [-20, 11], [29, -17], [2, 47], [-48, -49]] {
        browser.point("#frame", [right * side / 100, down * side / 100], 0);
        browser.wait_until("Hounsfield units", "document.querySelector('#at-point').textContent !== ''");
        viewer.assert_point(&expected);
    }
    let before = viewer.z_mm();
    browser.point("#frame", [20, 20], 120);
    browser.wait_until("other slices", &format!("Number(document.querySelector('#picture').dataset.z) < {before}"));
    viewer.wait_for_slice();
    viewer.assert_point(&expected);

    for (key, window) in [("2", "W 400 L 40"), ("3", "W 1800 L 400"), ("1", "W 1500 L \u{2212}600")] {
        viewer.key(key);
        assert_eq!(viewer.text("#at-window"), window);
    }
    viewer.key("+");
    viewer.key("+");
    browser.wait_until("an enlarged slice", "document.querySelector('#at-zoom').textContent.startsWith('\u{d7}')");
    browser.point("#frame", [-31, 77], 0);
    viewer.assert_point(&expected);
    viewer.key("0");

    let lesion = &details["report"]["lesions"][1];
    browser.click("#lesion-rows tr:nth-child(2) button");
    let reach = |end: usize| lesion["z_mm"][end].as_f64().unwrap();
    let there = format!(
        "(z => z >= {} && z <= {})(Number(document.querySelector('#picture').dataset.z))",
        reach(0) - 5.0,
        reach(1) + 5.0
    );
    browser.wait_until("the second lesion", &there);
    browser.wait_until("its row", "document.querySelector('#lesion-rows tr:nth-child(2)').dataset.shown === 'true'");
    browser.wait_until(
        "the first slice in the timeline",
        "document.querySelector('#moments').textContent.includes('First slice')",
    );
    browser.wait_until("the verdict there", "document.querySelector('#moments').textContent.includes('Verdict')");

    // The images go; the page says so.
    let key = details["exam"]["key"].as_str().unwrap();
    std::fs::remove_dir_all(daemon.state().join("spool/exams").join(key)).unwrap();
    browser.open(&format!("http://{}/", daemon.console()));
    browser.wait_until(
        "that they are gone",
        "document.querySelector('#picture-note').textContent.includes('not here any more')",
    );
    assert_eq!(browser.run("return document.querySelector('#fault').hidden"), true);
}

/// All that a browser loads for a view before it asks for data, bytes as they are before any packing.
const LARGEST_PAGE: i64 = 250_000;

#[test]
fn each_page_is_small_and_asks_nobody_else() {
    let daemon = Daemon::start();
    scan(&daemon, folder_of(&phantom(PhantomKind::Pneumonia, 12)).path(), &["--rate", "0"]);
    daemon.verdict_on(12);
    let live = "document.querySelector('#connection').dataset.state === 'live'";
    // Who administers has logged in, and this console is open: the page leads elsewhere once it is there.
    let loaded = "performance.getEntriesByType('resource').some(e => e.name.endsWith('/api/v1/session'))";
    for (page, is_there) in [("", live), ("table", live), ("administration.html", loaded)] {
        // One that has no file yet.
        let Some(browser) = Browser::start() else { return };
        browser.open(&format!("http://{}/{page}", daemon.console()));
        browser.wait_until("the page", is_there);
        if page.is_empty() {
            Viewer(&browser).wait_for_slice();
        }
        let bytes = browser.run(
            "const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
            return all.filter(e => !e.name.includes('/api/')).reduce((sum, e) => sum + e.decodedBodySize, 0);",
        );
        let bytes = bytes.as_i64().unwrap();
        println!("/{page}: {bytes} bytes");
        assert!((20_000..LARGEST_PAGE).contains(&bytes), "/{page} has {bytes} bytes");
        let elsewhere = "return performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith(location.origin))";
        assert_eq!(browser.run(elsewhere), serde_json::json!([]), "/{page}");
    }
}

/// The program axe-core, where it is.
pub fn axe() -> Option<String> {
    let path = there(Path::new(env!("CARGO_MANIFEST_DIR")).join("build/axe/axe.min.js"))?;
    Some(std::fs::read_to_string(path).unwrap())
}

/// Checks the page by axe-core, by the rules of WCAG 2.2 A and AA and its best practices.
pub fn assert_accessible(browser: &Browser, axe: &str, state: &str) {
    for theme in ["dark", "light"] {
        let now = browser.run("return document.documentElement.dataset.theme");
        if now != theme {
            browser.run("document.querySelector('#theme').click()");
        }
        let check = "const done = arguments[arguments.length - 1]; axe.run(document).then(found => done(found.violations.map(v => \
                     `${v.id}: ${v.nodes.map(n => n.target + ' ' + (n.any[0]?.message ?? '')).join('; ')}`)), error => done([String(error)]))";
        let violations = browser.run_until_done(&format!("{axe};\n{check}"));
        assert_eq!(violations, serde_json::json!([]), "{state}, {theme}");
    }
}

#[test]
fn axe_finds_no_violation_in_any_state_and_theme() {
    assert_accessible_in("en");
}

#[test]
fn axe_finds_no_violation_in_any_state_and_theme_in_chinese() {
    assert_accessible_in("zh");
}

fn assert_accessible_in(language: &str) {
    let Some(axe) = axe() else { return };
    let Some(browser) = Browser::start() else { return };
    let daemon = Daemon::start();
    browser.open(&format!("http://{}/", daemon.console()));
    browser.run(&format!("localStorage.setItem('tableside.language', '{language}')"));
    browser.open(&format!("http://{}/", daemon.console()));
    browser.wait_until("the language", &format!("document.documentElement.lang === '{language}'"));
    browser.wait_until("the live stream", "document.querySelector('#connection').dataset.state === 'live'");
    assert_accessible(&browser, &axe, "no exam");

    let folder = folder_of(&phantom(PhantomKind::Pneumonia, SLICES));
    std::thread::scope(|scope| {
        scope.spawn(|| scan(&daemon, folder.path(), &["--rate", "2"]));
        browser.wait_until("slabs", "Number(document.querySelector('#strip').dataset.slabs) > 2");
        assert_accessible(&browser, &axe, "receiving");
    });
    browser.wait_until("the verdict", "document.querySelector('#banner').dataset.verdict === 'suspected'");
    browser.click("#worst");
    browser.wait_until("a lesion", "Number(document.querySelector('#picture').dataset.lesion) > 0");
    browser.run("document.querySelector('#report-details').open = true");
    assert_accessible(&browser, &axe, "suspected");
    browser.resize(400, 800);
    assert_accessible(&browser, &axe, "suspected, on a phone");
    browser.resize(1280, 1000);

    // Too few slices for a verdict.
    scan(&daemon, folder_of(&phantom(PhantomKind::Normal, 3)).path(), &["--rate", "0", "--new-uids"]);
    browser.wait_until("no verdict", "document.querySelector('#banner').dataset.kind === 'not_analysed'");
    assert_accessible(&browser, &axe, "not analysed");
    daemon.stop();
    browser.wait_until("the loss", "document.querySelector('#connection').dataset.state === 'lost'");
    assert_accessible(&browser, &axe, "lost");
}

/// Scrolls from one end to the other and back, a slice each frame, and measures the frames in which another slice was shown.
const SCROLL: &str = r"
const done = arguments[arguments.length - 1];
const [canvas, frame] = ['picture', 'frame'].map(id => document.getElementById(id));
const began = performance.now();
let [steps, changes, last, longest, before] = [0, 0, canvas.dataset.sop, 0, began];
const step = now => {
  if (canvas.dataset.sop !== last) { changes += 1; last = canvas.dataset.sop; }
  longest = Math.max(longest, now - before);
  before = now;
  if (steps === 600) return done({ seconds: (now - began) / 1000, changes, longest });
  const down = steps < 300 ? 60 : -60;
  frame.dispatchEvent(new WheelEvent('wheel', { deltaY: down, bubbles: true, cancelable: true }));
  steps += 1;
  requestAnimationFrame(step);
};
requestAnimationFrame(step);
";

/// Not a test: a measurement, which `docs/viewer.md` quotes.
#[test]
#[ignore = "measures: cargo test --locked --all-features --test end_to_end how_fast -- --ignored --nocapture"]
fn how_fast_three_hundred_slices_scroll() {
    const COUNT: usize = 300;
    let browser = Browser::start().expect("a browser");
    let daemon = Daemon::start();
    let phantom = Phantom::new(PhantomKind::Pneumonia, PhantomOptions::coarse(COUNT, 512));
    let mut slices = phantom.instances(UidSource::fresh()).unwrap();
    slices.retain(|slice| !slice.scout);
    scan(&daemon, folder_of(&slices).path(), &["--rate", "0"]);
    daemon.verdict_on(COUNT);
    browser.open(&format!("http://{}/", daemon.console()));
    let viewer = Viewer(&browser);
    viewer.wait_for_slice();
    viewer.key("End");
    viewer.wait_for_slice();
    let measure = |what: &str| {
        let found: Value = browser.run_until_done(SCROLL);
        let (seconds, changes) = (found["seconds"].as_f64().unwrap(), found["changes"].as_f64().unwrap());
        let longest = found["longest"].as_f64().unwrap();
        eprintln!(
            "{what}: {:.0} slices/s, {:.0} frames/s, longest frame {longest:.0} ms",
            changes / seconds,
            600.0 / seconds
        );
    };
    measure("while the slices are loaded");
    let loaded = "performance.getEntriesByType('resource').filter(e => e.name.includes('/slices/')).length";
    browser.run("performance.setResourceTimingBufferSize(2000)");
    crate::daemon::wait_for("all slices", || {
        let before = browser.run(&format!("return {loaded}"));
        std::thread::sleep(std::time::Duration::from_secs(2));
        (browser.run(&format!("return {loaded}")) == before).then_some(())
    });
    measure("once they are there");
    browser.resize(1920, 1200);
    viewer.key("l");
    measure("as large as a window of 1920 x 1200");
    eprintln!(
        "canvas {}",
        browser.run("const c = document.querySelector('#picture'); return `${c.width} x ${c.height}`")
    );
}
