//! Notices on every channel: one of a fix that is livepatched, one of a fix that cannot be.

use crate::{
    stage::Stage,
    verdicts::{LIVEPATCHED, REFUSED, import},
};
use livepatch_notice::Notice;
use livepatch_services::{Browser, Inspector, MailServer, Standard, TakenMail};
use serde_json::Value;
use std::{thread, time::Duration};

fn get(stage: &Stage, path: &str) -> String {
    let mut response = ureq::get(format!("{}{path}", stage.url)).call().unwrap();
    response.body_mut().read_to_string().unwrap()
}

fn get_json(stage: &Stage, path: &str) -> Value {
    serde_json::from_str(&get(stage, path)).unwrap()
}

/// Drafted, reviewed and published; its number.
fn publish(stage: &Stage, cve: &str) -> String {
    let draft = stage.json(&["notice", "draft", cve]);
    assert_eq!((draft["state"].as_str(), &draft["problem"]), (Some("draft"), &Value::Null), "{draft:#}");
    let number = draft["number"].as_str().unwrap().to_owned();
    assert_eq!(
        stage.admin(&["notice", "publish", &number]).status.code(),
        Some(1),
        "it must be reviewed first"
    );
    stage.done(&["notice", "review", &number]);
    assert_eq!(stage.json(&["notice", "publish", &number])["state"], "published");
    number
}

fn mails_of(stage: &Stage, number: &str) -> Vec<(String, String, String)> {
    let view = stage.json(&["notice", "show", number]);
    let text = |mail: &Value, field: &str| mail[field].as_str().unwrap().to_owned();
    let mails = view["mails"].as_array().unwrap().iter();
    mails.map(|mail| (text(mail, "address"), text(mail, "state"), text(mail, "detail"))).collect()
}

#[test]
fn a_livepatch_and_an_alert_on_every_channel() {
    let mail = MailServer::start().unwrap();
    let smtp = mail.url();
    let arguments = [
        "--smtp",
        &smtp,
        "--mail-from",
        "Notices <notices@example.org>",
        "--mail-retry-after",
        "1",
        "--public-url",
        "https://livepatch.example.org",
    ];
    let mut stage = Stage::new(&arguments);
    import(&stage);
    stage.json(&["verdicts", "publish"]);
    for address in ["reader@example.org", "deferred@example.org", "refused@example.org"] {
        stage.done(&["subscriber", "add", address]);
    }
    assert_eq!(stage.admin(&["subscriber", "add", "a@b\r\nBcc: c@d.org"]).status.code(), Some(1));
    let (livepatch, alert) = (publish(&stage, LIVEPATCHED), publish(&stage, REFUSED));
    assert_eq!((livepatch.as_str(), alert.as_str()), ("LSN-0001-1", "LSN-0002-1"));

    by_mail(&stage, &mail, [&livepatch, &alert]);
    feeds(&stage);
    documents(&stage, [&livepatch, &alert]);
    pages(&stage, [&livepatch, &alert]);
    in_a_browser(&stage, [&livepatch, &alert]);
    a_revision(&stage, &livepatch);

    stage.start_machine();
    let list = stage.livepatch_json(&["cves", "--format", "json"]);
    let state = |cve: &str| {
        list["cves"].as_array().unwrap().iter().find(|one| one["id"] == cve).unwrap()["state"].clone()
    };
    assert_eq!((state(LIVEPATCHED), state(REFUSED)), ("livepatched".into(), "needs-reboot".into()));
    assert_eq!(stage.livepatch(&["kernel-upgrade-required", "--quiet"]).0, Some(0));
    let vex = stage.livepatch_json(&["vex"]);
    let status = |cve: &str| {
        let all = vex["statements"].as_array().unwrap();
        all.iter().find(|one| one["vulnerability"]["name"] == cve).unwrap()["status"].clone()
    };
    assert_eq!((status(LIVEPATCHED), status(REFUSED)), ("fixed".into(), "affected".into()));
}

