//! Whose turn it is: the patient on the table first, then the likeliest findings; and nobody waits for ever.

use std::cmp::Ordering;
use std::time::Duration;

use crate::exam::ExamKey;

/// An exam that was not served for so long has waited enough.
pub(super) const ENOUGH_WAITING: Duration = Duration::from_secs(30);

/// Of so many turns one is for the exam that has waited longest, once that is long enough; the rest are for the table.
pub(super) const TURNS: u64 = 4;

/// The probability of an exam of which nothing is known yet: it may be either.
const UNKNOWN: f64 = 0.5;

/// What an exam has to say for itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    pub exam: ExamKey,
    pub is_on_table: bool,
    /// Since its scan seems to be over: the last association was released and none is open.
    pub over: Option<Duration>,
    /// Since it was last served, or since it came.
    pub waited: Duration,
    /// The running case probability.
    pub score: Option<f64>,
}

impl Candidate {
    fn has_waited_enough(&self) -> bool {
        self.waited >= ENOUGH_WAITING
    }
}

/// The exams, the one to be served first in front. `turn` counts how often somebody was served.
///
/// Patients on the table come first: those whose scan is over in the order of its end, so that not all of them wait for the last window
/// of all; then the others in turn, the one that waited longest first. Then come exams that have waited enough, then the
/// others by their probability. Every fourth turn goes to an exam that has waited enough, before the tables, or to the table that
/// waited longest: while scanners keep the engine busy, a backlog and scans that go on still get a quarter of it. The synthetic
/// patient has its turn when nobody else wants one.
#[must_use]
pub(super) fn by_priority(mut candidates: Vec<Candidate>, turn: u64) -> Vec<ExamKey> {
    let before_table = turn % TURNS == TURNS - 1;
    let rank = |candidate: &Candidate| match (candidate.is_on_table, candidate.has_waited_enough()) {
        _ if candidate.exam.is_synthetic() => 4,
        (_, true) if before_table => 0,
        (true, _) => 1,
        (false, true) => 2,
        (false, false) => 3,
    };
    candidates.sort_by(|one, other| {
        let within_rank = match rank(one) {
            // None, a scan that goes on, is less than any time.
            1 if !before_table => other.over.cmp(&one.over),
            3 => other.score.unwrap_or(UNKNOWN).total_cmp(&one.score.unwrap_or(UNKNOWN)),
            _ => Ordering::Equal,
        };
        rank(one).cmp(&rank(other)).then(within_rank).then(other.waited.cmp(&one.waited))
    });
    candidates.into_iter().map(|candidate| candidate.exam).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(name: usize) -> ExamKey {
        ExamKey::new(&format!("1.{name}"), &crate::exam::Patient::default())
    }

    fn candidate(name: usize, is_on_table: bool, waited_s: u64, score: Option<f64>) -> Candidate {
        Candidate { exam: key(name), is_on_table, over: None, waited: Duration::from_secs(waited_s), score }
    }

    #[test]
    fn the_patient_on_the_table_goes_before_any_backlog_and_the_backlog_by_probability() {
        let candidates = vec![
            candidate(1, false, 5, Some(0.1)),
            candidate(2, false, 1, Some(0.9)),
            candidate(3, true, 0, Some(0.0)),
            candidate(4, false, 2, None),
        ];
        assert_eq!(by_priority(candidates, 0), [key(3), key(2), key(4), key(1)]);
    }

    #[test]
    fn patients_on_several_tables_take_turns() {
        let candidates =
            vec![candidate(1, true, 1, Some(0.9)), candidate(2, true, 3, Some(0.1)), candidate(3, true, 2, None)];
        assert_eq!(by_priority(candidates, 0), [key(2), key(3), key(1)]);
    }

    #[test]
    fn of_patients_on_tables_those_whose_scan_is_over_go_first_in_the_order_of_its_end() {
        let over =
            |name, over_s| Candidate { over: Some(Duration::from_secs(over_s)), ..candidate(name, true, 0, None) };
        let candidates = vec![candidate(1, true, 9, Some(0.9)), over(2, 1), over(3, 2), candidate(4, true, 8, None)];
        assert_eq!(by_priority(candidates, 0), [key(3), key(2), key(1), key(4)]);
    }

    #[test]
    fn every_fourth_time_a_scan_that_goes_on_is_not_behind_those_that_are_over() {
        let over = Candidate { over: Some(Duration::from_secs(5)), ..candidate(1, true, 0, None) };
        let candidates = vec![over, candidate(2, true, 1, None)];
        assert_eq!(by_priority(candidates.clone(), 2), [key(1), key(2)]);
        assert_eq!(by_priority(candidates, 3), [key(2), key(1)]);
    }

    #[test]
    fn who_has_waited_enough_goes_before_the_likelier_and_every_fourth_time_before_the_table() {
        let candidates =
            vec![candidate(1, false, 31, Some(0.1)), candidate(2, false, 29, Some(0.9)), candidate(3, true, 0, None)];
        assert_eq!(by_priority(candidates.clone(), 2), [key(3), key(1), key(2)]);
        assert_eq!(by_priority(candidates, 3), [key(1), key(3), key(2)]);
    }

    #[test]
    fn the_synthetic_patient_comes_last_however_long_it_has_waited() {
        let synthetic = Candidate { exam: ExamKey::synthetic("1.2"), ..candidate(0, true, 99, Some(0.9)) };
        let candidates = vec![synthetic.clone(), candidate(1, false, 0, Some(0.0)), candidate(2, true, 0, None)];
        for turn in 0..TURNS {
            assert_eq!(by_priority(candidates.clone(), turn), [key(2), key(1), synthetic.exam.clone()]);
        }
    }

    proptest! {
        /// Tables that never stop, a backlog of any scores: with a turn a second everybody is served again and again.
        #[test]
        fn nobody_starves(
            tables in 0..4_usize,
            over in prop::collection::vec(any::<bool>(), 4),
            scores in prop::collection::vec(prop::option::of(0.0..1.0_f64), 1..8),
        ) {
            let exams = tables + scores.len();
            let longest_s = ENOUGH_WAITING.as_secs() + TURNS * (exams as u64 + 1);
            let mut served_s = vec![0_u64; exams];
            for now_s in 0..2000 {
                let candidates = (0..exams).map(|name| {
                    let score = name.checked_sub(tables).and_then(|name| scores[name]);
                    let over = (name < tables && over[name]).then_some(Duration::from_secs(now_s));
                    Candidate { over, ..candidate(name, name < tables, now_s - served_s[name], score) }
                });
                let first = by_priority(candidates.collect(), now_s).remove(0);
                let first = (0..exams).find(|name| key(*name) == first).unwrap();
                served_s[first] = now_s;
                for (name, served_s) in served_s.iter().enumerate() {
                    prop_assert!(now_s - served_s <= longest_s, "exam {} at {} s", name, now_s);
                }
            }
        }

        #[test]
        fn an_order_leaves_nobody_out(
            all in prop::collection::vec((any::<bool>(), 0..100_u64, prop::option::of(0.0..1.0_f64)), 0..12),
            turn in any::<u64>(),
        ) {
            let candidates: Vec<Candidate> =
                all.iter().enumerate().map(|(name, (table, waited, score))| candidate(name, *table, *waited, *score)).collect();
            let mut ordered = by_priority(candidates, turn);
            ordered.sort();
            let mut exams: Vec<ExamKey> = (0..all.len()).map(key).collect();
            exams.sort();
            prop_assert_eq!(ordered, exams);
        }
    }
}
