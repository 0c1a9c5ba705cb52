//! Who is at the dashboard: sessions, and how they begin.

use super::{LARGEST_FORM, LARGEST_SIGN_IN, WebRefusal, cookies, form, redirect};
use crate::{
    clock,
    openapi::Created,
    refusal::Refusal,
    routes::extract::{Actor, Bearer, MASTER, Viewer},
    secret::Secret,
    site::Site,
};
use axum::{
    extract::{FromRequest, FromRequestParts, Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{Html, IntoResponse as _, Response},
};
use livepatch_api::{ErrorCode, LoginCreated, Role};
use livepatch_dashboard::{self as dashboard, Done, Frame, SignIn, Theme, paths};
use livepatch_manifest::Digest;
use livepatch_store::{LockOut, NewSession, Seconds, SessionHolder, SessionLife};
use std::{collections::BTreeMap, sync::Arc};

/// An hour without a request ends a session, half a day in any case. A page that shows a rollout live counts as use.
const LIFE: SessionLife = SessionLife { idle: 3600, longest: 12 * 3600 };
/// Five wrong passwords in a row, and a quarter of an hour passes before the next.
const LOCK_OUT: LockOut = LockOut { failures: 5, length: 900 };
/// A one-time login is for now; so is a sign-in at the OpenID provider.
pub(super) const LOGIN_LIFE: Seconds = 600;

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(super) actor: Actor,
    pub(super) theme: Theme,
    secret: Secret,
    here: String,
    done: Option<Done>,
}

impl FromRequestParts<Arc<Site>> for Person {
    type Rejection = WebRefusal;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, WebRefusal> {
        let here = parts.uri.path_and_query().map(|here| here.as_str().to_owned()).unwrap_or_default();
        let theme = cookies::theme(&parts.headers);
        let Some(secret) = cookies::session(&parts.headers) else {
            return Err(WebRefusal::SignIn(here));
        };
        let actor = holder(site, &secret).await.map_err(|refusal| WebRefusal::Page(theme, refusal))?;
        let actor = actor.ok_or_else(|| WebRefusal::SignIn(here.clone()))?;
        let word = here.split_once("done=").map(|(_, word)| word.split('&').next().unwrap_or_default());
        // Reloading the page tells nobody a second time.
        let plain = here.split("?done=").next().unwrap_or_default().to_owned();
        Ok(Self { actor, theme, secret, here: plain, done: word.and_then(Done::of) })
    }
}

/// Whoever holds the session with this secret, if it holds.
pub(super) async fn holder(site: &Site, secret: &Secret) -> Result<Option<Actor>, Refusal> {
    let known = site.database.store().await?.session(&secret.digest(), LIFE, clock::seconds()).await?;
    Ok(known.and_then(|known| match known {
        SessionHolder::Key { known: Some(key), .. } => Some(Actor { name: key.name, role: key.role }),
        // Begun with the admin.key of today, and not with one that was replaced since.
        SessionHolder::Key { digest, known: None } => {
            (digest == site.admin).then(|| Actor { name: MASTER.to_owned(), role: Role::Admin })
        }
        SessionHolder::User { name, role } => Some(Actor { name: user_name(&name), role }),
        SessionHolder::Guest { name, role } => Some(Actor { name, role }),
    }))
}

/// As the audit log names a user: nobody is taken for the holder of a key.
fn user_name(name: &str) -> String {
    format!("user:{name}")
}

impl Person {
    /// What the page shares with all others.
    pub(super) fn frame(&self) -> Frame {
        Frame {
            who: self.actor.name.clone(),
            role: self.actor.role,
            is_master: self.actor.is_master(),
            csrf: self.csrf(),
            theme: self.theme,
            now: clock::seconds(),
            here: self.here.clone(),
            done: self.done,
        }
    }

    /// Follows from the secret, and does not tell it.
    fn csrf(&self) -> String {
        Digest::of(format!("form of {}", self.secret.reveal()).as_bytes()).to_string()
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(super) fn must_be(&self, needed: Role) -> Result<(), WebRefusal> {
        self.actor.must_be(needed).map_err(|refusal| self.refuse(refusal))
    }

    pub(super) fn refuse(&self, refusal: impl Into<Refusal>) -> WebRefusal {
        WebRefusal::Page(self.theme, refusal.into())
    }
}

/// A form that somebody sent from one of our pages, in a session that holds.
pub(crate) struct Posted {
    pub(super) person: Person,
    fields: BTreeMap<String, String>,
}

impl Posted {
    /// A field; empty when the form has none of that name.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// A number; `None` when the field is empty.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, WebRefusal> {
        let text = self.field(name).trim();
        if text.is_empty() {
            return Ok(None);
        }
        let wrong =
            |_| self.person.refuse(Refusal::invalid(format!("{name} must be a number, and not '{text}'")));
        text.parse().map(Some).map_err(wrong)
    }
}

