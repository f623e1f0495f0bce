//! Who may send: encrypted connections with certificates, and the list of scanners.

use std::path::Path;
use std::sync::Arc;

use dicom_dictionary_std::uids;
use tableside::scanner::PhantomKind;

use crate::daemon::{Daemon, config, wait_for};
use crate::dicom::Association;
use crate::peers::{run, succeed, tableside, text};
use crate::series::{folder_of, phantom};

const SLICES: usize = 12;

/// The arguments with which dcmtk's programs use a certificate that `tls init` has made.
fn with_certificate(names: &[String; 3]) -> Vec<&str> {
    vec!["+tls", &names[1], &names[0], "+cf", &names[2]]
}

fn files(folder: &Path) -> [String; 3] {
    ["scanner.pem", "scanner.key", "authority.pem"].map(|name| text(&folder.join(name)).to_owned())
}

fn make_certificates(folder: &Path) {
    let made = tableside(&["tls", "init", text(folder)]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn configuration(folder: &Path) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    format!(
        "[tls]\nlisten = \"127.0.0.1:0\"\ncertificate = \"{}\"\nkey = \"{}\"\nauthorities = \"{}\"\n",
        path("tableside.pem"),
        path("tableside.key"),
        path("authority.pem")
    )
}

#[test]
fn a_scanner_with_a_certificate_sends_encrypted_and_one_without_is_not_let_in() {
    let certificates = tempfile::tempdir().unwrap();
    make_certificates(certificates.path());
    let daemon = Daemon::start_with(&configuration(certificates.path()));
    let expiry = daemon.metric("tableside_certificate_expiry_timestamp_seconds", "certificate=\"tableside.pem\"");
    let in_days = (expiry - jiff::Timestamp::now().as_second() as f64) / 86400.0;
    assert!((1.0..36500.0).contains(&in_days), "expires in {in_days} days");
    let port = daemon.tls_port();
    let names = files(certificates.path());
    let series = folder_of(&phantom(PhantomKind::Normal, SLICES));
    let send = ["-aec", "TABLESIDE", "localhost", &port, "+sd", text(series.path())];
    succeed("storescu", &[with_certificate(&names), send.to_vec()].concat());
    daemon.verdict_on(SLICES);
    let echo = ["-aec", "TABLESIDE", "localhost", &port];
    assert!(!run("echoscu", &echo).status.success(), "a plain connection is let in");
    let anonymous = ["+tla", "+cf", &names[2]];
    assert!(
        !run("echoscu", &[&anonymous[..], &echo].concat()).status.success(),
        "a peer without certificate is let in"
    );
    let strangers = tempfile::tempdir().unwrap();
    make_certificates(strangers.path());
    let [certificate, key, _] = files(strangers.path());
    let stranger = ["+tls", &key, &certificate, "+cf", &names[2]];
    assert!(!run("echoscu", &[&stranger[..], &echo].concat()).status.success(), "a stranger's certificate is taken");
    wait_for("their metric", || (daemon.metric("tableside_associations_ended_total", "tls") >= 3.0).then_some(()));
}

#[test]
fn changed_certificates_are_used_without_a_restart_and_unusable_ones_are_not() {
    let certificates = tempfile::tempdir().unwrap();
    make_certificates(certificates.path());
    let daemon = Daemon::start_with(&configuration(certificates.path()));
    let port = daemon.tls_port();
    let echo = |folder: &Path| {
        let names = files(folder);
        let echo = ["-aec", "TABLESIDE", "localhost", &port];
        run("echoscu", &[with_certificate(&names), echo.to_vec()].concat()).status.success()
    };
    assert!(echo(certificates.path()));
    let others = tempfile::tempdir().unwrap();
    make_certificates(others.path());
    assert!(!echo(others.path()));
    for name in ["tableside.pem", "tableside.key", "authority.pem"] {
        std::fs::copy(others.path().join(name), certificates.path().join(name)).unwrap();
    }
    assert!(echo(others.path()));
    std::fs::write(certificates.path().join("tableside.pem"), "spilt coffee").unwrap();
    assert!(echo(others.path()), "what was in use stays in use");
    daemon.wait_for_log("changed certificates cannot be used");
}

#[test]
fn nothing_that_is_there_is_overwritten_by_new_certificates() {
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let again = tableside(&["tls", "init", text(folder.path())]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("authority.pem"));
}

#[test]
fn only_listed_scanners_are_let_in() {
    let daemon = Daemon::start_with(
        "[[scanner]]\nae_title = \"CT1\"\naddresses = [\"127.0.0.0/8\"]\n[[scanner]]\nae_title = \"CT2\"\naddresses = [\"10.9.9.9\"]\n",
    );
    let open = |title: &str| Association::try_open(&daemon, title, &[uids::VERIFICATION]);
    open("CT1").unwrap().release();
    for stranger in ["CT2", "CT3"] {
        let refused = open(stranger).err().expect("a refusal");
        assert!(refused.contains("CallingAETitleNotRecognized"), "{refused}");
    }
    assert_eq!(daemon.metric("tableside_associations_ended_total", "refused"), 2.0);
}

#[test]
fn connections_from_nobodys_address_are_closed_at_once() {
    let daemon = Daemon::start_with("[[scanner]]\nae_title = \"CT1\"\naddresses = [\"10.9.9.9\"]\n");
    assert!(Association::try_open(&daemon, "CT1", &[uids::VERIFICATION]).is_err());
    daemon.wait_for_log("no scanner is listed with this address");
}

#[test]
fn open_to_the_network_without_a_list_it_does_not_start_or_says_so_on_the_console() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[dicom]\nlisten = \"0.0.0.0:0\"\n").unwrap();
    let refused = tableside(&["serve", "--config", text(file.path())]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("insecure"));
    let daemon = Daemon::start_with("insecure = true\n");
    let status = daemon.get("/api/v1/status").json();
    assert!(status["notices"][0].as_str().unwrap().contains("anyone on the network"), "{status}");
}

#[test]
fn a_changed_configuration_holds_as_a_whole_or_not_at_all_and_what_takes_a_restart_is_named() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let scanner = |ae_title: &str| format!("[[scanner]]\nae_title = \"{ae_title}\"\n");
    let with = |extra: &str| config(data.path(), extra);
    let daemon = Daemon::start_configured(data.clone(), &with(&scanner("OTHER")));
    let echo = ["-aet", "CT1", "-aec", "TABLESIDE", "127.0.0.1", daemon.port()];
    assert!(!run("echoscu", &echo).status.success(), "a scanner that is not listed is let in");

    daemon.reload(&with(&(scanner("CT1") + "[colour]\n")));
    daemon.wait_for_log("the configuration stays as it is");
    assert!(!run("echoscu", &echo).status.success(), "half of a configuration holds");

    daemon.reload(&with(&(scanner("CT1") + "[completion]\nquiet_s = 9.0\n[log]\nlevel = \"debug\"\n")));
    daemon.wait_for_log("the configuration was read again");
    daemon.wait_for_log("sections=\"[completion]\"");
    succeed("echoscu", &echo);
    assert!(daemon.metric("tableside_scanner_last_seen_timestamp_seconds", "scanner=\"CT1\"") > 0.0);
    let other = ["-aet", "OTHER", "-aec", "TABLESIDE", "127.0.0.1", daemon.port()];
    assert!(!run("echoscu", &other).status.success(), "a scanner that is not listed any more is let in");
}
