//! A notice, from what is known of its vulnerabilities to its readers: drafted, edited, previewed on every channel, reviewed
//! by somebody else, published, corrected; all on the pages.

use crate::{
    day::{Day, enrol, publish},
    support::Server,
};
use livepatch_api::{
    ApiKeyCreated, ApiKeyRequest, CveDetail, CveImport, CveImportDocument, CveImported, CveRating,
    PatchState, Role, VerdictRequest, VerdictsPublished, paths,
};
use livepatch_dashboard::paths as pages;

const FAMILY: &str = "debian/bookworm/linux";
/// What the livepatch of these tests mends.
const LIVEPATCHED: &str = "CVE-2026-93146";
const REFUSED: &str = "CVE-2026-1002";
const CHANGELOG: &str = "\
linux (6.1.193-1) bookworm-security; urgency=high

  * teapot: look at the lid before pouring (CVE-2026-93146)
  * kettle: do not boil over (CVE-2026-1002)

 -- Debian Kernel Team <debian-kernel@lists.debian.org>  Sat, 28 Nov 2026 10:00:00 +0000
";

fn record(cve: &str, title: &str, text: &str) -> CveImportDocument {
    let record = serde_json::json!({
        "dataType": "CVE_RECORD", "dataVersion": "5.1",
        "cveMetadata": {"cveId": cve, "assignerOrgId": "416baaa9-dc9f-4396-8d5f-8c081fb06d67", "state": "PUBLISHED",
            "datePublished": "2026-11-10T08:00:00Z"},
        "containers": {"cna": {
            "providerMetadata": {"orgId": "416baaa9-dc9f-4396-8d5f-8c081fb06d67"},
            "title": title, "descriptions": [{"lang": "en", "value": text}],
            "affected": [{"vendor": "Linux", "product": "Linux"}],
            "references": [{"url": format!("https://example.org/{cve}")}]}},
    });
    CveImportDocument { name: cve.into(), text: record.to_string() }
}

/// Two vulnerabilities, one of them rated.
pub(crate) fn import(server: &Server) {
    let take_in = |source: &str, family: Option<&str>, documents: Vec<CveImportDocument>| {
        let count = documents.len();
        let request = CveImport { source: source.into(), family: family.map(str::to_owned), documents };
        let done: CveImported = server.admin_post(paths::ADMIN_CVE_DOCUMENTS, &request).unwrap();
        assert_eq!((done.imported as usize, done.problems), (count, vec![]));
    };
    let changelog = CveImportDocument { name: "changelog".into(), text: CHANGELOG.into() };
    take_in("changelog", Some(FAMILY), vec![changelog]);
    let records = vec![
        record(
            LIVEPATCHED,
            "teapot: look at the lid",
            "The teapot poured <b>without</b> looking at its lid.",
        ),
        record(REFUSED, "kettle: do not boil over", "The kettle boiled over."),
    ];
    take_in("cve-record", None, records);
    let rating =
        CveRating { priority: "high".into(), reason: "Local root in a default installation.".into() };
    server.admin_post::<CveDetail>(&format!("{}/{REFUSED}/rating", paths::ADMIN_CVES), &rating).unwrap();
}

#[test]
fn a_notice_reaches_its_readers() {
    let day = Day::begin();
    let (server, browser) = (&day.server, &day.browser);
    let key = |name: &str, role: Role| {
        let request = ApiKeyRequest { name: name.into(), role, expires_after: None };
        server.admin_post::<ApiKeyCreated>(paths::ADMIN_KEYS, &request).unwrap().key
    };
    let (ann, bob, eve) = (key("ann", Role::Operator), key("bob", Role::Releaser), key("eve", Role::Viewer));
    day.sign_in(&ann);
    day.look("no-cves", pages::CVES);
    day.look("no-notices", pages::NOTICES);
    let manifest = publish(server);
    import(server);
    for machine in enrol(server, 4).iter_mut().take(3) {
        machine.report(server, Some(&manifest), PatchState::Applied, vec![]);
    }

    // Nobody has rated it: the page that says so is where it is done.
    day.open(pages::CVES);
    browser.click(&format!("a[href='{}']", pages::one(pages::CVES, LIVEPATCHED))).unwrap();
    browser.wait_for("main", "livepatched in version 1").unwrap();
    browser.write("#rate-reason", "Local root in a default installation.").unwrap();
    browser.script("document.getElementById('priority').value = 'high'").unwrap();
    browser.click("form[action$='/rate'] button").unwrap();
    browser.wait_for(".notice", "The priority is decided").unwrap();
    day.look("cves", pages::CVES);
    day.look("cve", &pages::one(pages::CVES, LIVEPATCHED));

    // Drafted from what is known, and put into better words.
    browser.click(&format!("a[href='{}?cves={LIVEPATCHED}']", pages::NOTICES)).unwrap();
    browser.click("form[action$='/notices'] button").unwrap();
    browser.wait_for("h1", "LSN-0001-1").unwrap();
    browser.script("document.getElementById('title').value = 'Linux kernel: teapots'").unwrap();
    browser.click("form.editor button").unwrap();
    browser.wait_for(".notice", "The text is saved").unwrap();
    assert!(browser.text("main").unwrap().contains("You wrote it last"));
    let notice = pages::one(pages::NOTICES, "LSN-0001-1");
    for (channel, words) in [
        ("page", "LSN-0001-1: Linux kernel: teapots"),
        ("mail", "[LSN-0001-1] Linux kernel: teapots"),
        ("rss", "<title>LSN-0001-1"),
        ("atom", "<feed"),
        ("json", "\"number\": \"LSN-0001-1\""),
        ("osv", "\"schema_version\""),
        ("csaf", "\"csaf_version\""),
        ("openvex", "openvex.dev"),
    ] {
        match channel {
            "page" | "mail" => day.look(&format!("notice-{channel}"), &format!("{notice}?channel={channel}")),
            _ => day.open(&format!("{notice}?channel={channel}")),
        }
        let shown = browser.text(".preview").unwrap();
        assert!(shown.contains(words), "{channel}: {shown}");
    }
    assert_eq!(browser.script("document.querySelectorAll('main b').length").unwrap(), 0, "foreign markup");
    day.sign_out();

    // Somebody else reads it, and brings it out.
    day.sign_in(&bob);
    day.open(&notice);
    browser.click("form[action$='/review'] button").unwrap();
    browser.wait_for(".notice", "reviewed as it is").unwrap();
    day.look("notice-reviewed", &notice);
    browser.click("form[action$='/publish'] button").unwrap();
    browser.wait_for(".notice", "published on every channel").unwrap();
    day.look("notice-published", &notice);
    day.look("notices", pages::NOTICES);

    // One that cannot be livepatched.
    day.open(&pages::one(pages::CVES, REFUSED));
    browser.write("#refuse-code", "changed-data").unwrap();
    browser.write("#refuse-reason", "The fix changes the size of the kettle.").unwrap();
    browser.write("#refuse-mitigation", "do not load the module kettle").unwrap();
    browser.script(&format!("document.getElementById('family').value = '{FAMILY}'")).unwrap();
    browser.click("form[action$='/refuse'] button").unwrap();
    browser.wait_for("main", "cannot be livepatched (changed-data)").unwrap();

    // Published notices change by revisions alone.
    day.open(&notice);
    browser.write("#note", "The lid is a lid").unwrap();
    browser.click("form[action$='/revise'] button").unwrap();
    browser.wait_for("h1", "LSN-0001-2").unwrap();
    day.sign_out();

    readers(&day);
    verdicts_of_a_machine(&day);
    day.sign_in(&eve);
    a_viewer_reads(&day, &notice);
}

