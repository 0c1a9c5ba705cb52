//! What becomes of a request's body when the request is refused before anybody read it.
//!
//! A connection whose request was left half read cannot be used again: the server closes it, and a client that has just
//! sent its next request on it gets no answer (RFC 9112, sections 9.3 and 9.6). So small bodies are taken in before
//! anything else looks at the request, and a refusal of a large one says that the connection ends.

use super::LARGEST_DOCUMENT;
use crate::refusal::Refusal;
use axum::{
    body::{Body, HttpBody as _, to_bytes},
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use livepatch_api::ErrorCode;
use std::time::Duration;

/// A client that sends its small body slower than this is let go.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes in the bodies that are small, and passes them on.
pub(super) async fn take_in(request: Request, next: Next) -> Response {
    let size = request.body().size_hint();
    if size.exact() == Some(0) {
        return next.run(request).await;
    }
    if size.exact().is_none_or(|size| size > LARGEST_DOCUMENT as u64) {
        let answer = next.run(request).await;
        return if answer.status().is_success() { answer } else { last(answer) };
    }
    let (head, body) = request.into_parts();
    match tokio::time::timeout(PATIENCE, to_bytes(body, LARGEST_DOCUMENT)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        Ok(Err(_)) => last(Refusal::invalid("the body ended before its length").into_response()),
        Err(_) => last(Refusal::new(ErrorCode::Invalid, "the body came too slowly").into_response()),
    }
}

/// The last answer on its connection.
fn last(mut answer: Response) -> Response {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}
