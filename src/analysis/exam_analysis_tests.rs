//! What opens a verdict again, and what does not.

use std::sync::{Arc, LazyLock};

use super::super::conclusion::Conclusion;
use super::super::decode::{DecodeTimes, ReadInstance};
use super::*;
use crate::engine::ModelPackage;
use crate::exam::{AcquisitionParameters, CompletionRule, PlaneCentre, SliceGeometry, SliceHeader, made_header};
use crate::preprocess::{HounsfieldImage, Plane};
use crate::triage::SlabEvidence;
use crate::triage::tests::masks;

/// Of a coarse plane, 64 pixels of 4 cm². Attention and logit are those that a test makes up.
static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| {
    let mut manifest = ModelPackage::built_in().unwrap().manifest;
    manifest.input = InputGeometry { rows: SIDE, columns: SIDE, pixel_mm: 20.0, ..manifest.input };
    manifest.case.lesions = None;
    manifest
});
const SIDE: usize = 8;
const SPACING_MM: f64 = 3.0;
const LEAST_LUNG_ML: f64 = 800.0;
const CHEST: &str = "1.5";

fn input() -> InputGeometry {
    MANIFEST.input.clone()
}

/// An exam whose evidence is made up: there is lung from z = 0 mm down to -200 mm, and beyond it gas that looks like lung
/// where a test says so.
struct Scan {
    analysis: ExamAnalysis,
    lung_to_mm: f64,
    gas_cm2: f64,
    /// The SOP Instance UID of the next instance, where it is not a new one.
    named: Option<String>,
}

impl Scan {
    fn new() -> Self {
        Self {
            analysis: ExamAnalysis::new(ExamKey::new("1.2", &Patient::default()), Instant::now()),
            lung_to_mm: -200.0,
            gas_cm2: 0.0,
            named: None,
        }
    }

    fn instance(&mut self, series: &str, content: Content) {
        self.instance_alone(series, content);
        self.run(false);
    }

    /// An instance with no window judged after it.
    fn instance_alone(&mut self, series: &str, content: Content) {
        let slice = match &content {
            Content::Slice(slice) => {
                let image = HounsfieldImage { rows: 2, columns: 2, values: vec![-800.0; 4] };
                let plane = Plane::resample(&image, &slice.geometry.in_plane, &input());
                let centre = PlaneCentre::of_image(slice.geometry.centre);
                let took = DecodeTimes::default();
                Some(DecodedSlice { plane, centre, noise_hu: None, body_mm: None, lung_at_border: None, took })
            }
            _ => None,
        };
        let file = format!("{series}.{}", self.analysis.counts().instances);
        let uid = self.named.clone().unwrap_or_else(|| file.clone());
        assert!(self.analysis.take(PathBuf::from(&file), Instant::now(), None));
        let arrival = self.analysis.waiting.pop_front().unwrap().arrival;
        let header = InstanceHeader {
            sop_class_uid: String::new(),
            sop_instance_uid: uid,
            study_instance_uid: "1.2".into(),
            series_instance_uid: series.into(),
            patient: Patient::default(),
            study_description: String::new(),
            series_description: String::new(),
            images: vec![content],
        };
        let read = ReadInstance { header, calling_ae_title: "CT1".into() };
        let decoded = Decoded { instance: Ok(Arc::new(read)), image: 0, slice: Ok(slice) };
        self.analysis.add(decoded, &arrival, &input());
    }

    /// The instance that came as the `number`-th, from 0, comes again and lies elsewhere now.
    fn slice_again(&mut self, series: &str, number: usize, z_mm: f64) {
        self.named = Some(format!("{series}.{number}"));
        self.slice_alone(series, z_mm);
        self.named = None;
    }

    fn slice(&mut self, series: &str, z_mm: f64) {
        self.slice_alone(series, z_mm);
        self.run(false);
    }

    /// A slice with no window judged after it.
    fn slice_alone(&mut self, series: &str, z_mm: f64) {
        let orientation = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let geometry = SliceGeometry::new(2, 2, [0.0, 0.0, z_mm], orientation, [6.0, 6.0]).unwrap();
        self.instance_alone(
            series,
            Content::Slice(SliceHeader {
                thickness_mm: Some(SPACING_MM),
                acquisition: AcquisitionParameters { kernel: "SOFT".into(), ..AcquisitionParameters::default() },
                ..made_header(geometry)
            }),
        );
    }

