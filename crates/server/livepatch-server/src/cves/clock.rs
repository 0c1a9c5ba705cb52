//! The clocks of vulnerabilities, from records, mitigations, published livepatches and what machines reported.

use super::{Knowledge, detail::title, engine, knowledge, verdicts::release_of};
use crate::{refusal::Refusal, site::Site};
use livepatch_api::{ClockStep, CveClock};
use livepatch_cve::{
    Arrival, Clock, CveId, LivepatchPolicy, Mitigation,
    record::CveRecord,
    verdict::{Engine, Exposure, KernelBuild},
};
use livepatch_kernel::{BuildId, KernelRelease};
use livepatch_store::{HadVersion, ProtectionTime, Seconds, Store, moment};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// Clocks that are older are read anew: they count hours, and many readers ask.
const FRESH: Duration = Duration::from_secs(20);

/// The clocks as somebody read them a moment ago, newest vulnerability first.
#[derive(Debug, Default)]
pub(crate) struct Clocks {
    lately: Mutex<Option<(Instant, Arc<Vec<CveClock>>)>>,
}

impl Clocks {
    /// The clocks of now, or of a moment ago.
    pub(crate) async fn read(&self, site: &Arc<Site>) -> Result<Arc<Vec<CveClock>>, Refusal> {
        // Whoever comes while they are read waits for the same answer.
        let mut lately = self.lately.lock().await;
        if let Some((at, clocks)) = lately.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(clocks));
        }
        let clocks = Arc::new(read(site).await?);
        *lately = Some((Instant::now(), Arc::clone(&clocks)));
        Ok(clocks)
    }
}

/// What a record says that a clock needs.
struct News {
    public: Option<Seconds>,
    title: String,
    priority: Option<String>,
    exposure: Exposure,
}

/// Where a vulnerability is mended: by kernel build the first version that does.
type Remedies = BTreeMap<BuildId, u32>;

async fn read(site: &Arc<Site>) -> Result<Vec<CveClock>, Refusal> {
    let store = site.database.store().await?;
    let knowledge = knowledge(site, store, None).await?;
    let mitigations = mitigations(store).await?;
    let remedies = remedies(&knowledge);
    let policy = LivepatchPolicy::default();
    let wanted = |record: &CveRecord| {
        let priority = record.rating.value().map(|rating| rating.priority);
        let is_known = remedies.contains_key(&record.id) || mitigations.contains_key(&record.id);
        !record.is_void() && (is_known || policy.covers(record.id, priority))
    };
    let (news, _) = site
        .cves
        .with(store, |register| {
            let records = register.records().filter(|record| wanted(record));
            records.map(|record| (record.id, news(record))).collect::<BTreeMap<_, _>>()
        })
        .await?;
    let exposures = news.values().map(|news| news.exposure.clone()).collect();
    let fleet = Fleet {
        engine: engine(&knowledge, exposures),
        had: store.had_versions().await?,
        times: by_build(store.protection_times().await?),
    };
    let builds = fleet.builds(&knowledge);
    let mut counted = HashMap::new();
    let mut ids: Vec<CveId> = news.keys().chain(remedies.keys()).chain(mitigations.keys()).copied().collect();
    ids.sort_unstable_by(|one, other| other.cmp(one));
    ids.dedup();
    let clocks = ids.into_iter().filter_map(|cve| {
        let (here, nowhere) = (remedies.get(&cve), Remedies::new());
        let mends = here.map_or(&nowhere, |(remedies, _)| remedies);
        let (arrivals, late) = counted.entry(mends.clone()).or_insert_with(|| fleet.count(mends));
        let exposed = fleet.exposed(cve, mends, &builds);
        let livepatch = here.and_then(|(_, published)| *published);
        let mitigation = mitigations.get(&cve).copied();
        let news = news.get(&cve);
        // A vulnerability that concerns no machine, and about which nothing was done, has no clock.
        let concerns = here.is_some() || mitigation.is_some() || exposed > 0;
        let clock =
            Clock { public: news.and_then(|news| news.public), mitigation, livepatch, ..Clock::default() };
        concerns.then(|| wire(cve, news, &clock.with_machines(arrivals.clone(), *late + exposed)))
    });
    Ok(clocks.collect())
}

fn news(record: &CveRecord) -> News {
    News {
        public: record.published.value().map(|published| published.as_second()),
        title: title(record),
        priority: record.rating.value().map(|rating| rating.priority.word().to_owned()),
        exposure: Exposure::from_record(record),
    }
}

