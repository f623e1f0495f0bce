//! Administration: people, log-ins, kiosks, scanners and the machine, over HTTP and in a browser; and each person's own password.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};
use tableside::scanner::PhantomKind;

use crate::accounts::{
    PASSWORD, add, command, configuration, cookie_of, get_as, log_in, post_as, secret_in, start, try_log_in,
};
use crate::daemon::{Daemon, wait_for};
use crate::http::{self, Events, Response};
use crate::peers::{scan, tableside, text};
use crate::series::{folder_of, phantom};
use crate::webdriver::Browser;

const SLICES: usize = 12;
const OTHER_PASSWORD: &str = "another horse battery";

fn delete_as(daemon: &Daemon, path: &str, header: &str) -> Response {
    http::request_with(daemon.console(), "DELETE", path, None, header)
}

fn error_of(response: &Response) -> String {
    response.json()["error"].as_str().expect("a reason").to_owned()
}

/// A daemon with an administrator who has logged in: the cookie.
fn administered() -> (Daemon, String) {
    let daemon = start("");
    add(&daemon, "root", "administrator");
    let cookie = log_in(&daemon, "root");
    (daemon, cookie)
}

fn log_in_with(daemon: &Daemon, name: &str, password: &str) -> u16 {
    wait_for("a log-in that is not delayed", || {
        Some(try_log_in(daemon, name, password).status).filter(|status| *status != 429)
    })
}

/// The sessions that an administrator sees, of one name.
fn sessions_of(daemon: &Daemon, name: &str, administrator: &str) -> Vec<Value> {
    let sessions = get_as(daemon, "/api/v1/sessions", administrator).json();
    sessions["sessions"].as_array().unwrap().iter().filter(|session| session["name"] == name).cloned().collect()
}

/// Stops the daemon: its audit trail and its log.
fn records_of(mut daemon: Daemon) -> (String, String) {
    daemon.ask_to_stop();
    wait_for("the daemon to stop", || (!daemon.is_running()).then_some(()));
    let files = crate::peers::files(&daemon.state().join("audit"));
    (files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect(), daemon.log())
}

#[test]
fn administrators_administer_people_see_to_their_own_account_and_nobody_else_does_either() {
    let (daemon, administrator) = administered();
    let mut callers = vec![("nobody", String::new())];
    for role in ["technician", "clinic", "reader"] {
        add(&daemon, role, role);
        callers.push((role, log_in(&daemon, role)));
    }
    let token = secret_in(&command(&daemon, &["kiosk", "add", "ct1", "--address", "127.0.0.1"]));
    callers.push(("table", cookie_of(&http::post(daemon.console(), "/api/v1/session", &json!({ "kiosk": token })))));
    callers.push(("administrator", administrator));
    // Of what is not there, so that nothing changes: 404 and 422 are answers to who may ask.
    let administer = [
        ("GET", "/api/v1/people", None),
        ("POST", "/api/v1/people", Some(json!({}))),
        ("POST", "/api/v1/people/nobody", Some(json!({}))),
        ("DELETE", "/api/v1/people/nobody", None),
        ("POST", "/api/v1/people/nobody/password", Some(json!({}))),
        ("GET", "/api/v1/sessions", None),
        ("DELETE", "/api/v1/sessions/0000000000000000", None),
        ("GET", "/api/v1/kiosks", None),
        ("POST", "/api/v1/kiosks", Some(json!({}))),
        ("DELETE", "/api/v1/kiosks/nobody", None),
        ("GET", "/api/v1/scanners", None),
        ("GET", "/api/v1/machine", None),
    ];
    let own = [
        ("GET", "/api/v1/account", None),
        ("POST", "/api/v1/account/password", Some(json!({}))),
        ("DELETE", "/api/v1/account/sessions/0000000000000000", None),
    ];
    for (who, cookie) in &callers {
        let ask = |(method, path, body): &(&str, &str, Option<Value>)| {
            http::request_with(daemon.console(), method, path, body.as_ref(), cookie).status
        };
        for request in &administer {
            let expected: &[u16] = match *who {
                "nobody" => &[401],
                "administrator" => &[200, 404, 422],
                _ => &[403],
            };
            let status = ask(request);
            assert!(expected.contains(&status), "{who}: {request:?} {status}");
        }
        for request in &own {
            let expected: &[u16] = match *who {
                "nobody" => &[401],
                "table" => &[403],
                _ => &[200, 404, 422],
            };
            let status = ask(request);
            assert!(expected.contains(&status), "{who}: {request:?} {status}");
        }
    }
}

