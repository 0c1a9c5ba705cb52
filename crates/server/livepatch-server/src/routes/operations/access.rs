//! Operations about who may do what, and who did what.

use super::{Operations, act};
use crate::{
    openapi::operators,
    routes::{access, users, web},
};
use aide::axum::{
    ApiRouter,
    routing::{get_with, post_with},
};
use livepatch_api::{ErrorCode::Conflict, paths};

/// Keys, users, sign-ins, the audit log.
pub(super) fn access_operations() -> Operations {
    ApiRouter::new()
        .api_route(
            paths::ADMIN_KEYS,
            post_with(
                access::create_key,
                operators(
                    "create-key",
                    "Make an API key; it is shown this once",
                    "livepatch-admin key create",
                    &[Conflict],
                ),
            )
            .get_with(
                access::list_keys,
                operators("list-keys", "The API keys", "livepatch-admin key list", &[]),
            ),
        )
        .api_route(
            &act(paths::ADMIN_KEYS, "id", "revoke"),
            post_with(
                access::revoke_key,
                operators("revoke-key", "Take an API key back, at once", "livepatch-admin key revoke", &[]),
            ),
        )
        .api_route(
            paths::ADMIN_USERS,
            post_with(
                users::create,
                operators(
                    "create-user",
                    "Make a user, who signs in at the dashboard with a password",
                    "livepatch-admin user create",
                    &[Conflict],
                ),
            )
            .get_with(users::list, operators("list-users", "The users", "livepatch-admin user list", &[])),
        )
        .api_route(
            &act(paths::ADMIN_USERS, "name", "password"),
            post_with(
                users::set_password,
                operators(
                    "set-password",
                    "Give a user another password",
                    "livepatch-admin user password",
                    &[],
                ),
            ),
        )
        .api_route(
            &act(paths::ADMIN_USERS, "name", "lock"),
            post_with(
                users::lock,
                operators(
                    "lock-user",
                    "Let a user sign in no more until that is lifted; the sessions end, at once",
                    "livepatch-admin user lock",
                    &[],
                ),
            ),
        )
        .api_route(
            &act(paths::ADMIN_USERS, "name", "unlock"),
            post_with(
                users::unlock,
                operators("unlock-user", "Let a user sign in again", "livepatch-admin user unlock", &[]),
            ),
        )
        .api_route(
            &act(paths::ADMIN_USERS, "name", "remove"),
            post_with(
                users::remove,
                operators(
                    "remove-user",
                    "Take a user away, with the sessions",
                    "livepatch-admin user remove",
                    &[],
                ),
            ),
        )
        .api_route(
            paths::ADMIN_LOGINS,
            post_with(
                web::create_login,
                operators(
                    "create-login",
                    "Make an address that signs in at the dashboard once",
                    "livepatch-admin dashboard login",
                    &[],
                ),
            ),
        )
        .api_route(
            paths::ADMIN_AUDIT,
            get_with(
                access::audit,
                operators("audit", "Who did what, oldest first", "livepatch-admin audit list", &[]),
            ),
        )
}