impl FromRequest<Arc<Site>> for Posted {
    type Rejection = WebRefusal;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, WebRefusal> {
        let (mut parts, body) = request.into_parts();
        let person = Person::from_request_parts(&mut parts, site).await?;
        check_origin(&parts.headers).map_err(|refusal| person.refuse(refusal))?;
        let fields = form(Request::from_parts(parts, body), LARGEST_FORM)
            .await
            .map_err(|refusal| person.refuse(refusal))?;
        let posted = Self { fields, person };
        let is_ours =
            Secret::received(posted.field("csrf")).matches(&Digest::of(posted.person.csrf().as_bytes()));
        if is_ours {
            return Ok(posted);
        }
        let message = "this form is of another session: go back, reload the page, and send it again";
        Err(posted.person.refuse(Refusal::new(ErrorCode::Forbidden, message)))
    }
}

/// Browsers say where a request comes from (Fetch Metadata); other sites may not send forms here.
fn check_origin(headers: &HeaderMap) -> Result<(), Refusal> {
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    match site {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) => Err(Refusal::new(ErrorCode::Forbidden, "another site sent this form; nothing was done")),
    }
}

/// Makes a one-time login for whoever asks, with the role of the key that asks.
pub(crate) async fn create_login(
    State(site): State<Arc<Site>>,
    Viewer(actor): Viewer,
    Bearer(key): Bearer,
) -> Result<Created<LoginCreated>, Refusal> {
    let (code, now) = (Secret::generate()?, clock::seconds());
    let store = site.database.store().await?;
    store.add_login(&code.digest(), &key.digest(), now + LOGIN_LIFE).await?;
    store.record_act(&actor.name, "login-create", &actor.name, "", now).await?;
    let path = format!("{}{}", paths::LOGIN, paths::query(&[("code", code.reveal())]));
    Ok(Created(LoginCreated { path, expires: clock::text(now + LOGIN_LIFE) }))
}

/// What the address of the sign-in page says.
#[derive(serde::Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    code: String,
    #[serde(default)]
    back: String,
}

