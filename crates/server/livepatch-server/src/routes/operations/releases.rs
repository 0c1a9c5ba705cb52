//! Operations about what machines get, and about other sites and programs that take part in it.

use super::{Operations, act, one};
use crate::{
    openapi::operators,
    routes::{
        LARGEST_PUBLISH, approvals, build_documents, certificates, hooks, livepatches, rollouts, tiers,
        upstreams,
    },
};
use aide::axum::{
    ApiRouter,
    routing::{get_with, post_with},
};
use axum::extract::DefaultBodyLimit;
use livepatch_api::{
    ErrorCode::{Conflict, ModuleRefused, NotFound},
    LARGEST_BUILD_DOCUMENT, paths,
};

/// Livepatches, which are large.
pub(super) fn module_operations() -> Operations {
    ApiRouter::new()
        .api_route(
            paths::ADMIN_LIVEPATCHES,
            post_with(
                livepatches::publish,
                operators(
                    "publish-livepatch",
                    "Publish a signed module to a tier and those before it",
                    "livepatch-admin publish",
                    &[Conflict, ModuleRefused],
                ),
            )
            .get_with(
                livepatches::list,
                operators(
                    "list-livepatches",
                    "What is published, and where",
                    "livepatch-admin livepatch list",
                    &[],
                ),
            ),
        )
        .layer(DefaultBodyLimit::max(LARGEST_PUBLISH))
}

/// What people read of the builds that livepatches came from.
pub(super) fn build_document_operations() -> Operations {
    let documents = act(paths::ADMIN_LIVEPATCHES, "name", "documents");
    ApiRouter::new()
        .api_route(
            &documents,
            get_with(
                build_documents::list,
                operators(
                    "list-build-documents",
                    "What the publisher handed in about the build that a livepatch came from",
                    "livepatch-admin livepatch documents",
                    &[],
                ),
            ),
        )
        .api_route(
            &one(&documents, "kind"),
            post_with(
                build_documents::add,
                operators(
                    "add-build-document",
                    "Keep a document of a build, in the place of another one of its kind",
                    "livepatch-admin publish --report",
                    &[Conflict],
                ),
            )
            .get_with(
                build_documents::show,
                operators(
                    "show-build-document",
                    "A document of a build as it was handed in",
                    "livepatch-admin livepatch document",
                    &[],
                ),
            ),
        )
        .layer(DefaultBodyLimit::max(LARGEST_BUILD_DOCUMENT))
}

/// Bundles, which may be of any size.
pub(super) fn bundle_operations() -> Operations {
    ApiRouter::new()
        .api_route(
            &act(paths::ADMIN_UPSTREAMS, "name", "bundle"),
            post_with(
                upstreams::import,
                operators(
                    "import-bundle",
                    "Take a bundle of an upstream in",
                    "livepatch-admin bundle import",
                    &[Conflict],
                ),
            ),
        )
        .layer(DefaultBodyLimit::disable())
}

