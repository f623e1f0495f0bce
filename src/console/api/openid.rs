//! Log-in at an OpenID provider over HTTP: the way there and back. Both are pages that a browser goes to, so a failure leads back to the
//! console, which tells it in the person's language.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use serde::Deserialize;

use super::{problem, to_its_end};
use crate::console::access::{Caller, LogInError};
use crate::console::server::WebOptions;

/// Sends a browser to the OpenID provider.
#[utoipa::path(
    get, path = "/api/v1/openid/begin", tag = "session",
    responses((status = 303, description = "To the provider, or back to the console with what is wrong behind `#openid=`.")),
)]
pub(super) async fn begin(State(options): State<WebOptions>, caller: Caller) -> Response {
    match options.access.begin_at_provider().await {
        Ok(there) => {
            let headers = [(header::LOCATION, there.url), (header::SET_COOKIE, there.cookie)];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(error) => back(&options, &caller, &error),
    }
}

/// What a browser brings back from the provider (RFC 6749 section 4.1.2, OpenID Connect Core 1.0 section 3.1.2.6).
#[derive(Deserialize)]
pub(super) struct Returned {
    state: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    error: String,
}

/// Lets a person in who comes back from the OpenID provider.
#[utoipa::path(
    get, path = "/api/v1/openid/return", tag = "session",
    params(
        ("state" = String, Query, description = "As the console gave it to the provider."),
        ("code" = Option<String>, Query, description = "For which the provider says who it is."),
        ("error" = Option<String>, Query, description = "Why there is none."),
    ),
    responses((status = 303, description = "To the console, with a session or with what is wrong behind `#openid=`.")),
)]
pub(super) async fn come_back(
    State(options): State<WebOptions>,
    caller: Caller,
    headers: HeaderMap,
    returned: Result<Query<Returned>, QueryRejection>,
) -> Response {
    let Ok(Query(Returned { state, code, error })) = returned else {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "state and code are wanted");
    };
    if !error.is_empty() {
        return back(&options, &caller, &LogInError::NotAtProvider);
    }
    let (access, returning) = (options.access.clone(), caller.clone());
    match to_its_end(async move { access.end_at_provider(state, code, &headers, &returning).await }).await {
        Ok(session) => {
            let cookies =
                AppendHeaders([(header::SET_COOKIE, session), (header::SET_COOKIE, options.access.forget_browser())]);
            (StatusCode::SEE_OTHER, [(header::LOCATION, console(&options))], cookies).into_response()
        }
        Err(error) => back(&options, &caller, &error),
    }
}

/// Back to the console, with what is wrong.
fn back(options: &WebOptions, caller: &Caller, error: &LogInError) -> Response {
    tracing::info!(address = %caller.address, reason = %error, "a log-in at the OpenID provider failed");
    let url = format!("{}#openid={}", console(options), error.at_provider());
    (StatusCode::SEE_OTHER, [(header::LOCATION, url)]).into_response()
}

/// The console's own address, as browsers reach it; where none is configured, the page three folders above.
fn console(options: &WebOptions) -> String {
    let provider = options.access.options().provider.as_ref();
    provider.map_or_else(|| "../../../".to_owned(), |provider| format!("{}/", provider.console_url))
}
