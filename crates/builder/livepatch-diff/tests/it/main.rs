//! The difference engine on objects that gcc makes of small C files, with flags like the kernel's.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed expectation is the test's answer

mod base;
mod cases;
mod cold_parts;
mod compile;
mod constants;
mod dead_ends;
mod hostile;
mod late;
mod machines;
mod padded;
mod round;
mod sources;
