//! Time to notification: how long it takes until people know. A figure of the product.

use std::time::Duration;

use metrics::{Unit, describe_histogram, histogram};

/// From the first or the last slice until people are told, or have acknowledged it.
pub(super) const NOTIFICATION: &str = "tableside_notification_seconds";
/// What this time was spent on.
pub(super) const NOTIFICATION_PARTS: &str = "tableside_notification_part_seconds";

/// Upper bounds of their buckets, seconds: from a verdict that needs one window more to a person who comes back from a break.
pub(super) const BUCKETS: [f64; 18] =
    [0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];

/// What people are told, or do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    EarlyFlag,
    Verdict,
    Acknowledgement,
}

impl Until {
    fn as_str(self) -> &'static str {
        match self {
            Self::EarlyFlag => "early_flag",
            Self::Verdict => "verdict",
            Self::Acknowledgement => "acknowledgement",
        }
    }
}

pub(super) fn describe() {
    describe_histogram!(
        NOTIFICATION,
        Unit::Seconds,
        "From an exam's first or last slice being on the disk until people are told, or have acknowledged it"
    );
    describe_histogram!(
        NOTIFICATION_PARTS,
        Unit::Seconds,
        "What the time from the first slice until people are told was spent on"
    );
}

/// Brings the series into being that there are; see `labels`.
pub(super) fn start_at_zero() {
    const SLICES: [&str; 2] = ["first_slice", "last_slice"];
    for (until, sinces, parts) in [
        (Until::EarlyFlag, &SLICES[..], &["receive", "compute"][..]),
        (Until::Verdict, &SLICES, &["receive", "wait", "compute"]),
        (Until::Acknowledgement, &["first_slice", "last_slice", "flag"], &[]),
    ] {
        let until = until.as_str();
        for since in sinces {
            drop(histogram!(NOTIFICATION, "until" => until, "since" => *since));
        }
        for part in parts {
            drop(histogram!(NOTIFICATION_PARTS, "until" => until, "part" => *part));
        }
    }
}

/// People know: so long after the exam's first slice and after the last one that had come by then.
pub fn notified(until: Until, since_first_slice: Duration, since_last_slice: Duration) {
    let until = until.as_str();
    histogram!(NOTIFICATION, "until" => until, "since" => "first_slice").record(since_first_slice);
    histogram!(NOTIFICATION, "until" => until, "since" => "last_slice").record(since_last_slice);
}

/// A flag was acknowledged so long after it was raised.
pub fn acknowledged(since_raised: Duration) {
    histogram!(NOTIFICATION, "until" => Until::Acknowledgement.as_str(), "since" => "flag").record(since_raised);
}

/// What the time from the first slice was spent on: receiving slices, waiting until the exam was known to be over (which an
/// early flag does not wait for), and computing.
pub fn notification_parts(until: Until, receive: Duration, wait: Option<Duration>, compute: Duration) {
    let until = until.as_str();
    for (part, duration) in [("receive", Some(receive)), ("wait", wait), ("compute", Some(compute))] {
        if let Some(duration) = duration {
            histogram!(NOTIFICATION_PARTS, "until" => until, "part" => part).record(duration);
        }
    }
}
