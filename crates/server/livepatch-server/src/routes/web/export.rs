//! Tables as files.

use axum::{
    Json,
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt as _, stream};
use livepatch_dashboard::Table;
use std::convert::Infallible;

const CSV: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A table as CSV.
pub(super) fn csv(table: &Table) -> Response {
    ([(header::CONTENT_TYPE, CSV)], table.to_csv()).into_response()
}

/// A table as JSON.
pub(super) fn json(table: &Table) -> Response {
    Json(table.to_json()).into_response()
}

/// A long table as CSV, part by part as the database gives it. A part that fails breaks the answer off, so that nobody
/// takes it for whole.
pub(super) fn csv_parts<E: std::error::Error + Send + Sync + 'static>(
    parts: impl Stream<Item = Result<Table, E>> + Send + 'static,
) -> Response {
    let text = parts
        .enumerate()
        .map(|(number, part)| part.map(|table| if number == 0 { table.to_csv() } else { table.csv_rows() }));
    ([(header::CONTENT_TYPE, CSV)], Body::from_stream(text)).into_response()
}

/// A long table as JSON, one array.
pub(super) fn json_parts<E: std::error::Error + Send + Sync + 'static>(
    parts: impl Stream<Item = Result<Table, E>> + Send + 'static,
) -> Response {
    let rows = parts.enumerate().map(|(number, part)| {
        part.map(|table| {
            let rows = table.to_json().to_string();
            let rows = rows.trim_start_matches('[').trim_end_matches(']').to_owned();
            if number == 0 || rows.is_empty() { rows } else { format!(",{rows}") }
        })
    });
    let frame = |text: &'static str| {
        stream::iter([Ok::<_, Infallible>(text.to_owned())]).map(|part| part.map_err(|never| match never {}))
    };
    ([(header::CONTENT_TYPE, JSON)], Body::from_stream(frame("[").chain(rows).chain(frame("]"))))
        .into_response()
}
