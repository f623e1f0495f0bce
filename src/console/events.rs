//! The stream of events: what changes, and a heartbeat.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::sse::{self, Sse};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use tokio_stream::wrappers::{BroadcastStream, IntervalStream};
use tokio_stream::{Stream, StreamExt};

use super::access::{Access, Caller, Names};
use super::feed::{Told, Watch};
use super::server::WebOptions;

/// Watchers hear from the daemon at least this often: who hears nothing for three times as long (`stream.js`) has lost it.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// The daemon's state is told this often.
const STATUS: Duration = Duration::from_secs(5);

/// The header in which a browser that comes back by itself says which event it had last.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

#[derive(Deserialize)]
pub(super) struct After {
    /// The id of the event that the watcher had last, where it cannot set the header.
    after: Option<String>,
}

/// Whether a watcher may still watch is asked so often: one who may not any more is cut off within a second.
const ASKED_AGAIN: Duration = Duration::from_millis(500);

/// Tells of exams and slabs as they change, and of the daemon.
///
/// Exams and slabs go to whoever may see them, a heartbeat to all. The first event, `begin`, says whether what the watcher
/// missed follows, or everything has to be fetched. Who lags too far behind is told so and cut off, and comes back in the same way.
/// Proxies are told to pass each event on at once: an alarm in a buffer is none.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "exams",
    params(
        ("after" = Option<String>, Query, description = "Id of the last event that came."),
        ("Last-Event-ID" = Option<String>, Header, description = "The same, as browsers say it."),
    ),
    responses((status = 200, description = "Events without end.", body = String, content_type = "text/event-stream")),
)]
pub(super) async fn events(
    State(options): State<WebOptions>,
    caller: Caller,
    Query(After { after }): Query<After>,
    headers: HeaderMap,
) -> Response {
    let (sees_exams, names) = (caller.sees_exams(), caller.names);
    let last = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).map(str::to_owned).or(after);
    let Watch { from, is_resumed, missed, later } = options.hub.feed().watch(last.as_deref());
    let begin = json_event("begin", &json!({ "resumed": is_resumed, "now": Timestamp::now() })).id(from);
    let missed = missed.into_iter().filter(move |_| sees_exams).map(move |told| to_sse(&told, names));
    let later = BroadcastStream::new(later).filter_map(move |told| match told {
        Ok(told) => sees_exams.then(|| Next::Event(to_sse(&told, names))),
        Err(BroadcastStreamRecvError::Lagged(missed)) => {
            Some(Next::Last(json_event("lagged", &json!({ "missed": missed }))))
        }
    });
    let beats = IntervalStream::new(tokio::time::interval(HEARTBEAT))
        .map(|_| Next::Event(json_event("beat", &json!({ "now": Timestamp::now() }))));
    let WebOptions { status, access, stop, .. } = options;
    let reports = IntervalStream::new(tokio::time::interval(STATUS))
        .then(move |_| status())
        .map(|status| Next::Event(json_event("status", &status)));
    let end = tokio_stream::once(()).then(move |()| {
        let (mut stop, access, caller) = (stop.clone(), access.clone(), caller.clone());
        async move {
            tokio::select! {
                // A sender that is gone means the same as a stop.
                _ = stop.wait_for(Option::is_some) => {}
                () = until_refused(access, caller) => {}
            }
            Next::End
        }
    });
    let first = std::iter::once(begin).chain(missed).map(Next::Event);
    let events = tokio_stream::iter(first).chain(later.merge(beats).merge(reports).merge(end));
    let unbuffered =
        [(header::CACHE_CONTROL, "no-store, no-transform"), (HeaderName::from_static("x-accel-buffering"), "no")];
    (unbuffered, Sse::new(up_to_last(events).map(Ok::<_, Infallible>))).into_response()
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

enum Next {
    Event(sse::Event),
    /// Nothing follows.
    Last(sse::Event),
    End,
}

fn up_to_last(events: impl Stream<Item = Next>) -> impl Stream<Item = sse::Event> {
    let mut is_over = false;
    events.map_while(move |next| match next {
        _ if is_over => None,
        Next::Event(event) => Some(event),
        Next::Last(event) => {
            is_over = true;
            Some(event)
        }
        Next::End => None,
    })
}

fn to_sse(told: &Told, names: Names) -> sse::Event {
    let event = match (&told.exam, names) {
        (Some(exam), Names::Initials | Names::Key) => json_event(told.name, &names.of(exam.clone())),
        _ => sse::Event::default().event(told.name).data(&told.json),
    };
    event.id(&told.id)
}

fn json_event(name: &str, data: &impl serde::Serialize) -> sse::Event {
    sse::Event::default()
        .event(name)
        .json_data(data)
        .unwrap_or_else(|_| sse::Event::default().comment("an event without JSON"))
}
