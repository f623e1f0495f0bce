//! People over HTTP: who may log in, who has, and the own account.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MayBeSecret, Secretive, Sent, refusal, session, to_its_end};
use crate::console::access::{AdministrationError, Caller, Known, ListedPerson, ListedSession, LogInError, NewPerson};
use crate::console::server::WebOptions;
use crate::database::{AccountEdit, Role};
use crate::texts::Phrase;

/// A person who is to have an account.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewPerson")]
pub(super) struct Added {
    name: String,
    #[serde(default)]
    shown_as: Option<String>,
    role: Role,
    /// One is made where none is given.
    #[serde(default)]
    password: Option<String>,
}

impl MayBeSecret for Added {
    const WANTED: &str = "name and role are wanted; shown_as, password";
}

/// What is to change of a person; what is absent stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PersonEdit")]
pub(super) struct Edited {
    #[serde(default)]
    shown_as: Option<String>,
    #[serde(default)]
    role: Option<Role>,
    #[serde(default)]
    may_log_in: Option<bool>,
}

/// Another password; one is made where none is given.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PasswordReset")]
pub(super) struct Reset {
    #[serde(default)]
    password: Option<String>,
}

impl MayBeSecret for Reset {
    const WANTED: &str = "password, or nothing, is wanted";
}

/// The own password, before and from now on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnPassword {
    before: String,
    password: String,
}

impl MayBeSecret for OwnPassword {
    const WANTED: &str = "before and password are wanted";
}

/// Everybody who has an account.
#[derive(Serialize, JsonSchema)]
pub(super) struct People {
    people: Vec<ListedPerson>,
}

/// A password that was made, which is told this once; `null` where one was given.
#[derive(Serialize, JsonSchema)]
pub(super) struct MadePassword {
    password: Option<String>,
}

/// Log-ins that hold.
#[derive(Serialize, JsonSchema)]
pub(super) struct Sessions {
    sessions: Vec<ListedSession>,
}

/// Who asks, and where else this person has logged in.
#[derive(Serialize, JsonSchema)]
pub(super) struct OwnAccount {
    who: Option<Known>,
    sessions: Vec<ListedSession>,
}

/// It was done.
#[derive(Serialize, JsonSchema)]
pub(super) struct Done {
    done: bool,
}

/// Lists everybody who has an account.
#[utoipa::path(
    get, path = "/api/v1/people", tag = "administration",
    responses((status = 200, description = "They.", body = ref("#/components/schemas/People"))),
)]
pub(super) async fn people(State(options): State<WebOptions>) -> Response {
    told(options.access.people().await, |people| People { people })
}

/// Gives a person an account.
#[utoipa::path(
    post, path = "/api/v1/people", tag = "administration",
    request_body = ref("#/components/schemas/NewPerson"),
    responses((status = 200, description = "The person may log in.", body = ref("#/components/schemas/MadePassword"))),
)]
pub(super) async fn add(
    State(options): State<WebOptions>,
    caller: Caller,
    Secretive(Added { name, shown_as, role, password }): Secretive<Added>,
) -> Response {
    let person = NewPerson { name, shown_as, role, password };
    let added = to_its_end(async move { options.access.add_person(person, &caller).await });
    told(added.await, |password| MadePassword { password })
}

/// Changes how a person is shown, the role, and whether the person may log in.
#[utoipa::path(
    post, path = "/api/v1/people/{name}", tag = "administration",
    params(("name" = String, Path, description = "What the person types to log in.")),
    request_body = ref("#/components/schemas/PersonEdit"),
    responses((status = 200, description = "It holds from now on.", body = ref("#/components/schemas/Done"))),
)]
pub(super) async fn edit(
    State(options): State<WebOptions>,
    caller: Caller,
    Path(name): Path<String>,
    Sent(Edited { shown_as, role, may_log_in }): Sent<Edited>,
) -> Response {
    let edit = AccountEdit { shown_as, role, may_log_in };
    told(to_its_end(async move { options.access.edit_person(&name, edit, &caller).await }).await, done)
}

/// Gives a person another password and ends the person's sessions.
#[utoipa::path(
    post, path = "/api/v1/people/{name}/password", tag = "administration",
    params(("name" = String, Path, description = "What the person types to log in.")),
    request_body = ref("#/components/schemas/PasswordReset"),
    responses((status = 200, description = "It holds from now on.", body = ref("#/components/schemas/MadePassword"))),
)]
pub(super) async fn reset(
    State(options): State<WebOptions>,
    caller: Caller,
    Path(name): Path<String>,
    Secretive(Reset { password }): Secretive<Reset>,
) -> Response {
    let reset = to_its_end(async move { options.access.reset_password(&name, password, &caller).await });
    told(reset.await, |password| MadePassword { password })
}

