//! The outbox: results reach archives whole, once and in spite of all that happens on the way.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dicom_dictionary_std::{tags, uids};
use dicom_object::open_file;
use serde_json::Value;
use tableside::scanner::{Instance, PhantomKind};
use tempfile::TempDir;

use crate::archive::{Node, Orthanc, Reply, StoreScp, Stored, contents_of, free_ports, results, stored_of};
use crate::daemon::{Daemon, TABLESIDE, wait_for};
use crate::peers::{files, run, scan, succeed, text};
use crate::series::{folder_of, phantom, phantom_with_scout, real_series};

const SLICES: usize = 40;

/// Retries soon: what a weekend does takes a second.
const SOON: &str = "first_retry_s = 0.002\nlongest_retry_s = 0.01\nanswer_timeout_s = 60\n";

fn destination(name: &str, route: &str) -> String {
    format!("[[destination]]\nname = \"{name}\"\n{route}\n{SOON}")
}

fn c_store(name: &str, node: &str) -> String {
    destination(name, &format!("c_store = \"{node}\""))
}

/// A daemon with destinations, and a patient that has been scanned.
struct Site {
    daemon: Daemon,
    data: Arc<TempDir>,
    exam: Vec<Instance>,
    extra: String,
}

impl Site {
    fn start(extra: &str) -> Self {
        let data = Arc::new(tempfile::tempdir().unwrap());
        let daemon = Daemon::start_on(data.clone(), extra);
        Self { daemon, data, exam: phantom(PhantomKind::Pneumonia, SLICES), extra: extra.to_owned() }
    }

    /// Scans the patient; the key of the exam once it has its verdict.
    fn scanned(&self) -> String {
        self.sends(&self.exam);
        self.verdict_on(SLICES)
    }

    fn sends(&self, instances: &[Instance]) {
        scan(&self.daemon, folder_of(instances).path(), &["--rate", "0"]);
    }

    fn verdict_on(&self, slices: usize) -> String {
        self.daemon.verdict_on(slices)["exam"]["key"].as_str().unwrap().to_owned()
    }

    fn config(&self) -> PathBuf {
        self.data.path().join("tableside.toml")
    }

    /// What `tableside report` writes of an exam.
    fn results(&self, exam: &str) -> Vec<PathBuf> {
        results(&self.config(), exam, &self.data.path().join("results"))
    }

    fn expected(&self, exam: &str) -> Stored {
        stored_of(&self.results(exam))
    }

    /// The images of an exam as they lie in the spool.
    fn images(&self, exam: &str) -> Vec<PathBuf> {
        let folders = files(&self.daemon.state().join("spool/exams").join(exam));
        folders.iter().filter(|path| path.is_dir()).flat_map(|series| files(series)).collect()
    }

    fn outbox(&self, args: &[&str]) -> String {
        let config = self.config();
        let output = run(TABLESIDE, &[&["outbox"], args, &["--config", text(&config)]].concat());
        String::from_utf8(output.stdout).unwrap()
    }

    fn listed(&self) -> Vec<Value> {
        let listed: Value = serde_json::from_str(&self.outbox(&["list", "--all", "--json"])).unwrap();
        listed.as_array().unwrap().clone()
    }

    /// Waits until every result has its object.
    fn all_made(&self) {
        wait_for("all objects", || {
            let listed = self.listed();
            (!listed.is_empty() && listed.iter().all(|delivery| delivery["object"].is_object())).then_some(())
        });
    }

    /// Waits until nothing is open. States and SOP classes of all.
    fn settled(&self) -> Vec<(String, String)> {
        let is_open = |delivery: &Value| ["queued", "sending", "unsure"].iter().any(|open| delivery["state"] == *open);
        let listed = wait_for("the outbox to be settled", || {
            let listed = self.listed();
            (!listed.is_empty() && !listed.iter().any(is_open)).then_some(listed)
        });
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        listed.iter().map(|of| (word(&of["state"]), word(&of["object"]["sop_class_uid"]))).collect()
    }

