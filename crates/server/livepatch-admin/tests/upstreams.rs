//! What other sites published, through the real programs: a chain of three servers, and an air gap.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_api::{
    AnchorView, BundleImported, EnrolmentToken, LivepatchSummary, Skip, SyncReport, TrustAnchor,
    UpstreamSummary, paths,
};
use livepatch_manifest::{Digest, Fix};
use livepatch_module::Certificate;
use livepatch_trust::{
    Fetch, FetchError, Lifetimes, LoadRequest, PinnedOrigin, Published, Publisher, Repository,
};
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};
use support::{KEY, RELEASE, Site, compile, describe};
use url::Url;

const OTHER_RELEASE: &str = "6.12.0-3-amd64";

fn name(release: &str, version: u32) -> String {
    format!("livepatch_{}_{version}", release.replace(|c: char| !c.is_ascii_alphanumeric(), "_"))
}

/// Publishes a livepatch to all tiers, or to the first.
fn publish(site: &Site, release: &str, version: u32, tier: &str) -> String {
    let name = name(release, version);
    let signed = livepatch_module::sign(&compile(&name, release), &KEY).unwrap();
    let manifest = describe(&signed, &name, release, version);
    let (module, description) = (site.path(&format!("{name}.ko")), site.path(&format!("{name}.json")));
    fs::write(&module, &signed).unwrap();
    fs::write(&description, manifest.to_canonical_bytes().unwrap()).unwrap();
    let (module, description) = (module.to_str().unwrap(), description.to_str().unwrap());
    site.done(&["publish", module, "--manifest", description, "--tier", tier]);
    name
}

/// A site that publishes.
fn origin() -> Site {
    let site = Site::start();
    fs::write(site.path("cert.pem"), KEY.certificate().to_pem()).unwrap();
    site.add_certificate();
    site
}

fn anchor(site: &Site) -> AnchorView {
    site.json(&["trust-anchor"])
}

fn names(site: &Site) -> Vec<String> {
    let list: Vec<LivepatchSummary> = site.json(&["livepatch", "list"]);
    list.into_iter().map(|livepatch| livepatch.manifest.name).collect()
}

fn taken(report: &SyncReport) -> Vec<&str> {
    report.taken.iter().map(|taken| taken.name.as_str()).collect()
}

fn skipped(report: &SyncReport) -> Vec<Skip> {
    report.skipped.iter().map(|skipped| skipped.reason).collect()
}

/// The network side of a machine.
struct Http;

impl Fetch for Http {
    fn fetch(&self, url: &Url, limit: u64) -> Result<Vec<u8>, FetchError> {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let failed = |error: ureq::Error| FetchError::Unreachable(error.to_string());
        let mut response = agent.get(url.as_str()).call().map_err(failed)?;
        match response.status().as_u16() {
            200 => response.body_mut().with_config().limit(limit + 1).read_to_vec().map_err(failed),
            _ => Err(FetchError::NotFound),
        }
    }
}

/// A machine that enrols with this site now: what it pins, and what it finds; as livepatchd does it.
struct Machine {
    anchor: TrustAnchor,
    directory: tempfile::TempDir,
}

impl Machine {
    fn enrol(site: &Site) -> Self {
        let token: EnrolmentToken = site.done(&["token", "create", "--tier", "edge"]).trim().parse().unwrap();
        let url = format!("{}{}/{}", site.url, paths::TRUST, token.trust_anchor).parse().unwrap();
        let bytes = Http.fetch(&url, 1 << 20).unwrap();
        assert_eq!(Digest::of(&bytes), token.trust_anchor);
        Self { anchor: serde_json::from_slice(&bytes).unwrap(), directory: tempfile::tempdir().unwrap() }
    }

    /// The livepatches that it may load.
    fn look(&self, site: &Site) -> (Repository, Vec<Published>) {
        let url = |path: &str| format!("{}{path}", site.url).parse().unwrap();
        let mut repository = Repository::load(LoadRequest {
            root: self.anchor.tuf_root.as_bytes(),
            metadata_url: url(paths::METADATA),
            targets_url: url(paths::TARGETS),
            datastore: self.directory.path(),
            fetch: Arc::new(Http),
        })
        .unwrap();
        let pinned = self.anchor.origins.iter().map(|origin| PinnedOrigin {
            id: origin.site.clone(),
            root: origin.tuf_root.clone().into_bytes(),
            certificates: origin.certificates.clone(),
        });
        let origins = repository.origins(&pinned.collect::<Vec<_>>()).unwrap();
        repository.keep_endorsed(&origins);
        let livepatches: Vec<_> = repository.livepatches().cloned().collect();
        let loadable = livepatches.into_iter().filter(|entry| !repository.steering().denies(&entry.sha256));
        let loadable = loadable.collect();
        (repository, loadable)
    }

