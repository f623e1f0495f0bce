//! Outcomes of verdicts, as people record them.

use metrics::{counter, describe_counter};

const OUTCOMES: &str = "tableside_outcomes_total";

/// By `alert::OutcomeKind::as_str`.
const KINDS: [&str; 4] = ["agree", "false_alarm", "missed", "unclear"];

pub(super) fn describe() {
    describe_counter!(OUTCOMES, "Outcomes of verdicts that were recorded, those that replace an earlier one too");
}

/// Brings the series into being that there are; see `labels`.
pub(super) fn start_at_zero() {
    for kind in KINDS {
        counter!(OUTCOMES, "kind" => kind).increment(0);
    }
}

/// Somebody recorded what became of a verdict.
pub fn outcome_recorded(kind: &'static str) {
    debug_assert!(KINDS.contains(&kind), "{kind} is not in telemetry::outcomes");
    counter!(OUTCOMES, "kind" => kind).increment(1);
}
