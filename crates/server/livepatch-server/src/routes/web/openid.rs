//! Signing in at the OpenID provider: there, and back.

use super::{
    WebRefusal, cookies, redirect,
    session::{LOGIN_LIFE, ours, session_cookie, start_session, wrong},
};
use crate::{clock, people::OpenId, refusal::Refusal, secret::Secret, site::Site};
use axum::{
    extract::{Query, State},
    http::{HeaderMap, header},
    response::{Html, IntoResponse as _, Response},
};
use livepatch_api::ErrorCode;
use livepatch_dashboard::{self as dashboard, paths};
use livepatch_store::{NewSession, OpenIdFlow};
use std::sync::Arc;

/// What the address that begins it says.
#[derive(serde::Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    back: String,
}

/// Sends the browser to the provider.
pub(super) async fn leave(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    Query(Wanted { back }): Query<Wanted>,
) -> Response {
    let begun = async {
        let (openid, address) = (provider(&site)?, return_address(&site, &headers));
        let started = blocking(move || openid.start(&address)).await?;
        let flow =
            OpenIdFlow { nonce: started.nonce, verifier: started.verifier, back: ours(&back).to_owned() };
        let state = Secret::received(&started.state);
        let (store, now) = (site.database.store().await?, clock::seconds());
        store.add_openid_flow(&state.digest(), &flow, now + LOGIN_LIFE, now).await?;
        Ok::<_, Refusal>((started.address, state))
    };
    match begun.await {
        Ok((address, state)) => {
            let mut response = redirect(&address);
            let cookie = cookies::begin_openid(&state, LOGIN_LIFE, cookies::is_tls(&headers));
            response.headers_mut().append(header::SET_COOKIE, cookie);
            response
        }
        Err(refusal) => WebRefusal::Page(cookies::theme(&headers), refusal).into_response(),
    }
}

/// What the provider sends back by way of the browser (OpenID Connect Core 1.0, 3.1.2.5 and 3.1.2.6).
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    code: String,
    state: String,
    error: String,
}

/// Ends it, when it was begun in this browser.
pub(super) async fn come_back(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
) -> Response {
    let theme = cookies::theme(&headers);
    let ended = async {
        let state = Secret::received(&answer.state);
        let is_ours = cookies::openid(&headers).is_some_and(|begun| begun.matches(&state.digest()));
        if !is_ours || answer.state.is_empty() {
            return Ok(None);
        }
        let (store, now) = (site.database.store().await?, clock::seconds());
        let Some(flow) = store.take_openid_flow(&state.digest(), now).await? else { return Ok(None) };
        if !answer.error.is_empty() || answer.code.is_empty() {
            return Ok(None);
        }
        let (openid, address) = (provider(&site)?, return_address(&site, &headers));
        let OpenIdFlow { nonce, verifier, back } = flow;
        let code = answer.code.clone();
        let guest = blocking(move || openid.finish(&address, code, nonce, verifier)).await?;
        let whom = NewSession::Guest(guest.name.clone(), guest.role);
        let how = format!("as {} by the OpenID provider, its subject {}", guest.role, guest.subject);
        Ok::<_, Refusal>(Some((start_session(&site, &whom, &guest.name, &how).await?, back)))
    };
    match ended.await {
        Ok(Some((secret, back))) => {
            // The session's cookie is kept from navigations that another site began, and this is one. So the way on begins
            // on a page of ours.
            let target = if back.is_empty() { paths::ROOT } else { &back };
            let mut response = Html(dashboard::signed_in(theme, target)).into_response();
            let answer = response.headers_mut();
            answer.append(header::SET_COOKIE, session_cookie(&secret, &headers));
            answer.append(header::SET_COOKIE, cookies::END_OPENID);
            response
        }
        Ok(None) => {
            let words = "The sign-in at the provider came to nothing, took too long, or was begun in another browser.";
            wrong(&site, theme, words, "").await
        }
        Err(refusal) => WebRefusal::Page(theme, refusal).into_response(),
    }
}

fn provider(site: &Site) -> Result<OpenId, Refusal> {
    let missing = || Refusal::new(ErrorCode::NotFound, "This server knows no OpenID provider.");
    site.openid.clone().ok_or_else(missing)
}

/// Where the provider sends browsers back to: the operator registers it there, so that a forged `Host` leads nowhere.
fn return_address(site: &Site, headers: &HeaderMap) -> String {
    let own = site.settings.public_url.as_ref().map(|url| url.trim_end_matches('/').to_owned());
    format!("{}{}", own.unwrap_or_else(|| cookies::server(headers)), paths::OPENID_BACK)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Refusal::internal(&error))?
}
