//! `livepatch`: what a machine's owner types. It talks to `livepatchd`, which reads the kernel; by itself it changes only the
//! configuration file, when asked to enrol a key EFI variables, and what the owner's mitigations are made of. It never uses the network.

mod arguments;
mod bundle;
mod canonical;
mod configure;
mod enroll;
mod exit;
mod generate;
#[cfg(test)]
mod golden;
mod mitigation;
mod output;
mod questions;
mod render;
mod status;
mod vex;
mod yaml;

use crate::{
    arguments::{Arguments, BlockedCommand, Command, Format, SecureBootCommand},
    exit::Exit,
    output::print,
};
use anyhow::Context as _;
use clap::Parser as _;
use livepatch_agent::{Answer, Client, ClientError, Failure, Request};
use livepatch_api::EnrolmentToken;
use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let arguments = parse();
    let exit = run(&arguments).unwrap_or_else(|error| {
        let cause = error.downcast_ref::<ClientError>();
        report(&arguments, cause, &error);
        for_command(&arguments, cause.map_or(Exit::Failed, Exit::of_error))
    });
    exit.into()
}

/// Under the Canonical client's name this program takes its arguments.
fn parse() -> Arguments {
    let mut words: Vec<_> = std::env::args_os().collect();
    let name = words.first().and_then(|program| Path::new(program).file_name());
    if name.is_some_and(|name| name == "canonical-livepatch") {
        words.splice(..1, ["livepatch".into(), "canonical".into()]);
    }
    Arguments::parse_from(words)
}

/// Where the exit status is an answer or a severity, an error must not look like one.
fn for_command(arguments: &Arguments, exit: Exit) -> Exit {
    match &arguments.command {
        Command::Status(status) if status.check => Exit::Severity(exit::Severity::Unknown),
        Command::KernelUpgradeRequired if matches!(exit, Exit::Failed | Exit::Usage) => Exit::Refused,
        _ => exit,
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    match &arguments.command {
        Command::Status(how) => status::run(arguments, how),
        Command::Enable { token, server } => match token_to_send(token)? {
            Some(token) => {
                let server = server.clone();
                change(arguments, &Request::Enable { token, server })
            }
            None => Ok(Exit::Usage),
        },
        Command::Disable => change(arguments, &Request::Disable),
        Command::Refresh { apply } => change(arguments, &Request::Refresh { apply: *apply }),
        Command::Undo { previous } => change(arguments, &Request::Undo { previous: *previous }),
        Command::Config(config) => configure::run(arguments, config),
        Command::Check => questions::check(arguments),
        Command::History { lines } => questions::history(arguments, *lines),
        Command::Cves { open, all } => questions::cves(arguments, *open, *all),
        Command::Vex => questions::vex(arguments),
        Command::KernelUpgradeRequired => questions::upgrade(arguments),
        Command::CheckIn { .. } => questions::check_in(arguments),
        Command::Mitigation(command) => mitigation::run(arguments, command),
        Command::SecureBoot(SecureBootCommand::Status) => questions::secure_boot(arguments),
        Command::SecureBoot(SecureBootCommand::Enroll { password_stdin, again, root }) => {
            enroll::run(arguments, &enroll::Wish { password_stdin: *password_stdin, again: *again, root })
        }
        Command::Blocked(BlockedCommand::List) => status::blocked(arguments),
        Command::Blocked(BlockedCommand::Explain { digest }) => status::explain_blocked(arguments, digest),
        Command::Blocked(BlockedCommand::Clear { digest }) => {
            let digest = digest.clone();
            change(arguments, &Request::ClearBlocked { digest })
        }
        Command::SupportBundle { output } => support_bundle(arguments, output),
        Command::Completions { shell } => generate::completions(*shell).map(|()| Exit::Fine),
        Command::Canonical { arguments: words } => canonical::run(arguments, words),
        Command::Man { directory } => generate::man_pages(directory).map(|()| Exit::Fine),
    }
}

/// The token as it was typed, or from standard input for `-`. A token of the wrong shape is told here: it need not reach
/// the daemon, let alone a server.
fn token_to_send(typed: &str) -> anyhow::Result<Option<String>> {
    let token = if typed == "-" {
        std::io::read_to_string(std::io::stdin()).context("the token cannot be read from standard input")?
    } else {
        typed.to_owned()
    };
    let token = token.trim().to_owned();
    if let Err(error) = token.parse::<EnrolmentToken>() {
        eprintln!("error[malformed-token]: {error}");
        return Ok(None);
    }
    Ok(Some(token))
}

fn support_bundle(arguments: &Arguments, output: &Path) -> anyhow::Result<Exit> {
    let bundle = bundle::collect(arguments);
    if output == Path::new("-") {
        print(&serde_json::to_string_pretty(&bundle)?)?;
        return Ok(Exit::Fine);
    }
    bundle::write(&bundle, output)?;
    if !arguments.quiet {
        print(&format!("{} is written; look through it before you send it", output.display()))?;
    }
    Ok(Exit::Fine)
}

/// Asks for a change, shows each step, and tells how it ended.
fn change(arguments: &Arguments, request: &Request) -> anyhow::Result<Exit> {
    let show = arguments.format == Format::Text && !arguments.quiet;
    let mut client = Client::connect(&arguments.socket)?;
    let answer = client.ask(request, |name, text| {
        if show {
            // Whoever reads standard output may be gone; the operation goes on.
            let _ = print(&render::step(name, text));
        }
    })?;
    match arguments.format {
        Format::Text => conclude(arguments, &answer)?,
        format => output::document(format, &render::answer(&answer), String::new)?,
    }
    Ok(answer.failure.as_ref().map_or(Exit::Fine, Exit::of_failure))
}

fn conclude(arguments: &Arguments, answer: &Answer) -> anyhow::Result<()> {
    if let (Some(status), false) = (&answer.status, arguments.quiet) {
        print(&render::conclusion(status))?;
    }
    if let Some(failure) = &answer.failure {
        show_failure(failure);
        if let Some(status) = &answer.status {
            eprintln!("hint: {}", status.next_step);
        }
    }
    Ok(())
}

fn report(arguments: &Arguments, cause: Option<&ClientError>, error: &anyhow::Error) {
    if let (Format::Json, Some(ClientError::Refused(failure))) = (arguments.format, cause) {
        let _ = print(&serde_json::json!({"status": null, "failure": failure}).to_string());
    }
    match cause {
        Some(ClientError::Refused(failure)) => show_failure(failure),
        _ => eprintln!("error: {error:#}"),
    }
}

fn show_failure(failure: &Failure) {
    eprintln!("error[{}]: {}", failure.code, failure.message);
}
