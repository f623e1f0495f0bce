//! Scanners wait for an answer, analysis does not: on a machine that has too much to do, receiving goes first.

use rustix::process::{getpid, getpriority_process, setpriority_process};

/// How many steps of niceness (nice(2)) analysis runs behind receiving: of a core that both want, receiving gets nine tenths.
const STEPS: i32 = 10;

/// The lowest priority that there is. The kernel derives that of disk accesses from it (ioprio(7)).
const LOWEST: i32 = 19;

/// Lets this thread, and those that it starts from now on, run when those that receive do not want to. Niceness is counted
/// from the main thread's, which receives, so that a thread that inherited the lower priority keeps it as it is.
pub fn lower_priority() {
    let lowered = getpriority_process(Some(getpid())).and_then(|nice| setpriority_process(None, nice + STEPS));
    if let Err(error) = lowered {
        tracing::warn!(%error, "analysis competes with receiving: the priority of its threads cannot be lowered");
    }
}

/// Lets this thread, and those that it starts from now on, run when nobody else wants to.
pub fn lowest_priority() {
    if let Err(error) = setpriority_process(None, LOWEST) {
        tracing::warn!(%error, "the priority of a thread that nobody waits for cannot be lowered");
    }
}
