//! The daemon, through its DICOM port and its console.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tableside::dicom::Target;

use crate::answer::Answer;
use crate::daemon::{Daemon, config};
use crate::delivery::Delivery;

/// How long the daemon may show no progress before the test gives up on it.
const PATIENCE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(100);

/// A daemon that exams are sent to, and what they must come to.
pub struct Network {
    daemon: Daemon,
    runtime: tokio::runtime::Runtime,
    target: Target,
}

/// What was sent under a Patient ID, which no other exam of the test has.
#[derive(Debug, Clone)]
pub struct Sent {
    pub patient_id: String,
    /// Instances that were answered with success or a warning, each once.
    pub taken: usize,
}

impl Network {
    pub fn start() -> Self {
        let data = Arc::new(tempfile::tempdir().unwrap());
        let config = config(data.path(), "").replace("kind = \"embedded\"", crate::doors::ENGINE);
        let daemon = Daemon::start_configured(data, &config);
        let target = format!("TABLESIDE@{}", daemon.dicom()).parse().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { daemon, runtime, target }
    }

    pub fn send(&self, patient_id: &str, delivery: &Delivery) -> Sent {
        let taken = self.runtime.block_on(delivery.send(&self.target));
        Sent { patient_id: patient_id.to_owned(), taken }
    }

    /// The reports on all exams of the patient, once nothing of it is missing or under way.
    pub fn answers(&self, sent: &Sent) -> Vec<Answer> {
        let mut seen = Vec::new();
        let mut since = Instant::now();
        loop {
            let exams = self.daemon.exams();
            let of_it: Vec<&Value> = exams.iter().filter(|exam| exam["patient"]["id"] == sent.patient_id).collect();
            let instances: usize = of_it.iter().map(|exam| count(exam, "instances")).sum();
            if instances >= sent.taken && of_it.iter().all(|exam| exam["state"] == "complete") {
                return of_it.into_iter().map(|exam| self.answer(exam)).collect();
            }
            if exams != seen {
                (seen, since) = (exams, Instant::now());
            }
            let log = || self.daemon.log();
            assert!(since.elapsed() < PATIENCE, "no verdict on {sent:?}, {instances} received:\n{}", log());
            std::thread::sleep(POLL);
        }
    }

    fn answer(&self, exam: &Value) -> Answer {
        let details = self.daemon.details(exam["key"].as_str().expect("a key"));
        Answer::of_report(&details["report"])
    }
}

fn count(exam: &Value, of: &str) -> usize {
    exam["slices"][of].as_u64().unwrap_or(0) as usize
}
