//! Verdicts from what the site knows, and their publication: a signed document for each family of the catalogue.

use crate::{clock, refusal::Refusal, site::Site};
use livepatch_api::{CveRefusal, FamilyVerdicts, MitigationView, VerdictsPublished};
use livepatch_cve::{
    CveId, Family, Mitigations, Register,
    catalogue::{Catalogue, CatalogueBuild, Kernels},
    verdict::{Engine, Exposure, FileBuild, KernelBuild, Verdict, VerdictFile, flavour_name},
};
use livepatch_kernel::{KernelRelease, PackageVersion};
use livepatch_manifest::Digest;
use livepatch_store::Store;
use livepatch_trust::Published;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The catalogue's name in the repository.
pub(crate) const CATALOGUE: &str = "documents/kernel-catalogue.json";
/// The mitigations' name in the repository.
const MITIGATIONS: &str = "documents/mitigations.json";
/// Where the verdicts are in the repository.
const VERDICTS: &str = "documents/verdicts/";

/// A machine fetches its family's file with each change; it must stay small.
const LARGEST_FILE: usize = 64 << 10;

/// What verdicts are made from, beside the register.
#[derive(Clone, Debug)]
pub(crate) struct Knowledge {
    pub(crate) catalogue: Catalogue,
    pub(crate) published: Vec<Published>,
    pub(crate) refusals: Vec<CveRefusal>,
    pub(crate) mitigations: Mitigations,
}

/// The knowledge of now. `catalogue`: another one in the place of the published or built-in one.
pub(crate) async fn knowledge(
    site: &Arc<Site>,
    store: &Store,
    catalogue: Option<&[u8]>,
) -> Result<Knowledge, Refusal> {
    let refusals = store.cve_refusals().await?;
    let mitigations = mitigations(store.mitigations().await?)?;
    let (published, current) = site
        .with_publisher(|publisher| {
            Ok((publisher.published().cloned().collect::<Vec<_>>(), publisher.document(CATALOGUE)?))
        })
        .await?;
    let current = current.as_deref();
    let bytes = catalogue.or(current).unwrap_or(Catalogue::BUILT_IN.as_bytes());
    let catalogue =
        Catalogue::read(bytes).map_err(|error| Refusal::invalid(crate::refusal::chain(&error)))?;
    Ok(Knowledge { catalogue, published, refusals, mitigations })
}

/// The document of what is issued.
pub(crate) fn mitigations(issued: Vec<MitigationView>) -> Result<Mitigations, Refusal> {
    let read = issued.into_iter().map(|view| serde_json::from_value(view.mitigation));
    let read =
        read.collect::<Result<_, _>>().map_err(|error: serde_json::Error| Refusal::internal(&error))?;
    Mitigations::new(read).map_err(|error| Refusal::internal(&error))
}

/// The kernel catalogue that counts.
pub(crate) async fn catalogue(site: &Arc<Site>) -> Result<Catalogue, Refusal> {
    let current = site.with_publisher(|publisher| Ok(publisher.document(CATALOGUE)?)).await?;
    let bytes = current.as_deref().unwrap_or(Catalogue::BUILT_IN.as_bytes());
    Catalogue::read(bytes).map_err(|error| Refusal::internal(&error))
}

/// An engine for the builds of the catalogue and these vulnerabilities.
pub(crate) fn engine(knowledge: &Knowledge, exposures: Vec<Exposure>) -> Engine {
    let mut engine = Engine::new(builds(knowledge), exposures);
    for refusal in &knowledge.refusals {
        let (Ok(cve), Ok(family)) = (refusal.cve.parse::<CveId>(), refusal.family.parse::<Family>()) else {
            continue;
        };
        let Some(number) = engine.family(&family) else { continue };
        engine.refuse(cve, number, refusal.code.as_str().into());
        if let Some(mitigation) = &refusal.mitigation {
            engine.mitigate(cve, Some(number), mitigation.as_str().into());
        }
    }
    for mitigation in &knowledge.mitigations.mitigations {
        let families = mitigation.families.iter().filter_map(|family| family.parse::<Family>().ok());
        let numbers: Vec<_> = families.filter_map(|family| engine.family(&family)).collect();
        for (cve, number) in
            mitigation.cves.iter().flat_map(|cve| numbers.iter().map(move |number| (cve, number)))
        {
            engine.mitigate(*cve, Some(*number), mitigation.name.as_str().into());
        }
    }
    engine
}

