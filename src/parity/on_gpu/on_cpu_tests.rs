//! The whole check on a driver that runs on the CPU (`kernels/driver_on_cpu.cpp`): all that is ours on a GPU, but the GPU.
#![expect(unsafe_code, reason = "the model reads and writes the GPU's memory, which is the host's here")]

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream, DevicePtr as _, result::stream::launch_host_function};
use parking_lot::Mutex;

use super::exams::ExamSlices;
use super::{Holds, OnDevice, Report, Row, SLABS, bandwidth, kernels_agree};
use crate::config::Config;
use crate::dicom::UidSource;
use crate::engine::{Address, Engine, EngineError, EngineKind, Inference, ModelPackage, gpus_here};
use crate::exam::ExamKey;
use crate::gpu::{AcceleratorThread, Device, DeviceModel, DevicePipeline, Failure, Work};
use crate::inference::{Accelerator, AcceleratorSlices, QueuedWindow, WindowReply, agrees_with_the_cpu};
use crate::offline::triage_by;
use crate::preprocess::{InputGeometry, Window};
use crate::scanner::series::write_file;
use crate::scanner::{Instance, Phantom, PhantomKind, PhantomOptions};
use crate::serving::Serving;
use crate::telemetry;
use crate::triage::CaseReport;

const VARIABLE: &str = "TABLESIDE_DRIVER_ON_CPU";

/// Each of these runs in a process of its own: which driver is opened is decided when one starts, and the driver has one thread.
const ON_THIS_DRIVER: [&str; 5] = [
    "the_check",
    "exams_over_a_gpu",
    "exams_over_a_gpu_with_little_room",
    "exams_over_a_gpu_that_fails",
    "exams_over_a_gpu_that_hangs",
];

#[test]
fn the_check_and_exams_hold_on_a_driver_that_runs_on_the_cpu() {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "g++".to_owned());
    let folder = tempfile::tempdir().unwrap();
    let flags = ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-shared", "-fPIC"];
    let made = Command::new(&compiler)
        .args(flags)
        .arg(kernels.join("driver_on_cpu.cpp"))
        .arg("-o")
        .arg(folder.path().join("libcuda.so"))
        .output();
    let Ok(made) = made else {
        eprintln!("SKIPPED: there is no C++ compiler {compiler}");
        return;
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for test in ON_THIS_DRIVER {
        let test = format!("parity::on_gpu::on_cpu_tests::{test}");
        let ran = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &test, "--include-ignored", "--nocapture"])
            .env("LD_LIBRARY_PATH", folder.path())
            .env(VARIABLE, "yes")
            .output()
            .unwrap();
        let said = [&ran.stdout[..], &ran.stderr].map(String::from_utf8_lossy).concat();
        assert!(ran.status.success() && said.contains("1 passed"), "{test}: {said}");
    }
}

/// Whether this is the process of one of [`ON_THIS_DRIVER`].
fn is_on_this_driver() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// The built-in package with a plane of some words, the last one not full, so that its windows are quickly done.
fn small_package() -> ModelPackage {
    let mut package = ModelPackage::built_in().unwrap();
    package.manifest.input = InputGeometry { rows: 61, columns: 47, pixel_mm: 7.0, ..package.manifest.input };
    package
}

fn phantom(kind: PhantomKind, seed: u64) -> Vec<Instance> {
    Phantom::new(kind, PhantomOptions::coarse(24, 64)).instances(UidSource::seeded(seed)).unwrap()
}

/// A folder with three exams. In the last one positions are claimed twice, so that slices are replaced.
fn folder_of_exams() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut exams = vec![phantom(PhantomKind::Pneumonia, 1), phantom(PhantomKind::Normal, 2)];
    let mut doubled = phantom(PhantomKind::Pneumonia, 3);
    let again = doubled
        .iter()
        .step_by(3)
        .map(|instance| Instance { sop_instance_uid: format!("{}.1", instance.sop_instance_uid), ..instance.clone() });
    let again: Vec<Instance> = again.collect();
    doubled.splice(0..0, again);
    exams.push(doubled);
    for (number, instance) in exams.iter().flatten().enumerate() {
        write_file(instance, &folder.path().join(format!("{number:03}.dcm"))).unwrap();
    }
    folder
}

