//! The console over HTTP: its page, its data, the event stream; metrics and health beside them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::{BroadcastStream, IntervalStream};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use super::Status;
use super::hub::{Event, Hub};
use super::view::ShownSlab;
use crate::alert::AcknowledgeError;
use crate::analysis::edition;
use crate::audit::{Audit, Decision, Event as Audited, Person, Subject};
use crate::database::{DatabaseError, DeliveryFilter};
use crate::exam::{ExamKey, SlabIndex};
use crate::hex::hex;
use crate::outbox::Outbox;
use crate::picture::picture;
use crate::preprocess::InputGeometry;

/// The page's files, part of the program.
#[derive(rust_embed::RustEmbed)]
#[folder = "src/console/page"]
struct Page;

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
}

/// Watchers hear from the daemon at least this often, so that they notice when it is gone.
const HEARTBEAT: Duration = Duration::from_secs(5);

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
        .route("/api/exams", get(exams))
        .route("/api/exams/{key}", get(exam))
        .route("/api/exams/{key}/slabs/{picture}", get(slab_picture))
        .route("/api/exams/{key}/flags/{flag}/acknowledge", post(acknowledge))
        .route("/api/outbox", get(undelivered))
        .route("/api/outbox/retry", post(send_again))
        .route("/api/outbox/drop", post(give_up))
        .route("/api/status", get(status))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .fallback(page)
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_LIMIT))
        .layer(RequestBodyLimitLayer::new(LONGEST_BODY))
        .route("/api/events", get(move |state| std::future::ready(events(state, stopping))))
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

fn problem(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "error": text }))).into_response()
}

