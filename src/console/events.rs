//! The stream of events: what changes, and a heartbeat.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::sse::{self, Sse};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use tokio_stream::wrappers::{BroadcastStream, IntervalStream};
use tokio_stream::{Stream, StreamExt};

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

/// Exams and slabs as they change, and a heartbeat. The first event, `begin`, says whether what the watcher missed follows, or
/// everything has to be fetched. Who lags too far behind is told so and cut off, and comes back in the same way. Proxies are told to
/// pass each event on at once: an alarm in a buffer is none.
pub(super) fn events(
    State(options): State<WebOptions>,
    Query(After { after }): Query<After>,
    headers: &HeaderMap,
    stop: watch::Receiver<Option<Instant>>,
) -> Response {
    let last = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).map(str::to_owned).or(after);
    let Watch { from, is_resumed, missed, later } = options.hub.feed().watch(last.as_deref());
    let begin = json_event("begin", &json!({ "resumed": is_resumed, "now": Timestamp::now() })).id(from);
    let first = std::iter::once(begin).chain(missed.into_iter().map(|told| to_sse(&told)));
    let later = BroadcastStream::new(later).map(|told| match told {
        Ok(told) => Next::Event(to_sse(&told)),
        Err(BroadcastStreamRecvError::Lagged(missed)) => Next::Last(json_event("lagged", &json!({ "missed": missed }))),
    });
    let beats = IntervalStream::new(tokio::time::interval(HEARTBEAT))
        .map(|_| Next::Event(json_event("beat", &json!({ "now": Timestamp::now() }))));
    let reports = IntervalStream::new(tokio::time::interval(STATUS))
        .then(move |_| (options.status)())
        .map(|status| Next::Event(json_event("status", &status)));
    let events = later.merge(beats).merge(reports).merge(stopped(stop));
    let events = tokio_stream::iter(first.map(Next::Event)).chain(events);
    let unbuffered =
        [(header::CACHE_CONTROL, "no-store, no-transform"), (HeaderName::from_static("x-accel-buffering"), "no")];
    (unbuffered, Sse::new(up_to_last(events).map(Ok::<_, Infallible>))).into_response()
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

/// The end, once `stop` is set or who would set it is gone.
fn stopped(stop: watch::Receiver<Option<Instant>>) -> impl Stream<Item = Next> {
    tokio_stream::once(()).then(move |()| {
        let mut stop = stop.clone();
        async move {
            let _ = stop.wait_for(Option::is_some).await;
            Next::End
        }
    })
}

fn to_sse(told: &Told) -> sse::Event {
    sse::Event::default().event(told.name).id(&told.id).data(&told.json)
}

fn json_event(name: &str, data: &impl serde::Serialize) -> sse::Event {
    sse::Event::default()
        .event(name)
        .json_data(data)
        .unwrap_or_else(|_| sse::Event::default().comment("an event without JSON"))
}
