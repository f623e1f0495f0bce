//! A model whose input and outputs lie on the GPU and stay where they are, whichever engine runs it.
#![expect(unsafe_code, reason = "the kernels read and write where a model says")]

/// An address in the GPU's memory; 0 is null.
pub type Address = u64;

/// Whatever goes wrong with an engine on the GPU.
pub type Failure = Box<dyn std::error::Error>;

/// A model that is ready to run on windows, one at a time.
///
/// # Safety
/// For as long as it lives, input and outputs must be memory of the GPU that holds as many 32-bit values as the manifest's
/// window and planes have.
#[allow(clippy::missing_errors_doc)]
pub unsafe trait DeviceModel {
    /// Where the kernels put the window.
    fn input(&self) -> Address;

    /// Where lung, lesion, attention and logit lie once the model has run.
    fn outputs(&self) -> [Address; 4];

    /// Queues one window on the stream.
    fn enqueue(&mut self) -> Result<(), Failure>;
}