/// The reports of a folder's exams without what depends on time and engine.
fn reports(serving: Serving, package: &ModelPackage, folder: &Path) -> Vec<serde_json::Value> {
    // More decoders than the ring has places.
    let config = Config { decoders: 8, ..Config::default() };
    let reports = triage_by(serving, package, folder, &config).unwrap().reports;
    let timeless = |report: &CaseReport| {
        assert!(report.score.is_some() && report.lesion_summary.count > 0, "{}", report.reason);
        let mut json = serde_json::to_value(report).unwrap();
        let fields = json.as_object_mut().unwrap();
        fields.retain(|name, _| !["timing", "engine", "early_flag"].contains(&name.as_str()));
        json
    };
    reports.iter().map(timeless).collect()
}

fn assert_same(found: &[serde_json::Value], expected: &[serde_json::Value]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let differing: Vec<&String> =
            expected.as_object().unwrap().keys().filter(|key| found[*key] != expected[*key]).collect();
        assert!(differing.is_empty(), "{differing:?}: {} and not {}", found["reason"], expected["reason"]);
    }
}

fn gpu(package: &ModelPackage, slabs: usize, end: Option<(usize, End)>) -> AcceleratorThread {
    let input = package.manifest.input.clone();
    let with_model = move |device: &Device, work: &mut Work<'_>| {
        work(&mut ModelOnCpu { end, ..ModelOnCpu::new(device.stream(), &input) })
    };
    AcceleratorThread::start(EngineKind::Cuda, package, slabs, with_model).unwrap()
}

#[test]
#[ignore = "the test above runs it with its driver"]
fn exams_over_a_gpu() {
    if is_on_this_driver() {
        // A window of the exam whose slices are replaced may be made of three sums that slices have not made.
        exams_over_a_gpu_with(SLABS, 0..40);
    }
}

#[test]
#[ignore = "the test above runs it with its driver"]
fn exams_over_a_gpu_with_little_room() {
    if is_on_this_driver() {
        // Exams take places from each other.
        exams_over_a_gpu_with(5, 70..300);
    }
}

fn exams_over_a_gpu_with(slabs: usize, uploads: Range<u64>) {
    let metrics = telemetry::metrics().unwrap();
    let (package, folder) = (small_package(), folder_of_exams());
    let input = package.manifest.input.clone();
    let on_cpu = Serving::new(&package, None, None, Box::new(EngineOnCpu(input.clone()))).unwrap();
    let expected = reports(on_cpu, &package, folder.path());
    assert_eq!(expected.len(), 3);
    let mut gpu = gpu(&package, slabs, None);
    let exam = ExamSlices::of("phantom".to_owned(), &phantom(PhantomKind::Pneumonia, 4), &input).unwrap();
    let window = exam.windows()[10].job.window(&input);
    agrees_with_the_cpu(&mut gpu, &package.manifest, &window).unwrap();
    let forgotten = Arc::default();
    let gpu = Watched { gpu, forgotten: Arc::clone(&forgotten) };
    let over_gpu = Serving::new(&package, Some(Box::new(gpu)), None, Box::new(NoEngine)).unwrap();
    let state = over_gpu.state().clone();
    assert_same(&reports(over_gpu, &package, folder.path()), &expected);
    assert_eq!((state.engine(), state.gpu_failure()), ("cuda", None));
    let exams: BTreeSet<String> = expected.iter().map(|report| report["exam"].as_str().unwrap().to_owned()).collect();
    assert_eq!(*forgotten.lock(), exams);
    let text = metrics.render();
    let uploaded = text.lines().find_map(|line| line.strip_prefix("tableside_gpu_sums_uploaded_total "));
    assert!(uploads.contains(&uploaded.unwrap().parse().unwrap()), "{uploaded:?}, not within {uploads:?}");
}

#[test]
#[ignore = "the test above runs it with its driver"]
fn exams_over_a_gpu_that_fails() {
    if is_on_this_driver() {
        exams_over_a_gpu_that_ends(End::Fails, "the GPU fell off the bus");
    }
}

#[test]
#[ignore = "the test above runs it with its driver"]
fn exams_over_a_gpu_that_hangs() {
    if is_on_this_driver() {
        exams_over_a_gpu_that_ends(End::Hangs, "the GPU does not answer");
    }
}

