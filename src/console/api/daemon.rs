//! The daemon's state over HTTP: for people, for who decides whether it serves, for Prometheus.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::console::access::Caller;
use crate::console::server::WebOptions;

pub(super) async fn status(State(options): State<WebOptions>) -> Response {
    Json((options.status)().await).into_response()
}

/// For who has logged in with the reasons; else 200 or 503 alone.
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

pub(in crate::console) async fn metrics(State(options): State<WebOptions>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (options.metrics)()).into_response()
}
