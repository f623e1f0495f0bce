//! The command line: what it prints, what it refuses, how it ends.

use serde_json::Value;
use tableside::scanner::PhantomKind;

use crate::daemon::config;
use crate::peers::{succeed, tableside, text};
use crate::series::{folder_of, phantom};

#[test]
fn demo_of_the_normal_phantom_ends_with_a_valid_report_that_it_is_not_suspected() {
    let report = demo(&["--phantom", "normal"], 0);
    assert_eq!(report["verdict"], "not_suspected", "{}", report["reason"]);
    assert_eq!(report["slices"]["analysed"], 150);
}

#[test]
fn demo_of_the_pneumonia_phantom_ends_with_a_valid_report_that_it_is_suspected_and_where() {
    let report = demo(&["--phantom", "pneumonia"], 0);
    assert_eq!(report["verdict"], "suspected", "{}", report["reason"]);
    assert!(!report["lesions"].as_array().unwrap().is_empty());
}

#[test]
fn slices_that_a_demo_drops_are_gaps_and_the_technician_is_told_to_send_them_again() {
    let report = demo(&["--phantom", "pneumonia", "--drop", "5", "--seed", "3"], 0);
    assert_eq!(report["slices"]["analysed"], 145);
    let quality = report["quality"].as_array().unwrap();
    assert!(quality.iter().any(|issue| issue["kind"] == "gap"), "{quality:?}");
}

/// Runs `demo` and holds its report against the schema that the program prints.
fn demo(options: &[&str], exit_code: i32) -> Value {
    let own = tempfile::tempdir().unwrap();
    let file = own.path().join("tableside.toml");
    std::fs::write(&file, config(own.path(), "")).unwrap();
    let fixed = ["demo", "--no-browser", "--json", "--rate", "0", "--config", text(&file)];
    let output = tableside(&[&fixed, options].concat());
    assert_eq!(output.status.code(), Some(exit_code), "{}", String::from_utf8_lossy(&output.stderr));
    valid(&String::from_utf8(output.stdout).unwrap())
}

/// Parses a report, once it is valid against `tableside schema`.
fn valid(report: &str) -> Value {
    let schema = serde_json::from_str(&succeed(crate::daemon::TABLESIDE, &["schema"])).unwrap();
    let report = serde_json::from_str(report).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{report}");
    report
}

#[test]
fn triage_prints_a_valid_report_and_draws_the_key_slices() {
    let folder = folder_of(&phantom(PhantomKind::Pneumonia, 24));
    let out = tempfile::tempdir().unwrap();
    let drawings = out.path().join("drawings");
    let args = ["triage", "--json", "--overlay", text(&drawings), text(folder.path())];
    let report = valid(&succeed(crate::daemon::TABLESIDE, &args));
    assert_eq!(report["slices"]["analysed"], 24);
    let drawn = crate::peers::files(&drawings);
    assert!(!drawn.is_empty());
    assert!(drawn.iter().all(|path| std::fs::read(path).unwrap().starts_with(b"\x89PNG")));
}

#[test]
fn what_is_too_little_to_judge_ends_with_exit_code_3() {
    let folder = folder_of(&phantom(PhantomKind::Normal, 3));
    let output = tableside(&["triage", "--json", text(folder.path())]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(valid(&String::from_utf8(output.stdout).unwrap())["verdict"], "not_analysed");
}

#[test]
fn a_folder_without_dicom_is_told_in_one_line_with_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("letter.txt"), "Dear scanner").unwrap();
    let output = tableside(&["triage", text(folder.path())]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("holds no DICOM file") && errors.lines().count() == 1, "{errors}");
}

#[test]
fn a_wrong_configuration_is_refused_with_all_its_errors_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tableside.toml");
    std::fs::write(&file, "[dicom]\nport = 11112\nae_title = \"\"\n[engine]\nkind = \"gpu\"\n[colour]\n").unwrap();
    for command in [&["serve", "--config"][..], &["check-config"]] {
        let output = tableside(&[command, &[text(&file)]].concat());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        for line in ["line 2", "line 3", "line 5", "line 6", "unknown key", "unknown section"] {
            assert!(errors.contains(line), "{line} is missing:\n{errors}");
        }
    }
}

#[test]
fn the_addresses_of_the_configuration_become_a_list_for_systemd_and_everybody_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tableside.toml");
    let listed = |config: &str, also: &str| {
        std::fs::write(&file, config).unwrap();
        tableside(&["allow-list", "--config", text(&file), "--also", also])
    };
    let scanner = "[[scanner]]\nae_title = \"CT1\"\naddresses = [\"10.0.0.7\", \"10.0.1.0/24\"]\n";
    let archive = "[[destination]]\nname = \"pacs\"\nc_store = \"PACS@192.0.2.9:104\"\n\
                   [[destination]]\nname = \"web\"\nstow_rs = \"https://[2001:db8::5]/dicom-web\"\n";
    let syslog = "[audit]\nsyslog = \"192.0.2.10:6514\"\n";
    let provider = "[openid]\nissuer = \"https://192.0.2.11/ct\"\nclient_id = \"tableside\"\nclient_secret_file = \"secret\"\n\
                    console_url = \"https://ct.example\"\nreader = [\"staff\"]\n";
    let provider = if cfg!(feature = "openid") { provider } else { "" };
    let output = listed(&format!("{syslog}{provider}{scanner}{archive}"), "10.9.0.0/16");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut allowed: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("IPAddressAllow=")).collect();
    allowed.sort_unstable();
    let mut expected =
        vec!["10.0.0.7/32", "10.0.1.0/24", "10.9.0.0/16", "192.0.2.10", "192.0.2.9", "2001:db8::5", "localhost"];
    expected.extend(cfg!(feature = "openid").then_some("192.0.2.11"));
    expected.sort_unstable();
    assert_eq!(allowed, expected);
    assert!(printed.contains("IPAddressDeny=any"));
    for (everybody, why) in [("", "everybody may send"), ("[[scanner]]\nae_title = \"CT1\"\n", "from anywhere")] {
        let output = listed(everybody, "10.9.0.0/16");
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains(why));
    }
    assert_eq!(listed(scanner, "ten").status.code(), Some(1));
}

#[test]
fn the_sample_configuration_is_valid() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/tableside.toml");
    assert!(succeed(crate::daemon::TABLESIDE, &["check-config", sample]).contains("valid"));
}

#[test]
fn a_model_package_with_one_flipped_bit_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("model");
    std::fs::create_dir(&package).unwrap();
    for file in crate::peers::files(concat!(env!("CARGO_MANIFEST_DIR"), "/engines/reference").as_ref()) {
        std::fs::copy(&file, package.join(file.file_name().unwrap())).unwrap();
    }
    let weights = package.join("model.onnx");
    let mut bytes = std::fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let file = folder.path().join("tableside.toml");
    let model = format!("kind = \"embedded\"\nmodel = {package:?}");
    std::fs::write(&file, config(folder.path(), "").replace("kind = \"embedded\"", &model)).unwrap();
    let output = tableside(&["serve", "--config", text(&file)]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("SHA-256"), "{errors}");
}

#[test]
fn a_receiver_that_is_not_there_is_told_with_exit_code_1() {
    let output = tableside(&["scan", "--phantom", "normal", "--to", "NOBODY@127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("NOBODY@127.0.0.1:1"));
}
