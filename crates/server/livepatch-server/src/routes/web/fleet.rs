//! What counts of machines and published livepatches say together. Pure.

use jiff::civil::Date;
use livepatch_api::PatchState;
use livepatch_cve::catalogue::Catalogue;
use livepatch_dashboard::{Exposure, Protection, Support};
use livepatch_kernel::{BuildId, KernelRelease};
use livepatch_store::Group;
use livepatch_trust::Published;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

/// Fixes on the overview.
const MOST_EXPOSURES: usize = 10;
/// A kernel that ends later than this is no news.
const SOON: i64 = 120;

static CATALOGUE: LazyLock<Catalogue> =
    LazyLock::new(|| Catalogue::read(Catalogue::BUILT_IN.as_bytes()).unwrap_or_else(|_| Catalogue::empty()));

/// Machines by state, most first.
pub(super) fn states(groups: &[Group]) -> Vec<(PatchState, u32)> {
    let count = |state| groups.iter().filter(|group| group.state == state).map(|group| group.machines).sum();
    let mut states: Vec<(PatchState, u32)> = PatchState::all()
        .into_iter()
        .map(|state| (state, count(state)))
        .filter(|(_, count)| *count > 0)
        .collect();
    states.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    states
}

/// Machines by kernel release.
pub(super) fn kernels(groups: &[Group]) -> BTreeMap<KernelRelease, u32> {
    let mut kernels = BTreeMap::new();
    for group in groups {
        *kernels.entry(group.release.clone()).or_default() += group.machines;
    }
    kernels
}

/// How well the machines are protected by what is published for their kernels and tiers.
pub(super) fn protection(groups: &[Group], published: &[Published]) -> Protection {
    let mut protection = Protection::default();
    for group in groups {
        let newest = newest(published, &group.build_id, &group.tier);
        let count = match newest {
            None => &mut protection.uncovered,
            Some(newest) if group.applied_version >= Some(newest) => &mut protection.protected,
            Some(_) => &mut protection.behind,
        };
        *count += group.machines;
    }
    protection
}

/// The newest version for a kernel build in a tier.
fn newest(published: &[Published], build: &BuildId, tier: &str) -> Option<u32> {
    let here = published.iter().filter(|entry| {
        entry.manifest.kernel.build_id == *build && entry.tiers.iter().any(|name| name == tier)
    });
    here.map(|entry| entry.manifest.version).max()
}

/// Fixes that are published for machines' kernels, whatever the tier, and that the machines do not have.
pub(super) fn exposures(groups: &[Group], published: &[Published]) -> Vec<Exposure> {
    let mut exposures: BTreeMap<&str, Exposure> = BTreeMap::new();
    for group in groups {
        let mut ids = BTreeSet::new();
        for entry in published.iter().filter(|entry| entry.manifest.kernel.build_id == group.build_id) {
            ids.extend(entry.manifest.fixes.iter().map(|fix| (fix.id.as_str(), fix.summary.as_str())));
        }
        let has = fixed(published, &group.build_id, group.applied_version);
        for (id, summary) in ids.into_iter().filter(|(id, _)| !has.contains(id)) {
            let exposure = exposures.entry(id).or_insert_with(|| Exposure {
                id: id.to_owned(),
                summary: summary.to_owned(),
                machines: 0,
            });
            exposure.machines += group.machines;
        }
    }
    let mut exposures: Vec<Exposure> = exposures.into_values().collect();
    exposures.sort_by_key(|exposure| std::cmp::Reverse(exposure.machines));
    exposures.truncate(MOST_EXPOSURES);
    exposures
}

/// The fixes in a version: a livepatch is cumulative, so its own manifest names them all.
pub(super) fn fixed<'a>(
    published: &'a [Published],
    build: &BuildId,
    version: Option<u32>,
) -> BTreeSet<&'a str> {
    let Some(version) = version else { return BTreeSet::new() };
    let applied = published
        .iter()
        .find(|entry| entry.manifest.kernel.build_id == *build && entry.manifest.version == version);
    applied.map(|entry| entry.manifest.fixes.iter().map(|fix| fix.id.as_str()).collect()).unwrap_or_default()
}

