//! The audit trail: who sent, saw, acknowledged, exported and changed; what happens to it on the way and afterwards.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use dicom_dictionary_std::uids;
use serde_json::json;
use tableside::scanner::PhantomKind;

use crate::archive::{StoreScp, free_ports};
use crate::daemon::{Daemon, config, wait_for};
use crate::dicom::{Association, store_all};
use crate::http::post;
use crate::peers::{files, tableside, text};
use crate::series::{phantom, slices_of_patients};

const SLICES: usize = 30;

fn trail(daemon: &Daemon) -> PathBuf {
    daemon.state().join("audit")
}

/// All records of a trail, in their order.
fn records(folder: &Path) -> Vec<String> {
    let read = |file: &PathBuf| std::fs::read_to_string(file).unwrap();
    log_files(folder).iter().flat_map(|file| read(file).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn log_files(folder: &Path) -> Vec<PathBuf> {
    files(folder).into_iter().filter(|file| file.extension().is_some_and(|ending| ending == "log")).collect()
}

/// The number of a record.
fn sequence(record: &str) -> u64 {
    record.split_once("sequence=\"").unwrap().1.split_once('"').unwrap().0.parse().unwrap()
}

fn recorded(daemon: &Daemon, event: &str) -> f64 {
    daemon.metric("tableside_audit_records_total", &format!("event=\"{event}\""))
}

fn wait_for_record(daemon: &Daemon, event: &str) {
    wait_for(&format!("a record of {event}"), || (recorded(daemon, event) >= 1.0).then_some(()));
}

/// The one record that has all of these.
fn only<'a>(records: &'a [String], pieces: &[&str]) -> &'a str {
    let found: Vec<&String> =
        records.iter().filter(|record| pieces.iter().all(|piece| record.contains(piece))).collect();
    assert_eq!(found.len(), 1, "{pieces:?}: {records:#?}");
    found[0]
}

/// What somebody does to the lines of a trail.
type Change<'a> = &'a dyn Fn(&mut Vec<String>);

fn verify(arguments: &[&str]) -> (Option<i32>, String) {
    let output = tableside(&[&["audit", "verify"], arguments].concat());
    let told = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code(), told)
}

#[test]
fn who_sent_who_saw_and_who_acknowledged_is_recorded() {
    let archive = StoreScp::start();
    let destination = format!("[[destination]]\nname = \"pacs\"\nc_store = \"{}\"\n", archive.node());
    let data = Arc::new(tempfile::tempdir().unwrap());
    let daemon = Daemon::start_on(data.clone(), &destination);
    let slices = phantom(PhantomKind::Pneumonia, SLICES);
    store_all(&daemon, &slices);
    let details = daemon.verdict_on(SLICES);
    let key = details["exam"]["key"].as_str().unwrap();
    assert_eq!(daemon.picture(&details["slabs"][0]).status, 200);
    let acknowledge = format!("/api/v1/exams/{key}/flags/suspected/acknowledge");
    assert_eq!(post(daemon.console(), &acknowledge, &json!({ "by": "ab" })).status, 200);
    for event in ["acknowledged", "delivered"] {
        wait_for_record(&daemon, event);
    }
    let folder = trail(&daemon);
    let (status, log) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");

    let records = records(&folder);
    let patient = details["exam"]["patient"]["id"].as_str().unwrap();
    let study = details["report"]["study_instance_uid"].as_str().unwrap();
    let whose = [format!("\"{study}\""), format!("\"{patient}\""), key.to_owned()];
    let of_exam = |pieces: &[&str]| {
        let whose: Vec<&str> = whose.iter().map(String::as_str).collect();
        only(&records, &[pieces, &whose].concat());
    };
    let scanner = "UserID=\"TEST\" AlternativeUserID=\"AETITLES=TEST\" UserIsRequestor=\"true\" NetworkAccessPointID=\"127.0.0.1\"";
    of_exam(&["Begin Transferring DICOM Instances", scanner]);
    let count = format!("NumberOfInstances=\"{SLICES}\"");
    of_exam(&["DICOM Instances Transferred", scanner, "EventActionCode=\"C\"", &count, uids::CT_IMAGE_STORAGE]);
    // The page asks for an exam and for pictures again and again: that is one record.
    of_exam(&["DICOM Instances Accessed", "UserID=\"127.0.0.1\""]);
    of_exam(&["Procedure Record", "UserName=\"ab\"", "acknowledged"]);
    of_exam(&["DICOM Instances Transferred", "EventActionCode=\"R\"", "UserID=\"pacs\"", &archive.node()]);
    only(&records, &["\"Application Start\""]);
    assert!(records.last().unwrap().contains("\"Application Stop\""), "{records:#?}");
    assert_eq!(
        records.iter().map(|record| sequence(record)).collect::<Vec<_>>(),
        (1..=records.len() as u64).collect::<Vec<_>>()
    );
    for name in [patient, study, details["exam"]["patient"]["name"].as_str().unwrap()] {
        assert!(!log.contains(name), "{name} is in the log");
    }
    assert!(records.iter().all(|record| !record.contains(details["exam"]["patient"]["name"].as_str().unwrap())));

    let last = log.rsplit_once("audit head ").unwrap().1.lines().next().unwrap();
    let (status, told) = verify(&[text(&folder), "--head", last]);
    assert_eq!(status, Some(0), "{told}");
    assert!(told.contains(&format!("head {last}")) && told.contains("1 heads"), "{told}");
}

