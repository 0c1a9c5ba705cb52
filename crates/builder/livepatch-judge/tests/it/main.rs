//! Tests on objects that the compiler makes of small C sources.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)] // a failed expectation is the test's answer

mod cases;
mod compile;
mod debug;
mod hostile;
