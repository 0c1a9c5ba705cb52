//! `livepatch-admin`: the operator's command. Talks to a server, with an API key or the one that
//! the server keeps in `admin.key`.
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
mod profile;
mod rollout;
mod server;
mod status;
mod tier;
mod upstream;
mod user;

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
