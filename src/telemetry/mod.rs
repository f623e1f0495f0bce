//! Metrics and logs. Both are part of the interface: names and labels are documented in `docs/metrics.md` and tested.
//! Neither carries a patient's name or ID; an exam appears under its key.

mod access;
mod audit;
mod labels;
mod notification;
mod outcomes;
mod scanners;
mod shadow;
mod synthetic_patient;
mod work_progress;

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, reload};

pub use access::{console_refused, log_in};
pub use audit::{audit_failed, audit_recorded, audit_unsent};
pub use notification::{Until, acknowledged, notification_parts, notified};
pub use outcomes::outcome_recorded;
pub use scanners::{scanner_called, scanner_sent, scanner_verdict, scanners_listed};
pub use shadow::{shadow_ended, shadow_interrupted, shadow_judged, shadow_runs, shadow_waiting};
pub use synthetic_patient::{
    synthetic_patient_failed, synthetic_patient_interrupted, synthetic_patient_interval, synthetic_patient_passed,
};
pub use work_progress::WorkProgress;

const BUILD_INFO: &str = "tableside_build_info";
const READY: &str = "tableside_ready";
const STANDSTILLS: &str = "tableside_standstills_total";
const INSTANCES_RECEIVED: &str = "tableside_instances_received_total";
const RECEIVED_BYTES: &str = "tableside_received_bytes_total";
const OBJECTS_REFUSED: &str = "tableside_objects_refused_total";
const OBJECTS_ODD: &str = "tableside_objects_odd_total";
const INSTANCES_CORRECTED: &str = "tableside_instances_corrected_total";
const C_STORE_RESPONSES: &str = "tableside_c_store_responses_total";
const STAGE_DURATION: &str = "tableside_stage_duration_seconds";
const ASSOCIATIONS_OPEN: &str = "tableside_associations_open";
const ASSOCIATIONS_ENDED: &str = "tableside_associations_ended_total";
const PROCEDURE_STEPS: &str = "tableside_procedure_steps_total";
const QUEUE_DEPTH: &str = "tableside_queue_depth";
const EXAMS_OPEN: &str = "tableside_exams_open";
const OLDEST_OPEN_EXAM: &str = "tableside_exams_oldest_open_seconds";
const STAGE_THREADS: &str = "tableside_stage_threads";
const CERTIFICATE_EXPIRY: &str = "tableside_certificate_expiry_timestamp_seconds";
const SLICES_PREPARED: &str = "tableside_slices_prepared_total";
const SLICES_FAILED: &str = "tableside_slices_failed_total";
const FLAGS: &str = "tableside_flags_total";
const VERDICTS: &str = "tableside_verdicts_total";
const COMPLETIONS: &str = "tableside_completions_total";
const ENGINE_INFO: &str = "tableside_engine_info";
const SPOOL_BLOCKED: &str = "tableside_spool_blocked";
const SPOOL_RECOVERED: &str = "tableside_spool_recovered_total";
const SPOOL_SET_ASIDE: &str = "tableside_spool_set_aside_total";
const SPOOL_BYTES: &str = "tableside_spool_bytes";
const DISK_FREE_BYTES: &str = "tableside_disk_free_bytes";
const CONSOLE_STREAMS: &str = "tableside_console_streams";
const EXAMS_TRAILING: &str = "tableside_exams_trailing";
const EXAMS_REMOVED: &str = "tableside_exams_removed_total";
const ENGINE_FAILURES: &str = "tableside_engine_failures_total";
const GPU_FAILURES: &str = "tableside_gpu_failures_total";
const DELIVERIES: &str = "tableside_outbox_deliveries";
const DELIVERY_AGE: &str = "tableside_outbox_oldest_seconds";
const DELIVERED: &str = "tableside_outbox_delivered_total";
const DELIVERY_PAUSES: &str = "tableside_outbox_pauses_total";
const GPU_OUT: &str = "tableside_gpu_out";
#[cfg(feature = "cuda")]
const GPU_SUMS_UPLOADED: &str = "tableside_gpu_sums_uploaded_total";

