//! The forms that scanners read: OSV, CSAF 2.0 (profile VEX) and OpenVEX.
//!
//! A livepatched kernel is a product of its own beside the same kernel without the livepatch: the first is fixed, the second is
//! affected until it gets the livepatch. The CVEs are those of each kernel, not the union of the notice.

use crate::{Instruction, Kind, Notice};
use livepatch_cve::{CveId, Distribution};
use livepatch_kernel::PackageVersion;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde_json::{Map, Value, json};

/// Who publishes, for CSAF and OpenVEX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publisher<'a> {
    /// The name.
    pub name: &'a str,
    /// An address that is the publisher's, without a slash at the end.
    pub namespace: &'a str,
}

/// One OSV record (schema 1.7). A scanner matches a machine by package, flavour, architecture, and the module's exact name.
pub fn osv(notice: &Notice) -> Value {
    let mut references: Vec<Value> =
        notice.references.iter().map(|url| json!({"type": "ADVISORY", "url": url})).collect();
    let cve_pages = notice.details.iter().map(
        |detail| json!({"type": "REPORT", "url": format!("https://www.cve.org/CVERecord?id={}", detail.cve)}),
    );
    references.extend(cve_pages);
    let mut own = Map::new();
    own.insert("kind".into(), if notice.is_alert() { "alert".into() } else { "livepatch".into() });
    if let Kind::Alert(alert) = &notice.kind {
        own.insert("alert".into(), json!(alert));
    }
    json!({
        "schema_version": "1.7.0",
        "id": notice.number.to_string(),
        "published": notice.published.to_string(),
        "modified": day_start(notice.updated()).max(notice.published.to_string()),
        "summary": notice.title,
        "details": notice.details.iter().map(|one| format!("{} ({})", one.text.trim(), one.cve)).collect::<Vec<_>>().join("\n\n"),
        "upstream": notice.details.iter().map(|detail| detail.cve.to_string()).collect::<Vec<_>>(),
        "affected": notice.instructions.iter().map(osv_affected).collect::<Vec<_>>(),
        "references": references,
        "database_specific": own,
    })
}

fn osv_affected(one: &Instruction) -> Value {
    let mut events = vec![json!({"introduced": "0"})];
    events.extend(one.fixed_build.as_ref().map(|version| json!({"fixed": version.as_str()})));
    json!({
        "package": {"ecosystem": ecosystem(one), "name": one.package, "purl": purl(one, None, false)},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
        "ecosystem_specific": {
            "flavour": one.flavour,
            "architecture": one.architecture,
            "livepatch_version": one.livepatch,
            "module_name": one.module,
            "lowest_build": one.lowest_build,
            "cves": one.cves,
        },
    })
}

/// `Ubuntu:18.04:LTS`, `Debian:12`. April's releases of even years are Ubuntu's with long support.
fn ecosystem(one: &Instruction) -> String {
    match one.distribution {
        Distribution::Debian => format!("Debian:{}", one.release),
        Distribution::Ubuntu => {
            let year = one.release.strip_suffix(".04").and_then(|year| year.parse::<u32>().ok());
            let long = year.is_some_and(|year| year.is_multiple_of(2));
            format!("Ubuntu:{}{}", one.release, if long { ":LTS" } else { "" })
        }
    }
}

/// Package URL of a kernel package. What is livepatched has the livepatch's version as a qualifier.
fn purl(one: &Instruction, version: Option<&PackageVersion>, livepatched: bool) -> String {
    let version = version.map(|version| format!("@{}", percent(version.as_str()))).unwrap_or_default();
    let livepatch = one
        .livepatch
        .filter(|_| livepatched)
        .map(|number| format!("&livepatch={number}"))
        .unwrap_or_default();
    format!(
        "pkg:deb/{0}/{1}{version}?arch={2}&distro={0}-{3}&flavour={4}{livepatch}",
        one.distribution,
        percent(&one.package),
        percent(&one.architecture),
        percent(&one.release),
        percent(&one.flavour),
    )
}

/// All but what a package URL has as it is (purl specification, character encoding).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~');

fn percent(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, ESCAPED)
}

fn day_start(date: jiff::civil::Date) -> String {
    format!("{date}T00:00:00Z")
}

/// A kernel as a product: alone, with its livepatch, or in the build that has the fix.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Variant {
    Unpatched,
    Livepatched,
    FixedBuild,
}

struct Product<'a> {
    instruction: &'a Instruction,
    variant: Variant,
    id: String,
}

fn products(notice: &Notice) -> Vec<Product<'_>> {
    let variants = |one: &Instruction| {
        let livepatched = one.livepatch.map(|_| Variant::Livepatched);
        let fixed = one.fixed_build.as_ref().map(|_| Variant::FixedBuild);
        [Some(Variant::Unpatched), livepatched, fixed].into_iter().flatten()
    };
    let numbered = notice.instructions.iter().zip(1..);
    let all = numbered.flat_map(|(instruction, number)| {
        variants(instruction).map(move |variant| {
            let suffix = match variant {
                Variant::Unpatched => "unpatched",
                Variant::Livepatched => "livepatched",
                Variant::FixedBuild => "fixed",
            };
            Product { instruction, variant, id: format!("K{number}-{suffix}") }
        })
    });
    all.collect()
}

