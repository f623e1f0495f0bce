//! Log-in at an OpenID provider: a real one (`openid_provider.mjs`), and a browser that goes there and comes back.

use std::io::{BufRead as _, BufReader, Lines};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use crate::accounts::{add, command, configuration};
use crate::daemon::Daemon;
use crate::http;
use crate::series::there;
use crate::webdriver::Browser;

/// Where both run: a daemon with the provider in its configuration. The provider's files are gone with it.
struct Hospital {
    daemon: Daemon,
    provider: Child,
    /// What it prints: it dies of an output that nobody reads.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Drop for Hospital {
    fn drop(&mut self) {
        let _ = self.provider.kill();
        let _ = self.provider.wait();
    }
}

impl Hospital {
    fn start() -> Option<Self> {
        if !cfg!(feature = "openid") {
            eprintln!("SKIPPED: built without the feature openid");
            return None;
        }
        let packages = there(Path::new(env!("CARGO_MANIFEST_DIR")).join("build/openid-provider"))?;
        // The provider sends browsers back to an address that it was told before.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let console = format!("http://{free}");
        let mut provider = Command::new("node")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/openid_provider.mjs"))
            .arg(packages)
            .arg(format!("{console}/api/v1/openid/return"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(provider.stdout.take().unwrap()).lines();
        let issuer = lines.next().expect("an issuer").unwrap();
        let data = Arc::new(tempfile::tempdir().unwrap());
        let secret = data.path().join("openid.secret");
        std::fs::write(&secret, "a secret of the client\n").unwrap();
        let configuration = configuration(data.path(), "").replacen(
            "[console]\nlisten = \"127.0.0.1:0\"",
            &format!("[console]\nlisten = \"{free}\""),
            1,
        ) + &format!(
            "[openid]\nissuer = \"{issuer}\"\nclient_id = \"tableside\"\nclient_secret_file = \"{}\"\nconsole_url = \"{console}\"\n\
                technician = [\"ct\"]\nadministrator = [\"it\"]\n",
            secret.display()
        );
        Some(Self { daemon: Daemon::start_configured(data, &configuration), provider, _output: lines })
    }

    fn console(&self) -> String {
        format!("http://{}/", self.daemon.console())
    }

    /// Goes to the provider and logs in there.
    fn log_in(&self, browser: &Browser, name: &str) {
        browser.open(&format!("{}api/v1/openid/begin", self.console()));
        browser.wait_until("the provider's log-in", "document.querySelector('input[name=login]')");
        browser.write("input[name=login]", name);
        browser.write("input[name=password]", "any");
        browser.click("button[type=submit]");
        browser.wait_until(
            "the provider's question",
            "document.querySelector('form') && !document.querySelector('input[name=login]')",
        );
        browser.click("button[type=submit]");
    }
}

#[test]
fn a_person_whom_the_provider_knows_comes_in_with_the_role_that_it_gives() {
    let Some(hospital) = Hospital::start() else { return };
    let Some(browser) = Browser::start() else { return };
    hospital.log_in(&browser, "ann");
    browser.wait_until(
        "the technician",
        "document.querySelector('#who-name')?.textContent.startsWith('ann of the hospital, ')",
    );
    browser.wait_until("the live stream", "document.querySelector('#connection').dataset.state === 'live'");
    assert_eq!(
        browser.run("return location.pathname + location.search + location.hash"),
        "/",
        "no code stays in the address"
    );
    let listed = command(&hospital.daemon, &["user", "list"]);
    assert!(listed.contains("ann") && listed.contains("technician"), "{listed}");
    // The session is one like others: whoever removes the account ends it.
    command(&hospital.daemon, &["user", "remove", "ann"]);
    browser.wait_until("the log-in", "document.querySelector('#log-in')?.open");
    let log = hospital.daemon.log();
    assert!(log.contains("logged in") && !log.contains("code=") && !log.contains("a secret of the client"), "{log}");
}

#[test]
fn who_has_no_role_or_somebody_elses_name_is_told_and_stays_outside() {
    let Some(hospital) = Hospital::start() else { return };
    add(&hospital.daemon, "root", "administrator");
    for (name, why) in [("visitor", "no_role"), ("root", "name_taken")] {
        let Some(browser) = Browser::start() else { return };
        hospital.log_in(&browser, name);
        browser.wait_until("the log-in", "document.querySelector('#log-in')?.open");
        let told = browser.run("return document.querySelector('#log-in-problem').dataset.code");
        assert_eq!(told, why, "{name}");
    }
    let listed = command(&hospital.daemon, &["user", "list"]);
    assert!(!listed.contains("visitor"), "{listed}");
}

#[test]
fn what_comes_back_to_another_browser_or_never_left_lets_nobody_in() {
    let Some(hospital) = Hospital::start() else { return };
    let console = hospital.daemon.console();
    let begun = http::get(console, "/api/v1/openid/begin");
    assert_eq!(begun.status, 303, "{}", begun.text());
    let header = |name: &str| begun.headers.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    let (to, cookie) = (header("location: "), header("set-cookie: "));
    assert!(to.contains("code_challenge_method=S256") && to.contains("nonce="), "{to}");
    assert!(cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
    let state = to.split("&state=").nth(1).unwrap().split('&').next().unwrap();
    let back = |query: &str, cookie: &str| {
        let answer = http::request_with(console, "GET", &format!("/api/v1/openid/return?{query}"), None, cookie);
        assert!(!answer.headers.contains("set-cookie"), "{}", answer.headers);
        let told = answer.headers.lines().find_map(|line| line.strip_prefix("location: ")).unwrap_or_default();
        (answer.status, told.split("#openid=").nth(1).unwrap_or_default().to_owned())
    };
    let mine = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
    let unknown = (303, "unknown".to_owned());
    assert_eq!(back(&format!("state={state}&code=stolen"), ""), unknown, "another browser");
    assert_eq!(back("state=other&code=stolen", &mine), unknown);
    assert_eq!(back("code=stolen", &mine).0, 422);
    assert_eq!(back("state=x&error=access_denied", &mine), (303, "refused".to_owned()));
    // The provider does not know the code; the flow is used up.
    assert_eq!(back(&format!("state={state}&code=stolen"), &mine), (303, "refused".to_owned()));
    assert_eq!(back(&format!("state={state}&code=stolen"), &mine), unknown);
}

#[test]
fn a_provider_that_is_away_is_told_and_passwords_still_work() {
    let Some(mut hospital) = Hospital::start() else { return };
    hospital.provider.kill().unwrap();
    hospital.provider.wait().unwrap();
    let answer = http::get(hospital.daemon.console(), "/api/v1/openid/begin");
    assert!(answer.headers.contains("#openid=unreachable"), "{}", answer.headers);
    add(&hospital.daemon, "bob", "reader");
    crate::accounts::log_in(&hospital.daemon, "bob");
}
