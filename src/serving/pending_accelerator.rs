//! An accelerator that is being loaded in a thread of its own, since that takes seconds, or minutes where a plan is built.

use crossbeam_channel::Receiver;

use crate::engine::EngineError;
use crate::inference::Accelerator;

/// An accelerator that is being loaded, or why it does not come.
pub type PendingAccelerator = Receiver<Result<Box<dyn Accelerator>, EngineError>>;

/// Loads an accelerator in a thread of its own. Without a thread the channel is closed at once.
pub(super) fn pending_accelerator(
    load: impl FnOnce() -> Result<Box<dyn Accelerator>, EngineError> + Send + 'static,
) -> PendingAccelerator {
    let (loaded, pending) = crossbeam_channel::bounded(1);
    // Nobody waits for it any more where the daemon has stopped.
    let loading = move || drop(loaded.send(load()));
    if let Err(error) = std::thread::Builder::new().name("load".to_owned()).spawn(loading) {
        tracing::error!(%error, "there is no thread to load the accelerator in");
    }
    pending
}