/// The answer of work that reads the disk or draws: done where nothing else waits for it.
async fn answer_of(work: impl FnOnce() -> Response + Send + 'static) -> Response {
    let answered = tokio::task::spawn_blocking(work).await;
    answered.unwrap_or_else(|_| problem(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made"))
}

async fn exams(State(options): State<WebOptions>) -> Response {
    answer_of(move || Json(json!({ "exams": options.hub.exams() })).into_response()).await
}

async fn exam(
    State(options): State<WebOptions>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(key): Path<String>,
) -> Response {
    let exam = move || match ExamKey::parse(&key).and_then(|key| options.hub.record(&key)) {
        Some(record) => {
            options.audit.viewed(&address_of(peer), record.subject());
            let slabs: Vec<ShownSlab> =
                record.slabs.values().map(|slab| ShownSlab::new(&record.exam.key, slab)).collect();
            let exam = options.hub.shown(&record);
            Json(json!({ "exam": exam, "slabs": slabs, "report": record.report })).into_response()
        }
        None => problem(StatusCode::NOT_FOUND, "there is no such exam"),
    };
    answer_of(exam).await
}

/// A picture is drawn anew once another slice stands for its slab: browsers ask each time whether theirs still holds.
async fn slab_picture(
    State(options): State<WebOptions>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path((key, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).cloned();
    answer_of(move || {
        let found = (|| {
            let index = SlabIndex(name.strip_suffix(".png")?.parse().ok()?);
            let record = options.hub.record(&ExamKey::parse(&key)?)?;
            let file = record.slabs.get(&index)?.image.clone()?;
            Some((file, record.subject()))
        })();
        let Some((file, subject)) = found else { return problem(StatusCode::NOT_FOUND, "there is no such picture") };
        options.audit.viewed(&address_of(peer), subject);
        let tag = format!("\"{}\"", edition(&file));
        let is_known = known.is_some_and(|known| known.as_bytes() == tag.as_bytes());
        let headers = [
            (header::CONTENT_TYPE, "image/png".to_owned()),
            (header::CACHE_CONTROL, "private, no-cache".to_owned()),
            (header::ETAG, tag),
        ];
        if is_known {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        match picture(&file, &options.plane) {
            Ok(png) => (headers, png).into_response(),
            Err(error) => {
                tracing::warn!(%error, "no picture");
                problem(StatusCode::INTERNAL_SERVER_ERROR, "the slice cannot be drawn")
            }
        }
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Acknowledge {
    by: String,
}

/// Takes JSON only: a form on another site cannot send that without asking first.
async fn acknowledge(
    State(options): State<WebOptions>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path((key, flag)): Path<(String, String)>,
    body: Result<Json<Acknowledge>, axum::extract::rejection::JsonRejection>,
) -> Response {
    let Json(Acknowledge { by }) = match body {
        Ok(body) => body,
        Err(rejection) => return problem(rejection.status(), &rejection.body_text()),
    };
    let Some(key) = ExamKey::parse(&key) else { return problem(StatusCode::NOT_FOUND, "there is no such exam") };
    let acknowledged = move || {
        let exam = options.hub.acknowledge(&key, &flag, &by)?;
        let subject = options.hub.record(&key).map_or_else(|| Subject::of_exam(&key), |record| record.subject());
        options.audit.acknowledged(&address_of(peer), &by, subject, &flag);
        Ok(exam)
    };
    match tokio::task::spawn_blocking(acknowledged).await {
        Ok(Ok(exam)) => Json(exam).into_response(),
        Ok(Err(error @ AcknowledgeError::NoSuchFlag)) => problem(StatusCode::NOT_FOUND, &error.to_string()),
        Ok(Err(error @ AcknowledgeError::NoName)) => problem(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
        Ok(Err(error @ AcknowledgeError::NotKept)) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, &AcknowledgeError::NotKept.to_string()),
    }
}

async fn undelivered(State(options): State<WebOptions>) -> Response {
    let listed = tokio::task::spawn_blocking(move || options.outbox.undelivered()).await;
    decided(listed, |deliveries| json!({ "deliveries": deliveries }))
}

/// Takes JSON only, as [`acknowledge`] does: what is chosen by `numbers`, `exam` and `destination`.
async fn send_again(
    State(options): State<WebOptions>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    chosen: Result<Json<DeliveryFilter>, axum::extract::rejection::JsonRejection>,
) -> Response {
    let Json(chosen) = match chosen {
        Ok(chosen) => chosen,
        Err(rejection) => return problem(rejection.status(), &rejection.body_text()),
    };
    let decide = move || {
        let told = chosen.to_string();
        let count = options.outbox.send_again(chosen)?;
        options.audit.note(decision(peer, Decision::SendAgain, told, count));
        Ok(count)
    };
    let count = tokio::task::spawn_blocking(decide).await;
    decided(count, |count| json!({ "deliveries": count }))
}

/// The same; something must be chosen.
async fn give_up(
    State(options): State<WebOptions>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    chosen: Result<Json<DeliveryFilter>, axum::extract::rejection::JsonRejection>,
) -> Response {
    let chosen = match chosen {
        Ok(Json(chosen)) if chosen.names_some() => chosen,
        Ok(_) => return problem(StatusCode::UNPROCESSABLE_ENTITY, "say which: numbers, exam or destination"),
        Err(rejection) => return problem(rejection.status(), &rejection.body_text()),
    };
    let decide = move || {
        let told = chosen.to_string();
        let count = options.outbox.give_up(chosen)?;
        options.audit.note(decision(peer, Decision::GiveUp, told, count));
        Ok(count)
    };
    let count = tokio::task::spawn_blocking(decide).await;
    decided(count, |count| json!({ "deliveries": count }))
}

/// Who asks, as far as that is known: there is no log-in, and a proxy stands for all behind it.
fn address_of(peer: SocketAddr) -> String {
    peer.ip().to_canonical().to_string()
}

fn decision(peer: SocketAddr, decision: Decision, chosen: String, count: usize) -> Audited {
    let who = Person::AtConsole { address: address_of(peer), initials: None };
    Audited::DeliveriesDecided { who, decision, chosen, count }
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

async fn status(State(options): State<WebOptions>) -> Response {
    Json((options.status)().await).into_response()
}

async fn ready(State(options): State<WebOptions>) -> Response {
    let status = (options.status)().await;
    if status.ready {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", status.problems.join("; "))).into_response()
}

async fn metrics(State(options): State<WebOptions>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (options.metrics)()).into_response()
}

/// Exams and slabs as they change, and a heartbeat. A watcher that lags too far behind is cut off: it comes back and
/// fetches everything anew. Proxies are told to pass each event on at once: an alarm in a buffer is none.
fn events(State(options): State<WebOptions>, stop: watch::Receiver<Option<Instant>>) -> impl IntoResponse {
    let changes = BroadcastStream::new(options.hub.watch()).map(|event| event.ok().map(|event| to_sse(&event)));
    let heartbeat = IntervalStream::new(tokio::time::interval(HEARTBEAT))
        .then(move |_| (options.status)())
        .map(|status| Some(json_event("status", &status)));
    let stopped = tokio_stream::once(()).then(move |()| {
        let mut stop = stop.clone();
        async move {
            let _ = stop.wait_for(Option::is_some).await;
            None
        }
    });
    // The first `None` ends the stream: the watcher lags, or the daemon stops.
    let events = changes.merge(heartbeat).merge(stopped).map_while(|event| event).map(Ok::<_, Infallible>);
    let unbuffered =
        [(header::CACHE_CONTROL, "no-store, no-transform"), (HeaderName::from_static("x-accel-buffering"), "no")];
    (unbuffered, Sse::new(events).keep_alive(KeepAlive::new()))
}

fn to_sse(event: &Event) -> sse::Event {
    match event {
        Event::Exam(exam) => json_event("exam", exam),
        Event::Slab(key, slab) => json_event("slab", &json!({ "exam": key, "slab": slab })),
        Event::Synthetic(key, verdict) => json_event("synthetic", &json!({ "exam": key, "verdict": verdict })),
    }
}

fn json_event(name: &str, data: &impl serde::Serialize) -> sse::Event {
    sse::Event::default()
        .event(name)
        .json_data(data)
        .unwrap_or_else(|_| sse::Event::default().comment("an event without JSON"))
}

async fn page(uri: Uri, headers: HeaderMap) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    let Some(file) = Page::get(path) else { return problem(StatusCode::NOT_FOUND, "there is no such page") };
    let tag = format!("\"{}\"", hex(&file.metadata.sha256_hash()));
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, content_type(path).to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, tag),
    ];
    (headers, file.data).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
