//! Debian's packages: `linux-image-REL` (modules in it), `linux-headers-REL`, `linux-image-REL-dbg`, `linux-source-SERIES`.

use super::archives::{Archive, Set};
use super::error::KernelError;
use super::preparation::{Place, create};
use super::provider::{Origin, Provider, Supplied};
use crate::cache::Cache;
use crate::narrate::step;
use crate::packages;
use livepatch_kernel::KernelRelease;
use std::path::{Path, PathBuf};

/// The package files of one kernel.
#[derive(Clone, Debug)]
struct Files {
    image: PathBuf,
    headers: PathBuf,
    debug: PathBuf,
    source: PathBuf,
}

/// A kernel of the package index.
pub(super) struct Indexed {
    cache: Cache,
    release: KernelRelease,
    wanted: Option<String>,
    files: Option<Files>,
}

impl Indexed {
    pub(super) fn new(cache: Cache, release: KernelRelease, wanted: Option<String>) -> Self {
        Self { cache, release, wanted, files: None }
    }

    fn fetch(&self, name: &str, version: Option<&str>) -> Result<PathBuf, KernelError> {
        let step = step(format!("fetch {name}"));
        let file = packages::fetch(&self.cache, name, version)?;
        let size = std::fs::metadata(&file).map(|file| file.len()).unwrap_or(0);
        step.done(format!("{}, {} MiB", version_of(&file), size >> 20));
        Ok(file)
    }
}

impl Provider for Indexed {
    fn release(&self) -> &KernelRelease {
        &self.release
    }

    fn version(&self) -> Option<&str> {
        self.wanted.as_deref()
    }

    fn begin(&mut self, place: &Place<'_>) -> Result<Supplied, KernelError> {
        let release = &self.release;
        let image = self.fetch(&format!("linux-image-{release}"), self.wanted.as_deref())?;
        let version = version_of(&image);
        let source_package = format!("linux-source-{}", release.series());
        let files = Files {
            headers: self.fetch(&format!("linux-headers-{release}"), Some(&version))?,
            debug: self.fetch(&format!("linux-image-{release}-dbg"), Some(&version))?,
            source: self.fetch(&source_package, Some(&version))?,
            image,
        };
        take_configuration(&files, place)?;
        self.files = Some(files);
        Ok(supplied(release, version, source_package))
    }

    fn complete(&self, place: &Place<'_>) -> Result<(), KernelError> {
        self.files.as_ref().map_or(Ok(()), |files| lay_out(files, place))
    }
}

/// A kernel in package files.
pub(super) struct Local {
    release: KernelRelease,
    version: String,
    source_package: String,
    files: Files,
}

impl Local {
    /// From the packages that were given.
    ///
    /// # Errors
    /// [`KernelError::Incomplete`] and [`KernelError::Versions`] when they are no whole kernel.
    pub(super) fn new(set: &Set) -> Result<Self, KernelError> {
        let release = set.release();
        let source_name = format!("linux-source-{}", release.series());
        let needed = [
            (set.image.as_ref(), format!("linux-image-{release}")),
            (set.headers.as_ref(), format!("linux-headers-{release}")),
            (set.debug.as_ref(), format!("linux-image-{release}-dbg")),
            (set.source.as_ref(), source_name.clone()),
        ];
        let [image, headers, debug, source] = set.whole(needed, |missing, version| {
            let wanted: Vec<String> = missing.iter().map(|name| format!("{name}{version}")).collect();
            format!("fetch what is missing with: apt-get download {}", wanted.join(" "))
        })?;
        let path = |archive: &Archive| archive.file.clone();
        Ok(Self {
            release: release.clone(),
            version: image.version.clone(),
            source_package: source.name.clone(),
            files: Files {
                image: path(&image),
                headers: path(&headers),
                debug: path(&debug),
                source: path(&source),
            },
        })
    }
}

impl Provider for Local {
    fn release(&self) -> &KernelRelease {
        &self.release
    }

    fn version(&self) -> Option<&str> {
        Some(&self.version)
    }

    fn begin(&mut self, place: &Place<'_>) -> Result<Supplied, KernelError> {
        take_configuration(&self.files, place)?;
        Ok(supplied(&self.release, self.version.clone(), self.source_package.clone()))
    }

    fn complete(&self, place: &Place<'_>) -> Result<(), KernelError> {
        lay_out(&self.files, place)?;
        place.index_units(&self.files.debug)
    }
}

fn supplied(release: &KernelRelease, version: String, source_package: String) -> Supplied {
    Supplied {
        origin: Origin::Debian,
        // Debian's kernel says in its logs which package it is from (debian/rules.real; the patch debian/version.patch):
        // without these, the functions that say so come out otherwise.
        make_variables: vec![
            "DISTRIBUTION_OFFICIAL_BUILD=1".into(),
            "DISTRIBUTOR=Debian".into(),
            format!("DISTRIBUTION_VERSION={version}"),
        ],
        debug_remedy: format!("linux-image-{release}-dbg is damaged: fetch it again"),
        version,
        source_package,
    }
}

fn take_configuration(files: &Files, place: &Place<'_>) -> Result<(), KernelError> {
    let inside = format!("./usr/src/linux-headers-{}", place.release);
    place.take_configuration(&files.headers, &inside)
}

fn lay_out(files: &Files, place: &Place<'_>) -> Result<(), KernelError> {
    let doing = step("unpack the image");
    packages::unpack(&files.image, &place.image(), place.log)?;
    place.index_modules()?;
    doing.done("");
    let doing = step("unpack the source");
    packages::unpack_source(&files.source, place.release.series(), None, &place.source(), place.log)?;
    doing.done("");
    let doing = step("unpack vmlinux");
    create(&place.debug())?;
    let inside = format!("./usr/lib/debug/boot/vmlinux-{}", place.release);
    packages::take_file(&files.debug, &inside, &place.vmlinux(), place.log)?;
    doing.done("");
    Ok(())
}

/// The version in a package's file name, `NAME_VERSION_ARCH.deb`.
fn version_of(package: &Path) -> String {
    let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.split('_').nth(1).unwrap_or_default().replace("%3a", ":")
}