    /// Slices from one position down to the other.
    fn slices(&mut self, series: &str, from_mm: f64, to_mm: f64) {
        let count = ((from_mm - to_mm) / SPACING_MM) as usize;
        (0..count).for_each(|number| self.slice(series, from_mm - number as f64 * SPACING_MM));
    }

    fn run(&mut self, finishing: bool) {
        let limits = CompletionLimits::default();
        while let Some(window) = self.analysis.next_window(&input(), finishing) {
            let z_mm = window.job.slab.0 as f64 * input().slab_mm;
            let judged = WindowResult { evidence: Ok(self.evidence(z_mm)), took: Duration::ZERO };
            self.analysis.take_result(&window, judged, &MANIFEST).unwrap();
            self.analysis.look_for_the_end(&input(), &limits, LEAST_LUNG_ML);
        }
    }

    fn evidence(&self, z_mm: f64) -> SlabEvidence {
        let is_lung = (self.lung_to_mm..=0.0).contains(&z_mm);
        let gas = (self.gas_cm2 / input().pixel_cm2()) as usize;
        let lung: Vec<usize> = if is_lung { (0..48).collect() } else { (56..SIDE * SIDE).take(gas).collect() };
        let lung_cm2 = lung.len() as f64 * input().pixel_cm2();
        SlabEvidence { logit: -3.0, lung_cm2, ..masks(SIDE, &lung, &[]) }
    }

    fn series_analysis(&self) -> &str {
        &self.analysis.judged().unwrap().0.series_instance_uid
    }

    fn lungs_passed(&self) -> bool {
        self.analysis.completion_progress(&PerformedSteps::default(), None).lungs_passed
    }

    fn conclude(&mut self, rule: CompletionRule) -> CaseReport {
        self.run(rule != CompletionRule::LungsPassed);
        let now = Instant::now();
        let limits = QualityLimits::default();
        let context = Conclusion {
            manifest: &MANIFEST,
            engine: "none",
            limits: &limits,
            densities: Densities::default(),
            rule,
            over: now,
            now,
        };
        self.analysis.conclude(&context).clone()
    }

    /// Whether the rule is still believed.
    fn believes(&self, rule: CompletionRule) -> bool {
        let expected = (rule == CompletionRule::ExpectedCount).then_some(100);
        let lungs_passed = rule == CompletionRule::LungsPassed;
        let progress = Progress { slices: 100, lungs_passed, expected, ..Progress::default() };
        self.analysis.rhythm.completion(&progress, &CompletionLimits::default()).0 == rule
    }
}

#[test]
fn the_lungs_pass_in_order_and_what_follows_leaves_the_verdict_as_it_is() {
    let mut scan = Scan::new();
    scan.slices(CHEST, 30.0, -228.0);
    assert!(!scan.lungs_passed());
    scan.slices(CHEST, -228.0, -243.0);
    assert!(scan.lungs_passed());
    let first = scan.conclude(CompletionRule::LungsPassed);
    assert_eq!(scan.analysis.stage, Stage::Trailing);
    assert!(!scan.lungs_passed(), "it decides once");
    scan.slices(CHEST, -243.0, -300.0);
    assert_eq!(scan.analysis.stage, Stage::Trailing);
    let last = scan.conclude(CompletionRule::AssociationReleased);
    assert_eq!((scan.analysis.stage, last.revised, last.verdict), (Stage::Complete, false, first.verdict));
    assert_eq!(last.timing.completed_by, CompletionRule::LungsPassed);
    assert_eq!(last.slices.analysed, 110);
}

#[test]
fn gas_below_the_lungs_is_no_lung() {
    let mut scan = Scan { gas_cm2: 20.0, ..Scan::new() };
    scan.slices(CHEST, 30.0, -228.0);
    assert!(!scan.lungs_passed());
    scan.slices(CHEST, -228.0, -243.0);
    assert!(scan.lungs_passed());
}