/// Upper bounds of the histograms' buckets, seconds: from one fast store to an exam that waited for quiet.
const BUCKETS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// Why metrics cannot be served.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot set up metrics: {0}")]
pub struct MetricsError(String);

/// The process's metrics.
#[derive(Debug, Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// All of them, in Prometheus' text format; what is known of the process itself is asked for now.
    #[must_use]
    pub fn render(&self) -> String {
        Collector::default().collect();
        self.0.run_upkeep();
        self.0.render()
    }
}

/// The process's one metrics recorder; installs it at the first call.
///
/// # Errors
/// If another recorder is installed in this process.
pub fn metrics() -> Result<Metrics, MetricsError> {
    static METRICS: OnceLock<Result<Metrics, MetricsError>> = OnceLock::new();
    METRICS
        .get_or_init(|| {
            let handle = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
                .and_then(|builder| {
                    let names = [notification::NOTIFICATION, notification::NOTIFICATION_PARTS];
                    names.into_iter().try_fold(builder, |builder, name| {
                        builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), &notification::BUCKETS)
                    })
                })
                .and_then(PrometheusBuilder::install_recorder)
                .map_err(|error| MetricsError(error.to_string()))?;
            describe();
            labels::start_at_zero();
            let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
            gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION"), "target" => target).set(1.0);
            Ok(Metrics(handle))
        })
        .clone()
}

fn describe() {
    Collector::default().describe();
    scanners::describe();
    synthetic_patient::describe();
    access::describe();
    audit::describe();
    outcomes::describe();
    shadow::describe();
    describe_gauge!(BUILD_INFO, "1 for the version that runs");
    describe_gauge!(READY, "1 while slices can be received and analysed, as /readyz says");
    describe_counter!(STANDSTILLS, "Times that work stood still, so that a restart was called for");
    describe_gauge!(
        OLDEST_OPEN_EXAM,
        Unit::Seconds,
        "How long the open exam has waited that has waited longest since its last slice"
    );
    describe_gauge!(STAGE_THREADS, "Threads that work at a stage");
    describe_gauge!(CERTIFICATE_EXPIRY, Unit::Seconds, "Until when a certificate of ours is valid");
    describe_counter!(INSTANCES_RECEIVED, "Instances that are on the disk and were acknowledged");
    describe_counter!(RECEIVED_BYTES, Unit::Bytes, "Bytes of the data sets of these instances");
    describe_counter!(OBJECTS_REFUSED, "Objects that were refused or kept without being analysable, by reason");
    describe_counter!(OBJECTS_ODD, "Objects that were kept though they are not as the standard says, by what is wrong");
    describe_counter!(INSTANCES_CORRECTED, "Instances that came again with other content: the newer one counts");
    describe_counter!(C_STORE_RESPONSES, "C-STORE responses by status");
    describe_histogram!(STAGE_DURATION, Unit::Seconds, "Time of one slice or window in a stage");
    describe_gauge!(ASSOCIATIONS_OPEN, "Open associations");
    describe_counter!(ASSOCIATIONS_ENDED, "Connections and associations that have ended, by how");
    describe_counter!(PROCEDURE_STEPS, "Messages of scanners about their procedure steps, by the state they told");
    describe_gauge!(QUEUE_DEPTH, "Instances that wait for a stage");
    describe_gauge!(CONSOLE_STREAMS, "Event streams that are open: browsers that watch");
    describe_gauge!(EXAMS_TRAILING, "Exams with a verdict of which more comes");
    describe_gauge!(EXAMS_OPEN, "Exams that have no verdict yet");
    describe_counter!(SLICES_PREPARED, "Slices that were decoded and resampled");
    describe_counter!(SLICES_FAILED, "Slices that could not be decoded");
    describe_counter!(FLAGS, "Flags that were raised or changed their state, by kind and state");
    describe_counter!(VERDICTS, "Verdicts, revised ones included");
    describe_counter!(COMPLETIONS, "How the end of an exam was known");
    notification::describe();
    describe_gauge!(ENGINE_INFO, "1 for the engine and the model in use, 0 for one that was replaced");
    describe_gauge!(SPOOL_BLOCKED, "1 while the disk takes nothing");
    describe_counter!(SPOOL_RECOVERED, "Acknowledged instances that a run that was cut short had left in the journal");
    describe_counter!(SPOOL_SET_ASIDE, "Half-written instances, never acknowledged, that were set aside at a start");
    describe_gauge!(SPOOL_BYTES, Unit::Bytes, "What the exams in the spool take");
    describe_gauge!(DISK_FREE_BYTES, Unit::Bytes, "What is free on the spool's disk");
    describe_counter!(EXAMS_REMOVED, "Exams whose images were removed from the spool, by why");
    describe_counter!(ENGINE_FAILURES, "Windows on which the engine failed");
    describe_counter!(GPU_FAILURES, "Times that a GPU failed and the engine on the CPU took over");
    describe_gauge!(GPU_OUT, "1 while a GPU that failed is out and the engine on the CPU serves in its place");
    describe_gauge!(DELIVERIES, "Objects that are not delivered, by destination and state");
    describe_gauge!(DELIVERY_AGE, Unit::Seconds, "Since when the oldest object waits for its destination");
    describe_counter!(DELIVERED, "Objects that a destination said it has");
    describe_counter!(DELIVERY_PAUSES, "Times that a destination took nothing and was left alone for a while");
    #[cfg(feature = "cuda")]
    describe_counter!(GPU_SUMS_UPLOADED, "Slabs whose sum had to be uploaded to the GPU");
}

