//! Without a GPU: the CPU serves, `doctor` says why, and a driver that is broken breaks nothing.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::daemon::TABLESIDE;
use crate::peers::text;

/// What `tableside doctor --json` says where libraries are looked for in this folder first.
fn doctor(libraries: &Path) -> Value {
    let output = Command::new(TABLESIDE).args(["doctor", "--json"]).env("LD_LIBRARY_PATH", libraries).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A library that is found as NVIDIA's driver, made of this C++.
fn driver(source: &str) -> tempfile::TempDir {
    let folder = library("libcuda.so", source);
    std::fs::copy(folder.path().join("libcuda.so"), folder.path().join("libcuda.so.1")).unwrap();
    folder
}

/// A folder with a library of this name, made of this C++.
fn library(name: &str, source: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("library.cpp");
    std::fs::write(&file, source).unwrap();
    let library = folder.path().join(name);
    let made = Command::new("c++").args(["-shared", "-fPIC", "-o", text(&library), text(&file)]).status().unwrap();
    assert!(made.success());
    folder
}

fn no_gpu(found: &Value) -> &str {
    let serves = found["serves"]["here"].as_str().unwrap();
    assert!(["onnxruntime", "embedded"].contains(&serves), "{found}");
    for engine in found["engines"].as_array().unwrap() {
        let needs_gpu = ["tensorrt", "cuda"].contains(&engine["engine"].as_str().unwrap());
        assert_eq!(
            engine["state"] == "absent" && engine["reason"] == found["gpus"]["absent"]["reason"],
            needs_gpu,
            "{found}"
        );
    }
    found["gpus"]["absent"]["reason"].as_str().unwrap()
}

/// Whether there is a driver to be broken: this program looks for one, and this machine has none that works.
fn looks_for_a_driver() -> bool {
    if !cfg!(feature = "cuda") {
        eprintln!("SKIPPED: built without the feature cuda: no driver is looked for");
    }
    cfg!(feature = "cuda")
}

#[test]
fn without_a_driver_the_cpu_serves_and_doctor_says_why_no_gpu() {
    if Path::new("/proc/driver/nvidia/version").exists() {
        eprintln!("SKIPPED: this machine has an NVIDIA driver");
        return;
    }
    let nothing = tempfile::tempdir().unwrap();
    let found = doctor(nothing.path());
    let expected = if cfg!(feature = "cuda") { "driver is not installed" } else { "without the feature cuda" };
    assert!(no_gpu(&found).contains(expected), "{found}");
}

#[test]
fn a_file_that_is_no_library_is_no_driver() {
    if !looks_for_a_driver() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["libcuda.so", "libcuda.so.1"] {
        std::fs::write(folder.path().join(name), "torn").unwrap();
    }
    assert!(no_gpu(&doctor(folder.path())).contains("driver is not installed"));
}

#[test]
fn a_driver_that_lacks_its_functions_or_crashes_breaks_nothing() {
    if !looks_for_a_driver() {
        return;
    }
    let broken = [
        "int nothing;",
        "#include <cstdlib>\nextern \"C\" int cuInit(unsigned) { std::abort(); }",
        "__attribute__((constructor)) static void crash() { *(volatile int *)0 = 1; }",
    ];
    for source in broken {
        let found = doctor(driver(source).path());
        assert!(no_gpu(&found).contains("NVIDIA's driver is broken"), "{source}: {found}");
    }
}

#[test]
fn a_driver_without_a_gpu_is_told_in_its_own_words() {
    if !looks_for_a_driver() {
        return;
    }
    let source = "extern \"C\" {
        int cuInit(unsigned) { return 100; }
        int cuGetErrorName(int, const char **name) { *name = \"CUDA_ERROR_NO_DEVICE\"; return 0; }
        int cuGetErrorString(int, const char **text) { *text = \"no CUDA-capable device is detected\"; return 0; }
    }";
    let found = doctor(driver(source).path());
    assert!(no_gpu(&found).contains("CUDA_ERROR_NO_DEVICE"), "{found}");
}

#[test]
fn a_driver_that_is_too_old_for_the_kernels_is_no_driver_and_doctor_says_which_is() {
    if !looks_for_a_driver() {
        return;
    }
    let source = "extern \"C\" {
        int cuInit(unsigned) { return 0; }
        int cuDeviceGetCount(int *count) { *count = 1; return 0; }
        int cuDriverGetVersion(int *version) { *version = 12080; return 0; }
    }";
    let found = doctor(driver(source).path());
    let reason = no_gpu(&found);
    assert!(reason.contains("it knows CUDA 12.8, the kernels need 13.0: install driver 580 or newer"), "{reason}");
    assert_eq!(found["needed_driver"], 580);
}

#[test]
fn a_tensorrt_of_another_major_version_is_refused_by_what_it_says_itself_whatever_its_file_is_called() {
    if !cfg!(feature = "tensorrt") {
        eprintln!("SKIPPED: built without the feature tensorrt");
        return;
    }
    let says = |number: u32| format!("extern \"C\" int getInferLibVersion() {{ return {number}; }}");
    let asked = |source: &str| doctor(library("libnvinfer.so.11", source).path())["tensorrt"].clone();
    assert_eq!(asked(&says(110_402))["here"], "11.4.2");
    for (number, version) in [(8601, "8.6.1"), (101_302, "10.13.2"), (120_000, "12.0.0")] {
        let found = asked(&says(number));
        let reason = found["absent"]["reason"].as_str().unwrap();
        assert!(
            reason.contains(&format!("libnvinfer.so.11 is of version {version}, this program needs version 11")),
            "{reason}"
        );
    }
    let silent = asked("int nothing;");
    assert!(silent["absent"]["reason"].as_str().unwrap().contains("does not say which version"), "{silent}");
}

#[test]
fn an_engine_that_is_asked_for_by_name_and_is_not_here_is_an_error_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tableside.toml");
    for engine in ["cuda", "tensorrt"] {
        std::fs::write(&config, format!("[engine]\nkind = \"{engine}\"\n")).unwrap();
        let output = Command::new(TABLESIDE)
            .args(["doctor", "--config", text(&config)])
            .env("LD_LIBRARY_PATH", folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("No engine serves: the {engine} engine is not here")), "{said}");
    }
}