fn exams_over_a_gpu_that_ends(end: End, reason: &str) {
    let (package, folder) = (small_package(), folder_of_exams());
    let engine = || Box::new(EngineOnCpu(package.manifest.input.clone()));
    let expected = reports(Serving::new(&package, None, None, engine()).unwrap(), &package, folder.path());
    let gpu = gpu(&package, SLABS, Some((20, end)));
    let fails = Serving::new(&package, Some(Box::new(gpu)), None, engine()).unwrap();
    let state = fails.state().clone();
    assert_same(&reports(fails, &package, folder.path()), &expected);
    assert_eq!(state.engine(), "test");
    assert!(state.gpu_failure().unwrap().contains(reason));
}

#[test]
#[ignore = "the test above runs it with its driver"]
fn the_check() {
    if !is_on_this_driver() {
        return;
    }
    assert_eq!(gpus_here().unwrap()[0].name, "CPU");
    let package = small_package();
    let input = package.manifest.input.clone();
    let mut exam = ExamSlices::of("phantom".to_owned(), &phantom(PhantomKind::Pneumonia, 1), &input).unwrap();
    // Every slice is of its own size, so that taps come and go.
    for (at, slice) in exam.slices.iter_mut().enumerate() {
        let in_plane = &mut slice.stored.in_plane;
        in_plane.x.spacing_mm *= 1.0 + at as f64 / 500.0;
        in_plane.y.spacing_mm *= 1.0 + at as f64 / 400.0;
    }

    let device = Device::open().unwrap();
    let mut rows = Vec::new();
    let mut tell = |row: &Row| rows.push(row.clone());
    let config = Config::default();
    let mut report = Report::new(&[], &config, &package, &mut tell);
    kernels_agree(&mut report, &device, &package);
    bandwidth::measure(&mut report, &device, &package).unwrap();
    let mut model = ModelOnCpu::new(device.stream(), &input);
    let mut pipeline = DevicePipeline::new(&device, &mut model, &package.manifest, SLABS).unwrap();
    let mut cpu = EngineOnCpu(input);
    let exams = [exam];
    let on_device = OnDevice { config: &config, package: &package, device: &device, name: "test", exams: &exams };
    on_device.measure(&mut report, &mut pipeline, &mut cpu);
    drop(report);

    let row =
        |what: &str| rows.iter().find(|row| row.what.contains(what)).unwrap_or_else(|| panic!("{what}: {rows:?}"));
    for what in ["add_slices against", "windows_f16 against", "evidence against", "phantom against", "memory over"] {
        assert_eq!(row(what).holds, Holds::Yes, "{:?}", row(what));
    }
    let found = &row("phantom against").found;
    assert!(found.contains(": 0.0e0 apart; 0 of") && found.contains("of 24 slabs"), "{found}");
    assert!(found.contains("; 0 sums uploaded"), "{found}");
    for kernel in ["add_slices", "windows_f32", "windows_f16", "evidence"] {
        assert!(row(&format!("{kernel}, batch")).found.contains("GB/s"), "{:?}", row(kernel));
    }
    for what in ["model alone", "window from slabs", "one slice from"] {
        assert!(row(what).found.starts_with("p50"), "{:?}", row(what));
    }
}

/// What a model of thresholds says of a window: the same bits wherever it is asked.
fn said_of(window: &[f32], input: &InputGeometry) -> Inference {
    let middle = &window[input.slabs / 2 * input.plane_len()..][..input.plane_len()];
    let between =
        |low: f32, high: f32| middle.iter().map(move |value| if (low..high).contains(value) { 0.9 } else { 0.1 });
    let mean = window.iter().sum::<f32>() / window.len() as f32;
    Inference {
        lung: between(0.05, 0.6).collect(),
        lesion: between(0.35, 0.6).collect(),
        attention: mean,
        logit: 4.0 * mean - 1.0,
    }
}

struct EngineOnCpu(InputGeometry);

impl Engine for EngineOnCpu {
    fn name(&self) -> &'static str {
        "test"
    }

    fn infer(&mut self, window: &Window) -> Result<Inference, EngineError> {
        Ok(said_of(window.values(), &self.0))
    }
}

