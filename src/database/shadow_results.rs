//! What a shadow model says of exams, beside what people were told. It has a connection of its own: nobody who reads or writes exams
//! waits for it, but for the file's own lock.

use std::path::Path;

use jiff::Timestamp;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::rows::{self, enumerated, key, time, word};
use super::{DatabaseError, connect_kept};
use crate::exam::ExamKey;
use crate::triage::{CaseReport, Verdict};

/// What a model says of an exam.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    pub verdict: Verdict,
    /// Case probability, 0 to 1; `None` where nothing could be inferred.
    pub probability: Option<f64>,
    /// The probability from which an exam was suspected.
    pub suspected_from: f64,
    pub lung_ml: f64,
    pub lesion_ml: f64,
}

impl Judgement {
    /// What a report says.
    #[must_use]
    pub fn of(report: &CaseReport) -> Self {
        Self {
            verdict: report.verdict,
            probability: report.score,
            suspected_from: report.thresholds.suspected,
            lung_ml: report.lung_ml,
            lesion_ml: report.lesion_summary.volume_ml,
        }
    }

    /// Whether it is a verdict on the patient: suspected or not suspected.
    #[must_use]
    pub fn is_assessed(&self) -> bool {
        matches!(self.verdict, Verdict::Suspected | Verdict::NotSuspected)
    }
}

/// A model, by name, version and the SHA-256 of its weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelName {
    /// Name and version.
    pub title: String,
    pub weights_sha256: String,
}

/// What a shadow model made of an exam, and what people were told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowResult {
    pub exam: ExamKey,
    /// Which of the exam's verdicts it is compared with.
    pub revision: u32,
    /// The SHA-256 of the shadow package's model.toml.
    pub package_sha256: String,
    pub model: ModelName,
    pub judged: Timestamp,
    /// How long the shadow worked on it, s.
    pub worked_s: f64,
    /// Or why it could not judge the exam.
    pub shadow: Result<Judgement, String>,
    pub production_model: ModelName,
    pub production: Judgement,
}

/// How a shadow's result compares with what people were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShadowOutcome {
    /// The same verdict.
    Agree,
    /// The shadow alone suspects.
    ToSuspected,
    /// Production alone suspects.
    FromSuspected,
    /// Another difference: one of them did not assess the exam, or both for different reasons.
    Other,
    /// The shadow could not judge the exam.
    Failed,
}

impl ShadowOutcome {
    /// The label in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agree => "agree",
            Self::ToSuspected => "to_suspected",
            Self::FromSuspected => "from_suspected",
            Self::Other => "other",
            Self::Failed => "failed",
        }
    }
}

impl ShadowResult {
    #[must_use]
    pub fn outcome(&self) -> ShadowOutcome {
        let Ok(shadow) = &self.shadow else { return ShadowOutcome::Failed };
        match (self.production.verdict, shadow.verdict) {
            (production, shadow) if production == shadow => ShadowOutcome::Agree,
            (_, Verdict::Suspected) => ShadowOutcome::ToSuspected,
            (Verdict::Suspected, _) => ShadowOutcome::FromSuspected,
            _ => ShadowOutcome::Other,
        }
    }
}

/// All results of shadow models.
#[derive(Debug)]
pub struct ShadowResults {
    connection: Mutex<Connection>,
}

