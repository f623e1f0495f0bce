//! The synthetic patient: every so often a phantom with pneumonia goes the way that a patient's slices go, over TCP through the DICOM
//! port, to its verdict on the console's event stream. What proves the whole way must not be a patient to anybody, nor be in a
//! patient's way:
//!
//! - Ingest knows it by a credential that is made for one scan (`ingest::SyntheticScans`) and gives its exam a key of its own kind. All
//!   who must tell it from a patient ask that key.
//! - Its exam ends in [`PatientsOnly`], before the hub: no list, database, flag or outbox has it.
//! - It begins when scanners have been quiet and no exam is open. When a scanner comes it is given up at once.
//! - Its images are removed when it is over, and at a start what an earlier run has left of it.

mod events;
mod listener;
mod scan;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::dicom::Target;
use crate::ingest::{SyntheticScans, Traffic};
use crate::pipeline::PipelineInput;
use crate::spool::Spool;
use crate::telemetry;
use crate::texts::Phrase;
pub use events::{EventError, OwnConsole};
pub use listener::PatientsOnly;
pub use scan::Failure;

/// It begins once nothing has come for so long, or for the interval where that is shorter.
const QUIET: Duration = Duration::from_mins(1);

/// Whether scanners leave it room is asked this often.
const LOOK: Duration = Duration::from_millis(500);

/// How often the synthetic patient is sent, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyntheticOptions {
    /// From the end of one to the next.
    pub every: Duration,
    /// From the last slice to the verdict on the event stream, at the longest.
    pub verdict_within: Duration,
}

/// Where the daemon listens, as whom.
#[derive(Debug, Clone)]
pub struct OwnPorts {
    pub dicom: SocketAddr,
    pub ae_title: String,
    pub console: OwnConsole,
}

/// What sends the synthetic patient, and watches for its verdict.
pub struct SyntheticPatient {
    pub options: SyntheticOptions,
    pub ports: OwnPorts,
    pub scans: SyntheticScans,
    pub traffic: Traffic,
    pub pipeline: PipelineInput,
    pub listener: Arc<PatientsOnly>,
    pub spool: Arc<Spool>,
    pub trouble: Trouble,
}

/// Why the last synthetic patient failed, if it did. All clones are one.
#[derive(Debug, Clone, Default)]
pub struct Trouble(Arc<Mutex<Option<Phrase>>>);

/// What came of one.
enum Outcome {
    /// Its verdict was on the event stream so long after its last slice.
    Passed(Duration),
    Failed(Failure),
    /// A scanner came.
    Interrupted,
}

impl Trouble {
    /// What people are told.
    #[must_use]
    pub fn notice(&self) -> Option<Phrase> {
        self.0.lock().clone()
    }
}

impl SyntheticPatient {
    /// Sends one after the other, each when it is due and scanners leave room for it. It never ends.
    pub async fn send_regularly(self) {
        let every = self.options.every;
        telemetry::synthetic_patient_interval(every);
        let quiet = QUIET.min(every);
        let mut due = Instant::now() + every;
        loop {
            tokio::time::sleep_until(due.into()).await;
            let began = self.wait_for_room(quiet).await;
            // Of one that was given up.
            self.remove_images().await;
            let outcome = self.send_one(began).await;
            self.tell(&outcome);
            if !matches!(outcome, Outcome::Interrupted) {
                self.remove_images().await;
            }
            due = Instant::now() + if matches!(outcome, Outcome::Interrupted) { quiet } else { every };
        }
    }

    /// Waits until no patient is scanned. Gives when that was so: whoever comes from then on interrupts.
    async fn wait_for_room(&self, quiet: Duration) -> Instant {
        loop {
            let now = Instant::now();
            if self.traffic.is_quiet_for(quiet, now) && !self.listener.an_exam_is_open() {
                return now;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn send_one(&self, began: Instant) -> Outcome {
        let instances = match scan::draw().await {
            Ok(instances) => instances,
            Err(failure) => return Outcome::Failed(failure),
        };
        let study = instances.first().map(|instance| instance.study_instance_uid.clone()).unwrap_or_default();
        let OwnPorts { dicom, ae_title, console } = &self.ports;
        let dicom = reachable(*dicom);
        let expected = self.scans.expect(&study, dicom.ip());
        let scan = scan::Scan {
            instances: &instances,
            expected: &expected,
            target: Target { ae_title: ae_title.clone(), host: dicom.ip().to_string(), port: dicom.port() },
            console: OwnConsole { address: reachable(console.address), ..console.clone() },
            verdict_within: self.options.verdict_within,
            listener: &self.listener,
        };
        let outcome = tokio::select! {
            biased;
            () = self.traffic.comes(began) => Outcome::Interrupted,
            taken = scan.run() => taken.map_or_else(Outcome::Failed, Outcome::Passed),
        };
        self.pipeline.abandon(&expected.exam);
        outcome
    }

    fn tell(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Passed(took) => {
                tracing::info!(ms = took.as_millis(), "the synthetic patient has its verdict on the event stream");
                telemetry::synthetic_patient_passed(*took);
                *self.trouble.0.lock() = None;
            }
            Outcome::Failed(failure) => {
                let stage = failure.stage();
                tracing::error!(stage, error = %failure, "the synthetic patient failed: a patient may fail in the same way");
                telemetry::synthetic_patient_failed();
                let at = Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string();
                let told =
                    Phrase::new("daemon.synthetic_patient_failed").with("at", at).with("stage", stage.to_owned());
                *self.trouble.0.lock() = Some(told.with("reason", Phrase::english(failure.to_string())));
            }
            Outcome::Interrupted => {
                tracing::info!("the synthetic patient was given up: a scanner came");
                telemetry::synthetic_patient_interrupted();
            }
        }
    }

    async fn remove_images(&self) {
        let spool = self.spool.clone();
        match tokio::task::spawn_blocking(move || spool.remove_synthetic()).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => tracing::warn!("the synthetic patient's images stay for now: the journal is not emptied"),
            Ok(Err(error)) => tracing::error!(%error, "the synthetic patient's images cannot be removed"),
            Err(error) => tracing::error!(%error, "the synthetic patient's images were not removed"),
        }
    }
}

/// Where this machine reaches a port of its own that may listen everywhere.
fn reachable(bound: SocketAddr) -> SocketAddr {
    match bound {
        SocketAddr::V4(at) if at.ip().is_unspecified() => (std::net::Ipv4Addr::LOCALHOST, at.port()).into(),
        SocketAddr::V6(at) if at.ip().is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, at.port()).into(),
        bound => bound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_listens_everywhere_is_reached_by_loopback() {
        for (bound, reached) in
            [("0.0.0.0:11112", "127.0.0.1:11112"), ("[::]:11112", "[::1]:11112"), ("10.0.0.5:104", "10.0.0.5:104")]
        {
            assert_eq!(reachable(bound.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
