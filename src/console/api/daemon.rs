//! The daemon's state over HTTP: for people, for who decides whether it serves, for Prometheus.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::console::access::Caller;
use crate::console::server::WebOptions;

/// Says how the daemon is.
#[utoipa::path(
    get, path = "/api/v1/status", tag = "daemon",
    responses((status = 200, description = "Its state.", body = ref("#/components/schemas/Status"))),
)]
pub(super) async fn status(State(options): State<WebOptions>) -> Response {
    Json((options.status)().await).into_response()
}

/// Says whether the daemon is ready: to who has logged in with the reasons, to others by 200 or 503 alone.
#[utoipa::path(
    get, path = "/readyz", tag = "daemon",
    responses(
        (status = 200, description = "It is ready.", body = String, content_type = "text/plain"),
        (status = 503, description = "It is not, and why.", body = String, content_type = "text/plain"),
    ),
)]
pub(in crate::console) async fn ready(options: State<WebOptions>, caller: Caller) -> Response {
    let answer = readiness(options).await;
    let status = answer.status();
    if caller.sees_problems() || status.is_success() { answer } else { (status, "not ready\n").into_response() }
}

pub(in crate::console) async fn readiness(State(options): State<WebOptions>) -> Response {
    let status = (options.status)().await;
    if status.ready {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", status.problems.join("; "))).into_response()
}

/// Gives the metrics to Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "daemon",
    responses((status = 200, description = "All metrics in the text format 0.0.4.", body = String, content_type = "text/plain")),
)]
pub(in crate::console) async fn metrics(State(options): State<WebOptions>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (options.metrics)()).into_response()
}
