//! The agent against a pretended kernel and a real repository: real TUF metadata and signatures over real HTTP, while the
//! kernel is a directory tree whose changes mimic what Debian's 6.1 does.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed step is the test's answer

mod applying;
mod attacks;
mod crashes;
mod kernel;
mod module;
mod refusals;
mod reports;
mod rig;
mod site;
mod states;
mod tls;
mod verdicts;
