//! Exams, their slabs and flags over HTTP.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Asked, Sent, answer_of, has, no_such_exam, problem, refusal};
use crate::alert::{AcknowledgeError, in_order};
use crate::analysis::edition;
use crate::console::access::{Caller, Names};
use crate::console::server::WebOptions;
use crate::console::view::{ShownExam, ShownSlab};
use crate::database::{ExamFilter, ExamSearch};
use crate::exam::{ExamKey, QualityIssue, SlabIndex};
use crate::picture::picture;
use crate::texts::Phrase;
use crate::triage::CaseReport;

/// Words of a search that count.
const MOST_WORDS: usize = 8;

/// Which exams are asked for; those of the live list where nothing is said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Words that stand in name, ID or key.
    search: Option<String>,
    /// Only these.
    filter: Option<ExamFilter>,
    /// They began then or later.
    since: Option<Timestamp>,
    /// The key of the exam before which they began.
    before: Option<String>,
}

/// Exams, newest first.
#[derive(Serialize, JsonSchema)]
pub(super) struct ExamList {
    exams: Vec<ShownExam>,
    /// Their keys by urgency, now; of the live list alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<Vec<ExamKey>>,
    /// There are earlier ones; absent from the live list.
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<bool>,
}

/// Lists the newest exams, or looks for exams in the database.
#[utoipa::path(
    get, path = "/api/v1/exams", tag = "exams",
    params(
        ("search" = Option<String>, Query, description = "Words in the name, the Patient ID or at the beginning of the key."),
        ("filter" = Option<String>, Query, description = "Only these."),
        ("since" = Option<String>, Query, description = "They began then or later (RFC 3339)."),
        ("before" = Option<String>, Query, description = "Key of the exam before which they began."),
    ),
    responses((status = 200, description = "Exams, newest first.", body = ref("#/components/schemas/ExamList"))),
)]
pub(super) async fn exams(
    State(options): State<WebOptions>,
    caller: Caller,
    Asked(Wanted { search, filter, since, before }): Asked<Wanted>,
) -> Response {
    answer_of(move || {
        let shown =
            |exams: Vec<ShownExam>| -> Vec<ShownExam> { exams.into_iter().map(|exam| caller.names.of(exam)).collect() };
        if search.is_none() && filter.is_none() && since.is_none() && before.is_none() {
            let exams = options.hub.exams();
            let standings: Vec<_> = exams.iter().map(ShownExam::standing).collect();
            let order: Vec<ExamKey> = in_order(&standings, Timestamp::now()).into_iter().cloned().collect();
            return Json(ExamList { exams: shown(exams), order: Some(order), more: None }).into_response();
        }
        let before = match before.map(|key| ExamKey::parse(&key)) {
            None => None,
            Some(None) => return problem(StatusCode::UNPROCESSABLE_ENTITY, "before is the key of an exam"),
            // One that waits for its turn is listed and not on the disk yet.
            Some(Some(key)) => match options.hub.record(&key) {
                Some(record) => Some((record.exam.started, key)),
                None => return no_such_exam(),
            },
        };
        let words = search.unwrap_or_default().split_whitespace().take(MOST_WORDS).map(str::to_owned).collect();
        let by_key_alone = caller.names != Names::Full;
        match options.hub.search(&ExamSearch { words, by_key_alone, filter, since, before }) {
            Ok((exams, more)) => Json(ExamList { exams: shown(exams), order: None, more: Some(more) }).into_response(),
            Err(error) => {
                tracing::error!(%error, "exams cannot be looked for in the database");
                problem(StatusCode::INTERNAL_SERVER_ERROR, "the database cannot be searched")
            }
        }
    })
    .await
}

/// An exam with all that is known of it.
#[derive(Serialize, JsonSchema)]
pub(super) struct ExamDetails {
    exam: ShownExam,
    slabs: Vec<ShownSlab>,
    /// `null` before the verdict.
    report: Option<CaseReport>,
    /// What the report's issues say, in no language yet, in their order.
    issue_phrases: Vec<Phrase>,
}

