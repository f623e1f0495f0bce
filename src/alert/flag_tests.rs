//! A flag's life, verdict by verdict.

use super::*;
use crate::exam::{Doubt, QualityKind, SlabIndex};
use crate::triage::{DrivingSlab, SliceCounts};

fn acknowledge(flags: &mut Flags, id: &str, by: &str) -> Result<bool, AcknowledgeError> {
    let seen = Seen::of(&SliceCounts { received: 70, ..SliceCounts::default() }, Timestamp::now());
    flags.acknowledge(id, by, seen)
}

fn conclude(flags: &mut Flags, verdict: Verdict, quality: &[QualityIssue]) {
    let report = CaseReport { verdict, quality: quality.to_vec(), ..crate::triage::example_report() };
    flags.conclude(&report, &QualityLimits::default(), Timestamp::now());
}

fn early() -> Flags {
    let mut flags = Flags::default();
    let slab = DrivingSlab { slab: SlabIndex(7), z_mm: 22.0, contribution: 2.5 };
    let early =
        EarlyFlag { after_slices: 40, after_s: 2.0, score: 0.95, scan_share: Some(0.4), driving_slabs: vec![slab] };
    assert!(flags.raise_early(&early, Timestamp::now()));
    assert!(!flags.raise_early(&early, Timestamp::now()));
    flags
}

#[test]
fn an_early_flag_is_confirmed_by_the_verdict_and_keeps_its_time_and_acknowledgement() {
    let mut flags = early();
    assert!(acknowledge(&mut flags, "suspected", "ab").unwrap());
    conclude(&mut flags, Verdict::Suspected, &[]);
    let [flag] = flags.all() else { panic!("{flags:?}") };
    assert_eq!((flag.state, flag.after_slices), (FlagState::Confirmed, 40));
    assert_eq!(flag.acknowledged.as_ref().unwrap().by, "ab");
}

#[test]
fn an_early_flag_is_withdrawn_by_a_negative_verdict_and_stands_when_the_analysis_fails() {
    let mut flags = early();
    conclude(&mut flags, Verdict::NotAnalysed, &[]);
    assert_eq!(flags.all()[0].state, FlagState::Early);
    assert_eq!(flags.all()[1].kind, FlagKind::NotAnalysed);
    conclude(&mut flags, Verdict::NotSuspected, &[]);
    assert!(flags.all().iter().all(|flag| flag.state == FlagState::Withdrawn));
}

#[test]
fn an_abnormal_exam_is_a_warning_that_isolates_nobody_and_goes_when_the_rest_of_the_lungs_comes() {
    let mut flags = Flags::default();
    conclude(&mut flags, Verdict::Abnormal, &[]);
    let [flag] = flags.all() else { panic!("{flags:?}") };
    assert_eq!((flag.kind, flag.severity, flag.state), (FlagKind::Abnormal, Severity::Warning, FlagState::Final));
    assert!(flag.text.starts_with("abnormal, not assessed: "));
    conclude(&mut flags, Verdict::NotSuspected, &[]);
    assert_eq!(flags.all()[0].state, FlagState::Withdrawn);
}

#[test]
fn an_early_flag_is_withdrawn_by_an_abnormal_verdict_so_that_nobody_reads_two_answers() {
    let mut flags = early();
    conclude(&mut flags, Verdict::Abnormal, &[]);
    let [suspected, abnormal] = flags.all() else { panic!("{flags:?}") };
    assert_eq!(suspected.state, FlagState::Withdrawn);
    assert_eq!(suspected.text, "withdrawn, the exam is abnormal: because");
    assert_eq!((abnormal.kind, abnormal.state), (FlagKind::Abnormal, FlagState::Final));
}