    /// The only livepatch that it may load, whose module it fetches and verifies.
    fn take_only(&self, site: &Site) -> (Published, Vec<u8>) {
        let (repository, livepatches) = self.look(site);
        let [livepatch] = livepatches.as_slice() else { panic!("{livepatches:?}") };
        let module = repository.module(livepatch).unwrap();
        let certificates: Vec<_> =
            self.anchor.module_certificates.iter().map(|pem| Certificate::from_pem(pem).unwrap()).collect();
        livepatch_module::verify(&module, &certificates).unwrap();
        (livepatch.clone(), module)
    }
}

#[test]
fn chain_of_three_servers() {
    let (origin, middle, last) = (origin(), Site::start(), Site::start());
    let first = publish(&origin, RELEASE, 1, "stable");
    publish(&origin, OTHER_RELEASE, 1, "stable");
    let pinned = anchor(&origin);

    // The middle pins the origin, selects, previews, and takes.
    let wrong = "0".repeat(64);
    let refused = middle.refused(&["upstream", "add", "origin", "--url", &origin.url, "--anchor", &wrong]);
    assert!(refused.contains("no trust anchor"), "{refused}");
    let add = ["upstream", "add", "origin", "--url", &origin.url, "--anchor", pinned.sha256.as_str()];
    let followed: UpstreamSummary = middle.json(&[&add[..], &["--series", "6.1", "--into", "beta"]].concat());
    assert_eq!(followed.sites, std::slice::from_ref(&pinned.site));
    let preview: SyncReport = middle.json(&["upstream", "preview", "origin"]);
    assert_eq!((taken(&preview), skipped(&preview)), (vec![first.as_str()], vec![Skip::NotSelected]));
    assert!(preview.preview && preview.bytes > 0 && names(&middle).is_empty(), "a preview takes nothing");
    let report: SyncReport = middle.json(&["upstream", "sync", "origin"]);
    assert_eq!((taken(&report), report.taken[0].site.clone()), (vec![first.as_str()], pinned.site.clone()));
    assert_eq!(report.taken[0].tiers, ["edge", "beta"]);
    let again: SyncReport = middle.json(&["sync", "trigger", "origin"]);
    assert_eq!((again.taken.len(), again.present, again.bytes), (0, 1, 0));

    // The last follows the middle, which holds the livepatch back from its stable tier.
    let via = anchor(&middle);
    let add = ["upstream", "add", "middle", "--url", &middle.url, "--anchor", via.sha256.as_str()];
    let followed: UpstreamSummary = last.json(&add);
    assert_eq!(followed.sites, [via.site, pinned.site.clone()]);
    let held: SyncReport = last.json(&["upstream", "sync", "middle"]);
    assert_eq!((taken(&held).len(), skipped(&held)), (0, vec![Skip::OtherTier]));
    middle.done(&["promote", &first, "--to", "stable"]);
    let report: SyncReport = last.json(&["upstream", "sync", "middle"]);
    assert_eq!((taken(&report), &report.taken[0].site), (vec![first.as_str()], &pinned.site));
    assert!(report.taken[0].tiers.is_empty(), "held until somebody promotes it here");
    last.done(&["promote", &first, "--to", "edge"]);

    // A machine of the last server holds it against the first one's keys.
    let machine = Machine::enrol(&last);
    assert_eq!(machine.anchor.origins.len(), 1);
    assert_eq!(machine.anchor.origins[0].site, pinned.site);
    let (livepatch, module) = machine.take_only(&last);
    assert_eq!(module, fs::read(origin.path(&format!("{first}.ko"))).unwrap());
    assert_eq!(livepatch.origin, Some(pinned.site));

    // The origin takes it back: denied down the chain.
    let said = origin.done(&["livepatch", "withdraw", &first, "--reason", "it eats disks"]);
    assert!(said.contains("withdrawn"), "{said}");
    let report: SyncReport = middle.json(&["upstream", "sync", "origin"]);
    assert_eq!((report.denied, machine.look(&last).1.len()), (vec![first.clone()], 1));
    let report: SyncReport = last.json(&["upstream", "sync", "middle"]);
    assert_eq!((report.denied, machine.look(&last).1.len()), (vec![first], 0));
    let list = last.done(&["upstream", "list"]);
    assert!(list.contains("middle") && list.contains("held"), "{list}");
    assert!(last.done(&["upstream", "remove", "middle"]).contains("No upstream"));
}

