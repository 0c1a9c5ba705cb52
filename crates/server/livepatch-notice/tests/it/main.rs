//! Notices on every channel.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod documents;
mod samples;
mod text;
