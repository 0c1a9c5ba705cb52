//! All verdicts at once: CVEs × builds.
//!
//! Neighbouring builds of a family nearly always share a verdict, so verdicts are kept as runs over the builds in the order of
//! their versions, and each distinct verdict once.

use super::decide::{Case, Remedies};
use super::exposure::{Exposure, Stance};
use super::kernel::base;
use super::{BuildNumber, FamilyNumber, KernelBuild, Verdict};
use crate::{Base, CveId, Family, Name};
use livepatch_kernel::PackageVersion;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// Builds, CVEs and remedies.
#[derive(Debug, Default)]
pub struct Engine {
    builds: Vec<KernelBuild>,
    families: Vec<FamilyBuilds>,
    exposures: Vec<Exposure>,
    refusals: HashMap<(CveId, FamilyNumber), Name>,
    mitigations: HashMap<(CveId, Option<FamilyNumber>), Name>,
}

/// A run of builds with one verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first build after the run.
    pub end: BuildNumber,
    /// Number in [`Verdicts::distinct`]; none when there is no verdict.
    verdict: Option<u32>,
}

/// The verdicts of an engine.
#[derive(Debug, Default)]
pub struct Verdicts {
    distinct: Vec<Verdict>,
    runs: Vec<Run>,
    /// For each CVE, by number: where its runs are.
    rows: Vec<Range<usize>>,
    cves: Vec<CveId>,
}

impl Engine {
    /// An engine for these builds and CVEs. Builds are numbered anew, by family and version; of a CVE given twice the later
    /// counts.
    pub fn new(mut builds: Vec<KernelBuild>, exposures: Vec<Exposure>) -> Self {
        builds.sort_by(|one, two| {
            (one.family.cmp(&two.family))
                .then_with(|| one.version.cmp(&two.version))
                .then_with(|| (&one.flavour, &one.architecture).cmp(&(&two.flavour, &two.architecture)))
        });
        let by_cve: BTreeMap<CveId, Exposure> = exposures.into_iter().map(|one| (one.cve, one)).collect();
        Self {
            families: families(&builds),
            builds,
            exposures: by_cve.into_values().collect(),
            ..Self::default()
        }
    }

    /// The builds, in the order of their numbers.
    pub fn builds(&self) -> &[KernelBuild] {
        &self.builds
    }

    /// The families, each with the numbers of its builds.
    pub fn families(&self) -> impl ExactSizeIterator<Item = (&Family, Range<usize>)> {
        self.families.iter().map(|one| (&one.family, one.range.clone()))
    }

    /// A family's number.
    pub fn family(&self, family: &Family) -> Option<FamilyNumber> {
        let at = self.families.binary_search_by(|known| known.family.cmp(family)).ok()?;
        u32::try_from(at).ok().map(FamilyNumber)
    }

    /// Says that a CVE cannot be livepatched in a family, with the builder's reason code.
    pub fn refuse(&mut self, cve: CveId, family: FamilyNumber, reason: Name) {
        self.refusals.insert((cve, family), reason);
    }

    /// Says that a mitigation helps against a CVE, in one family or in all.
    pub fn mitigate(&mut self, cve: CveId, family: Option<FamilyNumber>, mitigation: Name) {
        self.mitigations.insert((cve, family), mitigation);
    }

    /// One verdict.
    pub fn verdict(&self, cve: CveId, build: &KernelBuild) -> Option<Verdict> {
        let at = self.exposures.binary_search_by_key(&cve, |exposure| exposure.cve).ok()?;
        let exposure = self.exposures.get(at)?;
        let stance = exposure.families.get(&build.family);
        let named = stance.and_then(Stance::version);
        let case = Case {
            exposure,
            stance,
            build,
            base: base(build.family.distribution, &build.version),
            reached: named.is_none_or(|version| build.version >= *version),
            remedies: self
                .family(&build.family)
                .map_or(Remedies::default(), |family| self.remedies(cve, family)),
        };
        case.decide()
    }

    /// Every verdict.
    pub fn verdicts(&self) -> Verdicts {
        let mut collector = Collector::default();
        for exposure in &self.exposures {
            let start = collector.verdicts.runs.len();
            let mut stances = exposure.families.iter().peekable();
            for (number, family) in (0..).zip(&self.families) {
                // Both are in order: what the exposure says of families without builds is passed over.
                while stances.next_if(|(known, _)| **known < family.family).is_some() {}
                let stance = stances.next_if(|(known, _)| **known == family.family).map(|(_, stance)| stance);
                let remedies = self.remedies(exposure.cve, FamilyNumber(number));
                self.family_verdicts(exposure, family, stance, remedies, &mut collector);
            }
            let row = start..collector.verdicts.runs.len();
            collector.verdicts.rows.push(row);
            collector.verdicts.cves.push(exposure.cve);
        }
        collector.verdicts
    }

