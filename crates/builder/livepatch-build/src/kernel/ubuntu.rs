//! Ubuntu's packages: `linux-image-unsigned-REL` or `linux-image-REL`, `linux-modules-REL` and `linux-modules-extra-REL`
//! (the modules are there), `linux-headers-REL`, `linux-image-unsigned-REL-dbgsym` (a `.ddeb`), `linux-source-X.Y.Z`.

use super::archives::{Archive, Set};
use super::configuration::text_of;
use super::error::{KernelError, file_error};
use super::preparation::{Place, create, read_text};
use super::provider::{Origin, Provider, Supplied};
use crate::narrate::step;
use crate::packages;
use livepatch_kernel::KernelRelease;

/// Where debug symbols are: they are in no ordinary package index.
const DEBUG_ARCHIVE: &str = "http://ddebs.ubuntu.com/pool/main/l/linux/";

/// A kernel in package files.
pub(super) struct Ubuntu {
    release: KernelRelease,
    image: Archive,
    modules: Archive,
    extra: Option<Archive>,
    headers: Archive,
    debug: Archive,
    source: Archive,
}

impl Ubuntu {
    /// From the packages that were given.
    ///
    /// # Errors
    /// [`KernelError::Incomplete`] and [`KernelError::Versions`] when they are no whole kernel.
    pub(super) fn new(set: &Set) -> Result<Self, KernelError> {
        let release = set.release();
        // `5.15.0` of `5.15.0-105-generic`.
        let base = release.as_str().split('-').next().unwrap_or_default();
        let needed = [
            (set.image.as_ref(), format!("linux-image-unsigned-{release}")),
            (set.modules.as_ref(), format!("linux-modules-{release}")),
            (set.headers.as_ref(), format!("linux-headers-{release}")),
            (set.debug.as_ref(), format!("linux-image-unsigned-{release}-dbgsym")),
            (set.source.as_ref(), format!("linux-source-{base}")),
        ];
        let [image, modules, headers, debug, source] = set.whole(needed, |missing, version| {
            let is_debug = |name: &&String| name.ends_with("-dbgsym");
            let plain: Vec<String> = missing
                .iter()
                .filter(|name| !is_debug(name))
                .map(|name| format!("{name}{version}"))
                .collect();
            let mut ways = Vec::new();
            if !plain.is_empty() {
                ways.push(format!("on an Ubuntu system: apt-get download {}", plain.join(" ")));
            }
            if missing.iter().any(|name| name.ends_with("-dbgsym")) {
                ways.push(format!("debug symbols (.ddeb) are in {DEBUG_ARCHIVE}"));
            }
            ways.join("; ")
        })?;
        if let Some(extra) = &set.modules_extra {
            extra.must_be_of(&image.version)?;
        }
        let extra = set.modules_extra.clone();
        Ok(Self { release: release.clone(), image, modules, extra, headers, debug, source })
    }

    /// `CONFIG_VERSION_SIGNATURE`, such as `Ubuntu 5.15.0-105.115-generic 5.15.148`: package version and flavour, then the
    /// mainline version that the source is based on (debian/rules.d/0-common-vars.mk, `release_signature`).
    fn signature(&self, place: &Place<'_>) -> Result<String, KernelError> {
        Ok(text_of(&read_text(&place.configuration())?, "CONFIG_VERSION_SIGNATURE").to_owned())
    }

    /// The configuration must be of this very package version.
    fn check_signature(&self, signature: &str) -> Result<(), KernelError> {
        let fits = signature.is_empty() || signature.starts_with(&format!("Ubuntu {}-", self.image.version));
        if fits {
            return Ok(());
        }
        Err(KernelError::Signature {
            wanted: signature.to_owned(),
            package: self.image.name.clone(),
            found: format!("version {}", self.image.version),
        })
    }

    /// The source must be of the mainline version that the kernel was built from.
    fn check_source(&self, place: &Place<'_>) -> Result<(), KernelError> {
        let signature = self.signature(place)?;
        let makefile = read_text(&place.source().join("Makefile"))?;
        let found = mainline(&makefile);
        match signature.rsplit(' ').next().filter(|_| signature.contains(' ')) {
            Some(wanted) if wanted != found => Err(KernelError::Signature {
                wanted: signature.clone(),
                package: self.source.name.clone(),
                found,
            }),
            _ => Ok(()),
        }
    }
}