    fn kill_and_start_again(&mut self) {
        self.daemon.kill();
        self.daemon = Daemon::start_on(self.data.clone(), &self.extra);
    }

    fn notices(&self) -> String {
        self.daemon.get("/api/v1/status").json()["notices"].to_string()
    }
}

fn is_done(settled: &[(String, String)]) -> bool {
    settled.iter().all(|(state, _)| state == "done")
}

#[test]
fn archives_have_each_result_and_image_byte_for_byte() {
    let (by_c_store, by_stow, exact) = (Orthanc::start(), Orthanc::start(), StoreScp::start());
    let forward = |node: String| format!("c_store = \"{node}\"\nforward = true");
    let stow = format!("stow_rs = \"{}\"", by_stow.dicom_web());
    let site = Site::start(
        &(destination("pacs", &forward(by_c_store.node()))
            + &destination("web", &stow)
            + &destination("exact", &forward(exact.node()))),
    );
    let exam = site.scanned();
    assert!(is_done(&site.settled()));
    let (results, images) = (site.results(&exam), site.images(&exam));
    assert!(results.len() > 5 && images.len() == SLICES, "{results:?}");
    assert_eq!(by_stow.stored(), stored_of(&results));
    let all = [results.clone(), images].concat();
    assert_eq!(exact.stored(), stored_of(&all));
    assert_eq!(by_c_store.contents(), contents_of(&all));
    assert_eq!(site.daemon.metric("tableside_outbox_delivered_total", "web"), results.len() as f64);
    assert_eq!(site.daemon.metric("tableside_outbox_delivered_total", "pacs"), (SLICES + results.len()) as f64);
    wait_for("the gauges", || (site.daemon.metric("tableside_outbox_deliveries", "") == 0.0).then_some(()));
    assert_eq!(site.notices(), "[]");
}

#[test]
fn an_archive_that_is_down_for_500_tries_costs_nothing() {
    let ports = free_ports();
    let [c_store, stow] = [
        format!("c_store = \"ORTHANC@127.0.0.1:{}\"", ports[1]),
        format!("stow_rs = \"http://127.0.0.1:{}/dicom-web\"", ports[0]),
    ];
    let mut site = Site::start(&(destination("pacs", &c_store) + &destination("web", &stow)));
    let exam = site.scanned();
    for name in ["pacs", "web"] {
        wait_for("500 tries", || (site.daemon.metric("tableside_outbox_pauses_total", name) >= 500.0).then_some(()));
        let waiting =
            site.daemon.metric("tableside_outbox_deliveries", &format!("destination=\"{name}\",state=\"queued\""));
        assert!(waiting > 5.0, "{waiting}");
    }
    let notices = site.notices();
    assert!(notices.contains("No results reach pacs since") && notices.contains("No results reach web"), "{notices}");
    // Whoever restarts the daemon meanwhile loses nothing.
    site.kill_and_start_again();
    let orthanc = Orthanc::start_at(ports);
    assert!(is_done(&site.settled()));
    assert_eq!(orthanc.contents(), contents_of(&site.results(&exam)));
    wait_for("the notices to go", || (site.notices() == "[]").then_some(()));
}

#[test]
fn a_fault_of_the_node_costs_the_object_nothing() {
    // Each object meets another one first.
    let node = Node::start(&[], |sent| match (sent.before, sent.sop_class_uid.as_str()) {
        (0, uids::SEGMENTATION_STORAGE) => Reply::Status(0xA700),
        (1, uids::SEGMENTATION_STORAGE) => Reply::Status(0x0110),
        (0, uids::SECONDARY_CAPTURE_IMAGE_STORAGE) => Reply::StoreAndHangUp,
        (1, uids::SECONDARY_CAPTURE_IMAGE_STORAGE) => Reply::Status(0xA7FF),
        (2, uids::SEGMENTATION_STORAGE) | (0, uids::COMPREHENSIVE3_DSR_STORAGE) => Reply::Abort,
        _ => Reply::Status(0xB000),
    });
    let site = Site::start(&c_store("pacs", &node.node()));
    let exam = site.scanned();
    assert!(is_done(&site.settled()));
    assert_eq!(node.stored(), site.expected(&exam));
    let remarks: Vec<Value> = site.listed().iter().map(|delivery| delivery["reason"].clone()).collect();
    assert!(remarks.iter().all(|remark| remark == "stored with warning B000"), "{remarks:?}");
}

