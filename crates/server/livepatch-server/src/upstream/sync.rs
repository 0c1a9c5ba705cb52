//! One sync with an upstream: load and verify, choose, fetch what is missing, bring out as one new state.
//!
//! Modules go into the repository's directory as they come, where nothing names them before the end; a sync that breaks
//! off goes on from there. What the upstream denies is denied here, as far as it is the upstream's.

use super::{
    Upstream,
    choose::{Choice, choose, skipped},
    fetch::HttpFetch,
    upstreams,
};
use crate::{blocks, clock, publish, refusal::Refusal, site::Site};
use livepatch_api::{ErrorCode, Skip, SyncReport, TakenLivepatch, paths};
use livepatch_manifest::Digest;
use livepatch_schedule::key_of;
use livepatch_trust::{
    Bundle, DirectoryFetch, Fetch, Files, LoadRequest, Origin, Published, Repository, Signed, TrustError,
    TrustedRoot, has_module, keep_module, pass_root_on,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use url::Url;

/// How often to look whether an upstream is due.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Where the upstream's files come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// Its server.
    Network,
    /// A bundle that was unpacked there.
    Bundle { directory: TempDir, description: Signed<Bundle> },
}

/// What was loaded, and where it is remembered once all went well.
struct Loaded {
    repository: Repository,
    origins: Vec<Origin>,
    bundle: Option<Bundle>,
    /// A bundle's memory, which counts only when the import succeeds: a bundle that misses its base must not make the
    /// base look old.
    memory: Option<TempDir>,
}

/// Does it, or says what would be done. Also when nobody waits for the answer any more.
pub(crate) async fn sync(
    site: &Arc<Site>,
    upstream: Upstream,
    source: Source,
    preview: bool,
) -> Result<(SyncReport, Option<Bundle>), Refusal> {
    let working = Arc::clone(site);
    let task = tokio::spawn(async move {
        let _turn = working.syncs.lock().await;
        let name = upstream.name.clone();
        let outcome = run(&working, upstream, source, preview).await;
        if !preview {
            let failure = outcome.as_ref().err().map(Refusal::message);
            let store = working.database.store().await?;
            store.note_sync(&name, failure, clock::seconds()).await?;
        }
        outcome
    });
    task.await.map_err(|error| Refusal::internal(&error))?
}

/// Syncs each upstream when it is due, until the task is dropped.
pub(crate) async fn keep_synced(site: Arc<Site>) {
    let mut turns = tokio::time::interval(LOOK_EVERY);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        if !site.leader.leads() {
            continue;
        }
        let Ok(store) = site.database.store().await else { continue };
        let Ok(all) = upstreams(store).await else { continue };
        for upstream in all.into_iter().filter(|upstream| upstream.is_due(clock::seconds())) {
            let name = upstream.name.clone();
            match sync(&site, upstream, Source::Network, false).await {
                Ok((report, _)) => {
                    tracing::info!(upstream = name, taken = report.taken.len(), "synced");
                }
                Err(refusal) => tracing::warn!(upstream = name, reason = refusal.message(), "cannot sync"),
            }
        }
    }
}

async fn run(
    site: &Arc<Site>,
    upstream: Upstream,
    source: Source,
    preview: bool,
) -> Result<(SyncReport, Option<Bundle>), Refusal> {
    let ours =
        site.with_publisher(|publisher| Ok(publisher.published().cloned().collect::<Vec<_>>())).await?;
    let tiers = match &upstream.into {
        Some(tier) => publish::known_tier(&site.tiers().await?, tier)?.to_vec(),
        None => Vec::new(),
    };
    let working = Arc::clone(site);
    let gathering = tokio::task::spawn_blocking(move || {
        let loaded = load(&working, &upstream, &source)?;
        gather(&*working.files, &upstream, loaded, &ours, &tiers, preview)
    });
    let gathered = gathering.await.map_err(|error| Refusal::internal(&error))??;
    if preview {
        return Ok((gathered.report, gathered.loaded.bundle));
    }
    bring_out(site, gathered).await
}

