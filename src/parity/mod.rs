//! Whether a model package runs as it should on this machine: every engine that is there runs the same windows, their outputs
//! are compared with each other and with what any output must be, and their time is taken. [`kernels`] compares the kernels
//! with the CPU in the same way, `on_gpu` (feature `cuda`) a GPU.

pub mod kernels;
#[cfg(feature = "cuda")]
pub mod on_gpu;
mod pin;
pub mod random;
mod windows;

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::engine::{Engine, EngineError, EngineKind, Inference, Manifest, ModelPackage, OperatingPoint};
use crate::exam::SlabIndex;
use crate::scanner::Quantiles;
use crate::serving::choice::{self, EngineOptions};
use crate::triage::{SlabEvidence, case_score};

pub use pin::{PinError, Pinned, pin};
pub use windows::{SlabWindow, WindowError, phantom_exam, windows_of};

/// How far two engines may lie apart in any probability: of a pixel, of a slab, of the case.
pub const TOLERANCE: f64 = 1e-3;
/// The same where one of the two computes in half precision: a pixel at the edge of a mask is rounded through the whole model.
pub const HALF_PRECISION_TOLERANCE: f64 = 0.1;

/// The name in a report of the package's model in half precision as the ONNX Runtime runs it on the CPU. That rounds weights and
/// window to half precision, and computes in single precision in between: it shows whether this is the same model.
pub const HALF_PRECISION: &str = "half";

/// What a check found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    pub model: String,
    pub version: String,
    /// Of the weights.
    pub sha256: String,
    /// How many windows every engine inferred.
    pub windows: usize,
    /// Threads of one inference.
    pub threads: usize,
    /// See [`TOLERANCE`].
    pub tolerance: f64,
    /// Every engine, and [`HALF_PRECISION`] where the package has such a model.
    pub engines: Vec<EngineCheck>,
    /// Every further engine against the first that ran.
    pub comparisons: Vec<Comparison>,
    /// At least one engine ran, none failed or gave impossible outputs, and all agree.
    pub holds: bool,
}

/// One engine and how it did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EngineCheck {
    pub engine: &'static str,
    #[serde(flatten)]
    pub state: EngineState,
}

/// How an engine did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum EngineState {
    /// It is not on this machine.
    Absent {
        reason: String,
    },
    /// It could not load the package or failed on a window.
    Failed {
        reason: String,
    },
    Ran(EngineRun),
}

/// What an engine made of the windows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EngineRun {
    /// Time of one window, after each had been run once.
    pub window_ms: Quantiles,
    /// Of a case of these windows alone.
    pub case_probability: f64,
    /// What must not be, in words.
    pub problems: Vec<String>,
    pub evidence: Vec<WindowEvidence>,
}

/// What an engine says of one window, at the package's operating point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WindowEvidence {
    pub slab: SlabIndex,
    pub lung_cm2: f64,
    pub lesion_cm2: f64,
    pub attention: f32,
    pub logit: f32,
}

/// The differences of two engines over all windows, the largest where nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Comparison {
    pub engine: &'static str,
    pub with: &'static str,
    /// Lung or lesion probability of a pixel.
    pub pixel_probability: f64,
    /// The same, the mean over all pixels of both planes.
    pub mean_pixel_probability: f64,
    /// How many pixels of all lung and lesion masks at the package's operating point are in one engine's alone.
    pub mask_pixels: usize,
    /// Logistic function of a slab's logit.
    pub slab_probability: f64,
    pub case_probability: f64,
    pub attention: f64,
    pub mean_attention: f64,
    pub logit: f64,
    pub mean_logit: f64,
    /// [`TOLERANCE`] or [`HALF_PRECISION_TOLERANCE`].
    pub tolerance: f64,
    /// Whether all probabilities lie within the tolerance.
    pub agree: bool,
}

/// Something to run the windows through.
struct Candidate<'a> {
    name: &'static str,
    kind: EngineKind,
    package: &'a ModelPackage,
    tolerance: f64,
}