#[test]
fn who_looks_at_slices_is_recorded() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let daemon = Daemon::start_on(data.clone(), "");
    store_all(&daemon, &phantom(PhantomKind::Normal, 3));
    let exams = wait_for("the exam", || Some(daemon.exams()).filter(|exams| !exams.is_empty()));
    let list = format!("/api/v1/exams/{}/slices", exams[0]["key"].as_str().unwrap());
    assert_eq!(recorded(&daemon, "viewed"), 0.0, "the list of exams shows nobody's images");
    let slices = wait_for("the slices", || {
        let slices = daemon.get(&list).json()["slices"].as_array().unwrap().clone();
        (!slices.is_empty()).then_some(slices)
    });
    assert_eq!(daemon.get(&format!("/{}", slices[0]["hounsfield"].as_str().unwrap())).status, 200);
    wait_for_record(&daemon, "viewed");
    let patient = exams[0]["patient"]["id"].as_str().unwrap().to_owned();
    let folder = trail(&daemon);
    daemon.stop();
    let patient = format!("\"{patient}\"");
    only(&records(&folder), &["DICOM Instances Accessed", "UserID=\"127.0.0.1\"", &patient]);
}

#[test]
fn whatever_somebody_does_to_the_trail_is_named_and_so_is_the_record() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let daemon = Daemon::start_on(data.clone(), "");
    store_all(&daemon, &slices_of_patients(4));
    wait_for("the records", || (recorded(&daemon, "received") >= 4.0).then_some(()));
    let folder = trail(&daemon);
    let (_, log) = daemon.stop();
    let journal = folder.with_file_name("journal");
    std::fs::write(&journal, log).unwrap();
    let name = log_files(&folder).remove(0);
    let whole: Vec<String> = std::fs::read_to_string(&name).unwrap().split_inclusive('\n').map(str::to_owned).collect();
    let count = whole.len();
    let after = |change: Change<'_>| {
        let copy = tempfile::tempdir().unwrap();
        let mut lines = whole.clone();
        change(&mut lines);
        std::fs::write(copy.path().join(name.file_name().unwrap()), lines.concat()).unwrap();
        verify(&[text(copy.path()), "--journal", text(&journal)])
    };
    let (status, told) = after(&|_| ());
    assert_eq!(status, Some(0), "{told}");
    let changed: [(&str, Change<'_>); 5] = [
        ("record 3 was changed (line 3 of ", &|lines| lines[2] = lines[2].replace("127.0.0.1", "10.0.0.66")),
        ("records 4 to 4 were dropped before line 4 of ", &|lines| drop(lines.remove(3))),
        ("record 5 was moved or stands twice (line 4 of ", &|lines| lines.swap(3, 4)),
        ("were cut off: the head ", &|lines| drop(lines.pop())),
        ("records 1 to 2 were dropped", &|lines| drop(lines.drain(..2))),
    ];
    for (expected, change) in changed {
        let (status, told) = after(change);
        assert_eq!(status, Some(1), "{expected}: {told}");
        assert!(told.contains(expected), "{expected}: {told}");
    }
    let cut = after(&|lines| drop(lines.pop())).1;
    assert!(cut.contains(&format!("the records after {} were cut off", count - 1)), "{cut}");
}

