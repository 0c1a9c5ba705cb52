//! Every operation of the API: its address, its handler, and what the document says of it. The router and the document are
//! both made from this.

mod access;
mod fleet;
mod releases;
mod security;

use super::{LARGEST_DOCUMENT, check_in, document, enrol, health, news, statics};
use crate::{
    meters, openapi,
    openapi::{everybody, machines, watchers},
    site::Site,
};
use aide::axum::{
    ApiRouter,
    routing::{get_with, post_with},
};
use axum::{extract::DefaultBodyLimit, middleware};
use livepatch_api::{
    ErrorCode::{NotFound, TooMany},
    paths,
};
use std::sync::Arc;

type Operations = ApiRouter<Arc<Site>>;

/// All of them.
///
/// Without `measures`, those who watch the server find its counters elsewhere.
pub(crate) fn operations(measures: bool) -> Operations {
    openapi::begin();
    let documents = machine_operations()
        .merge(access::access_operations())
        .merge(fleet::fleet_operations())
        .merge(releases::release_operations())
        .merge(releases::upstream_operations())
        .merge(security::notice_operations())
        .merge(server_operations(measures))
        .layer(DefaultBodyLimit::max(LARGEST_DOCUMENT));
    documents
        .merge(releases::module_operations())
        .merge(releases::build_document_operations())
        .merge(releases::bundle_operations())
        .merge(security::cve_operations())
}

/// The address of one thing in a list.
fn one(list: &str, place: &str) -> String {
    format!("{list}/{{{place}}}")
}

/// The address of an act on one thing in a list.
fn act(list: &str, place: &str, act: &str) -> String {
    format!("{list}/{{{place}}}/{act}")
}

fn machine_operations() -> Operations {
    let anchors = ApiRouter::new()
        .api_route(
            &one(paths::TRUST, "digest"),
            get_with(
                statics::anchor,
                machines("trust-anchor", "The trust anchor that an enrolment token names", &[]),
            ),
        )
        .layer(middleware::from_fn(statics::set_cache_policy));
    ApiRouter::new()
        .api_route(
            paths::ENROL,
            post_with(enrol::enrol, machines("enrol", "A machine asks to be known", &[])),
        )
        .api_route(
            paths::CHECK_IN,
            post_with(check_in::check_in, machines("check-in", "A machine reports", &[])),
        )
        .api_route(
            &one(paths::NEWS, "version"),
            get_with(
                news::news,
                machines(
                    "news",
                    "Wait until the repository has something new; answers after an hour at the latest",
                    &[],
                ),
            ),
        )
        .merge(anchors)
}

/// The server itself.
fn server_operations(measures: bool) -> Operations {
    let watched =
        if measures { health_operations().merge(measure_operations()) } else { health_operations() };
    watched.api_route(
        paths::OPENAPI,
        get_with(
            document::show,
            everybody("openapi", "This document", "livepatch-admin server api", &[TooMany]),
        ),
    )
}

/// What has an address of its own where the operator gives it one.
pub(super) fn monitoring() -> Operations {
    health_operations().merge(measure_operations())
}

fn health_operations() -> Operations {
    ApiRouter::new()
        .api_route(
            paths::HEALTH,
            get_with(
                health::health,
                watchers("health", "Whether the server serves", "livepatch-admin server status", &[]),
            ),
        )
        .api_route(
            paths::READY,
            get_with(
                health::ready,
                watchers(
                    "ready",
                    "Whether the database answers and the signed metadata are good",
                    "livepatch-admin server status",
                    &[],
                ),
            ),
        )
}

fn measure_operations() -> Operations {
    ApiRouter::new().api_route(
        paths::METRICS,
        get_with(
            meters::page,
            watchers(
                "metrics",
                "Counters and gauges for Prometheus; elsewhere, where --metrics-listen says so",
                "livepatch-admin server metrics",
                &[TooMany, NotFound],
            ),
        ),
    )
}
