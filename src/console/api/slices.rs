//! Slices over HTTP, at full resolution: where they lie, and their Hounsfield units.

use std::collections::BTreeMap;
use std::io::Write as _;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use schemars::JsonSchema;
use serde::Serialize;

use super::{has, no_such_exam, problem, refusal};
use crate::analysis::{ExamState, SlabView};
use crate::console::access::Caller;
use crate::console::server::WebOptions;
use crate::exam::ExamKey;
use crate::slices::{Grid, ListedSlice, SliceList, SlicesError};

/// A slice, and where its Hounsfield units are.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Slice")]
struct ShownSlice {
    #[serde(flatten)]
    slice: ListedSlice,
    /// Relative, as that of a slab's picture; another one if the slice's bytes are replaced.
    hounsfield: String,
}

/// The slices of an exam that are here.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Slices")]
pub(super) struct ShownSlices {
    grids: Vec<Grid>,
    slices: Vec<ShownSlice>,
}

/// Lists the slices of an exam that are here, also while it is received.
#[utoipa::path(
    get, path = "/api/v1/exams/{key}/slices", tag = "slices",
    params(("key" = String, Path, description = "Key of the exam.")),
    responses((status = 200, description = "Its slices.", body = ref("#/components/schemas/Slices"))),
)]
pub(super) async fn slices(State(options): State<WebOptions>, caller: Caller, Path(key): Path<String>) -> Response {
    let WebOptions { hub, audit, slices, .. } = options;
    let listed = slices.read(move |reader| {
        let Some(record) = ExamKey::parse(&key).and_then(|key| hub.record(&key)) else { return no_such_exam() };
        audit.viewed(caller.person(None), record.subject());
        let exam = &record.exam.key;
        let image_of = |slab: &SlabView| Some((slab.index, slab.image.clone()?));
        let slabs: BTreeMap<_, _> = record.slabs.values().filter_map(image_of).collect();
        let list = match reader.list(exam, &slabs) {
            Ok(list) => list,
            // Its first files are on their way to their places.
            Err(SlicesError::Removed) if record.exam.state == ExamState::Receiving => SliceList::default(),
            Err(error) => return refused(&error),
        };
        let shown = |slice: ListedSlice| {
            let hounsfield = format!("api/v1/exams/{exam}/slices/{}?v={}", slice.id, slice.edition);
            ShownSlice { slice, hounsfield }
        };
        let slices = list.slices.into_iter().map(shown).collect();
        Json(ShownSlices { grids: list.grids, slices }).into_response()
    });
    listed.await.unwrap_or_else(no_answer)
}

/// Gives the Hounsfield units of a slice: 16 bits a value, signed, little endian, row by row.
#[utoipa::path(
    get, path = "/api/v1/exams/{key}/slices/{id}", tag = "slices",
    params(
        ("key" = String, Path, description = "Key of the exam."),
        ("id" = String, Path, description = "Name of the slice, as its `hounsfield` has it."),
    ),
    responses(
        (status = 200, description = "Its values.", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 304, description = "The browser has them."),
    ),
)]
pub(super) async fn hounsfield(
    State(options): State<WebOptions>,
    caller: Caller,
    Path((key, id)): Path<(String, String)>,
    asked: HeaderMap,
) -> Response {
    let WebOptions { hub, audit, slices, .. } = options;
    let read = slices.read(move |reader| {
        let Some(key) = ExamKey::parse(&key) else { return no_such_exam() };
        // Of an earlier exam that takes longer than its pixels do.
        let of_record = || hub.record(&key).map(|record| record.subject());
        let Some(subject) = reader.subject(&key, of_record) else { return no_such_exam() };
        audit.viewed(caller.person(None), subject);
        let found = match reader.find(&key, &id) {
            Ok(found) => found,
            Err(error) => return refused(&error),
        };
        // Weak: packed and plain bytes are the same slice.
        let tag = format!("W/\"{}\"", found.edition());
        let is_known = has(&asked, &tag);
        let headers = [
            (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
            (header::CACHE_CONTROL, "private, no-cache".to_owned()),
            (header::VARY, header::ACCEPT_ENCODING.to_string()),
            (header::ETAG, tag),
        ];
        if is_known {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        match found.hounsfield() {
            Ok(values) => (headers, body(&values, takes_gzip(&asked))).into_response(),
            Err(error) => {
                tracing::warn!(%error, "a slice cannot be shown");
                refused(&error)
            }
        }
    });
    read.await.unwrap_or_else(no_answer)
}

/// 16 bits a value, little endian; packed as fast as that goes, which halves what noise leaves of it.
fn body(values: &[i16], packed: bool) -> Response {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    if !packed {
        return bytes.into_response();
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::fast());
    match encoder.write_all(&bytes).and_then(|()| encoder.finish()) {
        Ok(packed) => ([(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))], packed).into_response(),
        Err(_) => bytes.into_response(),
    }
}

fn takes_gzip(asked: &HeaderMap) -> bool {
    let taken = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut codings = taken.flat_map(|value| value.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_refused = |quality: &str| matches!(quality.strip_prefix("q=").map(str::parse), Some(Ok(0.0_f32)));
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip")) && !parts.any(is_refused)
    })
}

fn refused(error: &SlicesError) -> Response {
    let status = match error {
        SlicesError::NoSuchSlice => StatusCode::NOT_FOUND,
        SlicesError::Removed => StatusCode::GONE,
        SlicesError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        SlicesError::File(_) | SlicesError::Decode(_) | SlicesError::Spool(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refusal(status, &error.phrase())
}

fn no_answer() -> Response {
    problem(StatusCode::INTERNAL_SERVER_ERROR, "the slices could not be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_gzip_gets_it_and_nobody_else() {
        let takes = |value: &'static str| {
            takes_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]))
        };
        assert!(takes("gzip") && takes("deflate, GZIP;q=0.5, br"));
        assert!(!takes("identity") && !takes("gzip;q=0") && !takes_gzip(&HeaderMap::new()));
    }
}
