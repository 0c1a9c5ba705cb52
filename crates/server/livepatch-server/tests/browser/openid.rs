//! Signing in at a real OpenID provider, and with a password.

use crate::{day::Day, support::Server};
use livepatch_api::{AuditEntry, paths};
use livepatch_dashboard::paths as pages;
use livepatch_services::OpenIdProvider;
use std::fs;

/// Goes to the provider from the sign-in page, and comes back as somebody.
fn sign_in_there(day: &Day, name: &str) {
    let browser = &day.browser;
    day.open(&format!("{}?state=trouble", pages::MACHINES));
    browser.click("a.openid").unwrap();
    browser.wait_for("h1", "Sign-in").unwrap();
    browser.write("input[name=login]", name).unwrap();
    browser.write("input[name=password]", "anything").unwrap();
    browser.click("button[type=submit]").unwrap();
    browser.wait_for("h1", "Authorize").unwrap();
    browser.click("button[type=submit]").unwrap();
}

#[test]
fn people_come_by_way_of_their_provider() {
    let mut provider = OpenIdProvider::start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("client-secret");
    fs::write(&secret, format!("{}\n", OpenIdProvider::SECRET)).unwrap();
    let arguments = [
        "--oidc-issuer",
        provider.issuer(),
        "--oidc-client-id",
        OpenIdProvider::CLIENT,
        "--oidc-client-secret-file",
        secret.to_str().unwrap(),
        "--oidc-scopes",
        "profile",
        "--oidc-role",
        "operators=operator",
        "--oidc-role",
        "readers=viewer",
    ];
    let day = Day::at(Server::start_with(directory, &arguments, &[]));
    provider.serve(&format!("{}{}", day.server.url, pages::OPENID_BACK)).unwrap();
    let browser = &day.browser;
    day.look("sign-in-openid", pages::LOGIN);

    // There and back, to the page that was asked for.
    sign_in_there(&day, "ada.operators");
    browser.wait_for("h1", "Machines").unwrap();
    assert!(browser.address().unwrap().ends_with("/dashboard/machines?state=trouble"));
    assert_eq!(browser.text(".who span").unwrap(), "openid:ada.operators operator");
    day.open(pages::KEYS);
    browser.wait_for("h1", "You may not do that").unwrap();
    let log: Vec<AuditEntry> = day.server.admin_get(paths::ADMIN_AUDIT).unwrap();
    let entry = log.iter().find(|entry| entry.action == "sign-in").unwrap();
    assert_eq!(entry.actor, "openid:ada.operators");
    assert!(entry.detail.contains("its subject ada.operators"), "{}", entry.detail);

    // An answer that this browser did not ask for signs nobody in.
    day.sign_out();
    day.open(&format!("{}?code=stolen&state=guessed", pages::OPENID_BACK));
    browser.wait_for(".notice", "came to nothing").unwrap();

    // A group without a role. The provider still knows the browser, so it forgets that first.
    browser.forget_cookies().unwrap();
    sign_in_there(&day, "eve.strangers");
    browser.wait_for("h1", "You may not do that").unwrap();
    assert!(browser.text("main").unwrap().contains("eve.strangers has no role here"));
}

#[test]
fn people_come_with_a_password() {
    let day = Day::begin();
    let browser = &day.browser;
    day.sign_in(&day.server.admin_key());
    day.look("no-users", pages::USERS);
    day.open(pages::USERS);
    browser.write("#name", "ada").unwrap();
    browser.write("#password", "correct horse battery").unwrap();
    browser.click("main button[type=submit]").unwrap();
    browser.wait_for(".notice", "The user is made").unwrap();
    day.look("users", pages::USERS);
    day.look("set-password", &format!("{}/password", pages::one(pages::USERS, "ada")));
    day.sign_out();
    day.look("sign-in-password", pages::LOGIN);
    let try_with = |password: &str| {
        day.open(pages::LOGIN);
        browser.write("#name", "ada").unwrap();
        browser.write("#password", password).unwrap();
        browser.click("form:has(#password) button").unwrap();
    };
    try_with("correct horse battery");
    browser.wait_for("h1", "Overview").unwrap();
    assert_eq!(browser.text(".who span").unwrap(), "user:ada viewer");
    day.sign_out();
    for _ in 0..5 {
        try_with("wrong");
        browser.wait_for(".notice", "no password that holds").unwrap();
    }
    try_with("correct horse battery");
    browser.wait_for(".notice", "wait a quarter of an hour").unwrap();
    day.sign_in(&day.server.admin_key());
    day.open(pages::USERS);
    browser.wait_for("main", "locked until").unwrap();
    browser.allow_scripts(false).unwrap();
    day.open(pages::USERS);
    let text = browser.script("document.querySelector('main').textContent").unwrap();
    assert!(text.as_str().unwrap().contains("locked until"), "without scripts: {text}");
    browser.allow_scripts(true).unwrap();
}
