//! What the doors say of an exam, and when two answers are the same.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a report says, as far as a transformation may not change it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub verdict: String,
    pub probability: Option<f64>,
    pub lung_ml: f64,
    pub lesion_ml: f64,
    /// Kinds of quality issues, once each.
    pub issues: Vec<String>,
    pub reason: String,
}

pub const NEGATIVE: &str = "not_suspected";

impl Answer {
    /// From a case report in JSON.
    pub fn of_report(report: &Value) -> Self {
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let kinds = report["quality"].as_array().expect("a list of issues").iter();
        let mut issues: Vec<String> = kinds.map(|issue| issue["kind"].as_str().expect("a kind").to_owned()).collect();
        issues.sort();
        issues.dedup();
        Self {
            verdict: report["verdict"].as_str().expect("a verdict").to_owned(),
            probability: report["score"].as_f64(),
            lung_ml: number(&report["lung_ml"]),
            lesion_ml: number(&report["lesion_summary"]["volume_ml"]),
            issues,
            reason: report["reason"].as_str().unwrap_or_default().to_owned(),
        }
    }

    /// In which respects it is another answer than `expected`; `announced` are issues that it may have beyond.
    pub fn differences(&self, expected: &Self, tolerance: Tolerance, announced: &[&str]) -> Vec<String> {
        let mut differences = Vec::new();
        if self.verdict != expected.verdict {
            differences.push(format!("{} instead of {}: {}", self.verdict, expected.verdict, self.reason));
        }
        let [probability, usual] = [self, expected].map(|answer| answer.probability.unwrap_or(f64::NAN));
        if !is_near(probability, usual, tolerance.probability) {
            differences.push(format!("probability {probability:.3} instead of {usual:.3}"));
        }
        for (what, found, usual, floor_ml) in [
            ("lung", self.lung_ml, expected.lung_ml, tolerance.lung_floor_ml),
            ("lesions", self.lesion_ml, expected.lesion_ml, tolerance.lesion_floor_ml),
        ] {
            if !is_near(found, usual, (usual * tolerance.volume_share).max(floor_ml)) {
                differences.push(format!("{what} {found:.1} ml instead of {usual:.1} ml"));
            }
        }
        let is_new = |issue: &&String| !expected.issues.contains(issue) && !announced.contains(&issue.as_str());
        let new: Vec<&str> = self.issues.iter().filter(is_new).map(String::as_str).collect();
        if !new.is_empty() {
            differences.push(format!("new issues: {}", new.join(", ")));
        }
        differences
    }
}

/// A figure that is missing is near to nothing.
fn is_near(figure: f64, usual: f64, within: f64) -> bool {
    (figure - usual).abs() <= within
}

/// How far answers may lie apart and be the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    pub probability: f64,
    pub volume_share: f64,
    pub lung_floor_ml: f64,
    pub lesion_floor_ml: f64,
}

impl Tolerance {
    /// What the same patient scanned otherwise may differ by.
    pub const SAME: Self = Self { probability: 0.02, volume_share: 0.03, lung_floor_ml: 20.0, lesion_floor_ml: 3.0 };
    /// The slices fall into other slabs.
    pub const OTHER_SLABS: Self =
        Self { probability: 0.05, volume_share: 0.05, lung_floor_ml: 20.0, lesion_floor_ml: 5.0 };

    /// What two changes together may.
    pub fn and(self, other: Self) -> Self {
        Self {
            probability: self.probability + other.probability,
            volume_share: self.volume_share + other.volume_share,
            lung_floor_ml: self.lung_floor_ml + other.lung_floor_ml,
            lesion_floor_ml: self.lesion_floor_ml + other.lesion_floor_ml,
        }
    }
}

/// What `model validate` says of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Validated {
    /// `suspected`, `not_suspected`, `not_analysed` or `failed`.
    pub outcome: String,
    pub probability: Option<f64>,
    pub reason: String,
}

/// What all doors say of one case.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// Of `triage`: one of each exam; the reason where there is none.
    pub triage: Vec<Answer>,
    pub triage_refusal: Option<String>,
    /// Of the daemon; absent where the case cannot be sent.
    pub daemon: Option<Vec<Answer>>,
    pub validated: Option<Validated>,
}

