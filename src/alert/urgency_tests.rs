//! Where exams stand in lists, whatever they ask for.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::alert::made::{exam, flag};
use crate::alert::{Acknowledgement, FlagKind, FlagState, OutcomeKind, statements};
use crate::exam::Patient;
use crate::triage::Verdict;

/// Seconds after the epoch.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn key(number: usize) -> ExamKey {
    ExamKey::new(&format!("1.2.{number}"), &Patient::default())
}

/// An exam with its flags, in a list.
#[derive(Debug, Clone)]
struct Listed {
    exam: ExamView,
    flags: Vec<Flag>,
    outcomes: Outcomes,
}

impl Listed {
    fn urgency(&self) -> Urgency {
        Urgency::of(&self.exam, &self.flags, &statements(&self.exam, &self.flags, None), &self.outcomes)
    }
}

fn order(listed: &[Listed], now: Timestamp) -> Vec<ExamKey> {
    let urgencies: Vec<Urgency> = listed.iter().map(Listed::urgency).collect();
    let standing =
        |(listed, urgency): (&'_ Listed, &'_ Urgency)| (listed.exam.key.clone(), listed.exam.started, urgency.clone());
    let standings: Vec<_> = listed.iter().zip(&urgencies).map(standing).collect();
    let standings: Vec<Standing<'_>> =
        standings.iter().map(|(key, started, urgency)| Standing { key, started: *started, urgency }).collect();
    in_order(&standings, now).into_iter().cloned().collect()
}

fn place(listed: &[Listed], now: Timestamp, key: &ExamKey) -> usize {
    order(listed, now).iter().position(|other| other == key).unwrap()
}

/// Seconds of the moment that lists are asked for; exams are up to two hours old then.
const NOW: i64 = 7200;

fn a_flag() -> impl Strategy<Value = (FlagKind, FlagState, Severity, i64, bool)> {
    let kinds = [FlagKind::Suspected, FlagKind::Abnormal, FlagKind::Rescan, FlagKind::NotAnalysed];
    let states = [FlagState::Early, FlagState::Final, FlagState::Withdrawn, FlagState::Pending];
    let severities = [Severity::Alarm, Severity::Warning, Severity::Notice];
    (select(kinds.to_vec()), select(states.to_vec()), select(severities.to_vec()), 0..NOW, any::<bool>())
}

fn an_exam() -> impl Strategy<Value = Listed> {
    let states = [ExamState::Receiving, ExamState::Trailing, ExamState::Complete];
    let verdicts = [
        None,
        Some(Verdict::Suspected),
        Some(Verdict::Abnormal),
        Some(Verdict::NotSuspected),
        Some(Verdict::NotAnalysed),
    ];
    let flags = proptest::collection::vec(a_flag(), 0..4);
    (select(states.to_vec()), select(verdicts.to_vec()), 0..NOW, flags, 0..3_usize).prop_map(
        |(state, verdict, started, flags, failed)| {
            let mut exam = ExamView { started: at(started), ..exam(state, verdict) };
            exam.slices.failed = failed;
            let mut known: Vec<Flag> = Vec::new();
            for (kind, state, severity, raised, is_acknowledged) in flags {
                let acknowledged = is_acknowledged.then(|| Acknowledgement { by: "ab".to_owned(), at: at(NOW) });
                if known.iter().all(|flag| flag.kind != kind) {
                    known.push(Flag { severity, raised: at(raised), acknowledged, ..flag(kind, state) });
                }
            }
            Listed { exam, flags: known, outcomes: Outcomes::default() }
        },
    )
}

fn exams() -> impl Strategy<Value = Vec<Listed>> {
    proptest::collection::vec(an_exam(), 1..24).prop_map(|mut exams| {
        exams.iter_mut().enumerate().for_each(|(number, listed)| listed.exam.key = key(number));
        exams
    })
}

