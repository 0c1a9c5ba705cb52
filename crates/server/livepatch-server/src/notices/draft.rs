//! A notice out of records and verdicts. Pure.

use crate::{
    cves::{Knowledge, engine},
    refusal::Refusal,
};
use jiff::Timestamp;
use livepatch_api::CveRefusal;
use livepatch_cve::{
    CveId, Distribution, Family, Register,
    catalogue::Kernels,
    record::CveRecord,
    verdict::{Engine, Exposure, KernelBuild, Stance, Verdict, Verdicts, flavour_name},
};
use livepatch_kernel::PackageVersion;
use livepatch_notice::{Affected, Alert, Detail, Instruction, Kind, LsnNumber, Notice, Revision};
use std::collections::{BTreeMap, BTreeSet};

/// What a notice is called and when it is from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    pub(crate) number: u32,
    pub(crate) now: Timestamp,
}

/// The notice about these vulnerabilities: that there is a livepatch, or, when none of them can be livepatched, that there
/// is none.
pub(crate) fn draft(
    names: Names,
    cves: &BTreeSet<CveId>,
    register: &Register,
    knowledge: &Knowledge,
) -> Result<Notice, Refusal> {
    let records: Vec<&CveRecord> = cves.iter().map(|cve| record(register, *cve)).collect::<Result<_, _>>()?;
    let details = records.iter().map(|record| detail(record)).collect::<Result<Vec<_>, _>>()?;
    let engine = engine(knowledge, records.iter().map(|record| Exposure::from_record(record)).collect());
    let facts = Facts { cves, records: &records, knowledge, verdicts: engine.verdicts(), engine: &engine };
    let kind = facts.kind()?;
    let (instructions, affected) = facts.kernels(&kind);
    let date = jiff::tz::TimeZone::UTC.to_datetime(names.now).date();
    let plural = if cves.len() == 1 { "vulnerability" } else { "vulnerabilities" };
    let summary = match (&kind, cves.len()) {
        (Kind::Livepatch, 1) => "A security issue was fixed in the kernel by a livepatch.".to_owned(),
        (Kind::Livepatch, count) => {
            format!("{count} security issues were fixed in the kernel by a livepatch.")
        }
        (Kind::Alert(_), 1) => "A security issue in the kernel cannot be livepatched.".to_owned(),
        (Kind::Alert(_), count) => format!("{count} security issues in the kernel cannot be livepatched."),
    };
    let references: BTreeSet<String> =
        records.iter().filter_map(|record| record.references.value()).flatten().cloned().collect();
    Ok(Notice {
        number: LsnNumber { number: names.number, revision: 1 },
        title: format!("Linux kernel {plural}"),
        kind,
        published: names.now,
        revisions: vec![Revision { revision: 1, date, note: "First publication".to_owned() }],
        summary,
        affected,
        details,
        instructions,
        references: references.into_iter().collect(),
    })
}

fn record(register: &Register, cve: CveId) -> Result<&CveRecord, Refusal> {
    register
        .record(cve)
        .ok_or_else(|| Refusal::invalid(format!("nothing is known of {cve}; import it first")))
}

fn detail(record: &CveRecord) -> Result<Detail, Refusal> {
    let cve = record.id;
    let rating = record.rating.value().ok_or_else(|| {
        Refusal::conflict(format!("{cve} has no priority yet; livepatch-admin cve rate {cve} decides one"))
    })?;
    let texts = [record.summary.value(), record.description.value(), record.title.value()];
    let text = texts.into_iter().flatten().find(|text| !text.trim().is_empty());
    Ok(Detail {
        cve,
        text: text.map(|text| text.trim().to_owned()).unwrap_or_default(),
        priority: rating.priority,
    })
}

struct Facts<'a> {
    cves: &'a BTreeSet<CveId>,
    records: &'a [&'a CveRecord],
    knowledge: &'a Knowledge,
    engine: &'a Engine,
    verdicts: Verdicts,
}

