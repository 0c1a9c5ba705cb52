//! The verbs, a module each: what they take, and how they say what came of it. What they do is in the library.

mod build;
mod diff;
mod explain;
mod extract;
mod findings;
mod inspect;
mod kernel;
mod key;
mod pages;
mod schema;
mod series;
mod sign;
mod test;
mod verify;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use comfy_table::{Table, presets};
use livepatch_build::cache::Cache;
use livepatch_build::status::Status;
use serde::Serialize;
use std::io::{self, Write};
use std::process::ExitCode;

/// From a source fix to a signed livepatch module.
#[derive(Parser)]
#[command(name = "livepatch-build", version, after_help = Status::HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Prepare kernels to build for.
    #[command(subcommand)]
    Kernel(kernel::Action),
    /// Take a fix out of two versions of a kernel source package: some files, or what belongs to a CVE.
    Extract(extract::Arguments),
    /// Build a livepatch module from a source patch.
    Build(build::Arguments),
    /// Compare two objects of one translation unit: what a livepatch made of them would hold and need.
    Diff(diff::Arguments),
    /// Look after a directory of fixes that a cumulative livepatch is made of.
    #[command(subcommand)]
    Series(series::Action),
    /// Make module-signing keys.
    #[command(subcommand)]
    Key(key::Action),
    /// Sign the module in a build folder.
    Sign(sign::Arguments),
    /// Boot a real kernel in a virtual machine and put a built livepatch through its life.
    Test(test::Arguments),
    /// Check a module's signature, and whether manifest and report beside it agree with it.
    Verify(verify::Arguments),
    /// Say what a livepatch module is and does, whoever built it.
    Inspect(inspect::Arguments),
    /// Say what the code of a refusal means and what to do instead; without a code, list them all.
    Explain(explain::Arguments),
    /// Print the JSON Schema of what --format json prints, or of a file that a build leaves.
    Schema(schema::Arguments),
    /// Print shell completions.
    Completions(pages::Completions),
    /// Print the man page, or write one for each command.
    Man(pages::Man),
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs; `livepatch-build schema` describes it.
    Json,
}

/// Runs the command line of this process.
pub(crate) fn main() -> ExitCode {
    let status = match run(Arguments::parse().command) {
        Ok(status) => status,
        Err(error) if is_closed_pipe(&error) => Status::Done,
        Err(error) => {
            eprintln!("livepatch-build: {error:#}");
            Status::of_error(error.as_ref())
        }
    };
    ExitCode::from(status.code())
}

fn run(action: Action) -> Result<Status> {
    let cache = Cache::from_environment()?;
    match action {
        Action::Kernel(action) => kernel::run(&cache, action),
        Action::Extract(arguments) => extract::run(&cache, arguments),
        Action::Build(arguments) => build::run(&cache, arguments),
        Action::Diff(arguments) => diff::run(&cache, &arguments),
        Action::Series(action) => series::run(action),
        Action::Key(action) => key::run(action),
        Action::Sign(arguments) => sign::run(&arguments),
        Action::Test(arguments) => test::run(&cache, &arguments),
        Action::Verify(arguments) => verify::run(&arguments),
        Action::Inspect(arguments) => inspect::run(&arguments),
        Action::Explain(arguments) => explain::run(&arguments),
        Action::Schema(arguments) => schema::run(&arguments),
        Action::Completions(arguments) => pages::completions(&arguments),
        Action::Man(arguments) => pages::man(&arguments),
    }
}

/// Whoever read our output had enough of it.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn print(text: &str) -> Result<()> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn print_json(value: &impl Serialize) -> Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Columns, a line a row.
fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().copied());
    for row in rows {
        // Names out of foreign files must not steer the terminal.
        table.add_row(row.into_iter().map(|cell| cell.replace(char::is_control, " ")));
    }
    table.lines().map(|line| line.trim().to_owned() + "\n").collect()
}
