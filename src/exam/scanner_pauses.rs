//! How long each scanner pauses inside its exams, learned from those that came before. It is not kept over a restart: after
//! [`ENOUGH_EXAMS`] exams it is there again, and until then the configured times hold.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::ExamKey;

/// Longest pauses of an exam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pauses {
    /// Between two slices of one series.
    pub in_series: Duration,
    /// Between the release of an association and the next slice of a series that it had begun: the scanner had capped it.
    pub after_release: Duration,
}

impl Pauses {
    /// Of each kind the longer one.
    #[must_use]
    pub fn longest(self, other: Self) -> Self {
        Self {
            in_series: self.in_series.max(other.in_series),
            after_release: self.after_release.max(other.after_release),
        }
    }
}

/// Exams that are remembered of a scanner.
const REMEMBERED_EXAMS: usize = 32;

/// Fewer exams than this show nothing of a scanner.
const ENOUGH_EXAMS: usize = 3;

/// The pause that at most one in twenty exams exceeds is the usual one: a single stutter of the network does not slow all
/// later verdicts down.
const QUANTILE: f64 = 0.95;

/// Scanners that are remembered: a hospital has fewer, and names that someone invents must not fill the memory.
const REMEMBERED_SCANNERS: usize = 64;

/// The pauses of each scanner's last exams, by calling AE title.
#[derive(Debug, Default)]
pub struct ScannerPauses {
    scanners: BTreeMap<String, VecDeque<(ExamKey, Pauses)>>,
}

impl ScannerPauses {
    /// Brings an exam's longest pauses up to date. An exam without any came from the disk and is no measure.
    pub fn note(&mut self, scanner: &str, exam: &ExamKey, pauses: Pauses) {
        if pauses.in_series.is_zero() {
            return;
        }
        if !self.scanners.contains_key(scanner) && self.scanners.len() >= REMEMBERED_SCANNERS {
            return;
        }
        let exams = self.scanners.entry(scanner.to_owned()).or_default();
        if let Some((_, known)) = exams.iter_mut().find(|(key, _)| key == exam) {
            *known = pauses;
            return;
        }
        if exams.len() == REMEMBERED_EXAMS {
            exams.pop_front();
        }
        exams.push_back((exam.clone(), pauses));
    }

    /// The pauses that this scanner's other exams lead one to expect; `None` while too few are known.
    #[must_use]
    pub fn usual(&self, scanner: &str, exam: &ExamKey) -> Option<Pauses> {
        let others = self.scanners.get(scanner)?.iter().filter(|(key, _)| key != exam);
        let others: Vec<Pauses> = others.map(|(_, pauses)| *pauses).collect();
        (others.len() >= ENOUGH_EXAMS).then(|| Pauses {
            in_series: quantile(others.iter().map(|pauses| pauses.in_series).collect()),
            after_release: quantile(others.iter().map(|pauses| pauses.after_release).collect()),
        })
    }
}

/// The nearest-rank quantile; of up to twenty exams the largest.
fn quantile(mut pauses: Vec<Duration>) -> Duration {
    pauses.sort_unstable();
    let rank = (pauses.len() as f64 * QUANTILE).ceil() as usize;
    pauses.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exam(number: usize) -> ExamKey {
        ExamKey::new(&format!("1.{number}"), &crate::exam::Patient::default())
    }

    fn pauses(in_series_ms: u64) -> Pauses {
        Pauses { in_series: Duration::from_millis(in_series_ms), after_release: Duration::ZERO }
    }

    #[test]
    fn three_other_exams_are_enough_and_each_scanner_has_its_own() {
        let mut known = ScannerPauses::default();
        for number in 0..3 {
            assert_eq!(known.usual("CT1", &exam(9)), None);
            known.note("CT1", &exam(number), pauses(40 + number as u64));
        }
        assert_eq!(known.usual("CT1", &exam(9)), Some(pauses(42)));
        assert_eq!(known.usual("CT1", &exam(0)), None, "an exam is no witness for itself");
        assert_eq!(known.usual("CT2", &exam(9)), None);
    }

    #[test]
    fn one_stutter_in_thirty_exams_is_not_usual_and_old_exams_are_forgotten() {
        let mut known = ScannerPauses::default();
        known.note("CT1", &exam(0), pauses(9000));
        (1..30).for_each(|number| known.note("CT1", &exam(number), pauses(50)));
        assert_eq!(known.usual("CT1", &exam(99)), Some(pauses(50)));
        (30..90).for_each(|number| known.note("CT1", &exam(number), pauses(700)));
        assert_eq!(known.usual("CT1", &exam(99)), Some(pauses(700)));
    }

    #[test]
    fn exams_from_the_disk_and_invented_scanners_teach_nothing() {
        let mut known = ScannerPauses::default();
        (0..9).for_each(|number| known.note("CT1", &exam(number), pauses(0)));
        assert_eq!(known.usual("CT1", &exam(99)), None);
        for scanner in 0..REMEMBERED_SCANNERS + 5 {
            (0..3).for_each(|number| known.note(&format!("CT{scanner}"), &exam(number), pauses(10)));
        }
        assert_eq!(known.scanners.len(), REMEMBERED_SCANNERS);
    }
}
