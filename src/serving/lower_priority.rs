//! Scanners wait for an answer, analysis does not: on a machine that has too much to do, receiving goes first.

/// How far analysis steps back (nice(2)): as many times as a core is wanted by both, receiving has nine tenths of it.
const NICE: i32 = 10;

/// Lets this thread, and those that it starts from now on, run when those that receive do not want to.
pub fn step_back() {
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::warn!(%error, "analysis competes with receiving: its threads cannot step back");
    }
}
