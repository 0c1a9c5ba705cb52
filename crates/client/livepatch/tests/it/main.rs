//! `livepatchd` and `livepatch` as they are installed, on a machine that is a directory tree: nothing can be loaded there,
//! everything up to that point is real. Real kernels come in the VM tests.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)] // a failed step is the test's answer

mod canonical;
mod configuration;
mod machine;
mod programs;
mod questions;
mod reference;
mod schema;
mod secure_boot;
