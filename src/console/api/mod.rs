//! The console's data over HTTP, below `/api/v1`.

mod daemon;
mod deliveries;
mod exams;
mod kiosks;
mod machine;
mod openapi;
mod openid;
mod outcomes;
mod people;
mod session;
mod slices;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(super) use daemon::{metrics, readiness, ready};

use super::access::LogInError;
use super::server::Routes;
use crate::texts::Phrase;

/// Each of them is in the matrix too (`access::matrix`): who may use it.
pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/v1/session", session::session)
        .post("/api/v1/session", session::log_in)
        .delete("/api/v1/session", session::log_out)
        .get("/api/v1/openid/begin", openid::begin)
        .get("/api/v1/openid/return", openid::come_back)
        .post("/api/v1/setup", session::set_up)
        .get("/api/v1/exams", exams::exams)
        .get("/api/v1/exams/{key}", exams::exam)
        .get("/api/v1/exams/{key}/slabs/{picture}", exams::slab_picture)
        .get("/api/v1/exams/{key}/slices", slices::slices)
        .get("/api/v1/exams/{key}/slices/{id}", slices::hounsfield)
        .get("/api/v1/exams/{key}/deliveries", deliveries::of_exam)
        .post("/api/v1/exams/{key}/flags/{flag}/acknowledge", exams::acknowledge)
        .post("/api/v1/exams/{key}/outcome", outcomes::record)
        .get("/api/v1/outcomes", outcomes::figures)
        .get("/api/v1/outbox", deliveries::undelivered)
        .post("/api/v1/outbox/retry", deliveries::send_again)
        .post("/api/v1/outbox/drop", deliveries::give_up)
        .get("/api/v1/status", daemon::status)
        .get("/api/v1/account", people::account)
        .post("/api/v1/account/password", people::change_password)
        .delete("/api/v1/account/sessions/{session}", people::end_own_session)
        .get("/api/v1/people", people::people)
        .post("/api/v1/people", people::add)
        .post("/api/v1/people/{name}", people::edit)
        .delete("/api/v1/people/{name}", people::remove)
        .post("/api/v1/people/{name}/password", people::reset)
        .get("/api/v1/sessions", people::sessions)
        .delete("/api/v1/sessions/{session}", people::end_session)
        .get("/api/v1/kiosks", kiosks::kiosks)
        .post("/api/v1/kiosks", kiosks::add)
        .delete("/api/v1/kiosks/{name}", kiosks::revoke)
        .get("/api/v1/scanners", machine::scanners)
        .get("/api/v1/machine", machine::machine)
        .get("/api/v1/openapi.json", openapi::openapi)
}

/// Why nothing else is answered.
#[derive(Serialize, JsonSchema)]
pub(in crate::console) struct Problem<'a> {
    error: &'a str,
    /// The same for whoever reads another language than English; not of what only a program can have done.
    #[serde(skip_serializing_if = "Option::is_none")]
    phrase: Option<&'a Phrase>,
}

/// Of a request that no page of ours sends.
pub(super) fn problem(status: StatusCode, text: &str) -> Response {
    (status, Json(Problem { error: text, phrase: None })).into_response()
}

/// Of what a person has asked for.
pub(super) fn refusal(status: StatusCode, phrase: &Phrase) -> Response {
    (status, Json(Problem { error: &phrase.to_string(), phrase: Some(phrase) })).into_response()
}

pub(super) fn no_such_exam() -> Response {
    refusal(StatusCode::NOT_FOUND, &Phrase::new("error.no_such_exam"))
}

/// What was sent as a JSON object; what cannot be read is told as every other problem is. An array is none, though serde would take its
/// values in their order for those of an object.
pub(super) struct Sent<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|rejection| problem(rejection.status(), &rejection.body_text()))?;
        if body.trim_ascii_start().starts_with(b"[") {
            return Err(problem(StatusCode::UNPROCESSABLE_ENTITY, "an object is wanted, not an array"));
        }
        let sent = Json::from_bytes(&body);
        sent.map(|Json(sent)| Self(sent)).map_err(|rejection| problem(rejection.status(), &rejection.body_text()))
    }
}

/// What may have a password in it.
pub(super) trait MayBeSecret: DeserializeOwned {
    /// What is told where it cannot be read, in place of why: that could be a piece of the password.
    const WANTED: &str;
}

/// [`Sent`], where it may be a password.
pub(super) struct Secretive<T>(pub T);

impl<T: MayBeSecret, S: Send + Sync> FromRequest<S> for Secretive<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let sent = Sent::<T>::from_request(request, state).await;
        sent.map(|Sent(sent)| Self(sent)).map_err(|refused| problem(refused.status(), T::WANTED))
    }
}

/// What was asked for in the address; what cannot be read is told in the same way.
pub(super) struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let asked = Query::from_request_parts(parts, state).await;
        asked.map(|Query(asked)| Self(asked)).map_err(|rejection| problem(rejection.status(), &rejection.body_text()))
    }
}

/// Whether a browser has what this tag names.
pub(super) fn has(asked: &HeaderMap, tag: &str) -> bool {
    asked.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes())
}

/// Goes on to its end though nobody may wait for it any more: what somebody has changed is in the audit trail also where the browser
/// has gone in the middle of it.
pub(super) async fn to_its_end<T: Send + 'static, E: From<LogInError> + Send + 'static>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, E> {
    tokio::spawn(work).await.unwrap_or_else(|_| Err(LogInError::Busy.into()))
}

/// The answer of work that reads the disk or draws: done where nothing else waits for it.
pub(super) async fn answer_of(work: impl FnOnce() -> Response + Send + 'static) -> Response {
    let answered = tokio::task::spawn_blocking(work).await;
    answered.unwrap_or_else(|_| problem(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made"))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named {
        #[serde(default)]
        name: String,
    }

    #[tokio::test]
    async fn an_object_is_read_and_nothing_that_may_mean_another() {
        let read = async |body: &'static str| {
            let sent = Sent::<Named>::from_request(Request::new(Body::from(body)), &()).await;
            sent.map(|Sent(named)| named.name).map_err(|refused| refused.status())
        };
        assert_eq!(read(r#" {"name": "ann"}"#).await, Ok("ann".to_owned()));
        assert_eq!(read("{}").await, Ok(String::new()));
        for unclear in
            ["[]", " [\"ann\"]", r#"{"name": "ann", "name": "root"}"#, r#"{"named": "ann"}"#, "null", "\"ann\""]
        {
            assert_eq!(read(unclear).await, Err(StatusCode::UNPROCESSABLE_ENTITY), "{unclear}");
        }
        for broken in ["", "{\"name\": ", "name=ann"] {
            assert_eq!(read(broken).await, Err(StatusCode::BAD_REQUEST), "{broken}");
        }
    }
}
