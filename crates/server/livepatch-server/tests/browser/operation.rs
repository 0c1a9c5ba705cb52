//! An operator's day: first run, publish, machines, a rollout, a bad patch, halt, resume; what a viewer may not.

use crate::{
    day::{Day, Machine, enrol, hand_in, publish},
    support::name,
};
use livepatch_api::{
    ApiKeyCreated, ApiKeyRequest, EventKind, PatchState, Role, RolloutRequest, RolloutView, paths,
};
use livepatch_dashboard::paths as pages;

const RELEASE: &str = "2026-11-sockets";

#[test]
fn an_operators_day() {
    let day = Day::begin();
    let (server, browser) = (&day.server, &day.browser);
    let admin = server.admin_key();
    day.look("sign-in", pages::LOGIN);
    // A checker that finds nothing anywhere would please everybody.
    browser.script("document.querySelector('main').insertAdjacentHTML('beforeend', '<img>')").unwrap();
    assert!(day.violations().to_string().contains("image-alt"), "{}", day.violations());

    // First run: nothing is there, and the page says what to do.
    day.sign_in(&admin);
    assert!(browser.text("main").unwrap().contains("livepatch-admin certificate add cert.pem"));
    assert_eq!(
        browser.script("document.querySelectorAll('.command + .copy').length").unwrap(),
        4,
        "copy buttons"
    );
    day.look("first-run", pages::ROOT);
    for (name, path) in [
        ("no-machines", pages::MACHINES),
        ("no-rollouts", pages::ROLLOUTS),
        ("no-livepatches", pages::LIVEPATCHES),
    ] {
        day.look(name, path);
    }

    // Publish, three machines, a rollout.
    let manifest = publish(server);
    hand_in(server, &manifest);
    let mut machines = enrol(server, 3);
    let request = RolloutRequest {
        release: RELEASE.into(),
        livepatches: vec![name(1)],
        tier: "stable".into(),
        profile: "emergency".into(),
        windows: vec![],
        withdraw_on_halt: false,
    };
    server.admin_post::<RolloutView>(paths::ADMIN_ROLLOUTS, &request).unwrap();
    day.open(pages::MACHINES);
    assert!(browser.text(".count").unwrap().contains("3 machines"));
    browser.write("body", "/").unwrap();
    browser.write("#search", "web-2\u{e007}").unwrap();
    browser.wait_for(".count", "1 machine").unwrap();
    // One of three is let in; each machine's page says why it has to wait, or that it need not.
    let waits = |machine: &&Machine| {
        day.open(&pages::one(pages::MACHINES, &machine.id));
        let text = browser.text("main").unwrap();
        assert!(text.contains("its wave") || text.contains("it may have it now"), "{text}");
        text.contains("its wave")
    };
    assert_eq!(machines.iter().filter(waits).count(), 2);

    // The rollout's page follows what machines report, without a reload.
    let rollout = pages::one(pages::ROLLOUTS, RELEASE);
    day.open(&rollout);
    browser.wait_for("#live", "of 4").unwrap();
    machines[0].report(
        server,
        Some(&manifest),
        PatchState::Applied,
        vec![
            (EventKind::Applied, format!("{} is applied; the transition took 3.2 s", name(1))),
            (EventKind::Confirmed, format!("{} ran for 900 s", name(1))),
        ],
    );
    browser.wait_for("#live", "50 % had it after").unwrap();

    // A bad patch: a machine stalls, which is no halt yet; a person has seen enough.
    let detail = format!(
        "transition-stalled: {}: the transition did not end in time and was reverted; \
         it waited for kworker/u8:2 (pid 4711) in unix_stream_read_generic",
        name(1)
    );
    machines[1].report(server, None, PatchState::ApplyFailed, vec![(EventKind::Failed, detail)]);
    browser.click("a.grave").unwrap();
    browser.write("#reason", "stalls on web-2").unwrap();
    day.check_accessibility("confirm");
    browser.click("main button[type=submit]").unwrap();
    browser.wait_for(".notice", "The rollout is halted").unwrap();
    browser.wait_for("#live", "halted by a person: stalls on web-2").unwrap();
    browser.wait_for("#live", "kworker/u8:2 in unix_stream_read_generic").unwrap();
    let halted: RolloutView = server.admin_get(&format!("{}/{RELEASE}", paths::ADMIN_ROLLOUTS)).unwrap();
    assert_eq!((halted.state.as_str(), halted.halts.len()), ("halted", 1));
    every_page(&day, &machines);

    // It goes on.
    day.open(&rollout);
    browser.click(&format!("a[href='{rollout}/resume']")).unwrap();
    browser.write("#reason", "web-2 is known").unwrap();
    browser.click("main button[type=submit]").unwrap();
    browser.wait_for(".notice", "The rollout goes on").unwrap();

    without_scripts(&day, &machines);
    a_viewers_limits(&day);
}

