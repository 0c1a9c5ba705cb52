//! Operations about vulnerabilities, mitigations and notices.

use super::{Operations, act, one};
use crate::{
    openapi::{everybody, operators},
    routes::{LARGEST_DOCUMENT, LARGEST_IMPORT, cves, mitigations, notices},
};
use aide::axum::{
    ApiRouter,
    routing::{get_with, post_with},
};
use axum::extract::DefaultBodyLimit;
use livepatch_api::{
    ErrorCode::{Conflict, Invalid, NotFound},
    paths,
};

/// Vulnerabilities; documents about them come by the thousand.
pub(super) fn cve_operations() -> Operations {
    let cve = |verb: &str| act(paths::ADMIN_CVES, "cve", verb);
    let imports = ApiRouter::new()
        .api_route(
            paths::ADMIN_CVE_DOCUMENTS,
            post_with(
                cves::import,
                operators(
                    "import-cve-documents",
                    "Take documents about vulnerabilities in",
                    "livepatch-admin cve import",
                    &[],
                ),
            ),
        )
        .api_route(
            paths::ADMIN_VERDICTS,
            post_with(
                cves::publish_verdicts,
                operators(
                    "publish-verdicts",
                    "Sign the verdicts of now, for every machine",
                    "livepatch-admin verdicts publish",
                    &[Conflict],
                ),
            ),
        )
        .layer(DefaultBodyLimit::max(LARGEST_IMPORT));
    ApiRouter::new()
        .api_route(
            paths::ADMIN_CVES,
            get_with(
                cves::list,
                operators("list-cves", "The known vulnerabilities", "livepatch-admin cve list", &[]),
            ),
        )
        .api_route(
            &one(paths::ADMIN_CVES, "cve"),
            get_with(
                cves::show,
                operators("show-cve", "All about a vulnerability", "livepatch-admin cve show", &[Invalid]),
            ),
        )
        .api_route(
            &cve("rating"),
            post_with(
                cves::rate,
                operators("rate-cve", "Decide a priority", "livepatch-admin cve rate", &[]),
            ),
        )
        .api_route(
            &cve("refusal"),
            post_with(
                cves::refuse,
                operators(
                    "refuse-cve",
                    "Say that a vulnerability cannot be livepatched in a family of kernels",
                    "livepatch-admin cve refuse",
                    &[],
                ),
            ),
        )
        .layer(DefaultBodyLimit::max(LARGEST_DOCUMENT))
        .merge(imports)
}

/// The operator's desk, and what everybody reads.
pub(super) fn notice_operations() -> Operations {
    let (desk, pages) = (paths::ADMIN_NOTICES, paths::NOTICE_PAGES);
    ApiRouter::new()
        .api_route(
            desk,
            post_with(
                notices::draft,
                operators(
                    "draft-notice",
                    "Begin a notice, or the next revision of a published one",
                    "livepatch-admin notice draft",
                    &[Conflict, NotFound],
                ),
            )
            .get_with(
                notices::list,
                operators("list-notices", "The notices, newest first", "livepatch-admin notice list", &[]),
            ),
        )
        .api_route(
            &one(desk, "number"),
            get_with(
                notices::show,
                operators(
                    "show-notice",
                    "A notice, and what became of its mails",
                    "livepatch-admin notice show",
                    &[],
                ),
            )
            .post_with(
                notices::edit,
                operators(
                    "edit-notice",
                    "Give a notice that is not published another text",
                    "livepatch-admin notice edit",
                    &[Conflict],
                ),
            ),
        )
        .api_route(
            &act(desk, "number", "review"),
            post_with(
                notices::review,
                operators(
                    "review-notice",
                    "Say that somebody else has read a notice",
                    "livepatch-admin notice review",
                    &[Conflict],
                ),
            ),
        )
        .api_route(
            &act(desk, "number", "publish"),
            post_with(
                notices::publish,
                operators(
                    "publish-notice",
                    "Publish a reviewed notice on every channel",
                    "livepatch-admin notice publish",
                    &[Conflict],
                ),
            ),
        )
        .merge(reader_operations())
        .api_route(
            pages,
            get_with(notices::index, everybody("notice-list-page", "The notices, for people", "", &[])),
        )
        .api_route(
            &one(pages, "number"),
            get_with(notices::html_page, everybody("notice-page", "A notice, for people", "", &[])),
        )
        .api_route(
            &format!("{pages}.rss"),
            get_with(notices::rss_feed, everybody("notices-rss", "The notices as a feed, RSS", "", &[])),
        )
        .api_route(
            &format!("{pages}.atom"),
            get_with(notices::atom_feed, everybody("notices-atom", "The notices as a feed, Atom", "", &[])),
        )
        .api_route(
            &one(paths::UNSUBSCRIBE, "token"),
            get_with(
                notices::unsubscribe_page,
                everybody("unsubscribe-page", "The page behind the link in a mail", "", &[]),
            )
            .post_with(
                notices::unsubscribe,
                everybody(
                    "unsubscribe",
                    "Take the holder of the link off the mailing list (RFC 8058)",
                    "",
                    &[],
                ),
            ),
        )
        .api_route(
            paths::CALENDAR,
            get_with(
                notices::calendar,
                everybody("kernel-calendar", "The last days of kernels as a calendar", "", &[NotFound]),
            ),
        )
}