/// Runs the windows through every engine that is there.
#[must_use]
pub fn check(package: &ModelPackage, options: &EngineOptions, windows: &[SlabWindow]) -> CheckReport {
    let manifest = &package.manifest;
    let half = package.in_half_precision();
    // Every engine is compared with the simplest one.
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for kind in EngineKind::ALL.into_iter().rev() {
        let in_half = kind == EngineKind::TensorRt && half.is_some();
        let tolerance = if in_half { HALF_PRECISION_TOLERANCE } else { TOLERANCE };
        candidates.push(Candidate { name: kind.name(), kind, package, tolerance });
    }
    if let Some(package) = &half {
        let (name, kind, tolerance) = (HALF_PRECISION, EngineKind::OnnxRuntime, HALF_PRECISION_TOLERANCE);
        candidates.push(Candidate { name, kind, package, tolerance });
    }
    let mut engines = Vec::new();
    let mut ran: Vec<EngineToCompare> = Vec::new();
    for Candidate { name, kind, package, tolerance } in candidates {
        let outcome = choice::load(package, kind, options).and_then(|mut engine| run(engine.as_mut(), windows));
        let state = match outcome {
            Err(EngineError::Absent { reason, .. }) => EngineState::Absent { reason },
            Err(reason @ EngineError::NoPlan) => EngineState::Absent { reason: reason.to_string() },
            Err(error) => EngineState::Failed { reason: error.to_string() },
            Ok(run) => {
                let report = run.report(windows, manifest);
                let case_probability = report.case_probability;
                ran.push(EngineToCompare { engine: name, inferences: run.inferences, case_probability, tolerance });
                EngineState::Ran(report)
            }
        };
        engines.push(EngineCheck { engine: name, state });
    }
    let comparisons: Vec<Comparison> = match ran.split_first() {
        Some((first, others)) => others.iter().map(|other| compare(other, first, &manifest.operating_point)).collect(),
        None => Vec::new(),
    };
    let sound = |check: &EngineCheck| match &check.state {
        EngineState::Absent { .. } => true,
        EngineState::Failed { .. } => false,
        EngineState::Ran(run) => run.problems.is_empty(),
    };
    let holds = !ran.is_empty() && engines.iter().all(sound) && comparisons.iter().all(|comparison| comparison.agree);
    CheckReport {
        model: manifest.name.clone(),
        version: manifest.version.clone(),
        sha256: manifest.sha256.clone(),
        windows: windows.len(),
        threads: options.inference_threads(),
        tolerance: TOLERANCE,
        engines,
        comparisons,
        holds,
    }
}

/// One of an inference's planes.
type PlaneOf = fn(&Inference) -> &[f32];

/// The raw outcome of an engine.
struct EngineOutputs {
    inferences: Vec<Inference>,
    /// Slabs whose second inference gave other bits than the first.
    unsteady: Vec<SlabIndex>,
    times: Vec<Duration>,
}

fn run(engine: &mut dyn Engine, windows: &[SlabWindow]) -> Result<EngineOutputs, EngineError> {
    let inferences = windows.iter().map(|one| engine.infer(&one.window)).collect::<Result<Vec<_>, _>>()?;
    let (mut unsteady, mut times) = (Vec::new(), Vec::new());
    for (one, first) in windows.iter().zip(&inferences) {
        let started = Instant::now();
        let again = engine.infer(&one.window)?;
        times.push(started.elapsed());
        if !same_bits(first, &again) {
            unsteady.push(one.slab);
        }
    }
    Ok(EngineOutputs { inferences, unsteady, times })
}

fn same_bits(one: &Inference, other: &Inference) -> bool {
    let bits = |inference: &Inference| -> Vec<u32> {
        let numbers = [inference.attention, inference.logit];
        inference.lung.iter().chain(&inference.lesion).chain(&numbers).map(|value| value.to_bits()).collect()
    };
    bits(one) == bits(other)
}

