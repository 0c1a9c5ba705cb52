//! The dashboard: gathers what the pages of `livepatch-dashboard` show, and does what their forms ask.
//!
//! Every page but the sign-in wants a session ([`session::Person`]); every form a session, a token that only our pages
//! know, and a role ([`session::Posted`]). A role is asked for where the act is done, whatever buttons the page had.

mod administration;
mod cookies;
mod cves;
mod export;
mod fleet;
mod held;
mod livepatches;
mod machines;
mod neighbours;
mod notices;
mod openid;
mod overview;
mod public;
mod rollouts;
mod session;
mod simulator;
mod users;

pub(crate) use rollouts::Glances;
pub(super) use session::create_login;

use crate::{refusal::Refusal, site::Site};
use axum::{
    Router,
    body::to_bytes,
    extract::{Path, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use livepatch_api::ErrorCode;
use livepatch_dashboard::{self as dashboard, CONTENT_SECURITY_POLICY, Theme, paths};
use std::{collections::BTreeMap, sync::Arc};

/// A sign-in stays far below this.
const LARGEST_SIGN_IN: usize = 16 << 10;
/// So does the text of a notice about some hundred vulnerabilities.
const LARGEST_FORM: usize = super::LARGEST_DOCUMENT;

/// All addresses of the dashboard.
pub(super) fn router() -> Router<Arc<Site>> {
    let one = |list: &str, act: &str| format!("{list}/{{id}}{act}");
    Router::new()
        .route(paths::ROOT, get(overview::page))
        .route(paths::LOGIN, get(session::ask).post(session::begin))
        .route(paths::OPENID, get(openid::leave))
        .route(paths::OPENID_BACK, get(openid::come_back))
        .route(paths::LOGOUT, post(session::end))
        .route(paths::THEME, post(session::set_theme))
        .route(&format!("{}/{{name}}", paths::ASSETS), get(asset))
        .route(paths::MACHINES, get(machines::list))
        .route(&format!("{}.csv", paths::MACHINES), get(machines::csv))
        .route(&format!("{}.json", paths::MACHINES), get(machines::json))
        .route(&format!("{}/by/{{word}}", paths::MACHINES), get(machines::groups))
        .route(&one(paths::MACHINES, ""), get(machines::show))
        .route(&one(paths::MACHINES, "/revoke"), get(machines::ask_revoke).post(machines::revoke))
        .route(paths::ROLLOUTS, get(rollouts::list))
        .route(&format!("{}.csv", paths::ROLLOUTS), get(rollouts::csv))
        .route(&format!("{}.json", paths::ROLLOUTS), get(rollouts::json))
        .route(&one(paths::ROLLOUTS, ""), get(rollouts::show))
        .route(&one(paths::ROLLOUTS, "/live"), get(rollouts::live))
        .route(&one(paths::ROLLOUTS, "/halt"), get(rollouts::ask_halt).post(rollouts::halt))
        .route(&one(paths::ROLLOUTS, "/resume"), get(rollouts::ask_resume).post(rollouts::resume))
        .route(&one(paths::ROLLOUTS, "/withdraw"), get(rollouts::ask_withdraw).post(rollouts::withdraw))
        .route(paths::LIVEPATCHES, get(livepatches::list))
        .route(&format!("{}.csv", paths::LIVEPATCHES), get(livepatches::csv))
        .route(&format!("{}.json", paths::LIVEPATCHES), get(livepatches::json))
        .route(&one(paths::LIVEPATCHES, ""), get(livepatches::show))
        .route(&one(paths::LIVEPATCHES, "/documents/{kind}"), get(livepatches::document))
        .route(&one(paths::LIVEPATCHES, "/promote"), get(livepatches::ask_promote).post(livepatches::promote))
        .merge(security_routes())
        .merge(neighbour_routes())
        .route(paths::SIMULATOR, get(simulator::page))
        .route(paths::TOKENS, get(administration::tokens).post(administration::create_token))
        .route(&format!("{}.csv", paths::TOKENS), get(administration::tokens_csv))
        .route(&format!("{}.json", paths::TOKENS), get(administration::tokens_json))
        .route(
            &one(paths::TOKENS, "/revoke"),
            get(administration::ask_revoke_token).post(administration::revoke_token),
        )
        .route(paths::USERS, get(users::list).post(users::create))
        .route(&format!("{}.csv", paths::USERS), get(users::csv))
        .route(&format!("{}.json", paths::USERS), get(users::json))
        .route(&one(paths::USERS, "/password"), get(users::ask_password).post(users::set_password))
        .route(&one(paths::USERS, "/remove"), get(users::ask_remove).post(users::remove))
        .route(paths::KEYS, get(administration::keys).post(administration::create_key))
        .route(&format!("{}.csv", paths::KEYS), get(administration::keys_csv))
        .route(&format!("{}.json", paths::KEYS), get(administration::keys_json))
        .route(
            &one(paths::KEYS, "/revoke"),
            get(administration::ask_revoke_key).post(administration::revoke_key),
        )
        .route(paths::AUDIT, get(administration::audit))
        .route(&format!("{}.csv", paths::AUDIT), get(administration::audit_csv))
        .route(&format!("{}.json", paths::AUDIT), get(administration::audit_json))
        .route(&format!("{}/{{*rest}}", paths::ROOT), get(no_such_page))
        .layer(middleware::from_fn(guard))
}

/// Vulnerabilities and notices, for operators and for everybody.
fn security_routes() -> Router<Arc<Site>> {
    let one = |list: &str, act: &str| format!("{list}/{{id}}{act}");
    Router::new()
        .route(paths::PUBLIC_CVES, get(public::cves))
        .route(&one(paths::PUBLIC_CVES, ""), get(public::cve))
        .route(paths::NOT_LIVEPATCHABLE, get(public::not_livepatchable))
        .route(paths::CLOCK, get(public::clock))
        .route(&format!("{}.csv", paths::CLOCK), get(public::clock_csv))
        .route(&format!("{}.json", paths::CLOCK), get(public::clock_json))
        .route(paths::KERNELS, get(public::kernels))
        .route(&format!("{}.csv", paths::KERNELS), get(public::kernels_csv))
        .route(&format!("{}.json", paths::KERNELS), get(public::kernels_json))
        .route(paths::CVES, get(cves::list))
        .route(&format!("{}.csv", paths::CVES), get(cves::csv))
        .route(&format!("{}.json", paths::CVES), get(cves::json))
        .route(&one(paths::CVES, ""), get(cves::show))
        .route(&one(paths::CVES, "/rate"), post(cves::rate))
        .route(&one(paths::CVES, "/refuse"), post(cves::refuse))
        .route(paths::NOTICES, get(notices::list).post(notices::begin))
        .route(&format!("{}.csv", paths::NOTICES), get(notices::csv))
        .route(&format!("{}.json", paths::NOTICES), get(notices::json))
        .route(&one(paths::NOTICES, ""), get(notices::show))
        .route(&one(paths::NOTICES, "/edit"), post(notices::edit))
        .route(&one(paths::NOTICES, "/review"), post(notices::review))
        .route(&one(paths::NOTICES, "/publish"), post(notices::publish))
        .route(&one(paths::NOTICES, "/revise"), post(notices::revise))
}

/// Upstreams and web-hooks.
fn neighbour_routes() -> Router<Arc<Site>> {
    let one = |list: &str, act: &str| format!("{list}/{{id}}{act}");
    Router::new()
        .route(paths::UPSTREAMS, get(neighbours::upstreams).post(neighbours::follow))
        .route(&format!("{}.csv", paths::UPSTREAMS), get(neighbours::upstreams_csv))
        .route(&format!("{}.json", paths::UPSTREAMS), get(neighbours::upstreams_json))
        .route(&one(paths::UPSTREAMS, "/sync"), post(neighbours::sync))
        .route(&one(paths::UPSTREAMS, "/remove"), get(neighbours::ask_unfollow).post(neighbours::unfollow))
        .route(paths::HOOKS, get(neighbours::hooks).post(neighbours::create_hook))
        .route(&format!("{}.csv", paths::HOOKS), get(neighbours::hooks_csv))
        .route(&format!("{}.json", paths::HOOKS), get(neighbours::hooks_json))
        .route(&one(paths::HOOKS, "/remove"), get(neighbours::ask_remove_hook).post(neighbours::remove_hook))
}

/// How a page says no.
#[derive(Debug)]
pub(crate) enum WebRefusal {
    /// Nobody is signed in; afterwards, to this address.
    SignIn(String),
    /// As the API does, in words on a page.
    Page(Theme, Refusal),
}

impl IntoResponse for WebRefusal {
    fn into_response(self) -> Response {
        match self {
            Self::SignIn(back) => redirect(&format!("{}{}", paths::LOGIN, paths::query(&[("back", &back)]))),
            Self::Page(theme, refusal) => {
                let error = refusal.error();
                let status =
                    StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let title = match error.code {
                    ErrorCode::NotFound => "There is no such thing",
                    ErrorCode::Forbidden | ErrorCode::Unauthorized => "You may not do that",
                    ErrorCode::Unavailable => "The database does not answer",
                    ErrorCode::Internal => "The server failed",
                    _ => "That cannot be done",
                };
                (status, Html(dashboard::refusal(theme, title, &error.message))).into_response()
            }
        }
    }
}

/// What every answer of the dashboard carries. Pages are made for one person at one moment: nobody keeps them.
async fn guard(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Style sheet, script, icon: their address changes with their bytes.
async fn asset(headers: HeaderMap, Path(name): Path<String>) -> Response {
    match dashboard::asset(&name) {
        Some(asset) => {
            let kept = "public, max-age=31536000, immutable";
            ([(header::CONTENT_TYPE, asset.content_type), (header::CACHE_CONTROL, kept)], asset.text)
                .into_response()
        }
        None => not_found(cookies::theme(&headers)),
    }
}

async fn no_such_page(headers: HeaderMap) -> Response {
    not_found(cookies::theme(&headers))
}

fn not_found(theme: Theme) -> Response {
    WebRefusal::Page(
        theme,
        Refusal::new(ErrorCode::NotFound, "The address is wrong, or what it meant is gone."),
    )
    .into_response()
}

/// To another page, after a form as well (303: with GET).
fn redirect(target: &str) -> Response {
    let target = HeaderValue::from_str(target).unwrap_or(HeaderValue::from_static(paths::ROOT));
    (StatusCode::SEE_OTHER, [(header::LOCATION, target)]).into_response()
}

/// The fields of a form; of two with one name the last.
async fn form(request: Request, largest: usize) -> Result<BTreeMap<String, String>, Refusal> {
    let bytes = to_bytes(request.into_body(), largest).await;
    let bytes = bytes.map_err(|_| Refusal::new(ErrorCode::TooLarge, "the form is too large"))?;
    Ok(url::form_urlencoded::parse(&bytes).into_owned().collect())
}
