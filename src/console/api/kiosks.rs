//! Kiosks over HTTP.

use axum::extract::{Path, State};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::people::{done, told};
use super::{Sent, to_its_end};
use crate::console::access::{Caller, ListedKiosk};
use crate::console::server::WebOptions;

/// A screen that is to be let in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewKiosk")]
pub(super) struct Added {
    name: String,
    /// Addresses or networks.
    addresses: Vec<String>,
}

/// All kiosks.
#[derive(Serialize, JsonSchema)]
pub(super) struct Kiosks {
    kiosks: Vec<ListedKiosk>,
}

/// A kiosk's token, which is told this once: `#kiosk=TOKEN` behind the console's address lets the screen in.
#[derive(Serialize, JsonSchema)]
pub(super) struct KioskToken {
    token: String,
}

/// Lists the kiosks.
#[utoipa::path(
    get, path = "/api/v1/kiosks", tag = "administration",
    responses((status = 200, description = "They.", body = ref("#/components/schemas/Kiosks"))),
)]
pub(super) async fn kiosks(State(options): State<WebOptions>) -> Response {
    told(options.access.kiosks().await, |kiosks| Kiosks { kiosks })
}

/// Lets a screen in that nobody logs in at.
#[utoipa::path(
    post, path = "/api/v1/kiosks", tag = "administration",
    request_body = ref("#/components/schemas/NewKiosk"),
    responses((status = 200, description = "Its token.", body = ref("#/components/schemas/KioskToken"))),
)]
pub(super) async fn add(
    State(options): State<WebOptions>,
    caller: Caller,
    Sent(Added { name, addresses }): Sent<Added>,
) -> Response {
    let added = to_its_end(async move { options.access.add_kiosk(&name, &addresses, &caller).await });
    told(added.await, |token| KioskToken { token })
}

/// Takes a kiosk's token back.
#[utoipa::path(
    delete, path = "/api/v1/kiosks/{name}", tag = "administration",
    params(("name" = String, Path, description = "The kiosk's name.")),
    responses((status = 200, description = "It is shown nothing any more.", body = ref("#/components/schemas/Done"))),
)]
pub(super) async fn revoke(State(options): State<WebOptions>, caller: Caller, Path(name): Path<String>) -> Response {
    told(to_its_end(async move { options.access.revoke_kiosk(&name, &caller).await }).await, done)
}
