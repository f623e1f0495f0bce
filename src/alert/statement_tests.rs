//! What an exam says, case by case.

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::alert::Acknowledgement;
use crate::alert::made::{exam, flag};

fn advice(remedy: Remedy) -> Flag {
    let severity = if remedy.needs_the_patient() { Severity::Warning } else { Severity::Notice };
    Flag { severity, remedy: Some(remedy), ..flag(FlagKind::Rescan, FlagState::Final) }
}

/// Lead, headline, detail and badge of each statement.
fn words(exam: &ExamView, flags: &[Flag]) -> Vec<[String; 4]> {
    let of = |said: Statement| [said.lead, said.headline, said.detail, said.badge];
    statements(exam, flags, None).into_iter().map(of).collect()
}

fn gravest(exam: &ExamView, flags: &[Flag]) -> Statement {
    statements(exam, flags, None).remove(0)
}

#[test]
fn an_exam_that_is_received_waits_and_counts_its_slices() {
    let mut receiving = exam(ExamState::Receiving, None);
    assert_eq!(
        words(&receiving, &[]),
        [["No verdict yet", "Receiving: 100 slices so far", "99 analysed.", "Receiving"]]
    );
    receiving.slices = SliceCounts { received: 1, expected: Some(40), ..SliceCounts::default() };
    let said = gravest(&receiving, &[]);
    assert_eq!((said.headline.as_str(), said.announcement.as_str()), ("Receiving: 1 of 40 slices", "Receiving"));
    assert_eq!(said.line, "Receiving: 1 of 40 slices. 0 analysed.");
    assert_eq!((said.action, said.stage), (Action::Wait, Stage::Preliminary));
    let said = statements(&receiving, &[], Some(2)).remove(0);
    assert_eq!(said.line, "Receiving: 1 of 40 slices. Received, waiting, place 2.");
}

#[test]
fn a_suspicion_isolates_and_says_what_it_rests_on() {
    let headline = "COVID-19 pneumonia suspected: isolate";
    let confirmed = [flag(FlagKind::Suspected, FlagState::Confirmed)];
    let whole = exam(ExamState::Complete, Some(Verdict::Suspected));
    assert_eq!(words(&whole, &confirmed), [["On the whole scan", headline, "because", "Suspected"]]);
    assert_eq!(words(&whole, &[]), [["On the whole scan", headline, "because", "Suspected"]], "without its flag too");
    let said = gravest(&whole, &confirmed);
    assert_eq!((said.level, said.action, said.stage), (Level::Alarm, Action::Isolate, Stage::Final));
    assert_eq!(said.line, "COVID-19 pneumonia suspected: isolate. because");
    let trailing = exam(ExamState::Trailing, Some(Verdict::Suspected));
    assert_eq!(gravest(&trailing, &confirmed).lead, "On the whole lungs, the scan goes on");
}

#[test]
fn an_early_suspicion_says_so_and_stands_where_the_analysis_failed() {
    let early = [flag(FlagKind::Suspected, FlagState::Early)];
    let receiving = statements(&exam(ExamState::Receiving, None), &early, None);
    assert_eq!(receiving[0].lead, "Early: after 40 slices, the scan goes on");
    assert_eq!((receiving[0].badge.as_str(), receiving[0].stage), ("Suspected, early", Stage::Preliminary));
    assert_eq!(receiving[0].detail, "suspected text");
    assert_eq!(receiving[1].kind, StatementKind::Receiving);
    let failed = [early[0].clone(), flag(FlagKind::NotAnalysed, FlagState::Final)];
    let said = statements(&exam(ExamState::Complete, Some(Verdict::NotAnalysed)), &failed, None);
    assert_eq!(said[0].lead, "Early: after 40 slices, neither confirmed nor withdrawn");
    assert_eq!((said[0].stage, said[1].headline.as_str()), (Stage::Preliminary, "Not analysed"));
}

#[test]
fn abnormal_and_not_analysed_are_no_negatives() {
    let abnormal = exam(ExamState::Complete, Some(Verdict::Abnormal));
    let headline = "Abnormal, not assessed: a radiologist must look";
    let expected = [["This is not a negative", headline, "because", "Abnormal"]];
    assert_eq!(words(&abnormal, &[flag(FlagKind::Abnormal, FlagState::Final)]), expected);
    assert_eq!(words(&abnormal, &[]), expected);
    let failed = exam(ExamState::Complete, Some(Verdict::NotAnalysed));
    let expected = [["This is not a negative", "Not analysed", "because", "Not analysed"]];
    assert_eq!(words(&failed, &[flag(FlagKind::NotAnalysed, FlagState::Final)]), expected);
    assert_eq!(words(&failed, &[]), expected);
    assert_eq!(gravest(&failed, &[]).action, Action::Check);
}

