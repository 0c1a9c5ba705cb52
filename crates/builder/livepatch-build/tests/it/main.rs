//! The program as its user meets it, without a kernel to build for.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed expectation is the test's answer

mod command_line;
mod diff;
mod distribution;
mod inspect;
mod kernel;
mod kernel_add;
mod matrix;
mod schema;
mod scope;
mod series;
mod sign;
mod token;
mod workplace;
