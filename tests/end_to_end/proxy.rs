//! The console behind a reverse proxy that puts it below a path: by nginx where it is installed, else by one of the tests' own.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tableside::scanner::PhantomKind;

use crate::daemon::{Daemon, flag};
use crate::http::{self, Events};
use crate::peers::scan;
use crate::series::{folder_of, phantom};
use crate::webdriver::Browser;

const SLICES: usize = 40;
const PREFIX: &str = "/tableside";

/// `location` and `proxy_pass` and nothing else: nginx buffers what the one behind it sends, unless that one says not to.
fn nginx_configuration(folder: &Path, address: &str, behind: &str) -> String {
    let folder = folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("  {what}_temp_path {folder}/{what};\n"))
        .concat();
    format!(
        "user root root;\ndaemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\nhttp {{\n  access_log off;\n{temporary}  server {{\n    listen {address};\n    location {PREFIX}/ {{ proxy_pass http://{behind}/; }}\n  }}\n}}\n"
    )
}

struct Proxy {
    address: String,
    nginx: Option<Child>,
    folder: tempfile::TempDir,
}

impl Proxy {
    fn before(daemon: &Daemon) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let behind = daemon.console().to_owned();
        let Some(program) = nginx() else {
            eprintln!("nginx (Debian package nginx-light) is not here: a proxy of the test's own stands for it");
            std::thread::spawn(move || serve(&listener, &behind));
            return Self { address, nginx: None, folder };
        };
        // nginx takes over listening sockets that its environment names by their descriptors: that is how it replaces itself. As a
        // single process it crashes on them, so it has a master and a worker.
        rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty()).unwrap();
        let configuration = folder.path().join("nginx.conf");
        std::fs::write(&configuration, nginx_configuration(folder.path(), &address, &behind)).unwrap();
        let nginx = Command::new(program)
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&configuration)
            .env("NGINX", format!("{};", listener.as_raw_fd()))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Whoever connects before nginx accepts waits in the socket's queue.
        Self { address, nginx: Some(nginx), folder }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default());
        }
        if let Some(nginx) = &mut self.nginx {
            // Asked to end, it ends its worker too. Both fail only where it has ended already.
            let _ = Command::new("kill").arg(nginx.id().to_string()).status();
            let _ = nginx.wait();
        }
    }
}

fn nginx() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("nginx")).find(|program| program.exists())
}

/// Takes the prefix off each request's path and hands the rest on.
fn serve(listener: &TcpListener, behind: &str) {
    for browser in listener.incoming().map_while(Result::ok) {
        let behind = behind.to_owned();
        std::thread::spawn(move || {
            let mut request = BufReader::new(browser.try_clone().unwrap());
            let mut line = String::new();
            request.read_line(&mut line).unwrap();
            let mut daemon = TcpStream::connect(behind).unwrap();
            let stripped = line.replacen(&format!(" {PREFIX}/"), " /", 1);
            let path_held = if stripped == line { line.replacen(" /", " /not-below-the-prefix/", 1) } else { stripped };
            daemon.write_all(path_held.as_bytes()).unwrap();
            // One request a connection, so that the next one's path is seen too.
            loop {
                let mut header = String::new();
                if request.read_line(&mut header).unwrap_or(0) == 0 || header == "\r\n" {
                    break;
                }
                if !header.to_lowercase().starts_with("connection:") {
                    daemon.write_all(header.as_bytes()).unwrap();
                }
            }
            daemon.write_all(b"Connection: close\r\n\r\n").unwrap();
            let mut answer = daemon.try_clone().unwrap();
            let mut to_browser = browser.try_clone().unwrap();
            std::thread::spawn(move || std::io::copy(&mut request, &mut daemon));
            let _ = std::io::copy(&mut answer, &mut to_browser);
            let _ = browser.shutdown(Shutdown::Both);
        });
    }
}

#[test]
fn events_pass_a_buffering_proxy_at_once_and_every_address_holds_below_its_path() {
    let daemon = Daemon::start();
    let proxy = Proxy::before(&daemon);
    let below = |path: &str| format!("{PREFIX}/{path}");
    let direct = http::head_of(daemon.console(), "/api/v1/events");
    assert!(direct.contains("x-accel-buffering: no\n") && direct.contains("no-transform"), "{direct}");

    let asked = Instant::now();
    let mut events = Events::open_at(&proxy.address, &below("api/v1/events"));
    events.wait_for("heartbeat", |name, _| name == "status");
    // A buffer of nginx's holds a minute of heartbeats.
    assert!(asked.elapsed() < Duration::from_secs(20), "the proxy kept the first event for {:?}", asked.elapsed());

    scan(&daemon, folder_of(&phantom(PhantomKind::Pneumonia, SLICES)).path(), &["--rate", "0"]);
    events.wait_for("the exam", |name, exam| name == "exam" && exam["state"] == "receiving");
    let key = daemon.verdict_on(SLICES)["exam"]["key"].as_str().unwrap().to_owned();
    let details = http::get(&proxy.address, &below(&format!("api/v1/exams/{key}"))).json();
    let picture = details["slabs"][5]["picture"].as_str().unwrap();
    let picture = http::get(&proxy.address, &below(picture));
    assert!(picture.status == 200 && picture.body.starts_with(b"\x89PNG"), "{}", picture.headers);
    let acknowledge = below(&format!("api/v1/exams/{key}/flags/suspected/acknowledge"));
    assert_eq!(http::post(&proxy.address, &acknowledge, &json!({ "by": "ab" })).status, 200);
    assert_eq!(flag(&daemon.exams()[0], "suspected").unwrap()["acknowledged"]["by"], "ab");
}

#[test]
fn the_page_works_below_a_path() {
    let Some(browser) = Browser::start() else { return };
    let daemon = Daemon::start();
    let proxy = Proxy::before(&daemon);
    browser.open(&format!("http://{}{PREFIX}/", proxy.address));
    browser.wait_until("the live stream", "document.querySelector('#connection').dataset.state === 'live'");
    scan(&daemon, folder_of(&phantom(PhantomKind::Pneumonia, SLICES)).path(), &["--rate", "0"]);
    browser.wait_until("the verdict", "document.querySelector('#banner').dataset.verdict === 'suspected'");
    browser.click("#worst");
    browser.wait_until("a picture with a lesion", "Number(document.querySelector('#picture').dataset.lesion) > 0");
    assert_eq!(browser.run("return document.querySelector('#fault').hidden"), true);
}
