//! From documents about vulnerabilities to what a machine says: the real `livepatch-server`, `livepatch-admin`, `livepatchd`
//! and `livepatch`, over real HTTP. The machine is a directory tree whose kernel has a livepatch applied.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed step is the test's answer

mod coverage;
mod mitigations;
mod notices;
mod stage;
mod verdicts;
