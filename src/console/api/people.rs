//! People over HTTP: who may log in, who has, and the own account.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Sent, problem, session};
use crate::console::access::{AdministrationError, Caller, LogInError, NewPerson};
use crate::console::server::WebOptions;
use crate::database::{AccountEdit, Role};

/// A body that may have a password: what is wrong with it is not told back.
type Secretive<T> = Result<Json<T>, JsonRejection>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Added {
    name: String,
    #[serde(default)]
    shown_as: Option<String>,
    role: Role,
    #[serde(default)]
    password: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edited {
    #[serde(default)]
    shown_as: Option<String>,
    #[serde(default)]
    role: Option<Role>,
    #[serde(default)]
    may_log_in: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reset {
    #[serde(default)]
    password: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnPassword {
    before: String,
    password: String,
}

pub(super) async fn people(State(options): State<WebOptions>) -> Response {
    told(options.access.people().await, |people| json!({ "people": people }))
}

/// Answers the password where it was made here, which is told this once.
pub(super) async fn add(State(options): State<WebOptions>, caller: Caller, asked: Secretive<Added>) -> Response {
    let Added { name, shown_as, role, password } = match asked {
        Ok(Json(asked)) => asked,
        Err(rejection) => return problem(rejection.status(), "name and role are wanted; shown_as, password"),
    };
    let person = NewPerson { name, shown_as, role, password };
    told(options.access.add_person(person, &caller).await, |made| json!({ "password": made }))
}

pub(super) async fn edit(
    State(options): State<WebOptions>,
    caller: Caller,
    Path(name): Path<String>,
    Sent(Edited { shown_as, role, may_log_in }): Sent<Edited>,
) -> Response {
    let edit = AccountEdit { shown_as, role, may_log_in };
    told(options.access.edit_person(&name, edit, &caller).await, done)
}

/// As [`add`]; the person's sessions end.
pub(super) async fn reset(
    State(options): State<WebOptions>,
    caller: Caller,
    Path(name): Path<String>,
    asked: Secretive<Reset>,
) -> Response {
    let Reset { password } = match asked {
        Ok(Json(asked)) => asked,
        Err(rejection) => return problem(rejection.status(), "password, or nothing, is wanted"),
    };
    told(options.access.reset_password(&name, password, &caller).await, |made| json!({ "password": made }))
}

pub(super) async fn remove(State(options): State<WebOptions>, caller: Caller, Path(name): Path<String>) -> Response {
    told(options.access.remove_person(&name, &caller).await, done)
}

pub(super) async fn sessions(State(options): State<WebOptions>, caller: Caller) -> Response {
    told(options.access.sessions(None, &caller).await, |sessions| json!({ "sessions": sessions }))
}

pub(super) async fn end_session(State(options): State<WebOptions>, caller: Caller, Path(id): Path<String>) -> Response {
    told(options.access.end_session(id, None, &caller).await, done)
}

/// Who asks, and where else this person has logged in.
pub(super) async fn account(State(options): State<WebOptions>, caller: Caller) -> Response {
    let Some(name) = caller.account() else { return refused(&LogInError::Open.into()) };
    let who = caller.known();
    told(options.access.sessions(Some(name), &caller).await, |sessions| json!({ "who": who, "sessions": sessions }))
}

pub(super) async fn end_own_session(
    State(options): State<WebOptions>,
    caller: Caller,
    Path(id): Path<String>,
) -> Response {
    let Some(name) = caller.account() else { return refused(&LogInError::Open.into()) };
    told(options.access.end_session(id, Some(name), &caller).await, done)
}

pub(super) async fn change_password(
    State(options): State<WebOptions>,
    caller: Caller,
    asked: Secretive<OwnPassword>,
) -> Response {
    let OwnPassword { before, password } = match asked {
        Ok(Json(asked)) => asked,
        Err(rejection) => return problem(rejection.status(), "before and password are wanted"),
    };
    match options.access.change_own_password(before, password, &caller).await {
        // 401 says that the session has ended, which it has not.
        Err(AdministrationError::Access(LogInError::Wrong)) => {
            problem(StatusCode::FORBIDDEN, "the password before is wrong")
        }
        changed => told(changed, done),
    }
}

pub(super) fn done((): ()) -> serde_json::Value {
    json!({ "done": true })
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
    problem(status, &error.to_string())
}
