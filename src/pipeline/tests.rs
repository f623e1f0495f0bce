//! The analyst goes on while the engine is busy and when an accelerator hangs; an analyst that hangs itself shows.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::*;
use crate::analysis::{ExamView, SlabView};
use crate::config::Config;
use crate::dicom::UidSource;
use crate::engine::{Engine, EngineError, Inference};
use crate::exam::{Identity, Patient, QualityIssue, Refusal};
use crate::offline::Survey;
use crate::preprocess::{InputGeometry, Window};
use crate::report::ReportBasis;
use crate::scanner::series::write_file;
use crate::scanner::{Phantom, PhantomKind, PhantomOptions};
use crate::serving::choice::{self, EngineChoice, EngineOptions};
use crate::serving::fake_accelerator::FakeDevice;
use crate::triage::{CaseReport, EarlyFlag, Verdict};

const SLICES: usize = 24;
const ASSOCIATION: AssociationId = AssociationId(1);
/// How long a test waits for what never comes where all is well.
const PATIENCE: Duration = Duration::from_mins(2);

enum Told {
    Exam(Box<ExamView>),
    Verdict(Box<CaseReport>),
}

/// A listener that passes on what it is told, in the analyst's thread.
struct Passes<F>(F);

impl<F: Fn(Told) + Send + Sync> Listener for Passes<F> {
    fn known_report(&self, _: &ExamKey) -> Option<CaseReport> {
        None
    }

    fn siblings(&self, _: &ExamKey) -> BTreeSet<ExamKey> {
        BTreeSet::new()
    }

    fn add_issue(&self, _: &ExamKey, _: &QualityIssue) {}

    fn forget_slabs(&self, _: &ExamKey) {}

    fn waiting(&self, _: &[ExamKey]) {}

    fn update(&self, exam: ExamView) {
        (self.0)(Told::Exam(Box::new(exam)));
    }

    fn put_slab(&self, _: &ExamKey, _: SlabView) {}

    fn raise_early(&self, _: &ExamKey, _: &EarlyFlag) -> bool {
        false
    }

    fn raise_rescan(&self, _: &ExamKey, _: &QualityIssue, _: &QualityLimits) {}

    fn keep(&self, _: &ExamKey, _: Option<ReportBasis>) {}

    fn conclude(&self, _: ExamView, report: &CaseReport, _: &QualityLimits) {
        (self.0)(Told::Verdict(Box::new(report.clone())));
    }
}

/// An engine that sees nothing, quickly.
struct Blind(InputGeometry);

impl Engine for Blind {
    fn name(&self) -> &'static str {
        "blind"
    }

    fn infer(&mut self, _: &Window) -> Result<Inference, EngineError> {
        let plane = || vec![0.0; self.0.plane_len()];
        Ok(Inference { lung: plane(), lesion: plane(), attention: 0.0, logit: -5.0 })
    }
}

/// An engine that fails at each window.
struct Broken;

impl Engine for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn infer(&mut self, _: &Window) -> Result<Inference, EngineError> {
        Err(EngineError::Run { engine: "broken", reason: "it is broken".to_owned() })
    }
}

/// The built-in package on a plane that is quickly looked at.
fn small_package() -> ModelPackage {
    let mut package = ModelPackage::built_in().unwrap();
    package.manifest.input = InputGeometry { rows: 61, columns: 47, pixel_mm: 7.0, ..package.manifest.input };
    package
}

/// A pipeline with one exam's slices in a folder.
struct Scene {
    pipeline: Pipeline,
    told: Receiver<Told>,
    survey: Survey,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new(package: &ModelPackage, serving: Serving) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let phantom = Phantom::new(PhantomKind::Normal, PhantomOptions::coarse(SLICES, 64));
        for (number, instance) in phantom.instances(UidSource::seeded(1)).unwrap().iter().enumerate() {
            write_file(instance, &folder.path().join(format!("{number:03}.dcm"))).unwrap();
        }
        let survey = Survey::of(folder.path()).unwrap();
        let options = PipelineOptions {
            mode: AnalysisMode::Streaming,
            completion: CompletionLimits::of_whole_exams(),
            limits: QualityLimits::default(),
            densities: Densities::default(),
            decoders: 2,
        };
        let (sender, told) = crossbeam_channel::unbounded();
        // The test may have ended before the analyst.
        let listener = Arc::new(Passes(move |told| drop(sender.send(told))));
        let pipeline = Pipeline::start(options, package, serving, listener, Box::new(())).unwrap();
        Self { pipeline, told, survey, _folder: folder }
    }

    fn send_slices(&self) {
        self.send_slices_as(&self.survey.instances[0].exam);
    }

    fn send_slices_as(&self, exam: &ExamKey) {
        for instance in &self.survey.instances {
            let (exam, path) = (exam.clone(), instance.path.clone());
            let stored = StoredInstance { exam, path, images: 1, association: ASSOCIATION, at: Instant::now() };
            self.pipeline.input().stored(stored);
        }
    }

    fn send_refusal(&self) {
        let refusal = Refusal {
            sop_instance_uid: "1.9".to_owned(),
            reason: "it is cut off".to_owned(),
            identity: Identity::default(),
            scanner: "CT1".to_owned(),
            at: jiff::Timestamp::now(),
        };
        let exam = self.survey.instances[0].exam.clone();
        let refused = RefusedInstance { exam, refusal, association: ASSOCIATION, at: Instant::now() };
        self.pipeline.input().refused(refused);
    }

    fn end(&self) {
        self.pipeline.input().association_closed(ASSOCIATION, Instant::now());
    }

    fn wait_for_exam(&self, is_so: impl Fn(&ExamView) -> bool) {
        loop {
            match self.told.recv_timeout(PATIENCE).unwrap() {
                Told::Exam(exam) if is_so(&exam) => return,
                Told::Exam(_) => {}
                Told::Verdict(report) => panic!("a verdict: {}", report.reason),
            }
        }
    }

    fn verdict(&self) -> CaseReport {
        loop {
            if let Told::Verdict(report) = self.told.recv_timeout(PATIENCE).unwrap() {
                return *report;
            }
        }
    }
}