/// An instance of this many bytes was stored.
pub fn received(bytes: usize) {
    counter!(INSTANCES_RECEIVED).increment(1);
    counter!(RECEIVED_BYTES).increment(bytes as u64);
}

/// An object was refused, or kept although it cannot be analysed.
pub fn refused(reason: &'static str) {
    debug_assert!(labels::REFUSAL_REASONS.contains(&reason), "{reason} is not in telemetry::labels");
    counter!(OBJECTS_REFUSED, "reason" => reason).increment(1);
}

/// An object was kept though something about it is not as the standard says.
pub fn odd(what: &'static str) {
    debug_assert!(labels::ODDITIES.contains(&what), "{what} is not in telemetry::labels");
    counter!(OBJECTS_ODD, "what" => what).increment(1);
}

/// An instance came again with other content.
pub fn corrected() {
    counter!(INSTANCES_CORRECTED).increment(1);
}

pub fn c_store_response(status: u16) {
    let status = format!("{status:04X}");
    debug_assert!(labels::C_STORE_STATUSES.contains(&status.as_str()), "{status} is not in telemetry::labels");
    counter!(C_STORE_RESPONSES, "status" => status).increment(1);
}

/// Whether the spool can take nothing at present.
pub fn spool_blocked(blocked: bool) {
    gauge!(SPOOL_BLOCKED).set(if blocked { 1.0 } else { 0.0 });
}

/// What was found half done at the start.
pub fn spool_recovered(placed: usize, set_aside: usize) {
    counter!(SPOOL_RECOVERED).increment(placed as u64);
    counter!(SPOOL_SET_ASIDE).increment(set_aside as u64);
}

/// What the exams in the spool take and what the disk has left, bytes.
pub fn room(used: u64, free: u64) {
    gauge!(SPOOL_BYTES).set(used as f64);
    gauge!(DISK_FREE_BYTES).set(free as f64);
}

/// An exam's images were removed for `age`, `quota` or `free_space`.
pub fn exam_removed(reason: &'static str) {
    debug_assert!(labels::REMOVAL_REASONS.contains(&reason), "{reason} is not in telemetry::labels");
    counter!(EXAMS_REMOVED, "reason" => reason).increment(1);
}

