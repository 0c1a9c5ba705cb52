//! People at the dashboard in headless Chromium: an operator's day, a notice from its draft to its readers, a sign-in at an
//! OpenID provider; every page without JavaScript, in both colours, wide and narrow, under the accessibility checker's eyes.
//!
//! `LIVEPATCH_SCREENSHOTS=FOLDER` keeps a picture of each; `cargo xtask screenshots` sets it.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod day;
mod notices;
mod openid;
mod operation;
#[path = "../support/mod.rs"]
mod support;