#[test]
fn a_fault_of_the_object_is_dead_with_its_reason_and_its_siblings_go_on() {
    let is_mended = Arc::new(AtomicBool::new(false));
    let mended = is_mended.clone();
    let node = Node::start(&[], move |sent| match sent.sop_class_uid.as_str() {
        _ if mended.load(Ordering::SeqCst) => Reply::Status(0),
        uids::SEGMENTATION_STORAGE => Reply::Status(0xA900),
        uids::COMPREHENSIVE3_DSR_STORAGE => Reply::Status(0xC000),
        _ => Reply::Status(0),
    });
    // Takes pictures alone.
    let narrow = Node::start(&[uids::SECONDARY_CAPTURE_IMAGE_STORAGE], |_| Reply::Status(0));
    let site = Site::start(&(c_store("pacs", &node.node()) + &c_store("narrow", &narrow.node())));
    let exam = site.scanned();
    let settled = site.settled();
    let dead = |class: &str| {
        let of_class = settled.iter().filter(|(_, of)| of == class);
        of_class.filter(|(state, _)| state == "dead").count()
    };
    assert_eq!([uids::SEGMENTATION_STORAGE, uids::COMPREHENSIVE3_DSR_STORAGE].map(dead), [2, 2]);
    assert_eq!(dead(uids::SECONDARY_CAPTURE_IMAGE_STORAGE), 0);
    assert_eq!(narrow.stored(), node.stored());
    let listed = site.outbox(&["list"]);
    for told in ["status A900", "status C000", "accepts no objects of SOP class", "4 dead"] {
        assert!(listed.contains(told), "{told}: {listed}");
    }
    wait_for("a notice", || site.notices().contains("2 objects cannot be delivered to pacs").then_some(()));
    // Somebody mends the node, and gives the other one up.
    is_mended.store(true, Ordering::SeqCst);
    assert!(site.outbox(&["drop"]).is_empty(), "which ones must be said");
    assert_eq!(site.outbox(&["drop", "--destination", "narrow"]), "2 objects are not sent any more\n");
    assert_eq!(site.outbox(&["retry"]), "2 objects are sent again\n");
    assert_eq!(site.settled().iter().filter(|(state, _)| state == "dropped").count(), 2);
    assert_eq!(node.stored(), site.expected(&exam));
    assert_eq!(site.outbox(&["list"]), "nothing waits\n");
}

#[test]
fn a_kill_in_any_state_loses_nothing_and_doubles_nothing() {
    // The daemon is killed while the node has the first, second, third ... object in its hands, before and after it was kept.
    let holding = Arc::new(AtomicBool::new(false));
    let held = holding.clone();
    let node = Node::start(&[], move |sent| {
        if sent.before == 0 {
            held.store(true, Ordering::SeqCst);
            // Until the daemon is gone nobody hears the answer.
            wait_for("the kill", || (!held.load(Ordering::SeqCst)).then_some(()));
            return if sent.sop_class_uid == uids::SEGMENTATION_STORAGE { Reply::Abort } else { Reply::StoreAndHangUp };
        }
        Reply::Status(0)
    });
    let mut site = Site::start(&c_store("pacs", &node.node()));
    site.sends(&site.exam);
    let mut kills = 0;
    wait_for("the outbox to be settled", || {
        if holding.load(Ordering::SeqCst) {
            site.daemon.kill();
            holding.store(false, Ordering::SeqCst);
            site.daemon = Daemon::start_on(site.data.clone(), &site.extra);
            kills += 1;
        }
        let listed = site.listed();
        (!listed.is_empty() && listed.iter().all(|delivery| delivery["state"] == "done")).then_some(())
    });
    let exam = site.verdict_on(SLICES);
    let expected = site.expected(&exam);
    assert_eq!(kills, expected.len());
    assert_eq!(node.stored(), expected, "the same bytes each time");
}