impl ShadowResults {
    /// Opens them in a database that is there already, while a daemon may be running.
    ///
    /// # Errors
    /// If there is none, or it has the layout of another version.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let connection = connect_kept(path)?;
        // Without a sync of its own: what a power cut takes is judged again.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// The exams with a final verdict and their images on which this package has no result, the oldest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn unjudged(&self, package_sha256: &str) -> Result<Vec<ExamKey>, DatabaseError> {
        let connection = self.connection.lock();
        let mut statement = connection.prepare_cached(
            "SELECT exam.key FROM report_basis CROSS JOIN exam ON exam.key = report_basis.exam
                WHERE exam.state = 'complete' AND EXISTS (SELECT 1 FROM revision WHERE revision.exam = exam.key)
                    AND NOT EXISTS (SELECT 1 FROM shadow_result
                        WHERE shadow_result.exam = exam.key AND package_sha256 = ?1 AND shadow_result.revision =
                            (SELECT max(revision) FROM revision WHERE revision.exam = exam.key))
                ORDER BY exam.started_us, exam.key",
        )?;
        let keys = statement.query_map([package_sha256], |row| key(row, "key"))?;
        Ok(keys.collect::<rusqlite::Result<_>>()?)
    }

    /// The number of an exam's last verdict, and its report; `None` while there is no final one.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn last_verdict(&self, exam: &ExamKey) -> Result<Option<(u32, CaseReport)>, DatabaseError> {
        let mut connection = self.connection.lock();
        // Both as they are at one moment.
        let transaction = connection.transaction()?;
        let last: Option<Option<u32>> = transaction
            .prepare_cached(
                "SELECT (SELECT max(revision) FROM revision WHERE revision.exam = exam.key) FROM exam
                    WHERE key = ?1 AND state = 'complete'",
            )?
            .query_row([exam.to_string()], |row| row.get(0))
            .optional()?;
        Ok(last.flatten().zip(rows::report(&transaction, exam)?))
    }

    /// Keeps a result, in place of an earlier one of the same package on the same verdict.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn put(&self, result: &ShadowResult) -> Result<(), DatabaseError> {
        let shadow = result.shadow.as_ref().ok();
        self.connection
            .lock()
            .prepare_cached(
                "INSERT OR REPLACE INTO shadow_result (exam, revision, package_sha256, model, weights_sha256, judged_us,
                    worked_s, verdict, probability, suspected_from, lung_ml, lesion_ml, failure,
                    production_model, production_weights_sha256, production_verdict, production_probability,
                    production_suspected_from, production_lung_ml, production_lesion_ml)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
            )?
            .execute(params![
                result.exam.to_string(),
                result.revision,
                result.package_sha256,
                result.model.title,
                result.model.weights_sha256,
                result.judged.as_microsecond(),
                result.worked_s,
                shadow.map(|shadow| word(&shadow.verdict)).transpose()?,
                shadow.and_then(|shadow| shadow.probability),
                shadow.map(|shadow| shadow.suspected_from),
                shadow.map(|shadow| shadow.lung_ml),
                shadow.map(|shadow| shadow.lesion_ml),
                result.shadow.as_ref().err(),
                result.production_model.title,
                result.production_model.weights_sha256,
                word(&result.production.verdict)?,
                result.production.probability,
                result.production.suspected_from,
                result.production.lung_ml,
                result.production.lesion_ml,
            ])?;
        Ok(())
    }

    /// A package's newest result on each exam, in the order of the exams' keys.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn of_package(&self, package_sha256: &str) -> Result<Vec<ShadowResult>, DatabaseError> {
        let connection = self.connection.lock();
        let mut statement = connection.prepare_cached(
            "SELECT * FROM shadow_result AS result WHERE package_sha256 = ?1 AND revision = (SELECT max(revision)
                    FROM shadow_result WHERE exam = result.exam AND package_sha256 = ?1)
                ORDER BY exam",
        )?;
        Ok(statement.query_map([package_sha256], result)?.collect::<rusqlite::Result<_>>()?)
    }

    /// The package that judged an exam last.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn last_package(&self) -> Result<Option<String>, DatabaseError> {
        let connection = self.connection.lock();
        let mut statement =
            connection.prepare_cached("SELECT package_sha256 FROM shadow_result ORDER BY judged_us DESC LIMIT 1")?;
        Ok(statement.query_row([], |row| row.get(0)).optional()?)
    }
}

fn result(row: &Row<'_>) -> rusqlite::Result<ShadowResult> {
    let failure: Option<String> = row.get("failure")?;
    let shadow = match failure {
        Some(failure) => Err(failure),
        None => Ok(Judgement {
            verdict: enumerated(row, "verdict")?,
            probability: row.get("probability")?,
            suspected_from: row.get("suspected_from")?,
            lung_ml: row.get("lung_ml")?,
            lesion_ml: row.get("lesion_ml")?,
        }),
    };
    Ok(ShadowResult {
        exam: key(row, "exam")?,
        revision: row.get("revision")?,
        package_sha256: row.get("package_sha256")?,
        model: ModelName { title: row.get("model")?, weights_sha256: row.get("weights_sha256")? },
        judged: time(row, "judged_us")?,
        worked_s: row.get("worked_s")?,
        shadow,
        production_model: ModelName {
            title: row.get("production_model")?,
            weights_sha256: row.get("production_weights_sha256")?,
        },
        production: Judgement {
            verdict: enumerated(row, "production_verdict")?,
            probability: row.get("production_probability")?,
            suspected_from: row.get("production_suspected_from")?,
            lung_ml: row.get("production_lung_ml")?,
            lesion_ml: row.get("production_lesion_ml")?,
        },
    })
}
