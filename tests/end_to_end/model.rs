//! `tableside model`: packages that are whole, damaged or wrong.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use rten_onnx::onnx::{
    AttributeProto, AttributeType, DataType, Dimension, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TypeProto, TypeProtoTensor, ValueInfoProto,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::peers::{tableside, text};

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("engines/reference")
}

/// A folder for packages, and a configuration in which there is no ONNX Runtime.
struct Packages(TempDir);

impl Packages {
    fn new() -> Self {
        let packages = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(packages.folder()).unwrap();
        std::fs::write(packages.config(), "[engine]\nonnxruntime = \"/nonexistent/libonnxruntime.so\"\n").unwrap();
        packages
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("models")
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("tableside.toml")
    }

    /// Makes a package of these weights; its manifest is the reference's with `changes` and the right checksum.
    fn make(&self, name: &str, weights: &[u8], changes: &[(&str, &str)]) {
        let folder = self.folder().join(name);
        std::fs::create_dir(&folder).unwrap();
        let reference = std::fs::read_to_string(reference().join("model.toml")).unwrap();
        // Other weights do not say what the reference's say, nor are they its network in half precision.
        let mut manifest = reference.split("\n# What every engine must find").next().unwrap().to_owned();
        let checksum = checksum(weights);
        let (before, after) = manifest.split_once("sha256 = \"").unwrap();
        manifest = format!("{before}sha256 = \"{checksum}{}", &after[64..]);
        for (from, to) in changes {
            assert!(manifest.contains(from), "{from}");
            manifest = manifest.replace(from, to);
        }
        std::fs::write(folder.join("model.toml"), manifest).unwrap();
        std::fs::write(folder.join("model.onnx"), weights).unwrap();
    }

    fn run(&self, command: &[&str]) -> Output {
        let (folder, config) = (self.folder(), self.config());
        tableside(&[&["model"], command, &["--models", text(&folder), "--config", text(&config)]].concat())
    }

