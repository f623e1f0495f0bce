//! The stream of events: what changes, and a heartbeat.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use axum::response::sse::{self, KeepAlive, Sse};
use serde_json::json;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::{BroadcastStream, IntervalStream};

use super::access::{Access, Caller, Names};
use super::hub::Event;
use super::server::WebOptions;

/// Watchers hear from the daemon at least this often, so that they notice when it is gone.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Whether a watcher may still watch is asked so often: one who may not any more is cut off within a second.
const ASKED_AGAIN: Duration = Duration::from_millis(500);

/// Exams and slabs as they change, and a heartbeat. A watcher that lags too far behind is cut off: it comes back and
/// fetches everything anew. Proxies are told to pass each event on at once: an alarm in a buffer is none.
pub(super) async fn events(State(options): State<WebOptions>, caller: Caller) -> impl IntoResponse {
    let (sees_exams, names) = (caller.sees_exams(), caller.names);
    let changes = BroadcastStream::new(options.hub.watch()).filter_map(move |event| match event {
        Ok(event) => sees_exams.then(|| Some(to_sse(event, names))),
        Err(_) => Some(None),
    });
    let (status, access, stop) = (options.status, options.access, options.stop);
    let heartbeat = IntervalStream::new(tokio::time::interval(HEARTBEAT))
        .then(move |_| status())
        .map(|status| Some(json_event("status", &status)));
    let stopped = tokio_stream::once(()).then(move |()| {
        let (mut stop, access, caller) = (stop.clone(), access.clone(), caller.clone());
        async move {
            tokio::select! {
                _ = stop.wait_for(Option::is_some) => {}
                () = until_refused(access, caller) => {}
            }
            None
        }
    });
    // The first `None` ends the stream: the watcher lags or may not watch any more, or the daemon stops.
    let events = changes.merge(heartbeat).merge(stopped).map_while(|event| event).map(Ok::<_, Infallible>);
    let unbuffered =
        [(header::CACHE_CONTROL, "no-store, no-transform"), (HeaderName::from_static("x-accel-buffering"), "no")];
    (unbuffered, Sse::new(events).keep_alive(KeepAlive::new()))
}

/// Returns once a watcher may not watch any more.
async fn until_refused(access: Arc<Access>, caller: Caller) {
    loop {
        tokio::time::sleep(ASKED_AGAIN).await;
        let (access, caller) = (access.clone(), caller.clone());
        let asked = tokio::task::spawn_blocking(move || access.still_holds(&caller)).await;
        if !asked.unwrap_or(false) {
            return;
        }
    }
}

fn to_sse(event: Event, names: Names) -> sse::Event {
    match event {
        Event::Exam(exam) => json_event("exam", &names.of(*exam)),
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
