//! Bundles: a site's state in one tar archive, for where no network goes.
//!
//! ```text
//! bundle.json                       what it is, signed (livepatch_trust::Bundle)
//! metadata/…                        every root, and the current targets, snapshot and timestamp
//! origins/SITE/N.root.json          roots of the sites whose livepatches are passed on
//! targets/RELEASE/DIGEST.NAME.ko    modules
//! ```
//!
//! An incremental bundle leaves the modules out that an earlier version of the targets metadata named.

use crate::{clock, refusal::Refusal, site::Site};
use livepatch_manifest::Digest;
use livepatch_trust::{Bundle, Files, LARGEST_MODULE, Published, Publisher, Signed};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Component, Path, PathBuf},
};
use tar::{Archive, Builder, EntryType, Header};
use tempfile::{NamedTempFile, TempDir};

/// The name of the description.
const DESCRIPTION: &str = "bundle.json";
/// A metadata file is no larger (targets: 32 MiB), and a module is no larger than it may be anywhere.
const LARGEST_FILE: u64 = LARGEST_MODULE;
/// More files than this are no site's state.
const MOST_FILES: usize = 1_000_000;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Description {
    /// Leave the modules of this version of the targets metadata out.
    pub(crate) since: Option<u64>,
    /// For how many days it may be imported.
    pub(crate) days: u32,
}

/// A state at one moment: metadata by name, modules by place.
#[derive(Debug)]
pub(crate) struct State {
    description: Vec<u8>,
    metadata: Vec<(String, Vec<u8>)>,
    modules: Vec<String>,
}

impl State {
    /// Reads the state and signs what it is. Modules never change, so they are read later.
    pub(crate) fn read(site: &Site, publisher: &Publisher, asked: Description) -> Result<Self, Refusal> {
        let versions = publisher.versions();
        let current = [
            format!("{}.targets.json", versions.targets),
            format!("{}.snapshot.json", versions.snapshot),
            "timestamp.json".to_owned(),
        ];
        let mut metadata = Vec::new();
        for name in site.files.names("metadata").map_err(failed)? {
            let file = name.trim_start_matches("metadata/");
            if file.ends_with(".root.json") || current.iter().any(|one| one == file) {
                let bytes = site.files.read(&name, LARGEST_FILE).map_err(failed)?;
                metadata.push((name, bytes));
            }
        }
        let known = asked.since.map(|since| named_in(&*site.files, since)).transpose()?.unwrap_or_default();
        let new = publisher.published().filter(|entry| !known.contains(&entry.sha256));
        let modules: Vec<String> = new.map(Published::location).collect();
        let timestamp = metadata.iter().find(|(name, _)| name == "metadata/timestamp.json");
        let timestamp = timestamp.map(|(_, bytes)| Digest::of(bytes));
        let timestamp = timestamp.ok_or_else(|| failed(io::Error::other("there is no timestamp.json")))?;
        let made = clock::seconds();
        let bundle = Bundle {
            site: publisher.origin().clone(),
            timestamp,
            targets: versions.targets,
            since: asked.since,
            made,
            expires: made.saturating_add(i64::from(asked.days) * 86_400),
        };
        let signed = publisher.say(&bundle)?;
        let description = serde_json::to_vec_pretty(&signed).map_err(|error| Refusal::internal(&error))?;
        Ok(Self { description, metadata, modules })
    }
}

/// Writes a bundle into a temporary file of the data directory.
pub(crate) async fn write(site: &std::sync::Arc<Site>, asked: Description) -> Result<NamedTempFile, Refusal> {
    let reading = std::sync::Arc::clone(site);
    let state = site.with_publisher(move |publisher| State::read(&reading, publisher, asked)).await?;
    let site = std::sync::Arc::clone(site);
    let written = tokio::task::spawn_blocking(move || write_state(&site, &state));
    written.await.map_err(|error| Refusal::internal(&error))?.map_err(failed)
}

fn write_state(site: &Site, state: &State) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix(".bundle-").tempfile_in(&site.settings.data)?;
    let mut archive = Builder::new(io::BufWriter::new(file.as_file_mut()));
    append(&mut archive, DESCRIPTION, state.description.len() as u64, state.description.as_slice())?;
    for (name, bytes) in &state.metadata {
        append(&mut archive, name, bytes.len() as u64, bytes.as_slice())?;
    }
    let modules = state.modules.iter().map(|module| format!("targets/{module}"));
    for name in site.files.names("origins")?.into_iter().chain(modules) {
        let bytes = site.files.read(&name, LARGEST_FILE)?;
        append(&mut archive, &name, bytes.len() as u64, bytes.as_slice())?;
    }
    archive.into_inner()?.flush()?;
    Ok(file)
}

/// The same state gives the same bytes: no owner, no time.
fn append(
    archive: &mut Builder<impl io::Write>,
    name: &str,
    size: u64,
    from: impl io::Read,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    archive.append_data(&mut header, name, from)
}