/// A GPU, and the exams whose memory there was freed.
struct Watched {
    gpu: AcceleratorThread,
    forgotten: Arc<Mutex<BTreeSet<String>>>,
}

impl Engine for Watched {
    fn name(&self) -> &'static str {
        self.gpu.name()
    }

    fn infer(&mut self, window: &Window) -> Result<Inference, EngineError> {
        self.gpu.infer(window)
    }
}

impl Accelerator for Watched {
    fn slices(&self) -> Arc<dyn AcceleratorSlices> {
        self.gpu.slices()
    }

    fn queue(&mut self, window: &Arc<QueuedWindow>, reply: WindowReply) {
        self.gpu.queue(window, reply);
    }

    fn forget(&mut self, exam: &ExamKey) {
        self.forgotten.lock().insert(exam.to_string());
        self.gpu.forget(exam);
    }

    fn end(&mut self) -> bool {
        self.gpu.end()
    }
}

/// Where nothing may go over the CPU.
struct NoEngine;

impl Engine for NoEngine {
    fn name(&self) -> &'static str {
        "none"
    }

    fn infer(&mut self, _: &Window) -> Result<Inference, EngineError> {
        Err(EngineError::Run { engine: "none", reason: "the CPU was asked".to_owned() })
    }
}

#[derive(Clone, Copy)]
enum End {
    Fails,
    Hangs,
}

/// The same model on the stream.
struct ModelOnCpu {
    /// How it ends, after so many windows.
    end: Option<(usize, End)>,
    stream: Arc<CudaStream>,
    input: CudaSlice<f32>,
    outputs: [CudaSlice<f32>; 4],
    run: Box<QueuedRun>,
}

/// What the stream does for a window.
struct QueuedRun {
    geometry: InputGeometry,
    input: Address,
    outputs: [Address; 4],
}

impl ModelOnCpu {
    fn new(stream: &Arc<CudaStream>, geometry: &InputGeometry) -> Self {
        let plane_len = geometry.plane_len();
        let input = stream.alloc_zeros(geometry.slabs * plane_len).unwrap();
        let outputs = [plane_len, plane_len, 1, 1].map(|len| stream.alloc_zeros(len).unwrap());
        let run = QueuedRun {
            geometry: geometry.clone(),
            input: input.device_ptr(stream).0,
            outputs: outputs.each_ref().map(|output| output.device_ptr(stream).0),
        };
        Self { end: None, stream: Arc::clone(stream), input, outputs, run: Box::new(run) }
    }
}

// SAFETY: the buffers are its own, of its geometry's lengths.
unsafe impl DeviceModel for ModelOnCpu {
    fn input(&self) -> Address {
        self.input.device_ptr(&self.stream).0
    }

    fn outputs(&self) -> [Address; 4] {
        self.outputs.each_ref().map(|output| output.device_ptr(&self.stream).0)
    }

    fn enqueue(&mut self) -> Result<(), Failure> {
        match &mut self.end {
            Some((0, End::Fails)) => return Err("the GPU fell off the bus".into()),
            Some((0, End::Hangs)) => loop {
                std::thread::park();
            },
            Some((windows, _)) => *windows -= 1,
            None => {}
        }
        // SAFETY: the box stays where it is until the stream has been waited for, which every window does.
        unsafe { launch_host_function(self.stream.cu_stream(), run, (&raw mut *self.run).cast()) }?;
        Ok(())
    }
}

unsafe extern "C" fn run(what: *mut std::ffi::c_void) {
    // SAFETY: `enqueue` hands in a `QueuedRun`, and the addresses in it are those of buffers of its geometry in the host's memory.
    unsafe {
        let QueuedRun { geometry, input, outputs } = &*what.cast::<QueuedRun>();
        let window = std::slice::from_raw_parts(*input as *const f32, geometry.slabs * geometry.plane_len());
        let Inference { lung, lesion, attention, logit } = said_of(window, geometry);
        for (values, to) in [lung, lesion, vec![attention], vec![logit]].iter().zip(outputs) {
            std::ptr::copy_nonoverlapping(values.as_ptr(), *to as *mut f32, values.len());
        }
    }
}
