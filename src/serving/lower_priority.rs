//! Scanners wait for an answer, analysis does not: on a machine that has too much to do, receiving goes first.

use rustix::process::{getpid, getpriority_process, setpriority_process};
use thread_priority::ThreadPriority;
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};

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

/// Lets this thread, and those that it starts from now on, run when nobody else wants to: under `SCHED_IDLE` (sched(7)) whoever wakes
/// takes the core at once, where a thread that is merely nice keeps it for the rest of its turn. What it gets of the disk follows its
/// niceness.
pub fn lowest_priority() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let lowered = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
    let nice = setpriority_process(None, LOWEST);
    if let Some(error) = lowered.err().map(|error| error.to_string()).or(nice.err().map(|error| error.to_string())) {
        tracing::warn!(%error, "the priority of a thread that nobody waits for cannot be lowered");
    }
}

#[cfg(test)]
mod tests {
    use thread_priority::unix::thread_schedule_policy;

    use super::*;

    #[test]
    fn a_thread_that_nobody_waits_for_runs_when_nobody_else_wants_to() {
        let of_thread = std::thread::spawn(|| {
            lowest_priority();
            (thread_schedule_policy().unwrap(), getpriority_process(None).unwrap())
        });
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        assert_eq!(of_thread.join().unwrap(), (idle, LOWEST));
        assert_ne!(thread_schedule_policy().unwrap(), idle);
    }
}
