//! The two cookies: the session's secret, and the colours.

use crate::secret::Secret;
use axum::http::{HeaderMap, HeaderValue, header};
use livepatch_dashboard::{Theme, paths};
use livepatch_store::Seconds;

const SESSION: &str = "livepatch_session";
pub(super) const THEME: &str = "livepatch_theme";

const OPENID: &str = "livepatch_openid";

/// Takes the session's cookie away.
pub(super) const END: HeaderValue =
    HeaderValue::from_static("livepatch_session=; Path=/dashboard; Max-Age=0; HttpOnly; SameSite=Strict");

/// The session's secret.
pub(super) fn session(headers: &HeaderMap) -> Option<Secret> {
    value(headers, SESSION).filter(|value| !value.is_empty()).map(Secret::received)
}

/// The colours that somebody likes.
pub(super) fn theme(headers: &HeaderMap) -> Theme {
    value(headers, THEME).map_or_else(Theme::default, Theme::of)
}

/// Takes the cookie of a sign-in elsewhere away.
pub(super) const END_OPENID: HeaderValue =
    HeaderValue::from_static("livepatch_openid=; Path=/dashboard/login; Max-Age=0; HttpOnly; SameSite=Lax");

/// The state of the sign-in at the OpenID provider that was begun in this browser.
pub(super) fn openid(headers: &HeaderMap) -> Option<Secret> {
    value(headers, OPENID).filter(|value| !value.is_empty()).map(Secret::received)
}

/// Ties a sign-in at the OpenID provider to this browser. It comes back by a link on the provider's site: `Lax`.
pub(super) fn begin_openid(state: &Secret, life: Seconds, is_tls: bool) -> HeaderValue {
    let secure = if is_tls { "; Secure" } else { "" };
    let cookie = format!(
        "{OPENID}={}; Path={}; Max-Age={life}; HttpOnly; SameSite=Lax{secure}",
        state.reveal(),
        paths::LOGIN
    );
    let mut value = HeaderValue::from_str(&cookie).unwrap_or(END_OPENID);
    value.set_sensitive(true);
    value
}

/// Hands the session's secret out: not to scripts, not to other sites, and with TLS never without it.
pub(super) fn begin(secret: &Secret, life: Seconds, is_tls: bool) -> HeaderValue {
    let secure = if is_tls { "; Secure" } else { "" };
    let cookie = format!(
        "{SESSION}={}; Path={}; Max-Age={life}; HttpOnly; SameSite=Strict{secure}",
        secret.reveal(),
        paths::ROOT
    );
    let mut value = HeaderValue::from_str(&cookie).unwrap_or(END);
    value.set_sensitive(true);
    value
}

/// Whether the browser speaks TLS, as the proxy in front says. Who forges the header harms his own cookie alone.
pub(super) fn is_tls(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// Where the browser reaches us, for commands to copy.
pub(super) fn server(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    let host = if host.bytes().all(plain) { host } else { "localhost" };
    format!("{}://{host}", if is_tls(headers) { "https" } else { "http" })
}

/// RFC 6265, 4.2.1.
fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|header| header.to_str().ok());
    all.flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_and_sent_guarded() {
        let mut headers = HeaderMap::new();
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("a=b; livepatch_session=s3cret; livepatch_theme=dark"),
        );
        assert_eq!(session(&headers).unwrap().reveal(), "s3cret");
        assert_eq!(theme(&headers), Theme::Dark);
        let text = |is_tls| begin(&Secret::received("x"), 60, is_tls).to_str().unwrap().to_owned();
        assert_eq!(
            text(false),
            "livepatch_session=x; Path=/dashboard; Max-Age=60; HttpOnly; SameSite=Strict"
        );
        assert!(text(true).ends_with("; Secure"));
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("evil\"; rm -rf"));
        assert_eq!(server(&headers), "http://localhost");
        headers.insert(header::HOST, HeaderValue::from_static("lp.example:8443"));
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        assert_eq!(server(&headers), "https://lp.example:8443");
    }
}