#[test]
fn a_verdict_that_is_given_again_takes_the_place_of_the_one_before() {
    let is_open = Arc::new(AtomicBool::new(true));
    let open = is_open.clone();
    let node = Node::start(&[], move |sent| {
        let is_picture = sent.sop_class_uid == uids::SECONDARY_CAPTURE_IMAGE_STORAGE;
        Reply::Status(if is_picture && !open.load(Ordering::SeqCst) { 0xA700 } else { 0 })
    });
    let site = Site::start(&(c_store("pacs", &node.node()) + "[completion]\nquiet_s = 1\nlungs_passed_mm = 0\n"));
    let (first, second) = site.exam.split_at(SLICES - 10);
    site.sends(first);
    let exam = site.verdict_on(first.len());
    assert!(is_done(&site.settled()));
    let earlier = node.stored();
    assert_eq!(earlier, site.expected(&exam));
    // The rest of the scan comes while the node takes no pictures, and then one slice again with other pixels.
    is_open.store(false, Ordering::SeqCst);
    site.sends(second);
    site.verdict_on(SLICES);
    wait_for("a failure", || (site.daemon.metric("tableside_outbox_pauses_total", "") > 0.0).then_some(()));
    is_open.store(true, Ordering::SeqCst);
    let settled = site.settled();
    assert!(is_done(&settled), "{settled:?}");
    let later: Stored = node.stored().difference(&earlier).cloned().collect();
    assert_eq!(later, site.expected(&exam));
    // The later structured report says which one it takes the place of.
    let report = site.listed().into_iter().filter(|of| of["kind"] == "structured_report").collect::<Vec<_>>();
    assert_eq!(report.len(), 2);
    let object = open_file(report[1]["object"]["path"].as_str().unwrap()).unwrap();
    let predecessor = object.element(tags::PREDECESSOR_DOCUMENTS_SEQUENCE).unwrap();
    assert!(format!("{predecessor:?}").contains(report[0]["object"]["sop_instance_uid"].as_str().unwrap()));
}

#[test]
fn an_orthanc_that_is_asked_commits_itself_on_an_association_of_its_own() {
    // It reports to a port that it was told before, as archives do; others may not call.
    let ([port, _], ports) = (free_ports(), free_ports());
    let orthanc = Orthanc::start_knowing(ports, &serde_json::json!({ "tableside": ["TABLESIDE", "127.0.0.1", port] }));
    let data = Arc::new(tempfile::tempdir().unwrap());
    let route = format!("c_store = \"{}\"\ncommitment = true", orthanc.node());
    let extra = format!("[[scanner]]\nae_title = \"TABLESIDE-SCAN\"\n{}", destination("pacs", &route));
    let config = crate::daemon::config(data.path(), &extra)
        .replace("[dicom]\nlisten = \"127.0.0.1:0\"", &format!("[dicom]\nlisten = \"127.0.0.1:{port}\""));
    let daemon = Daemon::start_configured(data.clone(), &config);
    let site = Site { daemon, data, exam: phantom(PhantomKind::Pneumonia, SLICES), extra };
    let exam = site.scanned();
    wait_for("commitment", || {
        let listed = site.listed();
        (!listed.is_empty() && listed.iter().all(|delivery| delivery["state"] == "done")).then_some(())
    });
    assert_eq!(orthanc.contents(), contents_of(&site.results(&exam)));
}

