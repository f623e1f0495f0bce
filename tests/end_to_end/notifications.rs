//! Notifications: webhooks, HL7 and FHIR, read by other people's libraries (`receivers.py`).

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tableside::scanner::{Instance, PhantomKind};

use crate::daemon::{Daemon, TABLESIDE, wait_for};
use crate::http;
use crate::peers::{scan, succeed};
use crate::series::{folder_of, phantom, there};

const SLICES: usize = 40;
const SOON: &str = "first_retry_s = 0.01\nlongest_retry_s = 0.05\n";
const SECRETS: [&str; 2] = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"];

/// The Python packages of the receivers. `make test` puts them there.
fn packages() -> Option<PathBuf> {
    there(Path::new(env!("CARGO_MANIFEST_DIR")).join("build/python"))
}

/// A receiver, and what it has got.
struct Receiver {
    child: Child,
    port: String,
    got: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    fn start(packages: &Path, mode: &str, answers: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/receivers.py");
        let mut child = Command::new("python3")
            .args(["-u", script, mode])
            .args(answers)
            .env("PYTHONPATH", packages)
            .env("TABLESIDE_SECRET", SECRETS[1])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().expect("a port").unwrap();
        let got: Arc<Mutex<Vec<Value>>> = Arc::default();
        let of_thread = got.clone();
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|line| of_thread.lock().unwrap().push(serde_json::from_str(&line).unwrap()));
        });
        Self { child, port, got }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// What it has got so far; each could be read.
    fn got(&self) -> Vec<Value> {
        let got = self.got.lock().unwrap().clone();
        for message in &got {
            assert!(message.get("error").is_none(), "{message:#}");
        }
        got
    }

    /// What it has got once the last of it is as wanted.
    fn until(&self, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        wait_for(what, || Some(self.got()).filter(|got| got.last().is_some_and(&is_wanted)))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn secrets(folder: &Path) -> String {
    let file = folder.join("secrets");
    std::fs::write(&file, SECRETS.join("\n")).unwrap();
    file.display().to_string()
}

fn webhook(name: &str, receiver: &Receiver, secrets: &str, more: &str) -> String {
    format!(
        "[[destination]]\nname = \"{name}\"\nwebhook = \"{}\"\nsecrets_file = \"{secrets}\"\n{SOON}{more}\n",
        receiver.url()
    )
}

fn send(daemon: &Daemon, instances: &[Instance]) {
    scan(daemon, folder_of(instances).path(), &["--rate", "0"]);
}

fn acknowledge(daemon: &Daemon, exam: &str, flag: &str) {
    let path = format!("/api/v1/exams/{exam}/flags/{flag}/acknowledge");
    assert_eq!(http::post(daemon.console(), &path, &serde_json::json!({ "by": "A. Nurse" })).status, 200);
}

#[test]
fn a_webhook_gets_each_state_signed_by_both_secrets_until_it_takes_the_last() {
    let Some(packages) = packages() else { return };
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&packages, "webhook", &["500", "drop", "302", "gone:0", "410", "200"]);
    let daemon = Daemon::start_with(&webhook("clinic", &receiver, &secrets(folder.path()), ""));
    send(&daemon, &phantom(PhantomKind::Pneumonia, SLICES));
    let exam = daemon.verdict_on(SLICES)["exam"]["key"].as_str().unwrap().to_owned();
    let is_final = |message: &Value| message["answer"] == "200" && message["event"]["data"]["verdict"] == "suspected";
    let got = receiver.until("the verdict", is_final);

    let schema: Value = serde_json::from_str(&succeed(TABLESIDE, &["schema", "--notification"])).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let mut sequence = String::new();
    for message in &got {
        let event = &message["event"];
        assert_eq!(event["id"], message["id"]);
        assert_eq!([&event["specversion"], &event["subject"]], ["1.0", exam.as_str()]);
        assert_eq!(event["late"], false);
        let problems: Vec<String> = schema.iter_errors(&event["data"]).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{problems:?}");
        assert!(!message.to_string().contains("PHANTOM"), "the patient is not named: {message}");
        let next = event["sequence"].as_str().unwrap();
        assert!(next >= sequence.as_str(), "the newest state wins");
        next.clone_into(&mut sequence);
    }
    // Each state has one identifier, however often it is sent.
    let ids = |sequence: &Value| {
        let of_state = got.iter().filter(|message| message["event"]["sequence"] == *sequence);
        of_state.map(|message| message["id"].to_string()).collect::<std::collections::BTreeSet<_>>()
    };
    for message in &got {
        assert_eq!(ids(&message["event"]["sequence"]).len(), 1);
    }

    acknowledge(&daemon, &exam, "suspected");
    let seen = |message: &Value| message["event"]["data"]["flags"][0]["acknowledged"]["by"] == "A. Nurse";
    receiver.until("the acknowledgement", seen);
    assert_eq!(daemon.metric("tableside_outbox_deliveries", "dead"), 0.0);
}

