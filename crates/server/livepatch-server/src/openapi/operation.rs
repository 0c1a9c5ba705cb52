//! What the document says of an operation beside its types, and for whom it is.

use aide::{
    openapi::{Operation, ReferenceOr, Response, StatusCode},
    transform::TransformOperation,
};
use livepatch_api::ErrorCode;

/// An operation for machines: `livepatchd` uses it.
pub(crate) fn machines(
    id: &'static str,
    summary: &'static str,
    refusals: &'static [ErrorCode],
) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    move |operation| describe(operation, "machines", (id, summary), "livepatchd", refusals)
}

/// An operation for operators; `verb` is the command that uses it.
pub(crate) fn operators(
    id: &'static str,
    summary: &'static str,
    verb: &'static str,
    refusals: &'static [ErrorCode],
) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    move |operation| describe(operation, "operators", (id, summary), verb, refusals)
}

/// What everybody may read; `verb` is the command that uses it, or empty where it is for browsers and feed readers.
pub(crate) fn everybody(
    id: &'static str,
    summary: &'static str,
    verb: &'static str,
    refusals: &'static [ErrorCode],
) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    move |operation| describe(operation, "everybody", (id, summary), verb, refusals)
}

/// What watches the server.
pub(crate) fn watchers(
    id: &'static str,
    summary: &'static str,
    verb: &'static str,
    refusals: &'static [ErrorCode],
) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    move |operation| describe(operation, "watchers", (id, summary), verb, refusals)
}

fn describe<'a>(
    operation: TransformOperation<'a>,
    audience: &str,
    (id, summary): (&str, &str),
    command: &str,
    refusals: &[ErrorCode],
) -> TransformOperation<'a> {
    let mut operation = operation.id(id).summary(summary).tag(audience);
    let inner = operation.inner_mut();
    for code in refusals {
        may_answer(inner, code.status());
    }
    if !command.is_empty() {
        inner.extensions.insert("x-command".to_owned(), command.into());
    }
    operation
}

/// The operation may be refused with this status; what such an answer looks like is the same everywhere (see `finish.rs`).
fn may_answer(operation: &mut Operation, status: u16) {
    let responses = operation.responses.get_or_insert_default();
    let known = responses.responses.entry(StatusCode::Code(status));
    known.or_insert_with(|| ReferenceOr::Item(Response::default()));
}

/// Refusals with these codes, as an input or an output of a handler brings them along.
pub(super) fn refusals(codes: &[ErrorCode]) -> Vec<(Option<StatusCode>, Response)> {
    codes.iter().map(|code| (Some(StatusCode::Code(code.status())), Response::default())).collect()
}
