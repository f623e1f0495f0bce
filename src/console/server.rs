//! The console's server: which path answers what, and what holds for every answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::handler::Handler;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use super::Status;
use super::access::{self, Access, gate};
use super::api::{self, problem};
use super::connection;
use super::events::events;
use super::files::page;
use super::hub::Hub;
use super::machine::MachineOf;
use crate::audit::Audit;
use crate::ingest::Senders;
use crate::outbox::Outbox;
use crate::preprocess::InputGeometry;
use crate::server_tls::{ServerFiles, ServerTls, TlsError};
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
    /// The machine, looked at anew each time.
    pub machine: MachineOf,
    /// Who may send, and who has called.
    pub senders: Senders,
    /// The model's plane, which pictures cover.
    pub plane: InputGeometry,
    pub audit: Arc<Audit>,
    /// The slices in the spool, for whoever looks at them.
    pub slices: Arc<Slices>,
    /// Who may see and do what.
    pub access: Arc<Access>,
    /// Says until when requests may go on once the daemon stops.
    pub stop: watch::Receiver<Option<Instant>>,
}

/// A request that has no answer by then gets none: the page does not wait longer either (`daemon.js`). The stream of events has no end.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// The longest body of a request, bytes: an acknowledgement is a name.
const LONGEST_BODY: usize = 16 << 10;

/// Handlers and a list of what they answer, for the test that asks the matrix about each.
#[derive(Default)]
pub(super) struct Routes {
    limited: Router<WebOptions>,
    endless: Router<WebOptions>,
    pub listed: Vec<(Method, &'static str)>,
}

impl Routes {
    pub(super) fn get<H: Handler<T, WebOptions>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        self.add(Method::GET, MethodFilter::GET, path, handler)
    }

    pub(super) fn post<H: Handler<T, WebOptions>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        self.add(Method::POST, MethodFilter::POST, path, handler)
    }

    pub(super) fn delete<H: Handler<T, WebOptions>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        self.add(Method::DELETE, MethodFilter::DELETE, path, handler)
    }

    /// What goes on until one side ends it.
    fn stream<H: Handler<T, WebOptions>, T: 'static>(mut self, path: &'static str, handler: H) -> Self {
        self.listed.push((Method::GET, path));
        self.endless = self.endless.route(path, on(MethodFilter::GET, handler));
        self
    }

    fn add<H: Handler<T, WebOptions>, T: 'static>(
        mut self,
        method: Method,
        filter: MethodFilter,
        path: &'static str,
        handler: H,
    ) -> Self {
        self.listed.push((method, path));
        self.limited = self.limited.route(path, on(filter, handler));
        self
    }
}

/// All that the console answers, but for the page's files.
pub(super) fn routes() -> Routes {
    api::routes(Routes::default())
        .get("/metrics", api::metrics)
        .get("/healthz", alive)
        .get("/readyz", api::ready)
        .stream("/api/v1/events", events)
}

/// Says that the process runs.
#[utoipa::path(
    get, path = "/healthz", tag = "daemon",
    responses((status = 200, description = "It runs.", body = String, content_type = "text/plain")),
)]
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// Certificate and key of the console, where they are configured.
///
/// # Errors
/// If they cannot be used.
pub fn console_tls(options: &access::AccessOptions) -> Result<Option<Arc<ServerTls>>, TlsError> {
    let Some((certificate, key)) = options.tls.clone() else { return Ok(None) };
    let files = ServerFiles { certificate, key, authorities: None, protocols: &[b"h2", b"http/1.1"] };
    Ok(Some(Arc::new(ServerTls::load(files)?)))
}

/// Serves the console until `stop` is set.
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: TcpListener, tls: Option<Arc<ServerTls>>, options: WebOptions) -> std::io::Result<()> {
    let stop = options.stop.clone();
    let Routes { limited, endless, .. } = routes();
    let is_encrypted = tls.is_some();
    let router = within_limits(limited.fallback(page))
        .merge(endless)
        .layer(middleware::from_fn_with_state(options.access.clone(), gate))
        .layer(middleware::from_fn(move |request, next| harden(is_encrypted, request, next)))
        .with_state(options);
    connection::serve(listener, tls, router, stop).await
}

/// Serves metrics and health alone, to whoever reaches them: not from elsewhere, unless that is configured.
///
/// # Errors
/// If the listener fails.
pub async fn serve_metrics(listener: TcpListener, options: WebOptions) -> std::io::Result<()> {
    let stop = options.stop.clone();
    let access = options.access.clone();
    let served = Routes::default().get("/metrics", api::metrics).get("/healthz", alive).get("/readyz", api::readiness);
    let by_our_name = move |request: axum::extract::Request, next: Next| {
        let is_ours = access::is_ours(&access, request.uri(), request.headers());
        async move {
            if is_ours {
                return next.run(request).await;
            }
            problem(StatusCode::MISDIRECTED_REQUEST, "not by this name")
        }
    };
    let router = within_limits(served.limited)
        .layer(middleware::from_fn(by_our_name))
        .layer(middleware::from_fn(|request, next| harden(false, request, next)))
        .with_state(options);
    connection::serve(listener, None, router, stop).await
}

fn within_limits(router: Router<WebOptions>) -> Router<WebOptions> {
    router
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_LIMIT))
        .layer(RequestBodyLimitLayer::new(LONGEST_BODY))
}

/// The page takes nothing from elsewhere, and nothing of it is kept by browsers.
async fn harden(is_encrypted: bool, request: axum::extract::Request, next: Next) -> Response {
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
    if is_encrypted {
        // A year, so that nobody is talked into asking without encryption (RFC 6797).
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
