//! What counts of machines and published livepatches say together. Pure.

use jiff::civil::Date;
use livepatch_api::PatchState;
use livepatch_cve::catalogue::Catalogue;
use livepatch_dashboard::{Exposure, Grouping, MachineGroup, Protection, Support};
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

/// Machines that have a kernel, a tier or a state in common; most first, in the order of the values where they are as many.
pub(super) fn grouped(groups: &[Group], published: &[Published], grouping: Grouping) -> Vec<MachineGroup> {
    let mut found: BTreeMap<String, Vec<Group>> = BTreeMap::new();
    for group in groups {
        let value = match grouping {
            Grouping::Kernel => group.release.to_string(),
            Grouping::Tier => group.tier.clone(),
            // A machine's words are not in these counts; see `by_tag`.
            Grouping::State | Grouping::Tag => word(group.state),
        };
        found.entry(value).or_default().push(group.clone());
    }
    let one = |(value, groups): (String, Vec<Group>)| MachineGroup {
        value,
        machines: groups.iter().map(|group| group.machines).sum(),
        in_trouble: groups.iter().filter(|group| is_trouble(group.state)).map(|group| group.machines).sum(),
        protection: Some(protection(&groups, published)),
    };
    most_first(found.into_iter().map(one).collect())
}

/// Machines that carry a word; those with several count for each.
pub(super) fn by_tag(counts: &[(Vec<String>, PatchState, u32)]) -> Vec<MachineGroup> {
    let mut found: BTreeMap<&str, MachineGroup> = BTreeMap::new();
    for (tags, state, machines) in counts {
        for tag in tags {
            let group = found.entry(tag).or_insert_with(|| MachineGroup {
                value: tag.clone(),
                machines: 0,
                in_trouble: 0,
                protection: None,
            });
            group.machines += machines;
            group.in_trouble += if is_trouble(*state) { *machines } else { 0 };
        }
    }
    most_first(found.into_values().collect())
}

fn most_first(mut groups: Vec<MachineGroup>) -> Vec<MachineGroup> {
    groups.sort_by_key(|group| std::cmp::Reverse(group.machines));
    groups
}

/// A state as it stands in addresses.
fn word(state: PatchState) -> String {
    serde_json::to_value(state).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

/// The states that are trouble.
pub(super) const TROUBLE: [PatchState; 3] =
    [PatchState::AppliedWithBug, PatchState::ApplyFailed, PatchState::CheckFailed];

fn is_trouble(state: PatchState) -> bool {
    TROUBLE.contains(&state)
}

/// By kernel build, the first published version with a fix.
pub(super) fn first_with(published: &[Published], fix: &str) -> Vec<(BuildId, u32)> {
    let mut first: BTreeMap<BuildId, u32> = BTreeMap::new();
    let fixes = |entry: &&Published| entry.manifest.fixes.iter().any(|one| one.id.eq_ignore_ascii_case(fix));
    for Published { manifest, .. } in published.iter().filter(fixes) {
        let version = first.entry(manifest.kernel.build_id.clone()).or_insert(manifest.version);
        *version = (*version).min(manifest.version);
    }
    first.into_iter().collect()
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

/// Livepatches and groups of machines to test with.
#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
pub(super) mod samples {
    use super::*;
    use livepatch_manifest::{Digest, Fix, Manifest, ModuleRecord, Provenance, SCHEMA};

    fn build(byte: u8) -> BuildId {
        BuildId::from_bytes(&[byte; 20]).unwrap()
    }

    pub(crate) fn group(byte: u8, tier: &str, applied_version: Option<u32>, machines: u32) -> Group {
        let state = if applied_version.is_some() { PatchState::Applied } else { PatchState::Unapplied };
        let release = format!("6.1.0-{byte}-cloud-amd64").parse().unwrap();
        Group { release, build_id: build(byte), tier: tier.into(), state, applied_version, machines }
    }

    pub(crate) fn published(byte: u8, version: u32, fixes: &[&str], tiers: &[&str]) -> Published {
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
}

#[cfg(test)]
mod tests {
    use super::{
        samples::{group, published},
        *,
    };

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
        assert_eq!(first_with(&livepatches, "cve-1"), [(groups[0].build_id.clone(), 1)]);
        assert_eq!(first_with(&livepatches, "CVE-2"), [(groups[0].build_id.clone(), 2)]);
        assert_eq!(first_with(&livepatches, "CVE-3"), []);
        let counted = |grouping| -> Vec<(String, u32)> {
            let found = grouped(&groups, &livepatches, grouping);
            found.into_iter().map(|one| (one.value, one.machines)).collect()
        };
        assert_eq!(counted(Grouping::Tier), [("stable".to_owned(), 20), ("edge".to_owned(), 5)]);
        assert_eq!(counted(Grouping::State), [("applied".to_owned(), 15), ("unapplied".to_owned(), 10)]);
        let kernels = counted(Grouping::Kernel).into_iter().map(|(.., machines)| machines);
        assert_eq!(kernels.collect::<Vec<_>>(), [18, 7]);
    }

    #[test]
    fn a_machine_with_two_tags_counts_for_both() {
        let tags = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let counts =
            [(tags(&["web"]), PatchState::Applied, 4), (tags(&["web", "lab"]), PatchState::ApplyFailed, 2)];
        let found: Vec<_> =
            by_tag(&counts).into_iter().map(|one| (one.value, one.machines, one.in_trouble)).collect();
        assert_eq!(found, [("web".to_owned(), 6, 2), ("lab".to_owned(), 2, 2)]);
    }
}
