//! The console's server: which path answers what, and what holds for every answer.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use super::Status;
use super::api;
use super::events::events;
use super::files::page;
use super::hub::Hub;
use crate::audit::Audit;
use crate::outbox::Outbox;
use crate::preprocess::InputGeometry;
use crate::slices::Slices;

/// Finds the daemon's state.
pub type StatusOf = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Status> + Send>> + Send + Sync>;

/// The metrics in Prometheus' text format.
pub type MetricsOf = Arc<dyn Fn() -> String + Send + Sync>;

/// What the console shows and serves.
#[derive(Clone)]
pub struct WebOptions {
    pub hub: Arc<Hub>,
    pub outbox: Arc<Outbox>,
    /// The metrics, asked for anew each time.
    pub metrics: MetricsOf,
    /// The daemon's state, asked anew each time.
    pub status: StatusOf,
    /// The model's plane, which pictures cover.
    pub plane: InputGeometry,
    pub audit: Arc<Audit>,
    /// The slices in the spool, for whoever looks at them.
    pub slices: Arc<Slices>,
}

/// A request that has no answer by then gets none: the page does not wait longer either (`daemon.js`). The stream of events has no end.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// The longest body of a request, bytes: an acknowledgement is a name.
const LONGEST_BODY: usize = 16 << 10;

/// Serves until `stop` is set.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    listener: TcpListener,
    options: WebOptions,
    mut stop: watch::Receiver<Option<Instant>>,
) -> std::io::Result<()> {
    let stopping = stop.clone();
    let router = Router::new()
        .merge(api::routes())
        .route("/metrics", get(api::metrics))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(api::ready))
        .fallback(page)
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_LIMIT))
        .layer(RequestBodyLimitLayer::new(LONGEST_BODY))
        .route(
            "/api/v1/events",
            get(move |state, after, headers| std::future::ready(events(state, after, &headers, stopping))),
        )
        .layer(middleware::from_fn(harden))
        .with_state(options);
    let with_addresses = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, with_addresses)
        .with_graceful_shutdown(async move {
            // A sender that is gone means the same as a stop.
            let _ = stop.wait_for(Option::is_some).await;
        })
        .await
}

/// The page takes nothing from elsewhere, and nothing of it is kept by browsers.
async fn harden(request: axum::extract::Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