/// Whoever holds every key of the middle server can hold livepatches back, and alter none.
#[test]
fn a_mirror_that_alters_is_found_out_by_the_next_server_and_by_machines() {
    let (origin, middle) = (origin(), Site::start());
    let first = publish(&origin, RELEASE, 1, "stable");
    let digest = anchor(&origin).sha256;
    let add = ["upstream", "add", "origin", "--url", &origin.url, "--anchor", digest.as_str()];
    middle.done(&[&add[..], &["--into", "stable"]].concat());
    middle.done(&["upstream", "sync", "origin"]);
    let machine = Machine::enrol(&middle);
    machine.take_only(&middle);

    let directory = middle.kill();
    let data = directory.path().join("data");
    let mut thief =
        Publisher::open(&data.join("repository"), &data.join("keys"), Lifetimes::default()).unwrap();
    let mut altered = thief.published().next().unwrap().clone();
    altered.manifest.fixes.push(Fix::new("CVE-2026-1", "not mended at all"));
    thief.remove(&first).unwrap();
    thief.commit(SystemTime::now()).unwrap();
    let origin_id = altered.origin.clone().unwrap();
    thief.pass_on(&altered, &origin_id, &["edge".into(), "stable".into()]).unwrap();
    thief.commit(SystemTime::now()).unwrap();
    drop(thief);
    let middle = Site::start_in(directory);
    assert_eq!(names(&middle), std::slice::from_ref(&first));
    let (repository, livepatches) = machine.look(&middle);
    assert!(livepatches.is_empty() && repository.skipped()[0].reason.contains("origin"), "{repository:?}");

    let last = Site::start();
    let digest = anchor(&middle).sha256;
    last.done(&["upstream", "add", "middle", "--url", &middle.url, "--anchor", digest.as_str()]);
    let report: SyncReport = last.json(&["upstream", "sync", "middle"]);
    assert_eq!((taken(&report).len(), skipped(&report)), (0, vec![Skip::NotEndorsed]));
}

/// Passes requests on to a server; of modules, only so many.
struct Line {
    url: String,
    modules: Arc<AtomicUsize>,
    left: Arc<AtomicUsize>,
}

impl Line {
    fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (modules, left) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(usize::MAX)));
        let (counted, allowed, server) = (Arc::clone(&modules), Arc::clone(&left), server.to_owned());
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                serve(connection.unwrap(), &server, &counted, &allowed);
            }
        });
        Self { url, modules, left }
    }
}

fn serve(mut connection: TcpStream, server: &str, modules: &AtomicUsize, left: &AtomicUsize) {
    let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap().to_owned();
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let is_module = path.ends_with(".ko");
    if is_module && modules.fetch_add(1, Ordering::SeqCst) >= left.load(Ordering::SeqCst) {
        return; // the line is cut
    }
    let (status, body) = match Http.fetch(&format!("{server}{path}").parse().unwrap(), 64 << 20) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(&body));
}

#[test]
fn sync_goes_on_where_it_was_cut_off() {
    let (origin, mirror) = (origin(), Site::start());
    for version in 1..=5 {
        publish(&origin, RELEASE, version, "stable");
    }
    let line = Line::to(&origin.url);
    let digest = anchor(&origin).sha256;
    mirror.done(&["upstream", "add", "origin", "--url", &line.url, "--anchor", digest.as_str()]);
    line.left.store(3, Ordering::SeqCst);
    mirror.refused(&["upstream", "sync", "origin"]);
    assert!(names(&mirror).is_empty(), "all of it or nothing");
    let list: Vec<UpstreamSummary> = mirror.json(&["upstream", "list"]);
    assert!(list[0].failure.is_some() && list[0].synced.is_none());

    // Also after the server was killed.
    let mirror = Site::start_in(mirror.kill());
    line.left.store(usize::MAX, Ordering::SeqCst);
    line.modules.store(0, Ordering::SeqCst);
    let report: SyncReport = mirror.json(&["upstream", "sync", "origin"]);
    assert_eq!((report.taken.len(), line.modules.load(Ordering::SeqCst)), (5, 2), "three were here");
    assert_eq!(names(&mirror).len(), 5);
}

