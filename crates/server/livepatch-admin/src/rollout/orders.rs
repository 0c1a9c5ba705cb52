//! `livepatch-admin rollout begin`, `list`, `show`, `halt`, `resume`, `withdraw`.

use super::arguments::{Begin, RolloutCommand};
use crate::{access::one_of, arguments::Format, output, server::Server};
use anyhow::{Context as _, Result};
use livepatch_api::{RolloutOrder, RolloutRequest, RolloutVerb, RolloutView, paths};
use std::fmt::Write as _;

pub(crate) fn run(server: &Server, format: Format, command: &RolloutCommand) -> Result<()> {
    match command {
        RolloutCommand::Begin(wish) => begin(server, format, wish),
        RolloutCommand::List => list(server, format),
        RolloutCommand::Show { release } => show(format, &server.get(&at(release))?),
        RolloutCommand::Halt(order) => send(server, format, &order.release, RolloutVerb::Halt, &order.reason),
        RolloutCommand::Resume(order) => {
            send(server, format, &order.release, RolloutVerb::Resume, &order.reason)
        }
        RolloutCommand::Withdraw(order) => {
            send(server, format, &order.release, RolloutVerb::Withdraw, &order.reason)
        }
        // These need no server, and were done before.
        RolloutCommand::Simulate(_) | RolloutCommand::Profile { .. } => Ok(()),
    }
}

fn begin(server: &Server, format: Format, wish: &Begin) -> Result<()> {
    let request = RolloutRequest {
        release: wish.release.clone(),
        livepatches: wish.livepatches.clone(),
        tier: wish.to.clone(),
        profile: super::simulate::wished_profile(&wish.profile)?,
        windows: wish.windows.iter().map(|window| window.0.clone()).collect(),
        withdraw_on_halt: wish.withdraw_on_halt,
    };
    if wish.dry_run {
        return output::json(&request);
    }
    show(format, &server.post(paths::ADMIN_ROLLOUTS, &request)?)
}

fn list(server: &Server, format: Format) -> Result<()> {
    let rollouts: Vec<RolloutView> = server.get(paths::ADMIN_ROLLOUTS)?;
    if format == Format::Json {
        return output::json(&rollouts);
    }
    let rows = rollouts.into_iter().map(|rollout| {
        let sum = |count: fn(&livepatch_api::RolloutBuild) -> u32| {
            rollout.builds.iter().map(count).sum::<u32>().to_string()
        };
        let (machines, admitted, soaked) =
            (sum(|build| build.machines), sum(|build| build.admitted), sum(|build| build.soaked));
        let why =
            rollout.halts.last().filter(|_| rollout.state != "running").map(|halt| halt.summary.clone());
        vec![
            rollout.release,
            rollout.state,
            rollout.profile,
            rollout.tiers.join(", "),
            machines,
            admitted,
            soaked,
            why.unwrap_or_default(),
        ]
    });
    let header = ["release", "state", "profile", "tiers", "machines", "let in", "soaked", "why"];
    output::table(&header, rows.collect(), "There are no rollouts.")
}

fn send(server: &Server, format: Format, release: &str, order: RolloutVerb, reason: &str) -> Result<()> {
    show(format, &server.post(&at(release), &RolloutOrder { order, reason: reason.to_owned() })?)
}

fn show(format: Format, rollout: &RolloutView) -> Result<()> {
    if format == Format::Json {
        return output::json(rollout);
    }
    output::line(&format!(
        "{} is {}: {} to {}, since {}",
        rollout.release,
        rollout.state,
        rollout.profile,
        rollout.tiers.join(", "),
        rollout.started
    ))?;
    let rows = rollout.builds.iter().map(|build| {
        let signals: Vec<_> = build.signals.iter().map(|(name, count)| format!("{name} {count}")).collect();
        vec![
            build.livepatch.clone(),
            build.state.clone(),
            format!("{} of {}", build.stage, build.stages),
            build.machines.to_string(),
            build.admitted.to_string(),
            build.given.to_string(),
            build.soaked.to_string(),
            signals.join(", "),
        ]
    });
    let header = ["livepatch", "state", "stage", "machines", "let in", "given", "soaked", "signals"];
    output::table(&header, rows.collect(), "It has no modules.")?;
    for halt in &rollout.halts {
        let mut text = format!("{}: {}", halt.at, halt.summary);
        if !halt.machines.is_empty() {
            write!(text, "; machines: {}", halt.machines.join(", ")).context("cannot write")?;
        }
        output::line(&text)?;
    }
    Ok(())
}

fn at(release: &str) -> String {
    one_of(paths::ADMIN_ROLLOUTS, release)
}