/// Every build of the catalogue, once, with what livepatches for it mend.
fn builds(knowledge: &Knowledge) -> Vec<KernelBuild> {
    let mut seen = BTreeSet::new();
    let mut builds = Vec::new();
    for (_, kernels, build, _) in knowledge.catalogue.windows() {
        for flavour in &kernels.flavours {
            let name = flavour_name(flavour, &kernels.architecture);
            let family = family(kernels, flavour);
            let key = (family.to_string(), build.version.to_string(), name, &kernels.architecture);
            if seen.insert(key) {
                builds.push(KernelBuild {
                    flavour: name.into(),
                    architecture: kernels.architecture.as_str().into(),
                    livepatched: livepatched(knowledge, build, flavour),
                    ..KernelBuild::new(family, build.version.clone())
                });
            }
        }
    }
    builds
}

/// The family of a flavour's kernels.
pub(crate) fn family(kernels: &Kernels, flavour: &str) -> Family {
    Family {
        distribution: kernels.distribution,
        release: kernels.code_name.as_str().into(),
        package: kernels.package(flavour).as_str().into(),
    }
}

/// The published verdicts for a kernel, as a machine that runs it reads them: none when the catalogue does not know it, or
/// nothing is published for its family.
pub(crate) async fn of_kernel(
    site: &Arc<Site>,
    release: &KernelRelease,
) -> Result<Vec<(CveId, Verdict)>, Refusal> {
    let catalogue = catalogue(site).await?;
    let Some((family, version, flavour, architecture)) = release_of(&catalogue, release) else {
        return Ok(Vec::new());
    };
    let document = format!("{VERDICTS}{family}.olpv");
    let bytes = site.with_publisher(move |publisher| Ok(publisher.document(&document)?)).await?;
    let Some(bytes) = bytes else { return Ok(Vec::new()) };
    let file = VerdictFile::decode(&bytes).map_err(|error| Refusal::internal(&error))?;
    let Some(build) = file.build(&version, &flavour, &architecture) else { return Ok(Vec::new()) };
    Ok(file.of_build(build).map(|(cve, verdict)| (cve, verdict.clone())).collect())
}

/// The build that a running kernel is of, as verdicts know it: family, version, flavour, architecture.
pub(super) fn release_of(
    catalogue: &Catalogue,
    release: &KernelRelease,
) -> Option<(Family, PackageVersion, String, String)> {
    catalogue.windows().find_map(|(_, kernels, build, _)| {
        let rest = release.as_str().strip_prefix(build.kernel.as_deref()?)?.strip_prefix('-')?;
        let flavour = kernels.flavours.get(rest)?;
        let name = flavour_name(flavour, &kernels.architecture).to_owned();
        Some((family(kernels, flavour), build.version.clone(), name, kernels.architecture.clone()))
    })
}

/// What livepatches mend in a build: each vulnerability with the first version that does.
fn livepatched(knowledge: &Knowledge, build: &CatalogueBuild, flavour: &str) -> BTreeMap<CveId, u32> {
    let Some(kernel) = &build.kernel else { return BTreeMap::new() };
    let release = format!("{kernel}-{flavour}");
    let mut first: BTreeMap<CveId, u32> = BTreeMap::new();
    let here = knowledge.published.iter().map(|entry| &entry.manifest);
    for manifest in here.filter(|manifest| manifest.kernel.release.as_str() == release) {
        for cve in manifest.fixes.iter().filter_map(|fix| fix.id.parse().ok()) {
            let version = first.entry(cve).or_insert(manifest.version);
            *version = (*version).min(manifest.version);
        }
    }
    first
}

