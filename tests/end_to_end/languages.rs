//! The page in another language than English: everything is said in it, and what is not says so.

use serde_json::{Value, json};
use tableside::scanner::PhantomKind;

use crate::accounts::{PASSWORD, add, start};
use crate::daemon::Daemon;
use crate::peers::scan;
use crate::series::{folder_of, phantom};
use crate::webdriver::Browser;

const SLICES: usize = 40;

/// Names, units and abbreviations that Chinese radiologists write as they are.
const AS_THEY_ARE: [&str; 13] =
    ["Tableside", "TABLESIDE", "AE", "CT", "HU", "UID", "Shift", "mL", "ml", "mm", "cm", "px", "id"];

/// What is on the page in Latin letters and not in an element that says that it is English. Left out is what the data say: patients,
/// addresses, names of engine and model, places in space.
const ENGLISH_LEFT: &str = r"
const data = '#patient-name, #patient-details, #exams .name, #exams .when, #panels .who, #elsewhere, #engine, #version, #destination, ' +
  '#series, #who-name, #frame .side, #frame .corner, [lang=en]';
const found = [];
const look = (text, node) => {
  if (node.closest(data)) return;
  for (const word of text.match(/[A-Za-z]{2,}/g) ?? []) found.push(`${word} in <${node.id || node.className || node.tagName}>: ${text}`);
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement;
  if (!['SCRIPT', 'STYLE'].includes(node.tagName) && node.checkVisibility()) look(walker.currentNode.data, node);
}
for (const name of ['aria-label', 'title', 'placeholder', 'aria-valuetext']) {
  // A panel is called by its patient and by its headline, which are read above.
  for (const node of document.querySelectorAll(`[${name}]:not(.panel)`)) if (node.checkVisibility()) look(node.getAttribute(name), node);
}
return found;
";

fn assert_chinese(browser: &Browser, state: &str) {
    let found = browser.run(ENGLISH_LEFT);
    let is_known =
        |found: &Value| AS_THEY_ARE.iter().any(|known| found.as_str().unwrap().starts_with(&format!("{known} in ")));
    let left: Vec<&Value> = found.as_array().unwrap().iter().filter(|found| !is_known(found)).collect();
    assert!(left.is_empty(), "{state}: {left:#?}");
}

fn text(browser: &Browser, selector: &str) -> String {
    browser.run(&format!("return document.querySelector('{selector}').textContent")).as_str().unwrap().to_owned()
}

/// Opens the page and changes its language as a person does.
fn open_in_chinese(browser: &Browser, daemon: &Daemon) {
    browser.open(&format!("http://{}/", daemon.console()));
    browser.wait_until("the live stream", "document.querySelector('#connection').dataset.state === 'live'");
    assert_eq!(browser.run("return document.documentElement.lang"), "en");
    assert_eq!([text(browser, "#other-language"), text(browser, "#connection")], ["中文", "Live"]);
    browser.click("#other-language");
    browser.wait_until("Chinese", "document.documentElement.lang === 'zh'");
    browser.wait_until("the live stream", "document.querySelector('#connection').dataset.state === 'live'");
}

