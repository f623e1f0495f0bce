//! The engines that there are.

/// An engine that a program can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// NVIDIA TensorRT.
    TensorRt,
    /// The ONNX Runtime on an NVIDIA GPU.
    Cuda,
    /// The ONNX Runtime on the CPU.
    OnnxRuntime,
    /// `rten`, part of the program.
    Embedded,
}

impl EngineKind {
    /// Fastest first.
    pub const ALL: [Self; 4] = [Self::TensorRt, Self::Cuda, Self::OnnxRuntime, Self::Embedded];

    /// Its name in reports, metrics and the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TensorRt => "tensorrt",
            Self::Cuda => "cuda",
            Self::OnnxRuntime => "onnxruntime",
            Self::Embedded => "embedded",
        }
    }

    #[must_use]
    pub fn needs_gpu(self) -> bool {
        matches!(self, Self::TensorRt | Self::Cuda)
    }

    /// Whether this program was built with it.
    #[must_use]
    pub fn is_built(self) -> bool {
        match self {
            Self::TensorRt => cfg!(feature = "tensorrt"),
            Self::Cuda => cfg!(feature = "cuda"),
            Self::OnnxRuntime | Self::Embedded => true,
        }
    }
}
