//! The stop. Everything has one deadline: what is not done by then is named in the log and left, for all that was acknowledged lies in
//! the spool and the next start goes on with it. Data go one way, so those who bring them are stopped first. Each stage has a latest
//! end of its own within the deadline, so that one that hangs leaves time to those behind it.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::Daemon;
use crate::pipeline::Pipeline;

/// All of the stop, well within systemd's `TimeoutStopSec=20`, after which it kills.
const DRAIN: Duration = Duration::from_secs(15);

/// Open associations and requests may go on for so long: enough to end the slice that is on its way. The rest of a scan comes again.
const CONNECTIONS: Duration = Duration::from_secs(5);

/// The threads that analyse and the one that makes room have ended by then: a window and a slice take far less than a second.
const THREADS: Duration = Duration::from_secs(10);

impl Daemon {
    /// Stops listening, lets open associations and requests finish, then stops the threads; see the module's head.
    pub async fn stop(self) {
        let Self {
            hub,
            watch,
            stop,
            synthetic,
            ingest,
            console,
            pipeline,
            retention,
            shadow,
            outbox,
            audit,
            spool,
            ..
        } = self;
        watch.abort();
        // What it leaves is removed at the next start. It holds the spool until it has ended, which is at once.
        if let Some(synthetic) = synthetic {
            synthetic.abort();
            drop(synthetic.await);
        }
        let now = Instant::now();
        let (connections_until, threads_until, until) = (now + CONNECTIONS, now + THREADS, now + DRAIN);
        // The tasks hold receivers; where they have ended already there is nobody left to tell.
        let _ = stop.send(Some(connections_until));
        // Ingest ends its associations itself at that time, and is given a moment for it.
        tokio::join!(
            ended("ingest", ingest, threads_until),
            ended("the console's requests", console, connections_until)
        );

        let pipeline = pipeline.lock().take();
        tokio::join!(
            done("the analysis", threads_until, move || pipeline.into_iter().for_each(Pipeline::stop)),
            done("retention", threads_until, move || drop(retention)),
            done("the shadow model", threads_until, move || drop(shadow)),
            done("the outbox", threads_until, move || outbox.stop()),
        );
        done("the database", until, move || {
            let exams = hub.close(until);
            if !exams.is_empty() {
                let exams: Vec<String> = exams.iter().map(ToString::to_string).collect();
                tracing::error!(
                    exams = exams.join(" "),
                    "the last verdicts and flags of these exams are not kept: verdicts are made again from the spool"
                );
            }
        })
        .await;
        done("the audit trail", until, move || audit.stop()).await;
        done("the spool", until, move || drop(spool)).await;
    }
}

/// Waits for a task and cuts it off at `until`.
async fn ended(what: &str, mut task: JoinHandle<()>, until: Instant) {
    match tokio::time::timeout_at(until.into(), &mut task).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "{what} had stopped unexpectedly"),
        Err(_) => {
            task.abort();
            tracing::warn!("{what} had not ended when the time was up: cut off by the stop");
        }
    }
}

/// Has work done that blocks, and leaves it to itself at `until`.
async fn done(what: &str, until: Instant, work: impl FnOnce() + Send + 'static) {
    match tokio::time::timeout_at(until.into(), tokio::task::spawn_blocking(work)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "{what} did not stop in order"),
        Err(_) => {
            tracing::warn!(
                "{what} had not stopped when the time was up: what it had in hand goes on at the next start"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_end_one_after_the_other_and_all_before_systemd_kills() {
        let unit = include_str!("../../systemd/tableside.service");
        let limit = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
        let limit = Duration::from_secs(limit.parse().unwrap());
        assert!(CONNECTIONS < THREADS && THREADS < DRAIN && DRAIN + Duration::from_secs(2) <= limit);
    }

    #[tokio::test]
    async fn what_hangs_is_left_when_the_time_is_up() {
        let (end, hanging) = std::sync::mpsc::channel::<()>();
        let now = Instant::now();
        done("a thread that hangs", now + Duration::from_millis(10), move || assert!(hanging.recv().is_err())).await;
        ended("a task that hangs", tokio::spawn(std::future::pending()), now + Duration::from_millis(10)).await;
        drop(end);
    }
}