#[test]
fn what_is_changed_of_a_person_holds_at_once_and_is_recorded_without_secrets() {
    let (daemon, root) = administered();
    let add_ann = |body: &Value| post_as(&daemon, "/api/v1/people", body, &root);
    let made = add_ann(&json!({ "name": "Ann", "shown_as": "A. Berg", "role": "technician" }));
    assert_eq!(made.status, 200, "{}", made.text());
    let first = made.json()["password"].as_str().expect("a password that is told once").to_owned();
    assert!(first.len() >= 12);
    assert_eq!(add_ann(&json!({ "name": "ann", "role": "reader" })).status, 409, "a name belongs to one person");
    let before = cookie_of(&try_log_in(&daemon, "ann", &first));
    let listed = || {
        let people = get_as(&daemon, "/api/v1/people", &root).json();
        people["people"].as_array().unwrap().iter().find(|person| person["name"] == "ann").cloned()
    };
    let person = listed().unwrap();
    assert_eq!(
        (&person["shown_as"], &person["role"], &person["sessions"], &person["disabled"]),
        (&json!("A. Berg"), &json!("technician"), &json!(1), &Value::Null)
    );

    // An array is no object, whatever its values would stand for.
    for path in ["/api/v1/people/ann", "/api/v1/people/ann/password"] {
        assert_eq!(post_as(&daemon, path, &json!([]), &root).status, 422, "{path}");
    }

    // Another shown name lets her go on; another role does not: what is on her screen is another role's.
    let edit = |edit: Value| post_as(&daemon, "/api/v1/people/ann", &edit, &root);
    assert_eq!(edit(json!({ "shown_as": "Ann Berg" })).status, 200);
    let who = get_as(&daemon, "/api/v1/session", &before).json();
    assert_eq!(who["who"]["shown_as"], "Ann Berg");
    let mut events = Events::open_as(daemon.console(), "/api/v1/events", &before);
    assert_eq!(events.next().0, "begin");
    assert_eq!(edit(json!({ "role": "reader" })).status, 200);
    let began = Instant::now();
    events.wait_for_end();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(get_as(&daemon, "/api/v1/exams", &before).status, 401);

    // Who is disabled learns it by the right password alone.
    assert_eq!(edit(json!({ "may_log_in": false })).status, 200);
    assert!(listed().unwrap()["disabled"].is_string());
    assert_eq!(log_in_with(&daemon, "ann", "wrong password"), 401);
    assert_eq!(log_in_with(&daemon, "ann", &first), 403);
    assert_eq!(edit(json!({ "may_log_in": true })).status, 200);
    assert_eq!(log_in_with(&daemon, "ann", &first), 200);

    let reset = |body: Value| post_as(&daemon, "/api/v1/people/ann/password", &body, &root);
    let second = reset(json!({})).json()["password"].as_str().unwrap().to_owned();
    assert!(sessions_of(&daemon, "ann", &root).is_empty(), "another password ends sessions");
    assert_eq!([log_in_with(&daemon, "ann", &first), log_in_with(&daemon, "ann", &second)], [401, 200]);
    assert_eq!(reset(json!({ "password": "short" })).status, 422);
    assert_eq!(reset(json!({ "password": OTHER_PASSWORD })).json()["password"], Value::Null);
    let ann = cookie_of(&try_log_in(&daemon, "ann", OTHER_PASSWORD));

    let session = sessions_of(&daemon, "ann", &root).swap_remove(0);
    assert_eq!((&session["address"], &session["own"]), (&json!("127.0.0.1"), &json!(false)));
    let id = session["id"].as_str().unwrap();
    let mut events = Events::open_as(daemon.console(), "/api/v1/events", &ann);
    assert_eq!(events.next().0, "begin");
    assert_eq!(delete_as(&daemon, &format!("/api/v1/sessions/{id}"), &root).status, 200);
    let began = Instant::now();
    events.wait_for_end();
    eprintln!("after its revocation the session's stream ended within {} ms", began.elapsed().as_millis());
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(delete_as(&daemon, &format!("/api/v1/sessions/{id}"), &root).status, 404);
    assert_eq!(delete_as(&daemon, "/api/v1/people/ann", &root).status, 200);
    assert!(listed().is_none());

    let (trail, log) = records_of(daemon);
    for change in [
        "added as technician",
        "shown as Ann Berg, before: A. Berg",
        "role reader, before: technician",
        "disabled",
        "enabled",
        "given another password",
        &format!("session {id} ended"),
        "removed",
    ] {
        assert!(trail.contains(change), "{change} is not in the trail");
        let is_of_it = |line: &&str| line.contains("who may use the console was changed") && line.contains(change);
        let line = log.lines().find(is_of_it).unwrap_or_else(|| panic!("{change} is not in the log"));
        assert!(line.contains("root") && line.contains("ann") && line.contains("127.0.0.1"), "{line}");
    }
    let cookies = [&root, &before, &ann].map(|cookie| cookie.trim_end().rsplit('.').next().unwrap());
    for secret in [&first, &second, OTHER_PASSWORD, PASSWORD, "wrong password"].into_iter().chain(cookies) {
        assert!(!trail.contains(secret) && !log.contains(secret), "{secret}");
    }
}