fn load(site: &Site, upstream: &Upstream, source: &Source) -> Result<Loaded, Refusal> {
    let place = site.settings.data.join("upstreams").join(&upstream.name);
    let distrusted = |error: TrustError| distrust(upstream, &error);
    let (metadata_url, targets_url, fetch): (Url, Url, Arc<dyn Fetch>) = match source {
        Source::Network => {
            let url = upstream.url.as_ref().ok_or_else(|| {
                Refusal::conflict(format!("{} has no URL: import its bundles", upstream.name))
            })?;
            let at = |path: &str| format!("{}{path}", url.as_str().trim_end_matches('/')).parse::<Url>();
            let wrong = |error: url::ParseError| Refusal::internal(&error);
            (
                at(paths::METADATA).map_err(wrong)?,
                at(paths::TARGETS).map_err(wrong)?,
                Arc::new(HttpFetch::new()),
            )
        }
        Source::Bundle { directory, .. } => {
            let at = |part: &str| {
                Url::from_file_path(directory.path().join(part)).map_err(|()| {
                    Refusal::internal(&io::Error::other("the data directory has no absolute path"))
                })
            };
            (at("metadata")?, at("targets")?, Arc::new(DirectoryFetch))
        }
    };
    let root = upstream.anchor.tuf_root.as_bytes();
    let request = |datastore| LoadRequest {
        root,
        metadata_url: metadata_url.clone(),
        targets_url: targets_url.clone(),
        datastore,
        fetch: Arc::clone(&fetch),
    };
    let (repository, bundle, memory) = match source {
        Source::Network => (Repository::load(request(&place)).map_err(distrusted)?, None, None),
        Source::Bundle { description, .. } => {
            let memory = copy_memory(site, &place).map_err(|error| Refusal::internal(&error))?;
            let loaded = Repository::load_bundle(request(memory.path()), description, clock::now());
            let (repository, bundle) = loaded.map_err(distrusted)?;
            (repository, Some(bundle), Some(memory))
        }
    };
    let origins = origins(site, upstream, &repository, fetch.as_ref(), &metadata_url).map_err(distrusted)?;
    Ok(Loaded { repository, origins, bundle, memory })
}

/// The sites that the upstream's livepatches may come from, with their newest roots, which are served here from now on.
fn origins(
    site: &Site,
    upstream: &Upstream,
    repository: &Repository,
    fetch: &dyn Fetch,
    metadata_url: &Url,
) -> Result<Vec<Origin>, TrustError> {
    let serve = |id: &Digest, root: &TrustedRoot, document: &[u8]| {
        pass_root_on(&*site.files, id, root.version(), document)
            .map_err(|error| TrustError::Other { reason: error.to_string() })
    };
    let own = upstream.own();
    let mut metadata = metadata_url.clone();
    metadata.set_path(&format!("{}/", metadata_url.path().trim_end_matches('/')));
    TrustedRoot::parse(&own.root)?
        .newest(fetch, &metadata, &mut |root, bytes| serve(&own.id, root, bytes))?;
    let own = Origin { id: own.id, root: repository.root().clone(), certificates: own.certificates };
    let mut origins = vec![own];
    for pinned in upstream.others() {
        origins.push(repository.origin(&pinned, &mut |root, bytes| serve(&pinned.id, root, bytes))?);
    }
    Ok(origins)
}

/// What a sync is about to bring out.
struct Gathered {
    loaded: Loaded,
    upstream: Upstream,
    report: SyncReport,
    /// Livepatches with the sites that published them.
    new: Vec<(Published, Digest)>,
    renewed: Vec<(Published, Digest)>,
    tiers: Vec<String>,
    denied: Vec<String>,
}

fn gather(
    repository: &dyn Files,
    upstream: &Upstream,
    loaded: Loaded,
    ours: &[Published],
    tiers: &[String],
    preview: bool,
) -> Result<Gathered, Refusal> {
    let there = &loaded.repository;
    let mut report = SyncReport {
        upstream: upstream.name.clone(),
        preview,
        targets_version: there.versions().targets,
        taken: Vec::new(),
        present: 0,
        skipped: Vec::new(),
        denied: Vec::new(),
        bytes: 0,
    };
    for unreadable in there.skipped() {
        report.skipped.push(skipped(&unreadable.target, Skip::Unreadable, unreadable.reason.clone()));
    }
    let (mut new, mut renewed) = (Vec::new(), Vec::new());
    for livepatch in there.livepatches() {
        match choose(livepatch, upstream, there.steering(), &loaded.origins, ours) {
            Choice::Present => report.present += 1,
            Choice::Renew(site) => {
                report.present += 1;
                renewed.push((livepatch.clone(), site));
            }
            Choice::Skip(reason, message) => {
                report.skipped.push(skipped(&livepatch.target, reason, message));
            }
            Choice::Take(site) => {
                let missing = !has_module(repository, livepatch);
                if missing && !preview {
                    match fetch(repository, upstream, &loaded, livepatch)? {
                        Ok(()) => {}
                        Err(message) => {
                            report.skipped.push(skipped(&livepatch.target, Skip::ModuleRefused, message));
                            continue;
                        }
                    }
                }
                report.bytes += if missing { livepatch.length } else { 0 };
                report.taken.push(taken(livepatch, &site, tiers));
                new.push((livepatch.clone(), site));
            }
        }
    }
    let ids: Vec<_> = loaded.origins.iter().map(|origin| &origin.id).collect();
    let theirs = ours.iter().filter(|own| own.origin.as_ref().is_some_and(|origin| ids.contains(&origin)));
    let withdrawn: Vec<_> = theirs.filter(|own| there.steering().withdraws(&own.sha256)).collect();
    let denied = withdrawn.iter().map(|own| key_of(&own.sha256)).collect();
    report.denied = withdrawn.iter().map(|own| own.manifest.name.clone()).collect();
    report.taken.sort_by(|one, other| one.name.cmp(&other.name));
    report.skipped.sort_by(|one, other| one.target.cmp(&other.target));
    Ok(Gathered { loaded, upstream: upstream.clone(), report, new, renewed, tiers: tiers.to_vec(), denied })
}