/// The digests of the modules that this version of the targets metadata names.
fn named_in(files: &dyn Files, version: u64) -> Result<BTreeSet<Digest>, Refusal> {
    let bytes = files.read(&format!("metadata/{version}.targets.json"), LARGEST_FILE).map_err(|_| {
        Refusal::invalid(format!(
            "there is no version {version} of the targets metadata here; without --since the bundle is full"
        ))
    })?;
    let document: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|error| Refusal::internal(&error))?;
    let targets = document.pointer("/signed/targets").and_then(serde_json::Value::as_object);
    let digests = targets.into_iter().flat_map(|targets| targets.values()).filter_map(|target| {
        target.pointer("/hashes/sha256").and_then(serde_json::Value::as_str)?.parse().ok()
    });
    Ok(digests.collect())
}

/// A bundle that was unpacked; nothing of it is verified yet.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// Its files.
    pub(crate) directory: TempDir,
    /// What it says it is.
    pub(crate) description: Signed<Bundle>,
}

impl Unpacked {
    /// Unpacks an archive below the data directory. Only files that a bundle has, only where they belong.
    pub(crate) fn read(data: &Path, archive: impl io::Read) -> Result<Self, Refusal> {
        let broken =
            |error: io::Error| Refusal::invalid(format!("this is no bundle, or it is cut off: {error}"));
        let directory = tempfile::Builder::new().prefix(".import-").tempdir_in(data).map_err(failed)?;
        let mut archive = Archive::new(archive);
        for (at, entry) in archive.entries().map_err(broken)?.enumerate() {
            let mut entry = entry.map_err(broken)?;
            let path = entry.path().map_err(broken)?.into_owned();
            let place = place(&path).ok_or_else(|| {
                Refusal::invalid(format!("this is no bundle: {} does not belong into one", path.display()))
            })?;
            let size = entry.size();
            if entry.header().entry_type() != EntryType::Regular || size > LARGEST_FILE || at >= MOST_FILES {
                return Err(Refusal::invalid(format!(
                    "this is no bundle: {} is no file of one",
                    path.display()
                )));
            }
            let place = directory.path().join(place);
            fs::create_dir_all(place.parent().unwrap_or(directory.path())).map_err(failed)?;
            let mut file = File::create_new(&place).map_err(broken)?;
            let copied = io::copy(&mut entry.by_ref().take(size), &mut file).map_err(broken)?;
            if copied != size {
                return Err(Refusal::invalid("the bundle is cut off"));
            }
        }
        let description = fs::read(directory.path().join(DESCRIPTION))
            .map_err(|_| Refusal::invalid(format!("this is no bundle: it holds no {DESCRIPTION}")))?;
        let description = serde_json::from_slice(&description).map_err(|error| {
            Refusal::invalid(format!("the bundle's {DESCRIPTION} cannot be read: {error}"))
        })?;
        Ok(Self { directory, description })
    }
}

/// Where a bundle's file goes; `None` for a path that no bundle has.
fn place(path: &Path) -> Option<PathBuf> {
    let parts: Option<Vec<&str>> = path
        .components()
        .map(|part| match part {
            Component::Normal(name) => name.to_str().filter(|name| !name.starts_with('.')),
            _ => None,
        })
        .collect();
    match parts?.as_slice() {
        [DESCRIPTION] | ["metadata", _] | ["origins" | "targets", _, _] => Some(path.to_owned()),
        _ => None,
    }
}

fn failed(error: io::Error) -> Refusal {
    Refusal::internal(&error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_a_bundle_have_a_place() {
        for path in ["bundle.json", "metadata/1.root.json", "origins/ab/1.root.json", "targets/6.1/x.ko"] {
            assert_eq!(place(Path::new(path)), Some(path.into()));
        }
        for path in [
            "",
            "/bundle.json",
            "../bundle.json",
            "metadata/../x",
            "metadata/.x",
            "targets/x.ko",
            "keys/root.pem",
        ] {
            assert_eq!(place(Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn archives_that_are_no_bundles_are_refused() {
        let data = tempfile::tempdir().unwrap();
        let refused = |bytes: &[u8]| Unpacked::read(data.path(), bytes).unwrap_err().message().to_owned();
        assert!(
            refused(b"not a tar archive, and long enough to be looked at".repeat(20).as_slice())
                .contains("no bundle")
        );
        assert!(refused(b"").contains("bundle.json"));
        let mut archive = Builder::new(Vec::new());
        append(&mut archive, "keys/targets.pem", 1, &b"x"[..]).unwrap();
        assert!(refused(&archive.into_inner().unwrap()).contains("does not belong"));
        let mut archive = Builder::new(Vec::new());
        let mut link = Header::new_gnu();
        link.set_entry_type(EntryType::Symlink);
        link.set_size(0);
        archive.append_link(&mut link, "metadata/timestamp.json", "/etc/passwd").unwrap();
        assert!(refused(&archive.into_inner().unwrap()).contains("is no file of one"));
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0, "nothing is left behind");
    }
}
