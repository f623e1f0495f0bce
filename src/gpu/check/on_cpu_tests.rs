//! The whole check on a driver that runs on the CPU (`kernels/driver_on_cpu.cpp`): all that is ours on a card, but the card.
#![expect(unsafe_code, reason = "the network reads and writes the card's memory, which is the host's here")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream, DevicePtr as _, result::stream::launch_host_function};

use super::exams::ExamSlices;
use super::{Holds, OnDevice, Report, Row, bandwidth, kernels_agree};
use crate::config::Config;
use crate::engine::{Engine, EngineError, Inference, ModelPackage, gpus_here};
use crate::gpu::{Address, Device, DeviceNetwork, DevicePipeline, Failure};
use crate::preprocess::{InputGeometry, Window};
use crate::scanner::{Phantom, PhantomKind, PhantomOptions, UidSource};

const VARIABLE: &str = "TABLESIDE_DRIVER_ON_CPU";

#[test]
fn the_check_holds_on_a_driver_that_runs_on_the_cpu() {
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
    // Which driver is opened is decided when a process starts.
    let checked = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "gpu::check::on_cpu_tests::on_this_driver", "--include-ignored", "--nocapture"])
        .env("LD_LIBRARY_PATH", folder.path())
        .env(VARIABLE, "yes")
        .output()
        .unwrap();
    let said = [&checked.stdout[..], &checked.stderr].map(String::from_utf8_lossy).concat();
    assert!(checked.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "the test above runs it with its driver"]
fn on_this_driver() {
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    assert_eq!(gpus_here().unwrap()[0].name, "CPU");
    let mut package = ModelPackage::built_in().unwrap();
    // A plane of some words, the last one not full, that is quickly judged.
    let input = InputGeometry { rows: 61, columns: 47, pixel_mm: 7.0, ..package.manifest.input };
    package.manifest.input = input.clone();
    let phantom = Phantom::new(PhantomKind::Pneumonia, PhantomOptions::coarse(24, 64));
    let instances = phantom.instances(UidSource::seeded(1)).unwrap();
    let mut exam = ExamSlices::of("phantom".to_owned(), &instances, &input).unwrap();
    // Every other slice is of its own size, so that taps come and go.
    for (at, slice) in exam.slices.iter_mut().enumerate().step_by(2) {
        let in_plane = &mut slice.slice.geometry.in_plane;
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
    let mut network = NetworkOnCpu::new(device.stream(), &input);
    let mut pipeline = DevicePipeline::new(&device, &mut network, &package.manifest).unwrap();
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
    for kernel in ["add_slices", "windows_f32", "windows_f16", "evidence"] {
        assert!(row(&format!("{kernel}, batch")).found.contains("GB/s"), "{:?}", row(kernel));
    }
    for what in ["network alone", "window from slabs", "one slice from"] {
        assert!(row(what).found.starts_with("p50"), "{:?}", row(what));
    }
}

/// What a network of thresholds says of a window: the same bits wherever it is asked.
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

/// The same network on the stream.
struct NetworkOnCpu {
    stream: Arc<CudaStream>,
    input: CudaSlice<f32>,
    outputs: [CudaSlice<f32>; 4],
    run: Box<Run>,
}

/// What the stream is told to do.
struct Run {
    geometry: InputGeometry,
    input: Address,
    outputs: [Address; 4],
}

impl NetworkOnCpu {
    fn new(stream: &Arc<CudaStream>, geometry: &InputGeometry) -> Self {
        let plane_len = geometry.plane_len();
        let input = stream.alloc_zeros(geometry.slabs * plane_len).unwrap();
        let outputs = [plane_len, plane_len, 1, 1].map(|len| stream.alloc_zeros(len).unwrap());
        let run = Run {
            geometry: geometry.clone(),
            input: input.device_ptr(stream).0,
            outputs: outputs.each_ref().map(|output| output.device_ptr(stream).0),
        };
        Self { stream: Arc::clone(stream), input, outputs, run: Box::new(run) }
    }
}

impl DeviceNetwork for NetworkOnCpu {
    fn input(&self) -> Address {
        self.input.device_ptr(&self.stream).0
    }

    fn outputs(&self) -> [Address; 4] {
        self.outputs.each_ref().map(|output| output.device_ptr(&self.stream).0)
    }

    fn enqueue(&mut self) -> Result<(), Failure> {
        // SAFETY: the box stays where it is until the stream has been waited for, which every window does.
        unsafe { launch_host_function(self.stream.cu_stream(), run, (&raw mut *self.run).cast()) }?;
        Ok(())
    }
}

unsafe extern "C" fn run(what: *mut std::ffi::c_void) {
    // SAFETY: `enqueue` hands in a `Run`, and the addresses in it are those of buffers of its geometry in the host's memory.
    unsafe {
        let Run { geometry, input, outputs } = &*what.cast::<Run>();
        let window = std::slice::from_raw_parts(*input as *const f32, geometry.slabs * geometry.plane_len());
        let Inference { lung, lesion, attention, logit } = said_of(window, geometry);
        for (values, to) in [lung, lesion, vec![attention], vec![logit]].iter().zip(outputs) {
            std::ptr::copy_nonoverlapping(values.as_ptr(), *to as *mut f32, values.len());
        }
    }
}