#[test]
fn a_node_that_never_commits_itself_has_the_results_all_the_same() {
    // It takes results, and no questions.
    let classes =
        &[uids::SEGMENTATION_STORAGE, uids::SECONDARY_CAPTURE_IMAGE_STORAGE, uids::COMPREHENSIVE3_DSR_STORAGE];
    let node = Node::start(classes, |_| Reply::Status(0));
    let site = Site::start(&destination("pacs", &format!("c_store = \"{}\"\ncommitment = true", node.node())));
    let exam = site.scanned();
    let told = "pacs does not say since";
    wait_for("a notice", || site.notices().contains(told).then_some(()));
    assert_eq!(node.stored(), site.expected(&exam));
    assert!(
        site.listed().iter().all(|delivery| delivery["state"] == "stored" || delivery["state"] == "commitment_asked")
    );
}

#[test]
fn what_a_scanner_sends_after_the_verdict_makes_no_second_set_of_results() {
    let node = Node::start(&[], |_| Reply::Status(0));
    let mut site = Site::start(&c_store("pacs", &node.node()));
    let (scouts, slices): (Vec<Instance>, Vec<Instance>) =
        phantom_with_scout(PhantomKind::Pneumonia, SLICES).into_iter().partition(|instance| instance.scout);
    site.exam = slices;
    site.scanned();
    assert!(is_done(&site.settled()));
    let before = node.order().len();
    site.sends(&scouts);
    site.verdict_on(SLICES + scouts.len());
    // Whatever is entered is entered with the verdict.
    assert!(is_done(&site.settled()));
    assert_eq!((site.listed().len(), node.order().len()), (before, before));
}

#[test]
fn an_archive_by_tls_has_the_results_and_knows_who_sent_them() {
    let certificates = tempfile::tempdir().unwrap();
    succeed(TABLESIDE, &["tls", "init", text(certificates.path())]);
    let [certificate, key, authority] =
        ["scanner.pem", "scanner.key", "authority.pem"].map(|name| text(&certificates.path().join(name)).to_owned());
    let [own_certificate, own_key] =
        ["tableside.pem", "tableside.key"].map(|name| text(&certificates.path().join(name)).to_owned());
    let exact = StoreScp::start_with(&["+tls", &own_key, &own_certificate, "+cf", &authority, "--require-peer-cert"]);
    let node = exact.node().replace("127.0.0.1", "localhost");
    let identity = format!("certificate = \"{certificate}\"\nkey = \"{key}\"");
    let route = format!("c_store = \"{node}\"\ntls = true\nauthorities = \"{authority}\"\n{identity}");
    let plain = format!("c_store = \"{node}\"");
    let site = Site::start(&(destination("pacs", &route) + &destination("plain", &plain)));
    let exam = site.scanned();
    let results = site.expected(&exam);
    wait_for("the encrypted ones", || (exact.stored() == results).then_some(()));
    wait_for("the plain ones to fail", || site.notices().contains("No results reach plain").then_some(()));
}

#[test]
fn a_node_that_hangs_delays_no_other_and_keeps_nobody_from_stopping() {
    let release = Arc::new(AtomicBool::new(false));
    let released = release.clone();
    let slow = Node::start(&[], move |_| {
        wait_for("the end of the test", || released.load(Ordering::SeqCst).then_some(()));
        Reply::Abort
    });
    let quick = Node::start(&[], |_| Reply::Status(0));
    let site = Site::start(&(c_store("slow", &slow.node()) + &c_store("quick", &quick.node())));
    let exam = site.scanned();
    let results = site.expected(&exam);
    wait_for("the quick node", || (quick.stored() == results).then_some(()));
    wait_for("the slow node", || (!slow.order().is_empty()).then_some(()));
    let order = quick.order();
    let mut sorted = order.clone();
    let places = [uids::SEGMENTATION_STORAGE, uids::SECONDARY_CAPTURE_IMAGE_STORAGE, uids::COMPREHENSIVE3_DSR_STORAGE];
    sorted.sort_by_key(|class| places.iter().position(|place| place == class));
    assert_eq!(order, sorted, "segmentation, pictures, structured report");
    let Site { daemon, .. } = site;
    let (status, log) = daemon.stop();
    release.store(true, Ordering::SeqCst);
    assert!(status.success(), "{log}");
}

