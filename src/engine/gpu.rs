//! Whether there is an NVIDIA GPU, asked in a process of its own: a driver that is broken breaks that process alone.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The command of the program that answers with what it sees, as JSON; not meant for people.
pub const PROBE_COMMAND: &str = "gpu-probe";

/// A driver that has not answered by then hangs.
const PROBE_TIME: Duration = Duration::from_secs(20);

/// The oldest CUDA that the driver has to know for the kernels, which are compiled for 13.0 (`tools/kernels`): 13000 is 13.0.
const NEEDED_CUDA: i32 = 13_000;

/// The oldest of NVIDIA's drivers that knows it (CUDA 13.0 release notes, table of driver versions).
pub const NEEDED_DRIVER: u32 = 580;

/// An NVIDIA GPU that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    pub name: String,
    /// Major and minor.
    pub compute_capability: (i32, i32),
    pub memory_bytes: u64,
    /// The newest CUDA that the driver knows: 13000 is 13.0.
    pub driver_cuda: i32,
}

/// Why there is no GPU that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoGpu {
    #[error("this program was built without the feature cuda")]
    NotBuilt,
    #[error("NVIDIA's driver is not installed: libcuda.so cannot be opened")]
    NotInstalled,
    #[error("NVIDIA's driver gives no GPU: {0}")]
    Driver(String),
    #[error("NVIDIA's driver sees no GPU")]
    NoneSeen,
    #[error(
        "NVIDIA's driver is too old: it knows CUDA {}, the kernels need {}: install driver {NEEDED_DRIVER} or newer",
        cuda_version(*.0), cuda_version(NEEDED_CUDA)
    )]
    OldDriver(i32),
    /// As the process that looked said it.
    #[error("{0}")]
    Probed(String),
    #[error("{program} cannot be run to look for a GPU: {reason}", program = program.display())]
    ProbeNotRun { program: PathBuf, reason: String },
    #[error("looking for a GPU gave no output")]
    NoOutput,
    #[error("looking for a GPU gave no answer: {0}")]
    NoAnswer(String),
    #[error("NVIDIA's driver did not answer within {} s", PROBE_TIME.as_secs())]
    Hangs,
    #[error("NVIDIA's driver is broken: looking for a GPU ended with {0}")]
    Broken(std::process::ExitStatus),
    #[error("looking for a GPU failed: {0}")]
    ProbeLost(String),
}

/// A CUDA version as people write it: 12080 is 12.8.
#[must_use]
pub fn cuda_version(number: i32) -> String {
    format!("{}.{}", number / 1000, number % 1000 / 10)
}

/// What NVIDIA's kernel module says of itself.
#[must_use]
pub fn nvidia_driver() -> Option<String> {
    let text = std::fs::read_to_string("/proc/driver/nvidia/version").ok()?;
    text.lines().next().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The program that is run to look for GPUs: this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuProbe {
    pub program: PathBuf,
}

impl GpuProbe {
    /// The GPUs, in CUDA's order; there is at least one.
    ///
    /// # Errors
    /// Why there is none that can be used.
    pub fn gpus(&self) -> Result<Vec<Gpu>, NoGpu> {
        if !cfg!(feature = "cuda") {
            return gpus_here();
        }
        let child = Command::new(&self.program)
            .arg(PROBE_COMMAND)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| NoGpu::ProbeNotRun { program: self.program.clone(), reason: error.to_string() })?;
        let answer = answer_of(child)?;
        serde_json::from_slice::<Result<Vec<Gpu>, String>>(&answer)
            .map_err(|error| NoGpu::NoAnswer(error.to_string()))?
            .map_err(NoGpu::Probed)
    }
}

fn answer_of(mut child: Child) -> Result<Vec<u8>, NoGpu> {
    let mut output = child.stdout.take().ok_or(NoGpu::NoOutput)?;
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut answer = Vec::new();
        // What could not be read is no answer, and said so below.
        let _ = output.read_to_end(&mut answer);
        let _ = sender.send(answer);
    });
    let Ok(answer) = receiver.recv_timeout(PROBE_TIME) else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(NoGpu::Hangs);
    };
    match child.wait() {
        Ok(status) if status.success() => Ok(answer),
        Ok(status) => Err(NoGpu::Broken(status)),
        Err(error) => Err(NoGpu::ProbeLost(error.to_string())),
    }
}

/// The GPUs, looked for in this process; see [`GpuProbe::gpus`].
///
/// # Errors
/// Why there is none that can be used.
#[cfg(not(feature = "cuda"))]
pub fn gpus_here() -> Result<Vec<Gpu>, NoGpu> {
    Err(NoGpu::NotBuilt)
}

/// The GPUs, looked for in this process; see [`GpuProbe::gpus`].
///
/// # Errors
/// Why there is none that can be used.
#[cfg(feature = "cuda")]
pub fn gpus_here() -> Result<Vec<Gpu>, NoGpu> {
    use cudarc::driver::{CudaContext, sys};

    // SAFETY: loading runs the library's own initializers; nothing of this program is handed to them.
    #[expect(unsafe_code, reason = "opening NVIDIA's library")]
    let is_installed = unsafe { sys::is_culib_present() };
    if !is_installed {
        return Err(NoGpu::NotInstalled);
    }
    let failed = |error: cudarc::driver::DriverError| NoGpu::Driver(error.to_string());
    let count = CudaContext::device_count().map_err(failed)?;
    let driver_cuda = driver_cuda().map_err(failed)?;
    if driver_cuda < NEEDED_CUDA {
        return Err(NoGpu::OldDriver(driver_cuda));
    }
    let gpu = |ordinal: i32| {
        let context = CudaContext::new(ordinal as usize).map_err(failed)?;
        Ok(Gpu {
            name: context.name().map_err(failed)?,
            compute_capability: context.compute_capability().map_err(failed)?,
            memory_bytes: context.total_mem().map_err(failed)? as u64,
            driver_cuda,
        })
    };
    let gpus = (0..count).map(gpu).collect::<Result<Vec<_>, NoGpu>>()?;
    if gpus.is_empty() { Err(NoGpu::NoneSeen) } else { Ok(gpus) }
}

#[cfg(feature = "cuda")]
fn driver_cuda() -> Result<i32, cudarc::driver::DriverError> {
    let mut version = 0;
    // SAFETY: the driver writes one number to the address of one.
    #[expect(unsafe_code, reason = "the driver's C interface")]
    unsafe { cudarc::driver::sys::cuDriverGetVersion(&raw mut version) }.result()?;
    Ok(version)
}

#[cfg(all(test, feature = "cuda"))]
mod tests {
    use super::*;

    #[test]
    fn a_probe_that_crashes_or_says_nothing_is_a_reason_and_no_gpu() {
        let probe = |program: &str| GpuProbe { program: program.into() }.gpus().unwrap_err().to_string();
        assert!(probe("/bin/false").contains("ended with"), "{}", probe("/bin/false"));
        assert!(probe("/bin/true").contains("no answer"), "{}", probe("/bin/true"));
        assert!(probe("/nonexistent").contains("cannot be run"), "{}", probe("/nonexistent"));
    }
}
