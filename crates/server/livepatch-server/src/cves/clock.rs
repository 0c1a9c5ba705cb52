//! The clocks of vulnerabilities, from records, mitigations, published livepatches and what machines reported.

use super::{Knowledge, detail::title, engine, knowledge, verdicts::release_of};
use crate::{clock, refusal::Refusal, site::Site};
use livepatch_api::{ClockStep, CveClock};
use livepatch_cve::{
    Arrival, Clock, CveId, LivepatchPolicy, Mitigation,
    record::CveRecord,
    verdict::{Engine, Exposure, KernelBuild},
};
use livepatch_kernel::{BuildId, KernelRelease};
use livepatch_store::{HadVersion, ProtectionTime, Seconds, Store, moment};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// Clocks that are older are read anew: they count hours, and many readers ask.
const FRESH: Duration = Duration::from_secs(20);

/// Several servers on one database: what one of them stores in its transaction may be seen so many seconds later.
const OVERLAP: Seconds = 120;

/// The clocks as somebody read them a moment ago, newest vulnerability first.
#[derive(Debug, Default)]
pub(crate) struct Clocks {
    lately: Mutex<Lately>,
}

#[derive(Debug, Default)]
struct Lately {
    clocks: Option<(Instant, Arc<Vec<CveClock>>)>,
    times: Times,
}

/// When machines came to their versions; what was read once is only read again where it changed.
#[derive(Debug, Default)]
struct Times {
    read_at: Seconds,
    by_build: HashMap<BuildId, BTreeMap<(u32, u32, i64), ProtectionTime>>,
}

impl Times {
    async fn read_on(&mut self, store: &Store) -> Result<(), Refusal> {
        let now = clock::seconds();
        for time in store.protection_times(self.read_at - OVERLAP).await? {
            let of_build = self.by_build.entry(time.build_id.clone()).or_default();
            of_build.insert((time.above, time.version, time.span), time);
        }
        self.read_at = now;
        Ok(())
    }
}

impl Clocks {
    /// Has the clocks read anew: something was published.
    pub(crate) async fn forget(&self) {
        self.lately.lock().await.clocks = None;
    }

    /// The clocks of now, or of a moment ago.
    pub(crate) async fn read(&self, site: &Arc<Site>) -> Result<Arc<Vec<CveClock>>, Refusal> {
        // Whoever comes while they are read waits for the same answer.
        let mut lately = self.lately.lock().await;
        if let Some((at, clocks)) = lately.clocks.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(clocks));
        }
        let clocks = Arc::new(read(site, &mut lately.times).await?);
        lately.clocks = Some((Instant::now(), Arc::clone(&clocks)));
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

async fn read(site: &Arc<Site>, times: &mut Times) -> Result<Vec<CveClock>, Refusal> {
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
    times.read_on(store).await?;
    let had = store.had_versions().await?;
    let works = Works { knowledge, mitigations, remedies, news };
    // Verdicts for many vulnerabilities and kernels take a while.
    Ok(tokio::task::block_in_place(|| works.clocks(had, times)))
}

/// What was done about vulnerabilities, and what is known of them.
struct Works {
    knowledge: Knowledge,
    mitigations: BTreeMap<CveId, Seconds>,
    remedies: BTreeMap<CveId, (Remedies, Option<Seconds>)>,
    news: BTreeMap<CveId, News>,
}

impl Works {
    /// Newest vulnerability first.
    fn clocks(&self, had: Vec<HadVersion>, times: &Times) -> Vec<CveClock> {
        let exposures = self.news.values().map(|news| news.exposure.clone()).collect();
        let fleet = Fleet { engine: engine(&self.knowledge, exposures), had, times };
        let builds = fleet.builds(&self.knowledge);
        let mut counted = HashMap::new();
        let known = self.news.keys().chain(self.remedies.keys()).chain(self.mitigations.keys());
        let ids: BTreeSet<CveId> = known.copied().collect();
        let clocks = ids.into_iter().rev().filter_map(|cve| {
            let (here, nowhere) = (self.remedies.get(&cve), Remedies::new());
            let mends = here.map_or(&nowhere, |(remedies, _)| remedies);
            let (arrivals, late) = counted.entry(mends.clone()).or_insert_with(|| fleet.count(mends));
            let exposed = fleet.exposed(cve, mends, &builds);
            let livepatch = here.and_then(|(_, published)| *published);
            let mitigation = self.mitigations.get(&cve).copied();
            let news = self.news.get(&cve);
            let public = news.and_then(|news| news.public);
            let clock = Clock { public, mitigation, livepatch, ..Clock::default() };
            // A vulnerability that concerns no machine, and about which nothing was done, has no clock.
            let concerns = here.is_some() || mitigation.is_some() || exposed > 0;
            concerns.then(|| wire(cve, news, &clock.with_machines(arrivals.clone(), *late + exposed)))
        });
        clocks.collect()
    }
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

/// The machines, as the database counts them.
struct Fleet<'a> {
    engine: Engine,
    had: Vec<HadVersion>,
    times: &'a Times,
}

impl Fleet<'_> {
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
            let times = self.times.by_build.get(build).into_iter().flat_map(BTreeMap::values).filter(crossed);
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
