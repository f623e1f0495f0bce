//! Power cuts and orderly stops.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tableside::scanner::{Instance, PhantomKind};

use crate::daemon::{Daemon, TABLESIDE, config, flag, wait_for};
use crate::dicom::{Association, store_all};
use crate::http::post;
use crate::peers::{files_below, succeed, text, triage};
use crate::series::{chest_and_abdomen, folder_of, phantom};

const SLICES: usize = 30;

#[test]
fn after_a_kill_in_the_middle_of_a_scan_the_verdict_is_as_if_nothing_had_happened() {
    let slices = phantom(PhantomKind::Pneumonia, SLICES);
    let whole = triage(folder_of(&slices).path());
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    for slice in &slices[..17] {
        assert_eq!(association.store(slice), 0x0000);
    }
    let daemon = daemon.kill_and_start_again();
    drop(association);
    let spooled = files_below(&daemon.state().join("spool/exams"));
    for slice in &slices[..17] {
        let name = format!("{}.dcm", slice.sop_instance_uid);
        let file = spooled.iter().find(|path| path.ends_with(&name)).expect("what was acknowledged is in the spool");
        assert!(std::fs::read(file).unwrap().ends_with(&slice.data), "{name} is not what was sent");
    }
    // The scanner does not know what was acknowledged of the last ones and sends some again.
    store_all(&daemon, &slices[15..]);
    let report = &daemon.verdict_on(SLICES)["report"];
    for key in ["verdict", "score", "lesions", "slices", "quality"] {
        assert_eq!(report[key], whole[key], "{key}");
    }
}

#[test]
fn a_restart_can_wait_for_the_patient_on_the_table_up_to_a_limit() {
    let slices = chest_and_abdomen(PhantomKind::Normal);
    let daemon = Daemon::start_with("[completion]\nquiet_s = 600\nleast_quiet_s = 600\n");
    let own = tempfile::tempdir().unwrap();
    let file = own.path().join("tableside.toml");
    std::fs::write(&file, format!("[console]\naccess = \"open\"\nlisten = \"{}\"\n", daemon.console())).unwrap();
    let waiting = |at_most: &str| {
        let mut command = Command::new(TABLESIDE);
        command.args(["wait-idle", "--at-most", at_most, "--config", text(&file)]).stderr(Stdio::null());
        command
    };
    assert!(waiting("0").status().unwrap().success(), "nobody is there");
    let mut association = Association::open(&daemon);
    let mut send = |slices: &[Instance]| slices.iter().for_each(|slice| assert_eq!(association.store(slice), 0x0000));
    send(&slices[..30]);
    wait_for("the exam", || (daemon.exams().len() == 1).then_some(()));
    assert_eq!(waiting("0").status().unwrap().code(), Some(1), "a patient is on the table");
    let mut patient = waiting("600").spawn().unwrap();
    // The verdict comes before the scan is over: it still is not the time.
    send(&slices[30..62]);
    wait_for("a verdict before the end", || (daemon.exams()[0]["state"] == "trailing").then_some(()));
    assert_eq!(waiting("0").status().unwrap().code(), Some(1), "a patient is on the table and has a verdict");
    send(&slices[62..]);
    assert!(patient.try_wait().unwrap().is_none(), "it waits");
    association.release();
    assert!(patient.wait().unwrap().success());
    assert_eq!(daemon.exams()[0]["state"], "complete");
    assert!(daemon.stop().0.success());
    assert!(waiting("0").status().unwrap().success(), "nor is anybody where no daemon runs");
}

/// A daemon before there was `tableside_exams_trailing`, with its metrics on the console's port.
#[test]
fn a_daemon_of_an_earlier_version_is_waited_for_too() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = tempfile::tempdir().unwrap();
    let file = own.path().join("tableside.toml");
    let console = listener.local_addr().unwrap();
    std::fs::write(&file, format!("[console]\naccess = \"open\"\nlisten = \"{console}\"\n")).unwrap();
    std::thread::spawn(move || {
        for open in [1, 0] {
            let mut stream = listener.accept().unwrap().0;
            let mut asked = [0; 4096];
            assert_ne!(stream.read(&mut asked).unwrap(), 0);
            let metrics = format!("tableside_exams_open {open}\n");
            let length = metrics.len();
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{metrics}")
                .unwrap();
        }
    });
    let waited = |expected: i32| {
        let arguments = ["wait-idle", "--at-most", "0", "--config", text(&file)];
        let output = Command::new(TABLESIDE).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(expected), "{output:?}");
    };
    waited(1);
    waited(0);
}

#[test]
fn an_exam_that_was_cut_off_by_a_kill_comes_to_its_verdict_without_another_slice() {
    let slices = phantom(PhantomKind::Normal, SLICES);
    let daemon = Daemon::start();
    let mut association = Association::open(&daemon);
    for slice in &slices {
        assert_eq!(association.store(slice), 0x0000);
    }
    let killed = Timestamp::now();
    let daemon = daemon.kill_and_start_again();
    let verdict = daemon.verdict_on(SLICES);
    assert_eq!(verdict["report"]["score"], triage(folder_of(&slices).path())["score"]);
    let started: Timestamp = verdict["exam"]["started"].as_str().unwrap().parse().unwrap();
    assert!(started < killed, "it began before the kill, not at {started}");
}

