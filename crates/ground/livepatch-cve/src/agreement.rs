//! Our verdicts beside the Ubuntu tracker's own states: where they differ, and why.
//!
//! Compared are all builds that the tracker itself names: a version that any CVE's state has is a build of its family. For each
//! CVE, family and build, the tracker's state alone leads to an [`Expectation`]; the verdict may differ from it only for a reason
//! in [`Explanation`].

use crate::record::{CveRecord, PackageState, PackageStatus, Source};
use crate::verdict::{BuildNumber, Engine, Exposure, KernelBuild, Stance, Verdict, VerdictKind};
use crate::{CveId, Distribution, Family};
use livepatch_kernel::PackageVersion;
use std::collections::{BTreeMap, BTreeSet};

/// What the tracker's state says of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expectation {
    /// There is no such package.
    Absent,
    /// It does not have the fault.
    NotAffected,
    /// It has the fix.
    Fixed,
    /// It has the fault, or may have it.
    Open,
}

/// Why our verdict differs from what the tracker's state says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Explanation {
    /// The tracker says that the fix is prepared for a version, or was when the release ended; a build that is as new exists.
    PreparedBuildIsOut,
    /// Nobody has looked at the package, or it is put off or given up; it is made from an upstream version with the fix.
    BaseHasTheFix,
    /// The CVE was rejected, and the tracker keeps the state from before.
    NoVulnerability,
}

/// The comparison.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    /// Pairs of CVE and family that both know.
    pub pairs: usize,
    /// By the tracker's status and our verdict's kind (none: no verdict): how many builds.
    pub table: BTreeMap<(PackageStatus, Option<VerdictKind>), usize>,
    /// Differences with an explanation: how many builds.
    pub explained: BTreeMap<(PackageStatus, Option<VerdictKind>, Explanation), usize>,
    /// Differences without one.
    pub unexplained: Vec<Disagreement>,
    /// What the upstream version alone says, without the package's state: agreement and its opposite, by status.
    pub by_base: BTreeMap<(PackageStatus, BaseAnswer), usize>,
}

/// What the build's upstream version alone says, beside what the tracker's state says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BaseAnswer {
    /// Both find the build safe.
    BothSafe,
    /// Both find it open.
    BothOpen,
    /// The version is before the fix, and the tracker knows of a backport or that the fault is not there: the version alone does not
    /// know.
    TrackerKnowsMore,
    /// The version is after the fix, and the tracker finds the build open: the fix was not complete, or nobody has looked.
    BaseHasTheFix,
}

/// A difference that nothing explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The CVE.
    pub cve: CveId,
    /// The family.
    pub family: Family,
    /// The build's version.
    pub build: PackageVersion,
    /// The tracker's state.
    pub state: PackageState,
    /// Our verdict.
    pub verdict: Option<Verdict>,
}

/// Compares for all records. The exposures and with them the verdicts come from everything that the records say.
pub fn compare<'a>(records: impl Iterator<Item = &'a CveRecord> + Clone) -> Agreement {
    let builds = builds_named(records.clone());
    let engine = Engine::new(builds, records.clone().map(Exposure::from_record).collect());
    let verdicts = engine.verdicts();
    let by_base = Engine::new(Vec::new(), records.clone().map(without_packages).collect());
    let mut agreement = Agreement::default();
    for record in records {
        for (family, range) in engine.families() {
            let Some(state) = tracker_state(record, family) else { continue };
            agreement.pairs += 1;
            for (build, number) in engine.builds()[range.clone()].iter().zip(range.start..) {
                let verdict = verdicts.get(record.id, BuildNumber(u32::try_from(number).unwrap_or(u32::MAX)));
                let alone = by_base.verdict(record.id, build).is_some_and(|verdict| verdict.is_safe());
                agreement.add(record, build, state, verdict, alone);
            }
        }
    }
    agreement
}

