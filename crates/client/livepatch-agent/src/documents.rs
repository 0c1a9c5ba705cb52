//! Signed documents beside the livepatches: the kernel catalogue, mitigations, and the verdicts of the running kernel's family. The last
//! that were read and trusted are kept; where the repository has none, the catalogue is the one that this program was built
//! with, and there are no verdicts.

use crate::{refusal::Refusal, service::Repository, state_dir::StateDir};
use livepatch_cve::{Mitigations, catalogue::Catalogue, verdict::VerdictFile};
use livepatch_host::{InstalledKernel, KernelPackage, Surroundings};
use livepatch_kernel::KernelIdentity;
use livepatch_manifest::Digest;

/// The catalogue's name in the repository and in the state directory.
pub(crate) const CATALOGUE: &str = "documents/kernel-catalogue.json";
/// The mitigations' name, there and here.
pub(crate) const MITIGATIONS: &str = "documents/mitigations.json";
const VERDICTS: &str = "documents/verdicts";

/// The verdicts of a kernel's family: `documents/verdicts/debian/bookworm/linux.olpv`. None when it cannot be told which
/// family the kernel is of.
pub(crate) fn verdicts_name(
    kernel: &KernelIdentity,
    package: Option<&KernelPackage>,
    surroundings: &Surroundings,
    installed: &[InstalledKernel],
) -> Option<String> {
    let distribution = package?.distribution.as_deref()?;
    let release = surroundings.code_name.as_deref()?;
    let own = installed.iter().find(|one| one.release == kernel.release);
    let source = own.and_then(|own| own.source.as_deref()).unwrap_or("linux");
    let sound = |part: &str| {
        part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.+".contains(&b)) && !part.starts_with('.')
    };
    let parts = [distribution, release, source];
    parts.into_iter().all(sound).then(|| format!("{VERDICTS}/{distribution}/{release}/{source}.olpv"))
}

/// Reads the documents of a trusted repository and keeps them. A document that cannot be had or used leaves the one from
/// before: no document may keep a livepatch from coming.
///
/// # Errors
/// [`Refusal::State`].
pub(crate) fn keep(
    state: &StateDir,
    repository: &dyn Repository,
    verdicts: Option<&str>,
) -> Result<(), Refusal> {
    keep_one(state, repository, CATALOGUE, |bytes| {
        Catalogue::read(bytes).map(drop).map_err(|error| error.to_string())
    })?;
    keep_one(state, repository, MITIGATIONS, |bytes| {
        Mitigations::read(bytes).map(drop).map_err(|error| error.to_string())
    })?;
    let Some(name) = verdicts else { return Ok(()) };
    keep_one(state, repository, name, |bytes| {
        VerdictFile::decode(bytes).map(drop).map_err(|error| error.to_string())
    })
}

fn keep_one(
    state: &StateDir,
    repository: &dyn Repository,
    name: &str,
    check: impl Fn(&[u8]) -> Result<(), String>,
) -> Result<(), Refusal> {
    let kept = state.document(name).ok().flatten();
    if let (Some(kept), Some(digest)) = (kept, repository.document_digest(name))
        && Digest::of(&kept) == digest
    {
        return Ok(());
    }
    let fetched = repository.document(name).unwrap_or_else(|error| {
        tracing::warn!(%error, name, "a signed document cannot be read");
        None
    });
    let Some(bytes) = fetched else { return Ok(()) };
    match check(&bytes) {
        Ok(()) => Ok(state.save_document(name, &bytes)?),
        Err(error) => {
            tracing::warn!(error, name, "a signed document cannot be used");
            Ok(())
        }
    }
}

/// The catalogue that counts.
pub(crate) fn catalogue(state: &StateDir) -> Catalogue {
    let kept = state.document(CATALOGUE).ok().flatten().and_then(|bytes| Catalogue::read(&bytes).ok());
    kept.or_else(|| Catalogue::read(Catalogue::BUILT_IN.as_bytes()).ok()).unwrap_or_else(Catalogue::empty)
}