#[test]
fn an_exam_that_was_abandoned_has_no_verdict_whatever_still_comes_of_it() {
    let package = small_package();
    let engine = Box::new(Blind(package.manifest.input.clone()));
    let scene = Scene::new(&package, Serving::new(&package, None, None, engine).unwrap());
    scene.send_slices();
    scene.pipeline.input().abandon(&scene.survey.instances[0].exam);
    // These were on their way.
    scene.send_slices();
    // Of two exams that are over it would have its verdict before this one.
    let other = ExamKey::synthetic("2.25.1");
    scene.send_slices_as(&other);
    scene.end();
    assert_eq!(scene.verdict().exam, other);
}

#[test]
fn slices_and_refusals_are_taken_up_while_the_accelerator_is_busy() {
    let package = small_package();
    let input = package.manifest.input.clone();
    let device = FakeDevice::silent_with(package.clone(), Box::new(Blind(input)));
    let serving = Serving::new(&package, Some(device.accelerator()), None, Box::new(Broken)).unwrap();
    let scene = Scene::new(&package, serving.with_answer_time(PATIENCE));
    scene.send_slices();
    scene.wait_for_exam(|exam| exam.slices.analysed == SLICES);
    scene.send_refusal();
    scene.wait_for_exam(|exam| exam.slices.refused == 1);
    assert!(scene.pipeline.is_alive());
    scene.end();
    device.answer_all();
    let report = scene.verdict();
    assert_eq!((report.slices.analysed, report.slices.refused, report.engine.as_str()), (SLICES, 1, "cuda"));
    assert_ne!(report.verdict, Verdict::NotSuspected);
    // It had two windows at most, which the test answered, and took all the others itself.
    assert_eq!(device.holds(), 0);
    scene.pipeline.stop();
}

#[test]
fn an_exam_comes_to_the_same_evidence_when_the_accelerator_hangs() {
    let package = small_package();
    let engine = || Box::new(Blind(package.manifest.input.clone()));
    let device = FakeDevice::silent_with(package.clone(), engine());
    let hangs = Serving::new(&package, Some(device.accelerator()), None, engine()).unwrap();
    let state = hangs.state().clone();
    let alone = Serving::new(&package, None, None, engine()).unwrap();
    let [hung, expected] = [hangs.with_answer_time(Duration::from_millis(1)), alone].map(|serving| {
        let scene = Scene::new(&package, serving);
        scene.send_slices();
        scene.end();
        let report = scene.verdict();
        assert!(scene.pipeline.is_alive());
        scene.pipeline.stop();
        report
    });
    assert_eq!(state.engine(), "blind");
    assert!(state.gpu_failure().unwrap().contains("does not answer"));
    assert_eq!((hung.verdict, hung.score, hung.slices), (expected.verdict, expected.score, expected.slices));
}

#[test]
fn an_exam_whose_engine_on_the_cpu_fails_is_not_analysed() {
    let package = small_package();
    let scene = Scene::new(&package, Serving::new(&package, None, None, Box::new(Broken)).unwrap());
    scene.send_slices();
    scene.end();
    let report = scene.verdict();
    assert_eq!(report.verdict, Verdict::NotAnalysed);
    assert!(report.reason.contains("it is broken"), "{}", report.reason);
    scene.pipeline.stop();
}

#[test]
fn an_analyst_that_hangs_shows_with_all_that_waits_and_one_that_has_nothing_to_do_does_not() {
    let config = Config::default();
    let options = PipelineOptions {
        mode: config.mode,
        completion: config.completion,
        limits: config.quality,
        densities: config.densities,
        decoders: 1,
    };
    let package = ModelPackage::built_in().unwrap();
    let embedded = EngineOptions { choice: EngineChoice::Embedded, ..EngineOptions::default() };
    let serving = choice::serving(&package, &embedded).unwrap();
    let ((called, calls), (free, let_go)) = (crossbeam_channel::unbounded(), crossbeam_channel::unbounded::<()>());
    // It says that it was called and keeps the analyst until it is let go.
    let listener = Arc::new(Passes(move |_| {
        let _ = called.send(());
        let _ = let_go.recv();
    }));
    let pipeline = Pipeline::start(options, &package, serving, listener, Box::new(())).unwrap();
    let input = pipeline.input();
    for number in 0..3 {
        let (exam, path) = (ExamKey::new("1.2", &Patient::default()), PathBuf::from(format!("/nowhere/{number}")));
        input.stored(StoredInstance { exam, path, images: 1, association: AssociationId(1), at: Instant::now() });
    }
    calls.recv().unwrap();
    let stall = pipeline.stall(Duration::ZERO).unwrap();
    assert_eq!(stall.waiting, 2, "two messages that nobody reads");
    assert_eq!(pipeline.stall(Duration::from_hours(1)), None, "not for long");
    drop(free);
    let deadline = Instant::now() + Duration::from_mins(1);
    while pipeline.stall(Duration::ZERO).is_some() {
        assert!(Instant::now() < deadline, "it still hangs");
        std::thread::yield_now();
    }
    pipeline.stop();
}