#[test]
fn a_rescan_flag_is_pending_while_more_slices_come_and_the_next_verdict_decides() {
    let seen = Seen::of(&SliceCounts { received: 80, ..SliceCounts::default() }, Timestamp::now());
    let base = QualityIssue::of_series(QualityKind::BaseCutOff { lung_cm2: 90.0 });
    let mut flags = Flags::default();
    conclude(&mut flags, Verdict::NotAnalysed, std::slice::from_ref(&base));
    assert!(acknowledge(&mut flags, "rescan", "ab").unwrap());
    assert!(flags.reopen(&seen) && !flags.reopen(&seen));
    let states = |flags: &Flags| flags.all().iter().map(|flag| flag.state).collect::<Vec<_>>();
    assert_eq!(states(&flags), [FlagState::Final, FlagState::Pending], "what was not analysed is not analysed yet");
    let mut mended = flags.clone();
    conclude(&mut mended, Verdict::NotSuspected, &[]);
    assert_eq!(states(&mended), [FlagState::Withdrawn; 2]);
    let mut broken = flags.clone();
    conclude(&mut broken, Verdict::NotAnalysed, &[]);
    assert_eq!(states(&broken), [FlagState::Final; 2], "nothing was looked at that speaks against it");
    conclude(&mut flags, Verdict::NotAnalysed, &[base]);
    let rescan = &flags.all()[1];
    assert_eq!((rescan.state, rescan.acknowledged.as_ref().unwrap().by.as_str()), (FlagState::Final, "ab"));
    let life: Vec<FlagEvent> = rescan.life.iter().map(|moment| moment.event).collect();
    assert_eq!(life, [FlagEvent::Final, FlagEvent::Acknowledged, FlagEvent::Pending, FlagEvent::Final]);
}

#[test]
fn a_doubt_takes_the_rescan_out_of_the_words_and_the_urgency() {
    let base = QualityIssue::of_series(QualityKind::BaseCutOff { lung_cm2: 90.0 });
    let said = |issues: &[QualityIssue]| {
        let mut flags = Flags::default();
        conclude(&mut flags, Verdict::NotSuspected, issues);
        let flag = flags.all()[0].clone();
        (flag.severity, flag.remedy.unwrap(), flag.text)
    };
    let (severity, remedy, text) = said(&[base.clone().doubted(Some(Doubt::StillSending))]);
    assert_eq!((severity, remedy), (Severity::Notice, Remedy::CheckSeries));
    assert!(text.starts_with("check the series: the lung base is cut off") && !text.contains("rescan"), "{text}");
    let hole = QualityIssue::of_series(QualityKind::Gap { from_z_mm: 0.0, to_z_mm: 30.0 });
    let (severity, remedy, text) = said(std::slice::from_ref(&hole));
    assert_eq!((severity, remedy), (Severity::Warning, Remedy::SendAgainOrRescan));
    assert!(text.starts_with("send again, and rescan only if this stays: slices are missing"), "{text}");
    assert_eq!(said(&[hole, base]).1, Remedy::Rescan, "the gravest comes first");
}

#[test]
fn who_breathed_out_is_asked_to_breathe_in_unless_a_finding_stands_all_the_same() {
    let shallow = QualityIssue::of_series(QualityKind::HardlyInflated {
        median_hu: -715.0,
        gradient_hu: 110.0,
        limit_hu: -770.0,
    });
    let remedies = |verdict: Verdict| {
        let mut flags = Flags::default();
        conclude(&mut flags, verdict, std::slice::from_ref(&shallow));
        flags.all().iter().filter_map(|flag| flag.remedy).collect::<Vec<_>>()
    };
    assert_eq!(remedies(Verdict::NotAnalysed), [Remedy::BreatheInAndRescan]);
    assert_eq!(remedies(Verdict::Suspected), []);
}

#[test]
fn a_flag_that_comes_back_wants_a_new_acknowledgement() {
    let mut flags = early();
    assert!(acknowledge(&mut flags, "suspected", "ab").unwrap());
    conclude(&mut flags, Verdict::NotSuspected, &[]);
    conclude(&mut flags, Verdict::Suspected, &[]);
    assert_eq!(flags.all()[0].state, FlagState::Final);
    assert_eq!(flags.all()[0].acknowledged, None);
}

