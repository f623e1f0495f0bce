use super::*;
use crate::triage::Verdict;
use crate::validation::limits::Limit;
use crate::validation::summary::summarise;
use crate::validation::{Outcome, made};

fn page(cases: &[CaseResult], subject: Subject, limits: &[&str], pictures: &Path) -> String {
    let summary = summarise(cases, subject);
    let outcomes: Vec<LimitOutcome> =
        limits.iter().map(|limit| limit.parse::<Limit>().unwrap().check(&summary)).collect();
    report(&summary, cases, &outcomes, pictures)
}

fn some_cases() -> Vec<CaseResult> {
    vec![
        made::judged("p1", true, 0.9, Some(0.95)),
        made::judged("p2", true, 0.2, Some(0.3)),
        made::judged("n1", false, 0.1, Some(0.2)),
        made::not_analysed("n2", false),
        made::failed("f", true),
    ]
}

#[test]
fn the_page_says_what_was_validated_what_holds_and_what_has_no_result() {
    let html = page(&some_cases(), made::subject(), &["sensitivity=0.4", "auc=0.99", "lung_dice=0.9"], Path::new(""));
    for text in [
        "Validation of made 1.2.3",
        INTENDED_USE,
        &"ab".repeat(32),
        "1 of 3 stated limits do not hold",
        "sensitivity at least 0.4",
        "cannot be computed: no case has a lung mask",
        "lung base cut off",
        "no such folder",
        "positive, missed",
    ] {
        assert!(html.contains(text), "{text}");
    }
}

#[test]
fn names_and_reasons_are_text_and_never_markup() {
    let hostile = "<script>alert(1)</script>\"&";
    let mut cases = some_cases();
    for case in &mut cases {
        case.name = hostile.to_owned();
        case.site = hostile.to_owned();
        case.group = hostile.to_owned();
        match &mut case.outcome {
            Outcome::Judged(seen) => seen.reason = hostile.to_owned(),
            Outcome::NotAnalysed { reason } | Outcome::Failed { reason } => {
                *reason = hostile.to_owned();
            }
        }
    }
    let mut subject = made::subject();
    subject.model = hostile.to_owned();
    subject.intended_use = hostile.to_owned();
    let html = page(&cases, subject, &[], Path::new(""));
    assert!(!html.contains("<script"));
    assert!(html.contains("&lt;script&gt;"));
}

#[test]
fn the_page_needs_nothing_but_itself() {
    let html = page(&some_cases(), made::subject(), &[], Path::new(""));
    for outside in ["http:", "https:", "src=\"/", "<link", "@import", "url("] {
        assert!(!html.contains(outside), "{outside}");
    }
}

#[test]
fn pictures_are_part_of_the_page_and_a_missing_one_is_said() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("there.png"), b"PNG").unwrap();
    let pictured =
        |name, file: &str| made::with(made::judged(name, true, 0.1, None), |seen| seen.picture = Some(file.to_owned()));
    let cases = [pictured("a", "there.png"), pictured("b", "gone.png"), made::judged("c", true, 0.1, None)];
    let html = page(&cases, made::subject(), &[], folder.path());
    assert!(html.contains("data:image/png;base64,UE5H"));
    assert!(html.contains("the picture cannot be read") && html.contains("no picture"));
}

#[test]
fn one_class_no_case_at_all_and_no_path_make_a_page_too() {
    let no_path = made::with(made::judged("p", true, 0.9, None), |seen| {
        seen.path.clear();
        seen.verdict = Verdict::Suspected;
    });
    for cases in [vec![no_path], vec![made::failed("f", true)], Vec::new()] {
        let html = page(&cases, made::subject(), &["sensitivity=0.5"], Path::new(""));
        assert!(html.contains("not drawn") && !html.contains("NaN"), "{html}");
    }
}