/// When kernels of the fleet get no more livepatches, the first to end first; those that end soon, or all that are known.
pub(super) fn support(groups: &[Group], today: Date, all: bool) -> Vec<Support> {
    let mut support: Vec<Support> = kernels(groups)
        .into_iter()
        .filter_map(|(release, machines)| {
            let last = last_day(&release)?;
            let days = i64::from(last.since(today).ok()?.get_days());
            let is_news = all || days <= SOON;
            is_news.then(|| Support {
                kernel: release.to_string(),
                machines,
                last_day: last.to_string(),
                days,
            })
        })
        .collect();
    support.sort_by_key(|one| one.days);
    support
}

/// The last day of a kernel's build, as the newest matrix that knows it says.
fn last_day(release: &KernelRelease) -> Option<Date> {
    let known = CATALOGUE.windows().filter(|(_, kernels, build, _)| {
        let rest = build.kernel.as_deref().and_then(|kernel| release.as_str().strip_prefix(kernel));
        rest.is_some_and(|rest| kernels.flavours.contains(rest.trim_start_matches('-')))
    });
    known.max_by_key(|(matrix, ..)| matrix.as_of).and_then(|(_, _, _, last)| last)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use livepatch_manifest::{Digest, Fix, Manifest, ModuleRecord, Provenance, SCHEMA};

    fn build(byte: u8) -> BuildId {
        BuildId::from_bytes(&[byte; 20]).unwrap()
    }

    fn group(byte: u8, tier: &str, applied_version: Option<u32>, machines: u32) -> Group {
        let state = if applied_version.is_some() { PatchState::Applied } else { PatchState::Unapplied };
        let release = format!("6.1.0-{byte}-cloud-amd64").parse().unwrap();
        Group { release, build_id: build(byte), tier: tier.into(), state, applied_version, machines }
    }

    fn published(byte: u8, version: u32, fixes: &[&str], tiers: &[&str]) -> Published {
        let manifest = Manifest {
            schema: SCHEMA,
            name: format!("livepatch_{byte}_{version}"),
            version,
            kernel: livepatch_kernel::KernelIdentity {
                release: format!("6.1.0-{byte}-cloud-amd64").parse().unwrap(),
                build_id: build(byte),
                arch: "x86_64".into(),
            },
            module: ModuleRecord { sha256: Digest::of(b""), size: 0, vermagic: String::new(), signer: None },
            fixes: fixes.iter().map(|id| Fix::new(*id, "a bug")).collect(),
            objects: vec![],
            provenance: Provenance {
                builder: String::new(),
                compiler: String::new(),
                source: String::new(),
                patch_sha256: Digest::of(b""),
            },
        };
        Published {
            target: manifest.name.clone(),
            sha256: manifest.module.sha256.clone(),
            manifest,
            tiers: tiers.iter().map(|tier| (*tier).to_owned()).collect(),
            length: 0,
            published_at: None,
            schedule: None,
            origin: None,
            endorsement: None,
        }
    }

    #[test]
    fn protection_and_exposure_follow_from_versions() {
        let livepatches = [
            published(1, 1, &["CVE-1"], &["edge", "stable"]),
            published(1, 2, &["CVE-1", "CVE-2"], &["edge"]),
        ];
        let groups = [
            group(1, "edge", Some(2), 5),
            group(1, "stable", Some(1), 10),
            group(1, "stable", None, 3),
            group(2, "stable", None, 7),
        ];
        let expected = Protection { protected: 15, behind: 3, uncovered: 7 };
        assert_eq!(protection(&groups, &livepatches), expected);
        let found: Vec<(String, u32)> =
            exposures(&groups, &livepatches).into_iter().map(|one| (one.id, one.machines)).collect();
        assert_eq!(found, [("CVE-2".to_owned(), 13), ("CVE-1".to_owned(), 3)]);
        assert_eq!(states(&groups), [(PatchState::Applied, 15), (PatchState::Unapplied, 10)]);
    }
}