    fn remedies(&self, cve: CveId, family: FamilyNumber) -> Remedies<'_> {
        if self.refusals.is_empty() && self.mitigations.is_empty() {
            return Remedies::default();
        }
        let mitigation =
            self.mitigations.get(&(cve, Some(family))).or_else(|| self.mitigations.get(&(cve, None)));
        Remedies { refusal: self.refusals.get(&(cve, family)), mitigation }
    }

    /// The verdict can change only at the version that the distribution names, and between strata.
    fn family_verdicts<'a>(
        &'a self,
        exposure: &'a Exposure,
        family: &FamilyBuilds,
        stance: Option<&'a Stance>,
        remedies: Remedies<'a>,
        collector: &mut Collector<'a>,
    ) {
        let edge = stance.and_then(Stance::version).map_or(family.range.start, |version| {
            // Many CVEs are fixed in one build, and versions take long to compare.
            let key = (family.range.start, version);
            *collector.edges.entry(key).or_insert_with(|| {
                let builds = self.builds.get(family.range.clone()).unwrap_or_default();
                family.range.start + builds.partition_point(|build| build.version < *version)
            })
        });
        for (stratum, base) in &family.strata {
            let cut = edge.clamp(stratum.start, stratum.end);
            for part in [stratum.start..cut, cut..stratum.end].into_iter().filter(|part| !part.is_empty()) {
                let Some(build) = self.builds.get(part.start) else { continue };
                let case =
                    Case { exposure, stance, build, base: *base, reached: part.start >= edge, remedies };
                collector.push(part.end, case.decide());
            }
        }
    }
}

/// A family's builds: their numbers, and the strata, which are neighbours whose own facts are the same.
#[derive(Debug)]
struct FamilyBuilds {
    family: Family,
    range: Range<usize>,
    /// Each with the upstream version that its builds are made from.
    strata: Vec<(Range<usize>, Option<Base>)>,
}

/// Groups builds that are in order.
fn families(builds: &[KernelBuild]) -> Vec<FamilyBuilds> {
    let mut found: Vec<FamilyBuilds> = Vec::new();
    for (number, build) in builds.iter().enumerate() {
        let own = number..number + 1;
        match found.last_mut().filter(|last| last.family == build.family) {
            Some(last) => {
                last.range.end = own.end;
                let previous = number.checked_sub(1).and_then(|before| builds.get(before));
                match last.strata.last_mut() {
                    Some((stratum, _)) if previous.is_some_and(|before| same_facts(before, build)) => {
                        stratum.end = own.end
                    }
                    _ => last.strata.push((own, base(build.family.distribution, &build.version))),
                }
            }
            None => {
                let family = build.family.clone();
                let base = base(family.distribution, &build.version);
                found.push(FamilyBuilds { family, range: own.clone(), strata: vec![(own, base)] });
            }
        }
    }
    found
}

/// Whether two builds differ in nothing that a verdict depends on, but for their place in the family's order.
fn same_facts(one: &KernelBuild, two: &KernelBuild) -> bool {
    one.version.upstream() == two.version.upstream()
        && one.configuration == two.configuration
        && one.files == two.files
        && one.livepatched == two.livepatched
}

/// Collects runs, joining equal neighbours, and stores each distinct verdict once.
#[derive(Default)]
struct Collector<'a> {
    verdicts: Verdicts,
    /// By the family's first build and a version: the first build that is as new.
    edges: HashMap<(usize, &'a PackageVersion), usize>,
    known: HashMap<Verdict, u32>,
}

impl Collector<'_> {
    fn push(&mut self, end: usize, verdict: Option<Verdict>) {
        let verdict = verdict.map(|verdict| match self.known.get(&verdict) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.verdicts.distinct.len()).unwrap_or(u32::MAX);
                self.verdicts.distinct.push(verdict.clone());
                self.known.insert(verdict, number);
                number
            }
        });
        let end = BuildNumber(u32::try_from(end).unwrap_or(u32::MAX));
        let row_start = self.verdicts.rows.last().map_or(0, |row| row.end);
        let row_has_runs = self.verdicts.runs.len() > row_start;
        match self.verdicts.runs.last_mut() {
            Some(last) if row_has_runs && last.verdict == verdict => last.end = end,
            _ => self.verdicts.runs.push(Run { end, verdict }),
        }
    }
}

impl Verdicts {
    /// The CVEs, in order.
    pub fn cves(&self) -> &[CveId] {
        &self.cves
    }

    /// Every verdict that occurs, once.
    pub fn distinct(&self) -> &[Verdict] {
        &self.distinct
    }

    /// A CVE's verdict for a build; none when there is none, or no such CVE.
    pub fn get(&self, cve: CveId, build: BuildNumber) -> Option<&Verdict> {
        let row = self.rows.get(self.cves.binary_search(&cve).ok()?)?;
        let runs = self.runs.get(row.clone())?;
        let run = runs.get(runs.partition_point(|run| run.end <= build))?;
        self.distinct.get(run.verdict? as usize)
    }

    /// A CVE's runs over a range of builds: for each the number of the first build after it, and the verdict.
    pub fn runs(&self, cve: CveId, builds: Range<usize>) -> impl Iterator<Item = (usize, Option<&Verdict>)> {
        let row =
            self.cves.binary_search(&cve).ok().and_then(|at| self.rows.get(at)).cloned().unwrap_or(0..0);
        let runs = self.runs.get(row).unwrap_or_default();
        let first = runs.partition_point(|run| run.end.0 as usize <= builds.start);
        let mut start = builds.start;
        runs.get(first..).unwrap_or_default().iter().map_while(move |run| {
            let end = (run.end.0 as usize).min(builds.end);
            let inside = start < builds.end;
            start = end;
            inside.then_some((end, run.verdict.and_then(|number| self.distinct.get(number as usize))))
        })
    }
}
