//! Slices on an NVIDIA GPU from their stored cells to a slab's evidence: what `preprocess`, an engine and `triage` do on the CPU, by
//! the kernels of `kernels/*.cu` in the same bits. Slices go up once, and what comes back of a window is two masks, the
//! Hounsfield units of the lesion and a few numbers; so do tissue and bone, from which the CPU finds the body meanwhile.
//!
//! [`AcceleratorThread`] is the GPU as the analysis knows it: one thread, in which a [`DevicePipeline`] queues all work on one stream. A
//! [`DeviceModel`] is what it runs windows with.

mod arguments;
mod device;
mod engine;
mod onnxruntime;
mod pipeline;
mod slabs;
mod staged_buffer;
mod taps;
mod thread;
mod upload;

pub use crate::engine::{DeviceModel, Failure};
pub(crate) use arguments::{Address, EvidenceArguments, MAX_BATCH, Slab, Slice, Statistics, WindowArguments};
pub use device::Device;
pub(crate) use device::window_blocks;
pub use engine::AcceleratorEngine;
pub use pipeline::{DevicePipeline, QueuedEvidence};
pub(crate) use pipeline::{axes, described, slice_arguments};
pub(crate) use taps::AxisTaps;
pub use thread::AcceleratorThread;
#[cfg(test)]
pub(crate) use thread::Work;
pub use upload::SentSlice;

/// Why the GPU gave no evidence.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {
    #[error("the GPU failed: {0}")]
    Driver(#[from] cudarc::driver::DriverError),
    #[error("the model failed on the GPU: {0}")]
    Model(String),
    #[error("the window has {0} values, which is not the model's window")]
    Window(usize),
    #[error("the GPU has no place for a slab")]
    NoPlace,
    #[error("slab {0} has no slices")]
    NoSlab(i64),
    #[error("the model's output {0} is not a number: the evidence is worthless")]
    NotFinite(&'static str),
    #[error("the GPU gave evidence of a lesion larger than the plane")]
    Impossible,
}
