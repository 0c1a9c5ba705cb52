//! End-to-end scenarios: the real programs, a real kernel in a virtual machine, one module a scenario.
//!
//! Every refusal is shown by its own code and by a kernel that is untouched; where the obstacle can be taken away, the
//! same machine then takes the same livepatch, so that it was the obstacle that was refused and nothing else.
#![allow(clippy::unwrap_used, missing_docs)] // a failed expectation is the test's answer

mod altered_module;
mod another_kernel;
mod apply_and_undo;
mod bad_days;
mod boot_test;
mod built_modules;
mod cve_dev_set;
mod debian_package;
mod examples;
mod expired_metadata;
mod features_of_sources;
mod fleet;
mod installed;
mod installed_bad_days;
mod interrupted_builds;
mod killer_livepatch;
mod livepatching;
mod many_kernels;
mod namesakes;
mod notices;
mod power_cuts;
mod proxy;
mod rolled_back_metadata;
mod scene;
mod secure_boot;
mod series_6_12;
mod server_package;
mod stranger_s_signature;
mod unknown_token;
