//! The API's own document.

use crate::openapi::{Verbatim, openapi};
use serde_json::Value;

pub(crate) async fn show() -> Verbatim<Value> {
    Verbatim::new(openapi())
}