#[test]
fn an_exam_that_is_over_without_a_verdict_reads_as_not_analysed() {
    let over = exam(ExamState::Complete, None);
    let said = gravest(&over, &[]);
    assert_eq!(
        (said.message, said.kind, said.level),
        (Message::NoVerdict {}, StatementKind::NotAnalysed, Level::Warning)
    );
    assert_eq!(said.detail, "The exam is over and Tableside has no verdict: treat it as not analysed.");
    assert_eq!(gravest(&ExamView { reason: "broken".to_owned(), ..over }, &[]).detail, "broken");
}

#[test]
fn not_suspected_says_on_what_and_that_nothing_else_is_looked_for() {
    let mut clear = exam(ExamState::Complete, Some(Verdict::NotSuspected));
    let headline = "COVID-19 pneumonia not suspected";
    let detail = "Nothing else is looked for. because";
    assert_eq!(words(&clear, &[]), [["On the 99 slices analysed", headline, detail, "Not suspected"]]);
    assert_eq!(gravest(&clear, &[]).line, "COVID-19 pneumonia not suspected on the 99 slices analysed.");
    clear.reason.clear();
    assert_eq!(gravest(&clear, &[]).detail, "Nothing else is looked for.");
    clear.state = ExamState::Receiving;
    assert_eq!(gravest(&clear, &[]).lead, "More slices came: the verdict is open again");
}

#[test]
fn a_rescan_is_the_headline_only_where_nothing_else_is_to_be_tried_first() {
    let clear = exam(ExamState::Complete, Some(Verdict::NotSuspected));
    let said = |remedy: Remedy| {
        let said = gravest(&clear, &[advice(remedy)]);
        (said.headline, said.badge, said.action)
    };
    let rescan = ("Rescan before the patient leaves".to_owned(), "Rescan".to_owned(), Action::Rescan);
    assert_eq!(said(Remedy::Rescan), rescan);
    assert_eq!(said(Remedy::BreatheInAndRescan), rescan);
    let send_again = ("Send again before the patient leaves".to_owned(), "Send again".to_owned(), Action::SendAgain);
    assert_eq!(said(Remedy::SendAgainOrRescan), send_again);
    for remedy in [Remedy::SendAgain, Remedy::CheckSeries, Remedy::ReconstructAgain, Remedy::CorrectAndSendAgain] {
        assert_eq!(said(remedy), ("Check the scan".to_owned(), "Check scan".to_owned(), Action::Check));
    }
    let without_verdict = ExamView { reason: "because".to_owned(), ..exam(ExamState::Receiving, None) };
    assert_eq!(
        gravest(&without_verdict, &[advice(Remedy::Rescan)]).detail,
        "rescan text",
        "a rescan has words of its own"
    );
    let pending = Flag { state: FlagState::Pending, ..advice(Remedy::Rescan) };
    assert_eq!(gravest(&clear, &[pending]).kind, StatementKind::NotSuspected, "what is pending asks for nothing");
}

#[test]
fn a_withdrawn_suspicion_stands_before_a_negative_verdict() {
    let withdrawn = [flag(FlagKind::Suspected, FlagState::Withdrawn)];
    let clear = exam(ExamState::Complete, Some(Verdict::NotSuspected));
    let said = words(&clear, &withdrawn);
    assert_eq!(said[0], ["On the whole scan", "Suspicion withdrawn", "suspected text", "Withdrawn"]);
    assert_eq!(said[1][3], "Not suspected");
    let open_again = statements(&exam(ExamState::Receiving, None), &withdrawn, None);
    assert_eq!((open_again[0].level, open_again[0].lead.as_str()), (Level::Receiving, ""));
}

#[test]
fn slices_that_failed_or_are_missing_stand_before_a_negative_verdict_unless_a_flag_says_more() {
    let mut lacking = exam(ExamState::Complete, Some(Verdict::NotSuspected));
    lacking.slices = SliceCounts { received: 97, expected: Some(100), failed: 1, ..lacking.slices };
    let said = words(&lacking, &[]);
    assert_eq!(said[0], ["", "Check the scan", "1 slice could not be analysed, 3 slices missing.", "Check scan"]);
    assert_eq!(said[1][3], "Not suspected");
    assert_eq!(words(&lacking, &[advice(Remedy::Rescan)])[0][1], "Rescan before the patient leaves");
    assert_eq!(words(&lacking, &[advice(Remedy::Rescan)]).len(), 2);
    lacking.state = ExamState::Trailing;
    assert_eq!(words(&lacking, &[])[0][2], "1 slice could not be analysed.", "more comes, so nothing is missing yet");
    lacking.slices = SliceCounts { failed: 0, refused: 2, ..lacking.slices };
    assert_eq!(words(&lacking, &[])[0][2], "2 objects refused.");
}