#[test]
fn what_commands_do_and_who_is_refused_is_recorded_while_the_daemon_runs() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let scanner = "[[scanner]]\nae_title = \"TEST\"\n";
    let daemon = Daemon::start_on(data.clone(), scanner);
    assert!(Association::try_open(&daemon, "STRANGER", &[uids::VERIFICATION]).is_err());
    store_all(&daemon, &phantom(PhantomKind::Normal, SLICES));
    let key = daemon.verdict_on(SLICES)["exam"]["key"].as_str().unwrap().to_owned();
    let file = data.path().join("tableside.toml");
    let out = data.path().join("out");
    for arguments in [
        &["backup", text(&data.path().join("copy.db"))][..],
        &["report", &key, "--out", text(&out)],
        &["audit", "verify"],
    ] {
        let done = tableside(&[arguments, &["--config", text(&file)]].concat());
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
    let chosen = json!({ "destination": "nobody" });
    assert_eq!(post(daemon.console(), "/api/v1/outbox/drop", &chosen).status, 200);
    daemon.reload(&config(data.path(), &format!("{scanner}[completion]\nquiet_s = 9.0\n")));
    for (event, count) in [
        ("exported", 2.0),
        ("trail_verified", 1.0),
        ("caller_refused", 1.0),
        ("deliveries_decided", 1.0),
        ("configuration_changed", 1.0),
    ] {
        wait_for(event, || (recorded(&daemon, event) >= count).then_some(()));
    }
    let records = records(&trail(&daemon));
    only(&records, &["\"Export\"", "copy of the database", "copy.db"]);
    only(&records, &["\"Export\"", "UserName=\"report\"", text(&out), &key]);
    only(&records, &["\"Audit Log Used\"", "EventOutcomeIndicator=\"0\""]);
    only(&records, &["\"Node Authentication\"", "EventOutcomeIndicator=\"4\"", "STRANGER", "127.0.0.1"]);
    only(&records, &["\"Use of Restricted Function\"", "deliveries given up", "UserID=\"127.0.0.1\""]);
    only(&records, &["\"Software Configuration\""]);
}

#[test]
fn after_a_power_cut_half_a_record_is_set_aside_and_a_record_says_so() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let mut daemon = Daemon::start_on(data.clone(), "");
    wait_for_record(&daemon, "started");
    let folder = trail(&daemon);
    daemon.kill();
    let file = log_files(&folder).remove(0);
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, whole.clone() + &whole[..77]).unwrap();
    let daemon = Daemon::start_on(data, "");
    wait_for_record(&daemon, "tail_set_aside");
    assert_eq!(files(&folder.join("set-aside")).len(), 1);
    let (status, told) = verify(&[text(&folder)]);
    assert_eq!(status, Some(0), "{told}");
    only(&records(&folder), &["77 bytes of a record that was being written at the last end"]);
}

/// Debian's rsyslog, which takes RFC 5425 with certificates that `tls init` has made.
struct Rsyslog {
    child: Child,
    folder: PathBuf,
}