/// Fetches a module and looks at it; the inner error says why it is not taken.
fn fetch(
    repository: &dyn Files,
    upstream: &Upstream,
    loaded: &Loaded,
    livepatch: &Published,
) -> Result<Result<(), String>, Refusal> {
    let module = match loaded.repository.module(livepatch) {
        Ok(module) => module,
        Err(TrustError::TargetMissing { name }) if loaded.bundle.is_some() => {
            let base = loaded.bundle.as_ref().and_then(|bundle| bundle.since).unwrap_or_default();
            return Err(Refusal::conflict(format!(
                "the bundle does not hold {name}, and it is not here: import the bundle of version {base} first, or a full one"
            )));
        }
        Err(error @ (TrustError::TargetMissing { .. } | TrustError::TargetAltered { .. })) => {
            return Ok(Err(error.to_string()));
        }
        Err(error) => return Err(distrust(upstream, &error)),
    };
    if let Err(refusal) = publish::check_module(&module, &livepatch.manifest, &upstream.certificates) {
        return Ok(Err(refusal.message().to_owned()));
    }
    keep_module(repository, livepatch, &module)?;
    Ok(Ok(()))
}

async fn bring_out(site: &Arc<Site>, gathered: Gathered) -> Result<(SyncReport, Option<Bundle>), Refusal> {
    let Gathered { loaded, upstream, report, new, renewed, tiers, denied } = gathered;
    let blocks = blocks::holding(site).await?;
    site.with_publisher(move |publisher| {
        let coming: Vec<_> =
            new.iter().map(|(livepatch, _)| (&livepatch.manifest, &livepatch.sha256)).collect();
        blocks::steer(publisher, &blocks, &coming)?;
        for (livepatch, origin) in &new {
            publisher.pass_on(livepatch, origin, &tiers)?;
        }
        for (livepatch, origin) in &renewed {
            let entry = publisher.published().find(|entry| entry.manifest.name == livepatch.manifest.name);
            let tiers = entry.map(|entry| entry.tiers.clone()).unwrap_or_default();
            publisher.pass_on(livepatch, origin, &tiers)?;
        }
        if !new.is_empty() || !renewed.is_empty() {
            publisher.commit(clock::now())?;
        }
        let mut steering = publisher.steering().clone();
        steering.denied.extend(denied);
        publisher.steer(&steering, clock::now())?;
        Ok(())
    })
    .await?;
    if let Some(memory) = &loaded.memory {
        let place = site.settings.data.join("upstreams").join(&upstream.name);
        copy_files(memory.path(), &place).map_err(|error| Refusal::internal(&error))?;
    }
    Ok((report, loaded.bundle))
}

fn taken(livepatch: &Published, site: &Digest, tiers: &[String]) -> TakenLivepatch {
    let manifest = &livepatch.manifest;
    TakenLivepatch {
        name: manifest.name.clone(),
        version: manifest.version,
        kernel: manifest.kernel.release.clone(),
        bytes: livepatch.length,
        fixes: manifest.fixes.iter().map(|fix| fix.id.clone()).collect(),
        site: site.clone(),
        tiers: tiers.to_vec(),
    }
}

/// What is wrong with the upstream, for its operator's neighbour.
fn distrust(upstream: &Upstream, error: &TrustError) -> Refusal {
    let advice = match error {
        TrustError::RolledBack { .. } => "; older than what was taken in before, so it is refused",
        TrustError::Expired { role: livepatch_trust::Role::Snapshot } => {
            "; ask for a new bundle, or a new state"
        }
        _ => "",
    };
    Refusal::new(ErrorCode::Conflict, format!("{} [{}]: {error}{advice}", upstream.name, error.code()))
}

fn copy_memory(site: &Site, place: &Path) -> io::Result<TempDir> {
    let copy = tempfile::Builder::new().prefix(".memory-").tempdir_in(&site.settings.data)?;
    if place.is_dir() {
        copy_files(place, copy.path())?;
    }
    Ok(copy)
}

/// The files of a directory, each whole or as it was.
fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path: PathBuf = entry?.path();
        if let (true, Some(name)) = (path.is_file(), path.file_name()) {
            let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(to)?;
            io::copy(&mut fs::File::open(&path)?, &mut file)?;
            file.as_file().sync_all()?;
            file.persist(to.join(name)).map_err(|refused| refused.error)?;
        }
    }
    Ok(())
}