/// Mailing list, mitigations, and notices as data.
fn reader_operations() -> Operations {
    ApiRouter::new()
        .api_route(
            paths::ADMIN_SUBSCRIBERS,
            post_with(
                notices::subscribe,
                operators(
                    "add-subscriber",
                    "Put an address on the mailing list",
                    "livepatch-admin subscriber add",
                    &[],
                ),
            )
            .get_with(
                notices::subscribers,
                operators("list-subscribers", "The mailing list", "livepatch-admin subscriber list", &[]),
            ),
        )
        .api_route(
            paths::ADMIN_MITIGATIONS,
            post_with(
                mitigations::issue,
                operators(
                    "issue-mitigation",
                    "Issue a mitigation, in the place of one with the same name",
                    "livepatch-admin mitigation issue",
                    &[],
                ),
            )
            .get_with(
                mitigations::list,
                operators("list-mitigations", "The mitigations", "livepatch-admin mitigation list", &[]),
            ),
        )
        .api_route(
            &act(paths::ADMIN_MITIGATIONS, "name", "retire"),
            post_with(
                mitigations::retire,
                operators(
                    "retire-mitigation",
                    "Take a mitigation back",
                    "livepatch-admin mitigation retire",
                    &[],
                ),
            ),
        )
        .api_route(
            paths::MITIGATIONS,
            get_with(
                mitigations::for_everybody,
                everybody(
                    "mitigations",
                    "The mitigations, as in the signed document",
                    "livepatch-admin mitigation list --public",
                    &[],
                ),
            ),
        )
        .api_route(
            paths::NOT_LIVEPATCHABLE,
            get_with(
                cves::not_livepatchable,
                everybody(
                    "not-livepatchable",
                    "Every vulnerability that cannot be livepatched",
                    "livepatch-admin cve refused",
                    &[],
                ),
            ),
        )
        .api_route(
            paths::CLOCK,
            get_with(
                cves::clock,
                everybody(
                    "clock",
                    "How long it took from the news of each vulnerability until machines were protected",
                    "livepatch-admin cve clock",
                    &[],
                ),
            ),
        )
        .api_route(
            paths::NOTICES,
            get_with(
                notices::page,
                everybody(
                    "notices",
                    "Published notices, newest first",
                    "livepatch-admin notice list --public",
                    &[],
                ),
            ),
        )
        .api_route(
            &one(paths::NOTICES, "number"),
            get_with(
                notices::json,
                everybody("notice", "A published notice", "livepatch-admin notice export", &[]),
            ),
        )
        .api_route(
            &format!("{}/{{number}}/{{form}}", paths::NOTICES),
            get_with(
                notices::form,
                everybody(
                    "notice-form",
                    "A published notice as scanners read it",
                    "livepatch-admin notice export --form",
                    &[],
                ),
            ),
        )
}
