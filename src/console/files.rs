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
    if content_type(path).starts_with("text/javascript") {
        return (headers, without_comments(&String::from_utf8_lossy(&file.data))).into_response();
    }
    (headers, file.data).into_response()
}

/// A script without the comments that have lines of their own, a fifth of it: most are types for its check. Every line stays where it is.
fn without_comments(script: &str) -> String {
    let mut is_in_block = false;
    let mut kept = String::with_capacity(script.len());
    for line in script.lines() {
        let text = line.trim();
        // Code may stand behind a comment that ends before the line does.
        is_in_block |= text.starts_with("/**") && (!text.contains("*/") || text.ends_with("*/"));
        if !is_in_block && !text.starts_with("//") {
            kept.push_str(line);
        }
        is_in_block &= !text.ends_with("*/");
        kept.push('\n');
    }
    kept
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_with_lines_of_their_own_are_left_out_and_code_is_not() {
        let script = "// What it does.\n\n/** Of a slice. @param {number} z */\nexport const a = (z) => z; // Why.\n\
                      /**\n * @typedef {object} B\n */\n/** @type {B} */ let b = { url: \"http://x\" };\n  /** @type {B} */ (b).c;\n";
        let kept = "\n\n\nexport const a = (z) => z; // Why.\n\n\n\n\
                    /** @type {B} */ let b = { url: \"http://x\" };\n  /** @type {B} */ (b).c;\n";
        assert_eq!(without_comments(script), kept);
    }

    #[test]
    fn no_script_of_the_page_ends_within_a_comment() {
        for name in Page::iter().filter(|name| content_type(name).starts_with("text/javascript")) {
            let file = Page::get(&name).unwrap();
            let script = std::str::from_utf8(&file.data).unwrap();
            let kept = without_comments(script);
            assert_eq!(kept.lines().count(), script.lines().count(), "{name}");
            let code = |text: &str| text.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned);
            assert_eq!(code(&kept), code(script), "{name}");
        }
    }
}