#[test]
fn what_cannot_be_a_person_is_refused_and_nothing_more_is_taken_than_is_asked_for() {
    let (daemon, root) = administered();
    let add_person = |body: &Value| post_as(&daemon, "/api/v1/people", body, &root);
    let hidden = ["A\u{202e}nn", "A\u{200b}nn", "A\u{0}nn", "A\nnn", "\u{3164}", &"a".repeat(33)];
    for shown_as in hidden {
        assert_eq!(add_person(&json!({ "name": "ann", "role": "reader", "shown_as": shown_as })).status, 422);
    }
    for name in ["", " ", "..", ".", "a/b", "../root", "a b", "\u{430}nn", "ann\u{200b}", "a\u{0}", &"a".repeat(10_000)]
    {
        assert_eq!(add_person(&json!({ "name": name, "role": "reader" })).status, 422, "{name:?}");
    }
    for body in [
        json!({ "name": "ann", "role": "table" }),
        json!({ "name": "ann", "role": "root" }),
        json!({ "name": "ann", "role": "reader", "disabled": null }),
        json!({ "name": "ann", "role": "reader", "created": "2026-01-01T00:00:00Z" }),
        json!({ "name": "ann", "role": "reader", "password": "hunter2" }),
        json!({ "name": "ann", "role": "reader", "password": 123_456_789_012_u64 }),
        json!(["ann", "reader"]),
    ] {
        let answer = add_person(&body);
        assert_eq!(answer.status, 422, "{body}");
        assert!(!answer.text().contains("hunter2") && !answer.text().contains("123456789012"), "{}", answer.text());
    }
    assert_eq!(add_person(&json!({ "name": "ann", "role": "reader", "shown_as": "x".repeat(20_000) })).status, 413);
    // A person's own account is no way to more.
    add(&daemon, "ann", "reader");
    let ann = log_in(&daemon, "ann");
    for body in [
        json!({ "role": "administrator" }),
        json!({ "before": PASSWORD, "password": OTHER_PASSWORD, "role": "administrator" }),
    ] {
        assert_eq!(post_as(&daemon, "/api/v1/account/password", &body, &ann).status, 422);
        assert_eq!(post_as(&daemon, "/api/v1/people/ann", &body, &ann).status, 403);
    }
    for edit in [json!({ "name": "eve" }), json!({ "sessions": 0 }), json!({ "password": OTHER_PASSWORD })] {
        assert_eq!(post_as(&daemon, "/api/v1/people/ann", &edit, &root).status, 422, "{edit}");
    }
    for path in ["..", "%2e%2e", "..%2f..%2fkiosks", "ann%00", "a%2fb", "ann%27%20OR%201", "%ff"] {
        let status = delete_as(&daemon, &format!("/api/v1/people/{path}"), &root).status;
        assert!(matches!(status, 400 | 403 | 404 | 405), "{path}: {status}");
    }
    // Another site changes nothing.
    let elsewhere = format!("{root}Sec-Fetch-Site: cross-site\r\n");
    let made = json!({ "name": "eve", "role": "administrator" });
    assert_eq!(post_as(&daemon, "/api/v1/people", &made, &elsewhere).status, 403);
    assert_eq!(delete_as(&daemon, "/api/v1/people/ann", &elsewhere).status, 403);
    assert_eq!(
        delete_as(&daemon, "/api/v1/people/ann", &format!("{root}Origin: https://evil.example\r\n")).status,
        403
    );
    let people = get_as(&daemon, "/api/v1/people", &root).json();
    let names: Vec<_> = people["people"].as_array().unwrap().iter().map(|person| &person["name"]).collect();
    assert_eq!(names, ["ann", "root"]);
    assert_eq!(get_as(&daemon, "/api/v1/session", &ann).json()["who"]["role"], "reader");
}

