//! The page's files, part of the program.

use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::api::{has, problem};
use crate::hex::hex;
use crate::texts;

#[derive(rust_embed::RustEmbed)]
#[folder = "src/console/page"]
struct Page;

pub(super) async fn page(uri: Uri, headers: HeaderMap) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        "table" => "table.html",
        path => path,
    };
    if let Some(texts) = path.strip_prefix("texts/").and_then(|name| texts::file(name.strip_suffix(".json")?)) {
        return ([(header::CONTENT_TYPE, content_type(path)), (header::CACHE_CONTROL, "no-cache")], texts)
            .into_response();
    }
    let Some(file) = Page::get(path) else { return problem(StatusCode::NOT_FOUND, "there is no such page") };
    let tag = format!("\"{}\"", hex(&file.metadata.sha256_hash()));
    if has(&headers, &tag) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, content_type(path).to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, tag),
    ];
    (headers, file.data).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