/// The sign-in page.
pub(super) async fn ask(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Html<String> {
    let theme = cookies::theme(&headers);
    Html(match asked.code.as_str() {
        "" => sign_in_page(&site, theme, None, ours(&asked.back)).await,
        code => dashboard::use_login(theme, code),
    })
}

/// The page with the ways that there are. Without its database the server still takes `admin.key`.
async fn sign_in_page(site: &Site, theme: Theme, wrong: Option<&str>, back: &str) -> String {
    let users = async { Ok::<_, Refusal>(site.database.store().await?.has_users().await?) };
    let asked = SignIn { wrong, back, users: users.await.unwrap_or_default(), openid: site.openid.is_some() };
    dashboard::sign_in(theme, &asked)
}

/// The sign-in page again, with what was wrong.
pub(super) async fn wrong(site: &Site, theme: Theme, words: &str, back: &str) -> Response {
    (StatusCode::UNAUTHORIZED, Html(sign_in_page(site, theme, Some(words), back).await)).into_response()
}

/// Signs in: with a key, with a one-time login, or with a name and a password.
pub(super) async fn begin(State(site): State<Arc<Site>>, headers: HeaderMap, request: Request) -> Response {
    let theme = cookies::theme(&headers);
    let outcome = async {
        check_origin(&headers)?;
        let fields = form(request, LARGEST_SIGN_IN).await?;
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        let back = ours(field("back")).to_owned();
        let secret = match field("name").trim() {
            "" => sign_in(&site, field("key").trim(), field("code")).await?,
            name => sign_in_user(&site, name, field("password")).await?,
        };
        Ok::<_, Refusal>((secret, back))
    };
    match outcome.await {
        Ok((Some(secret), back)) => {
            let target = if back.is_empty() { paths::ROOT } else { &back };
            let mut response = redirect(target);
            response.headers_mut().append(header::SET_COOKIE, session_cookie(&secret, &headers));
            response
        }
        Ok((None, back)) => {
            let words = "That is no key and no password that holds, the address was used before or has expired, or too \
                         many attempts were wrong: then wait a quarter of an hour.";
            wrong(&site, theme, words, &back).await
        }
        Err(refusal) => WebRefusal::Page(theme, refusal).into_response(),
    }
}

/// Hands a new session out.
pub(super) fn session_cookie(secret: &Secret, headers: &HeaderMap) -> HeaderValue {
    cookies::begin(secret, LIFE.longest, cookies::is_tls(headers))
}

/// The secret of a new session; `None` when neither key nor code is worth anything.
async fn sign_in(site: &Site, key: &str, code: &str) -> Result<Option<Secret>, Refusal> {
    let (store, now) = (site.database.store().await?, clock::seconds());
    let key = if code.is_empty() {
        Some(Secret::received(key).digest())
    } else {
        store.take_login(&Secret::received(code).digest(), now).await?
    };
    let Some(key) = key else { return Ok(None) };
    let name = if key == site.admin {
        MASTER.to_owned()
    } else {
        match store.api_key(&key, now).await? {
            Some(known) => known.name,
            None => return Ok(None),
        }
    };
    Ok(Some(start_session(site, &NewSession::Key(key), &name, "").await?))
}

/// The secret of a new session; `None` for a wrong password, an unknown name and a user who is locked out alike.
async fn sign_in_user(site: &Site, name: &str, password: &str) -> Result<Option<Secret>, Refusal> {
    let (store, now) = (site.database.store().await?, clock::seconds());
    let known = store.begin_attempt(name, LOCK_OUT, now).await?.map(|attempt| attempt.password);
    if !site.passwords.is_right(password.to_owned(), known).await? {
        tracing::info!(name = %name.escape_debug(), "a sign-in with a wrong password");
        return Ok(None);
    }
    store.end_attempt(name, now).await?;
    Ok(Some(
        start_session(site, &NewSession::User(name.to_owned()), &user_name(name), "with a password").await?,
    ))
}

/// Begins a session for somebody who showed who they are.
pub(super) async fn start_session(
    site: &Site,
    whom: &NewSession,
    name: &str,
    how: &str,
) -> Result<Secret, Refusal> {
    let (store, now) = (site.database.store().await?, clock::seconds());
    let secret = Secret::generate()?;
    store.add_session(&secret.digest(), whom, LIFE, now).await?;
    store.record_act(name, "sign-in", name, how, now).await?;
    Ok(secret)
}

/// Ends the session.
pub(super) async fn end(State(site): State<Arc<Site>>, posted: Posted) -> Result<Response, WebRefusal> {
    let store = site.database.store().await.map_err(|refusal| posted.person.refuse(refusal))?;
    store.end_session(&posted.person.secret.digest()).await.map_err(|error| posted.person.refuse(error))?;
    let mut response = redirect(paths::LOGIN);
    response.headers_mut().append(header::SET_COOKIE, cookies::END);
    Ok(response)
}

/// Keeps the colours that somebody likes.
pub(super) async fn set_theme(posted: Posted) -> Response {
    let back = ours(posted.field("back"));
    let mut response = redirect(if back.is_empty() { paths::ROOT } else { back });
    let cookie = format!(
        "{}={}; Path={}; Max-Age=31536000; SameSite=Strict; HttpOnly",
        cookies::THEME,
        Theme::of(posted.field("theme")).as_str(),
        paths::ROOT
    );
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// An address of ours, or none: a sign-in must not lead to another site.
pub(super) fn ours(address: &str) -> &str {
    let rest = address.strip_prefix(paths::ROOT);
    let is_ours = rest.is_some_and(|rest| {
        (rest.is_empty() || rest.starts_with(['/', '?'])) && rest.bytes().all(|byte| byte.is_ascii_graphic())
    });
    if is_ours { address } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_addresses_are_returned_to() {
        for address in ["/dashboard", "/dashboard/machines?q=a%20b", "/dashboard?done=halted"] {
            assert_eq!(ours(address), address);
        }
        for address in
            ["", "https://evil/dashboard", "//evil/", "/dashboard.evil", "/dashboard/\r\nX: y", "/v1/x"]
        {
            assert_eq!(ours(address), "", "{address}");
        }
    }
}
