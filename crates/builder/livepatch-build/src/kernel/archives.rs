//! Package files that someone names: which kernel they are of, whose, and whether they are all there.

use super::debian::Local;
use super::error::KernelError;
use super::provider::Provider;
use super::ubuntu::Ubuntu;
use crate::packages;
use livepatch_kernel::KernelRelease;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A package file.
#[derive(Clone, Debug)]
pub(super) struct Archive {
    pub(super) file: PathBuf,
    pub(super) name: String,
    pub(super) version: String,
    maintainer: String,
}

/// What a package is of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Image,
    Modules,
    ModulesExtra,
    Debug,
    Headers,
    /// Headers that all flavours share; nothing here needs them.
    CommonHeaders,
    Source,
}

/// The packages of one kernel.
#[derive(Debug)]
pub(super) struct Set {
    release: KernelRelease,
    pub(super) image: Option<Archive>,
    pub(super) modules: Option<Archive>,
    pub(super) modules_extra: Option<Archive>,
    pub(super) debug: Option<Archive>,
    pub(super) headers: Option<Archive>,
    pub(super) source: Option<Archive>,
}

/// The provider for some package files.
///
/// # Errors
/// [`KernelError`] when they are not those of one kernel, or not all.
pub(super) fn provider(files: &[PathBuf]) -> Result<Box<dyn Provider>, KernelError> {
    let archives: Result<Vec<Archive>, KernelError> = files.iter().map(|file| Archive::read(file)).collect();
    let archives = archives?;
    let is_ubuntu = archives.iter().any(Archive::is_ubuntu);
    let set = Set::sort(archives)?;
    Ok(if is_ubuntu { Box::new(Ubuntu::new(&set)?) } else { Box::new(Local::new(&set)?) })
}

impl Archive {
    fn read(file: &Path) -> Result<Self, KernelError> {
        let field = |name: &str| packages::control_field(file, name);
        Ok(Self {
            file: file.to_owned(),
            name: field("Package")?,
            version: field("Version")?,
            maintainer: field("Maintainer")?,
        })
    }

    /// By its maintainer, or by names that only Ubuntu gives.
    fn is_ubuntu(&self) -> bool {
        self.maintainer.contains("Ubuntu") || self.name.ends_with("-dbgsym")
    }

    /// # Errors
    /// [`KernelError::Versions`] when it is of another version than the image.
    pub(super) fn must_be_of(&self, image: &str) -> Result<(), KernelError> {
        if self.version == image {
            return Ok(());
        }
        let (name, found) = (self.name.clone(), self.version.clone());
        Err(KernelError::Versions { name, found, image: image.to_owned() })
    }
}

impl Set {
    fn sort(archives: Vec<Archive>) -> Result<Self, KernelError> {
        let parts: Result<Vec<(Archive, Part, Option<KernelRelease>)>, KernelError> = archives
            .into_iter()
            .map(|archive| match part_of(&archive.name) {
                Some((part, release)) => Ok((archive, part, release)),
                None => Err(KernelError::Foreign { file: archive.file, name: archive.name }),
            })
            .collect();
        let parts = parts?;
        let releases: BTreeSet<KernelRelease> =
            parts.iter().filter_map(|(_, _, release)| release.clone()).collect();
        let mut releases = releases.into_iter();
        let release = match (releases.next(), releases.next()) {
            (Some(one), None) => one,
            (Some(one), Some(other)) => {
                let all = [one, other].into_iter().chain(releases);
                return Err(KernelError::Mixed(all.map(|release| release.to_string()).collect()));
            }
            (None, _) => return Err(KernelError::Mixed(vec!["none of which is named".into()])),
        };
        let mut set = Self {
            release,
            image: None,
            modules: None,
            modules_extra: None,
            debug: None,
            headers: None,
            source: None,
        };
        for (archive, part, _) in parts {
            if let Some(place) = set.place(part) {
                *place = Some(archive);
            }
        }
        Ok(set)
    }

    fn place(&mut self, part: Part) -> Option<&mut Option<Archive>> {
        match part {
            Part::Image => Some(&mut self.image),
            Part::Modules => Some(&mut self.modules),
            Part::ModulesExtra => Some(&mut self.modules_extra),
            Part::Debug => Some(&mut self.debug),
            Part::Headers => Some(&mut self.headers),
            Part::CommonHeaders => None,
            Part::Source => Some(&mut self.source),
        }
    }

    pub(super) fn release(&self) -> &KernelRelease {
        &self.release
    }