/// Certificates, promotions, rollouts.
pub(super) fn release_operations() -> Operations {
    ApiRouter::new()
        .api_route(
            paths::ADMIN_CERTIFICATES,
            post_with(
                certificates::add,
                operators(
                    "add-certificate",
                    "Trust a module-signing certificate; again changes nothing",
                    "livepatch-admin certificate add",
                    &[],
                ),
            ),
        )
        .api_route(
            paths::ADMIN_TRUST_ANCHOR,
            get_with(
                certificates::anchor,
                operators(
                    "show-trust-anchor",
                    "The trust anchor as it is now: what tokens and downstream servers pin",
                    "livepatch-admin trust-anchor",
                    &[Conflict],
                ),
            ),
        )
        .api_route(
            paths::ADMIN_PROMOTE,
            post_with(
                livepatches::promote,
                operators(
                    "promote",
                    "Make a livepatch available to a tier and those before it; again changes nothing",
                    "livepatch-admin promote",
                    &[Conflict, NotFound],
                ),
            ),
        )
        .api_route(
            paths::ADMIN_PROMOTE_ALL,
            post_with(
                tiers::promote_all,
                operators(
                    "promote-all",
                    "Make all that a tier has available to another and those before it",
                    "livepatch-admin promote --all-from",
                    &[],
                ),
            ),
        )
        .api_route(
            paths::ADMIN_APPROVALS,
            post_with(
                approvals::add,
                operators(
                    "approve",
                    "Approve a livepatch for a tier that wants two people; again changes nothing",
                    "livepatch-admin approval add",
                    &[NotFound],
                ),
            )
            .get_with(
                approvals::list,
                operators("list-approvals", "The approvals", "livepatch-admin approval list", &[]),
            ),
        )
        .api_route(
            &format!("{}/take-back", paths::ADMIN_APPROVALS),
            post_with(
                approvals::take_back,
                operators(
                    "take-approval-back",
                    "Take one's own approval back",
                    "livepatch-admin approval take-back",
                    &[],
                ),
            ),
        )
        .api_route(
            &act(paths::ADMIN_LIVEPATCHES, "name", "withdraw"),
            post_with(
                livepatches::withdraw,
                operators(
                    "withdraw-livepatch",
                    "Take a livepatch back for good; again changes nothing",
                    "livepatch-admin livepatch withdraw",
                    &[],
                ),
            ),
        )
        .api_route(
            paths::ADMIN_ROLLOUTS,
            post_with(
                rollouts::begin,
                operators(
                    "begin-rollout",
                    "Bring published livepatches to a tier, stage by stage",
                    "livepatch-admin rollout begin",
                    &[Conflict, NotFound],
                ),
            )
            .get_with(
                rollouts::list,
                operators("list-rollouts", "The rollouts, newest first", "livepatch-admin rollout list", &[]),
            ),
        )
        .api_route(
            &one(paths::ADMIN_ROLLOUTS, "release"),
            get_with(
                rollouts::show,
                operators("show-rollout", "A rollout as it stands", "livepatch-admin rollout show", &[]),
            )
            .post_with(
                rollouts::order,
                operators(
                    "order-rollout",
                    "Halt a rollout; or resume or withdraw it, which need a releaser",
                    "livepatch-admin rollout halt",
                    &[Conflict],
                ),
            ),
        )
}

/// Other sites, and programs that are told.
pub(super) fn upstream_operations() -> Operations {
    let upstream = |verb: &str| act(paths::ADMIN_UPSTREAMS, "name", verb);
    ApiRouter::new()
        .api_route(
            paths::ADMIN_UPSTREAMS,
            post_with(
                upstreams::add,
                operators(
                    "add-upstream",
                    "Follow a site; again with the same name replaces",
                    "livepatch-admin upstream add",
                    &[Conflict],
                ),
            )
            .get_with(
                upstreams::list,
                operators(
                    "list-upstreams",
                    "The sites that are followed",
                    "livepatch-admin upstream list",
                    &[],
                ),
            ),
        )
        .api_route(
            &upstream("remove"),
            post_with(
                upstreams::remove,
                operators("remove-upstream", "Follow a site no more", "livepatch-admin upstream remove", &[]),
            ),
        )
        .api_route(
            &upstream("preview"),
            post_with(
                upstreams::preview,
                operators(
                    "preview-upstream",
                    "What a sync would take, and what not, and why",
                    "livepatch-admin upstream preview",
                    &[Conflict],
                ),
            ),
        )
        .api_route(
            &upstream("sync"),
            post_with(
                upstreams::run,
                operators(
                    "sync-upstream",
                    "Take what is new, now",
                    "livepatch-admin upstream sync",
                    &[Conflict],
                ),
            ),
        )
        .api_route(
            paths::ADMIN_BUNDLE,
            get_with(
                upstreams::export,
                operators(
                    "export-bundle",
                    "The whole state in a file, for where no network goes",
                    "livepatch-admin bundle export",
                    &[Conflict],
                ),
            ),
        )
        .api_route(
            paths::ADMIN_HOOKS,
            post_with(
                hooks::create,
                operators(
                    "create-hook",
                    "Tell a program what happens from now on",
                    "livepatch-admin hook create",
                    &[Conflict],
                ),
            )
            .get_with(
                hooks::list,
                operators("list-hooks", "The web-hooks", "livepatch-admin hook list", &[]),
            ),
        )
        .api_route(
            &act(paths::ADMIN_HOOKS, "id", "remove"),
            post_with(
                hooks::remove,
                operators("remove-hook", "Tell a program nothing more", "livepatch-admin hook remove", &[]),
            ),
        )
}
