//! Names that are taken by instances on their way into the spool, so that no two associations use one.

use std::collections::HashSet;

use parking_lot::{Condvar, Mutex, MutexGuard};

#[derive(Debug, Default)]
pub(super) struct NameLocks {
    names: Mutex<HashSet<String>>,
    released: Condvar,
}

impl NameLocks {
    /// Takes a name unless `is_there` says that a file has it; waits while another has it. `false` if it is there.
    pub(super) fn take(&self, name: &str, is_there: impl Fn() -> bool) -> bool {
        let mut names = self.names();
        while names.contains(name) {
            self.released.wait(&mut names);
        }
        if is_there() {
            return false;
        }
        names.insert(name.to_owned());
        true
    }

    /// Whether a name is on its way.
    pub(super) fn is_taken(&self, name: &str) -> bool {
        self.names().contains(name)
    }

    /// Waits until a name is on its way no longer.
    pub(super) fn wait_for(&self, name: &str) {
        let mut names = self.names();
        while names.contains(name) {
            self.released.wait(&mut names);
        }
    }

    pub(super) fn release(&self, name: &str) {
        self.names().remove(name);
        self.released.notify_all();
    }

    fn names(&self) -> MutexGuard<'_, HashSet<String>> {
        self.names.lock()
    }
}
