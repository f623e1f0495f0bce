//! The stream of events: what changes, and a heartbeat.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use axum::response::sse::{self, KeepAlive, Sse};
use serde_json::json;
use tokio::sync::watch;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::{BroadcastStream, IntervalStream};

use super::hub::Event;
use super::server::WebOptions;

/// Watchers hear from the daemon at least this often, so that they notice when it is gone.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Exams and slabs as they change, and a heartbeat. A watcher that lags too far behind is cut off: it comes back and
/// fetches everything anew. Proxies are told to pass each event on at once: an alarm in a buffer is none.
pub(super) fn events(State(options): State<WebOptions>, stop: watch::Receiver<Option<Instant>>) -> impl IntoResponse {
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