impl Facts<'_> {
    /// One notice says one thing.
    fn kind(&self) -> Result<Kind, Refusal> {
        let has = |cve: &CveId, kind: fn(&Verdict) -> bool| {
            self.engine.families().any(|(_, range)| {
                self.verdicts.runs(*cve, range).any(|(_, verdict)| verdict.is_some_and(kind))
            })
        };
        let livepatched = |cve: &CveId| has(cve, |verdict| matches!(verdict, Verdict::Livepatched { .. }));
        let refused =
            |cve: &CveId| has(cve, |verdict| matches!(verdict, Verdict::CannotBeLivepatched { .. }));
        if self.cves.iter().all(livepatched) {
            return Ok(Kind::Livepatch);
        }
        if self.cves.iter().all(refused) {
            return Ok(Kind::Alert(self.alert_for_ever()));
        }
        let mitigated = |cve: &CveId| has(cve, |verdict| matches!(verdict, Verdict::Mitigated { .. }));
        if self.cves.iter().all(mitigated) {
            return Ok(Kind::Alert(Alert {
                code: Alert::NOT_YET.to_owned(),
                reason: "It is being made.".to_owned(),
                mitigation: self.mitigation(BTreeSet::new()),
            }));
        }
        let odd = self.cves.iter().find(|cve| !livepatched(cve) && !refused(cve));
        Err(Refusal::conflict(match odd {
            Some(cve) => format!(
                "no kernel of the catalogue has {cve} with a livepatch or with the word that there can be none; publish a \
                 livepatch, or livepatch-admin cve refuse {cve}"
            ),
            None => "some of these are livepatched and some cannot be: write two notices".to_owned(),
        }))
    }

    fn alert_for_ever(&self) -> Alert {
        let known = self.knowledge.refusals.iter();
        let concerned = |refusal: &&CveRefusal| refusal.cve.parse().is_ok_and(|cve| self.cves.contains(&cve));
        let own: Vec<&CveRefusal> = known.filter(concerned).collect();
        let join = |texts: BTreeSet<&str>, between: &str| texts.into_iter().collect::<Vec<_>>().join(between);
        Alert {
            code: join(own.iter().map(|one| one.code.as_str()).collect(), ", "),
            reason: join(own.iter().map(|one| one.reason.as_str()).collect(), " "),
            mitigation: self.mitigation(own.iter().filter_map(|one| one.mitigation.clone()).collect()),
        }
    }

    /// What helps meanwhile: these words, and the mitigations that are issued.
    fn mitigation(&self, mut words: BTreeSet<String>) -> Option<String> {
        let issued = self.knowledge.mitigations.mitigations.iter();
        let own = issued.filter(|one| !one.cves.is_disjoint(self.cves));
        words.extend(own.map(|one| {
            format!("run 'livepatch mitigation apply {}': {}", one.name, one.about.trim_end_matches('.'))
        }));
        (!words.is_empty()).then(|| words.into_iter().collect::<Vec<_>>().join("; "))
    }

    /// For each flavour of each family that is concerned: what to have, and the row of the table.
    fn kernels(&self, kind: &Kind) -> (Vec<Instruction>, Vec<Affected>) {
        let mut instructions = Vec::new();
        let mut affected: BTreeMap<(String, String, String), Vec<String>> = BTreeMap::new();
        for (family, range) in self.engine.families() {
            let builds = self.engine.builds().get(range.clone()).unwrap_or_default();
            let mut flavours: BTreeMap<(String, String), Vec<(usize, &KernelBuild)>> = BTreeMap::new();
            for (build, number) in builds.iter().zip(range.start..) {
                let key = (build.architecture.to_string(), build.flavour.to_string());
                flavours.entry(key).or_default().push((number, build));
            }
            let Some(rows) = self.row(family) else { continue };
            for ((architecture, flavour), builds) in flavours {
                let Some(instruction) =
                    self.instruction(kind, family, rows, (&architecture, &flavour), &builds)
                else {
                    continue;
                };
                let release = release_name(rows);
                affected
                    .entry((release, rows.series.clone(), architecture))
                    .or_default()
                    .push(instruction.flavour.clone());
                instructions.push(instruction);
            }
        }
        let affected = affected.into_iter().map(|((release, series, architecture), flavours)| Affected {
            release,
            series,
            architecture,
            flavours,
        });
        (instructions, affected.collect())
    }

    /// The catalogue's row of a family.
    fn row(&self, family: &Family) -> Option<&Kernels> {
        self.knowledge.catalogue.windows().map(|(_, kernels, ..)| kernels).find(|kernels| {
            kernels.distribution == family.distribution
                && kernels.code_name == *family.release
                && kernels.flavours.iter().any(|flavour| kernels.package(flavour) == *family.package)
        })
    }

    fn instruction(
        &self,
        kind: &Kind,
        family: &Family,
        row: &Kernels,
        (architecture, flavour): (&str, &str),
        builds: &[(usize, &KernelBuild)],
    ) -> Option<Instruction> {
        let verdict = |cve: CveId, number: usize| {
            let number = u32::try_from(number).ok()?;
            self.verdicts.get(cve, livepatch_cve::verdict::BuildNumber(number))
        };
        let (mut cves, mut version, mut lowest) = (BTreeSet::new(), None, None::<&PackageVersion>);
        for cve in self.cves {
            for (number, build) in builds {
                match verdict(*cve, *number) {
                    Some(Verdict::Livepatched { version: first }) if *kind == Kind::Livepatch => {
                        version = version.max(Some(*first));
                        lowest = lowest.map_or(Some(&build.version), |known| Some(known.min(&build.version)));
                    }
                    Some(Verdict::CannotBeLivepatched { .. } | Verdict::Mitigated { .. })
                        if *kind != Kind::Livepatch => {}
                    _ => continue,
                }
                cves.insert(*cve);
            }
        }
        if cves.is_empty() {
            return None;
        }
        Some(Instruction {
            distribution: family.distribution,
            release: row.release.clone(),
            package: family.package.to_string(),
            flavour: if flavour.is_empty() { architecture.to_owned() } else { flavour.to_owned() },
            architecture: architecture.to_owned(),
            livepatch: version,
            module: version.and_then(|version| self.module(row, flavour, architecture, version)),
            lowest_build: lowest.cloned(),
            fixed_build: self.fixed(family, &cves),
            cves,
        })
    }

    /// The first build that has all of the fixes; none when one of them has none yet.
    fn fixed(&self, family: &Family, cves: &BTreeSet<CveId>) -> Option<PackageVersion> {
        let own = self.records.iter().filter(|record| cves.contains(&record.id));
        let versions = own.map(|record| {
            let state = record.packages.get(family)?.value()?;
            match Stance::from_state(state) {
                Stance::Fixed(version) => Some(version),
                _ => None,
            }
        });
        versions.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// The module's name as published, with `{build}` for what differs between builds of the flavour.
    fn module(&self, row: &Kernels, flavour: &str, architecture: &str, version: u32) -> Option<String> {
        let own = row.flavours.iter().find(|known| flavour_name(known, architecture) == flavour)?;
        let builds = self.knowledge.catalogue.builds.iter().filter(|build| build.series == row.series);
        builds.filter_map(|build| build.kernel.as_ref()).find_map(|kernel| {
            let release = format!("{kernel}-{own}");
            let here = self.knowledge.published.iter().map(|entry| &entry.manifest);
            let manifest = here
                .filter(|manifest| manifest.version >= version)
                .find(|manifest| manifest.kernel.release.as_str() == release)?;
            let part: String =
                kernel.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            let name = manifest.name.replacen(&part, "{build}", 1);
            let ending = format!("_{}", manifest.version);
            Some(name.strip_suffix(&ending).map_or(name.clone(), |rest| format!("{rest}_{version}")))
        })
    }
}

/// `Debian 12`, `Ubuntu 22.04 LTS`.
fn release_name(row: &Kernels) -> String {
    match row.distribution {
        Distribution::Debian => format!("Debian {}", row.release),
        Distribution::Ubuntu => {
            let year = row.release.strip_suffix(".04").and_then(|year| year.parse::<u32>().ok());
            let long = year.is_some_and(|year| year.is_multiple_of(2));
            format!("Ubuntu {}{}", row.release, if long { " LTS" } else { "" })
        }
    }
}