/// Doors run the same arithmetic on the same slices.
const SAME_PROBABILITY: f64 = 1e-6;

impl Answers {
    /// Where the doors contradict each other.
    pub fn contradictions(&self) -> Vec<String> {
        let by_daemon = self.daemon.as_ref().and_then(|daemon| {
            let (one, other) = (counted(&self.triage), counted(daemon));
            (one != other).then(|| format!("triage says {one:?}, the daemon {other:?}"))
        });
        let by_validation = self.validated.as_ref().and_then(|validated| {
            let agrees = match self.triage.as_slice() {
                [only] => agrees(only, validated),
                // A case is one exam.
                _ => validated.outcome == "failed" || validated.outcome == "not_analysed",
            };
            (!agrees).then(|| {
                let Validated { outcome, probability, reason } = validated;
                format!("validate says {outcome} {probability:?} {reason}, triage {:?}", counted(&self.triage))
            })
        });
        by_daemon.into_iter().chain(by_validation).collect()
    }
}

fn agrees(answer: &Answer, validated: &Validated) -> bool {
    match answer.verdict.as_str() {
        verdict @ ("suspected" | NEGATIVE) => {
            let difference = answer.probability.zip(validated.probability).map(|(one, other)| (one - other).abs());
            validated.outcome == verdict && difference.is_some_and(|difference| difference <= SAME_PROBABILITY)
        }
        _ => validated.outcome == "not_analysed" || validated.outcome == "failed",
    }
}

/// Verdict and probability of each exam, in an order of their own.
fn counted(answers: &[Answer]) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for answer in answers {
        let probability = answer.probability.map_or("none".to_owned(), |probability| format!("{probability:.6}"));
        *counted.entry(format!("{} {probability}", answer.verdict)).or_default() += 1;
    }
    counted
}

#[test]
fn an_answer_that_differs_in_one_respect_or_lacks_a_figure_is_another_one() {
    let usual = Answer {
        verdict: "suspected".to_owned(),
        probability: Some(0.9),
        lung_ml: 4000.0,
        lesion_ml: 100.0,
        issues: vec!["gap".to_owned()],
        reason: String::new(),
    };
    let differences = |other: Answer| other.differences(&usual, Tolerance::SAME, &["corrected"]).len();
    assert_eq!(differences(Answer { probability: Some(0.915), lung_ml: 3900.0, ..usual.clone() }), 0);
    assert_eq!(differences(Answer { issues: vec!["corrected".to_owned()], ..usual.clone() }), 0);
    for other in [
        Answer { verdict: NEGATIVE.to_owned(), ..usual.clone() },
        Answer { probability: None, ..usual.clone() },
        Answer { probability: Some(0.87), ..usual.clone() },
        Answer { lung_ml: 4200.0, ..usual.clone() },
        Answer { lesion_ml: f64::NAN, ..usual.clone() },
        Answer { issues: vec!["too_thick".to_owned()], ..usual.clone() },
    ] {
        assert_eq!(differences(other.clone()), 1, "{other:?}");
    }
}

#[test]
fn doors_that_say_different_things_contradict_each_other() {
    let clear = Answer {
        verdict: NEGATIVE.to_owned(),
        probability: Some(0.1),
        lung_ml: 4000.0,
        lesion_ml: 0.0,
        issues: Vec::new(),
        reason: String::new(),
    };
    let validated = Validated { outcome: NEGATIVE.to_owned(), probability: Some(0.1), reason: String::new() };
    let agreeing = Answers {
        triage: vec![clear.clone()],
        triage_refusal: None,
        daemon: Some(vec![clear.clone()]),
        validated: Some(validated.clone()),
    };
    assert_eq!(agreeing.contradictions(), [""; 0]);
    let other = Answer { probability: Some(0.11), ..clear };
    let by_daemon = Answers { daemon: Some(vec![other]), ..agreeing.clone() };
    assert_eq!(by_daemon.contradictions().len(), 1);
    let failed = Validated { outcome: "not_analysed".to_owned(), ..validated };
    let by_validation = Answers { validated: Some(failed), ..agreeing };
    assert_eq!(by_validation.contradictions().len(), 1);
}