#[test]
fn somebody_may_always_administer_and_nobody_shuts_the_own_door() {
    let (daemon, root) = administered();
    let own = ["/api/v1/people/root", "/api/v1/people/root/password"];
    let tries = |cookie: &str| {
        let edits = [json!({ "role": "reader" }), json!({ "may_log_in": false })];
        let mut answers: Vec<_> = edits.iter().map(|edit| post_as(&daemon, own[0], edit, cookie)).collect();
        answers.push(post_as(&daemon, own[1], &json!({}), cookie));
        answers.push(delete_as(&daemon, own[0], cookie));
        answers
    };
    for answer in tries(&root) {
        assert_eq!(answer.status, 409, "{}", answer.text());
        assert!(error_of(&answer).contains("nobody could administer"), "{}", error_of(&answer));
    }
    let removed = tableside(&["user", "remove", "root", "--config", text(&daemon.configuration())]);
    assert_eq!(removed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&removed.stderr).contains("nobody could administer"));
    add(&daemon, "admin", "administrator");
    for answer in tries(&root) {
        assert_eq!(answer.status, 409);
        assert!(error_of(&answer).contains("your own account"), "{}", error_of(&answer));
    }
    assert_eq!(post_as(&daemon, own[0], &json!({ "shown_as": "Root" }), &root).status, 200);
    // Both at once take the role from each other: one of them comes first, and the other one's session has ended then.
    for _ in 0..8 {
        let admin = log_in(&daemon, "admin");
        let root = log_in(&daemon, "root");
        let demote = |name: &str, cookie: &str| {
            post_as(&daemon, &format!("/api/v1/people/{name}"), &json!({ "role": "reader" }), cookie).status
        };
        let statuses = std::thread::scope(|scope| {
            let one = scope.spawn(|| demote("root", &admin));
            [demote("admin", &root), one.join().unwrap()]
        });
        assert!(statuses.contains(&200) && statuses != [200; 2], "{statuses:?}");
        let other = if statuses[0] == 200 { ("admin", &root) } else { ("root", &admin) };
        let back =
            post_as(&daemon, &format!("/api/v1/people/{}", other.0), &json!({ "role": "administrator" }), other.1);
        assert_eq!(back.status, 200, "{}", back.text());
    }
}

#[test]
fn a_person_changes_the_own_password_by_the_one_before_and_the_other_sessions_end() {
    let (daemon, root) = administered();
    add(&daemon, "ann", "technician");
    let [here, elsewhere] = [(); 2].map(|()| log_in(&daemon, "ann"));
    let account = get_as(&daemon, "/api/v1/account", &here).json();
    let sessions = account["sessions"].as_array().unwrap();
    assert_eq!((account["who"]["name"].as_str(), sessions.len()), (Some("ann"), 2));
    assert_eq!(sessions.iter().filter(|session| session["own"] == true).count(), 1);
    let change = |before: &str, password: &str| {
        let body = json!({ "before": before, "password": password });
        post_as(&daemon, "/api/v1/account/password", &body, &here)
    };
    assert_eq!(change(PASSWORD, "short").status, 422);
    // Who finds a browser open does not guess for long.
    let statuses: Vec<u16> = (0..12).map(|_| change("wrong password", OTHER_PASSWORD).status).collect();
    assert!(statuses.starts_with(&[403; 4]) && statuses.contains(&429), "{statuses:?}");
    let changed =
        wait_for("the delay to pass", || Some(change(PASSWORD, OTHER_PASSWORD)).filter(|done| done.status != 429));
    assert_eq!(changed.status, 200, "{}", changed.text());
    let status = |cookie: &str| get_as(&daemon, "/api/v1/exams", cookie).status;
    assert_eq!([status(&here), status(&elsewhere)], [200, 401]);
    assert_eq!([log_in_with(&daemon, "ann", PASSWORD), log_in_with(&daemon, "ann", OTHER_PASSWORD)], [401, 200]);
    // Nobody ends another person's session as the own one.
    let others = sessions_of(&daemon, "root", &root).swap_remove(0);
    let path = format!("/api/v1/account/sessions/{}", others["id"].as_str().unwrap());
    assert_eq!(delete_as(&daemon, &path, &here).status, 404);
    assert_eq!(get_as(&daemon, "/api/v1/people", &root).status, 200);
    let (trail, log) = records_of(daemon);
    assert!(trail.contains("changed the own password") && log.contains("changed the own password"));
    for secret in [PASSWORD, OTHER_PASSWORD, "wrong password"] {
        assert!(!trail.contains(secret) && !log.contains(secret), "{secret}");
    }
}

