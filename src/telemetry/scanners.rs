//! Whether each listed scanner is served. Only listed scanners have series: whoever calls by another AE title makes none.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use parking_lot::RwLock;

const LAST_SEEN: &str = "tableside_scanner_last_seen_timestamp_seconds";
const SLICES: &str = "tableside_scanner_slices_total";
const VERDICTS: &str = "tableside_scanner_verdicts_total";
const VERDICT: &str = "tableside_scanner_verdict_seconds";

/// AE titles of the scanners that are listed.
static LISTED: RwLock<BTreeSet<String>> = RwLock::new(BTreeSet::new());

pub(super) fn describe() {
    describe_gauge!(LAST_SEEN, Unit::Seconds, "When a scanner last opened an association or sent an object; 0 before");
    describe_counter!(SLICES, "Objects of a scanner that are on the disk and were acknowledged");
    describe_counter!(VERDICTS, "Verdicts on exams of a scanner, revised ones included");
    describe_histogram!(VERDICT, Unit::Seconds, "From a scanner's last slice of an exam until its verdict");
}

/// These scanners may send, and no others: their series are there from now on.
pub fn scanners_listed(ae_titles: impl IntoIterator<Item = String>) {
    let scanners: BTreeSet<String> = ae_titles.into_iter().collect();
    for scanner in &scanners {
        gauge!(LAST_SEEN, "scanner" => scanner.clone()).increment(0.0);
        counter!(SLICES, "scanner" => scanner.clone()).increment(0);
        counter!(VERDICTS, "scanner" => scanner.clone()).increment(0);
        drop(histogram!(VERDICT, "scanner" => scanner.clone()));
    }
    *LISTED.write() = scanners;
}

/// A scanner has opened an association.
pub fn scanner_called(ae_title: &str) {
    if let Some(scanner) = listed(ae_title) {
        seen(scanner);
    }
}

/// An object of a scanner was stored.
pub fn scanner_sent(ae_title: &str) {
    if let Some(scanner) = listed(ae_title) {
        counter!(SLICES, "scanner" => scanner.clone()).increment(1);
        seen(scanner);
    }
}

/// An exam of a scanner has its verdict, so long after its last slice.
pub fn scanner_verdict(ae_title: &str, since_last_slice: Duration) {
    if let Some(scanner) = listed(ae_title) {
        counter!(VERDICTS, "scanner" => scanner.clone()).increment(1);
        histogram!(VERDICT, "scanner" => scanner).record(since_last_slice);
    }
}

fn seen(scanner: String) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    gauge!(LAST_SEEN, "scanner" => scanner).set(now.as_secs_f64());
}

fn listed(ae_title: &str) -> Option<String> {
    LISTED.read().get(ae_title.trim()).cloned()
}