/// When a mitigation was first issued: those of now count as well, for they may be older than the list of the first ones.
async fn mitigations(store: &Store) -> Result<BTreeMap<CveId, Seconds>, Refusal> {
    let mut first = BTreeMap::new();
    let mut note = |cve: CveId, at: Seconds| {
        let known = first.entry(cve).or_insert(at);
        *known = (*known).min(at);
    };
    for (cve, at) in store.first_mitigations().await? {
        if let Ok(cve) = cve.parse() {
            note(cve, at);
        }
    }
    for view in store.mitigations().await? {
        let mitigation: Mitigation =
            serde_json::from_value(view.mitigation).map_err(|error| Refusal::internal(&error))?;
        mitigation.cves.iter().for_each(|cve| note(*cve, view.issued_at));
    }
    Ok(first)
}

/// What published livepatches mend, and when the first of them came.
fn remedies(knowledge: &Knowledge) -> BTreeMap<CveId, (Remedies, Option<Seconds>)> {
    let mut found: BTreeMap<CveId, (Remedies, Option<Seconds>)> = BTreeMap::new();
    for entry in &knowledge.published {
        let manifest = &entry.manifest;
        for cve in manifest.fixes.iter().filter_map(|fix| fix.id.parse().ok()) {
            let (remedies, published) = found.entry(cve).or_default();
            let version = remedies.entry(manifest.kernel.build_id.clone()).or_insert(manifest.version);
            *version = (*version).min(manifest.version);
            *published = match (*published, entry.published_at) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
    }
    found
}

fn by_build(times: Vec<ProtectionTime>) -> HashMap<BuildId, Vec<ProtectionTime>> {
    let mut found: HashMap<BuildId, Vec<ProtectionTime>> = HashMap::new();
    for time in times {
        found.entry(time.build_id.clone()).or_default().push(time);
    }
    found
}

/// The machines, as the database counts them.
struct Fleet {
    engine: Engine,
    had: Vec<HadVersion>,
    times: HashMap<BuildId, Vec<ProtectionTime>>,
}

impl Fleet {
    /// The builds of the catalogue that machines run.
    fn builds(&self, knowledge: &Knowledge) -> HashMap<KernelRelease, KernelBuild> {
        let known = |had: &HadVersion| {
            let (family, version, flavour, architecture) = release_of(&knowledge.catalogue, &had.release)?;
            let build = self.engine.builds().iter().find(|build| {
                build.family == family
                    && build.version == version
                    && *build.flavour == flavour
                    && *build.architecture == architecture
            })?;
            Some((had.release.clone(), build.clone()))
        };
        self.had.iter().filter_map(known).collect()
    }

    /// Machines that got what mends a vulnerability, and how many with the same kernels did not.
    fn count(&self, remedies: &Remedies) -> (Vec<Arrival>, u64) {
        let mut arrivals = Vec::new();
        for (build, version) in remedies {
            let crossed = |time: &&ProtectionTime| time.above < *version && *version <= time.version;
            let times = self.times.get(build).into_iter().flatten().filter(crossed);
            arrivals.extend(times.map(|time| Arrival {
                first: time.first,
                last: time.last,
                machines: time.machines,
            }));
        }
        let waits =
            |had: &&HadVersion| remedies.get(&had.build_id).is_some_and(|version| had.version < *version);
        (arrivals, self.had.iter().filter(waits).map(|had| u64::from(had.machines)).sum())
    }

    /// Machines whose kernel has the vulnerability, and no livepatch that mends it.
    fn exposed(&self, cve: CveId, remedies: &Remedies, builds: &HashMap<KernelRelease, KernelBuild>) -> u64 {
        let has_it = |had: &&HadVersion| {
            let build = builds.get(&had.release).filter(|_| !remedies.contains_key(&had.build_id));
            let verdict = build.and_then(|build| self.engine.verdict(cve, build));
            verdict.is_some_and(|verdict| !verdict.is_safe())
        };
        self.had.iter().filter(has_it).map(|had| u64::from(had.machines)).sum()
    }
}

fn wire(cve: CveId, news: Option<&News>, clock: &Clock) -> CveClock {
    let step = |at: Option<Seconds>| {
        let at = at?;
        Some(ClockStep { at: moment(at)?, after: clock.public.map(|public| at.saturating_sub(public)) })
    };
    let [half, most, nearly_all] = clock.shares;
    CveClock {
        cve: cve.to_string(),
        title: news.map(|news| news.title.clone()).unwrap_or_default(),
        priority: news.and_then(|news| news.priority.clone()),
        public: clock.public.and_then(moment),
        mitigation: step(clock.mitigation),
        livepatch: step(clock.livepatch),
        first_machine: step(clock.first_machine),
        machines_50: step(half),
        machines_95: step(most),
        machines_99: step(nearly_all),
        protected_percent: clock.percent(),
    }
}
