//! Deliveries over HTTP: what is not delivered, and what becomes of it.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Sent, problem};
use crate::audit::{Decision, Event as Audited};
use crate::console::access::Caller;
use crate::console::server::WebOptions;
use crate::console::view::shown_deliveries as shown;
use crate::database::{DatabaseError, DeliveryFilter};
use crate::exam::ExamKey;

pub(super) async fn undelivered(State(options): State<WebOptions>) -> Response {
    let listed = tokio::task::spawn_blocking(move || options.outbox.undelivered()).await;
    decided(listed, |deliveries| json!({ "deliveries": deliveries }))
}

/// What became of each object of an exam, destination by destination.
pub(super) async fn of_exam(State(options): State<WebOptions>, Path(key): Path<String>) -> Response {
    let Some(key) = ExamKey::parse(&key) else { return problem(StatusCode::NOT_FOUND, "there is no such exam") };
    let listed = tokio::task::spawn_blocking(move || options.outbox.of_exam(&key)).await;
    decided(listed, |deliveries| json!({ "deliveries": shown(&deliveries) }))
}

/// Takes JSON only, as [`super::exams::acknowledge`] does: what is chosen by `numbers`, `exam` and `destination`.
pub(super) async fn send_again(
    State(options): State<WebOptions>,
    caller: Caller,
    Sent(chosen): Sent<DeliveryFilter>,
) -> Response {
    decide(options, caller, Decision::SendAgain, chosen).await
}

/// The same; something must be chosen.
pub(super) async fn give_up(
    State(options): State<WebOptions>,
    caller: Caller,
    Sent(chosen): Sent<DeliveryFilter>,
) -> Response {
    if !chosen.names_some() {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "say which: numbers, exam or destination");
    }
    decide(options, caller, Decision::GiveUp, chosen).await
}

async fn decide(options: WebOptions, caller: Caller, decision: Decision, chosen: DeliveryFilter) -> Response {
    let decide = move || {
        let told = chosen.to_string();
        let count = match decision {
            Decision::SendAgain => options.outbox.send_again(chosen)?,
            Decision::GiveUp => options.outbox.give_up(chosen)?,
        };
        options.audit.note(Audited::DeliveriesDecided { who: caller.person(None), decision, chosen: told, count });
        Ok(count)
    };
    let count = tokio::task::spawn_blocking(decide).await;
    decided(count, |count| json!({ "deliveries": count }))
}

fn decided<T>(
    outcome: Result<Result<T, DatabaseError>, tokio::task::JoinError>,
    answer: impl FnOnce(T) -> serde_json::Value,
) -> Response {
    match outcome {
        Ok(Ok(done)) => Json(answer(done)).into_response(),
        Ok(Err(error)) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the deliveries could not be looked at"),
    }
}
