//! Metrics of the audit trail.

use metrics::{counter, describe_counter, describe_gauge, gauge};

const RECORDS: &str = "tableside_audit_records_total";
const UNSENT: &str = "tableside_audit_unsent";
const FAILURES: &str = "tableside_audit_failures_total";

/// By `audit::Event::label`.
const EVENTS: [&str; 23] = [
    "started",
    "stopped",
    "receiving_began",
    "received",
    "caller_refused",
    "logged_in",
    "logged_out",
    "access_changed",
    "viewed",
    "acknowledged",
    "outcome_recorded",
    "delivered",
    "notified",
    "exported",
    "restored",
    "deliveries_decided",
    "configuration_changed",
    "model_changed",
    "trail_verified",
    "records_lost",
    "tail_set_aside",
    "trail_damaged",
    "trail_shortened",
];

/// What failed: a write, a connection to the syslog server; or there was no room for an event.
const FAILED: [&str; 3] = ["write", "send", "lost"];

pub(super) fn describe() {
    describe_counter!(RECORDS, "Records of the audit trail that are on the disk, by event");
    describe_gauge!(UNSENT, "Records of the audit trail that the syslog server did not get");
    describe_counter!(FAILURES, "Times that the audit trail could not be written or sent, and events that were lost");
}

pub(super) fn start_at_zero() {
    for event in EVENTS {
        counter!(RECORDS, "event" => event).increment(0);
    }
    for what in FAILED {
        counter!(FAILURES, "what" => what).increment(0);
    }
    gauge!(UNSENT).increment(0.0);
}

/// A record is on the disk.
pub fn audit_recorded(event: &'static str) {
    debug_assert!(EVENTS.contains(&event), "{event} is not in telemetry::audit");
    counter!(RECORDS, "event" => event).increment(1);
}

/// How many records the syslog server did not get.
pub fn audit_unsent(records: u64) {
    gauge!(UNSENT).set(records as f64);
}

/// The trail could not be written (`write`) or sent (`send`), or an event was lost (`lost`).
pub fn audit_failed(what: &'static str) {
    debug_assert!(FAILED.contains(&what), "{what} is not in telemetry::audit");
    counter!(FAILURES, "what" => what).increment(1);
}
