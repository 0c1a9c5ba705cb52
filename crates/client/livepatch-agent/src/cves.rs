//! Which vulnerabilities this machine is safe from, and how. Pure.

use livepatch_cve::verdict::{Verdict, VerdictFile, VerdictKind};
use livepatch_kernel::PackageVersion;
use livepatch_manifest::Manifest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What `livepatch cves --format json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CveList {
    /// Always 1.
    pub schema: u32,
    /// What the list rests on: `verdicts` (signed, complete) or `livepatches` (the fixes of what is offered; other
    /// vulnerabilities are not known here).
    pub basis: String,
    /// The vulnerabilities, by name.
    pub cves: Vec<CveStatus>,
}

/// One vulnerability on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CveStatus {
    /// Its name, such as `CVE-2026-31431`.
    pub id: String,
    /// How the machine stands to it.
    pub state: CveState,
    /// One sentence.
    pub sentence: String,
    /// The notice that announced the livepatch.
    pub notice: Option<String>,
}

/// How the machine stands to a vulnerability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CveState {
    /// Open, and only an update and a reboot help.
    NeedsReboot,
    /// Open, and a livepatch that is not applied would help.
    LivepatchAvailable,
    /// Open.
    Open,
    /// Open, and something makes it harmless until it is mended.
    Mitigated,
    /// Mended by the applied livepatch.
    Livepatched,
    /// The running kernel was built with the fix.
    FixedInKernel,
    /// The running kernel does not have the fault.
    NotAffected,
}

impl CveState {
    /// Whether the machine is open to it.
    pub fn is_open(self) -> bool {
        matches!(self, Self::NeedsReboot | Self::LivepatchAvailable | Self::Open)
    }
}

/// What is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CveFacts<'a> {
    /// The version of our livepatch in the kernel.
    pub(crate) applied: Option<u32>,
    /// What the repository offers for this build.
    pub(crate) offered: &'a [Manifest],
    /// What the livepatch in the kernel mends, also when it is not offered any more.
    pub(crate) in_kernel: Option<&'a Manifest>,
    pub(crate) verdicts: Option<&'a VerdictFile>,
    pub(crate) version: Option<&'a PackageVersion>,
    pub(crate) flavour: &'a str,
    pub(crate) architecture: &'a str,
}

/// Lists them.
pub(crate) fn list(facts: &CveFacts<'_>) -> CveList {
    let mut found: BTreeMap<String, CveStatus> = BTreeMap::new();
    let from_verdicts = verdicts(facts);
    let basis = if from_verdicts.is_some() { "verdicts" } else { "livepatches" };
    found.extend(from_verdicts.into_iter().flatten().map(|status| (status.id.clone(), status)));
    // The kernel's word goes before anybody's: what is applied is applied. An offer tells only of what is open.
    for status in fixes(facts) {
        match found.get_mut(&status.id) {
            Some(known) if status.state == CveState::Livepatched || known.state.is_open() => *known = status,
            Some(known) => known.notice.clone_from(&status.notice),
            None => drop(found.insert(status.id.clone(), status)),
        }
    }
    CveList { schema: 1, basis: basis.to_owned(), cves: found.into_values().collect() }
}

fn verdicts(facts: &CveFacts<'_>) -> Option<Vec<CveStatus>> {
    let file = facts.verdicts?;
    let build = file.build(facts.version?, facts.flavour, facts.architecture)?;
    let status = |(cve, verdict): (livepatch_cve::CveId, &Verdict)| {
        let (state, sentence) = state(verdict, facts);
        CveStatus { id: cve.to_string(), state, sentence, notice: None }
    };
    Some(file.of_build(build).map(status).collect())
}

fn state(verdict: &Verdict, facts: &CveFacts<'_>) -> (CveState, String) {
    let state = match verdict {
        Verdict::Livepatched { version } if facts.applied.is_some_and(|applied| applied >= *version) => {
            CveState::Livepatched
        }
        Verdict::Livepatched { version } if !facts.offered.iter().any(|offer| offer.version >= *version) => {
            let sentence =
                format!("a livepatch exists, version {version}, and is not offered to this machine yet");
            return (CveState::Open, sentence);
        }
        Verdict::Livepatched { .. } => CveState::LivepatchAvailable,
        other => match other.kind() {
            VerdictKind::NotAffected => CveState::NotAffected,
            VerdictKind::FixedInBuild => CveState::FixedInKernel,
            VerdictKind::CannotBeLivepatched => CveState::NeedsReboot,
            // Open until the mitigation holds here, which `mitigations.rs` knows.
            VerdictKind::Mitigated | VerdictKind::Pending | VerdictKind::Livepatched => CveState::Open,
        },
    };
    let sentence = match verdict {
        Verdict::Mitigated { first_safe: Some(first), .. } => format!("open; fixed from {first}"),
        Verdict::Mitigated { .. } => "open".to_owned(),
        other => other.to_string(),
    };
    (state, sentence)
}

fn fixes(facts: &CveFacts<'_>) -> Vec<CveStatus> {
    let live: Vec<&str> =
        facts.in_kernel.iter().flat_map(|manifest| &manifest.fixes).map(|fix| fix.id.as_str()).collect();
    let manifests = facts.in_kernel.into_iter().chain(facts.offered);
    let fixes = manifests.flat_map(|manifest| manifest.fixes.iter().map(move |fix| (manifest, fix)));
    let cves = fixes.filter(|(_, fix)| fix.id.starts_with("CVE-"));
    cves.map(|(manifest, fix)| {
        let applied = live.contains(&fix.id.as_str());
        let sentence = if applied {
            format!("livepatched: {}", fix.summary)
        } else {
            format!("{} is offered and not applied: {}", manifest.name, fix.summary)
        };
        let state = if applied { CveState::Livepatched } else { CveState::LivepatchAvailable };
        CveStatus { id: fix.id.clone(), state, sentence, notice: fix.notice.clone() }
    })
    .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use livepatch_manifest::Fix;

    fn manifest(version: u32, fixes: &[&str]) -> Manifest {
        let text = serde_json::json!({
            "schema": 1, "name": format!("livepatch_x_{version}"), "version": version,
            "kernel": {"release": "6.1.0-55-cloud-amd64", "build_id": "ab".repeat(20), "arch": "x86_64"},
            "module": {"sha256": "c".repeat(64), "size": 1, "vermagic": "v"},
            "fixes": fixes.iter().map(|id| Fix::new(*id, "a fault")).collect::<Vec<_>>(),
            "objects": [],
            "provenance": {"builder": "0", "compiler": "c", "source": "s", "patch_sha256": "d".repeat(64)},
        });
        Manifest::parse(text.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn without_verdicts_the_livepatches_tell() {
        let offered =
            [manifest(2, &["CVE-2026-1", "CVE-2026-2", "debian-bug-1"]), manifest(1, &["CVE-2026-1"])];
        let facts = |in_kernel| CveFacts {
            applied: None,
            offered: &offered,
            in_kernel,
            verdicts: None,
            version: None,
            flavour: "",
            architecture: "amd64",
        };
        let states = |list: &CveList| -> Vec<(String, CveState)> {
            list.cves.iter().map(|cve| (cve.id.clone(), cve.state)).collect()
        };
        let list_of = |in_kernel| list(&facts(in_kernel));
        let both = |one, two| vec![("CVE-2026-1".to_owned(), one), ("CVE-2026-2".to_owned(), two)];
        let found = list_of(None);
        assert_eq!(found.basis, "livepatches");
        assert_eq!(states(&found), both(CveState::LivepatchAvailable, CveState::LivepatchAvailable));
        let old = list_of(Some(&offered[1]));
        assert_eq!(states(&old), both(CveState::Livepatched, CveState::LivepatchAvailable));
        assert_eq!(old.cves[1].sentence, "livepatch_x_2 is offered and not applied: a fault");
        assert_eq!(states(&list_of(Some(&offered[0]))), both(CveState::Livepatched, CveState::Livepatched));
    }

    #[test]
    fn a_livepatch_counts_when_it_is_applied() {
        let verdict = Verdict::Livepatched { version: 3 };
        let offered = [manifest(3, &["CVE-2026-1"])];
        let state_of = |applied, offered| {
            let facts = CveFacts {
                applied,
                offered,
                in_kernel: None,
                verdicts: None,
                version: None,
                flavour: "",
                architecture: "amd64",
            };
            state(&verdict, &facts).0
        };
        assert_eq!(state_of(Some(3), &[]), CveState::Livepatched);
        assert_eq!(state_of(Some(2), &offered), CveState::LivepatchAvailable);
        assert_eq!(state_of(None, &[]), CveState::Open);
        assert!(state_of(None, &offered).is_open());
        assert!(!CveState::FixedInKernel.is_open());
    }
}