#[test]
fn lung_after_all_opens_the_verdict_again() {
    let mut scan = Scan::new();
    scan.slices(CHEST, 30.0, -243.0);
    scan.conclude(CompletionRule::LungsPassed);
    scan.lung_to_mm = -400.0;
    scan.slices(CHEST, -243.0, -270.0);
    assert_eq!(scan.analysis.stage, Stage::Receiving);
    assert!(!scan.believes(CompletionRule::LungsPassed));
    assert!(scan.conclude(CompletionRule::QuietTime).revised);
}

#[test]
fn a_slice_out_of_order_opens_the_verdict_again() {
    let mut scan = Scan::new();
    scan.slices(CHEST, 30.0, -243.0);
    scan.conclude(CompletionRule::LungsPassed);
    scan.slice(CHEST, -100.5);
    assert_eq!(scan.analysis.stage, Stage::Receiving);
    assert!(!scan.lungs_passed());
    assert!(scan.conclude(CompletionRule::QuietTime).revised);
}

#[test]
fn an_exam_that_ended_below_the_lungs_goes_on_there_without_being_opened_again() {
    let mut scan = Scan::new();
    scan.slices(CHEST, 30.0, -243.0);
    scan.conclude(CompletionRule::AssociationReleased);
    scan.slices(CHEST, -243.0, -270.0);
    assert_eq!(scan.analysis.stage, Stage::Trailing);
    assert!(!scan.conclude(CompletionRule::QuietTime).revised);
}

#[test]
fn more_of_the_lungs_opens_the_verdict_again_and_refutes_the_rule() {
    let mut scan = Scan::new();
    scan.slices(CHEST, 30.0, -100.0);
    assert!(scan.believes(CompletionRule::ExpectedCount));
    scan.conclude(CompletionRule::ExpectedCount);
    scan.slice(CHEST, -103.0);
    assert_eq!(scan.analysis.stage, Stage::Receiving);
    assert!(!scan.believes(CompletionRule::ExpectedCount));
    assert!(scan.conclude(CompletionRule::QuietTime).revised);
}

#[test]
fn what_is_not_judged_does_not_open_a_verdict_again_but_is_counted() {
    let mut scan = Scan::new();
    scan.slices(CHEST, 30.0, -243.0);
    let first = scan.conclude(CompletionRule::AssociationReleased);
    scan.instance("1.9", Content::Kept("a scout"));
    scan.slices("1.9", 30.0, 0.0);
    assert_eq!(scan.analysis.stage, Stage::Trailing);
    let last = scan.conclude(CompletionRule::QuietTime);
    assert_eq!((last.revised, last.verdict, last.score), (false, first.verdict, first.score));
    assert_eq!(last.slices.kept, 11);
    assert_eq!(last.timing.completed_by, CompletionRule::AssociationReleased);
}

#[test]
fn a_better_series_takes_over_and_does_not_refute_the_rule_that_was_right_about_the_first() {
    let mut scan = Scan::new();
    scan.slices("1.9", 30.0, -243.0);
    scan.conclude(CompletionRule::ExpectedCount);
    assert_eq!(scan.series_analysis(), "1.9");
    scan.slices("1.3", 30.0, -225.0);
    assert_eq!(scan.analysis.stage, Stage::Trailing, "it does not show as much yet");
    scan.slices("1.3", -225.0, -246.0);
    assert_eq!(scan.series_analysis(), "1.3");
    assert_eq!(scan.analysis.stage, Stage::Receiving);
    assert!(scan.believes(CompletionRule::ExpectedCount));
    let report = scan.conclude(CompletionRule::QuietTime);
    assert_eq!((report.revised, report.series_instance_uid.as_deref()), (true, Some("1.3")));
}

#[test]
fn a_defective_slice_opens_a_verdict_again() {
    let mut scan = Scan::new();
    scan.slices(CHEST, 30.0, -243.0);
    scan.conclude(CompletionRule::AssociationReleased);
    scan.instance(CHEST, Content::Defective("no rescale slope".into()));
    assert_eq!(scan.analysis.stage, Stage::Receiving);
    assert!(scan.conclude(CompletionRule::QuietTime).revised);
}

