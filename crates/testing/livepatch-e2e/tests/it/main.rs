//! End-to-end scenarios: the real programs, a real kernel in a virtual machine, one module a scenario.
//!
//! Every refusal is shown three ways: the client names the right code, the kernel is untouched, and the same machine
//! takes the same livepatch once the obstacle is gone.
#![allow(clippy::unwrap_used, missing_docs)] // a failed expectation is the test's answer

mod altered_module;
mod another_kernel;
mod apply_and_undo;
mod expired_metadata;
mod proxy;
mod rolled_back_metadata;
mod scene;
mod stranger_s_signature;
mod unknown_token;
