//! Slices on an NVIDIA GPU from their stored cells to a slab's evidence: what `preprocess`, an engine and `triage` do on the CPU, by
//! the kernels of `kernels/*.cu` in the same bits. Slices go up once, and what comes back of a window is two masks, the
//! Hounsfield units of the lesion and a few numbers; so do tissue and bone, from which the CPU finds the body meanwhile.
//!
//! [`DevicePipeline`] is one card's: one stream, one thread, any number of series with a bounded number of slabs between them. A
//! [`DeviceNetwork`] is what it runs windows with. No exam comes this way yet: [`check`] (`tableside gpu-check`) holds it against the
//! CPU on a machine with a card.

mod arguments;
pub mod check;
mod device;
mod network;
mod onnxruntime;
mod pipeline;
mod places;
mod series;
mod upload;

pub use crate::engine::{DeviceNetwork, Failure};
pub use arguments::Address;
pub use device::Device;
pub use network::with_network;
pub use pipeline::DevicePipeline;
pub use series::{DeviceSeries, SlabStore};

/// Why the card gave no evidence.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {
    #[error("the GPU failed: {0}")]
    Driver(#[from] cudarc::driver::DriverError),
    #[error("the network failed on the GPU: {0}")]
    Network(String),
    #[error("the GPU's memory for {0} slabs is taken")]
    NoPlace(usize),
    #[error("a slice of {0} bytes is larger than the GPU takes")]
    TooLarge(usize),
    #[error("slab {0} has no slices on the GPU")]
    NoSlab(i64),
    #[error("the network's output {0} is not a number: the evidence is worthless")]
    NotFinite(&'static str),
    #[error("the GPU gave evidence of a lesion larger than the plane")]
    Impossible,
}