impl Provider for Ubuntu {
    fn release(&self) -> &KernelRelease {
        &self.release
    }

    fn version(&self) -> Option<&str> {
        Some(&self.image.version)
    }

    fn begin(&mut self, place: &Place<'_>) -> Result<Supplied, KernelError> {
        place.take_configuration(&self.headers.file, &format!("./usr/src/linux-headers-{}", self.release))?;
        self.check_signature(&self.signature(place)?)?;
        let version = self.image.version.clone();
        // `115` of `5.15.0-105.115`.
        let upload = version.rsplit_once('-').and_then(|(_, rest)| rest.split_once('.'));
        let upload = upload.map_or("1", |(_, upload)| upload);
        Ok(Supplied {
            origin: Origin::Ubuntu,
            // debian/rules.d/0-common-vars.mk, `kmake`.
            make_variables: vec![
                format!("KBUILD_BUILD_VERSION={upload}"),
                "LOCALVERSION=".into(),
                "localver-extra=".into(),
            ],
            source_package: self.source.name.clone(),
            debug_remedy: format!("{} is damaged: fetch it again from {DEBUG_ARCHIVE}", self.debug.name),
            version,
        })
    }

    fn complete(&self, place: &Place<'_>) -> Result<(), KernelError> {
        let doing = step("unpack image and modules");
        let archives = [Some(&self.image), Some(&self.modules), self.extra.as_ref()];
        for archive in archives.into_iter().flatten() {
            packages::unpack(&archive.file, &place.image(), place.log)?;
        }
        place.index_modules()?;
        doing.done("");
        self.unpack_source(place)?;
        let doing = step("unpack vmlinux");
        create(&place.debug())?;
        let inside = format!("./usr/lib/debug/boot/vmlinux-{}", self.release);
        packages::take_file(&self.debug.file, &inside, &place.vmlinux(), place.log)?;
        doing.done("");
        place.index_units(&self.debug.file)
    }
}

impl Ubuntu {
    /// The package has a folder with the tree's archive, and beside it the folders `debian*`, which the tree needs too.
    fn unpack_source(&self, place: &Place<'_>) -> Result<(), KernelError> {
        let doing = step("unpack the source");
        let scratch = place.folder.join("source-package");
        packages::unpack(&self.source.file, &scratch, place.log)?;
        let folder = scratch.join("usr/src").join(&self.source.name);
        let entries = std::fs::read_dir(&folder).map_err(file_error(&folder))?;
        let mut archive = None;
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.contains(".tar.") {
                archive = Some(entry.path());
            } else if name.starts_with("debian") {
                let target = place.source().join(&name);
                std::fs::rename(entry.path(), &target).map_err(file_error(&target))?;
            }
        }
        let Some(archive) = archive else {
            let wanted = format!("usr/src/{0}/{0}.tar.bz2", self.source.name);
            return Err(packages::PackageError::Lacks { package: self.source.file.clone(), wanted }.into());
        };
        packages::unpack_archive(&archive, &place.source(), place.log)?;
        std::fs::remove_dir_all(&scratch).map_err(file_error(&scratch))?;
        self.check_source(place)?;
        doing.done("");
        Ok(())
    }
}

/// The version that a kernel's Makefile begins with.
fn mainline(makefile: &str) -> String {
    let value = |name: &str| {
        let value =
            |line: &str| Some(line.strip_prefix(name)?.trim_start().strip_prefix('=')?.trim().to_owned());
        makefile.lines().find_map(value).unwrap_or_default()
    };
    format!("{}.{}.{}", value("VERSION"), value("PATCHLEVEL"), value("SUBLEVEL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mainline_version_is_that_of_the_makefile() {
        let makefile = "# SPDX\nVERSION = 5\nPATCHLEVEL = 15\nSUBLEVEL = 148\nEXTRAVERSION =\n";
        assert_eq!(mainline(makefile), "5.15.148");
    }
}
