//! The files of a validation: `results.csv` with a row a case, `summary.json`, `report.html`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::limits::LimitOutcome;
use super::summary::Summary;
use super::{CaseResult, Outcome, html};

/// Why a file of the validation cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {reason}; is the folder there, writable and its disk not full?")]
pub struct WriteError {
    path: PathBuf,
    reason: String,
}

/// `summary.json`: the keys of [`Summary`] and `limits`.
#[derive(Serialize)]
struct SummaryFile<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    limits: &'a [LimitOutcome],
}

/// A row of `results.csv`. What does not apply to a case is empty.
#[derive(Default, Serialize)]
struct Row<'a> {
    name: &'a str,
    site: &'a str,
    group: &'a str,
    /// 1 if the case must be flagged, else 0, as in the list of cases.
    label: u8,
    /// `suspected`, `not_suspected`, `not_analysed` or `failed`.
    outcome: &'a str,
    reason: &'a str,
    score: Option<f64>,
    path_maximum: Option<f64>,
    flagged_early: Option<bool>,
    /// Share of the slices that had come when the flag was raised, and seconds since the first slice.
    flag_share: Option<f64>,
    flag_s: Option<f64>,
    slices: Option<usize>,
    lung_ml: Option<f64>,
    lesion_ml: Option<f64>,
    lung_dice: Option<f64>,
    lesion_dice: Option<f64>,
    lesions: Option<usize>,
    lesions_found: Option<usize>,
    false_lesions: Option<usize>,
    picture: Option<&'a str>,
}

/// Writes all files into `out`, a folder that holds the pictures that the cases name. Returns the files.
///
/// # Errors
/// If a file cannot be written.
pub fn write_all(
    out: &Path,
    summary: &Summary,
    cases: &[CaseResult],
    limits: &[LimitOutcome],
) -> Result<Vec<PathBuf>, WriteError> {
    let csv = table(cases);
    let json = serde_json::to_vec_pretty(&SummaryFile { summary, limits }).map_err(|error| error.to_string());
    let html = html::report(summary, cases, limits, out).into_bytes();
    [("results.csv", csv), ("summary.json", json), ("report.html", Ok(html))]
        .into_iter()
        .map(|(name, content)| {
            let path = out.join(name);
            let written = content.and_then(|content| std::fs::write(&path, content).map_err(|error| error.to_string()));
            match written {
                Ok(()) => Ok(path),
                Err(reason) => Err(WriteError { path, reason }),
            }
        })
        .collect()
}

fn table(cases: &[CaseResult]) -> Result<Vec<u8>, String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for case in cases {
        writer.serialize(row(case)).map_err(|error| error.to_string())?;
    }
    writer.into_inner().map_err(|error| error.to_string())
}

fn row(case: &CaseResult) -> Row<'_> {
    let named =
        Row { name: &case.name, site: &case.site, group: &case.group, label: case.positive.into(), ..Row::default() };
    let seen = match &case.outcome {
        Outcome::NotAnalysed { reason } => return Row { outcome: "not_analysed", reason, ..named },
        Outcome::Failed { reason } => return Row { outcome: "failed", reason, ..named },
        Outcome::Judged(seen) => seen,
    };
    let lesions = seen.masks.and_then(|masks| masks.lesions);
    Row {
        outcome: seen.verdict.as_str(),
        reason: &seen.reason,
        score: Some(seen.score),
        path_maximum: seen.path_maximum,
        flagged_early: Some(seen.flag.is_some_and(|flag| flag.early)),
        flag_share: seen.flag.map(|flag| flag.share),
        flag_s: seen.flag.map(|flag| flag.seconds),
        slices: Some(seen.slices),
        lung_ml: Some(seen.lung_ml),
        lesion_ml: Some(seen.lesion_ml),
        lung_dice: seen.masks.and_then(|masks| masks.lung_dice),
        lesion_dice: seen.masks.and_then(|masks| masks.lesion_dice),
        lesions: lesions.map(|lesions| lesions.count),
        lesions_found: lesions.map(|lesions| lesions.found),
        false_lesions: lesions.map(|lesions| lesions.false_lesions),
        picture: seen.picture.as_deref(),
        ..named
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::limits::Limit;
    use crate::validation::made;
    use crate::validation::summary::summarise;

    #[test]
    fn all_files_are_written_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let cases = [
            made::with(made::judged("a, \"quoted\"", true, 0.9, Some(0.95)), |seen| {
                seen.masks = Some(made::masks(Some(0.7), 2, 1, 0));
            }),
            made::not_analysed("b", false),
            made::failed("c", true),
        ];
        let summary = summarise(&cases, made::subject());
        let limits = ["sensitivity=0.5".parse::<Limit>().unwrap().check(&summary)];
        let files = write_all(folder.path(), &summary, &cases, &limits).unwrap();
        assert_eq!(files.len(), 3);

        let mut reader = csv::Reader::from_path(&files[0]).unwrap();
        let header = reader.headers().unwrap().clone();
        let columns = ["name", "label", "outcome", "score", "lesions_found", "reason"]
            .map(|name| header.iter().position(|column| column == name).unwrap());
        let rows: Vec<Vec<String>> = reader
            .records()
            .map(|record| record.unwrap())
            .map(|record| columns.iter().map(|column| record[*column].to_owned()).collect())
            .collect();
        assert_eq!(rows[0][..5], ["a, \"quoted\"", "1", "suspected", "0.9", "1"]);
        assert_eq!(rows[1], ["b", "0", "not_analysed", "", "", "lung base cut off"]);
        assert_eq!(rows[2], ["c", "1", "failed", "", "", "no such folder"]);

        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&files[1]).unwrap()).unwrap();
        assert_eq!(json["overall"]["sensitivity"]["count"], 1);
        assert_eq!(json["limits"][0]["state"], "holds");
        assert_eq!(json["schema_version"], 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let summary = summarise(&[], made::subject());
        let error = write_all(&folder.path().join("gone"), &summary, &[], &[]).unwrap_err().to_string();
        assert!(error.contains("gone") && error.contains("results.csv"), "{error}");
    }
}
