//! A fix that can be livepatched and one that cannot, from the patch to what everybody reads: the builder says which is which,
//! two notices go out on every channel, and the machine is mended of the one and warned of the other.

use crate::scene::{Scene, TIER, assert_applied};
use livepatch_e2e::{BuildRequest, Builder, Client, Machine, Prepared, Site, workspace_root};
use livepatch_services::{MailServer, Standard};
use serde_json::{Value, json};
use std::{fs, path::Path, thread, time::Duration};

const MENDED: &str = "CVE-2026-1001";
const REFUSED: &str = "CVE-2026-1002";
const FAMILY: &str = "debian/bookworm/linux";
/// The build with both fixes: newer than every real one of the series.
const FIXED_BUILD: &str = "6.1.999-1";
const READER: &str = "reader@example.org";
const PUBLIC: &str = "https://livepatch.example.org";

#[test]
fn a_fix_that_can_be_livepatched_and_one_that_cannot() {
    let scene = Scene::new();
    let mail = MailServer::start().unwrap();
    let smtp = mail.url();
    let sender = "Notices <notices@example.org>";
    let mails = ["--smtp", &smtp, "--mail-from", sender, "--public-url", PUBLIC];
    let site = scene.site_with(&[&mails[..], &["--most-waiting", "0"]].concat());
    let livepatch = scene.that_mends(MENDED, Path::new("examples/patches/proc-cmdline.patch"), 1);
    site.add_certificate(&livepatch.certificate()).unwrap();
    site.publish(&livepatch.build(), TIER).unwrap();
    tell_what_is_known(&scene, &site, &refusal(&scene));
    site.admin_json(&["subscriber", "add", READER]).unwrap();
    let notices = [MENDED, REFUSED].map(|cve| publish(&site, cve));
    assert_eq!(notices, ["LSN-0001-1", "LSN-0002-1"]);

    by_mail(&site, &mail, &notices);
    as_feeds(&site, &notices);
    as_documents(&site, &notices);
    on_a_machine(&scene, &site, &livepatch);
}

/// The builder's own word on the second patch: code and sentence.
fn refusal(scene: &Scene) -> (String, String) {
    let patch = workspace_root().join("crates/testing/livepatch-e2e/tests/patches/init-code.patch");
    let request = BuildRequest {
        release: &scene.prepared.kernel.release,
        patch: &patch,
        fix: "CVE-2026-1002=only root reads /proc/cmdline",
        source: None,
        version: 1,
    };
    let builder = Builder::new(&scene.programs, scene.directory.path().join("builder.log"), &|_| {});
    let report = builder.attempt(&request, &scene.directory.path().join("refused")).unwrap();
    assert_eq!(report["refusals"][0]["code"], "init-code", "{report:#}");
    let text = |field: &str| report["refusals"][0][field].as_str().unwrap().to_owned();
    (text("code"), text("message"))
}