#[test]
fn a_verdict_that_was_given_anew_is_amended_and_says_so_last() {
    let revised = ExamView { revised: true, ..exam(ExamState::Complete, Some(Verdict::NotSuspected)) };
    let said = statements(&revised, &[], None);
    let last = said.last().unwrap();
    assert_eq!((said[0].kind, last.kind), (StatementKind::NotSuspected, StatementKind::Revised));
    assert_eq!(last.line, "Revised: more slices came after a first verdict.");
    assert_eq!((last.announcement.as_str(), said[0].stage), ("", Stage::Amended));
    assert_eq!(Stage::of(&ExamView { state: ExamState::Receiving, ..revised }), Stage::Preliminary);
}

#[test]
fn what_is_acknowledged_comes_after_what_is_not() {
    let by = Acknowledgement { by: "ab".to_owned(), at: Timestamp::UNIX_EPOCH };
    let seen = Flag { acknowledged: Some(by), ..flag(FlagKind::NotAnalysed, FlagState::Final) };
    let said = statements(&exam(ExamState::Complete, None), &[seen], None);
    assert_eq!([&said[0].message, &said[1].message], [&Message::NoVerdict {}, &Message::NotAnalysed {}]);
}

#[test]
fn a_statement_is_one_flat_object_with_its_code_and_parameters() {
    let early = [flag(FlagKind::Suspected, FlagState::Early)];
    let mut said = serde_json::to_value(gravest(&exam(ExamState::Receiving, None), &early)).unwrap();
    let phrases = said.as_object_mut().unwrap().remove("phrases").unwrap();
    let expected = serde_json::json!({
        "code": "suspected_early",
        "parameters": { "after_slices": 40, "scan_goes_on": true },
        "kind": "suspected",
        "level": "alarm",
        "stage": "preliminary",
        "action": "isolate",
        "alarm": "medium",
        "flag": "suspected",
        "lead": "Early: after 40 slices, the scan goes on",
        "headline": "COVID-19 pneumonia suspected: isolate",
        "detail": "suspected text",
        "badge": "Suspected, early",
        "line": "COVID-19 pneumonia suspected: isolate. suspected text",
        "announcement": "COVID-19 pneumonia suspected: isolate. suspected text",
    });
    assert_eq!(said, expected);
    for words in ["lead", "headline", "detail", "badge", "line", "announcement"] {
        let phrase: Phrase = serde_json::from_value(phrases[words].clone()).unwrap();
        assert_eq!(phrase.to_string(), expected[words], "{words}");
    }
}

#[test]
fn every_code_is_documented_with_its_parameters() {
    let (remedy, basis) = (None, Basis::WholeScan);
    let all = [
        Message::SuspectedEarly { after_slices: 1, scan_goes_on: true },
        Message::Suspected { basis },
        Message::Abnormal {},
        Message::Rescan { remedy },
        Message::SendAgain { remedy },
        Message::CheckScan { remedy },
        Message::SlicesLost { failed: 1, refused: 1, missing: 1 },
        Message::NotAnalysed {},
        Message::NoVerdict {},
        Message::SuspicionWithdrawn { basis: Some(basis) },
        Message::Receiving { received: 1, expected: None, analysed: 1, reopened: false, place: None },
        Message::NotSuspected { analysed: 1 },
        Message::Revised {},
    ];
    let document = include_str!("../../docs/statements.md");
    for message in all {
        let written = serde_json::to_value(message).unwrap();
        let code = written["code"].as_str().unwrap();
        let is_its_row = |row: &&str| row.starts_with(&format!("| `{code}` |"));
        let row = document.lines().find(is_its_row).unwrap_or_else(|| panic!("{code} is not documented"));
        for parameter in written["parameters"].as_object().unwrap().keys() {
            assert!(row.contains(&format!("`{parameter}`")), "{parameter} of {code} is not documented");
        }
    }
}

fn any_flags() -> impl Strategy<Value = Vec<Flag>> {
    let states = [FlagState::Early, FlagState::Confirmed, FlagState::Withdrawn, FlagState::Final, FlagState::Pending];
    let kinds = [FlagKind::Suspected, FlagKind::Abnormal, FlagKind::Rescan, FlagKind::NotAnalysed];
    let of_kind =
        move |kind| prop::option::of(prop::sample::select(states.to_vec()).prop_map(move |state| flag(kind, state)));
    kinds.map(of_kind).prop_map(|flags| flags.into_iter().flatten().collect())
}