impl Rsyslog {
    /// `None` where it is not installed, which is said.
    fn start(folder: &Path, port: u16) -> Option<Self> {
        let libraries = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
        if !libraries.iter().any(|folder| Path::new(folder).join("rsyslog/lmnsd_gtls.so").exists()) {
            eprintln!(
                "SKIPPED: rsyslog with TLS is not there; it is in the Debian packages rsyslog and rsyslog-gnutls"
            );
            return None;
        }
        let at = |name: &str| folder.join(name).display().to_string();
        let configuration = format!(
            "global(workDirectory=\"{}\" maxMessageSize=\"64k\" defaultNetstreamDriver=\"gtls\" defaultNetstreamDriverCAFile=\"{}\" \
             defaultNetstreamDriverCertFile=\"{}\" defaultNetstreamDriverKeyFile=\"{}\")\n\
             module(load=\"imtcp\" streamDriver.name=\"gtls\" streamDriver.mode=\"1\" streamDriver.authMode=\"x509/certvalid\")\n\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")\n\
             template(name=\"as-received\" type=\"string\" string=\"%rawmsg%\\n\")\n\
             *.* action(type=\"omfile\" file=\"{}\" template=\"as-received\")\n",
            folder.display(),
            at("authority.pem"),
            at("tableside.pem"),
            at("tableside.key"),
            at("received.log"),
        );
        std::fs::write(folder.join("rsyslog.conf"), configuration).unwrap();
        let child = Command::new("/usr/sbin/rsyslogd")
            .args(["-n", "-iNONE", "-f", &at("rsyslog.conf")])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_for("rsyslog to listen", || TcpStream::connect(("127.0.0.1", port)).ok());
        Some(Self { child, folder: folder.to_owned() })
    }

    /// The records that it has, by their numbers: those that were in doubt came twice.
    fn received(&self) -> BTreeMap<u64, String> {
        let text = std::fs::read_to_string(self.folder.join("received.log")).unwrap_or_default();
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let lines = whole.lines().filter(|line| line.contains("tableside@32473"));
        lines.map(|line| (sequence(line), line.to_owned())).collect()
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_syslog_server_that_was_down_has_every_record_in_the_end() {
    let (certificates, [port, _]) = (tempfile::tempdir().unwrap(), free_ports());
    let made = tableside(&["tls", "init", text(certificates.path())]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let Some(server) = Rsyslog::start(certificates.path(), port) else { return };
    let at = |name: &str| certificates.path().join(name).display().to_string();
    let data = Arc::new(tempfile::tempdir().unwrap());
    let syslog = format!(
        "[audit]\nsyslog = \"localhost:{port}\"\nauthorities = \"{}\"\ncertificate = \"{}\"\nkey = \"{}\"\n",
        at("authority.pem"),
        at("scanner.pem"),
        at("scanner.key")
    );
    let daemon = Daemon::start_on(data.clone(), &syslog);
    let all_of = |daemon: &Daemon| -> BTreeMap<u64, String> {
        records(&trail(daemon)).into_iter().map(|record| (sequence(&record), record)).collect()
    };
    let patients = slices_of_patients(24);
    store_all(&daemon, &patients[..8]);
    wait_for_record(&daemon, "received");
    wait_for("records at the server", || {
        let all = all_of(&daemon);
        (all.len() > 16 && server.received() == all).then_some(())
    });

    // Killed while records are made: those on the way are lost with it.
    let folder = server.folder.clone();
    std::thread::scope(|scope| {
        scope.spawn(|| store_all(&daemon, &patients[8..16]));
        drop(server);
    });
    store_all(&daemon, &patients[16..]);
    wait_for("the trouble to be told", || {
        let notices = daemon.get("/api/v1/status").json()["notices"].to_string();
        notices.contains("The audit trail does not reach the syslog server").then_some(())
    });
    assert_eq!(daemon.get("/readyz").status, 200, "patients do not wait for an auditor");
    wait_for("the records that wait", || (daemon.metric("tableside_audit_unsent", "") >= 16.0).then_some(()));
    assert!(daemon.metric("tableside_audit_failures_total", "what=\"send\"") >= 1.0);

    let server = Rsyslog::start(&folder, port).unwrap();
    wait_for("every record at the server", || {
        let all = all_of(&daemon);
        (all.len() >= 49 && server.received() == all).then_some(())
    });
    wait_for("nothing to wait", || (daemon.metric("tableside_audit_unsent", "") == 0.0).then_some(()));
    // The stop is sent as well.
    let folder = trail(&daemon);
    daemon.stop();
    let last = records(&folder).pop().unwrap();
    wait_for("the last record", || server.received().values().any(|record| *record == last).then_some(()));
}