/// One slice, window or turn spent this long in a stage: `store`, `decode`, `preprocess`, `inference`, `publish` or `analysis`.
pub fn stage(stage: &'static str, duration: Duration) {
    debug_assert!(labels::STAGES.contains(&stage), "{stage} is not in telemetry::labels");
    histogram!(STAGE_DURATION, "stage" => stage).record(duration);
}

/// An association was opened (1) or has ended (-1).
pub fn associations_open(change: f64) {
    gauge!(ASSOCIATIONS_OPEN).increment(change);
}

/// A connection or its association has ended.
pub fn association_ended(how: &'static str) {
    debug_assert!(labels::ASSOCIATION_ENDS.contains(&how), "{how} is not in telemetry::labels");
    counter!(ASSOCIATIONS_ENDED, "how" => how).increment(1);
}

/// A scanner has told the state of a procedure step.
pub fn procedure_step(state: &'static str) {
    debug_assert!(labels::STEP_STATES.contains(&state), "{state} is not in telemetry::labels");
    counter!(PROCEDURE_STEPS, "state" => state).increment(1);
}

/// How many instances wait for a stage.
pub fn queue_depth(queue: &'static str, depth: usize) {
    debug_assert!(labels::QUEUES.contains(&queue), "{queue} is not in telemetry::labels");
    gauge!(QUEUE_DEPTH, "queue" => queue).set(depth as f64);
}

/// Whether slices can be received and analysed.
pub fn ready(is_ready: bool) {
    gauge!(READY).set(if is_ready { 1.0 } else { 0.0 });
}

/// Work stood still, so that a restart was called for.
pub fn standstill() {
    counter!(STANDSTILLS).increment(1);
}

/// Exams with a verdict of which more comes.
pub fn exams_trailing(count: usize) {
    gauge!(EXAMS_TRAILING).set(count as f64);
}

/// Event streams that are open.
pub fn console_streams(count: usize) {
    gauge!(CONSOLE_STREAMS).set(count as f64);
}

/// How many exams have no verdict, and how long ago the last slice of one of them came at the longest.
pub fn exams_open(count: usize, longest_since_last_slice: Duration) {
    gauge!(EXAMS_OPEN).set(count as f64);
    gauge!(OLDEST_OPEN_EXAM).set(longest_since_last_slice.as_secs_f64());
}

/// So many threads work at a stage: what they spend there of each second, shared among them, is how busy they are.
pub fn stage_threads(stage: &'static str, threads: usize) {
    debug_assert!(labels::STAGES.contains(&stage), "{stage} is not in telemetry::labels");
    gauge!(STAGE_THREADS, "stage" => stage).set(threads as f64);
}

/// A certificate of ours that is in use, and until when it is valid.
pub fn certificate(file: &Path, valid_until: Option<Timestamp>) {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // One that does not say so is no good any more, as far as anybody can tell.
    let valid_until = valid_until.map_or(0.0, |until| until.as_second() as f64);
    gauge!(CERTIFICATE_EXPIRY, "certificate" => name).set(valid_until);
}

pub fn slice_prepared() {
    counter!(SLICES_PREPARED).increment(1);
}

pub fn slice_failed() {
    counter!(SLICES_FAILED).increment(1);
}

pub fn flag(kind: &'static str, state: &'static str) {
    debug_assert!(labels::FLAG_KINDS.contains(&kind), "{kind} is not in telemetry::labels");
    debug_assert!(labels::FLAG_STATES.contains(&state), "{state} is not in telemetry::labels");
    counter!(FLAGS, "kind" => kind, "state" => state).increment(1);
}

pub fn verdict(verdict: &'static str, rule: &'static str) {
    debug_assert!(labels::VERDICT_KINDS.contains(&verdict), "{verdict} is not in telemetry::labels");
    counter!(VERDICTS, "verdict" => verdict).increment(1);
    debug_assert!(labels::RULES.contains(&rule), "{rule} is not in telemetry::labels");
    counter!(COMPLETIONS, "rule" => rule).increment(1);
}