fn any_exam() -> impl Strategy<Value = ExamView> {
    let state = prop::sample::select(vec![ExamState::Receiving, ExamState::Trailing, ExamState::Complete]);
    let verdict = prop::option::of(prop::sample::select(vec![
        Verdict::Suspected,
        Verdict::Abnormal,
        Verdict::NotSuspected,
        Verdict::NotAnalysed,
    ]));
    let few = || prop_oneof![Just(0_usize), 1..20_usize];
    let counts = (few(), few(), few(), few(), prop::option::of(few()));
    (state, verdict, counts, any::<bool>()).prop_map(|(state, verdict, counts, revised)| {
        let (received, analysed, failed, refused, expected) = counts;
        let slices = SliceCounts { received, analysed, failed, refused, expected, ..SliceCounts::default() };
        ExamView { slices, revised, ..exam(state, verdict) }
    })
}

proptest! {
    #[test]
    fn nothing_that_is_missing_or_broken_reads_as_clear(exam in any_exam(), flags in any_flags()) {
        let said = statements(&exam, &flags, None);
        let SliceCounts { received, failed, refused, expected, .. } = exam.slices;
        let is_over = exam.state == ExamState::Complete;
        let is_lacking = failed + refused > 0 || is_over && expected.is_some_and(|expected| received < expected);
        let is_negative = exam.verdict == Some(Verdict::NotSuspected) && exam.state != ExamState::Receiving;
        let reads_as_clear = |said: &Statement| matches!(said.message, Message::NotSuspected { .. });
        prop_assert_eq!(said.iter().any(reads_as_clear), is_negative);
        prop_assert!(!said.is_empty());
        prop_assert!(!(is_lacking && reads_as_clear(&said[0])), "{:?}", said);
        prop_assert!(said.windows(2).all(|pair| pair[0].level <= pair[1].level));
        prop_assert!(said.iter().all(|said| !said.headline.is_empty() && !said.line.is_empty()));
    }

    #[test]
    fn every_open_flag_is_said_and_an_alarm_first(exam in any_exam(), flags in any_flags()) {
        let said = statements(&exam, &flags, None);
        for flag in flags.iter().filter(|flag| flag.is_open()) {
            prop_assert!(said.iter().any(|said| said.flag == Some(flag.kind) && said.level == flag.severity.into()));
        }
        let is_suspected = exam.verdict == Some(Verdict::Suspected) || has_open(&flags, FlagKind::Suspected);
        prop_assert_eq!(said[0].action == Action::Isolate, is_suspected);
    }
}

#[test]
fn what_is_to_be_acted_on_sounds_medium_what_is_to_be_known_low_and_what_is_acknowledged_not_at_all() {
    let complete = |verdict| exam(ExamState::Complete, Some(verdict));
    let sounds = |exam: &ExamView, flags: &[Flag]| -> Vec<AlarmPriority> {
        statements(exam, flags, None).into_iter().map(|said| said.alarm).collect()
    };
    let receiving = exam(ExamState::Receiving, None);
    let early = flag(FlagKind::Suspected, FlagState::Early);
    assert_eq!(sounds(&receiving, &[early]), [AlarmPriority::Medium, AlarmPriority::None]);
    for (verdict, flagged, expected) in [
        (Verdict::Suspected, flag(FlagKind::Suspected, FlagState::Final), AlarmPriority::Medium),
        (Verdict::NotSuspected, advice(Remedy::Rescan), AlarmPriority::Medium),
        (Verdict::NotSuspected, advice(Remedy::SendAgainOrRescan), AlarmPriority::Medium),
        (Verdict::NotAnalysed, flag(FlagKind::NotAnalysed, FlagState::Final), AlarmPriority::Low),
        (Verdict::Abnormal, flag(FlagKind::Abnormal, FlagState::Final), AlarmPriority::Low),
        (Verdict::NotSuspected, flag(FlagKind::Suspected, FlagState::Withdrawn), AlarmPriority::None),
    ] {
        let said = sounds(&complete(verdict), std::slice::from_ref(&flagged));
        assert_eq!(said.iter().min(), Some(&expected), "{flagged:?}");
        let seen = Acknowledgement { by: "ab".to_owned(), at: Timestamp::UNIX_EPOCH };
        let seen = Flag { acknowledged: Some(seen), ..flagged };
        assert!(sounds(&complete(verdict), &[seen]).iter().all(|alarm| *alarm == AlarmPriority::None));
    }
    assert_eq!(sounds(&complete(Verdict::NotSuspected), &[]), [AlarmPriority::None]);
    assert_eq!(sounds(&exam(ExamState::Complete, None), &[]), [AlarmPriority::None], "nobody could acknowledge it");
}
