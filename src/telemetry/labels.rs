//! Labels whose values are a closed set. Each value's series starts at 0: `rate` and `increase` take a counter that appears with its
//! first event for one to which nothing has happened.

use metrics::{counter, gauge, histogram};

#[cfg(feature = "cuda")]
use super::GPU_SUMS_UPLOADED;
use super::{
    ASSOCIATIONS_ENDED, ASSOCIATIONS_OPEN, C_STORE_RESPONSES, COMPLETIONS, ENGINE_FAILURES, EXAMS_OPEN, EXAMS_REMOVED,
    FLAGS, GPU_FAILURES, INSTANCES_CORRECTED, INSTANCES_RECEIVED, OBJECTS_ODD, OBJECTS_REFUSED, OLDEST_OPEN_EXAM,
    PROCEDURE_STEPS, QUEUE_DEPTH, RECEIVED_BYTES, SLICES_FAILED, SLICES_PREPARED, SPOOL_BLOCKED, SPOOL_RECOVERED,
    SPOOL_SET_ASIDE, STAGE_DURATION, STANDSTILLS, VERDICTS, access, audit, notification, outcomes, shadow,
    synthetic_patient,
};

pub(super) const REFUSAL_REASONS: [&str; 9] = [
    "truncated_or_not_dicom",
    "deflate",
    "missing_uid",
    "other_instance",
    "no_pixel_data",
    "pixel_data_length",
    "defective",
    "disk_full",
    "spool",
];

pub(super) const ODDITIES: [&str; 13] = [
    "order",
    "repeated",
    "unknown_vr",
    "unreadable_sequence",
    "delimiter",
    "encoding",
    "trailing_bytes",
    "excess_pixels",
    "uid_missing",
    "uid_spelled_otherwise",
    "invalid_uid",
    "no_file_meta",
    "file_meta",
];

pub(super) const C_STORE_STATUSES: [&str; 7] = ["0000", "0110", "0122", "A700", "A900", "B007", "C000"];

pub(super) const ASSOCIATION_ENDS: [&str; 13] = [
    "released",
    "aborted",
    "refused",
    "address",
    "tls",
    "crowded",
    "held_back",
    "too_slow",
    "connection_lost",
    "bad_pdu",
    "bad_message",
    "too_large",
    "storing",
];

pub(super) const STEP_STATES: [&str; 3] = ["in_progress", "completed", "discontinued"];
pub(super) const STAGES: [&str; 6] = ["store", "decode", "preprocess", "inference", "publish", "analysis"];
pub(super) const QUEUES: [&str; 2] = ["decode", "analysis"];
pub(super) const REMOVAL_REASONS: [&str; 3] = ["age", "quota", "free_space"];
pub(super) const FLAG_KINDS: [&str; 4] = ["suspected", "abnormal", "rescan", "not_analysed"];
pub(super) const FLAG_STATES: [&str; 5] = ["early", "confirmed", "withdrawn", "final", "pending"];
pub(super) const VERDICT_KINDS: [&str; 4] = ["suspected", "abnormal", "not_suspected", "not_analysed"];
pub(super) const RULES: [&str; 5] =
    ["procedure_step", "expected_count", "lungs_passed", "association_released", "quiet_time"];

/// Brings every series into being whose labels are known beforehand.
pub(super) fn start_at_zero() {
    for name in [
        INSTANCES_RECEIVED,
        RECEIVED_BYTES,
        INSTANCES_CORRECTED,
        SLICES_PREPARED,
        SLICES_FAILED,
        SPOOL_RECOVERED,
        SPOOL_SET_ASIDE,
        ENGINE_FAILURES,
        GPU_FAILURES,
        STANDSTILLS,
        #[cfg(feature = "cuda")]
        GPU_SUMS_UPLOADED,
    ] {
        counter!(name).increment(0);
    }
    for (name, label, values) in [
        (OBJECTS_REFUSED, "reason", &REFUSAL_REASONS[..]),
        (OBJECTS_ODD, "what", &ODDITIES),
        (C_STORE_RESPONSES, "status", &C_STORE_STATUSES),
        (ASSOCIATIONS_ENDED, "how", &ASSOCIATION_ENDS),
        (PROCEDURE_STEPS, "state", &STEP_STATES),
        (EXAMS_REMOVED, "reason", &REMOVAL_REASONS),
        (VERDICTS, "verdict", &VERDICT_KINDS),
        (COMPLETIONS, "rule", &RULES),
    ] {
        for value in values {
            counter!(name, label => *value).increment(0);
        }
    }
    for kind in FLAG_KINDS {
        for state in FLAG_STATES {
            counter!(FLAGS, "kind" => kind, "state" => state).increment(0);
        }
    }
    for name in [ASSOCIATIONS_OPEN, EXAMS_OPEN, OLDEST_OPEN_EXAM, SPOOL_BLOCKED] {
        gauge!(name).increment(0.0);
    }
    for queue in QUEUES {
        gauge!(QUEUE_DEPTH, "queue" => queue).increment(0.0);
    }
    for stage in STAGES {
        // A histogram that was asked for stands there with a count of 0.
        drop(histogram!(STAGE_DURATION, "stage" => stage));
    }
    notification::start_at_zero();
    synthetic_patient::start_at_zero();
    access::start_at_zero();
    audit::start_at_zero();
    outcomes::start_at_zero();
    shadow::start_at_zero();
}