#[test]
fn what_waits_for_one_archive_is_not_touched_by_what_another_one_gets() {
    let is_open = Arc::new(AtomicBool::new(false));
    let open = is_open.clone();
    let closed = Node::start(&[], move |_| Reply::Status(if open.load(Ordering::SeqCst) { 0 } else { 0xA700 }));
    let mut site = Site::start(&c_store("pacs", &closed.node()));
    let exam = site.scanned();
    wait_for("a failure", || (site.daemon.metric("tableside_outbox_pauses_total", "") > 0.0).then_some(()));
    site.all_made();
    let before = site.expected(&exam);
    // A second archive is configured, and the site numbers its series otherwise from now on.
    let other = Node::start(&[], |_| Reply::Status(0));
    site.extra = format!(
        "{}{}[report]\npictures_series = 77\n",
        c_store("pacs", &closed.node()),
        c_store("other", &other.node())
    );
    site.kill_and_start_again();
    wait_for("the second archive", || (other.stored().len() == before.len()).then_some(()));
    is_open.store(true, Ordering::SeqCst);
    assert!(is_done(&site.settled()));
    assert_eq!([closed.stored(), other.stored()], [before.clone(), before], "one verdict, one set of objects");
}

#[test]
fn what_is_dropped_is_not_sent_even_if_its_siblings_are_on_their_way() {
    let dropped = Arc::new(AtomicBool::new(false));
    let is_dropped = dropped.clone();
    let node = Node::start(&[], move |_| {
        wait_for("the drop", || is_dropped.load(Ordering::SeqCst).then_some(()));
        Reply::Status(0)
    });
    let site = Site::start(&c_store("pacs", &node.node()));
    site.scanned();
    wait_for("the first object", || (!node.order().is_empty()).then_some(()));
    site.all_made();
    let told = site.outbox(&["drop", "--destination", "pacs"]);
    assert!(told.ends_with("objects are not sent any more\n"), "{told}");
    dropped.store(true, Ordering::SeqCst);
    let settled = site.settled();
    // What was in the node's hands arrived.
    wait_for("the answer", || site.listed().iter().any(|delivery| delivery["state"] == "done").then_some(()));
    assert_eq!((node.order().len(), settled.len() > 3), (1, true));
}

#[test]
fn the_results_of_a_real_patient_reach_an_archive() {
    let Some(series) = real_series("covid-p001") else { return };
    let node = Node::start(&[], |_| Reply::Status(0));
    let site = Site::start(&c_store("pacs", &node.node()));
    scan(&site.daemon, &series, &["--rate", "0"]);
    let exam = site.verdict_on(files(&series).len());
    assert!(is_done(&site.settled()));
    assert_eq!(node.stored(), site.expected(&exam));
    assert!(node.stored().len() > 10);
}