/// Each family with its file.
fn files(register: &Register, knowledge: &Knowledge) -> Vec<(String, VerdictFile)> {
    let engine = engine(knowledge, register.records().map(Exposure::from_record).collect());
    let verdicts = engine.verdicts();
    let of_family = |(family, range): (&Family, std::ops::Range<usize>)| {
        let builds = engine.builds().get(range.clone()).unwrap_or_default();
        let builds = builds.iter().map(FileBuild::from).collect();
        (format!("{VERDICTS}{family}.olpv"), VerdictFile::new(family, builds, range, &verdicts))
    };
    engine.families().map(of_family).collect()
}

/// Signs the verdicts of now, where they differ from what is published.
pub(crate) async fn publish(
    site: &Arc<Site>,
    catalogue: Option<Vec<u8>>,
) -> Result<VerdictsPublished, Refusal> {
    let store = site.database.store().await?;
    let knowledge = knowledge(site, store, catalogue.as_deref()).await?;
    let (files, _) = site.cves.with(store, |register| files(register, &knowledge)).await?;
    let mut documents = Vec::new();
    let mut families = Vec::new();
    for (name, file) in files {
        let bytes = file.encode();
        if bytes.len() > LARGEST_FILE {
            return Err(Refusal::conflict(format!(
                "the verdicts of {} take {} bytes, more than the {LARGEST_FILE} that a machine should fetch; take old builds \
                 out of the catalogue",
                file.family,
                bytes.len()
            )));
        }
        families.push(FamilyVerdicts {
            family: file.family.clone(),
            document: name.clone(),
            builds: file.builds.len(),
            cves: file.cves().len(),
            bytes: bytes.len(),
        });
        documents.push((name, bytes));
    }
    documents.extend(catalogue.map(|bytes| (CATALOGUE.to_owned(), bytes)));
    let mitigations = knowledge.mitigations.write().map_err(|error| Refusal::internal(&error))?;
    documents.push((MITIGATIONS.to_owned(), mitigations));
    let (targets_version, changed) = bring_out(site, documents).await?;
    Ok(VerdictsPublished { families, targets_version, changed })
}

/// Signs these documents in the place of all verdicts; nothing when they are published as they are.
async fn bring_out(site: &Arc<Site>, documents: Vec<(String, Vec<u8>)>) -> Result<(u64, bool), Refusal> {
    site.with_publisher(move |publisher| {
        let known: BTreeMap<String, Digest> =
            publisher.documents().map(|one| (one.name.clone(), one.sha256.clone())).collect();
        let mut changed = false;
        for (name, bytes) in &documents {
            if known.get(name) != Some(&Digest::of(bytes)) {
                publisher.stage_document(name, bytes)?;
                changed = true;
            }
        }
        let gone = known
            .keys()
            .filter(|name| name.starts_with(VERDICTS) && !documents.iter().any(|(own, _)| own == *name));
        for name in gone {
            changed |= publisher.remove_document(name);
        }
        if changed {
            publisher.commit(clock::now())?;
        }
        Ok((publisher.versions().targets, changed))
    })
    .await
}

/// Brings the clocks up to what was just published, and the verdicts on a site that publishes verdicts. What was published stands
/// whatever comes of this; the log says why verdicts stayed behind.
pub(crate) async fn follow(site: &Arc<Site>) {
    site.clocks.forget().await;
    let has_verdicts = site
        .with_publisher(|publisher| Ok(publisher.documents().any(|one| one.name.starts_with(VERDICTS))))
        .await;
    if matches!(has_verdicts, Ok(true))
        && let Err(refusal) = publish(site, None).await
    {
        tracing::warn!(?refusal, "the verdicts do not know what was just published");
    }
}