/// Gives an exam with its slabs and its report.
#[utoipa::path(
    get, path = "/api/v1/exams/{key}", tag = "exams",
    params(("key" = String, Path, description = "Key of the exam.")),
    responses((status = 200, description = "The exam.", body = ref("#/components/schemas/ExamDetails"))),
)]
pub(super) async fn exam(State(options): State<WebOptions>, caller: Caller, Path(key): Path<String>) -> Response {
    let exam = move || match ExamKey::parse(&key).and_then(|key| options.hub.record(&key)) {
        Some(record) => {
            options.audit.viewed(caller.person(None), record.subject());
            let slabs = record.slabs.values().map(|slab| ShownSlab::new(&record.exam.key, slab)).collect();
            let exam = caller.names.of(options.hub.shown(&record));
            let issues = record.report.iter().flat_map(|report| &report.quality);
            let issue_phrases = issues.map(QualityIssue::phrase).collect();
            Json(ExamDetails { exam, slabs, report: record.report, issue_phrases }).into_response()
        }
        None => no_such_exam(),
    };
    answer_of(exam).await
}

/// Gives the picture of a slab.
///
/// A picture is drawn anew once another slice stands for its slab: browsers ask each time whether theirs still holds.
#[utoipa::path(
    get, path = "/api/v1/exams/{key}/slabs/{picture}", tag = "exams",
    params(
        ("key" = String, Path, description = "Key of the exam."),
        ("picture" = String, Path, description = "Index of the slab and `.png`."),
    ),
    responses(
        (status = 200, description = "The picture.", body = Vec<u8>, content_type = "image/png"),
        (status = 304, description = "The browser has it."),
    ),
)]
pub(super) async fn slab_picture(
    State(options): State<WebOptions>,
    caller: Caller,
    Path((key, name)): Path<(String, String)>,
    asked: HeaderMap,
) -> Response {
    answer_of(move || {
        let found = (|| {
            let index = SlabIndex(name.strip_suffix(".png")?.parse().ok()?);
            let record = options.hub.record(&ExamKey::parse(&key)?)?;
            let file = record.slabs.get(&index)?.image.clone()?;
            Some((file, record.subject()))
        })();
        let Some((file, subject)) = found else { return problem(StatusCode::NOT_FOUND, "there is no such picture") };
        options.audit.viewed(caller.person(None), subject);
        let tag = format!("\"{}\"", edition(&file));
        let is_known = has(&asked, &tag);
        let headers = [
            (header::CONTENT_TYPE, "image/png".to_owned()),
            (header::CACHE_CONTROL, "private, no-cache".to_owned()),
            (header::ETAG, tag),
        ];
        if is_known {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        match picture(&file, &options.plane) {
            Ok(png) => (headers, png).into_response(),
            Err(error) => {
                tracing::warn!(%error, "no picture");
                problem(StatusCode::INTERNAL_SERVER_ERROR, "the slice cannot be drawn")
            }
        }
    })
    .await
}

/// An acknowledgement.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Acknowledge {
    /// Who acknowledges, where nobody has logged in by name.
    #[serde(default)]
    by: Option<String>,
}

/// Notes who has seen a flag.
///
/// Takes JSON only: a form on another site cannot send that without asking first.
#[utoipa::path(
    post, path = "/api/v1/exams/{key}/flags/{flag}/acknowledge", tag = "exams",
    params(
        ("key" = String, Path, description = "Key of the exam."),
        ("flag" = String, Path, description = "Id of the flag."),
    ),
    request_body = ref("#/components/schemas/Acknowledge"),
    responses((status = 200, description = "The exam, once that is on the disk.", body = ref("#/components/schemas/Exam"))),
)]
pub(super) async fn acknowledge(
    State(options): State<WebOptions>,
    caller: Caller,
    Path((key, flag)): Path<(String, String)>,
    Sent(Acknowledge { by }): Sent<Acknowledge>,
) -> Response {
    let Some(key) = ExamKey::parse(&key) else { return no_such_exam() };
    let by = caller.signs_as(by);
    let acknowledged = move || {
        let exam = options.hub.acknowledge(&key, &flag, &by)?;
        options.audit.acknowledged(caller.person(Some(by.trim().to_owned())), options.hub.subject(&key), &flag);
        Ok(caller.names.of(exam))
    };
    match tokio::task::spawn_blocking(acknowledged).await {
        Ok(Ok(exam)) => Json(exam).into_response(),
        Ok(Err(error)) => not_acknowledged(&error),
        Err(_) => not_acknowledged(&AcknowledgeError::NotKept),
    }
}

fn not_acknowledged(error: &AcknowledgeError) -> Response {
    let status = match error {
        AcknowledgeError::NoSuchFlag => StatusCode::NOT_FOUND,
        AcknowledgeError::NoName => StatusCode::UNPROCESSABLE_ENTITY,
        AcknowledgeError::NotKept => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refusal(status, &error.phrase())
}
