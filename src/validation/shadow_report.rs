//! What a shadow model's results say: how often it agrees with the model that serves, and where it does not.

use jiff::Timestamp;
use serde::Serialize;

use super::statistics::{Estimate, quantile, share};
use crate::database::{ModelName, ShadowResult};
use crate::exam::ExamKey;
use crate::triage::Verdict;

/// There is too little to compare.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found} exams were judged by both models, {least} are needed (--least): let the shadow model judge more; \
     fewer say little about the next ones"
)]
pub struct TooFewExams {
    pub found: usize,
    pub least: usize,
}

/// A model, as printed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NamedModel {
    pub model: String,
    pub weights_sha256: String,
    /// The probability from which it suspects an exam.
    pub suspected_from: f64,
}

/// An exam on which the verdicts differ. It names no patient.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flip {
    pub exam: ExamKey,
    pub production_probability: Option<f64>,
    pub shadow_probability: Option<f64>,
}

/// How far the shadow's probabilities lie from production's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ProbabilityDifference {
    /// Mean of shadow less production.
    pub mean: f64,
    /// 95th percentile of what they lie apart.
    pub apart_p95: f64,
}

/// Exams that are compared with nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The shadow could not judge them.
    pub failed: usize,
    /// Production alone came to suspected or not suspected; and the shadow alone.
    pub assessed_by_production_alone: usize,
    pub assessed_by_shadow_alone: usize,
    pub assessed_by_neither: usize,
    /// Another model, or another threshold, served when they were judged.
    pub another_production_model: usize,
}

/// The comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShadowReport {
    /// SHA-256 of the shadow package's model.toml.
    pub package_sha256: String,
    pub shadow: NamedModel,
    pub production: NamedModel,
    /// When the shadow judged the first and the last of the exams.
    pub from: Timestamp,
    pub until: Timestamp,
    /// Share of the exams on which both have the same verdict; its `n` are those that both judged suspected or not suspected.
    pub agreement: Estimate,
    /// The shadow alone suspects.
    pub to_suspected: Vec<Flip>,
    /// Production alone suspects.
    pub from_suspected: Vec<Flip>,
    pub probability_difference: Option<ProbabilityDifference>,
    pub left_out: LeftOut,
}

/// Compares the results of one shadow package, one an exam, with what the model said that served last.
///
/// # Errors
/// If fewer than `least` exams were judged suspected or not suspected by both.
pub fn shadow_report(results: &[ShadowResult], least: usize) -> Result<ShadowReport, TooFewExams> {
    let too_few = |found| TooFewExams { found, least };
    let newest = results.iter().max_by_key(|result| result.judged).ok_or(too_few(0))?;
    let production = production_of(newest);
    let mut left_out = LeftOut::default();
    let mut compared = Vec::new();
    let mut shadow_point = None;
    for result in results {
        if production_of(result) != production {
            left_out.another_production_model += 1;
            continue;
        }
        let Ok(shadow) = &result.shadow else {
            left_out.failed += 1;
            continue;
        };
        match (result.production.is_assessed(), shadow.is_assessed()) {
            (true, true) => {
                shadow_point = Some(shadow.suspected_from);
                compared.push((result, shadow));
            }
            (true, false) => left_out.assessed_by_production_alone += 1,
            (false, true) => left_out.assessed_by_shadow_alone += 1,
            (false, false) => left_out.assessed_by_neither += 1,
        }
    }
    let flips = |from: Verdict, to: Verdict| -> Vec<Flip> {
        let differ =
            compared.iter().filter(|(result, shadow)| (result.production.verdict, shadow.verdict) == (from, to));
        let flip = |(result, shadow): &(&ShadowResult, &crate::database::Judgement)| Flip {
            exam: result.exam.clone(),
            production_probability: result.production.probability,
            shadow_probability: shadow.probability,
        };
        differ.map(flip).collect()
    };
    let to_suspected = flips(Verdict::NotSuspected, Verdict::Suspected);
    let from_suspected = flips(Verdict::Suspected, Verdict::NotSuspected);
    let differences =
        compared.iter().filter_map(|(result, shadow)| Some(shadow.probability? - result.production.probability?));
    let differences: Vec<f64> = differences.collect();
    let agreeing = compared.len() - to_suspected.len() - from_suspected.len();
    let judged = || compared.iter().map(|(result, _)| result.judged);
    let figures = share(agreeing, compared.len()).zip(shadow_point).zip(judged().min().zip(judged().max()));
    let Some(((agreement, suspected_from), (from, until))) = figures.filter(|_| compared.len() >= least) else {
        return Err(too_few(compared.len()));
    };
    Ok(ShadowReport {
        package_sha256: newest.package_sha256.clone(),
        shadow: named(&newest.model, suspected_from),
        production,
        from,
        until,
        agreement,
        to_suspected,
        from_suspected,
        probability_difference: probability_difference(&differences),
        left_out,
    })
}

