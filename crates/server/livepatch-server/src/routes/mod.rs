//! The addresses, and what every request passes through.

mod access;
mod approvals;
mod blocks;
mod bodies;
mod certificates;
mod check_in;
mod cves;
mod enrol;
mod extract;
mod health;
mod hooks;
mod livepatches;
mod machines;
mod mitigations;
mod news;
mod notices;
mod rollouts;
mod statics;
mod tiers;
mod tokens;
mod upstreams;
mod web;

pub(crate) use statics::Polls;
pub(crate) use web::Glances;

pub(crate) use extract::Actor;

use crate::{limits, meters, refusal::Refusal, site::Site};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{Method, Uri},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use livepatch_api::{ErrorCode, paths};
use livepatch_trust::LARGEST_MODULE;
use std::{any::Any, sync::Arc};
use tower_http::{catch_panic::CatchPanicLayer, trace::TraceLayer};

/// A report with its events stays far below this; so does everything but a module.
const LARGEST_DOCUMENT: usize = 256 << 10;

/// A module, its manifest and the line end between them.
const LARGEST_PUBLISH: usize = LARGEST_MODULE as usize + livepatch_manifest::LARGEST + 4096;

/// Some thousand documents about vulnerabilities, or the kernel catalogue.
const LARGEST_IMPORT: usize = 48 << 20;

/// All routes of both planes.
pub(crate) fn router(site: &Arc<Site>) -> Router {
    let documents = Router::new()
        .route(paths::ENROL, post(enrol::enrol))
        .route(paths::CHECK_IN, post(check_in::check_in))
        .route(paths::ADMIN_TOKENS, post(tokens::create).get(tokens::list))
        .route(&format!("{}/{{name}}/withdraw", paths::ADMIN_LIVEPATCHES), post(livepatches::withdraw))
        .route(paths::ADMIN_CERTIFICATES, post(certificates::add))
        .route(paths::ADMIN_PROMOTE, post(livepatches::promote))
        .route(paths::ADMIN_PROMOTE_ALL, post(tiers::promote_all))
        .route(paths::ADMIN_TIERS, post(tiers::change).get(tiers::list))
        .route(paths::ADMIN_HOOKS, post(hooks::create).get(hooks::list))
        .route(&format!("{}/{{id}}/remove", paths::ADMIN_HOOKS), post(hooks::remove))
        .route(paths::ADMIN_APPROVALS, post(approvals::add).get(approvals::list))
        .route(&format!("{}/take-back", paths::ADMIN_APPROVALS), post(approvals::take_back))
        .route(paths::ADMIN_BLOCKS, post(blocks::create).get(blocks::list))
        .route(&format!("{}/{{id}}/lift", paths::ADMIN_BLOCKS), post(blocks::lift))
        .route(&format!("{}/{{id}}/revoke", paths::ADMIN_TOKENS), post(tokens::revoke))
        .route(paths::ADMIN_MACHINES, get(machines::list))
        .route(&format!("{}/{{id}}", paths::ADMIN_MACHINES), get(machines::show))
        .route(&format!("{}/{{id}}/revoke", paths::ADMIN_MACHINES), post(machines::revoke))
        .route(paths::ADMIN_LOGINS, post(web::create_login))
        .route(paths::ADMIN_KEYS, post(access::create_key).get(access::list_keys))
        .route(&format!("{}/{{id}}/revoke", paths::ADMIN_KEYS), post(access::revoke_key))
        .route(paths::ADMIN_TRUST_ANCHOR, get(certificates::anchor))
        .merge(upstreams::router())
        .route(paths::ADMIN_AUDIT, get(access::audit))
        .route(paths::ADMIN_ROLLOUTS, post(rollouts::begin).get(rollouts::list))
        .route(&format!("{}/{{release}}", paths::ADMIN_ROLLOUTS), get(rollouts::show).post(rollouts::order))
        .layer(DefaultBodyLimit::max(LARGEST_DOCUMENT));
    let modules = Router::new()
        .route(paths::ADMIN_LIVEPATCHES, post(livepatches::publish).get(livepatches::list))
        .layer(DefaultBodyLimit::max(LARGEST_PUBLISH));
    let feeds = Router::new()
        .route(paths::ADMIN_CVE_DOCUMENTS, post(cves::import))
        .route(paths::ADMIN_VERDICTS, post(cves::publish_verdicts))
        .layer(DefaultBodyLimit::max(LARGEST_IMPORT));
    documents
        .merge(modules)
        .merge(feeds)
        .route(paths::ADMIN_CVES, get(cves::list))
        .route(&format!("{}/{{cve}}", paths::ADMIN_CVES), get(cves::show))
        .route(&format!("{}/{{cve}}/rating", paths::ADMIN_CVES), post(cves::rate))
        .route(&format!("{}/{{cve}}/refusal", paths::ADMIN_CVES), post(cves::refuse))
        .route(paths::NOT_LIVEPATCHABLE, get(cves::not_livepatchable))
        .route(paths::CLOCK, get(cves::clock))
        .route(paths::ADMIN_MITIGATIONS, post(mitigations::issue).get(mitigations::list))
        .route(&format!("{}/{{name}}/retire", paths::ADMIN_MITIGATIONS), post(mitigations::retire))
        .route(paths::MITIGATIONS, get(mitigations::for_everybody))
        .merge(notice_routes())
        .route(&format!("{}/{{version}}", paths::NEWS), get(news::news))
        .route(paths::HEALTH, get(health::health))
        .route(paths::READY, get(health::ready))
        .route(paths::METRICS, get(meters::page))
        .merge(statics::router(site))
        .merge(web::router())
        .fallback(no_such_address)
        .method_not_allowed_fallback(wrong_method)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(site), limits::hold_to))
        .layer(axum::middleware::from_fn(bodies::take_in))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(site), meters::measure))
        .layer(CatchPanicLayer::custom(panicked))
        // Method, path and status; never headers, which carry the secrets, nor queries, which may carry a one-time login.
        .layer(TraceLayer::new_for_http().make_span_with(|request: &Request| {
            tracing::debug_span!("request", method = %request.method(), path = request.uri().path())
        }))
        .with_state(Arc::clone(site))
}

