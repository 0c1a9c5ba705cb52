//! `livepatch-admin rollout simulate`: the server's own engine against a fleet in virtual time. Needs no server.

use crate::{
    arguments::{Format, Simulate},
    output,
};
use anyhow::{Context as _, Result};
use livepatch_rollout::{Fault, Profile, Simulation, Spread, Summary, simulate as run, summarise};
use serde::Serialize;
use std::{fs, path::Path};

/// A profile has some hundred bytes.
const LARGEST_PROFILE: u64 = 64 << 10;

/// The answer.
#[derive(Serialize)]
struct Report<'a> {
    profile: &'a str,
    machines: u32,
    crash: f64,
    #[serde(flatten)]
    summary: Summary,
}

pub(crate) fn simulate(format: Format, wish: &Simulate) -> Result<()> {
    let profile = profile(&wish.profile)?;
    let simulation = Simulation {
        machines: wish.machines,
        builds: wish.builds,
        poll_every: wish.poll_every.as_seconds()?,
        soak: wish.soak.as_seconds()?,
        fault: Fault {
            crash: wish.crash,
            crash_after: f64::from(wish.crash_after.as_seconds()?),
            never_back: wish.never_back,
            oops: wish.oops,
            stalled: wish.stalled,
            failed_load: wish.failed_load,
        },
        seed: wish.seed,
        ..Simulation::default()
    };
    let seeds = wish.seed..wish.seed.saturating_add(u64::from(wish.runs));
    let outcomes: Vec<_> =
        seeds.map(|seed| run(&profile, &Simulation { seed, ..simulation.clone() })).collect();
    let summary = summarise(&outcomes).context("no run, no figures: --runs must be at least 1")?;
    if format == Format::Json {
        let (machines, crash) = (wish.machines, wish.crash);
        return output::json(&Report { profile: &profile.name, machines, crash, summary });
    }
    output::table(&["what", "mean", "median", "95 %", "most"], rows(&summary, wish.machines), "")?;
    output::line(&format!(
        "{} of {} runs were halted, {} went through.",
        summary.halted, summary.runs, summary.complete
    ))
}

fn profile(wish: &str) -> Result<Profile> {
    let path = Path::new(wish);
    if !path.is_file() {
        return Ok(Profile::named(wish)?);
    }
    let size = fs::metadata(path)?.len();
    anyhow::ensure!(size <= LARGEST_PROFILE, "{wish} has {size} bytes: that is no profile");
    let profile: Profile = serde_json::from_slice(&fs::read(path)?)
        .with_context(|| format!("{wish} is no profile; livepatch-admin rollout profile normal shows one"))?;
    profile.check().with_context(|| wish.to_owned())?;
    Ok(profile)
}

/// The profile as a request carries it: by name, or whole when it comes from a file.
pub(super) fn wished_profile(wish: &str) -> Result<serde_json::Value> {
    let profile = profile(wish)?;
    if Path::new(wish).is_file() { Ok(serde_json::to_value(profile)?) } else { Ok(profile.name.into()) }
}

fn rows(summary: &Summary, machines: u32) -> Vec<Vec<String>> {
    let counted = |name: &str, spread: &Spread| row(name, spread, |count| format!("{count:.1}"));
    let share = |name: &str, spread: &Spread| {
        row(name, spread, |count| format!("{:.4} %", 100.0 * count / f64::from(machines.max(1))))
    };
    let hours =
        |name: &str, spread: &Spread| row(name, spread, |seconds| format!("{:.1} h", seconds / 3600.0));
    let mut rows = vec![
        counted("machines hit", &summary.hit),
        share("share of the fleet", &summary.hit),
        counted("machines given it", &summary.given),
        share("share of the fleet", &summary.given),
    ];
    rows.extend(summary.seconds_to_halt.as_ref().map(|spread| hours("until the halt", spread)));
    rows.extend(summary.seconds_to_complete.as_ref().map(|spread| hours("until everybody", spread)));
    rows
}

fn row(name: &str, spread: &Spread, show: impl Fn(f64) -> String) -> Vec<String> {
    vec![name.to_owned(), show(spread.mean), show(spread.median), show(spread.p95), show(spread.max)]
}

/// A profile, to be changed and given to `--profile` as a file.
pub(crate) fn show_profile(name: &str) -> Result<()> {
    output::json(&profile(name)?)
}
