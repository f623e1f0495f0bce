//! Metrics of who is let in to the console, and who is not.

use metrics::{counter, describe_counter};

const LOG_INS: &str = "tableside_log_ins_total";
const REFUSED: &str = "tableside_console_refused_total";

const OUTCOMES: [&str; 4] = ["succeeded", "failed", "delayed", "busy"];
const REASONS: [&str; 7] = ["host", "site", "form", "role", "not_logged_in", "kiosk_address", "unknown"];

pub(super) fn describe() {
    describe_counter!(LOG_INS, "Attempts to log in to the console, by what came of them");
    describe_counter!(REFUSED, "Requests to the console that were refused, by reason");
}

pub(super) fn start_at_zero() {
    for outcome in OUTCOMES {
        counter!(LOG_INS, "outcome" => outcome).increment(0);
    }
    for reason in REASONS {
        counter!(REFUSED, "reason" => reason).increment(0);
    }
}

/// Somebody tried to log in.
pub fn log_in(outcome: &'static str) {
    debug_assert!(OUTCOMES.contains(&outcome), "{outcome} is not in telemetry::access");
    counter!(LOG_INS, "outcome" => outcome).increment(1);
}

/// A request to the console was refused.
pub fn console_refused(reason: &'static str) {
    debug_assert!(REASONS.contains(&reason), "{reason} is not in telemetry::access");
    counter!(REFUSED, "reason" => reason).increment(1);
}
