//! Associations: many at once, echoes, objects that are kept and not analysed.

use dicom_dictionary_std::{tags, uids};
use tableside::scanner::PhantomKind;

use crate::daemon::Daemon;
use crate::dicom::{Association, changed, set_text};
use crate::peers::{echoscu, scan};
use crate::series::{folder_of, phantom, phantom_with_scout};

#[test]
fn sixteen_associations_at_once_lose_nothing() {
    const SLICES: usize = 64;
    let daemon = Daemon::start();
    let folder = folder_of(&phantom(PhantomKind::Normal, SLICES));
    let report = scan(&daemon, folder.path(), &["--associations", "16", "--rate", "0"]);
    assert_eq!((&report["sent"], &report["failures"]), (&SLICES.into(), &serde_json::json!([])));
    let exam = &daemon.verdict_on(SLICES)["exam"];
    assert_eq!(exam["slices"]["analysed"], SLICES);
    assert_eq!(daemon.metric("tableside_instances_received_total", ""), SLICES as f64);
}

#[test]
fn an_echo_is_answered_whatever_ae_title_it_calls() {
    let daemon = Daemon::start();
    echoscu(&daemon);
    crate::peers::succeed("echoscu", &["-aec", "ANYBODY", "127.0.0.1", daemon.port()]);
}

#[test]
fn a_caller_of_another_ae_title_is_refused_where_the_configuration_says_so() {
    let daemon = Daemon::start_with("require_called_ae_title = true");
    echoscu(&daemon);
    let refused = crate::peers::run("echoscu", &["-aec", "ANYBODY", "127.0.0.1", daemon.port()]);
    assert!(!refused.status.success());
    daemon.wait_for_log("called AE title not recognized");
}

#[test]
fn a_scout_and_a_secondary_capture_are_kept_and_not_analysed() {
    let daemon = Daemon::start();
    let instances = phantom_with_scout(PhantomKind::Normal, 24);
    let capture = changed(&instances[1], |object| {
        set_text(object, tags::SOP_CLASS_UID, uids::SECONDARY_CAPTURE_IMAGE_STORAGE);
        set_text(object, tags::SOP_INSTANCE_UID, "2.25.1");
        set_text(object, tags::SERIES_INSTANCE_UID, "2.25.2");
    });
    let mut association = Association::open(&daemon);
    for instance in instances.iter().chain([&capture]) {
        assert_eq!(association.store(instance), 0x0000, "{}", instance.origin);
    }
    association.release();
    let slices = &daemon.verdict_on(26)["exam"]["slices"];
    assert_eq!((&slices["analysed"], &slices["kept"], &slices["failed"]), (&24.into(), &2.into(), &0.into()));
}