proptest! {
    #[test]
    fn every_exam_has_one_place_whatever_the_order_in_which_they_came(
        (listed, shuffled) in exams().prop_flat_map(|exams| (Just(exams.clone()), Just(exams).prop_shuffle())), now in 0..2 * NOW,
    ) {
        let places = order(&listed, at(now));
        prop_assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), listed.len());
        prop_assert_eq!(places, order(&shuffled, at(now)));
    }

    #[test]
    fn an_exam_never_rises_by_an_acknowledgement_or_an_outcome(
        listed in exams(), which in any::<prop::sample::Index>(), flag in any::<prop::sample::Index>(), now in 0..2 * NOW,
    ) {
        let which = which.index(listed.len());
        let key = listed[which].exam.key.clone();
        let before = place(&listed, at(now), &key);
        let mut seen = listed.clone();
        if let Some(flag) = (!seen[which].flags.is_empty()).then(|| flag.index(seen[which].flags.len())) {
            seen[which].flags[flag].acknowledged = Some(Acknowledgement { by: "ab".to_owned(), at: at(now) });
            prop_assert!(place(&seen, at(now), &key) >= before);
        }
        let Listed { exam, outcomes, .. } = &mut seen[which];
        let _ = outcomes.record(exam, OutcomeKind::Unclear, "ab", at(now));
        prop_assert!(place(&seen, at(now), &key) >= before);
    }

    #[test]
    fn what_has_waited_for_too_long_has_every_fourth_place_of_its_class_at_least(listed in exams(), now in 0..2 * NOW) {
        for one in &listed {
            for ask in one.urgency().asks.iter().filter(|ask| ask.overdue <= at(now)) {
                let has_waited_longer = |other: &&Listed| {
                    let since = other.urgency().ask(ask.class).map(|other| other.since);
                    since.is_some_and(|since| (since, &other.exam.key) < (ask.since, &one.exam.key))
                };
                let before = listed.iter().filter(has_waited_longer).count();
                prop_assert!(place(&listed, at(now), &one.exam.key) < 4 * (before + 1));
            }
        }
    }

    #[test]
    fn the_newest_new_alarm_is_first_and_what_asks_for_nothing_last(listed in exams(), now in 0..2 * NOW) {
        let is_new_alarm = |listed: &&Listed| listed.urgency().ask(UrgencyClass::Alarm).is_some_and(|ask| ask.overdue > at(now));
        let places = order(&listed, at(now));
        let of = |key: &ExamKey| listed.iter().find(|listed| listed.exam.key == *key).unwrap();
        if let Some(started) = listed.iter().filter(is_new_alarm).map(|listed| listed.exam.started).max() {
            prop_assert!(is_new_alarm(&of(&places[0])));
            prop_assert_eq!(of(&places[0]).exam.started, started);
        }
        let asking = places.iter().filter(|key| of(key).urgency().asks()).count();
        prop_assert!(places[..asking].iter().all(|key| of(key).urgency().asks()));
    }

    #[test]
    fn nothing_that_comes_later_makes_an_overdue_exam_wait_for_more_than_its_turns(listed in exams(), newer in exams()) {
        let now = at(2 * NOW);
        let later = newer.into_iter().enumerate().map(|(number, mut newer)| {
            newer.exam.key = key(1000 + number);
            newer.exam.started = now;
            newer.flags.iter_mut().for_each(|flag| flag.raised = now);
            newer.exam.last_slice = Some(now);
            newer
        });
        let mut all = listed.clone();
        all.extend(later);
        for one in listed.iter().filter(|one| one.urgency().asks()) {
            let (alone, among) = (place(&listed, now, &one.exam.key), place(&all, now, &one.exam.key));
            prop_assert!(among <= 4 * alone + 3, "{alone} {among}");
        }
    }
}

#[test]
fn an_exam_asks_for_what_nobody_has_seen_since_the_first_of_it() {
    let suspected = Flag { raised: at(100), ..flag(FlagKind::Suspected, FlagState::Final) };
    let rescan = Flag { raised: at(50), ..flag(FlagKind::Rescan, FlagState::Early) };
    let mut listed = Listed {
        exam: exam(ExamState::Complete, Some(Verdict::Suspected)),
        flags: vec![rescan, suspected],
        outcomes: Outcomes::default(),
    };
    let Urgency { class, asks } = listed.urgency();
    let of = |ask: &Ask| (ask.class, ask.since, ask.overdue);
    assert_eq!(class, UrgencyClass::Alarm);
    assert_eq!(of(&asks[0]), (UrgencyClass::Alarm, at(100), at(1900)));
    assert_eq!(of(&asks[1]), (UrgencyClass::Warning, at(50), at(1850)));
    listed.flags[1].acknowledged = Some(Acknowledgement { by: "ab".to_owned(), at: at(200) });
    listed.flags[0].state = FlagState::Withdrawn;
    assert_eq!(listed.urgency(), Urgency { class: UrgencyClass::Nothing, asks: vec![] });
    listed.exam.state = ExamState::Trailing;
    assert_eq!(listed.urgency().class, UrgencyClass::Receiving);
}

#[test]
fn what_no_flag_says_waits_for_an_outcome() {
    let mut exam = exam(ExamState::Complete, Some(Verdict::NotSuspected));
    (exam.slices.failed, exam.last_slice) = (1, Some(at(60)));
    let mut listed = Listed { exam, flags: vec![], outcomes: Outcomes::default() };
    assert_eq!(listed.urgency().asks[0].since, at(60));
    listed.outcomes.record(&listed.exam, OutcomeKind::Agree, "ab", at(90)).unwrap();
    assert_eq!(listed.urgency().class, UrgencyClass::Nothing);
}

/// The cases that the page's order has to fit too (`tests/page/order.test.mjs`).
#[test]
fn the_order_is_that_of_the_cases_which_the_page_shares() {
    #[derive(Deserialize)]
    struct Case {
        name: String,
        now: Timestamp,
        exams: Vec<CaseExam>,
        order: Vec<ExamKey>,
    }
    #[derive(Deserialize)]
    struct CaseExam {
        key: ExamKey,
        started: Timestamp,
        urgency: Urgency,
    }
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/page/order.json")).unwrap();
    for Case { name, now, exams, order } in cases {
        let standings: Vec<Standing<'_>> = exams
            .iter()
            .map(|CaseExam { key, started, urgency }| Standing { key, started: *started, urgency })
            .collect();
        assert_eq!(in_order(&standings, now), order.iter().collect::<Vec<_>>(), "{name}");
    }
}
