//! Outcomes over HTTP: what became of a verdict, and how far this site can rely on "suspected".

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Asked, Sent, answer_of, problem, refusal};
use crate::alert::{OutcomeError, OutcomeKind};
use crate::console::access::Caller;
use crate::console::server::WebOptions;
use crate::exam::ExamKey;

/// What became of a verdict.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "NewOutcome")]
#[serde(deny_unknown_fields)]
pub(super) struct Recorded {
    outcome: OutcomeKind,
    /// Who records it, where nobody has logged in by name.
    #[serde(default)]
    by: Option<String>,
}

/// Records what became of the exam's verdict.
///
/// Takes JSON only, as [`super::exams::acknowledge`] does.
#[utoipa::path(
    post, path = "/api/v1/exams/{key}/outcome", tag = "exams",
    params(("key" = String, Path, description = "Key of the exam.")),
    request_body = ref("#/components/schemas/NewOutcome"),
    responses((status = 200, description = "The exam, once that is on the disk.", body = ref("#/components/schemas/Exam"))),
)]
pub(super) async fn record(
    State(options): State<WebOptions>,
    caller: Caller,
    Path(key): Path<String>,
    Sent(Recorded { outcome, by }): Sent<Recorded>,
) -> Response {
    let Some(key) = ExamKey::parse(&key) else { return refused(OutcomeError::NoSuchExam) };
    let by = caller.signs_as(by);
    answer_of(move || match options.hub.record_outcome(&key, outcome, &by) {
        Ok(exam) => {
            let who = caller.person(Some(by.trim().to_owned()));
            options.audit.outcome_recorded(who, options.hub.subject(&key), outcome.as_str());
            Json(caller.names.of(exam)).into_response()
        }
        Err(error) => refused(error),
    })
    .await
}

fn refused(error: OutcomeError) -> Response {
    let status = match error {
        OutcomeError::NoSuchExam => StatusCode::NOT_FOUND,
        OutcomeError::NoVerdict | OutcomeError::OtherVerdict => StatusCode::CONFLICT,
        OutcomeError::NoName => StatusCode::UNPROCESSABLE_ENTITY,
        OutcomeError::NotKept => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refusal(status, &error.phrase())
}

/// Which exams are counted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Counted {
    /// They began then or later.
    since: Option<Timestamp>,
}

/// Counts what became of verdicts.
#[utoipa::path(
    get, path = "/api/v1/outcomes", tag = "exams",
    params(("since" = Option<String>, Query, description = "Of exams that began then or later (RFC 3339).")),
    responses((status = 200, description = "How far \"suspected\" can be relied on here.", body = ref("#/components/schemas/OutcomeFigures"))),
)]
pub(super) async fn figures(State(options): State<WebOptions>, Asked(Counted { since }): Asked<Counted>) -> Response {
    answer_of(move || match options.hub.outcome_figures(since) {
        Ok(figures) => Json(figures).into_response(),
        Err(error) => {
            tracing::error!(%error, "outcomes cannot be counted in the database");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "the outcomes cannot be counted")
        }
    })
    .await
}