/// The operator's desk, and what everybody reads.
fn notice_routes() -> Router<Arc<Site>> {
    let (desk, data, pages) = (paths::ADMIN_NOTICES, paths::NOTICES, paths::NOTICE_PAGES);
    Router::new()
        .route(desk, post(notices::draft).get(notices::list))
        .route(&format!("{desk}/{{number}}"), get(notices::show).post(notices::edit))
        .route(&format!("{desk}/{{number}}/review"), post(notices::review))
        .route(&format!("{desk}/{{number}}/publish"), post(notices::publish))
        .route(paths::ADMIN_SUBSCRIBERS, post(notices::subscribe).get(notices::subscribers))
        .route(data, get(notices::page))
        .route(&format!("{data}/{{number}}"), get(notices::json))
        .route(&format!("{data}/{{number}}/{{form}}"), get(notices::form))
        .route(pages, get(notices::index))
        .route(&format!("{pages}/{{number}}"), get(notices::html_page))
        .route(&format!("{pages}.rss"), get(notices::rss_feed))
        .route(&format!("{pages}.atom"), get(notices::atom_feed))
        .route(
            &format!("{}/{{token}}", paths::UNSUBSCRIBE),
            get(notices::unsubscribe_page).post(notices::unsubscribe),
        )
        .route(paths::CALENDAR, get(notices::calendar))
        .layer(DefaultBodyLimit::max(LARGEST_DOCUMENT))
}

async fn no_such_address(uri: Uri) -> Refusal {
    Refusal::new(ErrorCode::NotFound, format!("there is nothing at {}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    let refusal = Refusal::invalid(format!("{} does not take {method}", uri.path()));
    let mut response = refusal.into_response();
    *response.status_mut() = axum::http::StatusCode::METHOD_NOT_ALLOWED;
    response
}

/// The panic itself was printed to the log by the panic hook.
fn panicked(_panic: Box<dyn Any + Send>) -> Response {
    Refusal::new(ErrorCode::Internal, "the server failed; its log says why").into_response()
}