    /// All that is needed, each with its usual name, the image first: they must be there, and of the image's version.
    /// `remedy` gets the missing names and `=VERSION`, or nothing when no version is known.
    pub(super) fn whole<const N: usize>(
        &self,
        needed: [(Option<&Archive>, String); N],
        remedy: impl Fn(&[String], &str) -> String,
    ) -> Result<[Archive; N], KernelError> {
        let known = needed.iter().find_map(|(archive, _)| *archive);
        let version = known.map(|archive| format!("={}", archive.version)).unwrap_or_default();
        let missing: Vec<String> =
            needed.iter().filter(|(archive, _)| archive.is_none()).map(|(_, name)| name.clone()).collect();
        let there: Vec<Archive> = needed.iter().filter_map(|(archive, _)| archive.cloned()).collect();
        let Ok(whole) = <[Archive; N]>::try_from(there) else {
            let remedy = remedy(&missing, &version);
            return Err(KernelError::Incomplete { release: self.release.clone(), missing, remedy });
        };
        let image = whole[0].version.clone();
        whole.iter().try_for_each(|archive| archive.must_be_of(&image))?;
        Ok(whole)
    }
}

/// What a package of that name is, and of which kernel; a source package does not say which.
fn part_of(name: &str) -> Option<(Part, Option<KernelRelease>)> {
    let rest = name.strip_prefix("linux-")?;
    // `linux-source-6.1`, and `linux-hwe-6.5-source-6.5.0` for Ubuntu's later kernels of older systems.
    if rest.starts_with("source-") || rest.contains("-source-") {
        return Some((Part::Source, None));
    }
    let (kind, rest) = rest.split_once('-')?;
    let (part, release) = match kind {
        "image" => {
            let rest = rest.strip_prefix("unsigned-").unwrap_or(rest);
            match rest.strip_suffix("-dbgsym").or_else(|| rest.strip_suffix("-dbg")) {
                Some(release) => (Part::Debug, release),
                None => (Part::Image, rest.strip_suffix("-unsigned").unwrap_or(rest)),
            }
        }
        "modules" => match rest.strip_prefix("extra-") {
            Some(release) => (Part::ModulesExtra, release),
            None => (Part::Modules, rest),
        },
        "headers" => (Part::Headers, rest),
        _ => return None,
    };
    let release: KernelRelease = release.parse().ok()?;
    let shared = release.flavour().is_empty() || release.flavour().starts_with("common");
    match (part, shared) {
        (Part::Headers, true) => Some((Part::CommonHeaders, None)),
        (_, true) => None,
        _ => Some((part, Some(release))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn packages_are_known_by_name() {
        let debian = "6.1.0-55-cloud-amd64";
        let ubuntu = "5.15.0-105-generic";
        for (name, part, release) in [
            ("linux-image-6.1.0-55-cloud-amd64", Part::Image, debian),
            ("linux-image-6.1.0-55-cloud-amd64-unsigned", Part::Image, debian),
            ("linux-image-6.1.0-55-cloud-amd64-dbg", Part::Debug, debian),
            ("linux-headers-6.1.0-55-cloud-amd64", Part::Headers, debian),
            ("linux-headers-6.1.0-55-common", Part::CommonHeaders, ""),
            ("linux-source-6.1", Part::Source, ""),
            ("linux-image-unsigned-5.15.0-105-generic", Part::Image, ubuntu),
            ("linux-image-5.15.0-105-generic", Part::Image, ubuntu),
            ("linux-image-unsigned-5.15.0-105-generic-dbgsym", Part::Debug, ubuntu),
            ("linux-modules-5.15.0-105-generic", Part::Modules, ubuntu),
            ("linux-modules-extra-5.15.0-105-generic", Part::ModulesExtra, ubuntu),
            ("linux-headers-5.15.0-105-generic", Part::Headers, ubuntu),
            ("linux-headers-5.15.0-105", Part::CommonHeaders, ""),
            ("linux-source-5.15.0", Part::Source, ""),
            ("linux-hwe-6.5-source-6.5.0", Part::Source, ""),
        ] {
            let (found, of) = part_of(name).unwrap();
            assert_eq!(found, part, "{name}");
            assert_eq!(of.map(|of| of.to_string()).unwrap_or_default(), release, "{name}");
        }
    }

    #[test]
    fn other_packages_are_not_of_a_kernel() {
        for name in ["bash", "linux-libc-dev", "linux-perf", "linux-image-amd64", "linux-kbuild-6.1"] {
            assert_eq!(part_of(name), None, "{name}");
        }
    }
}