/// What the operator imports and decides; then the verdicts are signed.
fn tell_what_is_known(scene: &Scene, site: &Site, (code, reason): &(String, String)) {
    let file = |name: &str, text: &str| {
        let path = scene.directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let records = [(MENDED, "cmdline: say it"), (REFUSED, "cmdline: only for root")].map(|(cve, title)| {
        let record = record(cve, title);
        assert_eq!(Standard::CveRecord.faults(&record).unwrap(), [""; 0]);
        record.to_string()
    });
    let records = file("records.jsonl", &records.join("\n"));
    site.admin_json(&["cve", "import", "--source", "cve-record", "--records", &records]).unwrap();
    let changelog = file("changelog", &changelog());
    site.admin_json(&["cve", "import", "--source", "changelog", "--family", FAMILY, &changelog]).unwrap();
    for cve in [MENDED, REFUSED] {
        site.admin_json(&["cve", "rate", cve, "--priority", "high", "--reason", "It is our example."])
            .unwrap();
    }
    let refuse = ["cve", "refuse", REFUSED, "--family", FAMILY, "--code", code, "--reason", reason];
    site.admin_json(&refuse).unwrap();
    let catalogue = file("catalogue.json", &catalogue(scene).to_string());
    site.admin_json(&["verdicts", "publish", "--catalogue", &catalogue]).unwrap();
}

fn record(cve: &str, title: &str) -> Value {
    let organisation = "416baaa9-dc9f-4396-8d5f-8c081fb06d67";
    json!({
        "dataType": "CVE_RECORD", "dataVersion": "5.1",
        "cveMetadata": {"cveId": cve, "assignerOrgId": organisation, "state": "PUBLISHED"},
        "containers": {"cna": {
            "providerMetadata": {"orgId": organisation}, "title": title,
            "descriptions": [{"lang": "en", "value": format!("{title}, an example of ours <b>with</b> markup.")}],
            "affected": [{"vendor": "Linux", "product": "Linux", "versions": [{"version": "0", "status": "affected"}]}],
            "references": [{"url": format!("https://example.org/{cve}")}]}},
    })
}

fn changelog() -> String {
    format!(
        "linux ({FIXED_BUILD}) bookworm-security; urgency=high\n\n  * cmdline: say it ({MENDED})\n  \
         * cmdline: only for root ({REFUSED})\n\n -- Example <kernel@example.org>  Sat, 14 Nov 2026 10:00:00 +0000\n"
    )
}

/// With the build that the machine runs, whichever it is.
fn catalogue(scene: &Scene) -> Value {
    let kernel = &scene.prepared.kernel;
    let known: Value =
        serde_json::from_slice(&fs::read(kernel.directory.join("kernel.json")).unwrap()).unwrap();
    let (name, flavour) =
        kernel.release.split_once("-cloud-").map(|(name, _)| (name, "cloud-amd64")).unwrap();
    json!({
        "schema": 1,
        "matrices": [{"name": "tested", "as_of": "2026-11-01", "about": "The kernel of the test.", "kernels": [{
            "distribution": "debian", "release": "12", "code_name": "bookworm", "series": "6.1", "track": "ga",
            "architecture": "amd64", "flavours": [flavour]}]}],
        "builds": [{"distribution": "debian", "release": "12", "series": "6.1", "version": known["version"],
            "kernel": name, "released": "2026-10-01"}],
    })
}

/// Drafted from what is known, reviewed, published; its number.
fn publish(site: &Site, cve: &str) -> String {
    let draft = site.admin_json(&["notice", "draft", cve]).unwrap();
    assert_eq!(draft["problem"], Value::Null, "{draft:#}");
    let number = draft["number"].as_str().unwrap().to_owned();
    site.admin_json(&["notice", "review", &number]).unwrap();
    assert_eq!(site.admin_json(&["notice", "publish", &number]).unwrap()["state"], "published");
    number
}

fn by_mail(site: &Site, mail: &MailServer, notices: &[String; 2]) {
    for number in notices {
        let sent = || site.admin_json(&["notice", "show", number]).unwrap()["mails"][0]["state"] == "sent";
        while !sent() {
            thread::sleep(Duration::from_millis(50)); // the runner's time limit ends a mail that never comes
        }
    }
    let mails = mail.taken().unwrap();
    let of = |number: &str| mails.iter().find(|mail| mail.text.contains(&format!("[{number}]"))).unwrap();
    for (number, words) in [(&notices[0], "Livepatch"), (&notices[1], "cannot be livepatched (init-code)")] {
        let mail = of(number);
        assert!(mail.to == READER && mail.text.contains(words), "{}", mail.text);
        assert!(mail.text.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"), "{}", mail.text);
    }
}

/// By a parser that is not ours.
fn as_feeds(site: &Site, notices: &[String; 2]) {
    for path in ["/notices.rss", "/notices.atom"] {
        let feed = feed_rs::parser::parse(get(site, path).as_bytes()).unwrap();
        let links: Vec<&str> = feed.entries.iter().map(|entry| entry.links[0].href.as_str()).collect();
        assert_eq!(
            links,
            [&notices[1], &notices[0]].map(|number| format!("{PUBLIC}/notices/{number}")),
            "{path}"
        );
    }
}

fn as_documents(site: &Site, notices: &[String; 2]) {
    for number in notices {
        for (form, standard) in
            [("osv", Standard::Osv), ("csaf", Standard::Csaf), ("openvex", Standard::OpenVex)]
        {
            let document: Value =
                serde_json::from_str(&get(site, &format!("/v1/notices/{number}/{form}"))).unwrap();
            assert_eq!(standard.faults(&document).unwrap(), [""; 0], "{form} of {number}");
        }
        let page = get(site, &format!("/notices/{number}"));
        assert!(page.contains("&lt;b&gt;with&lt;/b&gt;") && page.contains(FIXED_BUILD), "{page}");
    }
    let list: Value = serde_json::from_str(&get(site, "/v1/not-livepatchable")).unwrap();
    assert_eq!((&list[0]["cve"], &list[0]["code"]), (&json!(REFUSED), &json!("init-code")));
}

fn get(site: &Site, path: &str) -> String {
    ureq::get(format!("{}{path}", site.url())).call().unwrap().body_mut().read_to_string().unwrap()
}

/// The first is mended live; of the second its owner is warned, wherever the owner looks.
fn on_a_machine(scene: &Scene, site: &Site, livepatch: &Prepared) {
    let release = "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n";
    let builder = Machine::builder(&livepatch.kernel, scene.directory.path().join("guest")).contents(
        "/etc/os-release",
        0o644,
        release,
    );
    let machine = Machine::boot(builder, Client::Programs(&scene.programs)).unwrap();
    let output = machine.enable(&site.create_token(TIER).unwrap(), &site.guest_url()).unwrap();
    assert_applied(&machine, &livepatch.manifest().unwrap(), &output);

    let list = answer(&machine, "cves --format json");
    assert_eq!(list["basis"], "verdicts", "{list:#}\n{}", machine.daemon_log());
    let state = |cve: &str| one(&list["cves"], "/id", cve)["state"].clone();
    assert_eq!((state(MENDED), state(REFUSED)), (json!("livepatched"), json!("needs-reboot")));
    let required = machine.livepatch("kernel-upgrade-required").unwrap();
    assert_eq!(required.status, 0, "{required:?}");
    assert!(required.stdout.contains(REFUSED) && !required.stdout.contains(MENDED), "{required:?}");
    let status = machine.status().unwrap();
    assert!(status["next_step"].as_str().unwrap().contains(REFUSED), "{status:#}");
    let message = machine.guest().read_file("/run/livepatch/motd").unwrap();
    assert!(message.contains("cannot be mended by a livepatch"), "{message}");
    for_scanners(&machine);
}

fn for_scanners(machine: &Machine) {
    let openvex = answer(machine, "vex --format openvex");
    assert_eq!(Standard::OpenVex.faults(&openvex).unwrap(), [""; 0]);
    let status = |cve: &str| one(&openvex["statements"], "/vulnerability/name", cve)["status"].clone();
    assert_eq!((status(MENDED), status(REFUSED)), (json!("fixed"), json!("affected")));
    let csaf = answer(machine, "vex --format csaf");
    assert_eq!(Standard::Csaf.faults(&csaf).unwrap(), [""; 0]);
    let groups = |cve: &str| one(&csaf["vulnerabilities"], "/cve", cve)["product_status"].clone();
    assert!(groups(MENDED)["fixed"].is_array() && groups(REFUSED)["known_affected"].is_array(), "{csaf:#}");
}

fn answer(machine: &Machine, question: &str) -> Value {
    let output = machine.livepatch(question).unwrap();
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The item of a list that has this text at this place.
fn one<'a>(list: &'a Value, place: &str, text: &str) -> &'a Value {
    let mut items = list.as_array().unwrap().iter();
    items
        .find(|item| item.pointer(place).is_some_and(|value| value == text))
        .unwrap_or_else(|| panic!("{list:#}"))
}