#[test]
fn a_flags_life_tells_every_moment_with_what_was_known_then() {
    let mut flags = early();
    assert!(acknowledge(&mut flags, "suspected", "ab").unwrap());
    assert!(!acknowledge(&mut flags, "suspected", "cd").unwrap(), "somebody has seen it already");
    conclude(&mut flags, Verdict::Suspected, &[]);
    conclude(&mut flags, Verdict::Suspected, &[]);
    conclude(&mut flags, Verdict::NotSuspected, &[]);
    conclude(&mut flags, Verdict::NotSuspected, &[]);
    conclude(&mut flags, Verdict::Suspected, &[]);
    let life = &flags.all()[0].life;
    let events: Vec<FlagEvent> = life.iter().map(|moment| moment.event).collect();
    assert_eq!(
        events,
        [FlagEvent::Early, FlagEvent::Acknowledged, FlagEvent::Confirmed, FlagEvent::Withdrawn, FlagEvent::Final]
    );
    let first = &life[0].seen;
    assert_eq!((first.slices, first.score, first.scan_share), (40, Some(0.95), Some(0.4)));
    assert_eq!(first.driving_slabs[0].z_mm, 22.0);
    assert_eq!((life[1].seen.slices, life[2].seen.slices), (70, 100));
    assert!(life.windows(2).all(|pair| pair[0].seen.at <= pair[1].seen.at));
}

#[test]
fn a_verdict_that_says_the_same_again_changes_no_flag() {
    let mut flags = early();
    let before = flags.clone();
    conclude(&mut flags, Verdict::Suspected, &[]);
    let changed =
        |before: &Flags, after: &Flags| after.changed_since(before).map(|flag| flag.state).collect::<Vec<_>>();
    assert_eq!(changed(&before, &flags), [FlagState::Confirmed]);
    let before = flags.clone();
    conclude(&mut flags, Verdict::Suspected, &[]);
    assert_eq!(changed(&before, &flags), []);
}

#[test]
fn a_cut_off_apex_asks_for_a_rescan_and_a_dropped_slice_only_to_send_again() {
    let mut flags = Flags::default();
    let of_series = QualityIssue::of_series;
    conclude(&mut flags, Verdict::NotSuspected, &[of_series(QualityKind::Gap { from_z_mm: 0.0, to_z_mm: 4.0 })]);
    assert_eq!(flags.all()[0].severity, Severity::Notice);
    conclude(&mut flags, Verdict::NotSuspected, &[of_series(QualityKind::ApexCutOff { lung_cm2: 50.0 })]);
    assert_eq!(flags.all()[0].severity, Severity::Warning);
    assert!(flags.all()[0].text.starts_with("rescan"));
}

#[test]
fn a_cut_off_apex_is_flagged_while_the_scan_runs_and_confirmed_or_withdrawn_by_the_verdict() {
    let apex = QualityIssue::of_series(QualityKind::ApexCutOff { lung_cm2: 50.0 });
    let slices = SliceCounts { received: 30, ..SliceCounts::default() };
    let seen = Seen::of(&slices, Timestamp::now());
    let raise = |flags: &mut Flags| flags.raise_rescan(&apex, &QualityLimits::default(), &seen);
    let mut flags = Flags::default();
    assert!(raise(&mut flags) && !raise(&mut flags));
    assert_eq!((flags.all()[0].kind, flags.all()[0].state), (FlagKind::Rescan, FlagState::Early));
    let mut whole = flags.clone();
    conclude(&mut flags, Verdict::NotAnalysed, std::slice::from_ref(&apex));
    assert_eq!((flags.all()[0].state, flags.all()[0].after_slices), (FlagState::Confirmed, 30));
    conclude(&mut whole, Verdict::NotSuspected, &[]);
    assert_eq!(whole.all()[0].state, FlagState::Withdrawn);
    let contrast = QualityIssue::of_series(QualityKind::Contrast { agent: "APPLIED".to_owned() });
    assert!(!Flags::default().raise_rescan(&contrast, &QualityLimits::default(), &seen));
}

#[test]
fn an_acknowledgement_needs_a_flag_and_a_name() {
    let mut flags = early();
    assert_eq!(acknowledge(&mut flags, "rescan", "ab"), Err(AcknowledgeError::NoSuchFlag));
    assert_eq!(acknowledge(&mut flags, "suspected", "  "), Err(AcknowledgeError::NoName));
}