/// Every version that a state names as published, as a build of its family.
pub fn builds_named<'a>(records: impl Iterator<Item = &'a CveRecord>) -> Vec<KernelBuild> {
    let mut known = BTreeSet::new();
    for record in records {
        for (family, field) in &record.packages {
            let states = field.claims().iter().map(|claim| &claim.value);
            let published = states.filter(|state| state.status != PackageStatus::Pending);
            known.extend(published.filter_map(|state| Some((family.clone(), state.version.clone()?))));
        }
    }
    known.into_iter().map(|(family, version)| KernelBuild::new(family, version)).collect()
}

fn tracker_state<'a>(record: &'a CveRecord, family: &Family) -> Option<&'a PackageState> {
    let claims = record.packages.get(family)?.claims();
    let own = claims.iter().find(|claim| claim.source == Source::UbuntuTracker)?;
    (family.distribution == Distribution::Ubuntu).then_some(&own.value)
}

fn without_packages(record: &CveRecord) -> Exposure {
    Exposure { families: BTreeMap::new(), ..Exposure::from_record(record) }
}

/// What the state says of a build, and nothing else does.
pub fn expectation(state: &PackageState, build: &PackageVersion) -> Expectation {
    match (state.status, &state.version) {
        (PackageStatus::DoesNotExist, _) => Expectation::Absent,
        (PackageStatus::NotAffected, Some(from)) if build < from => Expectation::Open,
        (PackageStatus::NotAffected, _) => Expectation::NotAffected,
        (PackageStatus::Released, Some(first)) if build >= first => Expectation::Fixed,
        _ => Expectation::Open,
    }
}

impl Agreement {
    fn add(
        &mut self,
        record: &CveRecord,
        build: &KernelBuild,
        state: &PackageState,
        verdict: Option<&Verdict>,
        safe_by_base: bool,
    ) {
        let kind = verdict.map(Verdict::kind);
        let expected = expectation(state, &build.version);
        *self.table.entry((state.status, kind)).or_default() += 1;
        if expected != Expectation::Absent {
            let answer = base_answer(expected, safe_by_base);
            *self.by_base.entry((state.status, answer)).or_default() += 1;
        }
        if agrees(expected, kind) {
            return;
        }
        match explain(record, build, state, verdict) {
            Some(explanation) => *self.explained.entry((state.status, kind, explanation)).or_default() += 1,
            None => self.unexplained.push(Disagreement {
                cve: record.id,
                family: build.family.clone(),
                build: build.version.clone(),
                state: state.clone(),
                verdict: verdict.cloned(),
            }),
        }
    }
}

fn agrees(expected: Expectation, kind: Option<VerdictKind>) -> bool {
    match expected {
        Expectation::Absent => kind.is_none(),
        Expectation::NotAffected => kind == Some(VerdictKind::NotAffected),
        Expectation::Fixed => kind == Some(VerdictKind::FixedInBuild),
        Expectation::Open => {
            kind.is_some_and(|kind| !matches!(kind, VerdictKind::NotAffected | VerdictKind::FixedInBuild))
        }
    }
}

fn base_answer(expected: Expectation, safe_by_base: bool) -> BaseAnswer {
    match (expected == Expectation::Open, safe_by_base) {
        (false, true) => BaseAnswer::BothSafe,
        (true, false) => BaseAnswer::BothOpen,
        (false, false) => BaseAnswer::TrackerKnowsMore,
        (true, true) => BaseAnswer::BaseHasTheFix,
    }
}

fn explain(
    record: &CveRecord,
    build: &KernelBuild,
    state: &PackageState,
    verdict: Option<&Verdict>,
) -> Option<Explanation> {
    if record.is_void() {
        return Some(Explanation::NoVulnerability);
    }
    match verdict? {
        Verdict::FixedInBuild { first } => match Stance::from_state(state) {
            Stance::Prepared { version, .. } if version == *first && build.version >= version => {
                Some(Explanation::PreparedBuildIsOut)
            }
            _ => None,
        },
        Verdict::NotAffected { .. } => {
            let undecided = matches!(
                state.status,
                PackageStatus::NotTriaged | PackageStatus::Deferred | PackageStatus::Ignored
            );
            undecided.then_some(Explanation::BaseHasTheFix)
        }
        _ => None,
    }
}
