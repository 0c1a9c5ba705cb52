//! `livepatch-admin`: the operator's command. Talks to one server, with the key that the server keeps in `admin.key`.
//!
//! Answers go to standard output, as text or JSON; everything else to standard error. Exit status: 0 done, 1 failed,
//! 2 usage.

mod access;
mod approval;
mod arguments;
mod commands;
mod cve;
mod generate;
mod hook;
mod mitigation;
mod notice;
mod old_verbs;
mod output;
mod period;
mod rollout;
mod server;
mod tier;
mod upstream;

use arguments::Arguments;
use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match commands::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("livepatch-admin: {error:#}");
            ExitCode::FAILURE
        }
    }
}