impl EngineOutputs {
    fn report(&self, windows: &[SlabWindow], manifest: &Manifest) -> EngineRun {
        let (input, point) = (&manifest.input, &manifest.operating_point);
        let middle = input.slabs / 2 * input.plane_len();
        let slab_plane = |window: &SlabWindow| window.window.values()[middle..middle + input.plane_len()].to_vec();
        let evidence: Vec<SlabEvidence> = windows
            .iter()
            .zip(&self.inferences)
            .map(|(window, inference)| {
                let plane = slab_plane(window);
                SlabEvidence::new(inference, &plane, input, point).measured(&plane, &manifest.case, input)
            })
            .collect();
        EngineRun {
            window_ms: Quantiles::of(self.times.clone()),
            case_probability: case_score(evidence.iter(), &manifest.case).unwrap_or_default(),
            problems: self.problems(windows),
            evidence: windows
                .iter()
                .zip(&evidence)
                .map(|(window, evidence)| WindowEvidence {
                    slab: window.slab,
                    lung_cm2: evidence.lung_cm2,
                    lesion_cm2: evidence.lesion_cm2,
                    attention: evidence.attention,
                    logit: evidence.logit,
                })
                .collect(),
        }
    }

    fn problems(&self, windows: &[SlabWindow]) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(slab) = self.unsteady.first() {
            let count = self.unsteady.len();
            problems.push(format!(
                "the same window does not give the same bits twice ({count} of {} windows, first slab {})",
                windows.len(),
                slab.0
            ));
        }
        let planes: [(&str, PlaneOf); 2] = [("lung", |one| &one.lung), ("lesion", |one| &one.lesion)];
        for (output, plane) in planes {
            let values = || self.inferences.iter().flat_map(plane).copied();
            let (lowest, highest) =
                (values().fold(f32::INFINITY, f32::min), values().fold(f32::NEG_INFINITY, f32::max));
            if lowest < 0.0 || highest > 1.0 {
                problems.push(format!("{output} is no probability: it runs from {lowest} to {highest}"));
            }
            if lowest >= highest {
                problems.push(format!("{output} is {lowest} in every pixel of every window"));
            }
        }
        problems
    }
}

/// An engine that ran, to be compared.
struct EngineToCompare {
    engine: &'static str,
    inferences: Vec<Inference>,
    case_probability: f64,
    tolerance: f64,
}