#[test]
fn a_kiosk_that_an_administrator_adds_is_let_in_and_ends_with_its_token() {
    let (daemon, root) = administered();
    let add_kiosk = |body: Value| post_as(&daemon, "/api/v1/kiosks", &body, &root);
    for addresses in [json!([]), json!(["nowhere"]), json!(vec!["10.0.0.7"; 17]), json!("127.0.0.1")] {
        assert_eq!(add_kiosk(json!({ "name": "ct1", "addresses": addresses })).status, 422);
    }
    let added = add_kiosk(json!({ "name": "CT1", "addresses": ["127.0.0.1"] }));
    let token = added.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(add_kiosk(json!({ "name": "ct1", "addresses": ["127.0.0.1"] })).status, 409);
    let kiosk = || get_as(&daemon, "/api/v1/kiosks", &root).json()["kiosks"][0].clone();
    assert_eq!((&kiosk()["addresses"], &kiosk()["seen"]), (&json!(["127.0.0.1/32"]), &Value::Null));
    let cookie = cookie_of(&http::post(daemon.console(), "/api/v1/session", &json!({ "kiosk": token })));
    let mut events = Events::open_as(daemon.console(), "/api/v1/events", &cookie);
    assert_eq!(events.next().0, "begin");
    assert_eq!(kiosk()["seen"]["address"], "127.0.0.1");
    assert!(!get_as(&daemon, "/api/v1/kiosks", &root).text().contains(&token));
    assert_eq!(delete_as(&daemon, "/api/v1/kiosks/ct1", &root).status, 200);
    let began = Instant::now();
    events.wait_for_end();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(delete_as(&daemon, "/api/v1/kiosks/ct1", &root).status, 404);
    let (trail, log) = records_of(daemon);
    for change in ["kiosk added, at 127.0.0.1/32", "kiosk revoked"] {
        assert!(trail.contains(change) && log.contains(change), "{change}");
    }
    assert!(!trail.contains(&token) && !log.contains(&token));
}

#[test]
fn an_open_console_has_no_administrator_and_says_so() {
    let daemon = Daemon::start();
    for path in ["/api/v1/people", "/api/v1/sessions", "/api/v1/kiosks", "/api/v1/scanners", "/api/v1/machine"] {
        let refused = daemon.get(path);
        assert_eq!(refused.status, 403, "{path}");
        assert!(error_of(&refused).contains("the console is open (console.access)"), "{}", error_of(&refused));
    }
    let account = daemon.get("/api/v1/account");
    assert_eq!((account.status, error_of(&account).as_str()), (409, "the console is open: nobody logs in"));
    let change = json!({ "before": PASSWORD, "password": OTHER_PASSWORD });
    assert_eq!(http::post(daemon.console(), "/api/v1/account/password", &change).status, 409);
}

