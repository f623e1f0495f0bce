//! The interface against its own description: schemathesis, seeded with what is there, asks every operation.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tableside::scanner::PhantomKind;

use crate::accounts::{PASSWORD, add, command, log_in, secret_in, start};
use crate::daemon::{Daemon, wait_for};
use crate::http::{self, Events};
use crate::peers::{scan, text};
use crate::series::{folder_of, phantom, there};

const SLICES: usize = 30;

/// Asked for ever, and so by a client of its own.
const STREAM: &str = "/api/v1/events";
/// Pages of the way to an OpenID provider and back: they lead elsewhere, and `openid` goes there.
const ELSEWHERE: &str = "/api/v1/openid/";
/// What begins and ends sessions is asked last: other operations need theirs.
const SESSION: [&str; 2] = ["/api/v1/session", "/api/v1/setup"];
/// The own account is asked for by somebody whose log-in nobody else needs: who fails to say the password has to wait.
const ACCOUNT: &str = "/api/v1/account";

/// Method and path of an operation.
type Operation = (String, String);

/// Examples of what parameters and bodies can be, by their name or schema; of a parameter first by method, path and name.
struct Seeds {
    parameters: BTreeMap<&'static str, String>,
    bodies: BTreeMap<&'static str, Value>,
}

#[test]
fn every_operation_of_the_document_can_succeed_and_none_fails_inside() {
    let Some(tools) = there(Path::new(env!("CARGO_MANIFEST_DIR")).join("build/schemathesis")) else { return };
    let daemon = start("");
    let setup = secret_in(&command(&daemon, &["admin", "setup-link"]));
    scan(&daemon, folder_of(&phantom(PhantomKind::Pneumonia, SLICES)).path(), &["--rate", "0"]);
    for role in ["technician", "administrator", "reader"] {
        add(&daemon, role, role);
    }
    let [technician, administrator, reader] =
        ["technician", "administrator", "reader"].map(|role| log_in(&daemon, role));
    let document = http::get(daemon.console(), "/api/v1/openapi.json").json();
    let mut seeds = seeds(&daemon, &technician, &setup);
    seeds.parameters.extend(seeds_of_administration(&daemon, &administrator));

    let mut everything = operations(&document);
    everything.retain(|(_, path)| !path.starts_with(ELSEWHERE));
    let (sessions, others): (BTreeSet<Operation>, BTreeSet<Operation>) =
        everything.iter().cloned().partition(|(_, path)| SESSION.contains(&path.as_str()));
    let (account, others): (BTreeSet<Operation>, BTreeSet<Operation>) =
        others.into_iter().partition(|(_, path)| path.starts_with(ACCOUNT));
    // Another password ends the session that is to be ended.
    let (password, account): (BTreeSet<Operation>, BTreeSet<Operation>) =
        account.into_iter().partition(|(_, path)| path.ends_with("/password"));
    let mut succeeded = succeeded(&daemon, &tools, &seeded(&document, &others, &seeds), &technician);
    succeeded.extend(self::succeeded(&daemon, &tools, &seeded(&document, &others, &seeds), &administrator));
    for part in [account, password] {
        succeeded.extend(self::succeeded(&daemon, &tools, &seeded(&document, &part, &seeds), &reader));
    }
    succeeded.extend(self::succeeded(&daemon, &tools, &seeded(&document, &sessions, &seeds), ""));
    let mut events = Events::open_as(daemon.console(), STREAM, &log_in(&daemon, "technician"));
    assert_eq!(events.next().0, "begin");
    succeeded.insert(("GET".to_owned(), STREAM.to_owned()));
    let never: Vec<_> = everything.difference(&succeeded).collect();
    assert!(never.is_empty(), "no success from {never:?}");
}

/// What is there to be asked for.
fn seeds(daemon: &Daemon, technician: &str, setup: &str) -> Seeds {
    let get = |path: &str| http::request_with(daemon.console(), "GET", path, None, technician).json();
    let exam = wait_for("the verdict", || {
        let exams = get("/api/v1/exams");
        Some(exams["exams"][0].clone()).filter(|exam| exam["state"] == "complete")
    });
    let key = exam["key"].as_str().unwrap().to_owned();
    let last_part = |address: &Value| {
        let address = address.as_str().unwrap();
        address.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned()
    };
    let slices = get(&format!("/api/v1/exams/{key}/slices"));
    let details = get(&format!("/api/v1/exams/{key}"));
    let parameters = [
        ("flag", exam["flags"][0]["id"].as_str().unwrap().to_owned()),
        ("id", last_part(&slices["slices"][0]["hounsfield"])),
        ("picture", last_part(&details["slabs"][0]["picture"])),
        ("search", "PHANTOM".to_owned()),
        ("before", key.clone()),
        ("key", key.clone()),
    ];
    let bodies = [
        ("Acknowledge", json!({ "by": "T" })),
        ("NewOutcome", json!({ "outcome": "agree", "by": "T" })),
        ("DeliveryFilter", json!({ "exam": key })),
        ("LogIn", json!({ "name": "technician", "password": PASSWORD })),
        ("SetUp", json!({ "token": setup, "name": "first", "shown_as": "First", "password": PASSWORD })),
        ("NewPerson", json!({ "name": "new", "role": "reader" })),
        ("PersonEdit", json!({ "shown_as": "Changed" })),
        ("PasswordReset", json!({})),
        ("OwnPassword", json!({ "before": PASSWORD, "password": PASSWORD })),
        ("NewKiosk", json!({ "name": "new", "addresses": ["10.0.0.21"] })),
    ];
    Seeds { parameters: parameters.into(), bodies: bodies.into() }
}