#[test]
fn a_scan_that_was_over_before_the_kill_has_its_verdict_without_waiting_for_silence() {
    const PATIENT: &str = "[completion]\nrelease_grace_ms = 60000\nquiet_s = 600.0\nleast_quiet_s = 600.0\n";
    const QUICK: &str = "[completion]\nquiet_s = 600.0\nleast_quiet_s = 600.0\n";
    let data = Arc::new(tempfile::tempdir().unwrap());
    let mut daemon = Daemon::start_configured(data.clone(), &(config(data.path(), "") + PATIENT));
    store_all(&daemon, &phantom(PhantomKind::Normal, SLICES));
    let released =
        || files_below(&daemon.state().join("spool/exams")).into_iter().find(|path| path.ends_with("released"));
    wait_for("the release to be noted", released);
    daemon.kill();
    let daemon = Daemon::start_configured(data.clone(), &(config(data.path(), "") + QUICK));
    daemon.verdict_on(SLICES);
    assert_eq!(daemon.metric("tableside_completions_total", "rule=\"association_released\""), 1.0);
}

#[test]
fn clients_wait_on_the_sockets_of_systemd_while_the_daemon_is_away() {
    let data = tempfile::tempdir().unwrap();
    let [dicom, console] = ["127.0.0.1:0"; 2].map(|address| TcpListener::bind(address).unwrap());
    let ports = [&dicom, &console].map(|listener| listener.local_addr().unwrap());
    let file = data.path().join("tableside.toml");
    let text = config(data.path(), "").replacen("127.0.0.1:0", &ports[1].to_string(), 1);
    std::fs::write(&file, text.replacen("127.0.0.1:0", &ports[0].to_string(), 1)).unwrap();
    // They connect before there is a daemon: its sockets are open.
    let mut early = TcpStream::connect(ports[1]).unwrap();
    early.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    // Handed over as systemd does, from the third handle on; `$$` is the process that becomes the daemon.
    let command = "exec 3<&0 4<&1; export LISTEN_FDS=2 LISTEN_PID=$$; exec \"$0\" serve --config \"$1\" 0<&- 1>&2";
    let mut child = Command::new("sh")
        .args(["-c", command, TABLESIDE])
        .arg(&file)
        .stdin(OwnedFd::from(dicom))
        .stdout(OwnedFd::from(console))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut answer = String::new();
    early.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    succeed("echoscu", &["-aec", "TABLESIDE", "127.0.0.1", &ports[0].port().to_string()]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_verdict_its_flag_and_the_acknowledgement_survive_a_kill() {
    let daemon = Daemon::start();
    store_all(&daemon, &phantom(PhantomKind::Pneumonia, SLICES));
    let before = daemon.verdict_on(SLICES);
    let key = before["exam"]["key"].as_str().unwrap();
    let path = format!("/api/v1/exams/{key}/flags/suspected/acknowledge");
    assert_eq!(post(daemon.console(), &path, &json!({ "by": "ab" })).status, 200);
    let daemon = daemon.kill_and_start_again();
    let after = daemon.details(key);
    assert_eq!(after["exam"]["state"], "complete");
    assert_eq!(after["report"], before["report"]);
    assert_eq!(flag(&after["exam"], "suspected").unwrap()["acknowledged"]["by"], "ab");
}

#[test]
fn asked_to_stop_in_the_middle_of_a_scan_it_ends_in_order() {
    let daemon = Daemon::start();
    let folder = folder_of(&phantom(PhantomKind::Normal, SLICES));
    let to = format!("TABLESIDE@{}", daemon.dicom());
    let mut scanner = Command::new(TABLESIDE)
        .args(["scan", text(folder.path()), "--to", &to, "--rate", "2"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("some slices", || (daemon.metric("tableside_instances_received_total", "") >= 3.0).then_some(()));
    let (status, log) = daemon.stop();
    scanner.kill().unwrap();
    scanner.wait().unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("stopping"), "{log}");
}

#[test]
fn an_association_that_does_not_end_is_cut_off_by_the_stop_and_what_it_brought_goes_on() {
    let slices = phantom(PhantomKind::Normal, SLICES);
    let data = Arc::new(tempfile::tempdir().unwrap());
    let daemon = Daemon::start_on(data.clone(), "");
    let mut association = Association::open(&daemon);
    for slice in &slices {
        assert_eq!(association.store(slice), 0x0000);
    }
    let (status, log) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("cut off by the stop") && log.contains("associations=1"), "{log}");
    drop(association);
    Daemon::start_on(data, "").verdict_on(SLICES);
}

#[test]
fn asked_to_stop_a_second_time_it_ends_at_once() {
    let daemon = Daemon::start();
    let association = Association::open(&daemon);
    daemon.ask_to_stop();
    daemon.wait_for_log(" stopping");
    let (status, log) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("asked to stop again"), "{log}");
    drop(association);
}

#[test]
fn systemd_is_told_of_the_start_of_the_progress_and_of_the_stop() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let path = data.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
    let environment = [("NOTIFY_SOCKET", text(&path)), ("WATCHDOG_USEC", "300000")];
    let daemon = Daemon::start_in(data.clone(), &config(data.path(), ""), &environment);
    let told = || {
        let mut message = [0; 64];
        let length = socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).trim_end().to_owned()
    };
    assert_eq!([told(), told(), told()], ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]);
    daemon.ask_to_stop();
    assert_eq!(std::iter::repeat_with(told).find(|message| message != "WATCHDOG=1").unwrap(), "STOPPING=1");
}