#[test]
fn the_machine_and_the_scanners_are_seen_as_they_are() {
    let certificates = tempfile::tempdir().unwrap();
    assert!(tableside(&["tls", "init", text(certificates.path())]).status.success());
    let path = |name: &str| certificates.path().join(name).display().to_string();
    let data = Arc::new(tempfile::tempdir().unwrap());
    let certificate = path("tableside.pem");
    let tls = format!(
        "[tls]\nlisten = \"127.0.0.1:0\"\ncertificate = \"{certificate}\"\nkey = \"{}\"\nauthorities = \"{}\"\n",
        path("tableside.key"),
        path("authority.pem")
    );
    let daemon = Daemon::start_configured(data.clone(), &(configuration(data.path(), "") + &tls));
    add(&daemon, "root", "administrator");
    let root = log_in(&daemon, "root");
    let seen = || get_as(&daemon, "/api/v1/scanners", &root).json()["scanners"].clone();
    assert_eq!(seen(), json!([]));
    let slices = phantom(PhantomKind::Normal, SLICES);
    scan(&daemon, folder_of(&slices).path(), &["--rate", "0"]);
    let scanner = wait_for("the exam", || Some(seen()[0].clone()).filter(|scanner| scanner["exams_today"] == 1));
    assert_eq!((&scanner["ae_title"], &scanner["listed"]), (&json!("TABLESIDE-SCAN"), &Value::Null));
    let of_address = &scanner["addresses"][0];
    assert_eq!(
        (&of_address["address"], &of_address["associations"], &of_address["stored"], &of_address["refused"]),
        (&json!("127.0.0.1"), &json!(1), &json!(slices.len()), &json!(0))
    );
    assert!(of_address["last_stored"].is_string() && scanner["last_exam"].is_string(), "{scanner}");

    let machine = wait_for("the spool to be measured", || {
        Some(get_as(&daemon, "/api/v1/machine", &root).json()).filter(|machine| machine["disk"]["room"].is_object())
    });
    assert_eq!((&machine["engine"]["serves"], &machine["engine"]["next"]), (&json!("embedded"), &Value::Null));
    let disk = &machine["disk"];
    assert!(
        disk["room"]["free_bytes"].as_u64().unwrap() > 0 && disk["database_bytes"].as_u64().unwrap() > 4096,
        "{disk}"
    );
    assert_eq!(disk["room"]["keep_days"], 30.0);
    let shown = &machine["certificates"][0];
    assert_eq!((&shown["of"], &shown["file"]), (&json!("dicom"), &json!(certificate)));
    assert!(shown["valid_until"].as_str().unwrap() > "2026", "{shown}");
}

#[test]
fn who_only_watches_does_not_use_the_session() {
    let (daemon, root) = administered();
    let database = Connection::open(daemon.state().join("tableside.db")).unwrap();
    let age = || database.execute("UPDATE session SET used_us = used_us - 120000000", []).unwrap();
    let used = || sessions_of(&daemon, "root", &format!("{root}Tableside-Watching: yes\r\n"))[0]["used"].clone();
    assert_eq!(age(), 1);
    let before = used();
    assert_eq!(get_as(&daemon, "/api/v1/machine", &format!("{root}Tableside-Watching: yes\r\n")).status, 200);
    assert_eq!(used(), before);
    assert_eq!(get_as(&daemon, "/api/v1/machine", &root).status, 200);
    assert_ne!(used(), before);
}

const LIVE: &str = "document.querySelector('#connection')?.dataset.state === 'live'";

fn enter(browser: &Browser, name: &str, password: &str) {
    browser.wait_until(
        "the form",
        "document.querySelector('#log-in')?.open && !document.querySelector('#log-in-form').hidden",
    );
    browser.write("#log-in-name", name);
    browser.write("#log-in-password", password);
    browser.click("#log-in-button");
    browser.wait_until("the live page", LIVE);
}

/// Opens the page of administration as an administrator who comes by a set-up link.
fn set_up(browser: &Browser, daemon: &Daemon) {
    let secret = secret_in(&command(daemon, &["admin", "setup-link"]));
    browser.open(&format!("http://{}/#setup={secret}", daemon.console()));
    enter(browser, "root", PASSWORD);
    browser.click("#show-administration");
    browser.wait_until("administration", &format!("location.pathname === '/administration.html' && {LIVE}"));
}

fn row(of: &str, name: &str) -> String {
    format!("[...document.querySelectorAll('#{of} tbody tr')].find(row => row.cells[0].textContent === '{name}')")
}

