//! A repository on disk, a machine that loads it, and a saboteur in between.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses its part; a failed expectation is the test's answer

use livepatch_kernel::KernelIdentity;
use livepatch_manifest::{Digest, Fix, Manifest, ModuleRecord, Provenance, SCHEMA};
use livepatch_trust::{DirectoryFetch, Fetch, Lifetimes, LoadRequest, Publisher, Repository, TrustError};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;
use url::Url;

pub(crate) const DAY: Duration = Duration::from_secs(86_400);
const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Metadata that do not expire while a test runs, whatever moment they were signed at.
pub(crate) fn lasting() -> Lifetimes {
    Lifetimes { root: CENTURY, targets: CENTURY, snapshot: CENTURY, timestamp: CENTURY }
}

/// A site: repository, keys, and a machine's memory of it.
pub(crate) struct Site {
    pub(crate) directory: TempDir,
    pub(crate) lifetimes: Lifetimes,
}

impl Site {
    /// An empty repository, signed now.
    pub(crate) fn new() -> (Self, Publisher) {
        Self::with(Lifetimes::default(), SystemTime::now())
    }

    /// An empty repository with these lifetimes, signed at that moment.
    pub(crate) fn with(lifetimes: Lifetimes, now: SystemTime) -> (Self, Publisher) {
        let site = Self { directory: tempfile::tempdir().unwrap(), lifetimes };
        let publisher = Publisher::create(&site.repository(), &site.keys(), lifetimes, now).unwrap();
        (site, publisher)
    }

    /// A repository with one livepatch.
    pub(crate) fn published() -> (Self, Publisher) {
        let (site, mut publisher) = Self::new();
        let (module, manifest) = livepatch(1);
        publisher.stage(&module, &manifest, &["edge".into()]).unwrap();
        publisher.commit(SystemTime::now()).unwrap();
        (site, publisher)
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.directory.path().join("repository")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.directory.path().join("keys")
    }

    pub(crate) fn datastore(&self) -> PathBuf {
        self.directory.path().join("datastore")
    }

    pub(crate) fn metadata(&self, file: &str) -> PathBuf {
        self.repository().join("metadata").join(file)
    }

    /// The first root: what a machine was given.
    pub(crate) fn root(&self) -> Vec<u8> {
        fs::read(self.metadata("1.root.json")).unwrap()
    }

    pub(crate) fn load(&self) -> Result<Repository, TrustError> {
        self.load_from(&self.repository(), &self.root(), Arc::new(DirectoryFetch))
    }

    pub(crate) fn load_through(&self, fetch: Arc<dyn Fetch>) -> Result<Repository, TrustError> {
        self.load_from(&self.repository(), &self.root(), fetch)
    }

    pub(crate) fn load_from(
        &self,
        repository: &Path,
        root: &[u8],
        fetch: Arc<dyn Fetch>,
    ) -> Result<Repository, TrustError> {
        let url = |part: &str| Url::from_file_path(repository.join(part)).unwrap();
        Repository::load(LoadRequest {
            root,
            metadata_url: url("metadata"),
            targets_url: url("targets"),
            datastore: &self.datastore(),
            fetch,
        })
    }

    /// The file of the only module.
    pub(crate) fn module_file(&self) -> PathBuf {
        let release = only_entry(&self.repository().join("targets"));
        only_entry(&release)
    }

    /// A second publisher's repository with the same keys and the same state: what a thief of keys could make.
    pub(crate) fn twin(&self) -> (PathBuf, PathBuf) {
        let (repository, keys) =
            (self.directory.path().join("twin"), self.directory.path().join("twin-keys"));
        copy_tree(&self.repository(), &repository);
        copy_tree(&self.keys(), &keys);
        (repository, keys)
    }
}

/// The bytes of a module and the manifest that goes with them.
pub(crate) fn livepatch(version: u32) -> (Vec<u8>, Manifest) {
    let module = format!("module {version} ").repeat(100).into_bytes();
    let manifest = Manifest {
        schema: SCHEMA,
        name: format!("livepatch_6_1_0_55_cloud_amd64_{version}"),
        version,
        kernel: KernelIdentity {
            release: "6.1.0-55-cloud-amd64".parse().unwrap(),
            build_id: "ab".repeat(20).parse().unwrap(),
            arch: "x86_64".into(),
        },
        module: ModuleRecord {
            sha256: Digest::of(&module),
            size: module.len() as u64,
            vermagic: "6.1.0-55-cloud-amd64 SMP preempt mod_unload modversions".into(),
            signer: Some(Digest::of(b"certificate")),
        },
        fixes: vec![Fix::new("CVE-2026-93146", "offsets")],
        objects: vec![],
        provenance: Provenance {
            builder: "0.1.0".into(),
            compiler: "gcc 12.2.0".into(),
            source: "linux-source-6.1 6.1.192-1".into(),
            patch_sha256: Digest::of(b"patch"),
        },
    };
    (module, manifest)
}

pub(crate) fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn only_entry(directory: &Path) -> PathBuf {
    let mut entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let entry = entries.next().unwrap();
    assert!(entries.next().is_none());
    entry
}

/// Replaces the first occurrence of `from`, which must be there.
pub(crate) fn alter(path: &Path, from: &str, to: &str) {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    assert!(text.contains(from), "{from} not in {}", path.display());
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}
