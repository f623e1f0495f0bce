//! The gate: each request passes it, or is refused with a reason.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use super::matrix::{Allowed, Verdict, allowed};
use super::{Access, Caller, WATCHING, Who, origin};
use crate::console::api::{problem, refusal};
use crate::database::DatabaseError;
use crate::telemetry;
use crate::texts::Phrase;

/// What watches goes on by itself: it is no use of a session.
const STREAM: &str = "/api/v1/events";

/// Whether a request may be answered under the name that it was sent to.
pub(in crate::console) fn is_ours(access: &Access, uri: &Uri, headers: &HeaderMap) -> bool {
    origin::is_ours(access.options(), uri, headers)
}

/// Lets a request through, with who asks, or refuses it.
pub(in crate::console) async fn gate(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match admit(&access, &parts).await {
        Ok(caller) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refusal) => {
            telemetry::console_refused(refusal.label());
            tracing::debug!(reason = refusal.label(), path = parts.uri.path(), "a request to the console is refused");
            refusal.answer()
        }
    }
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the console is not reached by this name: list it as console.hosts")]
    Host,
    #[error("this may be asked by the console's own page alone")]
    Site,
    #[error("send it as application/json")]
    NotJson,
    #[error("this path does not take this method")]
    Method,
    #[error("nobody may ask this")]
    Unlisted,
    #[error("log in first")]
    NotLoggedIn,
    #[error("your role may not do this")]
    Role,
    #[error(
        "the console is open (console.access): nobody is an administrator in it; set console.access to accounts, or use tableside user and \
         tableside kiosk on the machine"
    )]
    Open,
    #[error("accounts cannot be looked up: {0}")]
    Unknown(#[from] DatabaseError),
    #[error("it is not known who asks")]
    NoPeer,
}

impl Refusal {
    fn label(&self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Site => "site",
            Self::NotJson | Self::Method => "form",
            Self::Unlisted | Self::Role | Self::Open => "role",
            Self::NotLoggedIn => "not_logged_in",
            Self::Unknown(_) | Self::NoPeer => "unknown",
        }
    }

    fn answer(&self) -> Response {
        let status = match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Site | Self::Unlisted | Self::Role | Self::Open => StatusCode::FORBIDDEN,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotLoggedIn => StatusCode::UNAUTHORIZED,
            Self::Unknown(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoPeer => StatusCode::INTERNAL_SERVER_ERROR,
        };
        match self {
            Self::NotLoggedIn => refusal(status, &Phrase::new("error.not_logged_in")),
            Self::Role => refusal(status, &Phrase::new("error.role")),
            Self::Open => refusal(status, &Phrase::new("error.open")),
            _ => problem(status, &self.to_string()),
        }
    }
}

async fn admit(access: &Arc<Access>, request: &Parts) -> Result<Caller, Refusal> {
    let Parts { uri, headers, method, extensions, .. } = request;
    let Some(ConnectInfo(peer)) = extensions.get::<ConnectInfo<SocketAddr>>() else {
        return Err(Refusal::NoPeer);
    };
    let peer = peer.ip();
    if !is_ours(access, uri, headers) {
        return Err(Refusal::Host);
    }
    if !origin::may_change(access.options(), peer, method, uri, headers) {
        return Err(Refusal::Site);
    }
    let path = extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    let allowed = match path.map(|path| allowed(method, path)) {
        // A file of the page.
        None => Allowed::Everybody,
        Some(Verdict::Listed(allowed)) => allowed,
        Some(Verdict::OtherMethod) => return Err(Refusal::Method),
        Some(Verdict::Unlisted) => return Err(Refusal::Unlisted),
    };
    let is_json =
        || headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if *method == Method::POST && !is_json() {
        return Err(Refusal::NotJson);
    }
    let address = origin::address_of(&access.options().proxies, peer, headers);
    // Nothing is looked up for who shows nothing: a flood of those costs little.
    let shows_something = [header::COOKIE, header::AUTHORIZATION].iter().any(|name| headers.contains_key(name));
    if path.is_none() {
        return Ok(Caller { who: Who::Nobody, address, names: access.options().names });
    }
    let counts = path != Some(STREAM) && !headers.contains_key(WATCHING);
    let headers = headers.clone();
    let caller = if shows_something {
        let access = access.clone();
        let looked_up = tokio::task::spawn_blocking(move || access.caller(&headers, address, counts)).await;
        looked_up.map_err(|_| Refusal::NoPeer)??
    } else {
        access.caller(&headers, address, counts)?
    };
    match (allowed, caller.role()) {
        (Allowed::Everybody, _) => Ok(caller),
        (Allowed::Metrics(_), None) if caller.who == Who::Monitoring => Ok(caller),
        (_, None) => Err(Refusal::NotLoggedIn),
        (Allowed::Roles(roles) | Allowed::Metrics(roles), Some(role)) if roles.contains(&role) => Ok(caller),
        (Allowed::Roles(_) | Allowed::Metrics(_), Some(_)) if caller.who == Who::Anybody => Err(Refusal::Open),
        (Allowed::Roles(_) | Allowed::Metrics(_), Some(_)) => Err(Refusal::Role),
    }
}

/// Of a request that has passed the gate.
impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| problem(StatusCode::INTERNAL_SERVER_ERROR, "it is not known who asks"))
    }
}