#[test]
fn in_two_browsers_a_technician_is_added_logs_in_and_is_logged_out_by_the_administrator() {
    let (Some(browser), Some(second)) = (Browser::start(), Browser::start()) else { return };
    let daemon = start("");
    set_up(&browser, &daemon);
    browser.wait_until("oneself", &row("people", "root"));
    browser.click("#add-person");
    browser.write("#person-name", "Ann");
    browser.write("#person-shown-as", "A. Berg");
    browser.click("#person button:not([type])");
    browser.wait_until("the password", "document.querySelector('#secret').open");
    let password = browser.run("return document.querySelector('#secret-text').textContent");
    let password = password.as_str().unwrap();
    browser.run("document.querySelector('#secret').close()");
    browser.wait_until("that it is gone", "document.querySelector('#secret-text').textContent === ''");

    second.open(&format!("http://{}/", daemon.console()));
    enter(&second, "ann", password);
    assert_eq!(second.run("return getComputedStyle(document.querySelector('#show-administration')).display"), "none");
    let session = row("sessions", "ann");
    browser.wait_until("her log-in", &session);
    browser.run(&format!("{session}.querySelector('button').id = 'end'"));
    browser.click("#end");
    assert!(browser.run("return document.querySelector('#end').textContent").as_str().unwrap().contains("ann"));
    assert_eq!(second.run(&format!("return {LIVE}")), true, "one press ends nothing");
    browser.click("#end");
    let began = Instant::now();
    second.wait_until(
        "the log-in",
        "document.querySelector('#log-in')?.open && !document.querySelector('#who-name').textContent",
    );
    eprintln!("after its revocation the other browser showed the log-in within {} ms", began.elapsed().as_millis());

    // In the browser too the last administrator stays.
    let own = row("people", "root");
    browser.run(&format!("{own}.querySelector('button').id = 'own'"));
    browser.click("#own");
    let off = "['#person-role', '#person-may-log-in'].every(part => document.querySelector(part).disabled) && \
               ['#person-reset', '#person-remove'].every(part => document.querySelector(part).hidden)";
    assert_eq!(browser.run(&format!("return {off}")), true);
    // The own account, and another password.
    browser.run("document.querySelector('#person').close()");
    browser.click("#show-account");
    for (field, text) in [("before", PASSWORD), ("password", OTHER_PASSWORD), ("again", OTHER_PASSWORD)] {
        browser.write(&format!("#account-{field}"), text);
    }
    browser.click("#account button:not([type])");
    browser.wait_until("the change", "document.querySelector('#account .problem').textContent.includes('is changed')");
    assert_eq!(try_log_in(&daemon, "root", OTHER_PASSWORD).status, 200);
    // Whose log-in ends is taken away from administration too.
    command(&daemon, &["user", "add", "other", "--role", "administrator"]);
    command(&daemon, &["user", "remove", "root"]);
    browser.wait_until("the log-in", "location.pathname === '/' && document.querySelector('#log-in')?.open");
}

#[test]
fn axe_finds_no_violation_in_administration_in_any_theme_and_language() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("build/axe/axe.min.js");
    let Ok(axe) = std::fs::read_to_string(path) else {
        eprintln!("SKIPPED: build/axe is not there");
        return;
    };
    let Some(browser) = Browser::start() else { return };
    let daemon = start("");
    scan(&daemon, folder_of(&phantom(PhantomKind::Normal, SLICES)).path(), &["--rate", "0"]);
    add(&daemon, "ann", "technician");
    command(&daemon, &["user", "disable", "ann"]);
    command(&daemon, &["kiosk", "add", "ct1", "--address", "10.0.0.21"]);
    set_up(&browser, &daemon);
    let check = "const done = arguments[arguments.length - 1]; axe.run(document).then(found => done(found.violations.map(v => \
                 `${v.id}: ${v.nodes.map(n => n.target + ' ' + (n.any[0]?.message ?? '')).join('; ')}`)), error => done([String(error)]))";
    for language in ["en", "zh"] {
        for theme in ["dark", "light"] {
            browser.run(&format!(
                "localStorage['tableside.language'] = '{language}'; localStorage['tableside.theme'] = '{theme}'"
            ));
            browser.open(&format!("http://{}/administration.html", daemon.console()));
            let there = format!(
                "{LIVE} && document.documentElement.lang === '{language}' && document.querySelector('#machine dd')"
            );
            browser.wait_until("the page", &there);
            browser.wait_until("the scanner", &row("scanners", "TABLESIDE-SCAN"));
            for dialog in ["", "#add-person", "#add-kiosk", "#show-account"] {
                if !dialog.is_empty() {
                    browser.run("document.querySelector('dialog[open]')?.close()");
                    browser.click(dialog);
                }
                let violations = browser.run_until_done(&format!("{axe};\n{check}"));
                assert_eq!(violations, json!([]), "{language}, {theme}, {dialog}");
            }
            let missing = "return document.body.innerText.match(/administration\\.\\w+/g)";
            assert_eq!(browser.run(missing), Value::Null, "{language}");
        }
    }
}