fn production_of(result: &ShadowResult) -> NamedModel {
    named(&result.production_model, result.production.suspected_from)
}

fn named(model: &ModelName, suspected_from: f64) -> NamedModel {
    NamedModel { model: model.title.clone(), weights_sha256: model.weights_sha256.clone(), suspected_from }
}

fn probability_difference(differences: &[f64]) -> Option<ProbabilityDifference> {
    let apart: Vec<f64> = differences.iter().map(|difference| difference.abs()).collect();
    (!differences.is_empty()).then(|| ProbabilityDifference {
        mean: differences.iter().sum::<f64>() / differences.len() as f64,
        apart_p95: quantile(&apart, 0.95),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Judgement;

    fn judgement(verdict: Verdict, probability: f64) -> Judgement {
        Judgement { verdict, probability: Some(probability), suspected_from: 0.5, lung_ml: 4000.0, lesion_ml: 1.0 }
    }

    fn model(title: &str) -> ModelName {
        ModelName { title: title.to_owned(), weights_sha256: "ab".to_owned() }
    }

    fn result(number: usize, production: (Verdict, f64), shadow: Result<(Verdict, f64), &str>) -> ShadowResult {
        ShadowResult {
            exam: ExamKey::parse(&format!("{number:016x}")).unwrap(),
            revision: 1,
            package_sha256: "cd".to_owned(),
            model: model("shadow 2"),
            judged: Timestamp::from_second(number as i64).unwrap(),
            worked_s: 1.0,
            shadow: shadow.map(|(verdict, probability)| judgement(verdict, probability)).map_err(str::to_owned),
            production_model: model("production 1"),
            production: judgement(production.0, production.1),
        }
    }

    #[test]
    fn agreement_counts_exams_that_both_assessed_and_every_other_exam_is_named_by_its_kind() {
        use Verdict::{Abnormal, NotAnalysed, NotSuspected, Suspected};
        let mut results = vec![
            result(1, (Suspected, 0.9), Ok((Suspected, 0.95))),
            result(2, (NotSuspected, 0.1), Ok((NotSuspected, 0.05))),
            result(3, (NotSuspected, 0.4), Ok((Suspected, 0.6))),
            result(4, (Suspected, 0.7), Ok((NotSuspected, 0.3))),
            result(5, (Suspected, 0.7), Ok((Abnormal, 0.3))),
            result(6, (NotAnalysed, 0.7), Ok((Suspected, 0.8))),
            result(7, (NotAnalysed, 0.7), Ok((NotAnalysed, 0.8))),
            result(8, (Suspected, 0.7), Err("the analysis panicked")),
        ];
        let mut other = result(0, (Suspected, 0.7), Ok((Suspected, 0.7)));
        other.production_model = model("production 0");
        results.push(other);
        let report = shadow_report(&results, 4).unwrap();
        assert_eq!((report.agreement.count, report.agreement.n), (Some(2), 4));
        assert!(report.agreement.interval.is_some());
        assert_eq!(
            report.to_suspected,
            [Flip { exam: results[2].exam.clone(), production_probability: Some(0.4), shadow_probability: Some(0.6) }]
        );
        assert_eq!(report.from_suspected.len(), 1);
        let expected = LeftOut {
            failed: 1,
            assessed_by_production_alone: 1,
            assessed_by_shadow_alone: 1,
            assessed_by_neither: 1,
            another_production_model: 1,
        };
        assert_eq!(report.left_out, expected);
        let difference = report.probability_difference.unwrap();
        assert!((difference.mean - (0.05 - 0.05 + 0.2 - 0.4) / 4.0).abs() < 1e-9, "{difference:?}");
        assert!((difference.apart_p95 - quantile(&[0.05, 0.05, 0.2, 0.4], 0.95)).abs() < 1e-9, "{difference:?}");
        assert_eq!(report.production.model, "production 1");
    }

    #[test]
    fn too_few_exams_are_no_report() {
        let one = result(1, (Verdict::Suspected, 0.9), Ok((Verdict::Suspected, 0.9)));
        assert_eq!(shadow_report(&[], 0).unwrap_err(), TooFewExams { found: 0, least: 0 });
        let error = shadow_report(&[one], 2).unwrap_err();
        assert_eq!(error, TooFewExams { found: 1, least: 2 });
        assert!(error.to_string().contains("2 are needed"), "{error}");
    }
}