/// What everybody reads, without a session.
fn readers(day: &Day) {
    let browser = &day.browser;
    let one = pages::one(pages::PUBLIC_CVES, LIVEPATCHED);
    let pages = [
        ("public-notices", "/notices", "A security issue was fixed"),
        ("public-notice", "/notices/LSN-0001-1", "teapots"),
        ("public-cves", pages::PUBLIC_CVES, "teapot: look at the lid"),
        ("public-cve", one.as_str(), "livepatched in version 1"),
        ("public-refused", pages::NOT_LIVEPATCHABLE, "The fix changes the size of the kettle."),
        ("public-clock", pages::CLOCK, "teapot: look at the lid"),
        ("public-kernels", pages::KERNELS, "6.1.192-1"),
    ];
    for (name, path, words) in pages {
        day.look(name, path);
        let text = browser.text("main").unwrap();
        assert!(text.contains(words), "{path}: {text}");
    }
    browser.allow_scripts(false).unwrap();
    for (_, path, words) in pages {
        day.open(path);
        let text = browser.script("document.querySelector('main').textContent").unwrap();
        assert!(text.as_str().unwrap().contains(words), "{path}, without scripts: {text}");
    }
    browser.allow_scripts(true).unwrap();
}

/// A machine's page tells what the published verdicts say of its kernel.
fn verdicts_of_a_machine(day: &Day) {
    let machine = pages::one(pages::MACHINES, &enrol(&day.server, 1)[0].id);
    day.sign_in(&day.server.admin_key());
    day.open(&machine);
    assert!(
        !day.browser.text("main").unwrap().contains("Vulnerabilities of its kernel"),
        "nothing is published"
    );
    let request = VerdictRequest::default();
    let published: VerdictsPublished = day.server.admin_post(paths::ADMIN_VERDICTS, &request).unwrap();
    assert!(published.changed);
    day.look("machine-verdicts", &machine);
    let text = day.browser.text("main").unwrap();
    for words in
        ["livepatched in version 1", "cannot be livepatched (changed-data)", "do not load the module kettle"]
    {
        assert!(text.contains(words), "{text}");
    }
    assert!(text.contains("open") && !text.contains("mended here"), "nothing is applied: {text}");
    day.sign_out();
}

/// Without scripts, and without a form.
fn a_viewer_reads(day: &Day, notice: &str) {
    let browser = &day.browser;
    browser.allow_scripts(false).unwrap();
    for (path, words) in [
        (pages::CVES.to_owned(), "teapot: look at the lid"),
        (format!("{}?q=kettle", pages::CVES), "1 vulnerability"),
        (pages::one(pages::CVES, LIVEPATCHED), "livepatched in version 1"),
        (pages::NOTICES.to_owned(), "LSN-0001-2"),
        (notice.to_owned(), "Linux kernel: teapots"),
    ] {
        day.open(&path);
        let text = browser.script("document.querySelector('main').textContent").unwrap();
        assert!(text.as_str().unwrap().contains(words), "{path}: {text}");
        assert_eq!(
            browser.script("document.querySelectorAll('main form[method=post]').length").unwrap(),
            0,
            "{path}"
        );
    }
    browser.allow_scripts(true).unwrap();
}