/// Exit code, standard output and standard error of a check of the GPU, where libraries are looked for in this folder first.
fn gpu_check(program: &str, args: &[&str], libraries: &Path) -> (Option<i32>, String, String) {
    let output = Command::new(program).args(args).env("LD_LIBRARY_PATH", libraries).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_check_of_the_gpu_says_in_one_line_why_there_is_none() {
    if !looks_for_a_driver() || Path::new("/proc/driver/nvidia/version").exists() {
        eprintln!("SKIPPED: there is nothing to check with, or a GPU");
        return;
    }
    let nothing = tempfile::tempdir().unwrap();
    let crashing = driver("__attribute__((constructor)) static void crash() { *(volatile int *)0 = 1; }");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/gpu-check.sh");
    for (libraries, reason) in [(nothing.path(), "driver is not installed"), (crashing.path(), "driver is broken")] {
        for (program, args) in [(TABLESIDE, &["gpu-check"][..]), (text(&script), &[TABLESIDE])] {
            let (code, table, said) = gpu_check(program, args, libraries);
            assert_eq!((code, table.as_str()), (Some(1), ""), "{said}");
            assert!(said.starts_with("tableside: there is no GPU to check: ") && said.contains(reason), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }
}

#[test]
fn a_program_without_gpu_engines_offers_no_check_of_them() {
    let help = Command::new(TABLESIDE).arg("--help").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&help.stdout).contains("gpu-check"), cfg!(feature = "cuda"));
}