#[test]
fn a_window_whose_slab_changes_while_it_is_judged_is_due_again_and_one_that_is_under_way_is_not() {
    let mut scan = Scan::new();
    scan.slices(CHEST, 30.0, -30.0);
    let under_way = |scan: &mut Scan| {
        let window = scan.analysis.next_window(&input(), true).unwrap();
        scan.analysis.hand_over(&window);
        window
    };
    let (first, second) = (under_way(&mut scan), under_way(&mut scan));
    assert_ne!(first.job.slab, second.job.slab);
    // Another slice in the first one's slab.
    let z_mm = (first.job.slab.0 as f64 + 0.5) * input().slab_mm;
    scan.slice_alone(CHEST, z_mm);
    let again = under_way(&mut scan);
    assert_eq!(again.job.slab, first.job.slab);
    assert_ne!(again.job.inputs, first.job.inputs);
    for window in [&first, &second, &again] {
        assert!(scan.analysis.has_windows_under_way());
        let judged = WindowResult { evidence: Ok(scan.evidence(0.0)), took: Duration::ZERO };
        scan.analysis.take_result(window, judged, &MANIFEST).unwrap();
    }
    assert!(!scan.analysis.has_windows_under_way());
    let (_, judged) = scan.analysis.judged().unwrap();
    assert!(judged.table.is_done(again.job.slab, &again.job.inputs));
}

fn refusal(uid: &str) -> crate::exam::Refusal {
    crate::exam::Refusal {
        sop_instance_uid: uid.to_owned(),
        reason: "it is cut off".to_owned(),
        identity: crate::exam::Identity::default(),
        scanner: "CT2".to_owned(),
        at: Timestamp::UNIX_EPOCH,
    }
}

#[test]
fn a_refused_object_opens_a_verdict_again_once_and_so_does_the_same_one_stored() {
    let mut scan = Scan::new();
    scan.slices(CHEST, 30.0, -243.0);
    let first = scan.conclude(CompletionRule::AssociationReleased);
    scan.analysis.refuse(refusal("1.1"), Instant::now());
    assert_eq!(scan.analysis.stage, Stage::Receiving);
    let report = scan.conclude(CompletionRule::QuietTime);
    assert_eq!((report.slices.refused, report.revised), (1, true));
    scan.analysis.refuse(refusal("1.1"), Instant::now());
    assert_eq!(scan.analysis.stage, Stage::Complete, "nothing new");
    scan.analysis.mend("1.1", Instant::now());
    assert_eq!(scan.analysis.stage, Stage::Receiving);
    let report = scan.conclude(CompletionRule::QuietTime);
    assert_eq!((report.slices.refused, &report.quality), (0, &first.quality));
    assert_eq!(scan.analysis.scanner, "CT1", "who stored slices is the scanner");
}

#[test]
fn an_exam_of_which_nothing_is_left_says_why() {
    let mut scan = Scan::new();
    for uid in ["1.1", "1.2"] {
        scan.analysis.refuse(refusal(uid), Instant::now());
    }
    assert_eq!(scan.conclude(CompletionRule::QuietTime).reason, "all 2 objects were refused: it is cut off");
    for uid in ["1.1", "1.2"] {
        scan.analysis.mend(uid, Instant::now());
    }
    let report = scan.conclude(CompletionRule::QuietTime);
    assert_eq!(report.reason, "the 2 objects that were refused have been stored since, in their own exams");
}

#[test]
fn an_instance_that_comes_again_is_judged_anew_from_all_that_counts() {
    let mut scan = Scan::new();
    scan.slices(CHEST, 30.0, -30.0);
    let first = scan.conclude(CompletionRule::AssociationReleased);
    assert!(!scan.analysis.is_stale());
    scan.slice_again(CHEST, 3, 18.0);
    assert_eq!((scan.analysis.stage, scan.analysis.is_stale()), (Stage::Receiving, true));
    assert!(!scan.analysis.finalize_layout());
    let again: Vec<usize> = scan.analysis.waiting.iter().map(|waiting| waiting.arrival.number).collect();
    assert_eq!(again.len(), first.slices.received);
    assert!(!again.contains(&4) && again.contains(&21), "{again:?}");
    assert!(scan.analysis.finalize_layout() && !scan.analysis.is_stale());
}
