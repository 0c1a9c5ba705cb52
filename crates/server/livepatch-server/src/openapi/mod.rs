//! The API as a document, OpenAPI 3.1. It is made from the operations that the router is made from
//! (`routes/operations.rs`): addresses, methods, roles and bodies from the handlers' types, words from beside them. So
//! neither has an operation that the other has not.

mod answers;
mod finish;
mod inputs;
mod operation;

pub(crate) use answers::{
    Atom, Bundle, Calendar, Created, File, Html, Kept, Measures, Perhaps, Rss, Text, Verbatim,
};
pub(crate) use operation::{everybody, machines, operators, watchers};

use crate::routes;
use aide::{generate::in_context, openapi::OpenApi};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use std::sync::LazyLock;

/// The document, as `/v1/openapi.json` serves it.
pub fn openapi() -> &'static str {
    &DOCUMENT
}

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let mut api = OpenApi::default();
    // The router itself is not needed here: its operations go into `api`.
    let _ = routes::operations(true).finish_api(&mut api);
    // Of text and numbers alone: this does not fail.
    serde_json::to_value(&api).map(finish::finish).unwrap_or_default()
});

/// Schemas are OpenAPI 3.1's own dialect from here on: JSON Schema 2020-12.
pub(crate) fn begin() {
    in_context(|context| context.schema = generator());
}

fn generator() -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.into_generator()
}
