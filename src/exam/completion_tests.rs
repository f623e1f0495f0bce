//! The rules with clocks of the tests' own: every way in which a signal lies.

use proptest::prelude::*;

use super::*;

const LIMITS: CompletionLimits = CompletionLimits {
    release_grace: Duration::from_millis(100),
    step_grace: Duration::from_secs(1),
    quiet: Duration::from_secs(5),
    least_quiet: Duration::from_millis(500),
    lungs_passed_mm: Some(30.0),
    series_sized: 16,
};
const A: AssociationId = AssociationId(1);
const B: AssociationId = AssociationId(2);

/// An exam on a clock that stands still until it is moved.
struct Exam {
    start: Instant,
    now: Instant,
    rhythm: Rhythm,
    progress: Progress,
}

impl Exam {
    fn new() -> Self {
        let start = Instant::now();
        Self { start, now: start, rhythm: Rhythm::new(start), progress: Progress::default() }
    }

    /// So many slices, each after a pause.
    fn slices(&mut self, count: usize, association: AssociationId, pause_ms: u64) {
        for _ in 0..count {
            self.wait(pause_ms);
            let after_release = self.rhythm.arrived(association, 1, self.now).unwrap_or_default();
            self.progress.pauses.after_release = self.progress.pauses.after_release.max(after_release);
            self.progress.slices += 1;
            self.progress.pauses.in_series = self.progress.pauses.in_series.max(Duration::from_millis(pause_ms));
        }
    }