#[test]
fn who_reads_chinese_is_told_everything_in_chinese_also_why_and_also_after_a_restart() {
    let Some(browser) = Browser::start() else { return };
    let daemon = Daemon::start();
    open_in_chinese(&browser, &daemon);
    assert_eq!(text(&browser, "#other-language"), "English");
    assert_eq!(browser.run("return document.querySelector('#other-language').lang"), "en");
    browser.wait_until("no exam", "document.querySelector('#banner-headline').textContent === '尚无检查'");
    assert_chinese(&browser, "no exam");

    let folder = folder_of(&phantom(PhantomKind::Pneumonia, SLICES));
    std::thread::scope(|scope| {
        scope.spawn(|| scan(&daemon, folder.path(), &["--rate", "8"]));
        browser.wait_until("slabs", "Number(document.querySelector('#strip').dataset.slabs) > 2");
        assert_chinese(&browser, "receiving");
    });
    browser.wait_until("the verdict", "document.querySelector('#banner').dataset.verdict === 'suspected'");
    browser.wait_until("the report", "!document.querySelector('#report').hidden");
    browser.click("#worst");
    browser.wait_until("a lesion", "Number(document.querySelector('#picture').dataset.lesion) > 0");
    assert_chinese(&browser, "suspected");
    let said = || {
        ["#banner-headline", "#banner-detail", "#flag-list .what", "#flag-list .text", "#report-reason"]
            .map(|selector| text(&browser, selector))
    };
    let before = said();
    assert_eq!(before[0], "疑似新冠肺炎：请隔离患者");
    assert!(before[1].contains("可能为新冠肺炎（概率 "), "{before:?}");
    assert!(before[3].starts_with("疑似新冠肺炎，请隔离患者：") && before[3].ends_with(&before[1]), "{before:?}");

    // What was kept is said in Chinese as well, and other programs read English as ever.
    let daemon = daemon.kill_and_start_again();
    open_in_chinese(&browser, &daemon);
    browser.wait_until("the exam", "document.querySelector('#exam').dataset.state === 'complete'");
    browser.wait_until("the report", "!document.querySelector('#report').hidden");
    assert_eq!(said(), before);
    let exam = daemon.verdict_on(SLICES);
    let statement = &exam["exam"]["statements"][0];
    assert_eq!(statement["headline"], "COVID-19 pneumonia suspected: isolate");
    assert_eq!(statement["phrases"]["headline"], json!({ "text": "headline.suspected" }));
    assert_eq!(exam["exam"]["reason"], exam["report"]["reason"]);
    assert_eq!(exam["exam"]["phrases"]["reason"], exam["report"]["reason_phrase"]);

    // Who has seen it, what became of it, and the view for the table.
    let key = exam["exam"]["key"].as_str().unwrap();
    for (path, body) in [
        (format!("/api/v1/exams/{key}/flags/suspected/acknowledge"), json!({ "by": "李" })),
        (format!("/api/v1/exams/{key}/outcome"), json!({ "by": "李", "outcome": "agree" })),
    ] {
        let answer = crate::http::post(daemon.console(), &path, &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    browser.wait_until(
        "who it was",
        "(document.querySelector('#exams .seen').textContent.match(/李/g) ?? []).length === 2",
    );
    assert_chinese(&browser, "acknowledged");
    browser.open(&format!("http://{}/table", daemon.console()));
    browser.wait_until(
        "the table view",
        "document.querySelector('[data-kind=suspected] .acknowledged')?.textContent.includes('李')",
    );
    assert_chinese(&browser, "the table view");
    browser.open(&format!("http://{}/", daemon.console()));
    browser.wait_until("the live stream", "document.querySelector('#connection').dataset.state === 'live'");

    // Too few slices for a verdict.
    scan(&daemon, folder_of(&phantom(PhantomKind::Normal, 3)).path(), &["--rate", "0", "--new-uids"]);
    browser.wait_until("no verdict", "document.querySelector('#banner').dataset.kind === 'not_analysed'");
    browser.wait_until("its report", "document.querySelector('#report-reason').textContent !== ''");
    assert_chinese(&browser, "not analysed");
    daemon.stop();
    browser.wait_until("the loss", "document.querySelector('#connection').dataset.state === 'lost'");
    assert_chinese(&browser, "lost");
}

#[test]
fn who_reads_chinese_is_told_in_chinese_what_is_refused_and_what_to_know_of_the_daemon() {
    let Some(browser) = Browser::start() else { return };
    let daemon = start("");
    add(&daemon, "ann", "technician");
    browser.open(&format!("http://{}/", daemon.console()));
    browser.wait_until("the log-in", "document.querySelector('#log-in')?.open");
    browser.click("#log-in-language");
    browser.wait_until("Chinese", "document.documentElement.lang === 'zh' && document.querySelector('#log-in')?.open");
    browser.write("#log-in-name", "ann");
    browser.write("#log-in-password", "wrong password");
    browser.click("#log-in-button");
    browser.wait_until("why", "document.querySelector('#log-in-problem').textContent === '用户名或密码错误'");
    assert_chinese(&browser, "refused");
    browser.write("#log-in-password", PASSWORD);
    browser.click("#log-in-button");
    browser.wait_until("the live stream", "document.querySelector('#connection').dataset.state === 'live'");
    let (state, away) = (daemon.state(), daemon.state().with_extension("away"));
    std::fs::rename(&state, &away).unwrap();
    for page in ["", "table"] {
        browser.open(&format!("http://{}/{page}", daemon.console()));
        browser.wait_until("the problem", "document.body.textContent.includes('无法写入 ')");
    }
    std::fs::rename(&away, &state).unwrap();
}
