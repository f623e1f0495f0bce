//! Kiosks over HTTP.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::Sent;
use super::people::{done, told};
use crate::console::access::Caller;
use crate::console::server::WebOptions;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Added {
    name: String,
    /// Addresses or networks.
    addresses: Vec<String>,
}

pub(super) async fn kiosks(State(options): State<WebOptions>) -> Response {
    told(options.access.kiosks().await, |kiosks| json!({ "kiosks": kiosks }))
}

/// Answers the token, which is told this once: `#kiosk=TOKEN` behind the console's address lets the screen in.
pub(super) async fn add(
    State(options): State<WebOptions>,
    caller: Caller,
    Sent(Added { name, addresses }): Sent<Added>,
) -> Response {
    told(options.access.add_kiosk(&name, &addresses, &caller).await, |token| json!({ "token": token }))
}

pub(super) async fn revoke(State(options): State<WebOptions>, caller: Caller, Path(name): Path<String>) -> Response {
    told(options.access.revoke_kiosk(&name, &caller).await, done)
}
