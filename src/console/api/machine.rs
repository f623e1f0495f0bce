//! The machine and the scanners that send to it, over HTTP.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::{Timestamp, Zoned};
use schemars::JsonSchema;
use serde::Serialize;

use super::{answer_of, problem};
use crate::console::machine::{SeenScanner, seen_scanners};
use crate::console::server::WebOptions;

/// The scanners that are known.
#[derive(Serialize, JsonSchema)]
pub(super) struct Scanners {
    scanners: Vec<SeenScanner>,
}

/// Says how the machine is.
#[utoipa::path(
    get, path = "/api/v1/machine", tag = "administration",
    responses((status = 200, description = "The machine.", body = ref("#/components/schemas/Machine"))),
)]
pub(super) async fn machine(State(options): State<WebOptions>) -> Response {
    answer_of(move || Json((options.machine)()).into_response()).await
}

/// Lists the scanners that are listed, have called since the start, or have exams here. Today is the day of the machine's own clock.
#[utoipa::path(
    get, path = "/api/v1/scanners", tag = "administration",
    responses((status = 200, description = "They.", body = ref("#/components/schemas/Scanners"))),
)]
pub(super) async fn scanners(State(options): State<WebOptions>) -> Response {
    answer_of(move || {
        let midnight = Zoned::now().start_of_day().map_or(Timestamp::MIN, |midnight| midnight.timestamp());
        match options.hub.scanners(midnight) {
            Ok(exams) => {
                let listed = options.senders.scanners.borrow().clone();
                let scanners = seen_scanners(&listed, options.senders.callers.seen(), exams);
                Json(Scanners { scanners }).into_response()
            }
            Err(error) => {
                tracing::error!(%error, "the scanners' exams cannot be looked for in the database");
                problem(StatusCode::INTERNAL_SERVER_ERROR, "the database cannot be searched")
            }
        }
    })
    .await
}
