//! `tableside model promote` and `rollback`: which package serves, and that it is always one or the other.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Instant;

use tableside::promotion::ModelSource;
use tempfile::TempDir;

use crate::daemon::{Daemon, TABLESIDE, config, wait_for};
use crate::peers::{tableside, text};
use crate::shadow::package;

/// A data folder as a daemon leaves it, and its configuration.
struct Site(Arc<TempDir>);

impl Site {
    fn new() -> Self {
        let site = Self(Arc::new(tempfile::tempdir().unwrap()));
        std::fs::create_dir(site.state()).unwrap();
        std::fs::write(site.config(), config(site.0.path(), "")).unwrap();
        site
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("tableside.toml")
    }

    fn package(&self, version: &str) -> PathBuf {
        package(self.0.path(), version, 0.6)
    }

    fn model(&self, command: &[&str]) -> Output {
        tableside(&[&["model"], command, &["--config", text(&self.config())]].concat())
    }

    fn promote(&self, package: &Path) -> Output {
        self.model(&["promote", text(package)])
    }

    fn checked(&self) -> String {
        String::from_utf8(tableside(&["check-config", text(&self.config())]).stdout).unwrap()
    }

    /// Version of the package that would serve.
    fn serves(&self) -> String {
        ModelSource::chosen(None, &self.state()).unwrap().load().unwrap().manifest.version
    }
}

fn succeeds(output: &Output, said: &str) {
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains(said), "{printed}");
}

fn refused(output: &Output, why: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(why), "{said}");
}

#[test]
fn a_promoted_package_serves_from_the_next_start_on_until_it_is_rolled_back() {
    let site = Site::new();
    let built_in = tableside::engine::ModelPackage::built_in().unwrap().title();
    refused(&site.model(&["rollback"]), "there is nothing to go back to");
    assert!(site.checked().contains("model package: the one in the program"), "{}", site.checked());
    let promoted = site.package("9.0.1");
    succeeds(&site.promote(&promoted), "reference 9.0.1 serves from the daemon's next start on");
    // The copy serves, not what was promoted.
    std::fs::remove_dir_all(&promoted).unwrap();
    assert!(site.checked().contains("which was promoted"), "{}", site.checked());

    let daemon = Daemon::start_on(site.0.clone(), "");
    let model = |daemon: &Daemon| daemon.get("/api/v1/status").json()["model"].as_str().unwrap().to_owned();
    assert_eq!(model(&daemon), "reference 9.0.1");
    succeeds(&site.model(&["rollback"]), &format!("{built_in} serves from the daemon's next start on"));
    assert_eq!(model(&daemon), "reference 9.0.1", "until it is started again");
    let records = || daemon.metric("tableside_audit_records_total", "event=\"model_changed\"");
    wait_for("both in the audit trail", || (records() == 2.0).then_some(()));
    assert!(daemon.stop().0.success());
    assert_eq!(model(&Daemon::start_on(site.0.clone(), "")), built_in);
    succeeds(&site.model(&["rollback"]), "reference 9.0.1 serves");
}

#[test]
fn while_the_configuration_names_the_package_nothing_is_promoted() {
    let site = Site::new();
    let package = site.package("9.0.1");
    let named = format!("kind = \"embedded\"\nmodel = {package:?}");
    std::fs::write(site.config(), config(site.0.path(), "").replace("kind = \"embedded\"", &named)).unwrap();
    for output in [site.promote(&package), site.model(&["rollback"])] {
        refused(&output, "engine.model in the configuration names the package that serves");
    }
    assert!(site.checked().contains("which engine.model names"), "{}", site.checked());
}

#[test]
fn a_promoted_package_that_was_damaged_stops_the_start_and_no_other_model_takes_its_place() {
    let site = Site::new();
    succeeds(&site.promote(&site.package("9.0.1")), "9.0.1");
    let ModelSource::Promoted(copy) = ModelSource::chosen(None, &site.state()).unwrap() else { panic!() };
    std::fs::write(copy.join("model.onnx"), "nothing").unwrap();
    refused(&tableside(&["serve", "--config", text(&site.config())]), "tableside model rollback");
    succeeds(&site.model(&["rollback"]), "serves");
    Daemon::start_on(site.0.clone(), "");
}

#[test]
fn a_package_that_does_not_pass_its_self_test_is_not_promoted() {
    let site = Site::new();
    let package = site.package("9.0.1");
    let manifest = package.join("model.toml");
    let text_of = std::fs::read_to_string(&manifest).unwrap();
    let (before, after) = text_of.split_once("[self_test]").unwrap();
    let attention = after.lines().find(|line| line.starts_with("attention = ")).unwrap();
    std::fs::write(&manifest, format!("{before}[self_test]{}", after.replacen(attention, "attention = 77.0", 1)))
        .unwrap();
    refused(&site.promote(&package), "does not pass the package's self-test");
    assert!(site.checked().contains("the one in the program"), "{}", site.checked());
}

#[test]
fn a_promotion_that_is_killed_leaves_the_one_or_the_other() {
    let site = Site::new();
    let packages = ["9.0.1", "9.0.2"].map(|version| (version, site.package(version)));
    let started = Instant::now();
    succeeds(&site.promote(&packages[0].1), "9.0.1");
    let whole = started.elapsed();
    let mut serves = "9.0.1".to_owned();
    let mut cut_short = 0;
    for attempt in 0..24 {
        let (version, folder) = &packages[attempt % 2];
        let mut command = Command::new(TABLESIDE);
        command.args(["model", "promote", text(folder), "--config", text(&site.config())]);
        let mut promoting = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // From before the copy until after the switch, wherever that is on this machine.
        std::thread::sleep(whole.mul_f64(attempt as f64 / 20.0));
        promoting.kill().unwrap();
        cut_short += usize::from(promoting.wait().unwrap().code().is_none());
        let now = site.serves();
        assert!(now == serves || now == *version, "{now}: neither {serves} nor {version}");
        serves = now;
        if attempt % 8 == 7 {
            // The copies are made anew.
            let models = site.state().join("models");
            for name in std::fs::read_dir(&models).unwrap().map(|entry| entry.unwrap().path()) {
                let is_serving =
                    ModelSource::chosen(None, &site.state()).unwrap() == ModelSource::Promoted(name.clone());
                if name.is_dir() && !is_serving {
                    std::fs::remove_dir_all(name).unwrap();
                }
            }
        }
    }
    assert!(cut_short > 0);
    let other = packages.iter().find(|(version, _)| *version != serves).unwrap();
    succeeds(&site.promote(&other.1), other.0);
    assert_eq!(site.serves(), other.0);
}
