//! `model validate` and `model calibrate` on synthetic patients, through the command line.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tableside::engine::ModelPackage;
use tableside::scanner::PhantomKind;

use crate::daemon::{TABLESIDE, wait_for};
use crate::peers::{tableside, text};
use crate::series::{phantom, write_file};

const SLICES: usize = 30;

/// A folder with exams, a list of cases and a place for results.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    /// With the exams `sick` and `well`, and this list.
    fn new(list: &str) -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap() };
        for (name, kind) in [("sick", PhantomKind::Pneumonia), ("well", PhantomKind::Normal)] {
            std::fs::create_dir(site.path(name)).unwrap();
            for (number, instance) in phantom(kind, SLICES).iter().enumerate() {
                write_file(&site.path(name).join(format!("{number:04}.dcm")), instance);
            }
        }
        std::fs::write(site.path("cases.csv"), list).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn args(&self, command: &str, out: &str, more: &[&str]) -> Vec<String> {
        let (cases, out) = (self.path("cases.csv"), self.path(out));
        let fixed =
            ["model", command, "reference", "--engine", "embedded", "--cases", text(&cases), "--out", text(&out)];
        fixed.iter().chain(more).map(|arg| (*arg).to_owned()).collect()
    }

    fn run(&self, command: &str, out: &str, more: &[&str]) -> Output {
        let args = self.args(command, out, more);
        tableside(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn results(&self, out: &str) -> String {
        std::fs::read_to_string(self.path(out).join("results.jsonl")).unwrap_or_default()
    }

    fn summary(&self, out: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(out).join("summary.json")).unwrap()).unwrap()
    }
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_wrong_with_a_case_is_said_and_the_others_are_run() {
    let list = "name,folder,label,group\nsick,sick,1,covid-19\ngone,nowhere,1,\nletter,letter,0,\nunsure,well,2,\nwell,well,0,normal\ntorn,torn,0,\n";
    let site = Site::new(list);
    std::fs::create_dir(site.path("letter")).unwrap();
    std::fs::write(site.path("letter").join("0001.dcm"), "Dear scanner").unwrap();
    std::fs::create_dir(site.path("torn")).unwrap();
    for file in crate::peers::files(&site.path("well")) {
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(site.path("torn").join(file.file_name().unwrap()), &bytes[..bytes.len() / 2]).unwrap();
    }
    let output = site.run("validate", "out", &["--require", "sensitivity=0"]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let told = errors(&output);
    for reason in [
        "line 3: there is no folder",
        "letter: not analysed: the only object was refused",
        "line 5: the label is \"2\", expected 0 or 1",
    ] {
        assert!(told.contains(reason), "{reason} is missing:\n{told}");
    }
    let counts = &site.summary("out")["overall"]["counts"];
    assert_eq!((&counts["failed"], &counts["positives"], &counts["negatives"]), (&2.into(), &1.into(), &3.into()));
    assert_eq!(site.results("out").lines().count(), 1 + 6);
    assert!(site.path("out").join("report.html").is_file() && site.path("out").join("results.csv").is_file());
    let torn = site.results("out").lines().find(|line| line.contains("\"torn\"")).unwrap().to_owned();
    assert!(torn.contains("not_analysed"), "{torn}");
}

#[test]
fn a_validation_that_was_killed_goes_on_and_ends_with_the_same_results() {
    let list = "name,folder,label\nsick,sick,1\nwell,well,0\nagain,sick,1\n";
    let site = Site::new(list);
    assert_eq!(site.run("validate", "whole", &[]).status.code(), Some(0));

    let mut child =
        Command::new(TABLESIDE).args(site.args("validate", "killed", &[])).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the first case", || (site.results("killed").lines().count() >= 2).then_some(()));
    child.kill().unwrap();
    child.wait().unwrap();
    let results = site.path("killed").join("results.jsonl");
    let torn = std::fs::read_to_string(&results).unwrap() + "{\"input\":{\"folder\"";
    std::fs::write(&results, torn).unwrap();

    let output = site.run("validate", "killed", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert!(errors(&output).contains("taken over"), "{}", errors(&output));
    assert_eq!(site.results("killed"), site.results("whole"));

    let other = site.run("validate", "killed", &["--rate", "10"]);
    assert_eq!(other.status.code(), Some(1));
    assert!(errors(&other).contains("choose another folder"), "{}", errors(&other));
}

#[test]
fn limits_decide_the_exit_code_and_one_class_alone_has_no_specificity() {
    let site = Site::new("name,folder,label\nsick,sick,1\n");
    let code = |require: &str| {
        let output = site.run("validate", "out", &["--require", require]);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(code("sensitivity=0").0, Some(0));
    let (exit, told) = code("specificity=0.5");
    assert_eq!(exit, Some(5), "{told}");
    assert!(told.contains("specificity at least 0.5: cannot be computed"), "{told}");
    assert_eq!(code("colour=1").0, Some(2));
}

#[test]
fn a_list_that_cannot_be_read_is_refused_with_its_line() {
    let site = Site::new("name,folder,label,colour\nsick,sick,1,red\n");
    let output = site.run("validate", "out", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("line 1: unknown column \"colour\""), "{}", errors(&output));
}

#[test]
fn calibrating_writes_a_package_with_the_rate_or_says_how_many_cases_are_missing() {
    let site = Site::new("name,folder,label\nwell,well,0\nsick,sick,1\n");
    let refused = site.run("calibrate", "out", &["--false-flag-rate", "0.05"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(errors(&refused).contains("at least 19"), "{}", errors(&refused));

    let output = site.run("calibrate", "out", &["--false-flag-rate", "0.5"]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("n = 1 "), "{}", String::from_utf8_lossy(&output.stdout));
    let package = ModelPackage::load(&site.path("out").join("reference")).unwrap();
    let point = package.manifest.operating_point;
    assert_eq!(point.early_alpha, 0.5);
    assert!(point.suspected > score_of(&site.results("out"), "well"), "{point:?}");
    let text = std::fs::read_to_string(Path::new(&site.path("out")).join("reference/model.toml")).unwrap();
    assert!(text.contains("# Calibrated with Tableside"), "{text}");
}

fn score_of(results: &str, name: &str) -> f64 {
    let entries = results.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut named = entries.filter(|entry| entry["result"]["name"] == name);
    named.next().unwrap()["result"]["outcome"]["score"].as_f64().unwrap()
}
