//! Operations about machines, and what is kept from them.

use super::{Operations, act, one};
use crate::{
    openapi::operators,
    routes::{blocks, machines, tiers, tokens},
};
use aide::axum::{
    ApiRouter,
    routing::{get_with, post_with},
};
use livepatch_api::{
    ErrorCode::{Conflict, NotFound},
    paths,
};

/// Tokens, machines, tiers, blocks.
pub(super) fn fleet_operations() -> Operations {
    ApiRouter::new()
        .api_route(
            paths::ADMIN_TOKENS,
            post_with(
                tokens::create,
                operators(
                    "create-token",
                    "Make an enrolment token; it is shown this once",
                    "livepatch-admin token create",
                    &[Conflict],
                ),
            )
            .get_with(
                tokens::list,
                operators("list-tokens", "The enrolment tokens", "livepatch-admin token list", &[]),
            ),
        )
        .api_route(
            &act(paths::ADMIN_TOKENS, "id", "revoke"),
            post_with(
                tokens::revoke,
                operators(
                    "revoke-token",
                    "Take an enrolment token back",
                    "livepatch-admin token revoke",
                    &[],
                ),
            ),
        )
        .api_route(
            paths::ADMIN_MACHINES,
            get_with(
                machines::list,
                operators(
                    "list-machines",
                    "The machines and their state",
                    "livepatch-admin machine list",
                    &[],
                ),
            ),
        )
        .api_route(
            &one(paths::ADMIN_MACHINES, "id"),
            get_with(
                machines::show,
                operators("show-machine", "A machine with its history", "livepatch-admin machine show", &[]),
            ),
        )
        .api_route(
            &act(paths::ADMIN_MACHINES, "id", "revoke"),
            post_with(
                machines::revoke,
                operators(
                    "revoke-machine",
                    "Take a machine's credential back, at once",
                    "livepatch-admin machine revoke",
                    &[],
                ),
            ),
        )
        .api_route(
            paths::ADMIN_TIERS,
            post_with(
                tiers::change,
                operators(
                    "change-tiers",
                    "Create, rename, reorder or remove tiers",
                    "livepatch-admin tier create",
                    &[Conflict],
                ),
            )
            .get_with(
                tiers::list,
                operators("list-tiers", "The tiers, in their order", "livepatch-admin tier list", &[]),
            ),
        )
        .api_route(
            paths::ADMIN_BLOCKS,
            post_with(
                blocks::create,
                operators(
                    "create-block",
                    "Block a livepatch, a kernel, a machine or a tag",
                    "livepatch-admin block add",
                    &[Conflict, NotFound],
                ),
            )
            .get_with(
                blocks::list,
                operators("list-blocks", "The blocks that hold", "livepatch-admin block list", &[]),
            ),
        )
        .api_route(
            &act(paths::ADMIN_BLOCKS, "id", "lift"),
            post_with(
                blocks::lift,
                operators("lift-block", "Lift a block", "livepatch-admin block lift", &[]),
            ),
        )
}
