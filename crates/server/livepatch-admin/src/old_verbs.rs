//! The verbs of the Canonical Livepatch admin tool, for scripts that were written for it: each does what its name says with
//! this server's own means. They are hidden; the help shows this tool's own verbs.

use crate::{
    arguments::{Format, TokenCreate},
    commands, output,
    server::Server,
};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use livepatch_api::{
    AnchorView, LivepatchSummary, MachineSummary, PatchState, PromoteAllRequest, PublishAnswer, TierSummary,
    paths,
};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Subcommand)]
pub(crate) enum PatchCommand {
    /// Promote every livepatch of this version to a tier.
    Promote {
        /// The version, or a livepatch's name.
        version: String,
        /// The tier.
        tier: String,
    },
    /// Promote everything that one tier has to another.
    PromoteAll {
        /// What this tier has …
        from: String,
        /// … this one gets.
        to: String,
    },
    /// Show what is published.
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StorageCommand {
    /// Show what is published.
    Patches,
    /// There is nothing to read in again here: bundles come by `bundle import`.
    Refresh,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// How many machines of a tier have a version applied, and how many failed.
    PatchHealth {
        /// The tier.
        tier: String,
        /// The version.
        version: u32,
    },
    /// The machines of a tier, with a version and in a state where those are given.
    Machines {
        /// The tier.
        tier: String,
        /// The version that is applied.
        version: Option<u32>,
        /// The state, such as applied.
        state: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SyncTokensCommand {
    /// Print what the operator of a downstream server types to follow a tier of this one.
    Add {
        /// The tier to be followed.
        tier: String,
        /// What this server is to be called there.
        name: String,
        /// Taken, and without meaning: what is pinned does not expire.
        #[arg(long)]
        valid_until: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AuthToken {
    /// Who it is for; the token's note.
    id: String,
    /// The tier of the machines that enrol with it.
    tier: String,
}

/// How a version fares in a tier.
#[derive(Debug, Serialize)]
struct Health {
    tier: String,
    version: u32,
    machines: usize,
    applied: usize,
    states: BTreeMap<String, usize>,
}

/// There is no session: the key goes with each request. Says whether it is taken.
pub(crate) fn login(server: &Server) -> Result<()> {
    let _: Vec<TierSummary> = server.get(paths::ADMIN_TIERS)?;
    output::note("the server takes the key of --key-file; there is nothing to log in to");
    Ok(())
}

pub(crate) fn auth_token(server: &Server, format: Format, wish: &AuthToken) -> Result<()> {
    let token = TokenCreate {
        tier: wish.tier.clone(),
        uses: None,
        expires: None,
        note: wish.id.clone(),
        tags: Vec::new(),
    };
    commands::create_token(server, format, &token)
}

pub(crate) fn patch(server: &Server, format: Format, command: &PatchCommand) -> Result<()> {
    match command {
        PatchCommand::List => commands::list_livepatches(format, server.get(paths::ADMIN_LIVEPATCHES)?),
        PatchCommand::PromoteAll { from, to } => promote_all(server, format, from, to),
        PatchCommand::Promote { version, tier } => {
            let all: Vec<LivepatchSummary> = server.get(paths::ADMIN_LIVEPATCHES)?;
            let names: Vec<String> = all
                .into_iter()
                .map(|livepatch| livepatch.manifest)
                .filter(|manifest| manifest.name == *version || manifest.version.to_string() == *version)
                .map(|manifest| manifest.name)
                .collect();
            if names.is_empty() {
                bail!(
                    "no livepatch has the version or name {version}; livepatch-admin livepatch list shows what is published"
                );
            }
            for name in names {
                commands::promote(server, format, &name, tier)?;
            }
            Ok(())
        }
    }
}

/// Everything that one tier has becomes available to another.
pub(crate) fn promote_all(server: &Server, format: Format, from: &str, to: &str) -> Result<()> {
    let request = PromoteAllRequest { from: from.to_owned(), tier: to.to_owned() };
    let answers: Vec<PublishAnswer> = server.post(paths::ADMIN_PROMOTE_ALL, &request)?;
    if format == Format::Json {
        return output::json(&answers);
    }
    if answers.is_empty() {
        return output::line(&format!("{to} has all that {from} has already"));
    }
    answers.iter().try_for_each(|answer| commands::show(format, "promoted", answer))
}

pub(crate) fn storage(server: &Server, format: Format, command: &StorageCommand) -> Result<()> {
    match command {
        StorageCommand::Patches => commands::list_livepatches(format, server.get(paths::ADMIN_LIVEPATCHES)?),
        StorageCommand::Refresh => {
            output::note(
                "nothing is to be read in again; livepatch-admin bundle import takes in what was carried here",
            );
            Ok(())
        }
    }
}

pub(crate) fn report(server: &Server, format: Format, command: &ReportCommand) -> Result<()> {
    let machines: Vec<MachineSummary> = server.get(paths::ADMIN_MACHINES)?;
    let has = |machine: &MachineSummary, version: u32| {
        machine.applied.as_ref().is_some_and(|applied| applied.version == version)
    };
    match command {
        ReportCommand::Machines { tier, version, state } => {
            let wanted = machines.into_iter().filter(|machine| {
                machine.tier == *tier
                    && version.is_none_or(|version| has(machine, version))
                    && state.as_ref().is_none_or(|state| commands::word(&machine.state) == *state)
            });
            commands::list_machines(format, wanted.collect())
        }
        ReportCommand::PatchHealth { tier, version } => {
            let of_tier: Vec<_> = machines.into_iter().filter(|machine| machine.tier == *tier).collect();
            let mut states = BTreeMap::new();
            for machine in &of_tier {
                *states.entry(commands::word(&machine.state)).or_default() += 1;
            }
            let applied = of_tier
                .iter()
                .filter(|machine| has(machine, *version) && machine.state == PatchState::Applied)
                .count();
            let health =
                Health { tier: tier.clone(), version: *version, machines: of_tier.len(), applied, states };
            if format == Format::Json {
                return output::json(&health);
            }
            let rows = health.states.iter().map(|(state, count)| vec![state.clone(), count.to_string()]);
            output::line(&format!(
                "version {version} is applied on {applied} of {} machines in {tier}",
                of_tier.len()
            ))?;
            output::table(&["state", "machines"], rows.collect(), "The tier has no machines.")
        }
    }
}

pub(crate) fn sync_tokens(server: &Server, format: Format, command: &SyncTokensCommand) -> Result<()> {
    let SyncTokensCommand::Add { tier, name, .. } = command;
    let tiers: Vec<TierSummary> = server.get(paths::ADMIN_TIERS)?;
    if !tiers.iter().any(|known| known.name == *tier) {
        bail!("there is no tier {tier}; livepatch-admin tier list shows what there is");
    }
    let anchor: AnchorView = server.get(paths::ADMIN_TRUST_ANCHOR)?;
    if format == Format::Json {
        return output::json(&anchor);
    }
    let url = server.url();
    output::line(&format!(
        "livepatch-admin upstream add {name} --url {url} --anchor {} --tier {tier}",
        anchor.sha256
    ))
}