/// Every page as it looks in the middle of the story.
fn every_page(day: &Day, machines: &[Machine]) {
    let rollout = pages::one(pages::ROLLOUTS, RELEASE);
    let machine = pages::one(pages::MACHINES, &machines[1].id);
    let applied = pages::one(pages::MACHINES, &machines[0].id);
    let livepatch = pages::one(pages::LIVEPATCHES, &name(1));
    let by = |word: &str| format!("{}/by/{word}", pages::MACHINES);
    let simulator = format!("{}?profile=emergency&machines=2000&crash=1&runs=2", pages::SIMULATOR);
    for (name, path) in [
        ("overview", pages::ROOT),
        ("machines", pages::MACHINES),
        ("machines-by-kernel", &by("kernel")),
        ("machines-by-tag", &by("tag")),
        ("machine", &machine),
        ("machine-applied", &applied),
        ("rollouts", pages::ROLLOUTS),
        ("rollout", &rollout),
        ("confirm", &format!("{rollout}/resume")),
        ("livepatches", pages::LIVEPATCHES),
        ("livepatch", &livepatch),
        ("simulator", &simulator),
        ("tokens", pages::TOKENS),
        ("upstreams", pages::UPSTREAMS),
        ("hooks", pages::HOOKS),
        ("keys", pages::KEYS),
        ("audit", pages::AUDIT),
        ("not-found", "/dashboard/nothing"),
    ] {
        day.look(name, path);
    }
}

/// All reading works with JavaScript off, and so does the search.
fn without_scripts(day: &Day, machines: &[Machine]) {
    let browser = &day.browser;
    browser.allow_scripts(false).unwrap();
    for (path, words) in [
        (pages::ROOT.to_owned(), "Published fixes that machines lack"),
        (pages::MACHINES.to_owned(), "web-3.example.org"),
        (format!("{}?q=web-2", pages::MACHINES), "1 machine"),
        (pages::one(pages::MACHINES, &machines[1].id), "transition-stalled"),
        (pages::one(pages::ROLLOUTS, RELEASE), "1 soaked"),
        (pages::one(pages::ROLLOUTS, RELEASE), "2–5 s"),
        (pages::LIVEPATCHES.to_owned(), "version 1"),
        (pages::one(pages::LIVEPATCHES, &name(1)), "unix_dgram_sendmsg"),
        (pages::one(pages::LIVEPATCHES, &name(1)), "return -EOPNOTSUPP;"),
        (pages::AUDIT.to_owned(), "rollout-halt"),
        (pages::TOKENS.to_owned(), "the web servers"),
        (pages::KEYS.to_owned(), "admin.key"),
    ] {
        day.open(&path);
        // A picture's words are text too, and no 'inner text'.
        let text = browser.script("document.querySelector('main').textContent").unwrap();
        assert!(text.as_str().unwrap().contains(words), "{path}: {words}");
        assert_eq!(
            browser.script("document.querySelectorAll('button.copy').length").unwrap(),
            0,
            "scripts are off"
        );
    }
    browser.allow_scripts(true).unwrap();
}

/// A viewer sees the rollout, and finds no brake: not on the page, not by its address.
fn a_viewers_limits(day: &Day) {
    let (server, browser) = (&day.server, &day.browser);
    let request = ApiKeyRequest { name: "ada".into(), role: Role::Viewer, expires_after: None };
    let key: ApiKeyCreated = server.admin_post(paths::ADMIN_KEYS, &request).unwrap();
    day.sign_out();
    day.sign_in(&key.key);
    let rollout = pages::one(pages::ROLLOUTS, RELEASE);
    day.open(&rollout);
    assert!(browser.text("main").unwrap().contains("sign in with the key of an operator"));
    assert_eq!(browser.script("document.querySelectorAll('main a.button, main form').length").unwrap(), 0);
    day.open(&format!("{rollout}/halt"));
    browser.wait_for("h1", "You may not do that").unwrap();
    day.open(pages::KEYS);
    browser.wait_for("h1", "You may not do that").unwrap();
}
