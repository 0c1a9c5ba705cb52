//! `livepatch-admin hook`: programs that are told what happened.

use crate::{access, arguments::Format, output, server::Server};
use anyhow::Result;
use clap::Subcommand;
use livepatch_api::{HookCreated, HookEvent, HookRequest, HookSummary, paths};

#[derive(Debug, Subcommand)]
pub(crate) enum HookCommand {
    /// Tell a program from now on. Prints the secret that its messages are signed with, this once.
    Create {
        /// What to call it.
        #[arg(value_name = "NAME")]
        name: String,
        /// Where to POST to.
        #[arg(long, value_name = "URL")]
        url: String,
        /// Only of this: publish, promote, halt, resume or machine-failed; may be given again.
        #[arg(long = "event", value_name = "EVENT")]
        events: Vec<HookEvent>,
    },
    /// Show the hooks, and how many messages wait.
    List,
    /// Tell it nothing more; what waits is not sent.
    Remove {
        /// Its id.
        #[arg(value_name = "ID")]
        id: String,
    },
}

pub(crate) fn run(server: &Server, format: Format, command: &HookCommand) -> Result<()> {
    match command {
        HookCommand::List => list(format, server.get(paths::ADMIN_HOOKS)?),
        HookCommand::Remove { id } => {
            list(format, server.post(&access::act_on(paths::ADMIN_HOOKS, id, "remove"), &access::NOTHING)?)
        }
        HookCommand::Create { name, url, events } => {
            let request = HookRequest { name: name.clone(), url: url.clone(), events: events.clone() };
            let created: HookCreated = server.post(paths::ADMIN_HOOKS, &request)?;
            if format == Format::Json {
                return output::json(&created);
            }
            // The secret alone, so that it can go into a file.
            output::line(&created.secret)?;
            output::note(&format!(
                "hook {} ({name}); its messages are signed with this secret, shown this once",
                created.id
            ));
            Ok(())
        }
    }
}

fn list(format: Format, hooks: Vec<HookSummary>) -> Result<()> {
    if format == Format::Json {
        return output::json(&hooks);
    }
    let rows = hooks.into_iter().map(|hook| {
        let events: Vec<_> = hook.events.iter().map(|event| event.as_str()).collect();
        vec![
            hook.id,
            hook.name,
            hook.url,
            events.join(", "),
            hook.waiting.to_string(),
            hook.given_up.to_string(),
        ]
    });
    output::table(
        &["id", "name", "url", "events", "waiting", "given up"],
        rows.collect(),
        "There are no hooks.",
    )
}
