//! `livepatch`: what a machine's owner types. It only talks to `livepatchd`; it neither reads the kernel nor the network.

mod arguments;
mod exit;
mod generate;
mod render;

use crate::{
    arguments::{Arguments, BlockedCommand, Command, Format},
    exit::Exit,
};
use anyhow::Context as _;
use clap::Parser as _;
use livepatch_agent::{Answer, Client, ClientError, Failure, Request};
use livepatch_api::EnrolmentToken;
use std::{io::Write as _, process::ExitCode};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let exit = run(&arguments).unwrap_or_else(|error| {
        let cause = error.downcast_ref::<ClientError>();
        report(&arguments, cause, &error);
        cause.map_or(Exit::Failed, Exit::of_error)
    });
    exit.into()
}

fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    match &arguments.command {
        Command::Status => status(arguments),
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
        Command::Blocked(BlockedCommand::List) => blocked(arguments),
        Command::Blocked(BlockedCommand::Clear { digest }) => {
            let digest = digest.clone();
            change(arguments, &Request::ClearBlocked { digest })
        }
        Command::Completions { shell } => generate::completions(*shell).map(|()| Exit::Fine),
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

fn status(arguments: &Arguments) -> anyhow::Result<Exit> {
    let answer = Client::connect(&arguments.socket)?.ask(&Request::GetStatus, |_, _| {})?;
    let status = answer.status.context("livepatchd sent no status")?;
    match arguments.format {
        Format::Json => print(&serde_json::to_string_pretty(&status)?)?,
        Format::Text => print(&render::status(&status, jiff::Timestamp::now()))?,
    }
    Ok(Exit::of_state(status.state))
}

fn blocked(arguments: &Arguments) -> anyhow::Result<Exit> {
    let answer = Client::connect(&arguments.socket)?.ask(&Request::GetStatus, |_, _| {})?;
    let status = answer.status.context("livepatchd sent no status")?;
    match arguments.format {
        Format::Json => print(&serde_json::to_string_pretty(&status.blocked)?)?,
        Format::Text => print(&render::blocked(&status.blocked))?,
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
        Format::Json => print(&render::answer_as_json(&answer)?)?,
        Format::Text => conclude(arguments, &answer)?,
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

fn print(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{}", text.trim_end()).context("cannot write to standard output")
}