/// The mitigations that were kept; none when there are none, or none that can be used.
pub(crate) fn mitigations(state: &StateDir) -> Option<Mitigations> {
    Mitigations::read(&state.document(MITIGATIONS).ok().flatten()?).ok()
}

/// The family in the name of its verdicts: `debian/bookworm/linux`.
pub(crate) fn family_of(verdicts: &str) -> Option<&str> {
    verdicts.strip_prefix(VERDICTS)?.strip_prefix('/')?.strip_suffix(".olpv")
}

/// The verdicts that were kept under this name.
pub(crate) fn verdicts(state: &StateDir, name: &str) -> Option<VerdictFile> {
    VerdictFile::decode(&state.document(name).ok().flatten()?).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use livepatch_schedule::Steering;
    use livepatch_trust::{Published, Versions};

    struct Fake(Vec<(&'static str, Vec<u8>)>, Steering);

    impl Repository for Fake {
        fn published(&self) -> Vec<&Published> {
            Vec::new()
        }

        fn steering(&self) -> &Steering {
            &self.1
        }

        fn versions(&self) -> Versions {
            Versions { root: 1, targets: 1, snapshot: 1, timestamp: 1 }
        }

        fn module(&self, _: &Published) -> Result<Vec<u8>, Refusal> {
            Err(Refusal::NothingToUndo)
        }

        fn document(&self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
            Ok(self.0.iter().find(|(known, _)| *known == name).map(|(_, bytes)| bytes.clone()))
        }
    }

    const NAME: &str = "documents/verdicts/debian/bookworm/linux.olpv";

    #[test]
    fn the_repository_s_documents_go_before_the_built_in_ones() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        assert_eq!(catalogue(&state), Catalogue::read(Catalogue::BUILT_IN.as_bytes()).unwrap());
        assert_eq!(verdicts(&state, NAME), None);

        let own = br#"{"schema": 1, "matrices": []}"#.to_vec();
        let file = empty();
        let repository = Fake(vec![(CATALOGUE, own), (NAME, file.encode())], Steering::default());
        keep(&state, &repository, Some(NAME)).unwrap();
        assert_eq!(catalogue(&state).matrices, []);
        assert_eq!(verdicts(&state, NAME).unwrap().family, "debian/bookworm/linux");

        let damaged = Fake(vec![(CATALOGUE, b"{".to_vec()), (NAME, b"x".to_vec())], Steering::default());
        keep(&state, &damaged, Some(NAME)).unwrap();
        assert_eq!(catalogue(&state).matrices, []);
        assert!(verdicts(&state, NAME).is_some());
    }

    fn empty() -> VerdictFile {
        let engine = livepatch_cve::verdict::Engine::new(Vec::new(), Vec::new());
        let family = livepatch_cve::Family {
            distribution: livepatch_cve::Distribution::Debian,
            release: "bookworm".into(),
            package: "linux".into(),
        };
        VerdictFile::new(&family, Vec::new(), 0..0, &engine.verdicts())
    }

    #[test]
    fn families_follow_from_the_machine() {
        let kernel = KernelIdentity {
            release: "6.1.0-55-cloud-amd64".parse().unwrap(),
            build_id: "ab".repeat(20).parse().unwrap(),
            arch: "x86_64".into(),
        };
        let package = KernelPackage { distribution: Some("debian".into()), ..KernelPackage::default() };
        let mut surroundings = Surroundings { code_name: Some("bookworm".into()), ..Surroundings::default() };
        assert_eq!(verdicts_name(&kernel, Some(&package), &surroundings, &[]).unwrap(), NAME);
        let own = InstalledKernel {
            release: kernel.release.clone(),
            version: None,
            source: Some("linux-6.12".into()),
        };
        let name = verdicts_name(&kernel, Some(&package), &surroundings, &[own]).unwrap();
        assert_eq!(name, "documents/verdicts/debian/bookworm/linux-6.12.olpv");
        surroundings.code_name = Some("../x".into());
        assert_eq!(verdicts_name(&kernel, Some(&package), &surroundings, &[]), None);
    }
}