#[test]
fn images_stay_until_they_are_delivered_and_take_the_masks_with_them() {
    let is_open = Arc::new(AtomicBool::new(false));
    let open = is_open.clone();
    let node = Node::start(&[], move |_| Reply::Status(if open.load(Ordering::SeqCst) { 0 } else { 0xA700 }));
    let forward = format!("c_store = \"{}\"\nforward = true", node.node());
    let mut site = Site::start(&destination("pacs", &forward));
    let exam = site.scanned();
    wait_for("a failure", || (site.daemon.metric("tableside_outbox_pauses_total", "") > 0.0).then_some(()));
    // From now on every exam is too old to be kept.
    site.extra = format!("data.keep_days = 0.000001\n{}", site.extra);
    site.kill_and_start_again();
    wait_for("a failure", || (site.daemon.metric("tableside_outbox_pauses_total", "") > 0.0).then_some(()));
    wait_for("a look at the room", || (site.daemon.metric("tableside_spool_bytes", "") > 0.0).then_some(()));
    let images = site.daemon.state().join("spool/exams").join(&exam);
    assert!(images.is_dir());
    is_open.store(true, Ordering::SeqCst);
    assert!(is_done(&site.settled()));
    site.kill_and_start_again();
    wait_for("the images to go", || (!images.exists()).then_some(()));
    let database = rusqlite::Connection::open(site.daemon.state().join("tableside.db")).unwrap();
    let count = |sql: &str| database.query_one(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    wait_for("what objects are made from to go", || {
        (count("SELECT count(*) FROM segmented_slab") + count("SELECT count(*) FROM source_image") == 0).then_some(())
    });
    assert_eq!(count("SELECT count(*) FROM slab WHERE image_path IS NOT NULL"), 0);
    // The exam is still there to be looked at, and its flag to be acknowledged.
    let shown = site.daemon.get(&format!("/api/v1/exams/{exam}")).json();
    assert_eq!(shown["exam"]["verdict"], "suspected");
    assert!(!shown["slabs"].as_array().unwrap().is_empty());
}

#[test]
fn the_results_of_today_reach_an_archive_that_is_configured_later() {
    let mut site = Site::start("");
    let exam = site.scanned();
    assert_eq!(site.outbox(&["list", "--all"]), "nothing waits\n");
    let node = Node::start(&[], |_| Reply::Status(0));
    site.extra = c_store("pacs", &node.node());
    site.kill_and_start_again();
    assert!(is_done(&site.settled()));
    let results = site.expected(&exam);
    assert_eq!(node.stored(), results);
    // Once.
    site.kill_and_start_again();
    assert!(is_done(&site.settled()));
    assert_eq!(node.order().len(), results.len());
}

#[test]
fn what_is_wrong_with_a_destination_is_told_before_anything_listens() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tableside.toml");
    std::fs::write(&file, "[[destination]]\nname = \"pacs\"\n").unwrap();
    let output = run(TABLESIDE, &["check-config", text(&file)]);
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("line 2: destination pacs needs either c_store or stow_rs"),
        "{output:?}"
    );
    succeed(TABLESIDE, &["outbox", "--help"]);
}

#[test]
fn what_became_of_each_object_of_an_exam_is_told_destination_by_destination() {
    let archive = StoreScp::start();
    let forwarding = c_store("pacs", &archive.node()) + "forward = true\n";
    let site = Site::start(&(forwarding + &c_store("nobody", "NOBODY@127.0.0.1:1")));
    let exam = site.scanned();
    let deliveries = wait_for("everything to reach the archive", || {
        let told = site.daemon.get(&format!("/api/v1/exams/{exam}/deliveries")).json();
        let told = told["deliveries"].as_array().unwrap().clone();
        let mut to_archive = told.iter().filter(|delivery| delivery["destination"] == "pacs").peekable();
        (to_archive.peek().is_some() && to_archive.all(|delivery| delivery["state"] == "done")).then_some(told)
    });
    let count = |destination: &str, kind: &str| -> u64 {
        let alike = deliveries.iter().filter(|of| of["destination"] == destination && of["kind"] == kind);
        alike.map(|delivery| delivery["count"].as_u64().unwrap()).sum()
    };
    assert_eq!(count("pacs", "original"), SLICES as u64);
    let results = ["segmentation", "secondary_capture", "structured_report"];
    let of_results: u64 = results.iter().map(|kind| count("pacs", kind)).sum();
    assert_eq!(of_results, site.results(&exam).len() as u64);
    assert!(results.iter().all(|kind| count("pacs", kind) == count("nobody", kind)), "{deliveries:?}");
    assert!(deliveries.iter().any(|delivery| delivery["destination"] == "nobody" && delivery["state"] == "queued"));
    assert_eq!(site.daemon.get("/api/v1/exams/none/deliveries").status, 404);
}