#[test]
fn across_an_air_gap_and_never_back_in_time() {
    let (origin, site) = (origin(), Site::start());
    let first = publish(&origin, RELEASE, 1, "stable");
    let at = |name: &str| origin.path(name).to_str().unwrap().to_owned();
    let (full, later, second_full) = (at("full.tar"), at("later.tar"), at("second.tar"));
    origin.done(&["trust-anchor", "--out", &at("anchor.json")]);
    origin.done(&["bundle", "export", &full]);
    assert!(origin.refused(&["bundle", "export", &full]).contains("exists"));
    let targets = origin.json::<Versioned>(&["promote", &first, "--to", "stable"]).targets_version;
    let second = publish(&origin, RELEASE, 2, "stable");
    origin.done(&["bundle", "export", &later, "--since", &targets.to_string()]);
    origin.done(&["bundle", "export", &second_full, "--days", "30"]);
    let size = |path: &str| fs::metadata(path).unwrap().len();
    assert!(size(&later) < size(&second_full), "an incremental bundle leaves out what was sent before");
    let unknown = origin.refused(&["bundle", "export", &at("x.tar"), "--since", "99"]);
    assert!(unknown.contains("99"), "{unknown}");

    site.done(&["upstream", "add", "origin", "--anchor-file", &at("anchor.json"), "--into", "stable"]);
    let refused = site.refused(&["upstream", "sync", "origin"]);
    assert!(refused.contains("import its bundles"), "{refused}");
    // The incremental one comes too early, and spoils nothing.
    let early = site.refused(&["bundle", "import", &later, "--from", "origin"]);
    assert!(early.contains("first, or a full one"), "{early}");
    let preview: BundleImported = site.json(&["bundle", "import", &full, "--from", "origin", "--dry-run"]);
    assert_eq!((taken(&preview.report), names(&site).len()), (vec![first.as_str()], 0));
    let imported: BundleImported = site.json(&["bundle", "import", &full, "--from", "origin"]);
    assert_eq!((taken(&imported.report), imported.since), (vec![first.as_str()], None));
    let imported: BundleImported = site.json(&["bundle", "import", &later, "--from", "origin"]);
    assert_eq!((taken(&imported.report), imported.since), (vec![second.as_str()], Some(targets)));
    let machine = Machine::enrol(&site);
    assert_eq!(machine.look(&site).1.len(), 2);

    // An old bundle again is a step back; the newest again is nothing new.
    let replayed = site.refused(&["bundle", "import", &full, "--from", "origin"]);
    assert!(replayed.contains("metadata-rolled-back"), "{replayed}");
    let again: BundleImported = site.json(&["bundle", "import", &second_full, "--from", "origin"]);
    assert_eq!((again.report.taken.len(), again.report.present), (0, 2));
    assert_eq!(names(&site).len(), 2);
    let upstreams: Vec<UpstreamSummary> = site.json(&["upstream", "list"]);
    assert!(upstreams[0].synced.is_some() && upstreams[0].failure.is_none());

    // What was altered or cut off on its way is refused, and nothing is lost.
    let third = Site::start();
    third.done(&["upstream", "add", "origin", "--anchor-file", &at("anchor.json")]);
    let bytes = fs::read(&full).unwrap();
    fs::write(at("cut.tar"), &bytes[..bytes.len() / 2]).unwrap();
    third.refused(&["bundle", "import", &at("cut.tar"), "--from", "origin"]);
    let mut altered = bytes.clone();
    let module = fs::read(origin.path(&format!("{first}.ko"))).unwrap();
    let found = altered.windows(module.len()).position(|window| window == module).unwrap();
    altered[found + 100] ^= 1;
    fs::write(at("altered.tar"), &altered).unwrap();
    let report: BundleImported = third.json(&["bundle", "import", &at("altered.tar"), "--from", "origin"]);
    assert_eq!(skipped(&report.report), [Skip::ModuleRefused]);
    let imported: BundleImported = third.json(&["bundle", "import", &full, "--from", "origin"]);
    assert_eq!(taken(&imported.report), [first.as_str()], "the true one goes in afterwards");
    // Somebody else's bundle.
    let stranger = self::origin();
    let strange = stranger.path("strange.tar").to_str().unwrap().to_owned();
    stranger.done(&["bundle", "export", &strange]);
    let refused = third.refused(&["bundle", "import", &strange, "--from", "origin"]);
    assert!(refused.contains("metadata-signature-invalid"), "{refused}");
    let leftovers = fs::read_dir(third.path("data")).unwrap().map(|entry| entry.unwrap().file_name());
    let leftovers: Vec<_> = leftovers.filter(|name| name.to_string_lossy().starts_with('.')).collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

/// What of an answer this needs.
#[derive(serde::Deserialize)]
struct Versioned {
    targets_version: u64,
}
