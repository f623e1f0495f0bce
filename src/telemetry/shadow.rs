//! The shadow model: what it made of exams, compared with what people were told.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const RUNNING: &str = "tableside_shadow_running";
const OUT: &str = "tableside_shadow_out";
const EXAMS: &str = "tableside_shadow_exams_total";
const SECONDS: &str = "tableside_shadow_seconds";
const WAITING: &str = "tableside_shadow_waiting";
const INTERRUPTED: &str = "tableside_shadow_interrupted_total";

const OUTCOMES: [&str; 5] = ["agree", "to_suspected", "from_suspected", "other", "failed"];

pub(super) fn describe() {
    describe_gauge!(RUNNING, "1 while a shadow model judges exams");
    describe_gauge!(OUT, "1 where the shadow model that is configured cannot be used or its thread has ended");
    describe_counter!(EXAMS, "Exams that the shadow model judged, by how its verdict compares with production's");
    describe_histogram!(SECONDS, Unit::Seconds, "How long the shadow model worked on an exam, without its pauses");
    describe_gauge!(WAITING, "Exams with a verdict and images that the shadow model has not judged");
    describe_counter!(INTERRUPTED, "Exams that the shadow model began and left because something else came");
}

/// Brings the series into being that there are; see `labels`.
pub(super) fn start_at_zero() {
    gauge!(RUNNING).set(0.0);
    gauge!(OUT).set(0.0);
    gauge!(WAITING).set(0.0);
    counter!(INTERRUPTED).increment(0);
    drop(histogram!(SECONDS));
    for outcome in OUTCOMES {
        counter!(EXAMS, "outcome" => outcome).increment(0);
    }
}

/// A shadow model judges exams from now on.
pub fn shadow_runs() {
    gauge!(RUNNING).set(1.0);
}

/// The shadow model judges nothing any more; `is_out` unless it was told to end.
pub fn shadow_ended(is_out: bool) {
    gauge!(RUNNING).set(0.0);
    gauge!(OUT).set(if is_out { 1.0 } else { 0.0 });
}

/// The shadow model has judged an exam, or could not.
pub fn shadow_judged(outcome: &'static str, worked: Duration) {
    debug_assert!(OUTCOMES.contains(&outcome), "{outcome} is not in telemetry::shadow");
    counter!(EXAMS, "outcome" => outcome).increment(1);
    histogram!(SECONDS).record(worked);
}

/// How many exams wait for the shadow model.
pub fn shadow_waiting(exams: usize) {
    gauge!(WAITING).set(exams as f64);
}

/// The shadow model left an exam that it had begun.
pub fn shadow_interrupted() {
    counter!(INTERRUPTED).increment(1);
}
