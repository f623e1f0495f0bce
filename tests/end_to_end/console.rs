//! The console in a real browser, against a real daemon.

use tableside::scanner::PhantomKind;

use crate::daemon::{Daemon, flag};
use crate::dicom::Association;
use crate::peers::scan;
use crate::series::{folder_of, phantom, slices_of_patients};
use crate::webdriver::Browser;

const SLICES: usize = 40;

#[test]
fn the_page_fills_slice_by_slice_shows_the_flag_and_takes_its_acknowledgement() {
    let Some(browser) = Browser::start() else { return };
    let daemon = Daemon::start();
    browser.open(&format!("http://{}/", daemon.console()));
    browser.wait_until("the live stream", "document.querySelector('#connection').dataset.state === 'live'");
    assert_eq!(browser.run("return document.querySelector('#exam').dataset.key"), "");

    let folder = folder_of(&phantom(PhantomKind::Pneumonia, SLICES));
    std::thread::scope(|scope| {
        scope.spawn(|| scan(&daemon, folder.path(), &["--rate", "8"]));
        let received = "Number(document.querySelector('#slices-received').textContent)";
        browser.wait_until("the exam while it fills", &format!("{received} > 3 && {received} < {SLICES}"));
        assert_eq!(browser.run("return document.querySelector('#exam').dataset.state"), "receiving");
        assert_eq!(browser.run("return document.querySelector('#banner').dataset.verdict"), "");
        browser.wait_until("lesions so far", "document.querySelector('#lesion-note').textContent === 'so far'");
    });
    browser.wait_until("the verdict", "document.querySelector('#banner').dataset.verdict === 'suspected'");
    let exam = daemon.verdict_on(SLICES)["exam"].clone();
    assert_eq!(browser.run("return document.querySelector('#exam').dataset.key"), exam["key"]);
    let score = format!("{:.2}", exam["score"].as_f64().unwrap());
    browser.wait_until("the score", &format!("document.querySelector('#score').textContent.startsWith('{score}')"));
    let slabs = exam["slabs"].to_string();
    browser.wait_until("all slabs", &format!("document.querySelector('#strip').dataset.slabs === '{slabs}'"));

    browser.wait_until("the lesions", "document.querySelectorAll('#report-lesions li').length > 0");
    browser.wait_until("zones", "document.querySelector('#lesion-share-note').textContent.includes('zone score')");

    browser.click("#worst");
    browser.wait_until("a picture with a lesion", "Number(document.querySelector('#outlines').dataset.lesion) > 0");
    browser.wait_until("its lungs", "Number(document.querySelector('#outlines').dataset.lung) > 0");
    let bright = "const c = document.querySelector('#picture'); \
                  return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v, i) => i % 4 < 3 && v > 100)";
    assert_eq!(browser.run(bright), true, "the picture is black");

    let button = "button[data-acknowledge=\"suspected\"]";
    browser.wait_until(
        "the button",
        &format!("document.querySelector('{button}') && !document.querySelector('{button}').disabled"),
    );
    browser.click(button);
    browser.write("#initials-field", "ab");
    browser.click("#initials button[value=given]");
    browser.wait_until("the acknowledgement", &format!("document.querySelector('{button}').hidden"));
    assert_eq!(flag(&daemon.exams()[0], "suspected").unwrap()["acknowledged"]["by"], "ab");
}

#[test]
fn the_page_says_which_place_an_exam_has_that_waits_for_its_turn() {
    let Some(browser) = Browser::start() else { return };
    let daemon = Daemon::start_with("[completion]\nquiet_s = 20\nleast_quiet_s = 20\n");
    browser.open(&format!("http://{}/", daemon.console()));
    browser.wait_until("the live stream", "document.querySelector('#connection').dataset.state === 'live'");
    let mut association = Association::open(&daemon);
    for slice in &slices_of_patients(18) {
        assert_eq!(association.store(slice), 0x0000);
    }
    // The newest is shown: the last one of the list to have its turn.
    let says = |element: &str| format!("{element}.textContent.includes('received, waiting, place 2')");
    browser.wait_until("its place in the header", &says("document.querySelector('#patient-details')"));
    browser.wait_until("its place in the list", &says("document.querySelector('#exams .when')"));
    assert_eq!(browser.run("return document.querySelector('#patient-name').textContent"), "EXAM, 17");
    browser.wait_until("its turn", "!document.querySelector('#patient-details').textContent.includes('waiting')");
}

#[test]
fn the_page_says_that_the_connection_is_lost_when_the_daemon_is_gone() {
    let Some(browser) = Browser::start() else { return };
    let daemon = Daemon::start();
    browser.open(&format!("http://{}/", daemon.console()));
    browser.wait_until("the live stream", "document.querySelector('#connection').dataset.state === 'live'");
    let (status, _) = daemon.stop();
    assert_eq!(status.code(), Some(0), "an open page does not hinder the stop");
    browser.wait_until("the loss", "document.querySelector('#connection').dataset.state === 'lost'");
}
