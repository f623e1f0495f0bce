//! The console's data over HTTP, below `/api/v1`.

mod daemon;
mod deliveries;
mod exams;
mod slices;

use std::net::SocketAddr;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

pub(super) use daemon::{metrics, ready};

use super::server::WebOptions;

pub(super) fn routes() -> Router<WebOptions> {
    Router::new()
        .route("/api/v1/exams", get(exams::exams))
        .route("/api/v1/exams/{key}", get(exams::exam))
        .route("/api/v1/exams/{key}/slabs/{picture}", get(exams::slab_picture))
        .route("/api/v1/exams/{key}/slices", get(slices::slices))
        .route("/api/v1/exams/{key}/slices/{id}", get(slices::hounsfield))
        .route("/api/v1/exams/{key}/deliveries", get(deliveries::of_exam))
        .route("/api/v1/exams/{key}/flags/{flag}/acknowledge", post(exams::acknowledge))
        .route("/api/v1/outbox", get(deliveries::undelivered))
        .route("/api/v1/outbox/retry", post(deliveries::send_again))
        .route("/api/v1/outbox/drop", post(deliveries::give_up))
        .route("/api/v1/status", get(daemon::status))
}

pub(super) fn problem(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "error": text }))).into_response()
}

/// The answer of work that reads the disk or draws: done where nothing else waits for it.
pub(super) async fn answer_of(work: impl FnOnce() -> Response + Send + 'static) -> Response {
    let answered = tokio::task::spawn_blocking(work).await;
    answered.unwrap_or_else(|_| problem(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made"))
}

/// Who asks, as far as that is known: there is no log-in, and a proxy stands for all behind it.
pub(super) fn address_of(peer: SocketAddr) -> String {
    peer.ip().to_canonical().to_string()
}
