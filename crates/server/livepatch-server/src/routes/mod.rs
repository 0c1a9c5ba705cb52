//! The addresses, and what every request passes through.

mod access;
mod approvals;
mod blocks;
mod bodies;
mod build_documents;
mod certificates;
mod check_in;
mod cves;
mod document;
mod enrol;
mod extract;
mod health;
mod hooks;
mod livepatches;
mod machines;
mod mitigations;
mod news;
mod notices;
mod operations;
mod rollouts;
mod statics;
mod tiers;
mod tokens;
mod upstreams;
mod users;
mod web;

pub(crate) use statics::Polls;
pub(crate) use web::Glances;

pub(crate) use extract::{
    Actor, Admin, Archive, Bearer, Document, EnrolmentSecret, MachineSecret, ModuleBody, Operator,
    Parameters, PlainText, Releaser, Segment, Viewer,
};
pub(crate) use operations::operations;

use crate::{limits, meters, refusal::Refusal, site::Site};
use axum::{
    Router,
    extract::Request,
    http::{Method, Uri},
    response::{IntoResponse as _, Response},
};
use livepatch_api::ErrorCode;
use livepatch_trust::LARGEST_MODULE;
use std::{any::Any, sync::Arc};
use tower_http::{catch_panic::CatchPanicLayer, trace::TraceLayer};

/// A report with its events stays far below this; so does everything but a module.
const LARGEST_DOCUMENT: usize = 256 << 10;

/// A module, its manifest and the line end between them.
const LARGEST_PUBLISH: usize = LARGEST_MODULE as usize + livepatch_manifest::LARGEST + 4096;

/// Some thousand documents about vulnerabilities, or the kernel catalogue.
const LARGEST_IMPORT: usize = 48 << 20;

/// All routes of both planes. What is not in [`operations`] is files and pages.
pub(crate) fn router(site: &Arc<Site>) -> Router {
    let measures = site.settings.metrics_listen.is_none();
    Router::from(operations(measures))
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

/// What watches the server, for an address of its own.
pub(crate) fn monitoring_router(site: &Arc<Site>) -> Router {
    Router::from(operations::monitoring())
        .fallback(no_such_address)
        .method_not_allowed_fallback(wrong_method)
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(Arc::clone(site))
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
