//! The command line of `livepatch-admin rollout`.

use super::window::WindowText;
use crate::period::Period;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum RolloutCommand {
    /// Bring published livepatches to a tier, stage by stage.
    Begin(Begin),
    /// Show the rollouts.
    List,
    /// Show a rollout: its kernel builds, what machines reported, why it was halted.
    Show {
        /// The rollout's name.
        #[arg(value_name = "RELEASE")]
        release: String,
    },
    /// Stop a rollout: nobody new gets the release. Machines hear of it at their next poll.
    Halt(Order),
    /// Let a halted rollout go on; what was seen so far is accepted.
    Resume(Order),
    /// Take a release back for good: no machine loads it any more.
    Withdraw(Order),
    /// How many machines would a bad livepatch hit before it is stopped? Needs no server.
    Simulate(Simulate),
    /// Show a profile as JSON, to be changed and given to --profile as a file.
    Profile {
        /// emergency, normal, cautious or one-machine-first.
        #[arg(default_value = "normal")]
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Begin {
    /// What to call it; the order of machines depends on it.
    #[arg(value_name = "RELEASE")]
    pub(crate) release: String,
    /// Names of published livepatches, one for each kernel build.
    #[arg(value_name = "LIVEPATCH", required = true)]
    pub(crate) livepatches: Vec<String>,
    /// The last tier to bring them to.
    #[arg(long, value_name = "TIER")]
    pub(crate) to: String,
    /// How carefully: emergency, normal, cautious, one-machine-first, or a file.
    #[arg(long, value_name = "PROFILE", default_value = "normal")]
    pub(crate) profile: String,
    /// When machines may apply, UTC, such as 'sat,sun 02:00+4h'; may be given again; always by default.
    #[arg(long = "window", value_name = "WINDOW")]
    pub(crate) windows: Vec<WindowText>,
    /// Take the release back when a signal halts the rollout.
    #[arg(long)]
    pub(crate) withdraw_on_halt: bool,
    /// Print the request and send nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Order {
    /// The rollout's name.
    #[arg(value_name = "RELEASE")]
    pub(crate) release: String,
    /// Why; others will read it next to what happened.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// How carefully: emergency, normal, cautious, one-machine-first, or a file.
    #[arg(long, value_name = "PROFILE", default_value = "normal")]
    pub(crate) profile: String,
    /// Machines in the fleet.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) machines: u32,
    /// Kernel builds in the fleet: half of the machines run the first, half of the rest the second, and so on.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) builds: u32,
    /// Time between two polls of a machine.
    #[arg(long, value_name = "PERIOD", default_value = "1h")]
    pub(crate) poll_every: Period,
    /// For how long a machine watches a new livepatch.
    #[arg(long, value_name = "PERIOD", default_value = "15m")]
    pub(crate) soak: Period,
    /// Share of the machines that the livepatch crashes, such as 0.01.
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, value_parser = share)]
    pub(crate) crash: f64,
    /// Mean time from apply to crash.
    #[arg(long, value_name = "PERIOD", default_value = "5m")]
    pub(crate) crash_after: Period,
    /// Share of the crashed machines that do not come back by themselves.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) never_back: f64,
    /// Share of the machines on which it causes an oops or a warning.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) oops: f64,
    /// Share of the machines on which its transition stalls.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) stalled: f64,
    /// Share of the machines whose kernel refuses it.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) failed_load: f64,
    /// How often to run, each time with machines in another order.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) runs: u32,
    /// The first run's seed; the same seed gives the same figures.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// From 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "a number from 0 to 1 expected".to_owned())?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("a number from 0 to 1 expected".to_owned()) }
}
