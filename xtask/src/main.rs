//! The developers' one entry: `cargo xtask demo`, `test`, `bench`, `screenshots`, `dist`, `tidy`.
//!
//! `demo` takes a real kernel fix along the whole road into a running machine; `test` runs everything that must pass
//! before a change goes in; the others are parts of it or build what is shipped. Both start on a bare Debian 12 with a
//! Rust toolchain: `apt` installs what is missing and says so.

mod apt;
mod bench;
mod corpus;
mod demo;
mod dist;
mod kernels;
mod narrator;
mod screenshots;
mod test;
mod tidy;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks for developers of Open Livepatch", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// A real kernel bug, its fix as a livepatch, and a machine that survives: the whole road, in a few minutes
    Demo(demo::Options),
    /// Everything that must pass: format, lints, rules, unit, integration and VM tests
    Test(test::Options),
    /// Measure against the budgets
    Bench(bench::Options),
    /// Every CVE fix between two kernel source versions, built, loaded, and written down; takes hours, resumes
    Corpus(livepatch_corpus::Options),
    /// Build the Debian packages of client and server into target/dist
    Dist(dist::Options),
    /// Every page of the dashboard as a picture, light and dark, wide and narrow, into target/screenshots
    Screenshots,
    /// Check the workspace's own rules: dependency direction, file lengths, module comments, unsafe code
    Tidy,
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Demo(options) => demo::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Corpus(options) => corpus::run(&options),
        Task::Dist(options) => dist::run(&options),
        Task::Screenshots => screenshots::run(),
        Task::Tidy => tidy::run(),
    }
}
