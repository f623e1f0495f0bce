//! Health is progress. A thread may live and hang: on a lock, on a disk that died, in a library that never comes back. So whoever
//! works says when a piece of work begins and ends (`telemetry::WorkProgress`), and work that lies there with none of it finished for
//! [`STALLED_AFTER`] is a problem: on `/readyz`, on the console, and for systemd's watchdog where a restart mends it.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::disk::Disk;
use super::standstill::Standstill;
use crate::audit::Audit;
use crate::console::{Hub, Status};
use crate::outbox::Outbox;
use crate::pipeline::{Pipeline, Stall};
use crate::serving::EngineState;
use crate::spool::Spool;
use crate::synthetic::Trouble;
use crate::telemetry::{self, WorkProgress};
use crate::texts::Phrase;

/// Who has had work for so long without finishing a piece of it hangs: a turn of decoding takes 0.2 s, a window 40 ms, an exam that is
/// read again from the spool some seconds, a transaction half a second on a bad disk.
const STALLED_AFTER: Duration = Duration::from_secs(15);

/// How soon the metric says that something is wrong.
const WATCHED_EVERY: Duration = Duration::from_secs(5);

/// What the daemon's health and its status on the console are made from.
pub(super) struct Health {
    pub engine: EngineState,
    pub model: String,
    pub ae_title: String,
    pub dicom_address: SocketAddr,
    pub pipeline: Arc<Mutex<Option<Pipeline>>>,
    pub ingest: tokio::task::AbortHandle,
    /// Of each place where scanners connect.
    pub accepting: Vec<WorkProgress>,
    pub hub: Weak<Hub>,
    pub spool: Weak<Spool>,
    pub outbox: Weak<Outbox>,
    pub audit: Arc<Audit>,
    pub disk: Disk,
    pub insecure: bool,
    /// What whoever looks should know of who may look.
    pub exposed: Option<Phrase>,
    pub standstill: Standstill,
    pub trouble: Trouble,
}

impl Health {
    pub(super) async fn status(&self) -> Status {
        let (problem_phrases, notice_phrases) = (self.problems().await, self.notices());
        let words = |phrases: &[Phrase]| phrases.iter().map(ToString::to_string).collect();
        telemetry::ready(problem_phrases.is_empty());
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: problem_phrases.is_empty(),
            problems: words(&problem_phrases),
            notices: words(&notice_phrases),
            problem_phrases,
            notice_phrases,
            destinations: self.outbox.upgrade().map(|outbox| outbox.destinations()).unwrap_or_default(),
            engine: self.engine.engine().to_owned(),
            model: self.model.clone(),
            ae_title: self.ae_title.clone(),
            dicom_address: self.dicom_address.to_string(),
            port: self.dicom_address.port(),
        }
    }

    /// Has metrics say whether it is ready, and when work stands still, though nobody asks. It never ends.
    pub(super) async fn watch(&self) {
        let mut clock = tokio::time::interval(WATCHED_EVERY);
        loop {
            clock.tick().await;
            self.standstill.note(self.needs_restart().map(|what| what.to_string()).as_deref());
            telemetry::ready(self.problems().await.is_empty());
        }
    }

    /// Sets the metrics that have to be true also where those that work stand still.
    pub(super) fn measure(&self) {
        if let Some(pipeline) = self.pipeline.lock().as_ref() {
            telemetry::queue_depth("analysis", pipeline.queued());
        }
        if let Some(hub) = self.hub.upgrade() {
            let (open, longest) = hub.open_exams();
            telemetry::exams_open(open, longest);
            telemetry::exams_trailing(hub.trailing_exams());
            telemetry::console_streams(hub.watchers());
        }
        if let Some(spool) = self.spool.upgrade() {
            telemetry::spool_blocked(spool.problem().is_some());
        }
    }

    fn notices(&self) -> Vec<Phrase> {
        let open = self.insecure.then(|| Phrase::new("daemon.anybody_may_send"));
        let undelivered = self.outbox.upgrade().map(|outbox| outbox.notices()).unwrap_or_default();
        let failed = self.trouble.notice();
        open.into_iter()
            .chain(self.exposed.clone())
            .chain(self.engine.notice())
            .chain(failed)
            .chain(undelivered)
            .chain(self.audit.notices())
            .collect()
    }

    async fn problems(&self) -> Vec<Phrase> {
        let disk = self.disk.problem().await;
        let stalled = self.hub.upgrade().and_then(|hub| hub.database_stalled(STALLED_AFTER));
        let writing = stalled.map(|since| Phrase::new("daemon.database_is_stalled").with("for", for_so_long(since)));
        let failing = self.hub.upgrade().is_some_and(|hub| hub.database_is_failing());
        let failing = failing.then(|| Phrase::new("daemon.database_is_failing"));
        let spool = self.spool.upgrade().and_then(|spool| spool.problem());
        let storing = spool.map(|problem| Phrase::new("daemon.nothing_is_stored").with("problem", problem));
        [
            self.analysis_problem(),
            self.engine.problem(),
            self.ingest_problem(),
            disk,
            writing.or(failing),
            storing,
            self.outbox_problem(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What hangs or has ended and would work again after a restart. What a disk does is not mended by one.
    pub(super) fn needs_restart(&self) -> Option<Phrase> {
        self.analysis_problem()
            .or_else(|| self.engine.problem())
            .or_else(|| self.ingest_problem())
            .or_else(|| self.outbox_problem())
    }

    fn outbox_problem(&self) -> Option<Phrase> {
        let is_alive = self.outbox.upgrade().is_none_or(|outbox| outbox.is_alive());
        (!is_alive).then(|| Phrase::new("daemon.delivery_has_stopped"))
    }

    fn analysis_problem(&self) -> Option<Phrase> {
        let pipeline = self.pipeline.lock();
        match pipeline.as_ref().filter(|pipeline| pipeline.is_alive()) {
            None => Some(Phrase::new("daemon.analysis_has_stopped")),
            Some(pipeline) => pipeline.stall(STALLED_AFTER).map(told),
        }
    }

    fn ingest_problem(&self) -> Option<Phrase> {
        if self.ingest.is_finished() {
            return Some(Phrase::new("daemon.ingest_has_stopped"));
        }
        let since = self.accepting.iter().filter_map(|door| door.stalled(STALLED_AFTER)).max()?;
        Some(Phrase::new("daemon.ingest_is_stalled").with("for", for_so_long(since)))
    }
}

fn told(Stall { since, waiting }: Stall) -> Phrase {
    Phrase::new("daemon.analysis_is_stalled").with("for", for_so_long(since)).with("count", waiting)
}

fn for_so_long(since: Duration) -> Phrase {
    match since.as_secs() {
        seconds @ ..120 => Phrase::new("daemon.seconds").with("seconds", seconds.to_string()),
        seconds => Phrase::new("daemon.minutes").with("minutes", (seconds / 60).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::tests::assert_known;

    #[test]
    fn a_stall_says_for_how_long_and_what_waits() {
        let stall = |seconds, waiting| told(Stall { since: Duration::from_secs(seconds), waiting }).to_string();
        let text = "the analysis has made no progress for 2 min with 12 slices waiting: restart tableside";
        assert_eq!(stall(150, 12), text);
        assert!(stall(16, 1).contains("for 16 s with 1 slice waiting"));
        for seconds in [16, 150] {
            assert_known(&told(Stall { since: Duration::from_secs(seconds), waiting: 1 }));
        }
    }
}
