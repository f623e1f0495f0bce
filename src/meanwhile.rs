//! Work that is done beside other work.

use std::io;
use std::panic::resume_unwind;
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// Work that a thread of its own does until its result is asked for. Where the system gives no thread, it is done then.
pub(crate) struct Meanwhile<'scope, T, F> {
    thread: io::Result<ScopedJoinHandle<'scope, T>>,
    work: F,
}

impl<'scope, T: Send + 'scope, F: FnOnce() -> T + Copy + Send + 'scope> Meanwhile<'scope, T, F> {
    pub(crate) fn begin<'env>(scope: &'scope Scope<'scope, 'env>, work: F) -> Self {
        Self { thread: Builder::new().spawn_scoped(scope, work), work }
    }

    /// Its result; a panic of its goes on here.
    pub(crate) fn end(self) -> T {
        match self.thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => (self.work)(),
        }
    }
}