    fn wait(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    fn close(&mut self, association: AssociationId) {
        self.rhythm.closed(association, self.now);
    }

    /// The rule that decides as things stand, and how long from now, ms; negative where it has decided.
    fn decision(&self) -> (CompletionRule, i128) {
        let (rule, at) = self.rhythm.completion(&self.progress, &LIMITS);
        let since_start = |at: Instant| (at - self.start).as_millis() as i128;
        (rule, since_start(at) - since_start(self.now))
    }
}

/// An exam of a scanner that is known to pause so long at most.
fn of_a_known_scanner(pause_ms: u64, after_release_ms: u64) -> Exam {
    let mut exam = Exam::new();
    exam.progress.usual = Some(Pauses {
        in_series: Duration::from_millis(pause_ms),
        after_release: Duration::from_millis(after_release_ms),
    });
    exam
}

#[test]
fn a_released_series_is_over_after_the_grace() {
    let mut exam = Exam::new();
    exam.slices(20, A, 0);
    assert_eq!(exam.decision(), (CompletionRule::QuietTime, 5000));
    exam.close(A);
    assert_eq!(exam.decision(), (CompletionRule::AssociationReleased, 100));
}

#[test]
fn while_another_association_is_open_a_release_says_nothing() {
    let mut exam = Exam::new();
    exam.slices(20, A, 0);
    exam.slices(1, B, 0);
    exam.close(A);
    assert_eq!(exam.decision().0, CompletionRule::QuietTime);
    exam.close(B);
    assert_eq!(exam.decision().0, CompletionRule::AssociationReleased);
}

#[test]
fn an_association_for_each_image_waits_for_quiet() {
    let mut exam = Exam::new();
    for number in 0..40 {
        exam.slices(1, AssociationId(number), 200);
        exam.close(AssociationId(number));
    }
    assert_eq!(exam.decision(), (CompletionRule::QuietTime, 5000));
}

#[test]
fn an_association_that_was_capped_costs_one_revised_verdict_and_the_next_release_is_waited_out() {
    let mut exam = Exam::new();
    exam.slices(100, A, 50);
    exam.close(A);
    exam.wait(400);
    assert_eq!(exam.decision(), (CompletionRule::AssociationReleased, -300));
    exam.rhythm.refute(CompletionRule::AssociationReleased);
    exam.slices(100, B, 0);
    exam.close(B);
    assert_eq!(exam.decision(), (CompletionRule::AssociationReleased, 1200), "three times the pause that was seen");
}

#[test]
fn a_scanner_that_is_known_to_cap_its_associations_deceives_nobody() {
    let mut exam = of_a_known_scanner(60, 400);
    exam.slices(100, A, 50);
    exam.close(A);
    exam.wait(400);
    let (_, left) = exam.decision();
    assert!(left > 0, "{left}");
}

#[test]
fn the_announced_number_of_images_needs_no_waiting() {
    let mut exam = Exam::new();
    exam.progress.expected = Some(30);
    exam.slices(29, A, 0);
    assert_eq!(exam.decision().0, CompletionRule::QuietTime);
    exam.slices(1, A, 0);
    assert_eq!(exam.decision(), (CompletionRule::ExpectedCount, 0));
}

#[test]
fn a_wrong_announcement_is_not_believed_once_more_than_that_has_come_nor_one_of_a_single_image() {
    let mut exam = Exam::new();
    exam.progress.expected = Some(30);
    exam.slices(31, A, 0);
    assert_eq!(exam.decision().0, CompletionRule::QuietTime);
    let mut exam = Exam::new();
    exam.progress.expected = Some(1);
    exam.slices(1, A, 0);
    assert_eq!(exam.decision().0, CompletionRule::QuietTime);
}

#[test]
fn a_procedure_step_decides_at_once_where_all_it_lists_is_here_while_the_association_stays_open() {
    let mut exam = Exam::new();
    exam.slices(20, A, 50);
    exam.wait(300);
    exam.progress.step = Some(PerformedStepSignal::AllReceived(exam.now));
    assert_eq!(exam.decision(), (CompletionRule::ProcedureStep, 0));
}

#[test]
fn a_procedure_step_that_came_before_the_images_decides_with_the_last_of_them() {
    let mut exam = Exam::new();
    let ended = exam.now;
    exam.slices(20, A, 50);
    exam.progress.step = Some(PerformedStepSignal::AllReceived(ended));
    assert_eq!(exam.decision(), (CompletionRule::ProcedureStep, 0));
}

#[test]
fn a_procedure_step_without_images_counts_after_a_grace_and_only_for_a_series() {
    let mut exam = Exam::new();
    exam.progress.step = Some(PerformedStepSignal::Ended(exam.now));
    exam.slices(1, A, 50);
    assert_eq!(exam.decision().0, CompletionRule::QuietTime);
    exam.slices(19, A, 50);
    assert_eq!(exam.decision(), (CompletionRule::ProcedureStep, 1000));
}

#[test]
fn a_procedure_step_that_lists_images_that_are_never_sent_leaves_the_later_rules_to_decide() {
    // Such a step says nothing (`PerformedSteps::on`).
    let mut exam = Exam::new();
    exam.slices(20, A, 50);
    assert_eq!(exam.decision(), (CompletionRule::QuietTime, 5000));
    exam.close(A);
    assert_eq!(exam.decision(), (CompletionRule::AssociationReleased, 100));
}

#[test]
fn a_signal_that_was_wrong_once_is_not_believed_again() {
    let mut exam = Exam::new();
    exam.progress =
        Progress { step: Some(PerformedStepSignal::AllReceived(exam.now)), lungs_passed: true, ..exam.progress };
    exam.slices(20, A, 50);
    assert_eq!(exam.decision().0, CompletionRule::ProcedureStep);
    exam.rhythm.refute(CompletionRule::ProcedureStep);
    assert_eq!(exam.decision().0, CompletionRule::LungsPassed);
    exam.rhythm.refute(CompletionRule::LungsPassed);
    assert_eq!(exam.decision(), (CompletionRule::QuietTime, 5000));
}

#[test]
fn a_quick_scanner_is_not_waited_for_longer_than_its_rhythm_explains() {
    let mut exam = of_a_known_scanner(60, 0);
    exam.slices(15, A, 50);
    assert_eq!(exam.decision(), (CompletionRule::QuietTime, 5000), "so few tell nothing yet");
    exam.slices(1, A, 50);
    assert_eq!(exam.decision(), (CompletionRule::QuietTime, 500));
    exam.slices(1, A, 350);
    assert_eq!(exam.decision(), (CompletionRule::QuietTime, 1050), "this exam is slower than the ones before");
    exam.slices(1, A, 3000);
    assert_eq!(exam.decision(), (CompletionRule::QuietTime, 5000), "never beyond the configured time");
}

#[test]
fn a_sender_that_pauses_for_longer_than_any_timeout_costs_one_revised_verdict_for_all_its_pauses() {
    let mut exam = Exam::new();
    exam.slices(20, A, 100);
    exam.wait(9000);
    assert_eq!(exam.decision(), (CompletionRule::QuietTime, -4000));
    exam.rhythm.refute(CompletionRule::QuietTime);
    exam.progress.pauses.in_series = Duration::from_secs(9);
    for _ in 0..3 {
        exam.slices(20, A, 100);
        exam.wait(9000);
        let (_, left) = exam.decision();
        assert!(left > 0, "{left}");
    }
    exam.progress.pauses.in_series = Duration::from_mins(9);
    exam.slices(1, A, 0);
    assert_eq!(exam.decision(), (CompletionRule::QuietTime, 60_000), "but not for ever");
}

#[test]
fn of_rules_that_decide_together_the_surest_is_named() {
    let mut exam = Exam::new();
    exam.slices(20, A, 50);
    exam.progress.expected = Some(20);
    exam.progress.lungs_passed = true;
    assert_eq!(exam.decision(), (CompletionRule::ExpectedCount, 0));
    exam.progress.step = Some(PerformedStepSignal::AllReceived(exam.start));
    assert_eq!(exam.decision(), (CompletionRule::ProcedureStep, 0));
}

proptest! {
    /// Whatever is said, known and refuted: an exam ends, and never before its last instance.
    #[test]
    fn every_exam_ends_within_a_bounded_silence(
        pauses in prop::collection::vec((0..20_000_u64, 0..4_u64, any::<bool>()), 1..60),
        usual in prop::option::of((0..600_000_u64, 0..600_000_u64)),
        expected in prop::option::of(0..60_usize),
        step in 0..3_u8,
        refuted in prop::collection::vec(0..5_usize, 0..5),
    ) {
        const RULES: [CompletionRule; 5] = [
            CompletionRule::ProcedureStep, CompletionRule::ExpectedCount, CompletionRule::LungsPassed,
            CompletionRule::AssociationReleased, CompletionRule::QuietTime,
        ];
        let mut exam = Exam::new();
        exam.progress.usual = usual.map(|(in_series, after_release)| Pauses {
            in_series: Duration::from_millis(in_series), after_release: Duration::from_millis(after_release),
        });
        exam.progress.expected = expected;
        exam.progress.step = match step {
            0 => None,
            1 => Some(PerformedStepSignal::AllReceived(exam.now)),
            _ => Some(PerformedStepSignal::Ended(exam.now)),
        };
        for (pause_ms, association, closes) in pauses {
            exam.slices(1, AssociationId(association), pause_ms);
            if closes {
                exam.close(AssociationId(association));
            }
        }
        for rule in refuted {
            exam.rhythm.refute(RULES[rule]);
        }
        let (_, left) = exam.decision();
        prop_assert!((0..=60_000).contains(&left), "{}", left);
    }
}
