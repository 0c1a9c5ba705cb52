//! `livepatch mitigation`: the daemon knows which are issued, wanted and needed; this program, run by root, carries it out, since
//! the daemon may write nothing but its own state.

use crate::{
    arguments::{Arguments, Format, MitigationCommand},
    exit::Exit,
    output, render,
};
use anyhow::Context as _;
use livepatch_agent::{Client, MitigationList, MitigationState, MitigationStatus, Question, Request};
use livepatch_host::Host;
use std::path::Path;

pub(crate) fn run(arguments: &Arguments, command: &MitigationCommand) -> anyhow::Result<Exit> {
    match command {
        MitigationCommand::List => {
            let list = ask(arguments)?;
            output::document(arguments.format, &list, || render::mitigations(&list))?;
            Ok(Exit::Fine)
        }
        MitigationCommand::Apply { name, place } => {
            decide(arguments, name, true)?;
            settle(arguments, &place.root)
        }
        MitigationCommand::Retire { name, place } => {
            decide(arguments, name, false)?;
            settle(arguments, &place.root)
        }
        MitigationCommand::Settle { place } => settle(arguments, &place.root),
    }
}

fn ask(arguments: &Arguments) -> anyhow::Result<MitigationList> {
    Ok(Client::connect(&arguments.socket)?.question(Question::Mitigations)?)
}

fn decide(arguments: &Arguments, name: &str, wanted: bool) -> anyhow::Result<()> {
    let request = Request::DecideMitigation { name: name.to_owned(), wanted };
    Client::connect(&arguments.socket)?.ask(&request, |_, _| {})?;
    Ok(())
}

/// Brings the machine to where the owner's word and the vulnerabilities want it, then shows what holds. One that cannot be carried out
/// does not keep the others.
fn settle(arguments: &Arguments, root: &Path) -> anyhow::Result<Exit> {
    let host = Host::new(root);
    let mut failed = None;
    for mitigation in ask(arguments)?.mitigations {
        if let Err(error) = carry_out(arguments, &host, &mitigation) {
            eprintln!("error: mitigation {}: {error:#}", mitigation.name);
            failed = Some(Exit::Failed);
        }
    }
    let list = ask(arguments)?;
    output::document(arguments.format, &list, || render::mitigations(&list))?;
    let waits =
        |one: &MitigationStatus| matches!(one.state, MitigationState::Wanted | MitigationState::ToRetire);
    let waiting = list.mitigations.iter().any(waits).then_some(Exit::Attention);
    Ok(failed.or(waiting).unwrap_or(Exit::Fine))
}

fn carry_out(arguments: &Arguments, host: &Host, status: &MitigationStatus) -> anyhow::Result<()> {
    let done = match status.state {
        MitigationState::Wanted => {
            let issued = status.issued.as_ref().context("the daemon does not say what it is")?;
            // The daemon is not root: what root carries out is checked by who carries it out.
            issued.check()?;
            host.put_in_force(issued)?;
            "is put in force".to_owned()
        }
        MitigationState::ToRetire => {
            let stay = host.take_back(&status.name)?;
            if stay.is_empty() {
                "is taken back".to_owned()
            } else {
                format!("is taken back; until the next boot the kernel keeps {}", stay.join(", "))
            }
        }
        _ => return Ok(()),
    };
    if arguments.format == Format::Text && !arguments.quiet {
        output::print(&render::step("mitigation", &format!("{} {done}", status.name)))?;
    }
    Ok(())
}
