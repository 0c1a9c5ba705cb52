//! The dashboard as a browser speaks to it: sessions, roles, forms, and what hostile machines say.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_api::{
    AnchorView, ApiKeyCreated, ApiKeyRequest, AuditEntry, CheckInAnswer, CheckInRequest, EnrolAnswer,
    EnrolRequest, EnrolmentToken, Event, EventKind, LoginCreated, PatchState, PublishAnswer, Role,
    RolloutView, TokenCreated, TokenRequest, paths,
};
use livepatch_dashboard::paths as pages;
use livepatch_kernel::Taint;
use serde_json::{Value, json};
use std::time::Duration;
use support::{MACHINE, RELEASE, Server, kernel, livepatch, name, rollout};
use ureq::{Agent, http::Response};

const EVIL: &str = "<script>alert(1)</script>\"'&=HYPERLINK";

/// Somebody with a browser: keeps the session's cookie, follows no redirect by itself.
struct Browser<'a> {
    server: &'a Server,
    agent: Agent,
    cookie: String,
}

/// What a page came as.
struct Page {
    status: u16,
    location: String,
    cookie: String,
    policy: String,
    text: String,
}

impl<'a> Browser<'a> {
    fn new(server: &'a Server) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Self { server, agent: agent.into(), cookie: String::new() }
    }

    fn signed_in(server: &'a Server, key: &str) -> Self {
        let mut browser = Self::new(server);
        let page = browser.post(pages::LOGIN, &[("key", key)]);
        assert_eq!((page.status, page.location.as_str()), (303, pages::ROOT));
        browser.cookie = page.cookie.split(';').next().unwrap().to_owned();
        browser
    }

    fn with_role(server: &'a Server, role: Role) -> Self {
        let request = ApiKeyRequest { name: format!("a {role}"), role, expires_after: None };
        let created: ApiKeyCreated = server.admin_post(paths::ADMIN_KEYS, &request).unwrap();
        Self::signed_in(server, &created.key)
    }

    fn get(&self, path: &str) -> Page {
        let request = self.agent.get(format!("{}{path}", self.server.url)).header("cookie", &self.cookie);
        read(request.call().unwrap())
    }

    fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.post_from("same-origin", path, fields)
    }

    fn post_from(&self, site: &str, path: &str, fields: &[(&str, &str)]) -> Page {
        let form = pages::query(fields);
        let request = self.agent.post(format!("{}{path}", self.server.url)).header("cookie", &self.cookie);
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", site);
        read(request.send(form.trim_start_matches('?').as_bytes()).unwrap())
    }

    fn csrf(&self) -> String {
        let page = self.get(pages::TOKENS).text;
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

fn read(mut response: Response<ureq::Body>) -> Page {
    let header = |name: &str| {
        response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let (location, cookie, policy) =
        (header("location"), header("set-cookie"), header("content-security-policy"));
    let status = response.status().as_u16();
    Page { status, location, cookie, policy, text: response.body_mut().read_to_string().unwrap() }
}

/// A server with a livepatch, a rollout, and a machine that means harm.
fn site() -> Server {
    let server = Server::with_certificate();
    let (module, manifest) = livepatch(1);
    server.publish::<PublishAnswer>(&module, &manifest, "edge").unwrap();
    let request = TokenRequest {
        tier: "stable".into(),
        uses: None,
        expires_after: None,
        note: EVIL.into(),
        tags: vec!["web".into()],
    };
    let created: TokenCreated = server.admin_post(paths::ADMIN_TOKENS, &request).unwrap();
    let secret = created.token.parse::<EnrolmentToken>().unwrap().secret;
    let machine = EnrolRequest {
        machine_id: MACHINE.into(),
        hostname: EVIL.into(),
        kernel: kernel(),
        client_version: "0.1.0".into(),
    };
    let credential = server.post::<EnrolAnswer>(paths::ENROL, &secret, &machine).unwrap().credential;
    let report = CheckInRequest {
        sequence: 1,
        boot_id: "boot".into(),
        kernel: kernel(),
        state: PatchState::ApplyFailed,
        applied: None,
        taint: Taint(36864),
        events: vec![Event {
            at: EVIL[..20].into(),
            kind: EventKind::Failed,
            detail: format!("{EVIL}\nsecond line"),
        }],
        client_version: "0.1.0".into(),
    };
    server.post::<CheckInAnswer>(paths::CHECK_IN, &credential, &report).unwrap();
    server.admin_post::<RolloutView>(paths::ADMIN_ROLLOUTS, &rollout("normal")).unwrap();
    server
}

fn every_page() -> Vec<String> {
    vec![
        pages::ROOT.into(),
        pages::MACHINES.into(),
        pages::one(pages::MACHINES, MACHINE),
        format!("{}/by/kernel", pages::MACHINES),
        format!("{}/by/tier", pages::MACHINES),
        format!("{}/by/state", pages::MACHINES),
        format!("{}/by/tag", pages::MACHINES),
        pages::ROLLOUTS.into(),
        pages::one(pages::ROLLOUTS, "2026-11"),
        pages::LIVEPATCHES.into(),
        pages::one(pages::LIVEPATCHES, &name(1)),
        pages::CVES.into(),
        pages::NOTICES.into(),
        pages::SIMULATOR.into(),
        pages::TOKENS.into(),
        pages::UPSTREAMS.into(),
        pages::HOOKS.into(),
        pages::AUDIT.into(),
    ]
}

/// Every form, and the least role that it takes.
fn every_form() -> Vec<(Role, String)> {
    let rollout = pages::one(pages::ROLLOUTS, "2026-11");
    vec![
        (Role::Operator, format!("{rollout}/halt")),
        (Role::Releaser, format!("{rollout}/resume")),
        (Role::Releaser, format!("{rollout}/withdraw")),
        (Role::Operator, format!("{}/revoke", pages::one(pages::MACHINES, MACHINE))),
        (Role::Releaser, format!("{}/promote", pages::one(pages::LIVEPATCHES, &name(1)))),
        (Role::Operator, format!("{}/rate", pages::one(pages::CVES, "CVE-2026-93146"))),
        (Role::Releaser, format!("{}/refuse", pages::one(pages::CVES, "CVE-2026-93146"))),
        (Role::Operator, pages::NOTICES.into()),
        (Role::Operator, format!("{}/edit", pages::one(pages::NOTICES, "LSN-0001"))),
        (Role::Operator, format!("{}/review", pages::one(pages::NOTICES, "LSN-0001"))),
        (Role::Operator, format!("{}/revise", pages::one(pages::NOTICES, "LSN-0001"))),
        (Role::Releaser, format!("{}/publish", pages::one(pages::NOTICES, "LSN-0001"))),
        (Role::Operator, pages::TOKENS.into()),
        (Role::Operator, format!("{}/revoke", pages::one(pages::TOKENS, "x"))),
        (Role::Admin, pages::UPSTREAMS.into()),
        (Role::Releaser, format!("{}/sync", pages::one(pages::UPSTREAMS, "x"))),
        (Role::Admin, format!("{}/remove", pages::one(pages::UPSTREAMS, "x"))),
        (Role::Admin, pages::HOOKS.into()),
        (Role::Admin, format!("{}/remove", pages::one(pages::HOOKS, "x"))),
        (Role::Admin, pages::USERS.into()),
        (Role::Admin, format!("{}/password", pages::one(pages::USERS, "x"))),
        (Role::Admin, format!("{}/remove", pages::one(pages::USERS, "x"))),
        (Role::Admin, pages::KEYS.into()),
        (Role::Admin, format!("{}/revoke", pages::one(pages::KEYS, "x"))),
    ]
}

#[test]
fn nobody_sees_anything_without_a_session() {
    let server = site();
    let stranger = Browser::new(&server);
    for page in every_page() {
        let answer = stranger.get(&page);
        assert_eq!(answer.status, 303, "{page}");
        assert!(
            answer.location.starts_with(&format!("{}?back=", pages::LOGIN)),
            "{page}: {}",
            answer.location
        );
    }
    for suffix in [".csv", ".json"] {
        assert_eq!(stranger.get(&format!("{}/by/tag{suffix}", pages::MACHINES)).status, 303);
        for list in [
            pages::MACHINES,
            pages::ROLLOUTS,
            pages::LIVEPATCHES,
            pages::CVES,
            pages::NOTICES,
            pages::TOKENS,
            pages::UPSTREAMS,
            pages::HOOKS,
            pages::USERS,
            pages::KEYS,
            pages::AUDIT,
        ] {
            assert_eq!(stranger.get(&format!("{list}{suffix}")).status, 303);
        }
    }
    for (_, form) in every_form() {
        assert_eq!(stranger.post(&form, &[("csrf", "x")]).status, 303, "{form}");
    }
    assert_eq!(stranger.post(pages::LOGIN, &[("key", "wrong")]).status, 401);
    let page = stranger.get(pages::LOGIN);
    assert!(page.policy.contains("default-src 'none'") && !page.policy.contains("unsafe"));
}

#[test]
fn a_login_is_used_once_and_a_session_ends_with_its_key() {
    let server = site();
    let created: LoginCreated = server.admin_post(paths::ADMIN_LOGINS, &json!({})).unwrap();
    let code = created.path.split_once("code=").unwrap().1.to_owned();
    let mut browser = Browser::new(&server);
    assert!(
        browser.get(&created.path).text.contains("signs you in once"),
        "looking at it does not use it up"
    );
    let page = browser.post(pages::LOGIN, &[("code", &code)]);
    assert!(page.cookie.contains("HttpOnly; SameSite=Strict"), "{}", page.cookie);
    browser.cookie = page.cookie.split(';').next().unwrap().to_owned();
    assert!(browser.get(pages::ROOT).text.contains("admin.key"));
    assert_eq!(browser.post(pages::LOGIN, &[("code", &code)]).status, 401);
    assert!(!server.log().contains(&code), "the log does not tell it");

    let csrf = browser.csrf();
    assert_eq!(browser.post_from("cross-site", pages::LOGOUT, &[("csrf", &csrf)]).status, 403);
    assert_eq!(browser.post(pages::LOGOUT, &[("csrf", "guessed")]).status, 403);
    assert_eq!(browser.post(pages::LOGOUT, &[("csrf", &csrf)]).status, 303);
    assert_eq!(browser.get(pages::ROOT).status, 303, "signed out");

    let viewer = Browser::with_role(&server, Role::Viewer);
    assert_eq!(viewer.get(pages::ROOT).status, 200);
    let keys: Vec<Value> = server.admin_get(paths::ADMIN_KEYS).unwrap();
    let path = format!("{}/{}/revoke", paths::ADMIN_KEYS, keys[0]["id"].as_str().unwrap());
    server.admin_post::<Value>(&path, &json!({})).unwrap();
    assert_eq!(viewer.get(pages::ROOT).status, 303, "the key is worth nothing, and so is the session");
}

#[test]
fn no_role_does_more_than_it_may() {
    let server = site();
    let roles = [Role::Viewer, Role::Operator, Role::Releaser, Role::Admin];
    for role in roles {
        let browser = Browser::with_role(&server, role);
        let csrf = browser.csrf();
        for page in every_page() {
            assert_eq!(browser.get(&page).status, 200, "{role} {page}");
        }
        for page in [pages::KEYS, pages::USERS] {
            assert_eq!(browser.get(page).status == 200, role == Role::Admin, "{role} {page}");
        }
        for (needed, form) in every_form() {
            // Without its fields no form does anything but ask for the role first.
            let answer = browser.post(&form, &[("csrf", &csrf), ("seen", "nothing")]);
            assert_eq!(answer.status == 403, role < needed, "{role} {form}: {}", answer.status);
            if form.contains("2026-11") {
                assert_eq!(browser.get(&form).status == 403, role < needed, "{role} asks {form}");
            }
        }
    }
    let log: Vec<AuditEntry> = server.admin_get(paths::ADMIN_AUDIT).unwrap();
    assert!(
        log.iter().filter(|entry| entry.actor == "a viewer").all(|entry| entry.action == "sign-in"),
        "{log:?}"
    );
}

#[test]
fn a_second_halt_does_no_harm_and_a_stale_resume_is_asked_again() {
    let server = site();
    let browser = Browser::with_role(&server, Role::Releaser);
    let csrf = browser.csrf();
    let rollout = pages::one(pages::ROLLOUTS, "2026-11");
    let send = |act: &str, seen: &str| {
        let fields = [("csrf", csrf.as_str()), ("reason", "looks <b>bad</b>"), ("seen", seen)];
        browser.post(&format!("{rollout}/{act}"), &fields)
    };
    assert_eq!(
        browser.post(&format!("{rollout}/halt"), &[("csrf", &csrf)]).status,
        422,
        "a reason is needed"
    );
    assert_eq!(send("halt", "").location, format!("{rollout}?done=halted"));
    assert_eq!(send("halt", "").location, format!("{rollout}?done=halted-before"));
    let page = browser.get(&format!("{rollout}?done=halted-before")).text;
    assert!(page.contains("nothing changed") && page.contains("looks &lt;b&gt;bad"));
    assert_eq!(send("resume", "running-0").status, 409, "it was halted since that page");
    assert_eq!(send("resume", "halted-1").location, format!("{rollout}?done=resumed"));
    let log: Vec<AuditEntry> = server.admin_get(paths::ADMIN_AUDIT).unwrap();
    assert_eq!(log.iter().filter(|entry| entry.action == "rollout-halt").count(), 1);
    assert_eq!(send("withdraw", "").location, format!("{rollout}?done=withdrawn"));
    assert_eq!(send("withdraw", "").location, format!("{rollout}?done=withdrawn-before"));
}

#[test]
fn hostile_words_of_machines_stay_words() {
    let server = site();
    let browser = Browser::signed_in(&server, &server.admin_key());
    let mut shown = 0;
    for page in every_page() {
        let text = browser.get(&page).text;
        assert!(!text.contains("<script>alert"), "{page}");
        assert!(!text.contains(" style=") && !text.contains(" onclick="), "{page}");
        shown += text.matches("&lt;script&gt;alert(1)").count();
    }
    assert!(shown >= 4, "host name, event, note: {shown}");
    let page = browser.get(&format!("{}/revoke", pages::one(pages::MACHINES, MACHINE)));
    assert!(page.status == 200 && !page.text.contains("<script>alert"));
    let search = format!("{}?q={}", pages::MACHINES, pages::escape(EVIL));
    let found = browser.get(&search).text;
    assert!(found.contains("1 machine ") && !found.contains("<script>alert"));
    let csv = browser.get(&format!("{}.csv", pages::MACHINES)).text;
    assert!(csv.starts_with("hostname,state,kernel"), "{csv}");
    let rows: Value = serde_json::from_str(&browser.get(&format!("{}.json", pages::MACHINES)).text).unwrap();
    assert_eq!(rows[0]["hostname"], EVIL);
    assert_eq!(browser.get(&pages::one(pages::MACHINES, EVIL)).status, 404);
    assert_eq!(browser.get(&format!("{}/nothing", pages::ROOT)).status, 404);
}

#[test]
fn an_admin_makes_tokens_and_keys_on_the_page() {
    let server = site();
    let browser = Browser::signed_in(&server, &server.admin_key());
    let csrf = browser.csrf();
    let made = browser.post(pages::TOKENS, &[("csrf", &csrf), ("tier", "edge"), ("uses", "2"), ("days", "")]);
    assert!(made.status == 200 && made.text.contains("sudo livepatch enable "), "{}", made.text);
    let wrong = browser.post(pages::TOKENS, &[("csrf", &csrf), ("tier", "edge"), ("uses", "many")]);
    assert!(wrong.status == 422 && wrong.text.contains("must be a number"));
    let made = browser.post(pages::KEYS, &[("csrf", &csrf), ("name", "ada"), ("role", "viewer")]);
    let key = made.text.split_once("<code>").unwrap().1.split('<').next().unwrap().to_owned();
    let ada = Browser::signed_in(&server, &key);
    assert!(ada.get(pages::ROOT).text.contains("ada"));
    let dark = ada.post(pages::THEME, &[("csrf", &ada.csrf()), ("theme", "dark"), ("back", "//evil")]);
    assert!(dark.cookie.starts_with("livepatch_theme=dark") && dark.location == pages::ROOT);
}

#[test]
fn machines_are_counted_and_found_by_what_they_have_in_common() {
    let server = site();
    let browser = Browser::with_role(&server, Role::Viewer);
    let rows = |word: &str| -> Value {
        let page = browser.get(&format!("{}/by/{word}.json", pages::MACHINES));
        serde_json::from_str(&page.text).unwrap()
    };
    for (word, group) in [("kernel", RELEASE), ("tier", "stable"), ("state", "apply-failed"), ("tag", "web")]
    {
        let rows = rows(word);
        assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
        assert_eq!(
            (&rows[0]["group"], &rows[0]["machines"], &rows[0]["in_trouble"]),
            (&group.into(), &1.into(), &1.into())
        );
        let page = browser.get(&format!("{}/by/{word}", pages::MACHINES)).text;
        assert!(page.contains(&format!("{}?{word}={}", pages::MACHINES, pages::escape(group))), "{page}");
        assert!(browser.get(&format!("{}?{word}={group}", pages::MACHINES)).text.contains("1 machine "));
        assert!(
            browser.get(&format!("{}/by/{word}.csv", pages::MACHINES)).text.starts_with("group,machines,")
        );
    }
    for wrong in ["owner", "kernel.xml", &pages::escape(EVIL)] {
        assert_eq!(browser.get(&format!("{}/by/{wrong}", pages::MACHINES)).status, 404);
    }
    let lacks = |fix: &str| browser.get(&format!("{}?lacks={}", pages::MACHINES, pages::escape(fix))).text;
    assert!(lacks("CVE-2026-93146").contains("1 machine "));
    for none in ["CVE-2026-1", EVIL] {
        assert!(lacks(none).contains("No machine is like that") && !lacks(none).contains("<script>alert"));
    }
    assert!(browser.get(&format!("{}?tag=we", pages::MACHINES)).text.contains("No machine is like that"));
    let rows = browser.get(&format!("{}.json?lacks=CVE-2026-93146&tag=web", pages::MACHINES)).text;
    assert_eq!(serde_json::from_str::<Vec<Value>>(&rows).unwrap().len(), 1);
}

#[test]
fn a_machines_page_tells_what_operators_keep_from_it() {
    let server = site();
    let browser = Browser::with_role(&server, Role::Viewer);
    let block = json!({"kind": "tag", "subject": "web", "reason": EVIL, "expires_after": 3600});
    server.admin_post::<Value>(paths::ADMIN_BLOCKS, &block).unwrap();
    let other = json!({"kind": "tag", "subject": "lab", "reason": "somebody else's"});
    server.admin_post::<Value>(paths::ADMIN_BLOCKS, &other).unwrap();
    let page = browser.get(&pages::one(pages::MACHINES, MACHINE)).text;
    assert!(page.contains("Blocks of operators") && page.contains("machines with the tag"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script>alert"));
    assert!(!page.contains("somebody else"), "{page}");
}

#[test]
fn an_admin_makes_and_removes_a_hook_on_the_page() {
    let server = site();
    let browser = Browser::signed_in(&server, &server.admin_key());
    let csrf = browser.csrf();
    assert!(browser.get(pages::HOOKS).text.contains("There is no hook"));
    let url = "https://chat.example.org/hooks/T0PSECRET";
    let fields = [("csrf", csrf.as_str()), ("name", EVIL), ("url", url), ("halt", "yes")];
    let made = browser.post(pages::HOOKS, &fields);
    assert!(made.status == 200 && made.text.contains("shown this once"), "{}", made.text);
    let secret = made.text.split_once("<code>").unwrap().1.split('<').next().unwrap().to_owned();
    assert!(secret.len() >= 32, "{secret}");
    let wrong = browser.post(pages::HOOKS, &[("csrf", &csrf), ("name", "x"), ("url", "javascript:alert(1)")]);
    assert_eq!(wrong.status, 422);

    let page = browser.get(pages::HOOKS).text;
    assert!(page.contains(url) && !page.contains(&secret) && !page.contains("<script>alert"), "{page}");
    let operator = Browser::with_role(&server, Role::Releaser);
    for path in [pages::HOOKS.to_owned(), format!("{}.csv", pages::HOOKS), format!("{}.json", pages::HOOKS)] {
        let text = operator.get(&path).text;
        assert!(text.contains("chat.example.org") && !text.contains("T0PSECRET"), "{path}: {text}");
        assert!(!text.contains(&secret));
    }
    let hooks: Vec<Value> = server.admin_get(paths::ADMIN_HOOKS).unwrap();
    assert_eq!(hooks[0]["events"], json!(["halt"]));
    let remove = format!("{}/remove", pages::one(pages::HOOKS, hooks[0]["id"].as_str().unwrap()));
    assert!(browser.get(&remove).text.contains("Remove &lt;script&gt;"));
    assert_eq!(
        browser.post(&remove, &[("csrf", &csrf)]).location,
        format!("{}?done=hook-removed", pages::HOOKS)
    );
    assert_eq!(browser.post(&remove, &[("csrf", &csrf)]).status, 404);
}

#[test]
fn a_site_is_followed_and_synced_on_the_page() {
    let (upstream, server) = (site(), Server::with_certificate());
    let browser = Browser::signed_in(&server, &server.admin_key());
    let csrf = browser.csrf();
    assert!(browser.get(pages::UPSTREAMS).text.contains("No site is followed"));
    let anchor: AnchorView = upstream.admin_get(paths::ADMIN_TRUST_ANCHOR).unwrap();
    let follow = |name: &str, anchor: &str| {
        let fields = [
            ("csrf", csrf.as_str()),
            ("name", name),
            ("url", &upstream.url),
            ("anchor", anchor),
            ("tier", "edge"),
            ("series", "6.1, 6.12"),
            ("into", "edge"),
            ("hours", ""),
        ];
        browser.post(pages::UPSTREAMS, &fields)
    };
    assert_eq!(follow("vendor", "not a digest").status, 422);
    assert_eq!(follow("vendor", &"0".repeat(64)).status, 422, "another anchor than the pinned one");
    assert_eq!(
        follow("vendor", anchor.sha256.as_str()).location,
        format!("{}?done=upstream-added", pages::UPSTREAMS)
    );
    let page = browser.get(pages::UPSTREAMS).text;
    assert!(
        page.contains("edge: 6.1, 6.12") && page.contains("not yet") && page.contains("Sync now"),
        "{page}"
    );

    let releaser = Browser::with_role(&server, Role::Releaser);
    let one = pages::one(pages::UPSTREAMS, "vendor");
    let synced = releaser.post(&format!("{one}/sync"), &[("csrf", &releaser.csrf())]);
    // The livepatch there is being rolled out: how it fares is not known yet, and the page says so.
    assert!(synced.status == 200 && synced.text.contains("rolling out there"), "{}", synced.text);
    let rows: Value =
        serde_json::from_str(&releaser.get(&format!("{}.json", pages::UPSTREAMS)).text).unwrap();
    assert_eq!((&rows[0]["name"], &rows[0]["result"]), (&"vendor".into(), &"went well".into()));
    drop(upstream);
    assert!(releaser.post(&format!("{one}/sync"), &[("csrf", &releaser.csrf())]).status >= 400);
    assert!(releaser.get(pages::UPSTREAMS).text.contains("failed"));
    let removed = browser.post(&format!("{one}/remove"), &[("csrf", &csrf)]);
    assert_eq!(removed.location, format!("{}?done=upstream-removed", pages::UPSTREAMS));
    let log: Vec<AuditEntry> = server.admin_get(paths::ADMIN_AUDIT).unwrap();
    let acts: Vec<&str> = log.iter().map(|entry| entry.action.as_str()).collect();
    for act in ["upstream-add", "upstream-sync", "upstream-remove"] {
        assert!(acts.contains(&act), "{acts:?}");
    }
}

#[test]
fn a_builds_documents_are_read_on_the_livepatchs_page() {
    let server = site();
    let browser = Browser::with_role(&server, Role::Viewer);
    let page = pages::one(pages::LIVEPATCHES, &name(1));
    assert!(browser.get(&page).text.contains("Nothing was handed in about the build"));
    let (_, manifest) = livepatch(1);
    let unit = json!({"source": "net/unix/af_unix.c", "object": "vmlinux", "changed": ["unix_gc", EVIL],
        "why": [{"function": "unix_gc", "why": "edited at line 12"}],
        "proof": {"functions": 40, "identical": 40, "fields": 900, "unchecked": 0, "differs": []}});
    let finding = json!({"severity": "warn", "code": "new-state", "subject": "unix_gc", "message": EVIL, "advice": "Look."});
    let report = json!({"module_sha256": manifest.module.sha256, "units": [unit], "findings": [finding]});
    let test = json!({"module_sha256": manifest.module.sha256, "passed": true,
        "steps": [{"step": "load", "passed": true, "seconds": 1.5}], "warnings": []});
    for (kind, text) in [
        ("report", report.to_string()),
        ("boot-test", test.to_string()),
        ("console", format!("{EVIL}\nbooted")),
    ] {
        let at = format!("{}/{}/documents/{kind}", paths::ADMIN_LIVEPATCHES, name(1));
        server.send::<Value>(&at, &server.admin_key(), text.as_bytes()).unwrap();
    }
    let text = browser.get(&page).text;
    for words in
        ["unix_gc", "edited at line 12", "none differs", "new-state", "passed", "booted", "admin.key"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("<script>alert") && text.matches("&lt;script&gt;alert(1)").count() >= 3);
    let whole = browser.get(&format!("{page}/documents/console"));
    assert!(
        whole.status == 200 && whole.text.starts_with(EVIL) && whole.policy.contains("default-src 'none'")
    );
    assert_eq!(browser.get(&format!("{page}/documents/patch")).status, 404);
    assert_eq!(Browser::new(&server).get(&format!("{page}/documents/console")).status, 303);
}
