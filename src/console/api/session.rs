//! Who uses the console: log-in, log-out, the first administrator.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MayBeSecret, Secretive, answer_of, problem, refusal, to_its_end};
use crate::console::access::{AccessMode, Caller, Known, LogInError, Who};
use crate::console::server::WebOptions;
use crate::database::DatabaseError;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// What the page is told before it knows who uses it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Session {
    /// `accounts` or `open`.
    access: &'static str,
    /// People may log in at an OpenID provider.
    openid: bool,
    /// There is no account yet.
    first_run: bool,
    /// `null` where nobody has logged in.
    who: Option<Known>,
}

fn told(options: &WebOptions, caller: &Caller) -> Result<Session, DatabaseError> {
    let access = match options.access.options().mode {
        AccessMode::Accounts => "accounts",
        AccessMode::Open => "open",
    };
    let openid = options.access.options().provider.is_some();
    Ok(Session { access, openid, first_run: options.access.is_first_run()?, who: caller.known() })
}

/// Says who uses the console.
#[utoipa::path(
    get, path = "/api/v1/session", tag = "session",
    responses((status = 200, description = "Who it is.", body = ref("#/components/schemas/Session"))),
)]
pub(super) async fn session(State(options): State<WebOptions>, caller: Caller) -> Response {
    answer_of(move || match told(&options, &caller) {
        Ok(session) => Json(session).into_response(),
        Err(error) => refused(&error.into()),
    })
    .await
}

/// By name and password, or as a kiosk.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum LogIn {
    Person { name: String, password: String },
    Kiosk { kiosk: String },
}

impl MayBeSecret for LogIn {
    const WANTED: &str = "name and password, or kiosk, are wanted";
}

/// What a kiosk is told that has been let in.
#[derive(Serialize, JsonSchema)]
pub(super) struct KioskEntered {
    kiosk: bool,
}

/// Begins a session and sets its cookie.
#[utoipa::path(
    post, path = "/api/v1/session", tag = "session",
    request_body = ref("#/components/schemas/LogIn"),
    responses((
        status = 200,
        description = "It has begun; of a person, who it is. `Set-Cookie` has the session.",
        body = ref("#/components/schemas/LoggedIn"),
    )),
)]
pub(super) async fn log_in(
    State(options): State<WebOptions>,
    caller: Caller,
    Secretive(asked): Secretive<LogIn>,
) -> Response {
    match asked {
        LogIn::Person { name, password } => match options.access.log_in(&name, password, &caller).await {
            Ok((account, cookie)) => entered(&options, caller, account, &cookie).await,
            Err(error) => refused(&error),
        },
        LogIn::Kiosk { kiosk } => {
            answer_of(move || match options.access.let_kiosk_in(&kiosk, caller.address) {
                Ok(cookie) => with_cookie(Json(KioskEntered { kiosk: true }).into_response(), &cookie),
                Err(error) => refused(&error),
            })
            .await
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetUp {
    token: String,
    name: String,
    #[serde(default)]
    shown_as: String,
    password: String,
}

impl MayBeSecret for SetUp {
    const WANTED: &str = "token, name, shown_as and password are wanted";
}

/// Makes the first administrator by the token of a set-up link, and lets the person in.
#[utoipa::path(
    post, path = "/api/v1/setup", tag = "session",
    request_body = ref("#/components/schemas/SetUp"),
    responses((status = 200, description = "Who it is.", body = ref("#/components/schemas/Session"))),
)]
pub(super) async fn set_up(
    State(options): State<WebOptions>,
    caller: Caller,
    Secretive(SetUp { token, name, shown_as, password }): Secretive<SetUp>,
) -> Response {
    let (access, asking) = (options.access.clone(), caller.clone());
    let made = to_its_end(async move { access.set_up(&token, &name, &shown_as, password, &asking).await });
    match made.await {
        Ok((account, cookie)) => entered(&options, caller, account, &cookie).await,
        Err(error) => refused(&error),
    }
}

/// Ends the session.
#[utoipa::path(
    delete, path = "/api/v1/session", tag = "session",
    responses((status = 200, description = "Nobody uses the console now.", body = ref("#/components/schemas/Session"))),
)]
pub(super) async fn log_out(State(options): State<WebOptions>, caller: Caller) -> Response {
    answer_of(move || {
        let ended = options.access.log_out(&caller).and_then(|cookie| {
            let nobody = Caller { who: Who::Nobody, ..caller };
            Ok((told(&options, &nobody)?, cookie))
        });
        match ended {
            // Pictures that the browser has kept go too.
            Ok((session, cookie)) => {
                with_cookie(([(CLEAR_SITE_DATA, "\"cache\"")], Json(session)).into_response(), &cookie)
            }
            Err(error) => refused(&error.into()),
        }
    })
    .await
}

async fn entered(options: &WebOptions, caller: Caller, account: crate::database::Account, cookie: &str) -> Response {
    // The session itself is not needed to tell who it is.
    let caller = Caller { who: Who::Person { account, session: [0; 32] }, ..caller };
    with_cookie(session(State(options.clone()), caller).await, cookie)
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    match HeaderValue::from_str(cookie) {
        Ok(mut value) => {
            value.set_sensitive(true);
            response.headers_mut().insert(header::SET_COOKIE, value);
            response
        }
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the session cannot be told to the browser"),
    }
}

pub(super) fn refused(error: &LogInError) -> Response {
    let status = match error {
        LogInError::Disabled | LogInError::NotAtProvider => StatusCode::FORBIDDEN,
        LogInError::Wrong | LogInError::NoSuchLink | LogInError::NoSuchKiosk => StatusCode::UNAUTHORIZED,
        LogInError::Wait(_) => StatusCode::TOO_MANY_REQUESTS,
        LogInError::Busy | LogInError::Database(_) => StatusCode::SERVICE_UNAVAILABLE,
        LogInError::NameIsTaken | LogInError::Open | LogInError::NoProvider => StatusCode::CONFLICT,
        #[cfg(feature = "openid")]
        LogInError::LastAdministrator => StatusCode::CONFLICT,
        #[cfg(feature = "openid")]
        LogInError::Provider(_) => StatusCode::BAD_GATEWAY,
        LogInError::UnusableName | LogInError::UnusablePassword => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let wait = match error {
        LogInError::Wait(wait) => Some(wait.as_secs() + 1),
        LogInError::Busy => Some(1),
        _ => None,
    };
    let mut response = refusal(status, &error.phrase());
    if let Some(wait) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
    }
    response
}