fn compare(one: &EngineToCompare, first: &EngineToCompare, point: &OperatingPoint) -> Comparison {
    let pairs = || one.inferences.iter().zip(&first.inferences);
    let largest_and_mean = |of: fn(&Inference) -> f64| {
        let apart = || pairs().map(|(a, b)| (of(a) - of(b)).abs());
        (apart().fold(0.0, f64::max), apart().sum::<f64>() / apart().count().max(1) as f64)
    };
    let planes: [(PlaneOf, f32); 2] =
        [(|one| &one.lung, point.lung_probability), (|one| &one.lesion, point.lesion_probability)];
    let (mut pixels, mut mask_pixels, mut furthest, mut sum) = (0_usize, 0, 0.0, 0.0);
    for (plane, threshold) in planes {
        for (a, b) in pairs().flat_map(|(a, b)| plane(a).iter().zip(plane(b))) {
            let apart = f64::from((a - b).abs());
            pixels += 1;
            mask_pixels += usize::from((*a >= threshold) != (*b >= threshold));
            furthest = f64::max(furthest, apart);
            sum += apart;
        }
    }
    let (slab_probability, _) = largest_and_mean(|one| 1.0 / (1.0 + (-f64::from(one.logit)).exp()));
    let (attention, mean_attention) = largest_and_mean(|one| f64::from(one.attention));
    let (logit, mean_logit) = largest_and_mean(|one| f64::from(one.logit));
    let case_probability = (one.case_probability - first.case_probability).abs();
    let tolerance = f64::max(one.tolerance, first.tolerance);
    Comparison {
        engine: one.engine,
        with: first.engine,
        pixel_probability: furthest,
        mean_pixel_probability: sum / pixels.max(1) as f64,
        mask_pixels,
        slab_probability,
        case_probability,
        attention,
        mean_attention,
        logit,
        mean_logit,
        tolerance,
        agree: [furthest, slab_probability, case_probability].into_iter().all(|apart| apart <= tolerance),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two 1 x 2 planes and two numbers.
    fn inference(lung: [f32; 2], lesion: [f32; 2], logit: f32) -> Inference {
        Inference { lung: lung.to_vec(), lesion: lesion.to_vec(), attention: 0.0, logit }
    }

    /// An engine that ran one window.
    fn ran(lesion: f32, logit: f32, case_probability: f64) -> EngineToCompare {
        let inferences = vec![inference([0.0, 1.0], [0.0, lesion], logit)];
        EngineToCompare { engine: "test", inferences, case_probability, tolerance: TOLERANCE }
    }

    fn point() -> OperatingPoint {
        ModelPackage::built_in().unwrap().manifest.operating_point
    }

    fn problems_of(inferences: Vec<Inference>, unsteady: Vec<SlabIndex>) -> Vec<String> {
        EngineOutputs { inferences, unsteady, times: Vec::new() }.problems(&[])
    }

    #[test]
    fn impossible_outputs_are_named() {
        assert!(problems_of(vec![inference([0.1, 0.9], [0.0, 1.0], 0.0)], Vec::new()).is_empty());
        let beyond = problems_of(vec![inference([0.1, 1.5], [0.0, 1.0], 0.0)], Vec::new());
        assert!(beyond.len() == 1 && beyond[0].contains("lung is no probability"), "{beyond:?}");
        let constant = problems_of(vec![inference([0.1, 0.9], [0.2, 0.2], 0.0); 3], Vec::new());
        assert!(constant.len() == 1 && constant[0].contains("lesion is 0.2 in every pixel"), "{constant:?}");
        let unsteady = problems_of(vec![inference([0.1, 0.9], [0.0, 1.0], 0.0)], vec![SlabIndex(7)]);
        assert!(unsteady.len() == 1 && unsteady[0].contains("first slab 7"), "{unsteady:?}");
    }

    #[test]
    fn zeros_of_either_sign_are_not_the_same_bits() {
        let one = inference([0.0, 1.0], [0.0, 1.0], 0.0);
        assert!(same_bits(&one, &one.clone()));
        assert!(!same_bits(&one, &inference([-0.0, 1.0], [0.0, 1.0], 0.0)));
    }

    #[test]
    fn engines_agree_by_their_probabilities_and_not_by_the_size_of_their_logits() {
        let compare = |a: &EngineToCompare, b: &EngineToCompare| super::compare(a, b, &point());
        let far_but_sure = compare(&ran(1.0, 30.0, 0.9), &ran(1.0, 20.0, 0.9));
        assert!(far_but_sure.agree && far_but_sure.logit == 10.0, "{far_but_sure:?}");
        assert!(!compare(&ran(0.99, 3.0, 0.9), &ran(1.0, 3.0, 0.9)).agree);
        assert!(!compare(&ran(1.0, 0.1, 0.9), &ran(1.0, 0.0, 0.9)).agree);
        assert!(!compare(&ran(1.0, 3.0, 0.9), &ran(1.0, 3.0, 0.8)).agree);
    }

    #[test]
    fn half_precision_is_allowed_more_and_pixels_that_cross_a_threshold_are_counted() {
        let half = EngineToCompare { tolerance: HALF_PRECISION_TOLERANCE, ..ran(0.47, 3.0, 0.9) };
        let found = compare(&half, &ran(0.51, 3.0, 0.9), &point());
        assert!(found.agree && found.mask_pixels == 1, "{found:?}");
        assert!((found.pixel_probability - 0.04).abs() < 1e-6 && (found.mean_pixel_probability - 0.01).abs() < 1e-6);
        assert!(!compare(&half, &ran(0.6, 3.0, 0.9), &point()).agree);
    }
}
