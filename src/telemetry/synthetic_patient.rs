//! What came of synthetic patients: whether the whole way from the DICOM port to the event stream works while no patient goes it.

use std::time::{Duration, SystemTime};

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

const INTERVAL: &str = "tableside_synthetic_patient_interval_seconds";
const RUNS: &str = "tableside_synthetic_patient_runs_total";
const FAILING: &str = "tableside_synthetic_patient_failing";
const LAST_SUCCESS: &str = "tableside_synthetic_patient_last_success_timestamp_seconds";
const SECONDS: &str = "tableside_synthetic_patient_seconds";

const OUTCOMES: [&str; 3] = ["passed", "failed", "interrupted"];

pub(super) fn describe() {
    describe_gauge!(INTERVAL, Unit::Seconds, "Time from one synthetic patient to the next; 0 where none is sent");
    describe_counter!(RUNS, "Synthetic patients that were sent, by what came of them");
    describe_gauge!(FAILING, "1 since a synthetic patient has failed, until one passes");
    describe_gauge!(LAST_SUCCESS, Unit::Seconds, "When a synthetic patient last passed; 0 before");
    describe_gauge!(SECONDS, Unit::Seconds, "From the last one's last slice until its verdict was on the event stream");
}

/// Brings the series into being; see `labels`.
pub(super) fn start_at_zero() {
    for name in [INTERVAL, FAILING, LAST_SUCCESS, SECONDS] {
        gauge!(name).increment(0.0);
    }
    for outcome in OUTCOMES {
        counter!(RUNS, "outcome" => outcome).increment(0);
    }
}

/// A synthetic patient is sent this often.
pub fn synthetic_patient_interval(interval: Duration) {
    gauge!(INTERVAL).set(interval.as_secs_f64());
}

/// Its verdict was on the event stream so long after its last slice.
pub fn synthetic_patient_passed(took: Duration) {
    counter!(RUNS, "outcome" => "passed").increment(1);
    gauge!(FAILING).set(0.0);
    gauge!(SECONDS).set(took.as_secs_f64());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    gauge!(LAST_SUCCESS).set(now.as_secs_f64());
}

pub fn synthetic_patient_failed() {
    counter!(RUNS, "outcome" => "failed").increment(1);
    gauge!(FAILING).set(1.0);
}

/// It gave way to a scanner.
pub fn synthetic_patient_interrupted() {
    counter!(RUNS, "outcome" => "interrupted").increment(1);
}