#[test]
fn hl7_is_sent_again_until_this_message_is_acknowledged_and_says_when_it_corrects() {
    let Some(packages) = packages() else { return };
    let receiver = Receiver::start(&packages, "hl7", &["drop", "wrong", "AR", "AA"]);
    let address = format!("hl7 = \"127.0.0.1:{}\"\nreceiving_application = \"HIS|A\"", receiver.port);
    let daemon = Daemon::start_with(&format!(
        "[[destination]]\nname = \"his\"\n{address}\n{SOON}[completion]\nquiet_s = 1\nlungs_passed_mm = 0\n"
    ));
    let exam = phantom(PhantomKind::Pneumonia, SLICES);
    let (first, rest) = exam.split_at(SLICES - 8);
    send(&daemon, first);
    daemon.verdict_on(first.len());
    let says = |message: &Value, start: &str, what: &str| {
        let mut segments = message["segments"].as_array().unwrap().iter().map(|segment| segment.as_str().unwrap());
        segments.any(|segment| segment.starts_with(start) && segment.contains(what))
    };
    let is_final = |message: &Value| message["answer"] == "AA" && says(message, "OBX", "|suspected^");
    let got = receiver.until("the verdict", is_final);
    let last = got.last().unwrap();
    assert!(
        says(last, "MSH", "|HIS\\F\\A|")
            && says(last, "PID", "PHANTOM^PNEUMONIA")
            && says(last, "NTE", "Not a medical device"),
        "{last:#}"
    );
    assert!(says(last, "OBX", "||||||R|||") && says(last, "OBR", "24627-2^CT Chest^LN"), "{last:#}");
    // The rest of the scan makes another verdict of it.
    send(&daemon, rest);
    daemon.verdict_on(SLICES);
    receiver.until("the correction", |message| says(message, "OBX", "||||||C|||"));
}

#[test]
fn fhir_resources_are_valid_and_replace_themselves() {
    let Some(packages) = packages() else { return };
    let receiver = Receiver::start(&packages, "fhir", &["503", "200"]);
    let daemon =
        Daemon::start_with(&format!("[[destination]]\nname = \"fhir\"\nfhir = \"{}\"\n{SOON}", receiver.url()));
    send(&daemon, &phantom(PhantomKind::Pneumonia, SLICES));
    let exam = daemon.verdict_on(SLICES)["exam"]["key"].as_str().unwrap().to_owned();
    let verdict = |message: &Value| {
        message["bundle"]["entry"][0]["resource"]["valueCodeableConcept"]["coding"][0]["code"].clone()
    };
    let got = receiver.until("the verdict", |message| message["answer"] == "200" && verdict(message) == "suspected");
    let entries = got.last().unwrap()["bundle"]["entry"].as_array().unwrap().clone();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry["resource"]["resourceType"].as_str().unwrap()).collect();
    assert_eq!(kinds[..3], ["Observation", "DiagnosticReport", "Flag"]);
    for entry in &entries {
        let url = entry["request"]["url"].as_str().unwrap();
        assert!(
            entry["request"]["method"] == "PUT" && url.contains(&format!("?identifier=urn:tableside:exam%7C{exam}-")),
            "{url}"
        );
    }
    assert_eq!(entries[1]["resource"]["status"], "preliminary");
    assert_eq!(entries[2]["resource"]["status"], "active");
    assert_eq!(entries[1]["resource"]["result"][0]["reference"], entries[0]["fullUrl"]);
}

#[test]
fn a_flag_that_no_person_acknowledges_goes_to_the_next() {
    let Some(packages) = packages() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [first, soon, never] = [(); 3].map(|()| Receiver::start(&packages, "webhook", &["200"]));
    let secrets = secrets(folder.path());
    let daemon = Daemon::start_with(
        &(webhook("clinic", &first, &secrets, "")
            + &webhook("ward", &soon, &secrets, "unseen_for_s = 0.5")
            + &webhook("head", &never, &secrets, "unseen_for_s = 3600")),
    );
    send(&daemon, &phantom(PhantomKind::Pneumonia, SLICES));
    let exam = daemon.verdict_on(SLICES)["exam"]["key"].as_str().unwrap().to_owned();
    // What a system answers is no acknowledgement.
    let told = |message: &Value| message["event"]["data"]["verdict"] == "suspected";
    first.until("the verdict", told);
    soon.until("the escalation", told);
    for flag in daemon.details(&exam)["exam"]["flags"].as_array().unwrap() {
        acknowledge(&daemon, &exam, flag["id"].as_str().unwrap());
    }
    let is_seen = |message: &Value| {
        let flags = message["event"]["data"]["flags"].as_array().unwrap();
        flags.iter().all(|flag| flag["acknowledged"]["by"] == "A. Nurse")
    };
    soon.until("that it has been seen", is_seen);
    let head = || daemon.metric("tableside_outbox_deliveries", "destination=\"head\"");
    wait_for("the last escalation to be given up", || (head() == 0.0).then_some(()));
    assert!(never.got().is_empty());
}

#[test]
fn a_receiver_that_hangs_delays_neither_another_nor_the_stop() {
    let Some(packages) = packages() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [hanging, quick] = ["hang", "200"].map(|answer| Receiver::start(&packages, "webhook", &[answer]));
    let secrets = secrets(folder.path());
    let daemon =
        Daemon::start_with(&(webhook("hanging", &hanging, &secrets, "") + &webhook("quick", &quick, &secrets, "")));
    send(&daemon, &phantom(PhantomKind::Pneumonia, SLICES));
    daemon.verdict_on(SLICES);
    quick.until("the verdict", |message| message["event"]["data"]["verdict"] == "suspected");
    wait_for("the hanging one", || (!hanging.got().is_empty()).then_some(()));
    let (status, log) = daemon.stop();
    assert!(status.success(), "{log}");
}
