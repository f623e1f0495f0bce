//! Two engines, one arithmetic; the network in half precision beside it; and the shipped package gives what it gave when it
//! was made.

use serde_json::Value;
use tableside::engine::ModelPackage;
use tableside::parity::{
    CheckReport, Comparison, EngineRun, EngineState, HALF_PRECISION, check, phantom_exam, windows_of,
};
use tableside::scanner::series::load_folder;
use tableside::serving::choice::EngineOptions;

use crate::series::{onnxruntime, real_series};

/// What the shipped package's embedded engine finds on the phantom. After a change of weights or preprocessing that is
/// meant: `cargo run -- model check reference --windows 8 --evidence engines/reference/pinned.json`
const PINNED: &str = include_str!("../../engines/reference/pinned.json");

/// How far machines and engines may lie from the pinned areas, cm²: a few pixels at a mask's edge.
const AREA_TOLERANCE_CM2: f64 = 0.2;
/// How far they may lie from the pinned attentions and logits, which a pixel more or less moves.
const NUMBER_TOLERANCE: f64 = 0.1;
/// How far half precision may lie from single precision: in a pixel and in a slab, and how many pixels of the masks may differ
/// in a window. About twice what was found when it was made.
const HALF_PIXEL: f64 = 0.08;
const HALF_SLAB: f64 = 0.03;
const HALF_MASK_PIXELS_A_WINDOW: usize = 3;

#[test]
fn the_shipped_package_gives_its_pinned_outputs_on_the_phantom_in_every_engine() {
    let pinned: Value = serde_json::from_str(PINNED).unwrap();
    let package = ModelPackage::built_in().unwrap();
    assert_eq!(pinned["sha256"], package.manifest.sha256.as_str(), "the weights were changed: renew pinned.json");
    let pinned = pinned["windows"].as_array().unwrap();
    let windows = windows_of(&phantom_exam().unwrap(), &package.manifest.input, pinned.len()).unwrap();
    let report = check(&package, &options(), &windows);
    for (engine, run) in runs(&report).filter(|(engine, _)| *engine != HALF_PRECISION) {
        assert!(run.problems.is_empty(), "{engine}: {:?}", run.problems);
        assert_eq!(run.evidence.len(), pinned.len());
        for (found, pinned) in run.evidence.iter().zip(pinned) {
            assert_eq!(pinned["slab"], found.slab.0);
            let pairs = [
                ("lung_cm2", found.lung_cm2, AREA_TOLERANCE_CM2),
                ("lesion_cm2", found.lesion_cm2, AREA_TOLERANCE_CM2),
                ("attention", f64::from(found.attention), NUMBER_TOLERANCE),
                ("logit", f64::from(found.logit), NUMBER_TOLERANCE),
            ];
            for (name, found, tolerance) in pairs {
                let expected = pinned[name].as_f64().unwrap();
                assert!(
                    (found - expected).abs() <= tolerance,
                    "{engine}: {name} is {found}, pinned {expected}: {pinned}"
                );
            }
        }
    }
}

#[test]
fn half_precision_passes_the_self_test_and_stays_close_to_single_precision_on_the_phantom() {
    let Some(library) = onnxruntime() else { return };
    let options = EngineOptions { onnxruntime_library: Some(library), ..EngineOptions::default() };
    let package = ModelPackage::built_in().unwrap();
    let windows = windows_of(&phantom_exam().unwrap(), &package.manifest.input, 12).unwrap();
    // An engine that does not pass the self-test has failed.
    let report = check(&package, &options, &windows);
    assert!(report.holds && runs(&report).any(|(engine, _)| engine == HALF_PRECISION), "{:?}", report.comparisons);
    let half = assert_half_precision_is_close(&report);
    // Else single precision ran under its name.
    assert!(half.pixel_probability > 1e-4, "{half:?}");
    // A bias of the last convolution that is off by a fiftieth would give 3e-5 and 0.025.
    assert!(half.mean_pixel_probability < 2e-5 && half.mean_logit < 0.006, "{half:?}");
    assert!(half.attention < 0.06, "{half:?}");
}

fn assert_half_precision_is_close(report: &CheckReport) -> &Comparison {
    let half = report.comparisons.iter().find(|two| two.engine == HALF_PRECISION).unwrap();
    assert!(half.pixel_probability < HALF_PIXEL && half.slab_probability < HALF_SLAB, "{half:?}");
    assert!(half.mask_pixels <= HALF_MASK_PIXELS_A_WINDOW * report.windows, "{half:?}");
    assert!(half.case_probability < 0.002, "{half:?}");
    half
}

#[test]
fn the_engines_agree_on_a_hundred_windows_of_real_exams() {
    let Some(library) = onnxruntime() else { return };
    let package = ModelPackage::built_in().unwrap();
    let options = EngineOptions { onnxruntime_library: Some(library), ..EngineOptions::default() };
    for name in ["covid-p001", "pneumonia-cap001", "normal-001", "screening-nlst"] {
        let Some(folder) = real_series(name) else { continue };
        let exam = load_folder(&folder).unwrap().instances;
        let windows = windows_of(&exam, &package.manifest.input, 25).unwrap();
        let report = check(&package, &options, &windows);
        assert_eq!((runs(&report).count(), report.windows), (3, 25), "{report:?}");
        for Comparison { engine, pixel_probability, slab_probability, case_probability, .. } in &report.comparisons {
            eprintln!(
                "{name}, {engine}: pixels {pixel_probability:.1e}, slabs {slab_probability:.1e}, case {case_probability:.1e}"
            );
        }
        assert_half_precision_is_close(&report);
        assert!(report.holds, "{name}: {:?}", report.comparisons);
    }
}

/// The embedded engine, and the ONNX Runtime where its library is found.
fn options() -> EngineOptions {
    EngineOptions { onnxruntime_library: onnxruntime(), ..EngineOptions::default() }
}

fn runs(report: &CheckReport) -> impl Iterator<Item = (&str, &EngineRun)> {
    report.engines.iter().filter_map(|check| match &check.state {
        EngineState::Ran(run) => Some((check.engine, run)),
        EngineState::Absent { reason } => {
            eprintln!("SKIPPED: {}: {reason}", check.engine);
            None
        }
        EngineState::Failed { reason } => panic!("{}: {reason}", check.engine),
    })
}
