//! `model inspect`: what a package says of itself, in words.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tableside::engine::{CaseHead, ModelFolders, ModelPackage, OperatingPoint, OutputNames, operations_per_window};
use tableside::preprocess::InputGeometry;

use crate::command::{DONE, Outcome, print_json};

#[derive(Args)]
pub struct InspectArgs {
    #[arg(value_name = "NAME")]
    name: String,
    /// Print the model card too
    #[arg(long)]
    card: bool,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// A package, as printed.
#[derive(Serialize)]
struct Description {
    name: String,
    version: String,
    intended_use: String,
    /// `null` for the one in the program.
    folder: Option<PathBuf>,
    weights_bytes: usize,
    sha256: String,
    /// The model that TensorRT's plan is built from; `null` if that is the one above.
    half_precision: Option<Weights>,
    /// Multiplications and additions of the convolutions, in thousand millions; `null` if they cannot be counted.
    gflop_per_window: Option<f64>,
    input: InputGeometry,
    outputs: OutputNames,
    case: CaseHead,
    operating_point: OperatingPoint,
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<String>,
}

/// A further ONNX file of a package, as printed.
#[derive(Serialize)]
struct Weights {
    weights_bytes: usize,
    sha256: String,
}

pub fn inspect(args: &InspectArgs, folders: &ModelFolders) -> Outcome {
    let package = folders.find(&args.name)?;
    let card = if args.card { Some(package.card()?) } else { None };
    let description = describe(&package, card)?;
    if args.json {
        return print_json(&description);
    }
    print(&description);
    Ok(DONE)
}

fn describe(package: &ModelPackage, card: Option<String>) -> Result<Description, Box<dyn std::error::Error>> {
    let manifest = package.manifest.clone();
    let half = package.in_half_precision();
    Ok(Description {
        name: manifest.name,
        version: manifest.version,
        intended_use: manifest.intended_use,
        folder: package.folder.clone(),
        weights_bytes: package.weights().len(),
        sha256: manifest.sha256,
        half_precision: half.map(|half| Weights { weights_bytes: half.weights().len(), sha256: half.manifest.sha256 }),
        gflop_per_window: operations_per_window(package)?.map(|operations| operations as f64 / 1e9),
        input: manifest.input,
        outputs: manifest.outputs,
        case: manifest.case,
        operating_point: manifest.operating_point,
        card,
    })
}

fn print(package: &Description) {
    let Description { name, version, intended_use, input, outputs, case, operating_point: point, .. } = package;
    let place = package.folder.as_ref().map_or("in the program".to_owned(), |folder| folder.display().to_string());
    println!("{name} {version}, {place}\n{intended_use}\n");
    let field = |pixels: usize| pixels as f64 * input.pixel_mm;
    let [low, high] = input.hu_window;
    let lines = [
        (
            "input",
            format!(
                "{}: {} slabs of {} mm, the middle one is inferred; {} x {} pixels of {} mm ({} x {} mm)",
                input.name,
                input.slabs,
                input.slab_mm,
                input.rows,
                input.columns,
                input.pixel_mm,
                field(input.columns),
                field(input.rows)
            ),
        ),
        ("HU window", format!("{low} to {high} HU become 0 to 1, what lies outside is clamped")),
        (
            "outputs",
            format!(
                "{} and {}, probabilities of each pixel; {} and {}, one number a slab each",
                outputs.lung, outputs.lesion, outputs.attention, outputs.logit
            ),
        ),
        ("weights", format!("{:.2} MB, SHA-256 {}", package.weights_bytes as f64 / 1e6, package.sha256)),
        (
            "",
            package.half_precision.as_ref().map_or("none in half precision".to_owned(), |half| {
                let megabytes = half.weights_bytes as f64 / 1e6;
                format!("in half precision {megabytes:.2} MB, SHA-256 {} (for TensorRT)", half.sha256)
            }),
        ),
        (
            "work",
            package
                .gflop_per_window
                .map_or("not known".to_owned(), |gflop| format!("{gflop:.2} GFLOP a window in convolutions")),
        ),
        (
            "case",
            format!(
                "probability = logistic({} * (mean of the logits weighted by softmax(attention) + {}) + {})",
                case.calibration_slope, case.bias, case.calibration_intercept
            ),
        ),
        ("suspected", format!("from a case probability of {}", point.suspected)),
        (
            "early flag",
            format!(
                "from a running probability of {} over at least {} mm of lung",
                point.early, point.early_min_lung_mm
            ),
        ),
        ("calibrated", format!("to flag at most {} % of negative exams early", point.early_alpha * 100.0)),
        (
            "masks",
            format!("lung from a probability of {}, lesion from {}", point.lung_probability, point.lesion_probability),
        ),
    ];
    for (label, text) in lines {
        println!("{label:11} {text}");
    }
    if let Some(card) = &package.card {
        println!("\n{card}");
    }
}
