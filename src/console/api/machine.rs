//! The machine and the scanners that send to it, over HTTP.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::{Timestamp, Zoned};
use serde_json::json;

use super::{answer_of, problem};
use crate::console::machine::seen_scanners;
use crate::console::server::WebOptions;

pub(super) async fn machine(State(options): State<WebOptions>) -> Response {
    answer_of(move || Json((options.machine)()).into_response()).await
}

/// Today is the day of the machine's own clock and time zone.
pub(super) async fn scanners(State(options): State<WebOptions>) -> Response {
    answer_of(move || {
        let midnight = Zoned::now().start_of_day().map_or(Timestamp::MIN, |midnight| midnight.timestamp());
        match options.hub.scanners(midnight) {
            Ok(exams) => {
                let listed = options.senders.scanners.borrow().clone();
                let scanners = seen_scanners(&listed, options.senders.callers.seen(), exams);
                Json(json!({ "scanners": scanners })).into_response()
            }
            Err(error) => {
                tracing::error!(%error, "the scanners' exams cannot be looked for in the database");
                problem(StatusCode::INTERNAL_SERVER_ERROR, "the database cannot be searched")
            }
        }
    })
    .await
}
