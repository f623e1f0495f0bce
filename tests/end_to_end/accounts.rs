//! A daemon in whose console people log in, and they.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::daemon::{Daemon, TABLESIDE, wait_for};
use crate::http::{self, Response};
use crate::peers::{tableside, text};

pub const PASSWORD: &str = "correct horse battery";

/// A configuration in which people log in. `console` is more keys of `[console]`.
pub fn configuration(data: &Path, console: &str) -> String {
    let open = crate::daemon::config(data, "");
    let accounts = format!("access = \"accounts\"\n{console}");
    open.replace("access = \"open\"\n", &accounts) + "[metrics]\nlisten = \"127.0.0.1:0\"\n"
}

/// A daemon in whose console people log in.
pub fn start(console: &str) -> Daemon {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let configuration = configuration(data.path(), console);
    Daemon::start_configured(data, &configuration)
}

/// What a command says that is given this daemon's configuration.
pub fn command(daemon: &Daemon, arguments: &[&str]) -> String {
    let file = daemon.configuration();
    let done = tableside(&[arguments, &["--config", text(&file)]].concat());
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

pub fn add(daemon: &Daemon, name: &str, role: &str) {
    let file = daemon.configuration();
    let mut child = Command::new(TABLESIDE)
        .args(["user", "add", name, "--role", role, "--shown-as", &name.to_uppercase(), "--password-stdin"])
        .args(["--config", text(&file)])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    assert!(child.wait().unwrap().success());
}

/// The cookie that an answer sets, as a browser sends it back.
pub fn cookie_of(response: &Response) -> String {
    let header = response.headers.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
    format!("Cookie: {}\r\n", header.split(';').next().unwrap())
}

pub fn try_log_in(daemon: &Daemon, name: &str, password: &str) -> Response {
    http::post(daemon.console(), "/api/v1/session", &json!({ "name": name, "password": password }))
}

pub fn log_in(daemon: &Daemon, name: &str) -> String {
    // Passwords are computed behind everything else: on a busy machine that may take longer than a request may.
    let answer =
        wait_for("a log-in", || Some(try_log_in(daemon, name, PASSWORD)).filter(|answer| answer.status != 503));
    assert_eq!(answer.status, 200, "{}", answer.text());
    cookie_of(&answer)
}

/// What somebody asks who is named in the header.
pub fn get_as(daemon: &Daemon, path: &str, header: &str) -> Response {
    http::request_with(daemon.console(), "GET", path, None, header)
}

pub fn post_as(daemon: &Daemon, path: &str, body: &Value, header: &str) -> Response {
    http::request_with(daemon.console(), "POST", path, Some(body), header)
}

/// The secret behind `#` of a link that a command prints.
pub fn secret_in(said: &str) -> String {
    said.lines().find_map(|line| line.split_once('#')?.1.split_once('=')).expect("a link").1.to_owned()
}
