//! The crate from outside: readers, register, and the rules that hold for all input.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed expectation is the test's answer

mod catalogue;
mod hostile;
mod register;
mod shared_data;
mod tracker_files;
mod verdicts;