/// The engine that serves, with the model it runs.
pub fn engine(engine: &'static str, model: &str) {
    gauge!(ENGINE_INFO, "engine" => engine, "model" => model.to_owned()).set(1.0);
}

/// Another engine serves from now on.
pub fn engine_replaced(before: &'static str, now: &'static str, model: &str) {
    gauge!(ENGINE_INFO, "engine" => before, "model" => model.to_owned()).set(0.0);
    engine(now, model);
}

/// The GPU failed, the CPU takes over.
pub fn gpu_failure() {
    counter!(GPU_FAILURES).increment(1);
}

/// Whether a GPU that failed is out.
pub fn gpu_out(is_out: bool) {
    gauge!(GPU_OUT).set(if is_out { 1.0 } else { 0.0 });
}

/// A slab lay on the GPU otherwise than a window is made of, or not at all.
#[cfg(feature = "cuda")]
pub fn gpu_sum_uploaded() {
    counter!(GPU_SUMS_UPLOADED).increment(1);
}

pub fn engine_failure() {
    counter!(ENGINE_FAILURES).increment(1);
}

/// Series of a destination that is configured are there from the start.
pub fn deliveries_start(destination: &str) {
    counter!(DELIVERED, "destination" => destination.to_owned()).increment(0);
    counter!(DELIVERY_PAUSES, "destination" => destination.to_owned()).increment(0);
}

/// What is not settled with a destination, by state, and the age of the oldest that waits.
pub fn deliveries_unsettled(destination: &str, by_state: &[(&'static str, usize)], oldest: Duration) {
    for (state, count) in by_state {
        gauge!(DELIVERIES, "destination" => destination.to_owned(), "state" => *state).set(*count as f64);
    }
    gauge!(DELIVERY_AGE, "destination" => destination.to_owned()).set(oldest.as_secs_f64());
}

/// A destination has an object.
pub fn delivered(destination: &str) {
    counter!(DELIVERED, "destination" => destination.to_owned()).increment(1);
}

/// A destination takes nothing at present.
pub fn delivery_pause(destination: &str) {
    counter!(DELIVERY_PAUSES, "destination" => destination.to_owned()).increment(1);
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// The DICOM libraries remark on much that real files have; what matters of it comes back as an error and is logged here.
const LIBRARY_LEVELS: &str =
    "dicom_object=error,dicom_parser=error,dicom_ul=error,dicom_pixeldata=error,rten=error,ort=error";

/// The heads of the audit trail are always in the log: there they show later whether its records were changed.
const AUDIT_HEADS: &str = "tableside::audit::head=info";

/// Changes what is logged.
type Relevel = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

static RELEVEL: OnceLock<Relevel> = OnceLock::new();

fn filter(level: &str) -> EnvFilter {
    EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{LIBRARY_LEVELS},{level},{AUDIT_HEADS}")))
}

/// Logs by another `EnvFilter` directive from now on, unless `RUST_LOG` overrides it.
pub fn log_level(level: &str) {
    if let Some(Err(error)) = RELEVEL.get().map(|relevel| relevel(filter(level))) {
        tracing::warn!(%error, "the level of the log stays as it is");
    }
}

/// Sends log lines to standard error. `level` is an `EnvFilter` directive; `RUST_LOG` overrides it.
pub fn log_to_stderr(format: LogFormat, level: &str) {
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).with_ansi(colour);
    let (relevel, begun): (Relevel, _) = match format {
        LogFormat::Text => {
            let lines = lines.with_env_filter(filter(level)).with_filter_reloading();
            let handle = lines.reload_handle();
            (Box::new(move |filter| handle.reload(filter)), lines.try_init())
        }
        LogFormat::Json => {
            let lines = lines.json().with_env_filter(filter(level)).with_filter_reloading();
            let handle = lines.reload_handle();
            (Box::new(move |filter| handle.reload(filter)), lines.try_init())
        }
    };
    // A second call in one process, as tests make it, leaves the first setting.
    if begun.is_ok() {
        drop(RELEVEL.set(relevel));
    }
}
