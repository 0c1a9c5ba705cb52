//! `livepatch-admin approval`: one of the two people that a guarded tier wants.

use crate::{arguments::Format, output, server::Server};
use anyhow::Result;
use clap::Subcommand;
use livepatch_api::{ApprovalRequest, ApprovalSummary, ApprovalTakeBack, paths};

#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalCommand {
    /// Approve a published livepatch for a tier, so that somebody else may take it there.
    Add {
        /// Name of the livepatch.
        #[arg(value_name = "NAME")]
        livepatch: String,
        /// The tier.
        #[arg(long, value_name = "TIER")]
        tier: String,
        /// What you looked at; stands in the audit log.
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Show who has approved what.
    List,
    /// Take your own approval back. What was done by it stays.
    TakeBack {
        /// Name of the livepatch.
        #[arg(value_name = "NAME")]
        livepatch: String,
        /// The tier.
        #[arg(long, value_name = "TIER")]
        tier: String,
    },
}

pub(crate) fn run(server: &Server, format: Format, command: &ApprovalCommand) -> Result<()> {
    let list = match command {
        ApprovalCommand::Add { livepatch, tier, reason } => {
            let request =
                ApprovalRequest { livepatch: livepatch.clone(), tier: tier.clone(), reason: reason.clone() };
            server.post(paths::ADMIN_APPROVALS, &request)?
        }
        ApprovalCommand::List => server.get(paths::ADMIN_APPROVALS)?,
        ApprovalCommand::TakeBack { livepatch, tier } => {
            let request = ApprovalTakeBack { livepatch: livepatch.clone(), tier: tier.clone() };
            server.post(&format!("{}/take-back", paths::ADMIN_APPROVALS), &request)?
        }
    };
    show(format, list)
}

fn show(format: Format, list: Vec<ApprovalSummary>) -> Result<()> {
    if format == Format::Json {
        return output::json(&list);
    }
    let rows = list.into_iter().map(|one| vec![one.livepatch, one.tier, one.actor, one.created, one.reason]);
    output::table(&["livepatch", "tier", "by", "at", "reason"], rows.collect(), "Nothing is approved.")
}