/// Two readers get both; what is deferred comes later, what is refused is reported.
fn by_mail(stage: &Stage, mail: &MailServer, numbers: [&str; 2]) {
    while numbers.iter().any(|number| mails_of(stage, number).iter().any(|(_, state, _)| state == "queued")) {
        thread::sleep(Duration::from_millis(100));
    }
    for number in numbers {
        let reports = mails_of(stage, number);
        let state = |who: &str| reports.iter().find(|(address, ..)| address.starts_with(who)).unwrap();
        assert_eq!((state("reader").1.as_str(), state("deferred").1.as_str()), ("sent", "sent"));
        let (_, refused, why) = state("refused");
        assert!(refused == "refused" && why.contains("no such mailbox"), "{why}");
    }
    let taken = mail.taken().unwrap();
    assert_eq!(taken.len(), 4, "{:?}", taken.iter().map(|mail| &mail.to).collect::<Vec<_>>());
    let of_reader = |mail: &&TakenMail| mail.to.starts_with("reader") && mail.text.contains("LSN-0001-1]");
    let text = &taken.iter().find(of_reader).unwrap().text;
    for part in [
        "Subject: [LSN-0001-1] Linux kernel vulnerability\r\n",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
        "List-Unsubscribe: <https://livepatch.example.org/unsubscribe/",
        "From: Notices <notices@example.org>\r\n",
        "Kernel Live Patch Security Notice LSN-0001-1",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let is_alert =
        |mail: &TakenMail| mail.text.contains("LSN-0002-1]") && mail.text.contains("cannot be livepatched");
    assert!(taken.iter().any(is_alert));
    unsubscribe(stage, text);
}

/// One click, as a mail program does it; the link alone does nothing.
fn unsubscribe(stage: &Stage, mail: &str) {
    let link = mail.split("List-Unsubscribe: <https://livepatch.example.org").nth(1).unwrap();
    let path = link.split('>').next().unwrap().replace("\r\n ", "");
    assert!(get(stage, &path).contains("<form"));
    assert!(stage.done(&["subscriber", "list"]).contains("reader@"));
    let post = ureq::post(format!("{}{path}", stage.url)).content_type("application/x-www-form-urlencoded");
    assert_eq!(post.send("List-Unsubscribe=One-Click").unwrap().status(), 200);
    assert!(!stage.done(&["subscriber", "list"]).contains("reader@"));
}

/// By a parser that is not ours.
fn feeds(stage: &Stage) {
    for path in ["/notices.rss", "/notices.atom"] {
        let feed = feed_rs::parser::parse(get(stage, path).as_bytes()).unwrap();
        let entries: Vec<(String, String)> = feed
            .entries
            .iter()
            .map(|entry| (entry.title.clone().unwrap().content, entry.links[0].href.clone()))
            .collect();
        let entry = |number: &str| {
            (
                format!("{number}: Linux kernel vulnerability"),
                format!("https://livepatch.example.org/notices/{number}"),
            )
        };
        assert_eq!(entries, [entry("LSN-0002-1"), entry("LSN-0001-1")], "{path}");
        assert!(feed.entries.iter().all(|entry| entry.published.is_some()), "{path}");
    }
    let calendar = get(stage, "/kernels.ics");
    assert!(
        calendar.starts_with("BEGIN:VCALENDAR\r\n") && calendar.contains("DTSTART;VALUE=DATE:20271116"),
        "{calendar}"
    );
}

fn documents(stage: &Stage, [livepatch, alert]: [&str; 2]) {
    let first = get_json(stage, "/v1/notices?limit=1");
    assert_eq!((first["notices"][0]["number"].as_str(), first["next"].as_str()), (Some(alert), Some("2")));
    let rest = get_json(stage, "/v1/notices?limit=1&cursor=2");
    assert_eq!((rest["notices"][0]["number"].as_str(), &rest["next"]), (Some(livepatch), &Value::Null));

    let notice: Notice =
        serde_json::from_value(get_json(stage, &format!("/v1/notices/{livepatch}"))).unwrap();
    let [instruction] = notice.instructions.as_slice() else { panic!("{notice:#?}") };
    assert_eq!(instruction.kernel(), "linux 12 amd64 cloud");
    assert_eq!(instruction.module.as_deref(), Some("livepatch_{build}_cloud_amd64_1"));
    assert_eq!(instruction.lowest_build.as_ref().unwrap().as_str(), "6.1.190-1");
    assert_eq!(instruction.fixed_build.as_ref().unwrap().as_str(), "6.1.192-1");

    let osv = get_json(stage, &format!("/v1/notices/{livepatch}/osv"));
    assert_eq!(osv["affected"][0]["package"]["ecosystem"], "Debian:12");
    assert_eq!(osv["upstream"][0], LIVEPATCHED);
    let status = |number: &str, form: &str| get_json(stage, &format!("/v1/notices/{number}/{form}"));
    assert!(status(livepatch, "csaf")["vulnerabilities"][0]["product_status"]["fixed"].is_array());
    assert!(
        status(alert, "csaf")["vulnerabilities"][0]["remediations"][0]["details"]
            .to_string()
            .contains("reboot")
    );
    assert!(status(alert, "openvex")["statements"].to_string().contains("do not load the module kettle"));
    let list = get_json(stage, "/v1/not-livepatchable");
    assert_eq!((list[0]["cve"].as_str(), list[0]["code"].as_str()), (Some(REFUSED), Some("changed-data")));
    for number in [livepatch, alert] {
        for (form, standard) in
            [("osv", Standard::Osv), ("csaf", Standard::Csaf), ("openvex", Standard::OpenVex)]
        {
            assert_eq!(standard.faults(&status(number, form)).unwrap(), [""; 0], "{form} of {number}");
        }
    }
}

fn pages(stage: &Stage, numbers: [&str; 2]) {
    let index = get(stage, "/notices");
    for number in numbers {
        assert!(index.contains(&format!("href=\"/notices/{number}\"")), "{index}");
        let page = get(stage, &format!("/notices/{number}"));
        assert!(page.contains("<html lang=\"en\">") && !page.contains("<script"), "{page}");
    }
    let page = get(stage, &format!("/notices/{}", numbers[0]));
    assert!(page.contains("poured &lt;b&gt;without&lt;/b&gt;"), "foreign markup is text: {page}");
    let strange = ureq::get(format!("{}/notices/LSN-0009-1", stage.url)).call();
    assert!(matches!(strange, Err(ureq::Error::StatusCode(404))));
}

/// In light and dark, on a wide and on a narrow screen; `LIVEPATCH_SCREENSHOTS` names a folder for pictures.
fn in_a_browser(stage: &Stage, [livepatch, alert]: [&str; 2]) {
    let (browser, inspector) = (Browser::start().unwrap(), Inspector::new().unwrap());
    for (name, path) in [
        ("notices", "/notices".to_owned()),
        ("notice-livepatch", format!("/notices/{livepatch}")),
        ("notice-alert", format!("/notices/{alert}")),
    ] {
        let address = format!("{}{path}", stage.url);
        assert_eq!(inspector.look(&browser, name, &address).unwrap(), [""; 0]);
    }
    browser.prefer_dark(true).unwrap();
    let colour = "getComputedStyle(document.body).backgroundColor";
    assert_eq!(browser.script(colour).unwrap(), "rgb(22, 22, 22)", "dark for who prefers that");
}

/// What is published stays; a revision takes its place in lists, and both can be read.
fn a_revision(stage: &Stage, number: &str) {
    let text = stage.write("notice.json", get(stage, &format!("/v1/notices/{number}")));
    assert_eq!(stage.admin(&["notice", "edit", "LSN-0001", "--file", &text]).status.code(), Some(1));
    let draft = stage.json(&["notice", "draft", "--revise", "LSN-0001", "--note", "The lid is a lid"]);
    let mut notice = draft["notice"].clone();
    notice["title"] = "Linux kernel vulnerability in teapots".into();
    let text = stage.write("notice.json", notice.to_string());
    stage.done(&["notice", "review", "LSN-0001"]);
    assert_eq!(
        stage.json(&["notice", "edit", "LSN-0001", "--file", &text])["state"],
        "draft",
        "read it again"
    );
    stage.done(&["notice", "review", "LSN-0001"]);
    stage.done(&["notice", "publish", "LSN-0001"]);
    assert!(get(stage, "/notices").contains("/notices/LSN-0001-2"));
    assert!(!get(stage, &format!("/notices/{number}")).contains("teapots"), "what was published stays");
    assert!(get(stage, "/notices/LSN-0001").contains("teapots"));
}

#[test]
fn whoever_wrote_it_does_not_review_it() {
    let stage = Stage::new(&[]);
    import(&stage);
    let key = |name: &str| {
        let made = stage.json(&["key", "create", name, "--role", "operator"]);
        stage.write(name, made["key"].as_str().unwrap())
    };
    let (author, reviewer) = (key("ann"), key("bob"));
    let with = |key: &str, arguments: &[&str]| {
        stage.admin(&[&["--key-file", key], arguments].concat()).status.code()
    };
    assert_eq!(with(&author, &["notice", "draft", LIVEPATCHED]), Some(0));
    assert_eq!(with(&author, &["notice", "review", "LSN-0001"]), Some(1));
    assert_eq!(with(&reviewer, &["notice", "review", "LSN-0001"]), Some(0));
    assert_eq!(with(&reviewer, &["notice", "publish", "LSN-0001"]), Some(1), "publishing is a releaser's");
    for cves in [&["CVE-2026-1001", "CVE-2026-1002"][..], &["CVE-2026-0900"], &["CVE-2020-99999"]] {
        assert_eq!(with(&author, &[&["notice", "draft"], cves].concat()), Some(1), "{cves:?}");
    }
}
