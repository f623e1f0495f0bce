//! What a monitor's workstation runs: `systemd/tableside-kiosk`.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use crate::accounts;
use crate::daemon::Daemon;
use crate::webdriver::{Browser, SOUNDS};

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/tableside-kiosk")
}

/// Runs the script, with `echo` in place of the browser.
fn start(link: &Path, folder: &Path) -> Output {
    Command::new(script()).arg(link).arg(folder).env("TABLESIDE_BROWSER", "echo").output().unwrap()
}

#[test]
fn a_monitor_that_starts_before_the_daemon_comes_up_by_itself_and_its_link_is_in_no_argument() {
    let Some(browser) = Browser::start_with(&SOUNDS) else { return };
    let data = Arc::new(tempfile::tempdir().unwrap());
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let console = format!("[console]\nlisten = \"{address}\"");
    let configuration =
        accounts::configuration(data.path(), "").replacen("[console]\nlisten = \"127.0.0.1:0\"", &console, 1);
    let daemon = Daemon::start_configured(data.clone(), &configuration);
    let said = accounts::command(&daemon, &["kiosk", "add", "ct1", "--address", "127.0.0.1"]);
    daemon.stop();
    let link = said.lines().find(|line| line.contains("#kiosk=")).unwrap();
    let link_file = data.path().join("link");
    std::fs::write(&link_file, format!("{link}\n")).unwrap();

    let folder = data.path().join("kiosk");
    let output = start(&link_file, &folder);
    let arguments = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(arguments.contains("--kiosk --autoplay-policy=no-user-gesture-required"), "{arguments}");
    assert!(!arguments.contains(&accounts::secret_in(&said)), "{arguments}");
    let page = folder.join("start.html");
    assert_eq!(page.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    browser.open(&format!("file://{}", page.display()));
    browser.wait_until("that it waits", "document.body.textContent.includes('does not answer yet')");
    let _daemon = Daemon::start_configured(data, &configuration);
    browser.wait_until("the table view", "location.pathname === '/table' && document.body.dataset.role === 'table'");
    browser.wait_until("the live stream", "document.querySelector('#connection').dataset.state === 'live'");
}

#[test]
fn a_link_that_is_none_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    let secret = "a".repeat(43);
    for wrong in [
        "",
        "http://ct/#kiosk=short",
        &format!("javascript:alert(1)#kiosk={secret}"),
        &format!("http://ct/\"#kiosk={secret}"),
    ] {
        std::fs::write(&link, wrong).unwrap();
        let output = start(&link, folder.path());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains("has no link as"), "{wrong}: {said}");
    }
    for right in ["https://tableside.example:8443/", "http://[fe80::1]:8080/", "https://proxy/ct/"] {
        std::fs::write(&link, format!("{right}#kiosk={secret}")).unwrap();
        let output = start(&link, folder.path());
        assert!(output.status.success(), "{right}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