/// Removes a person's account and ends the person's sessions.
#[utoipa::path(
    delete, path = "/api/v1/people/{name}", tag = "administration",
    params(("name" = String, Path, description = "What the person types to log in.")),
    responses((status = 200, description = "The person may not log in any more.", body = ref("#/components/schemas/Done"))),
)]
pub(super) async fn remove(State(options): State<WebOptions>, caller: Caller, Path(name): Path<String>) -> Response {
    told(to_its_end(async move { options.access.remove_person(&name, &caller).await }).await, done)
}

/// Lists the log-ins that hold.
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "administration",
    responses((status = 200, description = "They.", body = ref("#/components/schemas/Sessions"))),
)]
pub(super) async fn sessions(State(options): State<WebOptions>, caller: Caller) -> Response {
    told(options.access.sessions(None, &caller).await, |sessions| Sessions { sessions })
}

/// Ends a log-in; its event stream ends within a second.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{session}", tag = "administration",
    params(("session" = String, Path, description = "Its id.")),
    responses((status = 200, description = "It has ended.", body = ref("#/components/schemas/Done"))),
)]
pub(super) async fn end_session(
    State(options): State<WebOptions>,
    caller: Caller,
    Path(session): Path<String>,
) -> Response {
    told(to_its_end(async move { options.access.end_session(session, None, &caller).await }).await, done)
}

/// Says who asks, and where else this person has logged in.
#[utoipa::path(
    get, path = "/api/v1/account", tag = "account",
    responses((status = 200, description = "The own account.", body = ref("#/components/schemas/OwnAccount"))),
)]
pub(super) async fn account(State(options): State<WebOptions>, caller: Caller) -> Response {
    let Some(name) = caller.account() else { return refused(&LogInError::Open.into()) };
    let who = caller.known();
    told(options.access.sessions(Some(name), &caller).await, |sessions| OwnAccount { who, sessions })
}

/// Ends a log-in of the person who asks.
#[utoipa::path(
    delete, path = "/api/v1/account/sessions/{session}", tag = "account",
    params(("session" = String, Path, description = "Its id.")),
    responses((status = 200, description = "It has ended.", body = ref("#/components/schemas/Done"))),
)]
pub(super) async fn end_own_session(
    State(options): State<WebOptions>,
    caller: Caller,
    Path(session): Path<String>,
) -> Response {
    let Some(name) = caller.account().map(str::to_owned) else { return refused(&LogInError::Open.into()) };
    told(to_its_end(async move { options.access.end_session(session, Some(&name), &caller).await }).await, done)
}

/// Changes the own password and ends the person's other sessions.
#[utoipa::path(
    post, path = "/api/v1/account/password", tag = "account",
    request_body = ref("#/components/schemas/OwnPassword"),
    responses((status = 200, description = "It holds from now on.", body = ref("#/components/schemas/Done"))),
)]
pub(super) async fn change_password(
    State(options): State<WebOptions>,
    caller: Caller,
    Secretive(OwnPassword { before, password }): Secretive<OwnPassword>,
) -> Response {
    let changed = to_its_end(async move { options.access.change_own_password(before, password, &caller).await });
    match changed.await {
        // 401 says that the session has ended, which it has not.
        Err(AdministrationError::Access(LogInError::Wrong)) => {
            refusal(StatusCode::FORBIDDEN, &Phrase::new("error.wrong_password_before"))
        }
        changed => told(changed, done),
    }
}

pub(super) fn done((): ()) -> Done {
    Done { done: true }
}

pub(super) fn told<T, A: Serialize>(outcome: Result<T, AdministrationError>, answer: impl FnOnce(T) -> A) -> Response {
    match outcome {
        Ok(outcome) => Json(answer(outcome)).into_response(),
        Err(error) => refused(&error),
    }
}

fn refused(error: &AdministrationError) -> Response {
    let status = match error {
        AdministrationError::Access(error) => return session::refused(error),
        AdministrationError::NoSuchPerson | AdministrationError::NoSuchSession | AdministrationError::NoSuchKiosk => {
            StatusCode::NOT_FOUND
        }
        AdministrationError::KioskNameIsTaken
        | AdministrationError::LastAdministrator
        | AdministrationError::OwnAccount => StatusCode::CONFLICT,
        AdministrationError::Kiosk(_) | AdministrationError::UnusableShownName | AdministrationError::UnusableRole => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
    };
    refusal(status, &error.phrase())
}
