//! What came of a scan, instance by instance and in all.

use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

use super::series::Unreadable;

/// What came of one instance.
#[derive(Debug, Clone)]
pub struct SendProgress {
    /// Its place in what was to be sent, from 0.
    pub index: usize,
    /// How many there are to send.
    pub total: usize,
    /// Size of its data set.
    pub bytes: usize,
    /// The response's status; none where there was no response.
    pub status: Option<u16>,
    /// From the first byte written to the response read.
    pub latency: Option<Duration>,
    /// How much later than the pace asks it left.
    pub late: Duration,
    /// When the response had been read.
    pub answered_at: Option<Instant>,
    /// Associations that were established for it because the one before was lost.
    pub new_associations: usize,
    /// Why it was not stored.
    pub failure: Option<SendFailure>,
}

/// An instance that the peer did not store, as far as the scanner knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SendFailure {
    /// Its place in what was to be sent, from 0.
    pub index: usize,
    /// `SOPInstanceUID`.
    pub sop_instance_uid: String,
    /// The file or the phantom's slice.
    pub origin: String,
    /// The response's status, if there was one.
    #[serde(serialize_with = "hexadecimal")]
    pub status: Option<u16>,
    /// In words.
    pub reason: String,
}

/// Milliseconds at some ranks of a distribution; all zero where there was none.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Quantiles {
    /// Median, ms.
    pub p50: f64,
    /// 90th percentile, ms.
    pub p90: f64,
    /// 99th percentile, ms.
    pub p99: f64,
    /// Maximum, ms.
    pub max: f64,
}

impl Quantiles {
    /// By nearest rank.
    #[must_use]
    pub fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        let at = |per_cent: usize| {
            let rank = (durations.len() * per_cent).div_ceil(100).max(1);
            durations.get(rank - 1).map_or(0.0, |duration| duration.as_secs_f64() * 1e3)
        };
        Self { p50: at(50), p90: at(90), p99: at(99), max: at(100) }
    }
}

/// What came of a scan.
#[derive(Debug, Clone, Serialize)]
pub struct ScanReport {
    /// Instances that were to be sent.
    pub instances: usize,
    /// Instances that the peer stored, with or without a warning.
    pub sent: usize,
    /// Those of them with a warning status (Bxxx).
    pub warnings: usize,
    /// Instances that the peer did not store, in the order in which that became known.
    pub failures: Vec<SendFailure>,
    /// Files that were not sent because they cannot be read, although they may be DICOM instances.
    pub unreadable: Vec<Unreadable>,
    /// Bytes of the stored data sets.
    pub bytes: u64,
    /// From the first instance's time to the last response, s.
    pub duration_s: f64,
    /// The pace asked for, instances/s; 0 for none.
    pub rate: f64,
    /// Stored instances/s.
    pub achieved_rate: f64,
    /// How much later than the pace asks instances left, ms.
    pub lateness_ms: Quantiles,
    /// From the first byte of a request written to its response read, ms.
    pub latency_ms: Quantiles,
    /// Associations that took the place of lost ones.
    pub new_associations: usize,
    /// Associations that were not released properly, and why.
    pub release_errors: Vec<String>,
    /// When the associations stood and the first instance was due.
    #[serde(skip)]
    pub started_at: Instant,
    /// When the last response had been read; none if there was none.
    #[serde(skip)]
    pub last_response_at: Option<Instant>,
    #[serde(skip)]
    latencies: Vec<Duration>,
    #[serde(skip)]
    lateness: Vec<Duration>,
}

impl ScanReport {
    /// Whether the peer stored everything that there was.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.sent == self.instances && self.unreadable.is_empty()
    }

    pub(super) fn new(instances: usize, rate: f64, started_at: Instant) -> Self {
        Self {
            instances,
            sent: 0,
            warnings: 0,
            failures: Vec::new(),
            unreadable: Vec::new(),
            bytes: 0,
            duration_s: 0.0,
            rate,
            achieved_rate: 0.0,
            lateness_ms: Quantiles::default(),
            latency_ms: Quantiles::default(),
            new_associations: 0,
            release_errors: Vec::new(),
            started_at,
            last_response_at: None,
            latencies: Vec::new(),
            lateness: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, step: &SendProgress) {
        self.last_response_at = self.last_response_at.max(step.answered_at);
        self.new_associations += step.new_associations;
        if let Some(latency) = step.latency {
            self.latencies.push(latency);
            self.lateness.push(step.late);
        }
        if let Some(failure) = &step.failure {
            self.failures.push(failure.clone());
            return;
        }
        self.sent += 1;
        self.bytes += step.bytes as u64;
        self.warnings += usize::from(step.status != Some(0));
    }

    pub(super) fn finish(&mut self) {
        self.latency_ms = Quantiles::of(std::mem::take(&mut self.latencies));
        self.lateness_ms = Quantiles::of(std::mem::take(&mut self.lateness));
        let end = self.last_response_at.unwrap_or(self.started_at);
        self.duration_s = (end - self.started_at).as_secs_f64();
        if self.duration_s > 0.0 {
            // Counts are far below 2^52.
            #[allow(clippy::cast_precision_loss)]
            let sent = self.sent as f64;
            self.achieved_rate = sent / self.duration_s;
        }
    }
}

// The signature is serde's.
#[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref)]
fn hexadecimal<S: Serializer>(status: &Option<u16>, serializer: S) -> Result<S::Ok, S::Error> {
    match status {
        Some(status) => serializer.serialize_str(&format!("{status:04X}")),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_nearest_rank() {
        let quantiles = Quantiles::of((1..=200).rev().map(Duration::from_millis).collect());
        let expected = Quantiles { p50: 100.0, p90: 180.0, p99: 198.0, max: 200.0 };
        assert_eq!(quantiles, expected);
        assert_eq!(Quantiles::of(Vec::new()), Quantiles::default());
    }

    #[test]
    fn a_warning_counts_as_sent_and_a_refusal_does_not() {
        let now = Instant::now();
        let mut report = ScanReport::new(3, 0.0, now);
        for (index, status) in [0, 0xB007, 0xA700].into_iter().enumerate() {
            let failure = (status == 0xA700).then(|| SendFailure {
                index,
                sop_instance_uid: "1.2".to_owned(),
                origin: "test".to_owned(),
                status: Some(status),
                reason: "out of resources".to_owned(),
            });
            report.add(&SendProgress {
                index,
                total: 3,
                bytes: 10,
                status: Some(status),
                latency: Some(Duration::from_millis(5)),
                late: Duration::ZERO,
                answered_at: Some(now + Duration::from_secs(1)),
                new_associations: 0,
                failure,
            });
        }
        report.finish();
        assert_eq!((report.sent, report.warnings, report.failures.len()), (2, 1, 1));
        assert!(!report.complete());
        assert!((report.achieved_rate - 2.0).abs() < 1e-9);
        let json = serde_json::to_value(&report).expect("serializable");
        assert_eq!(json["failures"][0]["status"], "A700");
    }
}
