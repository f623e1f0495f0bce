//! Deliveries over HTTP: what is not delivered, and what becomes of it.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Sent, no_such_exam, problem};
use crate::audit::{Decision, Event as Audited};
use crate::console::access::Caller;
use crate::console::server::WebOptions;
use crate::console::view::{ShownDelivery, shown_deliveries as shown};
use crate::database::{DatabaseError, Delivery, DeliveryFilter};
use crate::exam::ExamKey;

/// Deliveries, the oldest first.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Deliveries")]
pub(super) struct Listed {
    deliveries: Vec<Delivery>,
}

/// What became of an exam's objects.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExamDeliveries")]
pub(super) struct OfExam {
    deliveries: Vec<ShownDelivery>,
}

/// How many deliveries were decided about.
#[derive(Serialize, JsonSchema)]
pub(super) struct Decided {
    deliveries: usize,
}

/// Lists what is not delivered, the oldest first.
#[utoipa::path(
    get, path = "/api/v1/outbox", tag = "deliveries",
    responses((status = 200, description = "What is not delivered.", body = ref("#/components/schemas/Deliveries"))),
)]
pub(super) async fn undelivered(State(options): State<WebOptions>) -> Response {
    let listed = tokio::task::spawn_blocking(move || options.outbox.undelivered()).await;
    decided(listed, |deliveries| Listed { deliveries })
}

/// Says what became of each object of an exam, destination by destination.
#[utoipa::path(
    get, path = "/api/v1/exams/{key}/deliveries", tag = "deliveries",
    params(("key" = String, Path, description = "Key of the exam.")),
    responses((status = 200, description = "What became of them.", body = ref("#/components/schemas/ExamDeliveries"))),
)]
pub(super) async fn of_exam(State(options): State<WebOptions>, Path(key): Path<String>) -> Response {
    let Some(key) = ExamKey::parse(&key) else { return no_such_exam() };
    let listed = tokio::task::spawn_blocking(move || options.outbox.of_exam(&key)).await;
    decided(listed, |deliveries| OfExam { deliveries: shown(&deliveries) })
}

/// Sends again what is dead of the chosen deliveries; of all where nothing is chosen.
#[utoipa::path(
    post, path = "/api/v1/outbox/retry", tag = "deliveries",
    request_body = ref("#/components/schemas/DeliveryFilter"),
    responses((status = 200, description = "How many are sent again.", body = ref("#/components/schemas/Decided"))),
)]
pub(super) async fn send_again(
    State(options): State<WebOptions>,
    caller: Caller,
    Sent(chosen): Sent<DeliveryFilter>,
) -> Response {
    decide(options, caller, Decision::SendAgain, chosen).await
}

/// Gives up what has not arrived of the chosen deliveries; something must be chosen.
#[utoipa::path(
    post, path = "/api/v1/outbox/drop", tag = "deliveries",
    request_body = ref("#/components/schemas/DeliveryFilter"),
    responses((status = 200, description = "How many are given up.", body = ref("#/components/schemas/Decided"))),
)]
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
    decided(count, |deliveries| Decided { deliveries })
}

fn decided<T, A: Serialize>(
    outcome: Result<Result<T, DatabaseError>, tokio::task::JoinError>,
    answer: impl FnOnce(T) -> A,
) -> Response {
    match outcome {
        Ok(Ok(done)) => Json(answer(done)).into_response(),
        Ok(Err(error)) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the deliveries could not be looked at"),
    }
}
