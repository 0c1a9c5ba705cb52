//! `livepatch-admin tier`, `block`: the order of machines, and what is kept from them.

use crate::{access, arguments::Format, output, period::Period, server::Server};
use anyhow::Result;
use clap::{Args, Subcommand};
use livepatch_api::{BlockKind, BlockRequest, BlockSummary, TierChange, TierSummary, paths};

#[derive(Debug, Subcommand)]
pub(crate) enum TierCommand {
    /// Show the tiers in their order, and what belongs to each.
    List,
    /// Make a tier. Nothing is available to it before it is promoted.
    Create {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
        /// The tier that it comes after; it comes first without one.
        #[arg(long, value_name = "TIER")]
        after: Option<String>,
    },
    /// Give a tier another name; machines, tokens and livepatches go with it.
    Rename {
        /// As it is.
        #[arg(value_name = "NAME")]
        name: String,
        /// As it shall be.
        #[arg(value_name = "NEW")]
        to: String,
    },
    /// Put the tiers into another order, for promotions from now on.
    Reorder {
        /// All of them, in the new order.
        #[arg(value_name = "TIER", required = true)]
        names: Vec<String>,
    },
    /// Take a tier away.
    #[command(visible_alias = "delete")]
    Remove {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
        /// The tier that its machines and tokens go to.
        #[arg(long, value_name = "TIER")]
        move_to: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum BlockCommand {
    /// Block a livepatch or a kernel for every machine, or every livepatch for one machine or those with a tag.
    Add(BlockAdd),
    /// Show the blocks that hold.
    List,
    /// Lift a block.
    Lift {
        /// Its id.
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct BlockAdd {
    /// patch, kernel, machine or tag.
    #[arg(value_name = "KIND")]
    pub(crate) kind: BlockKind,
    /// Name of the livepatch, release or build id of the kernel, id of the machine, or the tag.
    #[arg(value_name = "SUBJECT")]
    pub(crate) subject: String,
    /// Why; others read it next to what is blocked.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// When it ends by itself, such as 12h or 7d; when it is lifted by default.
    #[arg(long, value_name = "PERIOD")]
    pub(crate) expires: Option<Period>,
    /// Print the request and send nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

pub(crate) fn tiers(server: &Server, format: Format, command: &TierCommand) -> Result<()> {
    let change = match command {
        TierCommand::List => return list(format, server.get(paths::ADMIN_TIERS)?),
        TierCommand::Create { name, after } => {
            TierChange::Create { name: name.clone(), after: after.clone() }
        }
        TierCommand::Rename { name, to } => TierChange::Rename { name: name.clone(), to: to.clone() },
        TierCommand::Reorder { names } => TierChange::Reorder { names: names.clone() },
        TierCommand::Remove { name, move_to } => {
            TierChange::Remove { name: name.clone(), move_to: move_to.clone() }
        }
    };
    list(format, server.post(paths::ADMIN_TIERS, &change)?)
}

fn list(format: Format, tiers: Vec<TierSummary>) -> Result<()> {
    if format == Format::Json {
        return output::json(&tiers);
    }
    let rows = tiers.into_iter().map(|tier| {
        let counts = [tier.machines, tier.tokens, tier.livepatches].map(|count| count.to_string());
        [vec![tier.name], counts.to_vec()].concat()
    });
    output::table(&["tier", "machines", "tokens", "livepatches"], rows.collect(), "There are no tiers.")
}

pub(crate) fn blocks(server: &Server, format: Format, command: &BlockCommand) -> Result<()> {
    match command {
        BlockCommand::List => list_blocks(format, server.get(paths::ADMIN_BLOCKS)?),
        BlockCommand::Lift { id } => {
            let path = access::act_on(paths::ADMIN_BLOCKS, id, "lift");
            list_blocks(format, server.post(&path, &access::NOTHING)?)
        }
        BlockCommand::Add(wish) => {
            let request = BlockRequest {
                kind: wish.kind,
                subject: wish.subject.clone(),
                reason: wish.reason.clone(),
                expires_after: wish.expires.map(|period| period.0),
            };
            if wish.dry_run {
                return output::json(&request);
            }
            list_blocks(format, server.post(paths::ADMIN_BLOCKS, &request)?)
        }
    }
}

fn list_blocks(format: Format, blocks: Vec<BlockSummary>) -> Result<()> {
    if format == Format::Json {
        return output::json(&blocks);
    }
    let rows = blocks.into_iter().map(|block| {
        let expires = block.expires.unwrap_or_else(|| "when lifted".to_owned());
        vec![block.id, block.kind.to_string(), block.subject, block.reason, block.actor, expires]
    });
    output::table(&["id", "kind", "what", "reason", "by", "ends"], rows.collect(), "Nothing is blocked.")
}
