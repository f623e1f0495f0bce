//! The console in a real browser, against a real daemon.

use tableside::scanner::PhantomKind;

use crate::archive::{Node, Reply};
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

    browser.wait_until("the lesions", "document.querySelectorAll('#lesion-rows tr').length > 0");
    browser.wait_until("zones", "document.querySelector('#lesion-share-note').textContent.includes('zone score')");

    browser.click("#worst");
    browser.wait_until("a picture with a lesion", "Number(document.querySelector('#picture').dataset.lesion) > 0");
    browser.wait_until("its lungs", "Number(document.querySelector('#picture').dataset.lung) > 0");
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
    browser.wait_until("its place in the list", &says("document.querySelector('#exams [aria-current=true] .when')"));
    assert_eq!(browser.run("return document.querySelector('#patient-name').textContent"), "EXAM, 17");
    browser.wait_until("its turn", "!document.querySelector('#patient-details').textContent.includes('waiting')");
}

#[test]
fn the_page_shows_what_was_refused_and_has_it_sent_again_or_given_up() {
    let Some(browser) = Browser::start() else { return };
    let mended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_mended = mended.clone();
    let node = Node::start(&[], move |_| {
        Reply::Status(if is_mended.load(std::sync::atomic::Ordering::SeqCst) { 0 } else { 0xA900 })
    });
    let destination = |name: &str| format!("[[destination]]\nname = \"{name}\"\nc_store = \"{}\"\n", node.node());
    let daemon = Daemon::start_with(&(destination("pacs") + &destination("other")));
    browser.open(&format!("http://{}/", daemon.console()));
    scan(&daemon, folder_of(&phantom(PhantomKind::Normal, SLICES)).path(), &["--rate", "0"]);
    daemon.verdict_on(SLICES);
    let dead = || daemon.metric("tableside_outbox_deliveries", "state=\"dead\"");
    browser.wait_until("what was refused", "document.querySelector('#show-deliveries').dataset.dead === 'true'");
    mended.store(true, std::sync::atomic::Ordering::SeqCst);
    browser.click("#show-deliveries");
    let of = |name: &str, part: &str| format!("#destinations li[data-item={name}] {part}");
    browser.click(&of("pacs", ".again"));
    let says = |name: &str, text: &str| {
        format!("document.querySelector('{}').textContent.includes('{text}')", of(name, ".state"))
    };
    browser.wait_until("all to arrive", &says("pacs", "everything has arrived"));
    browser.wait_until("the reason", &says("other", "refused"));
    browser.click(&of("other", ".drop"));
    assert!(dead() > 0.0, "one press gives nothing up");
    browser.click(&of("other", ".drop"));
    browser.wait_until("all to be settled", &says("other", "everything has arrived"));
    crate::daemon::wait_for("the metrics", || (dead() == 0.0).then_some(()));
    // What a page elsewhere could send is not taken, and what names nothing drops nothing.
    let drop_all = crate::http::post(daemon.console(), "/api/v1/outbox/drop", &serde_json::json!({}));
    assert_eq!(drop_all.status, 422);
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