/// People, log-ins and a kiosk of which nobody else needs anything.
fn seeds_of_administration(daemon: &Daemon, administrator: &str) -> [(&'static str, String); 5] {
    for name in ["changed", "removed", "logged-in"] {
        add(daemon, name, "reader");
    }
    for name in ["logged-in", "reader"] {
        log_in(daemon, name);
    }
    command(daemon, &["kiosk", "add", "removed", "--address", "10.0.0.22"]);
    let sessions = http::request_with(daemon.console(), "GET", "/api/v1/sessions", None, administrator).json();
    let session_of = |name: &str| {
        let mut sessions = sessions["sessions"].as_array().unwrap().iter();
        sessions.rfind(|session| session["name"] == name).unwrap()["id"].as_str().unwrap().to_owned()
    };
    [
        ("name", "changed".to_owned()),
        ("DELETE /api/v1/people/{name} name", "removed".to_owned()),
        ("DELETE /api/v1/kiosks/{name} name", "removed".to_owned()),
        ("DELETE /api/v1/sessions/{session} session", session_of("logged-in")),
        ("DELETE /api/v1/account/sessions/{session} session", session_of("reader")),
    ]
}

fn operations(document: &Value) -> BTreeSet<Operation> {
    let paths = document["paths"].as_object().unwrap().iter();
    let of_path = |(path, of): (&String, &Value)| {
        let methods: Vec<String> = of.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        methods.into_iter().map(|method| (method, path.clone())).collect::<Vec<_>>()
    };
    paths.flat_map(of_path).collect()
}

/// The document with these operations alone, but for the stream, and with examples.
fn seeded(document: &Value, operations: &BTreeSet<Operation>, seeds: &Seeds) -> Value {
    let mut document = document.clone();
    let paths = document["paths"].as_object_mut().unwrap();
    paths.retain(|path, of| {
        of.as_object_mut().unwrap().retain(|method, _| operations.contains(&(method.to_uppercase(), path.clone())));
        path != STREAM && !of.as_object().unwrap().is_empty()
    });
    let of_all = paths.iter_mut().flat_map(|(path, of)| {
        of.as_object_mut().unwrap().iter_mut().map(move |(method, operation)| (path, method, operation))
    });
    for (path, method, operation) in of_all {
        for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            let own = format!("{} {path} {name}", method.to_uppercase());
            if let Some(seed) = seeds.parameters.get(own.as_str()).or_else(|| seeds.parameters.get(name)) {
                parameter["example"] = json!(seed);
            }
        }
        if let Some(body) = operation.pointer_mut("/requestBody/content/application~1json") {
            let schema = body["schema"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
            body["example"] = seeds.bodies.get(schema).cloned().unwrap_or_else(|| panic!("no seed for {schema}"));
        }
    }
    document
}

/// The operations that answered with success when schemathesis asked them; fails where an answer is none that the document allows.
fn succeeded(daemon: &Daemon, tools: &Path, document: &Value, header: &str) -> BTreeSet<Operation> {
    let folder = tempfile::tempdir().unwrap();
    let [description, exchanges] = ["openapi.json", "exchanges.har"].map(|name| folder.path().join(name));
    std::fs::write(&description, document.to_string()).unwrap();
    let mut asked = Command::new("python3");
    asked.env("PYTHONPATH", tools).current_dir(folder.path()).args([
        "-m",
        "schemathesis.cli",
        "run",
        text(&description),
    ]);
    asked.args(["--url", &format!("http://{}", daemon.console()), "--phases", "examples,coverage,fuzzing"]);
    asked.args([
        "--checks",
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
    ]);
    asked.args(["--max-examples", "25", "--seed", "18", "--continue-on-failure", "--no-color"]);
    asked.args(["--report", "har", "--report-har-path", text(&exchanges)]);
    if let Some((name, value)) = header.trim().split_once(": ") {
        asked.args(["-H", &format!("{name}: {value}")]);
    }
    let done = asked.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    answered(&exchanges, &operations(document))
}

fn answered(exchanges: &PathBuf, operations: &BTreeSet<Operation>) -> BTreeSet<Operation> {
    let exchanges: Value = serde_json::from_slice(&std::fs::read(exchanges).unwrap()).unwrap();
    let entries = exchanges["log"]["entries"].as_array().unwrap().iter();
    let successes = entries.filter(|entry| (200..300).contains(&entry["response"]["status"].as_u64().unwrap()));
    let operation_of = |entry: &Value| {
        let method = entry["request"]["method"].as_str().unwrap();
        let url = entry["request"]["url"].as_str().unwrap();
        let path = url.split('?').next().unwrap().splitn(4, '/').nth(3).unwrap();
        operations.iter().find(|(known, template)| known == method && is_of(path, &template[1..])).cloned()
    };
    successes.filter_map(operation_of).collect()
}

/// Whether a path is one of those that a template with `{parameters}` stands for.
fn is_of(path: &str, template: &str) -> bool {
    let (parts, wanted): (Vec<&str>, Vec<&str>) = (path.split('/').collect(), template.split('/').collect());
    parts.len() == wanted.len()
        && parts.iter().zip(&wanted).all(|(part, wanted)| wanted.starts_with('{') || part == wanted)
}