impl Product<'_> {
    fn name(&self) -> String {
        let one = self.instruction;
        let kernel = one.kernel();
        match self.variant {
            Variant::Unpatched => format!("{kernel} without livepatch"),
            Variant::Livepatched => {
                let lowest =
                    one.lowest_build.as_ref().map(|build| format!(" from build {build}")).unwrap_or_default();
                format!("{kernel}{lowest} with livepatch {} or later", one.livepatch.unwrap_or_default())
            }
            Variant::FixedBuild => {
                let build = one.fixed_build.as_ref().map(ToString::to_string).unwrap_or_default();
                format!("{kernel} from build {build}")
            }
        }
    }

    fn purl(&self) -> String {
        match self.variant {
            Variant::Unpatched => purl(self.instruction, None, false),
            Variant::Livepatched => purl(self.instruction, self.instruction.lowest_build.as_ref(), true),
            Variant::FixedBuild => purl(self.instruction, self.instruction.fixed_build.as_ref(), false),
        }
    }

    /// What holds for this product and a CVE.
    fn status(&self, cve: CveId) -> Status {
        match (self.instruction.cves.contains(&cve), self.variant) {
            (false, _) => Status::NotAffected,
            (true, Variant::Unpatched) => Status::Affected,
            (true, Variant::Livepatched | Variant::FixedBuild) => Status::Fixed,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Affected,
    Fixed,
    NotAffected,
}

/// What to do about a kernel that is affected.
fn action(notice: &Notice) -> String {
    match &notice.kind {
        Kind::Livepatch => {
            "Let the livepatch client load the livepatch, or update the kernel and reboot.".to_owned()
        }
        Kind::Alert(alert) => {
            let until =
                alert.mitigation.as_ref().map(|text| format!(" Until then: {text}")).unwrap_or_default();
            format!("{} {}{until}", alert.explanation(), alert.advice())
        }
    }
}

/// A CSAF 2.0 document in the profile VEX (OASIS, csaf-v2.0, 4.5).
pub fn csaf(notice: &Notice, publisher: &Publisher<'_>) -> Value {
    let products = products(notice);
    let names: Vec<Value> = products
        .iter()
        .map(|product| {
            json!({
                "product_id": product.id,
                "name": product.name(),
                "product_identification_helper": {"purl": product.purl()},
            })
        })
        .collect();
    let history: Vec<Value> = notice
        .revisions
        .iter()
        .map(|one| json!({"date": day_start(one.date), "number": one.revision.to_string(), "summary": one.note}))
        .collect();
    let mut references: Vec<Value> = vec![json!({
        "category": "self",
        "summary": "The notice",
        "url": format!("{}/notices/{}", publisher.namespace, notice.number),
    })];
    references.extend(
        notice.references.iter().map(|url| json!({"category": "external", "summary": url, "url": url})),
    );
    json!({
        "document": {
            "category": "csaf_vex",
            "csaf_version": "2.0",
            "lang": "en",
            "title": notice.title,
            "notes": [{"category": "summary", "text": notice.summary}],
            "publisher": {"category": "vendor", "name": publisher.name, "namespace": publisher.namespace},
            "references": references,
            "tracking": {
                "id": format!("LSN-{:04}", notice.number.number),
                "status": "final",
                "version": notice.number.revision.to_string(),
                "initial_release_date": notice.revisions.first().map_or_else(String::new, |one| day_start(one.date)),
                "current_release_date": day_start(notice.updated()),
                "revision_history": history,
            },
        },
        "product_tree": {"full_product_names": names},
        "vulnerabilities": notice.details.iter().map(|one| csaf_vulnerability(notice, &products, one)).collect::<Vec<_>>(),
    })
}

fn csaf_vulnerability(notice: &Notice, products: &[Product<'_>], detail: &crate::Detail) -> Value {
    let of = |status: Status| -> Vec<&str> {
        products
            .iter()
            .filter(|product| product.status(detail.cve) == status)
            .map(|one| one.id.as_str())
            .collect()
    };
    let (affected, fixed, not) = (of(Status::Affected), of(Status::Fixed), of(Status::NotAffected));
    let mut status = Map::new();
    for (name, ids) in [("known_affected", &affected), ("fixed", &fixed), ("known_not_affected", &not)] {
        if !ids.is_empty() {
            status.insert(name.into(), json!(ids));
        }
    }
    let mut vulnerability = json!({
        "cve": detail.cve.to_string(),
        "notes": [{"category": "description", "text": detail.text}],
        "product_status": status,
    });
    if !affected.is_empty() {
        vulnerability["remediations"] =
            json!([{"category": "vendor_fix", "details": action(notice), "product_ids": affected}]);
        vulnerability["threats"] =
            json!([{"category": "impact", "details": detail.priority.word(), "product_ids": affected}]);
    }
    if !not.is_empty() {
        vulnerability["flags"] = json!([{"label": "vulnerable_code_not_present", "product_ids": not}]);
    }
    vulnerability
}

/// An OpenVEX document (openvex.dev, 0.2.0).
pub fn openvex(notice: &Notice, publisher: &Publisher<'_>) -> Value {
    let products = products(notice);
    let mut statements = Vec::new();
    for detail in &notice.details {
        for (status, word) in
            [(Status::Affected, "affected"), (Status::Fixed, "fixed"), (Status::NotAffected, "not_affected")]
        {
            let concerned = products.iter().filter(|product| product.status(detail.cve) == status);
            let ids: Vec<Value> = concerned.map(|product| json!({"@id": product.purl()})).collect();
            if ids.is_empty() {
                continue;
            }
            let mut statement =
                json!({"vulnerability": {"name": detail.cve.to_string()}, "products": ids, "status": word});
            match status {
                Status::Affected => statement["action_statement"] = action(notice).into(),
                Status::NotAffected => statement["justification"] = "vulnerable_code_not_present".into(),
                Status::Fixed => {}
            }
            statements.push(statement);
        }
    }
    json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": format!("{}/openvex/LSN-{:04}", publisher.namespace, notice.number.number),
        "author": publisher.name,
        "timestamp": notice.published.to_string(),
        "last_updated": day_start(notice.updated()).max(notice.published.to_string()),
        "version": notice.number.revision,
        "statements": statements,
    })
}