    /// What standard error says of a package that cannot be checked.
    fn refusal(&self, name: &str) -> String {
        let output = self.run(&["check", name, "--windows", "1"]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(output.stdout.is_empty(), "{}", printed(&output));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(errors.lines().count(), 1, "{errors}");
        errors
    }
}

fn checksum(weights: &[u8]) -> String {
    Sha256::digest(weights).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn weights() -> Vec<u8> {
    std::fs::read(reference().join("model.onnx")).unwrap()
}

#[test]
fn the_list_names_whole_packages_and_damaged_ones_with_what_is_wrong() {
    let packages = Packages::new();
    packages.make("larger", &weights(), &[]);
    let whole = packages.run(&["list", "--json"]);
    assert_eq!(whole.status.code(), Some(0));
    let listed = json(&whole);
    assert_eq!((&listed[0]["name"], &listed[0]["folder"]), (&"reference".into(), &Value::Null));
    assert_eq!(listed[1]["name"], "larger");
    assert_eq!(listed[1]["engines"], serde_json::json!(["embedded"]));

    packages.make("damaged", &weights(), &[]);
    std::fs::write(packages.folder().join("damaged/model.onnx"), "nothing").unwrap();
    let damaged = packages.run(&["list"]);
    assert_eq!(damaged.status.code(), Some(1));
    let text = printed(&damaged);
    assert!(text.contains("damaged") && text.contains("SHA-256") && text.contains("larger"), "{text}");
}

#[test]
fn inspect_says_in_words_and_in_json_what_a_package_is() {
    let packages = Packages::new();
    let words = printed(&packages.run(&["inspect", "reference"]));
    for said in [
        "Not a medical device",
        "3 slabs of 3 mm",
        "-1150 to 150 HU",
        "GFLOP a window",
        "SHA-256",
        "suspected",
        "in half precision",
    ] {
        assert!(words.contains(said), "{said} is missing:\n{words}");
    }
    assert!(!words.contains("# Reference model"));
    assert!(printed(&packages.run(&["inspect", "reference", "--card"])).contains("# Reference model"));
    let description = json(&packages.run(&["inspect", "reference", "--json"]));
    assert_eq!(description["input"]["slabs"], 3);
    assert_eq!(description["half_precision"]["weights_bytes"], 1_246_226);
    assert_ne!(description["half_precision"]["sha256"], description["sha256"]);
    let gflop = description["gflop_per_window"].as_f64().unwrap();
    assert!((0.1..=1.5).contains(&gflop), "{gflop}");
}

#[test]
fn an_unknown_name_is_answered_with_the_names_there_are() {
    let packages = Packages::new();
    packages.make("larger", &weights(), &[]);
    let error = packages.refusal("nonsense");
    assert!(error.contains("\"nonsense\"") && error.contains("reference, larger"), "{error}");
}

#[test]
fn check_runs_the_built_in_package_in_the_engines_there_are() {
    let packages = Packages::new();
    let evidence = packages.0.path().join("evidence.json");
    let output = packages.run(&["check", "reference", "--windows", "2", "--json", "--evidence", text(&evidence)]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let report = json(&output);
    assert_eq!((&report["holds"], &report["windows"]), (&true.into(), &2.into()));
    assert_eq!(report["engines"][0]["state"], "ran");
    assert!(report["engines"][0]["window_ms"]["p50"].as_f64().unwrap() > 0.0);
    assert_eq!(report["engines"][1]["state"], "absent");
    assert!(report["engines"][1]["reason"].as_str().unwrap().contains("/nonexistent"), "{report}");
    let written: Value = serde_json::from_slice(&std::fs::read(evidence).unwrap()).unwrap();
    assert_eq!(written["windows"], report["engines"][0]["evidence"]);
}

#[test]
fn a_package_that_cannot_run_is_refused_in_one_line_that_says_why() {
    let packages = Packages::new();
    packages.make("text", b"this is no network", &[]);
    packages.make("empty", b"", &[]);
    packages.make("changed", &weights(), &[]);
    std::fs::write(packages.folder().join("changed/model.onnx"), &weights()[..1000]).unwrap();
    packages.make("outputs", &weights(), &[("lesion = \"lesion\"", "lesion = \"lesions\"")]);
    packages.make("input", &weights(), &[("name = \"window\"", "name = \"image\"")]);
    packages.make("shape", &weights(), &[("rows = 256", "rows = 128")]);
    packages.make("slabs", &weights(), &[("slabs = 3", "slabs = 5")]);
    let expected = [
        ("text", "no ONNX file"),
        ("empty", "no ONNX file"),
        ("changed", "SHA-256"),
        ("outputs", "no output \"lesions\", its outputs are \"lung\", \"lesion\", \"attention\", \"logit\""),
        ("input", "no input \"image\", its inputs are \"window\""),
        ("shape", "1 x 3 x 128 x 256"),
        ("slabs", "input.slabs is 5"),
    ];
    for (name, reason) in expected {
        let error = packages.refusal(name);
        assert!(error.contains(reason), "{name}: {error}");
    }
}

#[test]
fn a_network_in_half_precision_that_is_another_one_is_refused() {
    let packages = Packages::new();
    packages.make("two", &weights(), &[]);
    let folder = packages.folder().join("two");
    let half = network("Sub");
    std::fs::write(folder.join("half.onnx"), &half).unwrap();
    let table = |sha256: &str| format!("\n[half_precision]\nweights = \"half.onnx\"\nsha256 = \"{sha256}\"\n");
    let manifest = std::fs::read_to_string(folder.join("model.toml")).unwrap();
    let write = |sha256: &str| std::fs::write(folder.join("model.toml"), manifest.clone() + &table(sha256)).unwrap();
    write(&"0".repeat(64));
    let error = packages.refusal("two");
    assert!(error.contains("half.onnx") && error.contains("SHA-256"), "{error}");
    write(&checksum(&half));
    let error = packages.refusal("two");
    assert!(error.contains("in half precision its input \"window\" is 1 x 3 x 32 x 32"), "{error}");
}

#[test]
fn a_network_with_impossible_outputs_does_not_hold() {
    let packages = Packages::new();
    let small = [("rows = 256", "rows = 32"), ("columns = 256", "columns = 32")];
    packages.make("impossible", &network("Sub"), &small);
    let output = packages.run(&["check", "impossible", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let report = json(&output);
    let problems = report["engines"][0]["problems"].to_string();
    assert!(problems.contains("lung is no probability"), "{report}");
    assert!(problems.contains("lesion is 0 in every pixel"), "{report}");

    packages.make("not-a-number", &network("Log"), &small);
    let output = packages.run(&["check", "not-a-number"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(printed(&output).contains("output lesion is not a number"), "{}", printed(&output));
}

/// A network whose lung is the sum of the window's slabs, whose lesion is the lung less itself (`Sub`) or its logarithm
/// (`Log`), and whose attention and logit are the lung's mean.
fn network(lesion_operator: &str) -> Vec<u8> {
    let node = |operator: &str, input: &[&str], output: &str| NodeProto {
        op_type: Some(operator.to_owned()),
        name: Some(format!("make_{output}")),
        input: input.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    };
    let value = |name: &str, shape: [i64; 4]| {
        let dim = shape.map(|n| Dimension { dim_value: Some(n), dim_param: None }).to_vec();
        let tensor = TypeProtoTensor { elem_type: Some(DataType(1)), shape: Some(TensorShapeProto { dim }) };
        let kind = TypeProto { tensor_type: Some(tensor), sequence: None };
        ValueInfoProto { name: Some(name.to_owned()), r#type: Some(kind) }
    };
    let ones = TensorProto {
        dims: vec![1, 3, 1, 1],
        data_type: Some(DataType(1)),
        float_data: vec![1.0; 3],
        name: Some("ones".to_owned()),
        ..TensorProto::default()
    };
    let lesion_inputs = if lesion_operator == "Sub" { &["lung", "lung"][..] } else { &["lung"] };
    let attribute = |name: &str, ints: &[i64]| AttributeProto {
        name: Some(name.to_owned()),
        ints: ints.to_vec(),
        r#type: Some(AttributeType::INTS),
        ..AttributeProto::default()
    };
    let plain = vec![attribute("strides", &[1, 1]), attribute("dilations", &[1, 1]), attribute("pads", &[0; 4])];
    let graph = GraphProto {
        node: vec![
            NodeProto { attribute: plain, ..node("Conv", &["window", "ones"], "lung") },
            node(lesion_operator, lesion_inputs, "lesion"),
            node("GlobalAveragePool", &["lung"], "attention"),
            node("GlobalAveragePool", &["lung"], "logit"),
        ],
        initializer: vec![ones],
        input: vec![value("window", [1, 3, 32, 32])],
        output: vec![
            value("lung", [1, 1, 32, 32]),
            value("lesion", [1, 1, 32, 32]),
            value("attention", [1, 1, 1, 1]),
            value("logit", [1, 1, 1, 1]),
        ],
        value_info: Vec::new(),
    };
    let opset = OperatorSetIdProto { version: Some(17), ..OperatorSetIdProto::default() };
    let network =
        ModelProto { ir_version: Some(8), graph: Some(graph), opset_import: vec![opset], ..ModelProto::default() };
    network.write_buf().unwrap()
}
